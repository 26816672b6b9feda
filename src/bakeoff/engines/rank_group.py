"""The other processes of a run that several devices train: started, watched and ended by a worker.

The worker is rank 0 of the run. The others are its children. They get the same job, and each sends
one report when it is done with it.
"""

import multiprocessing
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bakeoff.child_process import without_main_module
from bakeoff.engines.protocol import Died, Failed, Job, Probe

if TYPE_CHECKING:
    from bakeoff.training.ranks import Ranks

GRACE_SECONDS = 5.0
"""How long rank 0 may take to notice that another rank failed, before its process is ended."""
END_SECONDS = 10.0
"""How long the others may take to end a run after rank 0 has."""
POLL_SECONDS = 0.2
LOST_CODE = 75
"""Exit code of a worker whose run lost another process."""


@dataclass(frozen=True, kw_only=True)
class RankJob:
    """One run, or the first step of one, for one of its ranks."""

    job: Job | Probe
    rank: int
    size: int
    store: str
    """The file by which the ranks find each other."""


@dataclass(frozen=True)
class _Rank:
    process: BaseProcess
    connection: Connection


class Sender:
    """The connection to the driver, of which one thread at a time sends."""

    def __init__(self, connection: Connection) -> None:
        self._lock = threading.Lock()
        self.connection = connection

    def send(self, event: object) -> None:
        """Send a message."""
        with self._lock:
            self.connection.send(event)

    def send_last(self, event: object) -> None:
        """Send a message after which this process ends, whether the driver is there or not."""
        with suppress(OSError):
            self.send(event)


class RankGroup:
    """The other ranks of the runs of one worker, which outlive a run that ends well.

    Args:
        target: What each process runs: a function of its connection and of `arguments`.
        arguments: Passed to `target`.
        sender: Sends the event that ends the run if another rank is lost, or failed while rank 0
            waits for it. Rank 0's process ends then.
    """

    def __init__(
        self, target: Callable[..., None], arguments: tuple[Any, ...], sender: Sender
    ) -> None:
        self._target, self._arguments, self._sender = target, arguments, sender
        self._ranks: list[_Rank] = []
        self._folder: Path | None = None
        self._watch: threading.Thread | None = None
        self._failed: Failed | None = None
        self._has_settled = threading.Event()
        """Set when a report of a failure has arrived, or all others are done."""
        self._is_explained = threading.Event()
        """Set when rank 0 knows of the failure, or has ended the run itself."""

    def begin(self, job: Job | Probe) -> str:
        """Give the other ranks a job; return the file by which all ranks find each other."""
        size = job.config.training.devices_per_trial
        self.start(size)
        self._folder = Path(tempfile.mkdtemp(prefix="bakeoff-ranks-"))
        store = str(self._folder / "store")
        self._failed = None
        self._has_settled.clear()
        self._is_explained.clear()
        used = dict(enumerate(self._ranks[: size - 1], 1))
        for rank, one in used.items():
            with suppress(OSError):  # a dead one is noticed by the watch
                one.connection.send(RankJob(job=job, rank=rank, size=size, store=store))
        self._watch = threading.Thread(target=self._follow, args=(job, used), daemon=True)
        self._watch.start()
        return store

    def start(self, size: int) -> None:
        """Start what a run of `size` ranks needs, so that it is ready sooner."""
        while len(self._ranks) < size - 1:
            self._ranks.append(self._start())

    def _start(self) -> _Rank:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(
            target=self._target, args=(theirs, *self._arguments), daemon=True, name="bakeoff-rank"
        )
        with without_main_module():
            process.start()
        theirs.close()
        return _Rank(process, ours)

    def _follow(self, job: Job | Probe, used: dict[int, _Rank]) -> None:
        """Wait for the reports of all other ranks, in a thread."""
        left = dict(used)
        while left and not self._is_explained.is_set():
            waited = [one.connection for one in left.values()]
            ready = wait([*waited, *(one.process.sentinel for one in left.values())], POLL_SECONDS)
            for rank, one in tuple(left.items()):
                if one.connection in ready or one.process.sentinel in ready:
                    try:
                        failed: Failed | None = one.connection.recv()
                    except (EOFError, OSError):
                        self._on_loss(job, rank, one.process)
                        return
                    del left[rank]
                    if failed is not None:
                        self._on_failure(failed)
                        return
        self._has_settled.set()

    def _on_failure(self, failed: Failed) -> None:
        self._failed = failed
        self._has_settled.set()
        if not self._is_explained.wait(GRACE_SECONDS):
            self._sender.send_last(failed)
            os._exit(LOST_CODE)

    def _on_loss(self, job: Job | Probe, rank: int, process: BaseProcess) -> None:
        if self._is_explained.is_set():
            return
        process.join(END_SECONDS)
        code = process.exitcode or 0
        how = f"ended by {signal.Signals(-code).name}" if code < 0 else f"exited with code {code}"
        reason = f"process {rank} of the run, on a device of its own, {how}"
        self._sender.send_last(Died(run=job.run, attempt=job.attempt, reason=reason))
        self._remove_folder()
        os._exit(LOST_CODE)

    def explain(self) -> Failed | None:
        """Why another rank failed, if one did or does so shortly.

        Call it when rank 0 cannot reach the others. If one of them was killed, this process ends.
        """
        self._has_settled.wait(GRACE_SECONDS)
        return self._failed

    def end(self) -> None:
        """Wait until the others have ended the run as rank 0 has; end those that have not."""
        if self._watch is not None:
            self._watch.join(END_SECONDS)
            if self._watch.is_alive():
                self.close()
        self._finish()

    def close(self) -> None:
        """End the other processes, whatever they do."""
        self._is_explained.set()
        for one in self._ranks:
            one.process.kill()
        for one in self._ranks:
            one.process.join(END_SECONDS)
            one.connection.close()
        self._ranks.clear()
        self._finish()

    def _finish(self) -> None:
        self._is_explained.set()
        self._watch = None
        self._remove_folder()

    def _remove_folder(self) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None


class RankFailedError(Exception):
    """Another rank of the run has failed, and rank 0 could only notice."""

    def __init__(self, failed: Failed) -> None:
        super().__init__(failed.reason)
        self.failed = failed


@contextmanager
def together(group: RankGroup, job: Job | Probe, device: str) -> "Iterator[Ranks]":
    """The ranks that train a run, of which this is the first; they have ended it afterwards.

    Raises:
        UsageError: The device is of another kind, or there are too few of them.
        RankFailedError: Another rank has failed.
    """
    from bakeoff.training.ranks import ALONE, device_of_rank, is_lost, join_ranks, leave_ranks

    size = job.config.training.devices_per_trial
    if size == 1:
        yield ALONE
        return
    place = device_of_rank(device, 0, size)
    store = group.begin(job)
    try:
        ranks = join_ranks(Path(store), 0, size, place)
        yield ranks
    except BaseException as error:
        failed = group.explain() if is_lost(error) else None
        group.close()
        if failed is not None:
            raise RankFailedError(failed) from error
        raise
    group.end()
    leave_ranks(ranks)


def take_part(order: RankJob, device: str, label: str, memory_share: float) -> None:
    """Take part in a run as one of its ranks but the first, until rank 0 ends it.

    Args:
        order: The run.
        device: Where rank 0 trains.
        label: What the user calls the devices.
        memory_share: Share of a device's memory that this process may use.

    Raises:
        Exception: Whatever preparing and training raise here.
    """
    from bakeoff.training.device import open_device
    from bakeoff.training.ranks import device_of_rank, is_lost, join_ranks, leave_ranks
    from bakeoff.training.together import follow_run, try_step

    job = order.job
    place = device_of_rank(device, order.rank, order.size)
    open_device(str(place), label, memory_share)
    try:
        ranks = join_ranks(Path(order.store), order.rank, order.size, place)
        if isinstance(job, Probe):
            try_step(job.config, ranks)
        else:
            follow_run(job.config, ranks, wants_test=job.reads_test)
    except Exception as error:
        if is_lost(error):
            time.sleep(GRACE_SECONDS)  # the worker ends this process, when it knows which failed
        raise
    leave_ranks(ranks)
