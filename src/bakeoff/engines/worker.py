"""The code of a worker process, which receives jobs through a pipe and sends events back.

torch is imported after the process has been set up, because it reads the number of threads when it
is first imported.
"""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from multiprocessing.connection import Connection
from multiprocessing.sharedctypes import Synchronized
from typing import TYPE_CHECKING, cast

from bakeoff.child_process import ignore_interrupts
from bakeoff.engines.failures import describe_failure
from bakeoff.engines.kept_runs import keeps_weights
from bakeoff.engines.measurements import measure_probe, measure_profile
from bakeoff.engines.protocol import (
    Epoch,
    Event,
    Failed,
    Finished,
    Halted,
    Job,
    Paused,
    Probe,
    Profile,
    Reply,
    Stack,
    Task,
)
from bakeoff.engines.rank_group import (
    RankFailedError,
    RankGroup,
    RankJob,
    Sender,
    take_part,
    together,
)
from bakeoff.errors import HALTING
from bakeoff.garbage import keep_until_exit, without_collection
from bakeoff.own_source import look_in, own_folders
from bakeoff.records import EpochResult, Outcome
from bakeoff.terminal import plain_streams

if TYPE_CHECKING:
    from bakeoff.training.checkpoint import Checkpoints
    from bakeoff.training.rank_checkpoints import Saving
    from bakeoff.training.ranks import Ranks
    from bakeoff.training.stack.loop import StackedTraining

PULSE_SECONDS = 0.5
PULSE_UNIT = 1 << 50
"""Progress is sent as a multiple of 1 / this, plus the number of evaluated batches, so that every
step and every evaluated batch changes it."""


@dataclass(frozen=True, kw_only=True)
class WorkerSettings:
    """How to set up a worker process."""

    threads: int
    device: str
    """What torch calls the worker's device, the first one if it has several."""
    devices_per_trial: int
    """As many processes train a run; the others start with the worker."""
    device_label: str
    """What the user calls it."""
    environment: Mapping[str, str]
    """Variables that are set before torch is imported, such as the one that names the device."""
    memory_share: float
    """Share of the device's memory that the worker may use; 1 if it shares it with no other."""
    import_path: tuple[str, ...]
    study_folder: str
    """Where the study's modules are looked for before the current folder; see `own_source`."""
    parent: int
    """Process id of the driver. The worker dies with it."""


@dataclass(frozen=True, kw_only=True)
class Signals:
    """Memory that the driver shares with one worker."""

    pulse: "Synchronized[int]"
    """Shows the progress of the run, so that the driver can tell a hung run from a slow one."""
    evaluating: "Synchronized[int]"
    """1 while a batch is being evaluated."""
    suspend: "Synchronized[int]"
    """1 asks the run to be suspended after the step in progress."""


@dataclass(frozen=True, kw_only=True)
class Unusable:
    """Sent to the engine in place of a run's last event: the worker's device cannot be used."""

    reason: str


def work(connection: Connection, signals: Signals, settings: WorkerSettings) -> None:
    """Serve jobs until the pipe is closed.

    Args:
        connection: Receives jobs and replies, sends events.
        signals: Memory that is shared with the driver.
        settings: Threads, device and import path.
    """
    sender = Sender(connection)
    group = RankGroup(assist, (replace(settings, parent=os.getpid()),), sender)
    _end_with_driver(settings)
    group.start(settings.devices_per_trial)
    _set_up(settings)
    with plain_streams(), suppress(_DriverGoneError):
        while True:
            with _talking_to_driver():
                job = connection.recv()
            if isinstance(job, (Job, Stack, Probe, Profile)):
                _run(sender, signals, job, settings, group)
            # any other message is a reply that arrived after its run had ended


def assist(connection: Connection, settings: WorkerSettings) -> None:
    """Train as another rank of a worker's runs until the worker ends, or one of them fails here.

    Args:
        connection: Receives a `RankJob` and sends None when its run has ended, or how it failed.
        settings: As the worker's, which is the parent.
    """
    _end_with_driver(settings)
    _set_up(settings)
    with plain_streams(), suppress(EOFError, OSError):
        while True:
            order: RankJob = connection.recv()
            try:
                take_part(order, settings.device, settings.device_label, settings.memory_share)
            except Exception as error:  # noqa: BLE001 - the user's model may raise anything
                failed = describe_failure(order.job.run, error)
                connection.send(replace(failed, attempt=order.job.attempt))
                os._exit(1)  # at once, so that the other ranks do not wait for this one
            connection.send(None)


class _DriverGoneError(BaseException):
    """The pipe to the driver is closed. It cannot be confused with an error of the user's code."""


@contextmanager
def _talking_to_driver() -> Iterator[None]:
    try:
        yield
    except (EOFError, OSError):
        raise _DriverGoneError from None


def _end_with_driver(settings: WorkerSettings) -> None:
    ignore_interrupts(settings.parent)
    # The driver starts this process as a daemon, so that it ends with the driver. A daemon may not
    # have children, but this process may start ones that load data, and these end with it too.
    multiprocessing.current_process().daemon = False
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _set_up(settings: WorkerSettings) -> None:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(settings.threads)
    os.environ.update(settings.environment)
    look_in(settings.study_folder)
    sys.path += [entry for entry in settings.import_path if entry not in sys.path]
    with without_collection():
        import torch

        from bakeoff.training.kept_splits import KEPT_SPLITS
        from bakeoff.training.quick_dropout import draw_quickly
        from bakeoff.training.uncompiled import leave_compiler_out
    keep_until_exit()
    torch.set_num_threads(settings.threads)
    leave_compiler_out()
    draw_quickly()
    KEPT_SPLITS.is_on = True


def _run(
    sender: Sender, signals: Signals, job: Task, settings: WorkerSettings, group: RankGroup
) -> None:
    """Run one job and send its last event, whatever happens."""
    from bakeoff.training.device import DeviceError, open_device, release_memory

    device = settings.device
    try:
        open_device(device, settings.device_label, settings.memory_share)
        if isinstance(job, Probe):
            event: Event = measure_probe(job, device, group)
        elif isinstance(job, Profile):
            event = measure_profile(job, device)
        elif isinstance(job, Stack):
            event = _train_stack(sender, signals, job, device, group)
        elif job.config.training.loop is not None:
            event = _train_own(sender, signals, job, device, group)
        else:
            event = _train(sender, signals, job, device, group)
    except DeviceError as error:
        if isinstance(job, Job):  # which is not to blame, and may train on another device
            with _talking_to_driver():
                sender.send(Unusable(reason=str(error)))
            return
        event = Failed(run=job.run, outcome="failed", reason=str(error), breaks_worker=True)
    except HALTING as error:
        event = Halted(run=job.run, reason=str(error))
    except Exception as error:  # noqa: BLE001 - the user's model may raise anything
        event = _failure_of(job, error)
    if not (isinstance(event, Failed) and event.breaks_worker):
        release_memory(device)
    with _talking_to_driver():
        sender.send(replace(event, attempt=job.attempt))


def _failure_of(job: Task, error: Exception) -> Failed:
    """How a run ended, in which this process or another one of its ranks raised `error`."""
    if isinstance(error, RankFailedError):
        failed = error.failed
    else:
        failed = describe_failure(job.run, error)
    # A worker that has left its ranks like this still belongs to their group.
    has_ranks = not isinstance(job, Stack) and job.config.training.devices_per_trial > 1
    breaks_worker = failed.breaks_worker or has_ranks
    return replace(failed, breaks_worker=breaks_worker)


def _train(sender: Sender, signals: Signals, job: Job, device: str, group: RankGroup) -> Event:
    from bakeoff.training.evaluation import Tested
    from bakeoff.training.loading import describe_loading
    from bakeoff.training.loop import prepare, read_test, train
    from bakeoff.training.weights import weights_file

    outcome: Outcome = "complete"
    with together(group, job, device) as ranks:
        state = prepare(job.config, device, ranks)
        checkpoints = _shared_checkpoints(job, ranks)

        def progress() -> tuple[int, bool]:
            made = int(PULSE_UNIT * state.schedule.progress)
            return made + state.num_evaluated, state.is_evaluating

        with _pulsing(signals, progress, checkpoints):
            for result in train(state, checkpoints):
                reply = ranks.share(_send_epoch(sender, job, result))
                if reply == "pause":
                    checkpoints.save(state)
                    return Paused(run=job.run)
                if reply == "stop":
                    return Finished(run=job.run, outcome="pruned", test_metrics={})
                outcome = "diverged" if result.status == "diverged" else "complete"
            if not state.is_over:
                return Paused(run=job.run)  # it was suspended within an epoch
            tested = read_test(state) if job.reads_test and outcome == "complete" else Tested({})
            if outcome == "complete" and keeps_weights(job, state):
                checkpoints.keep_weights(weights_file(state))
    return Finished(
        run=job.run,
        outcome=outcome,
        test_metrics=tested.metrics,
        test_without=tested.without,
        loading=describe_loading(state.splits.train.inputs),
    )


def _train_stack(
    sender: Sender, signals: Signals, stack: Stack, device: str, group: RankGroup
) -> Event:
    from bakeoff.engines.stack_worker import StackWorker, Tools

    tools = Tools(
        checkpoints=_checkpoints,
        train_alone=lambda link, job: _train(cast("Sender", link), signals, job, device, group),
        describe_failure=describe_failure,
        pulsing=partial(_pulsing, signals),
        talking_to_driver=_talking_to_driver,
    )
    return StackWorker(sender.connection, stack, device, tools).run()


def _train_own(sender: Sender, signals: Signals, job: Job, device: str, group: RankGroup) -> Event:
    """Run a loop of the user's own, which has no steps that can be seen but its optimizers'."""
    from bakeoff.training.own_loop import OwnTraining
    from bakeoff.training.own_weights import tracked_file

    with together(group, job, device) as ranks:
        training = OwnTraining(job.config, device, wants_test=job.reads_test, ranks=ranks)
        checkpoints = _shared_checkpoints(job, ranks)
        # The loop does not say whether it is evaluating, so it always gets the patience for that.
        with _pulsing(signals, lambda: (training.state.num_steps, True), checkpoints):
            reply = training.train(
                checkpoints, lambda result: ranks.share(_send_epoch(sender, job, result))
            )
    if reply == "pause":
        return Paused(run=job.run)
    if reply == "stop":
        return Finished(run=job.run, outcome="pruned", test_metrics={})
    if training.outcome == "complete" and keeps_weights(job, training.state):
        tracked = tracked_file(training.state)
        if tracked is not None:
            checkpoints.keep_weights(tracked)
    return Finished(run=job.run, outcome=training.outcome, test_metrics=training.test_metrics)


def _shared_checkpoints(job: Job, ranks: "Ranks") -> "Saving":
    from bakeoff.training.rank_checkpoints import RankCheckpoints

    return _checkpoints(job) if ranks.is_alone else RankCheckpoints(_checkpoints(job), ranks)


def _checkpoints(job: Job) -> "Checkpoints":
    from bakeoff.training.checkpoint import MAX_SAVE_SHARE, Checkpoints

    share = inf if job.saves_every_epoch else MAX_SAVE_SHARE
    return Checkpoints(
        job.checkpoints, job.identity or job.run, attempt=job.attempt, max_share=share
    )


def _send_epoch(sender: Sender, job: Job, result: EpochResult) -> Reply:
    """Send the epoch and return the driver's reply, waiting for it where a decision is needed."""
    waits = result.epoch in job.decision_epochs and result.status == "running"
    reply: Reply = "continue"
    with _talking_to_driver():
        sender.send(Epoch(run=job.run, attempt=job.attempt, result=result, waits=waits))
        connection = sender.connection
        if waits:
            reply = connection.recv()
        while connection.poll():
            later: Reply = connection.recv()
            reply = later if reply == "continue" else reply
    return reply if result.status == "running" else "continue"


@contextmanager
def _pulsing(
    signals: Signals,
    progress: Callable[[], tuple[int, bool]],
    checkpoints: "Saving | StackedTraining",
) -> Iterator[None]:
    """Show the progress of the run, and pass on the request to suspend it, in a thread.

    `progress` says how far the run is, and whether a batch is being evaluated.
    """
    ended = threading.Event()
    signals.pulse.value = 0

    def beat() -> None:
        while not ended.wait(PULSE_SECONDS):
            signals.pulse.value, signals.evaluating.value = progress()
            if signals.suspend.value:
                checkpoints.suspend()

    threading.Thread(target=beat, daemon=True).start()
    try:
        yield
    finally:
        ended.set()


def import_path() -> Sequence[str]:
    """Where Python looks for what the user's modules import: the driver's path, then their folders.

    Their folders come last, so that a file in them never hides a module of a library.
    """
    return tuple(dict.fromkeys((*(entry for entry in sys.path if entry), *own_folders())))
