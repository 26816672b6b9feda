"""Studies from Python: check, run and read them, and train one configuration.

import bakeoff

study = bakeoff.Study("studies/digits.toml", settings={"search.trials_per_arm": 5})
result = study.run(output="results")  # the same as `study run`
print(result.answer)
"""

import json
import tomllib
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from bakeoff.driver import StopRequest
from bakeoff.engines.open import find_workers
from bakeoff.engines.processes import ended_on_error, start_early
from bakeoff.engines.protocol import HANG_SECONDS
from bakeoff.errors import NothingCompletedError
from bakeoff.records import StudyConfig, StudyRecord
from bakeoff.session.run_settings import RunSettings
from bakeoff.session.study import SessionResult, run_study
from bakeoff.studyfile import format_study, load_study, study_arms
from bakeoff.studyfile.threads import choose_threads

if TYPE_CHECKING:
    from bakeoff.notebook import LoadedStudy
    from bakeoff.production.run import RunReport


class _Silent:
    """Shows nothing of a study or a run."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def _ignore(self, *_: object, **__: object) -> None:
        pass

    began = epoch = paused = ended = note = _ignore


class Study:
    """What a study file says, checked: from a file, a dictionary, or sections as keyword arguments.

    Args:
        source: A TOML study file; a name such as `digits`, which is looked for in `studies`; or a
            dictionary of sections like a parsed study file; or another `Study`.
        settings: What replaces single settings, as in `{"search.trials_per_arm": 5}`.
        **sections: Sections of a study file, which are joined with those of `source`, as in
            `search={"optimizers": ["sgd", "adamw"]}`.

    Nothing that the study refers to is imported, and no data is read.

    Raises:
        StudyFileError: The message is one line with key, value and what is allowed.
    """

    def __init__(
        self,
        source: "str | Path | Mapping[str, Any] | Study | None" = None,
        *,
        settings: Mapping[str, Any] | None = None,
        **sections: Mapping[str, Any],
    ) -> None:
        folder = ""
        if isinstance(source, Study):
            folder, source = source.config.folder, tomllib.loads(source.to_toml())
        self.config: StudyConfig = load_study(
            source, settings=settings or {}, sections=sections, folder=folder
        )

    @property
    def name(self) -> str:
        """Name of the study and of its folder of results."""
        return self.config.name

    def to_toml(self) -> str:
        """The study file with every default written out."""
        return format_study(self.config)

    def run(
        self,
        *,
        output: str | Path = "results",
        storage: str | None = None,
        workers: int | None = None,
        threads: int | None = None,
        workers_per_device: int | None = None,
        device: str = "auto",
        timeout: float | None = None,
        hang_seconds: float = HANG_SECONDS,
        extend: bool = False,
        accept_code: bool = False,
        warm_start: str | None = None,
        user: str | None = None,
        checkpoints: str | Path | None = None,
        engine: str = "local",
        gpus_per_trial: float | None = None,
        insecure_cluster: bool = False,
        progress: bool = True,
    ) -> "LoadedStudy":
        """Run the study, or continue it, as `study run` does: search, confirm, write the report.

        Ctrl-C pauses the study, and calling again continues it. A script needs no
        `if __name__ == "__main__":`.

        Args:
            output: Folder for reports and the default storage.
            storage: Storage URL; None means `sqlite:///<output>/studies.db`.
            workers: Runs that train at the same time; None means one per core, or per accelerator.
            workers_per_device: Replaces that number for each device.
            threads: Threads of each worker; None means one on a CPU.
            device: Where runs train, as `--device`; `auto` uses every accelerator, else the CPU.
            timeout: Seconds for search and confirmation together.
            hang_seconds: Seconds without a step after which a run counts as hung.
            extend: Whether the study may add trials, arms, seeds or repeats to the stored one.
            accept_code: Whether to continue although your code changed since the study began.
            warm_start: Stored study whose best configurations each arm of a new study begins with.
            user: Name that is stored with the study as yours; None means the account's.
            checkpoints: Folder or URL in which runs store their checkpoints; None means
                `<output>/<study>/checkpoints`.
            engine: `local`, `ray` or `ray:HOST:PORT`.
            gpus_per_trial: GPUs of each run on a Ray cluster, also a part of one such as 0.5.
            insecure_cluster: Whether to use a Ray cluster that answers without a token.
            progress: Whether to show progress, on stderr or in the notebook.

        Returns:
            The study with its results: `.answer`, `.comparison`, `.figures`, `.tables`.

        Raises:
            InterruptedStudyError: Ctrl-C was pressed.
            NothingCompletedError: The study ended and no trial completed.
            BakeoffError: Data, model, storage or settings are unusable.
        """
        threads = choose_threads(self.config, threads)
        early = start_early(self.config.folder, device=device, threads=threads, engine=engine)
        with ended_on_error(early):
            settings = RunSettings.choose(
                output=Path(output),
                storage_url=storage,
                workers=workers,
                threads=threads,
                early=early,
                workers_per_device=workers_per_device,
                device=device,
                devices_per_trial=self.config.training.devices_per_trial,
                study=self.config.name,
                timeout=timeout,
                hang_seconds=hang_seconds,
                extends=extend,
                accepts_code=accept_code,
                source=warm_start,
                user=user,
                checkpoints=None if checkpoints is None else str(checkpoints),
                engine=engine,
                gpus_per_trial=gpus_per_trial,
                insecure_cluster=insecure_cluster,
            )
        stop = StopRequest(ends_process=False)
        drive_study(self.config, settings, progress=progress, stop=stop)
        return write_and_publish(self.config.name, settings)

    def __repr__(self) -> str:
        from bakeoff.analysis.wording import promised

        config = self.config
        search = config.search
        arms = study_arms(config)
        repeats = f" in each of {search.repeats} repeats" if search.repeats > 1 else ""
        return (
            f"<Study {config.name}: {config.subject}; {', '.join(arms)};"
            f" {promised(search.budget)} per arm{repeats}; {config.confirm.seeds} seeds>"
        )


def run(
    source: str | Path | Mapping[str, Any] | Study | None = None,
    *,
    settings: Mapping[str, Any] | None = None,
    **options: Any,
) -> "LoadedStudy":
    """Run a study, or continue it, and return its results.

    Args:
        source: See `Study`.
        settings: See `Study`.
        **options: The arguments of `Study.run`; every other one is a section of a study file.

    Raises:
        BakeoffError: See `Study` and `Study.run`.
    """
    own = {name: options.pop(name) for name in RUN_OPTIONS & options.keys()}
    return Study(source, settings=settings, **options).run(**own)


RUN_OPTIONS = frozenset(Study.run.__kwdefaults__ or ())


def train(
    source: str | Path | Mapping[str, Any] | Study | None = None,
    *,
    settings: Mapping[str, Any] | None = None,
    optimizer: str | None = None,
    scheduler: str | None = None,
    params: Mapping[str, Any] | None = None,
    name: str | None = None,
    output: str | Path = "results",
    device: str = "auto",
    threads: int | None = None,
    seed: int | None = None,
    accept_code: bool = False,
    progress: bool = True,
) -> "RunReport":
    """Train one configuration to its end, or continue it, as `study train` does.

    Args:
        source: See `Study`.
        settings: See `Study`.
        optimizer: None means the study's first one.
        scheduler: None means the study's only one, or a constant learning rate.
        params: Values by full name, as in `{"adamw.learning_rate": 1e-3, "training.epochs": 5}`;
            what is not named has the study's value, or the library default.
        name: Name of the run; None makes it from the settings.
        output: Folder of the run's folder.
        device: Where it trains, as `--device`; `auto` uses an accelerator where there is one.
        threads: None means one per core.
        seed: Of weights, batches and augmentation; None derives it from the study.
        accept_code: Whether to continue although your code changed since the run began.
        progress: Whether to print each epoch on stderr.

    Returns:
        The run: `.result` with its scores, `.history` [epochs], `.folder` with weights and page.

    Raises:
        NothingCompletedError: The run diverged or failed.
        BakeoffError: Data, model or settings are unusable.
    """
    from bakeoff.production.folder import check_run_name
    from bakeoff.production.one_configuration import Chosen, fix_settings
    from bakeoff.production.page import write_page
    from bakeoff.production.progress import EpochProgress
    from bakeoff.production.run import default_seed, one_worker, run_folder, train_run

    others = tuple(f"{key}={json.dumps(value)}" for key, value in (params or {}).items())
    study = Study(source, settings=settings)
    chosen = Chosen(optimizer=optimizer, scheduler=scheduler, others=others)
    config = fix_settings(study.config, chosen)
    seed = default_seed(config) if seed is None else seed
    folder = run_folder(Path(output), config, seed, None if name is None else check_run_name(name))
    shown = EpochProgress(config.training.epochs, config.objective) if progress else _Silent()
    with shown as observer:
        report = train_run(
            config,
            folder,
            seed=seed,
            settings=one_worker(device, choose_threads(config, threads), config, folder),
            observer=observer,
            stop=StopRequest(ends_process=False),
            accepts_code=accept_code,
        )
    write_page(report)
    if report.result.outcome != "complete":
        raise NothingCompletedError(
            f"the run {report.result.outcome}; {report.folder.page} shows how"
        )
    return report


def drive_study(
    config: StudyConfig,
    settings: RunSettings,
    *,
    progress: bool = True,
    stop: StopRequest | None = None,
) -> SessionResult:
    """Run a study to its end, with progress on stderr and figures in the dashboard.

    Raises:
        BakeoffError: See `bakeoff.session.run_study`.
    """
    from bakeoff.components.metrics import metric_info
    from bakeoff.session.display import build_progress
    from bakeoff.session.refresh import RefreshingObserver

    settings = find_workers(settings)
    arms = study_arms(config)
    metric = metric_info(config.objective, config)
    shown = build_progress(config, arms, metric, settings.workers) if progress else _Silent()
    with ended_on_error(settings.early), shown as observer:
        refresh = partial(_refresh, config.name, settings.storage_url)
        refreshing = RefreshingObserver(observer, refresh, _import_reports)
        return run_study(config, settings, refreshing, stop)


def write_and_publish(name: str, settings: RunSettings) -> "LoadedStudy":
    """Write the report of a stored study and show it in the dashboard.

    Raises:
        NothingCompletedError: No trial completed; the report is written anyway.
        StorageError: The storage cannot be read.
    """
    from bakeoff.dashboard import publish
    from bakeoff.notebook import LoadedStudy
    from bakeoff.storage import Storage

    study = LoadedStudy(Storage(settings.storage_url, is_known=True).load_record(name))
    study.write_report(settings.output / name)
    publish(settings.storage_url, study.comparison, settings.output)
    check_any_completed(study.record)
    return study


def check_any_completed(record: StudyRecord) -> None:
    """Refuse a study without a complete trial.

    Raises:
        NothingCompletedError: No trial completed.
    """
    if not any(trial.outcome == "complete" for trial in record.trials):
        raise NothingCompletedError(
            f"study {record.name!r} finished, but no trial completed; the report says why"
        )


def _import_reports() -> None:
    """Import what a report and the dashboard's figures need, which takes a second or two."""
    import bakeoff.analysis.comparison
    import bakeoff.dashboard.publishing
    import bakeoff.report  # noqa: F401


def _refresh(name: str, storage_url: str) -> None:
    """Show the verdict so far and the key figures of a running study in the dashboard."""
    from bakeoff.analysis.comparison import compare
    from bakeoff.dashboard import publish_progress
    from bakeoff.storage import Storage

    comparison = compare(Storage(storage_url).load_record(name))
    publish_progress(storage_url, comparison, has_report=False)
