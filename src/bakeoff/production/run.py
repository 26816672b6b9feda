"""Trains one run in one worker, or continues it from its folder."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Protocol, cast

from bakeoff.child_process import num_cores
from bakeoff.components.metrics import metric_info, scored_epoch
from bakeoff.engines.devices import check_devices, choose_devices
from bakeoff.engines.follow import MAX_ATTEMPTS, follow
from bakeoff.engines.open import EngineSettings, open_engine
from bakeoff.engines.protocol import Died, Engine, Epoch, Failed, Finished, Halted, Job
from bakeoff.engines.stopping import StopRequest
from bakeoff.errors import BakeoffError, StorageError, StudyLockedError, UsageError
from bakeoff.files import LockHeldError, hold_lock
from bakeoff.production.folder import EpochLog, RunFacts, RunFolder, RunResult
from bakeoff.production.one_configuration import params_of
from bakeoff.records import EpochResult, Precision, StudyConfig, TrialConfig
from bakeoff.seeding import derive_seed
from bakeoff.session.checks import (
    changed_code,
    changed_device,
    check_data,
    check_packages,
    check_same_code,
    check_same_data,
    stored_code,
)
from bakeoff.session.descriptions import describe_environment
from bakeoff.session.measuring import probe
from bakeoff.session.run_settings import check_count, check_output
from bakeoff.space import build_trial_config, describe_changes, fingerprint
from bakeoff.stores import open_store
from bakeoff.stores.run_weights import take_weights
from bakeoff.tracking import Tracking, build_tracking
from bakeoff.tracking.observer import scores_of


class RunObserver(Protocol):
    """Shows the progress of a run."""

    def epoch(self, result: EpochResult, *, is_new: bool) -> None:
        """An epoch is complete. It is not new if it had already been trained before."""

    def note(self, text: str) -> None:
        """Anything else that the user should know."""


@dataclass(frozen=True, kw_only=True)
class RunReport:
    """A finished run and the content of its folder."""

    folder: RunFolder
    config: StudyConfig
    result: RunResult
    was_finished: bool
    """Whether it was already finished, so that nothing was trained."""

    def __repr__(self) -> str:
        scores = {**self.result.test_metrics} or {**self.result.validation_metrics}
        shown = ", ".join(f"{name} {value:.4g}" for name, value in scores.items())
        where = "test" if self.result.test_metrics else "validation"
        return f"<run {self.folder.path}: {self.result.outcome}; {where} {shown}>"

    @cached_property
    def history(self) -> tuple[EpochResult, ...]:
        """The epochs in the folder, in their order."""
        history = EpochLog(self.folder.log).history
        return tuple(history[epoch] for epoch in sorted(history))


def run_folder(output: Path, config: StudyConfig, seed: int, name: str | None) -> RunFolder:
    """The folder of a run, called `name` or else `run_name`."""
    return RunFolder(output / config.name / "train" / (name or run_name(config, seed)))


def run_name(config: StudyConfig, seed: int) -> str:
    """Optimizer, schedule, and a hash of all settings and the seed: `adamw-cosine-1a2b3c4d`."""
    optimizer, scheduler = config.search.optimizers[0], config.search.schedulers[0]
    digest = hashlib.sha256(f"{fingerprint(config)}/{seed}".encode()).hexdigest()[:8]
    return f"{optimizer.rpartition(':')[2]}-{scheduler.rpartition(':')[2]}-{digest}"


def default_seed(config: StudyConfig) -> int:
    """The training seed if no seed is given."""
    return derive_seed(config.seed, "train")


def one_worker(
    device: str, threads: int | None, config: StudyConfig, folder: RunFolder | None = None
) -> EngineSettings:
    """Settings of one worker that uses all cores, unless `threads` says otherwise.

    Args:
        device: As `--device`.
        threads: None means one for each core, which the processes that train a run share.
        config: The study of the run.
        folder: The folder of the run; with `auto` it continues on the kind of device on which it
            was begun.

    Raises:
        UsageError: The number of threads is not between 1 and 1024, or the device is not here.
    """
    check_count("--threads", threads)
    num_devices = config.training.devices_per_trial
    begun_on = folder.load_facts().device if folder and folder.has_begun else ""
    chosen = choose_devices(device, begun_on, most=num_devices)
    check_devices(chosen, num_devices)
    return EngineSettings(
        device=chosen.kind,
        devices=chosen.devices,
        devices_per_trial=num_devices,
        device_note=chosen.note,
        threads=threads or max(1, num_cores() // num_devices),
    )


def train_run(
    config: StudyConfig,
    folder: RunFolder,
    *,
    seed: int,
    settings: EngineSettings,
    observer: RunObserver,
    stop: StopRequest | None = None,
    accepts_code: bool = False,
) -> RunReport:
    """Train one configuration to its end. Continue the run if its folder exists.

    Args:
        config: A study of one configuration, from `production.one_configuration.fix_settings`.
        folder: The folder of the run, which is created if it does not exist.
        seed: Seed of weights, batch order and augmentation.
        settings: Device and threads. A run that has begun keeps its own number of threads.
        observer: Receives every epoch.
        stop: Listens for requests to stop; by default the program ends after one.
        accepts_code: Whether a run continues although the user's code changed since it began.

    Raises:
        UsageError: The folder contains a run with other settings, seed, data, device or code.
        StudyLockedError: Another process trains this run.
        InterruptedStudyError: A stop was requested. Calling again continues the run.
        BakeoffError: The run failed, or data, model or folder are unusable.
    """
    check_output(folder.path)
    check_packages(config)
    if folder.has_begun:
        _check_unchanged(folder, config, seed, settings.device)
        done = folder.load_result()
        if done is not None:
            shutil.rmtree(folder.checkpoints, ignore_errors=True)  # a kill may have left them
            return RunReport(folder=folder, config=config, result=done, was_finished=True)
        _check_code(folder.load_facts(), observer, accepts_code=accepts_code)
        settings = replace(settings, threads=folder.load_facts().threads)
        if changed := changed_device(folder.load_facts().environment, settings):
            observer.note(changed)
    if settings.device_note:
        observer.note(settings.device_note)
    summary = check_data(config)
    stop = stop or StopRequest()
    with stop.listening(), open_engine(settings) as engine:
        measured = None
        if not folder.has_begun:
            probed = probe(config, engine, stop)
            measured = RunFacts(
                seed=seed,
                precision=probed.precision,
                threads=settings.threads,
                device=settings.device,
                data_fingerprint=summary.fingerprint,
                num_targets=summary.num_targets,
                environment=describe_environment(settings, probed),
            )
        with _locked(folder):
            if measured is not None and not folder.has_begun:
                folder.begin(config, measured)
            facts = folder.load_facts()
            advice = "begin another run with --name"
            check_same_data("run", facts.data_fingerprint, summary, advice)
            study_folder = folder.path.parents[1]
            with closing(build_tracking(config, study_folder, observer.note)) as tracking:
                result = _train(config, facts, folder, engine, stop, observer, tracking)
    shutil.rmtree(folder.checkpoints, ignore_errors=True)
    return RunReport(folder=folder, config=config, result=result, was_finished=False)


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


def _check_code(facts: RunFacts, observer: RunObserver, *, accepts_code: bool) -> None:
    """Refuse the user's code if it changed since the run began, or say so where that is accepted.

    Raises:
        UsageError: A file differs or is gone; the message names the files.
    """
    code = stored_code(facts.environment)
    if not accepts_code:
        check_same_code("run", facts.environment, code)
    elif changed := changed_code(facts.environment, code):
        observer.note(f"continued with code that changed since the run began: {', '.join(changed)}")


@contextmanager
def _locked(folder: RunFolder) -> Iterator[None]:
    """Lock the run for this process. The system releases the lock if the process dies."""
    folder.path.mkdir(parents=True, exist_ok=True)
    try:
        with hold_lock(folder.path / ".lock", str(os.getpid())):
            yield
    except LockHeldError as held:
        raise StudyLockedError(
            f"{folder.path} is already being trained by process {str(held) or 'unknown'}"
        ) from None


def _train(
    config: StudyConfig,
    facts: RunFacts,
    folder: RunFolder,
    engine: Engine,
    stop: StopRequest,
    observer: RunObserver,
    tracking: Tracking,
) -> RunResult:
    """Train to the end. Store every epoch and the result in the folder."""
    name, tracked_name = folder.path.name, f"train-{folder.path.name}"
    values = {**params_of(config), "seed": facts.seed}
    job = _job_of(config, facts, folder)
    log = EpochLog(folder.log)
    history: list[EpochResult] = []
    attempt = 1
    tracking.begin(tracked_name, values)
    note_pause = partial(observer.note, "pausing after this step; Ctrl-C again stops at once")
    for event in follow(engine, stop, job, on_pause=note_pause):
        match event:
            case Epoch():
                history.append(event.result)
                tracking.epoch(tracked_name, event.result)
                is_new = log.add(event.result)
                attempt = 1 if is_new else attempt
                observer.epoch(event.result, is_new=is_new)
            case Died():
                if attempt >= MAX_ATTEMPTS:
                    raise BakeoffError(
                        f"run {name!r}: {event.reason}, {attempt} times without a new epoch;"
                        " the same command tries again"
                    )
                observer.note(f"{event.reason}; continuing from the checkpoint")
                attempt += 1
                history.clear()  # the new worker sends all epochs again
                tracking.begin(tracked_name, values)
            case Failed():
                raise BakeoffError(f"run {name!r} failed: {event.reason}")
            case Halted():
                raise StorageError(
                    f"{event.reason}; when this is mended, the same command continues"
                )
            case Finished():
                _take_weights(job, folder)
                result = _result(job.config, event, history, log.differs_from)
                score = result.validation_metrics.get(config.objective)
                tracking.end(tracked_name, event.outcome, scores_of(score, event.test_metrics))
    folder.finish(result)
    return result


def _job_of(config: StudyConfig, facts: RunFacts, folder: RunFolder) -> Job:
    return Job(
        run=folder.path.name,
        config=trial_config(config, facts.precision, facts.seed, facts.weights_sha256),
        checkpoints=str(folder.checkpoints),
        reads_test=True,
        keeps_weights=True,
    )


def _take_weights(job: Job, folder: RunFolder) -> None:
    """Move the weights of the finished run from its checkpoints into its folder.

    Raises:
        StorageError: That is impossible; the same command tries again.
    """
    try:
        take_weights(open_store(job.checkpoints), job.attempt, job.run, folder.weights)
    except (OSError, ValueError) as error:
        raise StorageError(f"{folder.weights}: the weights cannot be stored ({error})") from error


def _result(
    config: TrialConfig, event: Finished, history: list[EpochResult], differs_from: int | None
) -> RunResult:
    metric = metric_info(config.objective, config)
    scored = scored_epoch(history, metric, config.score_rule)
    note = f"resumed, not bit-identical from epoch {differs_from}"
    return RunResult(
        outcome=event.outcome,
        scored_epoch=None if scored is None else scored.epoch,
        validation_metrics={} if scored is None else scored.metrics,
        test_metrics=event.test_metrics,
        confusion=() if scored is None else scored.confusion,
        note="" if differs_from is None else note,
    )


def trial_config(
    config: StudyConfig, precision: str, seed: int, weights_sha256: str = ""
) -> TrialConfig:
    """The training run of a study of one configuration, in a precision that was measured.

    With `weights_sha256` its pretrained weights must have this hash.
    """
    training = replace(config.training, precision=cast("Precision", precision))
    trial = build_trial_config(replace(config, training=training), params_of(config), seed)
    return replace(trial, weights_sha256=weights_sha256)
