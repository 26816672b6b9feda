"""The part of a worker that trains a stack, and reports for each of its runs."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection

from bakeoff.engines.kept_runs import keeps_weights, signed_score
from bakeoff.engines.protocol import (
    Epoch,
    Event,
    Failed,
    Finished,
    Halted,
    Job,
    Join,
    MemberEvent,
    MemberReply,
    Members,
    Paused,
    Reply,
    Stack,
    Stacked,
)
from bakeoff.errors import HALTING
from bakeoff.records import EpochResult
from bakeoff.training.checkpoint import Checkpoints
from bakeoff.training.evaluation import Tested, read_test
from bakeoff.training.stack.layers import NotStackableError
from bakeoff.training.stack.loop import StackedTraining
from bakeoff.training.stack.member import Member, prepare_member
from bakeoff.training.stack.own_model import check_own_model
from bakeoff.training.weights import weights_file


@dataclass(frozen=True, kw_only=True)
class Tools:
    """What a worker does in the same way for single runs."""

    checkpoints: Callable[[Job], Checkpoints]
    train_alone: Callable[["Link", Job], Event]
    """Trains a run that cannot be stacked, and returns its last event."""
    describe_failure: Callable[[str, Exception], Failed]
    pulsing: Callable[
        [Callable[[], tuple[int, bool]], StackedTraining], AbstractContextManager[None]
    ]
    """Shows progress while runs train, and passes on the request to suspend them."""
    talking_to_driver: Callable[[], AbstractContextManager[None]]


class _BrokenWorkerError(Exception):
    """An error after which this process cannot train: the driver shall replace it."""

    def __init__(self, event: Failed) -> None:
        super().__init__(event.reason)
        self.event = event


class StackWorker:
    """Trains the runs of a stack.

    Those that cannot train with the first one, such as own models that calculate something else at
    another dropout rate, are a stack of their own after it. So what a run computes does not depend
    on its companions. If a stack fails, its runs train in two smaller ones, and in the end alone
    and without one. A run that is begun again so does not report its epochs again.

    Args:
        connection: To the driver.
        stack: The runs.
        device: Where they train.
        tools: What a worker does for single runs too.
    """

    def __init__(self, connection: Connection, stack: Stack, device: str, tools: Tools) -> None:
        self._connection = connection
        self._name = stack.run
        self._device = device
        self._tools = tools
        self._left = {job.run: job for job in stack.jobs}
        """The runs that have not ended."""
        self._reported = dict.fromkeys(self._left, 0)
        """The last epoch that each run has reported."""
        self._replies: dict[str, Reply] = {}
        """Replies that have arrived, by run; those to all of them under the stack's name."""
        self._joining: list[Job] = []
        """Runs that have come later and have not begun to train."""
        self._apart: list[Job] = []
        """Runs that could not be prepared beside the others, and those that came after them. They
        begin when the stack in training has ended."""
        self._num_tested = 0
        """Runs whose test scores were read, as a sign of life."""

    def run(self) -> Event:
        """Train all runs, and return the stack's last event."""
        try:
            jobs = list(self._left.values())
            while jobs:
                self._train(jobs)
                jobs = self._take_apart() or self._take_joining()
        except _BrokenWorkerError as error:
            return replace(error.event, run=self._name)
        return Stacked(run=self._name)

    def _take_joining(self) -> list[Job]:
        """The runs that have come since the last call; none once all have to pause."""
        self._receive(set())
        jobs, self._joining = self._joining, []
        return self._unless_paused(jobs)

    def _take_apart(self) -> list[Job]:
        """The runs that were not prepared beside others; none once all have to pause."""
        self._receive(set())
        jobs, self._apart = self._apart, []
        return self._unless_paused(jobs)

    def _unless_paused(self, jobs: list[Job]) -> list[Job]:
        if self._name in self._replies:
            self._end(*(Paused(run=job.run) for job in jobs))
            return []
        return jobs

    def _train(self, jobs: list[Job]) -> None:
        """Train some runs together, or as nearly so as possible; `jobs` gets those that join."""
        try:
            self._train_together(jobs)
        except HALTING as error:
            self._end(*(Halted(run=job.run, reason=str(error)) for job in self._unfinished(jobs)))
        except NotStackableError:
            self._train_parts(self._unfinished(jobs))
        except Exception as error:
            failure = self._tools.describe_failure(self._name, error)
            if failure.breaks_worker:
                raise _BrokenWorkerError(failure) from error
            self._train_parts(self._unfinished(jobs))

    def _train_parts(self, jobs: list[Job]) -> None:
        """Train each half of some runs that failed together; a single one trains without a stack.

        If that fails too, the run has failed. An error that only a stack raises costs no run.
        """
        if len(jobs) == 1:
            self._train_alone(jobs[0])
            return
        half = len(jobs) // 2
        for part in (jobs[:half], jobs[half:]):
            self._train(part)

    def _unfinished(self, jobs: Sequence[Job]) -> list[Job]:
        return [job for job in jobs if job.run in self._left]

    def _train_together(self, jobs: list[Job]) -> None:
        training = StackedTraining()
        members: dict[int, Job] = {}
        for job in [*jobs]:
            try:
                self._join(training, members, job)
            except NotStackableError:
                if not members:
                    self._train_alone(job)
                else:
                    jobs.remove(job)
                    self._apart.append(job)

        def progress() -> tuple[int, bool]:
            return training.num_steps + self._num_tested, training.is_evaluating

        with self._tools.pulsing(progress, training):
            for results in training.train():
                self._handle(training, [(members[id(one)], one, own) for one, own in results])
                late = self._take_joining()
                jobs += [job for job in late if self._can_join(training, members, job)]
        left = [members[id(one)] for one in training.members]
        self._end(*(Paused(run=job.run) for job in left))  # they were suspended

    def _join(self, training: StackedTraining, members: dict[int, Job], job: Job) -> None:
        """Prepare a run and let it train with the others.

        Raises:
            NotStackableError: It cannot train with them.
        """
        first = training.members[0].state.model if training.members else None
        check_own_model(job.config, self._device, first)
        member = prepare_member(job.config, self._device, self._tools.checkpoints(job))
        members[id(member)] = job
        training.join(member)

    def _can_join(self, training: StackedTraining, members: dict[int, Job], job: Job) -> bool:
        """Prepare a run that has come later. If it fails, its companions are not trained anew.

        Where a run waits for the end of the stack, those that come after it wait, too.
        """
        if self._apart:
            self._apart.append(job)
            return False
        try:
            self._join(training, members, job)
        except HALTING:
            raise
        except Exception as error:
            failure = self._tools.describe_failure(self._name, error)
            if failure.breaks_worker:
                raise _BrokenWorkerError(failure) from error
            self._apart.append(job)
            return False
        return True

    def _handle(
        self, training: StackedTraining, results: Sequence[tuple[Job, Member, EpochResult]]
    ) -> None:
        """Report an epoch of some runs, and do what the driver replies.

        All ends are reported together, so that the driver stores them together or not at all. If it
        has lost a run's end, it has lost those of its rivals too, of which only the best has stored
        its weights.
        """
        news = [
            Epoch(run=job.run, result=own, waits=_waits(job, own))
            for job, _, own in results
            if own.epoch > self._reported[job.run]
        ]
        self._reported |= {one.run: one.result.epoch for one in news}
        self._send(news)
        self._receive({one.run for one in news if one.waits})
        ends: list[MemberEvent] = self._finish(training, results)
        for job, member, result in results:
            reply = self._replies.pop(job.run, None) or self._replies.get(self._name)
            if result.status == "running" and reply in ("stop", "pause"):
                if reply == "pause":
                    training.save(member)
                training.leave(member)
                ends.append(
                    Paused(run=job.run)
                    if reply == "pause"
                    else Finished(run=job.run, outcome="pruned", test_metrics={})
                )
        self._end(*ends)

    def _finish(
        self, training: StackedTraining, results: Sequence[tuple[Job, Member, EpochResult]]
    ) -> list[MemberEvent]:
        """Read the test scores of the runs that have ended by themselves, and store weights."""
        ended = [(job, one) for job, one, result in results if result.status != "running"]
        complete = [(job, one) for job, one in ended if not one.has_diverged]
        training.is_evaluating = bool(complete)
        for member in winners(complete):
            if member.checkpoints is not None:
                member.checkpoints.keep_weights(weights_file(member.state))
        found: list[MemberEvent] = [self._finished(job, member) for job, member in ended]
        training.is_evaluating = False
        return found

    def _finished(self, job: Job, member: Member) -> Finished:
        """The end of a run that was not stopped."""
        self._num_tested += 1
        if member.has_diverged:
            return Finished(run=job.run, outcome="diverged", test_metrics={})
        tested = read_test(member.state) if job.reads_test else Tested({})
        return Finished(
            run=job.run,
            outcome="complete",
            test_metrics=tested.metrics,
            test_without=tested.without,
        )

    def _train_alone(self, job: Job) -> None:
        """Train a run that cannot be stacked, in the same way as without stacks."""
        try:
            event = self._tools.train_alone(Link(self, job), job)
        except HALTING as error:
            event = Halted(run=job.run, reason=str(error))
        except Exception as error:  # noqa: BLE001 - as above
            event = self._tools.describe_failure(job.run, error)
        if isinstance(event, Failed) and event.breaks_worker:
            raise _BrokenWorkerError(event)
        assert isinstance(event, Finished | Paused | Failed | Halted)  # noqa: S101 - it has ended
        self._end(event)

    def _end(self, *events: MemberEvent) -> None:
        for event in events:
            self._left.pop(event.run)
        self._send(events)

    def _send(self, events: Sequence[MemberEvent]) -> None:
        if events:
            with self._tools.talking_to_driver():
                self._connection.send(Members(run=self._name, events=tuple(events)))

    def _receive(self, wanted: set[str]) -> None:
        """Take the replies that have arrived, and wait for those that are `wanted`."""
        with self._tools.talking_to_driver():
            while self._connection.poll() or not self._has(wanted):
                message: MemberReply | Reply = self._connection.recv()
                if isinstance(message, Join):
                    self._left[message.run] = message.job
                    self._reported[message.run] = 0
                    self._joining.append(message.job)
                elif isinstance(message, MemberReply):
                    self._replies.setdefault(message.run, message.reply)
                elif message != "continue":
                    self._replies[self._name] = message

    def _has(self, runs: set[str]) -> bool:
        return self._name in self._replies or runs <= self._replies.keys()

    def report_alone(self, event: Epoch) -> bool:
        """Report an epoch of a run that trains alone; False if it was reported and answered before.

        The run has trained in a stack then, and has begun again.
        """
        if event.result.epoch <= self._reported[event.run]:
            return False
        self._reported[event.run] = event.result.epoch
        self._send([event])
        return True

    def take_replies(self, run: str, *, waits: bool) -> tuple[Reply | None, Reply | None]:
        """The replies to a run that trains alone and to all runs; None where there is none."""
        self._receive({run} if waits else set())
        return self._replies.pop(run, None), self._replies.get(self._name)


class Link:
    """The connection of a run that trains alone in a stack's worker."""

    def __init__(self, worker: StackWorker, job: Job) -> None:
        self._worker = worker
        self._job = job
        self._next: Reply | None = None
        self._is_told = False
        """Whether the run has received a reply to the whole stack, which it is given once."""
        self._is_new = True
        """Whether the last epoch was reported for the first time, so that a reply to it comes."""
        self.connection = self
        """Where replies are read."""

    def send(self, event: Epoch) -> None:
        """Report an epoch."""
        self._is_new = self._worker.report_alone(event)

    def poll(self) -> bool:
        """Whether a reply has arrived."""
        self._take(waits=False)
        return self._next is not None

    def recv(self) -> Reply:
        """Wait for the next reply; an epoch that was answered before lets the run continue."""
        self._take(waits=self._is_new)
        found, self._next = self._next, None
        return found or "continue"

    def _take(self, *, waits: bool) -> None:
        if self._next is not None:
            return
        own, general = self._worker.take_replies(self._job.run, waits=waits)
        if own is None and not self._is_told:
            own, self._is_told = general, general is not None
        self._next = own


def _waits(job: Job, result: EpochResult) -> bool:
    return result.epoch in job.decision_epochs and result.status == "running"


def winners(complete: Sequence[tuple[Job, Member]]) -> list[Member]:
    """The runs whose weights are stored, of those that are complete: the best of all rivals."""
    best: dict[str, float] = {}
    for job, member in complete:
        score = signed_score(member.state)
        if job.keeps_weights and job.rivals and score is not None:
            best[job.rivals] = max(score, best.get(job.rivals, score))
    return [
        member
        for job, member in complete
        if keeps_weights(job, member.state)
        and (job.rivals not in best or signed_score(member.state) == best[job.rivals])
    ]
