"""From a study and where to run it, to a finished study: check, measure, search, confirm.

Everything that can be wrong is found before anything is created: the data is read, and the model
is built and trained for a few steps in a worker.
"""

import os
import platform
import shutil
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from bakeoff.components.datasets import DatasetSummary, check_batch_size, describe_dataset
from bakeoff.components.metrics import Untrained, chance_score, find_metric
from bakeoff.components.optimizers import find_optimizer
from bakeoff.components.package_models import check_model_installed, find_package
from bakeoff.components.package_optimizers import check_installed
from bakeoff.confirm import Confirmation
from bakeoff.database import choose_storage_url, parse_storage_url
from bakeoff.driver import POLL_SECONDS, Driver, InterruptedStudyError, Observer, StopRequest
from bakeoff.engines.local import LocalEngine, default_layout
from bakeoff.engines.protocol import Died, Engine, Failed, Probe, Probed
from bakeoff.engines.worker import import_path
from bakeoff.errors import BakeoffError, EmptyStorageError, StorageError, UsageError
from bakeoff.lock import study_lock
from bakeoff.ranges import Choice, FloatRange, IntRange, describe_range
from bakeoff.records import StudyConfig, Task
from bakeoff.search.arms import Search
from bakeoff.search.deadline import Deadline
from bakeoff.search.samplers import check_sampler
from bakeoff.search.warm_start import choose_warm_starts
from bakeoff.seeding import derive_seed
from bakeoff.space import (
    build_arms,
    build_trial_config,
    check_extension,
    check_unchanged,
    default_params,
)
from bakeoff.storage import Storage, StudyFacts
from bakeoff.studyfile import format_study
from bakeoff.tracking import build_tracking, check_trackers
from bakeoff.tracking.observer import TrackedObserver

PACKAGES = ("bakeoff", "torch", "torchvision", "optuna", "numpy", "scipy", "torchmetrics")

HOW_SPLIT: Mapping[Task, str] = {
    "classification": "stratified",
    "regression": "at random",
    "language": "the last part",
}
"""How validation samples are chosen."""
TRAINING_TITLES: Mapping[str, str] = {
    "clip_grad_norm": "gradient clipping, norm at most",
    "clip_grad_value": "gradient clipping, values at most",
    "accumulation_steps": "batches per optimizer step",
    "label_smoothing": "label smoothing",
    "class_weights": "class weights",
    "sampling": "sampling",
    "focal_gamma": "focal loss, gamma",
    "mixup_alpha": "mixup, alpha",
    "cutmix_alpha": "cutmix, alpha",
    "ema_decay": "moving average of weights, decay",
    "early_stopping_patience": "early stopping, epochs without a better one",
}
"""What the report calls the keys of `[training]` that every run shares."""


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """Where a study runs and how much of the machine it takes; never what it is."""

    output: Path
    storage_url: str
    workers: int
    threads: int
    device: str = "cpu"
    timeout: float | None = None
    """Seconds for search and confirmation together; None is no limit."""
    extends: bool = False
    """Whether the study file may add trials or arms to the stored study."""
    source: str | None = None
    """Name of a stored study whose best configurations a new one begins with."""

    @classmethod
    def choose(
        cls,
        *,
        output: Path,
        storage_url: str | None,
        workers: int | None,
        device: str,
        threads: int | None = None,
        timeout: float | None = None,
        extends: bool = False,
        source: str | None = None,
    ) -> "RunSettings":
        """Fill in what was not given: SQLite in the output folder, one worker per core.

        Raises:
            UsageError: The number of workers or threads is not in 1 to 1024, or the storage URL is
                wrong.
        """
        default_workers, default_threads = default_layout(device)
        check_count("--workers", workers)
        check_count("--threads", threads)
        url = choose_storage_url(storage_url, output)
        parse_storage_url(url)
        return cls(
            output=output,
            storage_url=url,
            workers=workers or default_workers,
            threads=threads or default_threads,
            device=device,
            timeout=timeout,
            extends=extends,
            source=source,
        )


def check_count(flag: str, value: int | None) -> None:
    """Refuse a number of workers or threads that no machine has.

    Raises:
        UsageError: It is given, and not in 1 to 1024.
    """
    if value is not None and not 1 <= value <= 1024:  # noqa: PLR2004 - said in the message
        raise UsageError(f"{flag} = {value}: allowed are 1 to 1024")


@dataclass(frozen=True, kw_only=True)
class SessionResult:
    """What one call of `run_study` did."""

    num_trained: int
    """Runs trained, those continued included; 0 when the study was already complete."""
    num_trials: int
    num_confirmations: int


def study_folder(output: Path, name: str) -> Path:
    """Where a study's report and checkpoints stand."""
    return output / name


def run_study(config: StudyConfig, settings: RunSettings, observer: Observer) -> SessionResult:
    """Begin or continue a study until it is complete.

    Raises:
        SpaceChangedError: The stored study has other settings.
        StudyLockedError: Another driver is at work.
        InterruptedStudyError: It was asked to stop; calling again continues.
        BakeoffError: Data, model, storage or settings are unusable; nothing was created.
    """
    deadline = _deadline(config, settings)  # from now on
    check_output(study_folder(settings.output, config.name))
    check_packages(config)
    summary = check_data(config)
    known = _stored_facts(settings, config.name)
    engine = LocalEngine(
        num_workers=settings.workers,
        threads=known.threads if known else settings.threads,
        device=settings.device,
    )
    with StopRequest().listening() as stop, closing(engine):
        facts = known or _measure(config, settings, summary, engine, stop)
        if config.training.precision == "auto" and not known:
            observer.note(f"precision {facts.environment['precision']}")
        storage = Storage(settings.storage_url, create=True)
        storage.on_wait = partial(_on_wait, observer, stop)
        with study_lock(storage, config.name):
            storage.remove_half_made(config.name)
            if not storage.has(config.name):
                _create(storage, config, facts, settings.source, observer)
            stored = _take_up(storage, config, extends=settings.extends)
            _check_unchanged_facts(storage.load_facts(config.name), summary, settings)
            if known and not storage.is_finished(config.name):
                probe(config, engine, stop)  # model and device still work
            folder = study_folder(settings.output, config.name)
            with closing(build_tracking(config, folder, observer.note)) as tracking:
                tracked = TrackedObserver(observer, tracking)
                return _drive(stored, settings, storage, engine, tracked, stop, deadline)


def _create(
    storage: Storage,
    config: StudyConfig,
    facts: StudyFacts,
    source: str | None,
    observer: Observer,
) -> None:
    """Store the new study, with what it begins with."""
    if source is None:
        storage.create(config, facts)
        return
    arms = build_arms(config)
    found = choose_warm_starts(storage.load_record(source), arms, config.search.trials_per_arm)
    storage.create(config, facts, found)
    counts = ", ".join(f"{arm} {len(params)}" for arm, params in found.items())
    text = f"begun with the best configurations of {source} that fit: {counts}"
    storage.note(config.name, text)
    observer.note(text)


def _take_up(storage: Storage, config: StudyConfig, *, extends: bool) -> StudyConfig:
    """The stored study's settings, unchanged or extended as asked for."""
    stored = storage.load_config(config.name)
    if not extends:
        check_unchanged(stored, config)
        return stored
    changes = check_extension(stored, config)
    if changes or storage.has_search_ended(config.name):
        storage.extend(config, changes or ["the search that a timeout ended goes on"])
    return storage.load_config(config.name)


def _deadline(config: StudyConfig, settings: RunSettings) -> Deadline | None:
    if settings.timeout is None:
        return None
    confirm = config.confirm
    runs = len(build_arms(config)) * (confirm.seeds + confirm.shortlist * confirm.shortlist_seeds)
    return Deadline(
        seconds=settings.timeout,
        num_workers=settings.workers,
        confirmation_epochs=runs * config.training.epochs if confirm.seeds else 0,
        run_epochs=config.training.epochs,
    )


def _on_wait(observer: Observer, stop: StopRequest, reason: str) -> None:
    observer.note(reason)
    if stop.count > 1:
        raise InterruptedStudyError(stop.exit_code)


def _drive(
    config: StudyConfig,
    settings: RunSettings,
    storage: Storage,
    engine: Engine,
    observer: Observer,
    stop: StopRequest,
    deadline: Deadline | None,
) -> SessionResult:
    folder = study_folder(settings.output, config.name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "study.toml").write_text(format_study(config))
    except OSError as error:
        raise StorageError(f"{folder} cannot be written ({error.strerror})") from None
    facts = storage.load_facts(config.name)
    driver = Driver(
        config=config,
        facts=facts,
        storage=storage,
        engine=engine,
        observer=observer,
        stop=stop,
        checkpoints=folder / "checkpoints",
    )
    arms = build_arms(config)
    warm_starts = storage.warm_starts(config.name)
    search = Search(config, arms, facts.metric.direction, deadline, warm_starts)
    if storage.has_search_ended(config.name):
        search.close()
    num_trained = driver.drive(search, "search")
    if search.is_closed:
        storage.end_search(config.name)
    trials = [record for _, record in storage.load_runs(config.name, "search")]
    num_confirmations = 0
    if config.confirm.seeds:
        num_trained += driver.drive(Confirmation(config, arms, trials, facts.metric), "confirm")
        num_confirmations = len(storage.load_runs(config.name, "confirm"))
    storage.mark_finished(config.name)
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    return SessionResult(
        num_trained=num_trained, num_trials=len(trials), num_confirmations=num_confirmations
    )


def _stored_facts(settings: RunSettings, name: str) -> StudyFacts | None:
    """What is stored of the study, without creating a storage."""
    url = parse_storage_url(settings.storage_url)
    if url.get_backend_name() == "sqlite" and not Path(str(url.database)).exists():
        return None
    try:
        storage = Storage(settings.storage_url)
    except EmptyStorageError:
        return None
    return storage.load_facts(name) if name in storage.names() else None


def check_packages(config: StudyConfig) -> None:
    """Make sure that packages of optimizers, model, sampler and trackers are installed.

    None is imported.

    Raises:
        MissingDependencyError: One is not; the message names the extra that brings it.
        UsageError: A package has no optimizer of that name.
    """
    for name in config.search.optimizers:
        check_installed(name, find_optimizer(name).package)
    check_model_installed(config.model)
    check_sampler(config.search.sampler)
    check_trackers(config.tracking)


def check_data(config: StudyConfig) -> DatasetSummary:
    """Read the data and make sure that the largest batch can be filled.

    Raises:
        DataError: It is missing or unusable; the message says how to get or mend it.
    """
    sys.path += [entry for entry in import_path() if entry not in sys.path]
    summary = describe_dataset(config.data, derive_seed(config.seed, "split"))
    check_batch_size(
        config.data.dataset,
        summary.num_train,
        _extremes(config, "batch_size")[1],
        _extremes(config, "accumulation_steps")[1],
    )
    return summary


def _extremes(config: StudyConfig, name: str) -> tuple[int, int]:
    """The smallest and the largest value in the study of a whole number of `[training]`."""
    match config.space.get(f"training.{name}"):
        case IntRange() as setting:
            return setting.low, setting.high
        case Choice() as setting:
            sizes = [int(choice) for choice in setting.choices]
            return min(sizes), max(sizes)
        case _:
            value = int(getattr(config.training, name))
            return value, value


def smallest_batch(config: StudyConfig) -> int:
    """The smallest batch size of the study: what an epoch of most steps takes."""
    return _extremes(config, "batch_size")[0]


def _check_unchanged_facts(
    facts: StudyFacts, summary: DatasetSummary, settings: RunSettings
) -> None:
    """Data and device change results, so a study keeps those it was begun with."""
    if facts.data_fingerprint != summary.fingerprint:
        raise UsageError(
            "data.dataset: the data changed since the study began (fingerprint"
            f" {facts.data_fingerprint[:12]}, now {summary.fingerprint[:12]}); restore it, or give"
            " the study a new name"
        )
    device = facts.environment.get("device", settings.device)
    if device != settings.device:
        raise UsageError(f"--device {settings.device}: the study was begun on {device!r}")


# ---------------------------------------------------------------- measuring


def _measure(
    config: StudyConfig,
    settings: RunSettings,
    summary: DatasetSummary,
    engine: Engine,
    stop: StopRequest,
) -> StudyFacts:
    """Try the model for a few steps and note all that stays fixed from here on."""
    probed = choose_precision(config, probe(config, engine, stop))
    return StudyFacts(
        metric=find_metric(config.objective, summary.task).info,
        chance_score=chance_score(config.objective, summary.task, _untrained(config, summary)),
        num_validation=summary.num_validation,
        num_test=summary.num_test,
        data_fingerprint=summary.fingerprint,
        precision=probed.precision,
        threads=settings.threads,
        protocol=describe_protocol(config, summary),
        environment={**describe_environment(settings, probed), **_component_packages(config)},
    )


def _untrained(config: StudyConfig, summary: DatasetSummary) -> Untrained:
    return Untrained(
        num_outputs=summary.num_outputs,
        loss=config.training.loss,
        target_deviation=summary.target_deviation,
        mean_losses=summary.mean_losses,
    )


def probe(config: StudyConfig, engine: Engine, stop: StopRequest) -> Probed:
    """Train the first arm's default configuration for a few steps in a worker.

    Raises:
        UsageError: The model cannot be built or trained; the message is the worker's.
        BakeoffError: The worker died.
        InterruptedStudyError: It was asked to stop.
    """
    params = default_params(build_arms(config)[0], config.model)
    engine.submit(
        Probe(run="probe", config=build_trial_config(config, params, derive_seed(config.seed)))
    )
    while not stop.count:
        for event in engine.events(POLL_SECONDS):
            match event:
                case Probed():
                    return event
                case Failed():
                    raise UsageError(_blame_model(config.model, event.reason))
                case Died():
                    raise BakeoffError(_blame_model(config.model, event.reason))
    raise InterruptedStudyError(stop.exit_code)


def _blame_model(model: str, reason: str) -> str:
    """The key and the reason, without the model's name a second time."""
    said = f"model {model!r}"
    return f"model.model = {model!r}" + (
        reason.removeprefix(said) if reason.startswith(said) else f": {reason}"
    )


def choose_precision(config: StudyConfig, probed: Probed) -> Probed:
    """What was measured, with the precision that the study file names, if it names one.

    Raises:
        UsageError: The precision named does not work here.
    """
    named = config.training.precision
    if named == "auto":
        return probed
    if named not in probed.seconds_per_step:
        works = ", ".join(probed.seconds_per_step)
        raise UsageError(f"training.precision = {named!r} does not work here; what works: {works}")
    return replace(probed, precision=named, reason="named by the study file")


def describe_protocol(config: StudyConfig, summary: DatasetSummary) -> dict[str, str]:
    """What is fixed before the run, as printable text by heading."""
    training, search = config.training, config.search
    shape = " x ".join(str(size) for size in summary.input_shape)
    return {
        "data": f"{config.data.dataset}, {_outputs(summary)}, samples of {shape}",
        "split": f"{summary.num_train} training{_imbalance(config)},"
        f" {summary.num_validation} validation ({HOW_SPLIT[summary.task]}),"
        f" {summary.num_test} test samples",
        "augmentation": ", ".join(config.data.augment) or "none",
        "model": _with_params(config.model, dict(config.model_params)),
        "loss": training.loss,
        "epochs": str(training.epochs),
        "batch size": _setting(config, "batch_size"),
        **{title: _setting(config, name) for name, title in TRAINING_TITLES.items()},
        "optimizers": ", ".join(search.optimizers),
        "schedulers": ", ".join(search.schedulers),
        "study seed": str(config.seed),
    }


def _imbalance(config: StudyConfig) -> str:
    ratio = config.data.imbalance
    return "" if ratio is None else f" (long-tailed, largest class {ratio:g} times the smallest)"


def _outputs(summary: DatasetSummary) -> str:
    """What is predicted: `10 classes`, `a number` or `one of 96 tokens`."""
    if summary.task == "regression":
        return "a number"
    if summary.task == "language":
        return f"one of {summary.num_outputs} tokens"
    return f"{summary.num_outputs} classes"


def _with_params(name: str, params: dict[str, object]) -> str:
    listed = ", ".join(f"{key} = {value}" for key, value in params.items())
    return f"{name} ({listed})" if listed else name


def _setting(config: StudyConfig, name: str) -> str:
    """A setting of `[training]`: its value, or the range it is searched in."""
    searched = config.space.get(f"training.{name}")
    if isinstance(searched, (FloatRange, IntRange, Choice)):
        return f"searched, {describe_range(searched)}"
    value = getattr(config.training, name)
    return "none" if value is None else str(value)


def describe_environment(settings: RunSettings, probed: Probed) -> dict[str, str]:
    """Versions, machine, threads and precision, as printable text."""
    measured = ", ".join(
        f"{name} {1000 * seconds:.2f} ms" for name, seconds in probed.seconds_per_step.items()
    )
    return {
        "python": platform.python_version(),
        **{name: _installed(name) for name in PACKAGES},
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "device": settings.device,
        "workers": str(settings.workers),
        "threads per worker": str(settings.threads),
        "precision": f"{probed.precision}: {probed.reason}",
        "seconds per step": measured,
    }


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _component_packages(config: StudyConfig) -> dict[str, str]:
    """Versions of the packages that optimizers and model come from, torch's own aside."""
    packages = {find_optimizer(name).package for name in config.search.optimizers}
    model_package = find_package(config.model)
    if model_package is not None:
        packages.add(model_package.name)
    return {name: _installed(name) for name in sorted(packages - set(PACKAGES))}


def _processor() -> str:
    """The processor's model name, or its architecture where the system does not tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def check_output(output: Path) -> None:
    """Refuse an output folder that cannot be written, before anything is created.

    Raises:
        UsageError: It is a file, or not writable.
    """
    existing = next(one for one in (output, *output.absolute().parents) if one.exists())
    if output.is_symlink() and not output.exists():
        raise UsageError(f"--output {output}: is a link to nothing")
    if not existing.is_dir():
        raise UsageError(f"--output {output}: {existing} is not a folder")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise UsageError(f"--output {output}: {existing} is not writable")
