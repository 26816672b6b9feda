"""Gives an engine's workers stacks of runs that can train as one, instead of single runs.

For the driver every run stays a run of its own: it is submitted by itself, and its events name it.
A run that has lost a worker is trained alone from then on, because it may be the one that ended
its companions' worker.
"""

import json
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count

from bakeoff.engines.protocol import (
    Died,
    Engine,
    Epoch,
    Event,
    Failed,
    Job,
    Join,
    MemberReply,
    Members,
    Paused,
    Reply,
    Stack,
    Stacked,
    Started,
    Task,
)
from bakeoff.records import as_plain
from bakeoff.training.stack.key import shared_settings

MAX_WIDTH = 16
"""Runs in a stack, at most. Twice as many gain 5 % more at best, and hold twice the memory."""


@dataclass(kw_only=True)
class _Running:
    """A stack that a worker trains."""

    name: str
    key: str
    jobs: dict[str, Job]
    """Its runs that have not ended."""
    started: Started | None = None
    """Where it trains, if its engine says so."""
    is_suspended: bool = False

    def has_place(self, width: int) -> bool:
        """Whether another run may join it. One whose last run has ended frees its worker."""
        return 0 < len(self.jobs) < width and not self.is_suspended


class StackEngine:
    """An engine whose workers have room for `width` runs each.

    Runs that can train in the same stack take the places of those that have ended, in the order in
    which they were submitted. A run that needs a worker of its own holds back those behind it until
    it has one. Runs that cannot be stacked are given to the workers one by one.

    Args:
        engine: Trains the stacks.
        width: Runs in a stack, at most.
    """

    def __init__(self, engine: Engine, width: int = MAX_WIDTH) -> None:
        self._engine = engine
        self._width = width
        self._queued: deque[Job] = deque()
        """Runs that were submitted and have no worker yet, because stacks are formed of many."""
        self._stacks: dict[str, _Running] = {}
        self._own_events: list[Event] = []
        """Events of runs in the queue or on their way to a stack, of which no worker knows."""
        self._numbers = count(1)

    @property
    def num_free(self) -> int:
        """Number of jobs that can be submitted now."""
        stacks = [one for one in self._stacks.values() if one.has_place(self._width)]
        places = sum(self._width - len(one.jobs) for one in stacks)
        return max(0, self._width * self._num_free_workers + places - len(self._queued))

    @property
    def _num_free_workers(self) -> int:
        """Workers that are free now, or will be at once because their last run has ended."""
        return self._engine.num_free + sum(not one.jobs for one in self._stacks.values())

    def submit(self, job: Task) -> None:
        """Let a run wait until others that are submitted at the same time can join it.

        Raises:
            ValueError: No worker is free.
        """
        if self.num_free < 1:
            raise ValueError(f"no worker is free for {job.run}")
        if isinstance(job, Job):
            self._queued.append(job)
        else:
            self._engine.submit(job)

    def events(self, timeout: float) -> Sequence[Event]:
        """New events. Waits at most `timeout` seconds for the first one."""
        self._start()
        self._refill()
        ended, self._own_events = self._own_events, []
        found = self._engine.events(0.0 if ended else timeout)
        return [*ended, *(own for event in found for own in self._of_runs(event))]

    def _start(self) -> None:
        """Give the queued runs to the free workers, an equal share to each of them."""
        while self._queued and self._engine.num_free > 0:
            first = self._queued[0]
            key = _key(first)
            if key is None:
                self._engine.submit(self._queued.popleft())
                continue
            alike = [first] if first.has_lost_worker else [
                one for one in self._queued if not one.has_lost_worker and _key(one) == key
            ]  # fmt: skip
            jobs = alike[: min(self._width, -(-len(alike) // self._num_free_workers))]
            taken = {one.run: one for one in jobs}
            self._queued = deque(one for one in self._queued if one.run not in taken)
            name = f"stack-{next(self._numbers)}"
            # No run joins one that trains alone because it has lost a worker.
            key = "" if first.has_lost_worker else key
            self._stacks[name] = _Running(name=name, key=key, jobs=taken)
            self._engine.submit(Stack(run=name, jobs=tuple(jobs)))

    def _refill(self) -> None:
        """Let the first runs of the queue join stacks that have a place for them.

        They wait for a worker whose last run has just ended, because it has nothing else to do.
        """
        if not all(one.jobs for one in self._stacks.values()):
            return
        while self._queued and not self._queued[0].has_lost_worker:
            job = self._queued[0]
            key = _key(job)
            stacks = [
                one
                for one in self._stacks.values()
                if one.key == key and one.has_place(self._width)
            ]
            if not stacks:
                return
            stack = min(stacks, key=lambda one: len(one.jobs))
            stack.jobs[job.run] = self._queued.popleft()
            self._engine.reply(stack.name, Join(run=job.run, reply="continue", job=job))
            if stack.started is not None:
                self._own_events.append(replace(stack.started, run=job.run, attempt=job.attempt))

    def _of_runs(self, event: Event) -> Iterator[Event]:
        """The events of runs that an event of the workers stands for."""
        stack = self._stacks.get(event.run)
        if stack is None:
            yield event
            return
        jobs = stack.jobs
        match event:
            case Members():
                for own in event.events:
                    job = jobs[own.run] if isinstance(own, Epoch) else jobs.pop(own.run)
                    yield replace(own, attempt=job.attempt)
                return
            case Started():
                stack.started = event
                yield from (
                    replace(event, run=one.run, attempt=one.attempt) for one in [*jobs.values()]
                )
                return
            case Stacked() if not stack.is_suspended:  # those that are left came too late
                self._queued.extendleft(reversed(jobs.values()))
            case Paused() | Stacked():  # its worker is gone, or the study is being stopped
                yield from (Paused(run=one.run, attempt=one.attempt) for one in jobs.values())
            case Died(cause="worker", was_training=False) if jobs:  # one lost worker counts once
                first, *others = jobs.values()
                self._queued.extendleft(reversed(others))
                yield _died(first, event.reason, event)
            case Died():
                yield from (_died(job, event.reason, event) for job in jobs.values())
            case Failed():  # a member broke the worker for its companions
                yield from (_died(job, event.reason) for job in jobs.values())
            case _:
                pass
        del self._stacks[event.run]

    def reply(self, run: str, reply: Reply | MemberReply) -> None:
        """Answer an epoch that waits, or ask a run to stop, to pause, or to be suspended."""
        queued = next((one for one in self._queued if one.run == run), None)
        if queued is not None:
            self._queued.remove(queued)
            self._own_events.append(Paused(run=run, attempt=queued.attempt))
            return
        stack = self._stack_of(run)
        if stack is None:
            self._engine.reply(run, reply)
        elif reply == "suspend":
            if not stack.is_suspended:
                stack.is_suspended = True
                self._engine.reply(stack.name, reply)
        elif not isinstance(reply, MemberReply):
            self._engine.reply(stack.name, MemberReply(run=run, reply=reply))

    def kill(self, run: str) -> None:
        """Kill the worker of a run, and so of its companions, as a crash would."""
        stack = self._stack_of(run)
        self._engine.kill(run if stack is None else stack.name)

    def close(self) -> None:
        """Kill all workers. Their runs can be submitted again and resume from their checkpoints."""
        self._queued.clear()
        self._stacks.clear()
        self._engine.close()

    def _stack_of(self, run: str) -> _Running | None:
        return next((one for one in self._stacks.values() if run in one.jobs), None)


def _died(job: Job, reason: str, event: Died | None = None) -> Died:
    """That a run lost its worker, as `event` says of its stack."""
    if event is None:
        return Died(run=job.run, attempt=job.attempt, reason=reason)
    return replace(event, run=job.run, attempt=job.attempt)


def _key(job: Job) -> str | None:
    """Equal for runs that can train in one stack; None for one that trains alone.

    Runs that save every epoch are watched one by one, so they are not stacked.
    """
    shared = None if job.saves_every_epoch else shared_settings(job.config)
    return None if shared is None else json.dumps(as_plain(shared), sort_keys=True)
