"""One run in one worker, from its settings to its weights: begun, or continued where it was."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, cast

from bakeoff.child_process import num_cores
from bakeoff.components.metrics import find_metric, scored_epoch
from bakeoff.data.datasets import DatasetSummary
from bakeoff.driver import MAX_ATTEMPTS, POLL_SECONDS, InterruptedStudyError, StopRequest
from bakeoff.engines.local import LocalEngine
from bakeoff.engines.protocol import Died, Epoch, Event, Failed, Finished, Halted, Job, Paused
from bakeoff.errors import BakeoffError, StorageError, StudyLockedError, UsageError
from bakeoff.files import LockHeldError, hold_lock
from bakeoff.production.folder import EpochLog, RunFacts, RunFolder, RunResult
from bakeoff.production.one_configuration import params_of
from bakeoff.records import EpochResult, Precision, StudyConfig, TrialConfig
from bakeoff.seeding import derive_seed
from bakeoff.session import (
    RunSettings,
    check_count,
    check_data,
    check_output,
    check_packages,
    choose_precision,
    describe_environment,
    probe,
)
from bakeoff.space import build_trial_config, describe_changes, fingerprint
from bakeoff.tracking import Tracking, build_tracking
from bakeoff.tracking.observer import scores_of


class RunObserver(Protocol):
    """Is told how the run comes along, and shows it."""

    def epoch(self, result: EpochResult, *, is_new: bool) -> None:
        """An epoch is complete; not new if an earlier session has told it."""
        ...

    def note(self, text: str) -> None:
        """Something else the user should know."""
        ...


@dataclass(frozen=True, kw_only=True)
class RunReport:
    """A finished run, as it stands in its folder."""

    folder: RunFolder
    config: StudyConfig
    history: tuple[EpochResult, ...]
    result: RunResult
    was_finished: bool
    """Whether there was nothing left to train."""


def run_folder(output: Path, config: StudyConfig, seed: int, name: str | None) -> RunFolder:
    """Where a run of this configuration stands: under its name, else one of its settings."""
    return RunFolder(output / config.name / "train" / (name or run_name(config, seed)))


def run_name(config: StudyConfig, seed: int) -> str:
    """`adamw-cosine-1a2b3c4d`: optimizer, schedule, and a hash of every setting and the seed."""
    optimizer, scheduler = config.search.optimizers[0], config.search.schedulers[0]
    digest = hashlib.sha256(f"{fingerprint(config)}/{seed}".encode()).hexdigest()[:8]
    return f"{optimizer.rpartition(':')[2]}-{scheduler}-{digest}"


def default_seed(config: StudyConfig) -> int:
    """The training seed where none is given."""
    return derive_seed(config.seed, "train")


def one_worker(output: Path, device: str, threads: int | None) -> RunSettings:
    """Settings of one worker that has all cores, unless told otherwise.

    Raises:
        UsageError: The number of threads is not in 1 to 1024.
    """
    check_count("--threads", threads)
    return RunSettings(
        output=output, storage_url="", workers=1, threads=threads or num_cores(), device=device
    )


def train_run(
    config: StudyConfig,
    folder: RunFolder,
    *,
    seed: int,
    settings: RunSettings,
    observer: RunObserver,
) -> RunReport:
    """Train one configuration to its end, or go on where its folder says it was.

    Args:
        config: A study of one configuration, as `production.settings.fix_settings` makes it.
        folder: Where the run stands, or will.
        seed: Of weights, order and augmentation; a run that has begun keeps its own.
        settings: Device and threads; a run that has begun keeps its own threads.
        observer: Told of every epoch.

    Raises:
        UsageError: The folder holds a run of other settings, data or device.
        StudyLockedError: Another process trains this run.
        InterruptedStudyError: It was asked to stop; calling again continues.
        BakeoffError: The run failed, or data, model or folder are unusable.
    """
    check_output(folder.path)
    check_packages(config)
    if folder.has_begun:
        _check_unchanged(folder, config, seed, settings.device)
        done = folder.load_result()
        if done is not None:
            shutil.rmtree(folder.checkpoints, ignore_errors=True)  # if it was killed before it did
            return _report(folder, config, done, was_finished=True)
    summary = check_data(config)
    threads = folder.load_facts().threads if folder.has_begun else settings.threads
    engine = LocalEngine(num_workers=1, threads=threads, device=settings.device)
    with StopRequest().listening() as stop, closing(engine):
        measured = (
            None if folder.has_begun else _measure(config, summary, seed, settings, engine, stop)
        )
        with _locked(folder):
            if measured is not None and not folder.has_begun:
                folder.begin(config, measured)
            facts = folder.load_facts()
            _check_data_unchanged(facts, summary)
            study_folder = folder.path.parents[1]
            with closing(build_tracking(config, study_folder, observer.note)) as tracking:
                run = _SingleRun(config, facts, folder, engine, observer, stop, tracking)
                result = run.drive()
    shutil.rmtree(folder.checkpoints, ignore_errors=True)
    return _report(folder, config, result, was_finished=False)


def _report(
    folder: RunFolder, config: StudyConfig, result: RunResult, *, was_finished: bool
) -> RunReport:
    history = EpochLog(folder.path / "metrics.jsonl").history
    return RunReport(
        folder=folder,
        config=config,
        history=tuple(history[epoch] for epoch in sorted(history)),
        result=result,
        was_finished=was_finished,
    )


def _measure(
    config: StudyConfig,
    summary: DatasetSummary,
    seed: int,
    settings: RunSettings,
    engine: LocalEngine,
    stop: StopRequest,
) -> RunFacts:
    """Try the model for a few steps, and note all that stays fixed from here on."""
    probed = choose_precision(config, probe(config, engine, stop))
    return RunFacts(
        seed=seed,
        precision=probed.precision,
        threads=settings.threads,
        device=settings.device,
        data_fingerprint=summary.fingerprint,
        environment=describe_environment(settings, probed),
    )


def _check_unchanged(folder: RunFolder, config: StudyConfig, seed: int, device: str) -> None:
    changes = list(describe_changes(folder.load_config(), config))
    facts = folder.load_facts()
    changes += [f"seed: {facts.seed} -> {seed}"] if facts.seed != seed else []
    changes += [f"device: {facts.device} -> {device}"] if facts.device != device else []
    if changes:
        raise UsageError(
            f"{folder.path} was begun with other settings ({'; '.join(changes)});"
            " give the new run another --name"
        )


def _check_data_unchanged(facts: RunFacts, summary: DatasetSummary) -> None:
    if facts.data_fingerprint != summary.fingerprint:
        raise UsageError(
            "data.dataset: the data changed since the run began (fingerprint"
            f" {facts.data_fingerprint[:12]}, now {summary.fingerprint[:12]}); restore it, or begin"
            " another run with --name"
        )


@contextmanager
def _locked(folder: RunFolder) -> Iterator[None]:
    """Hold the run for this process; the system lets go of it when the process dies."""
    folder.path.mkdir(parents=True, exist_ok=True)
    try:
        with hold_lock(folder.path / ".lock", str(os.getpid())):
            yield
    except LockHeldError as held:
        raise StudyLockedError(
            f"{folder.path} is already being trained by process {str(held) or 'unknown'}"
        ) from None


class _SingleRun:
    """Submits the run, writes what its worker tells, and submits it again if the worker dies."""

    def __init__(
        self,
        config: StudyConfig,
        facts: RunFacts,
        folder: RunFolder,
        engine: LocalEngine,
        observer: RunObserver,
        stop: StopRequest,
        tracking: Tracking,
    ) -> None:
        self._tracking = tracking
        self._tracked_name = f"train-{folder.path.name}"
        self._values = {**params_of(config), "seed": facts.seed}
        self._name = folder.path.name
        self._config = trial_config(config, facts)
        self._folder = folder
        self._engine = engine
        self._observer = observer
        self._stop = stop
        self._log = EpochLog(folder.path / "metrics.jsonl")
        self._told: list[EpochResult] = []
        """Epochs of the present attempt."""
        self._attempt = 1
        """Workers lost since an epoch was new, and one."""
        self._is_pausing = False

    def drive(self) -> RunResult:
        """Until the run has ended; its result, stored."""
        self._submit()
        while True:
            for event in self._engine.events(POLL_SECONDS):
                result = self._handle(event)
                if result is not None:
                    self._folder.finish(result)
                    return result
            self._obey_stop()

    def _submit(self) -> None:
        self._told.clear()
        self._tracking.begin(self._tracked_name, self._values)
        self._engine.submit(
            Job(
                run=self._name,
                config=self._config,
                checkpoint_dir=str(self._folder.checkpoints),
                reads_test=True,
                weights_path=str(self._folder.weights),
            )
        )

    def _handle(self, event: Event) -> RunResult | None:
        match event:
            case Epoch():
                self._on_epoch(event.result)
            case Finished():
                return self._result(event)
            case Failed():
                raise BakeoffError(f"run {self._name!r} failed: {event.reason}")
            case Halted():
                raise StorageError(f"{event.reason}; make room and run the same command again")
            case Paused():
                raise InterruptedStudyError(self._stop.exit_code)
            case Died():
                self._on_death(event)
        return None

    def _on_epoch(self, result: EpochResult) -> None:
        self._told.append(result)
        self._tracking.epoch(self._tracked_name, result)
        is_new = self._log.add(result)
        self._attempt = 1 if is_new else self._attempt
        self._observer.epoch(result, is_new=is_new)

    def _on_death(self, event: Died) -> None:
        if self._is_pausing:
            raise InterruptedStudyError(self._stop.exit_code)
        if self._attempt >= MAX_ATTEMPTS:
            raise BakeoffError(
                f"run {self._name!r}: {event.reason}, {self._attempt} times without a new epoch;"
                " the same command tries again"
            )
        self._observer.note(f"{event.reason}; continuing from the checkpoint")
        self._attempt += 1
        self._submit()

    def _result(self, event: Finished) -> RunResult:
        metric = find_metric(self._config.objective, self._config.data.task).info
        scored = scored_epoch(self._told, metric, self._config.score_rule)
        score = None if scored is None else scored.metrics[metric.name]
        scores = scores_of(score, event.test_metrics)
        self._tracking.end(self._tracked_name, event.outcome, scores)
        differs = self._log.differs_from
        return RunResult(
            outcome=event.outcome,
            scored_epoch=None if scored is None else scored.epoch,
            validation_metrics={} if scored is None else scored.metrics,
            test_metrics=event.test_metrics,
            confusion=() if scored is None else scored.confusion,
            note="" if differs is None else f"resumed, not bit-identical from epoch {differs}",
        )

    def _obey_stop(self) -> None:
        if self._stop.count > 1:
            raise InterruptedStudyError(self._stop.exit_code)
        if self._stop.count and not self._is_pausing:
            self._is_pausing = True
            self._observer.note("pausing after this epoch; Ctrl-C again stops at once")
            self._engine.reply(self._name, "pause")


def trial_config(config: StudyConfig, facts: RunFacts) -> TrialConfig:
    """The training run of a study of one configuration."""
    trial = build_trial_config(config, params_of(config), facts.seed)
    training = replace(trial.training, precision=cast("Precision", facts.precision))
    return replace(trial, training=training)
