"""Trains the members of a stack, epoch by epoch.

    training = StackedTraining()
    training.join(prepare_member(config, device, checkpoints))
    for results in training.train():
        for member, result in results: ...

Members join and leave between epochs. What each computes is the same whoever trains beside it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import isfinite
from operator import mul
from time import perf_counter

import torch
from torch import Tensor

from bakeoff.records import EpochResult
from bakeoff.training.batches import num_drawn
from bakeoff.training.checkpoint import SECONDS_WITHIN_EPOCH
from bakeoff.training.evaluation import Measured
from bakeoff.training.stack.batches import stacked_batches
from bakeoff.training.stack.evaluation import measure_all, nothing_measured
from bakeoff.training.stack.member import Member
from bakeoff.training.stack.stack import Stack, by_steps
from bakeoff.training.totals import EpochTotals, Step

Results = list[tuple[Member, EpochResult]]
"""Some members, each with its result of an epoch."""


class StackedTraining:
    """Some runs that train together."""

    def __init__(self) -> None:
        self.members: list[Member] = []
        self.num_steps = 0
        """Steps that the stack has made, as a sign of life."""
        self.is_evaluating = False
        self._stack: Stack | None = None
        self._is_suspended = False

    def join(self, member: Member) -> None:
        """Let a run train from the next epoch on."""
        self.members.append(member)

    def leave(self, member: Member) -> None:
        """Take a run out, between two epochs; its state is as if it had trained alone.

        Its checkpoint, if there is to be one, is saved before: see `save`.
        """
        self.members.remove(member)

    def save(self, member: Member) -> None:
        """Write a checkpoint of a run, between two epochs.

        Raises:
            OSError: It cannot be written.
        """
        if self._stack is not None and member in self._stack.members:
            self._stack.store(member)
        member.save()

    def suspend(self) -> None:
        """Ask to save all runs after the step in progress and to stop. Any thread may call it."""
        self._is_suspended = True

    def train(self) -> Iterator[Results]:
        """Train until no member is left, yielding the results of each epoch.

        A member whose status is not `running` any more has left. The epochs of a resumed run are
        yielded again, as they were recorded. Ends early after `suspend`; all runs that are left
        have a checkpoint then.

        Raises:
            NotStackableError: The members cannot be stacked.
            OSError: A checkpoint cannot be written.
        """
        while self.members:
            while known := [one for one in self.members if one.unreported]:
                yield self._reported([(one, one.unreported.pop(0)) for one in known])
            group = self._next_group()
            results = None if self._is_suspended else self._run_epoch(group) if group else []
            if results is None:
                for member in self.members:
                    self.save(member)
                return
            if results:
                yield self._reported(results)

    def _reported(self, results: Results) -> Results:
        for member, result in results:
            if result.status != "running":
                self.leave(member)
        return results

    def _next_group(self) -> list[Member]:
        """The members that make the next steps: all, unless some were resumed within an epoch."""
        places = [0 if one.state.totals is None else one.state.totals.drawn for one in self.members]
        furthest = max(places, default=0)
        pairs = zip(self.members, places, strict=True)
        return by_steps([one for one, place in pairs if place == furthest])

    def _run_epoch(self, group: Sequence[Member]) -> Results | None:
        """Train the rest of an epoch and evaluate it; None if it was suspended within."""
        stack, epoch = self._stack_of(group), _Epoch(group)
        stack.begin_epoch()
        saved = perf_counter()
        for _ in _steps(stack, epoch):
            self.num_steps += 1
            if self._is_suspended or perf_counter() - saved > SECONDS_WITHIN_EPOCH:
                saved = perf_counter()
                stack.end_steps()
                epoch.learning_rates = stack.learning_rates()
                epoch.note()
                self._save(group)
                if self._is_suspended:
                    return None
        stack.end_steps()
        epoch.learning_rates = stack.learning_rates()
        means, trained = epoch.means(), perf_counter()
        measured = self._evaluate(stack, means)
        for member in group:
            stack.store(member, everything=False)
        found = epoch.results(means, measured, perf_counter() - trained)
        results = [
            (member, member.state.record(result))
            for member, result in zip(group, found, strict=True)
        ]
        self._save([one for one in group if one.is_save_due])
        return results

    def _stack_of(self, group: Sequence[Member]) -> Stack:
        """The stack of these members, which is formed again if one has joined or left."""
        if self._stack is None or self._stack.members != tuple(group):
            if self._stack is not None:
                for member in self._stack.members:
                    self._stack.store(member)
            self._stack = Stack(group)
        return self._stack

    def _evaluate(self, stack: Stack, means: Sequence[tuple[float, float]]) -> list[Measured]:
        self.is_evaluating = True
        stack.prepare_to_evaluate()
        states = [one.state for one in stack.members]
        measured = measure_all(stack.network, states, states[0].splits.validation)
        self.is_evaluating = False
        for place, (state, (loss, _)) in enumerate(zip(states, means, strict=True)):
            if isfinite(loss):
                state.schedule.end_epoch(measured[place].metrics[state.objective.name])
            else:
                measured[place] = nothing_measured(state)
        return measured

    def _save(self, members: Sequence[Member]) -> None:
        for member in members:
            self.save(member)


def _steps(stack: Stack, epoch: "_Epoch") -> Iterator[None]:
    """Make the steps of an epoch that `epoch` has not counted, yielding after each of them."""
    first = stack.members[0].state
    batch_size = first.config.training.batch_size
    left = num_drawn(len(first.splits.train), batch_size) - epoch.drawn
    states = [one.state for one in stack.members]
    batches = stacked_batches(states, skip=-(-epoch.drawn // batch_size))
    started = perf_counter()
    for batch in batches:
        epoch.data_seconds += perf_counter() - started
        num_samples = min(left, batch_size)
        left -= num_samples
        losses, norms = stack.step(batch)
        epoch.add(losses, norms, num_samples)
        yield
        started = perf_counter()


@dataclass(eq=False)
class _Epoch:
    """The losses and norms of an epoch's steps, of all members."""

    group: Sequence[Member]
    losses: list[Tensor] = field(default_factory=list)
    """Of each step, [N]."""
    norms: list[Tensor] = field(default_factory=list)
    num_samples: list[int] = field(default_factory=list)
    learning_rates: list[float] = field(default_factory=list)
    data_seconds: float = 0.0
    earlier: list[EpochTotals] = field(default_factory=list)
    """What each member had counted when the epoch was resumed."""
    started: float = field(default_factory=perf_counter)

    def __post_init__(self) -> None:
        self.earlier = [one.state.totals or EpochTotals() for one in self.group]

    @property
    def drawn(self) -> int:
        """Samples of each member's steps."""
        return self.earlier[0].drawn + sum(self.num_samples)

    @property
    def seconds(self) -> float:
        """A member's share of the time since the epoch began or was resumed."""
        return (perf_counter() - self.started) / len(self.group)

    def add(self, losses: Tensor, norms: Tensor, num_samples: int) -> None:
        """Count a step; losses and norms [N] may still be computed on the device."""
        self.losses.append(losses)
        self.norms.append(norms)
        self.num_samples.append(num_samples)

    def note(self) -> None:
        """Write the totals so far into the members' states, which are saved within the epoch."""
        for place, member in enumerate(self.group):
            member.state.totals = self._total(place)

    def means(self) -> list[tuple[float, float]]:
        """Each member's mean loss over samples and mean gradient norm over steps."""
        if any(one.drawn for one in self.earlier):
            self.note()
            return [one.state.totals.means() for one in self.group if one.state.totals is not None]
        losses, norms = (torch.stack(one).T.tolist() for one in (self.losses, self.norms))
        samples = sum(self.num_samples)
        return [
            (sum(map(mul, own, self.num_samples)) / samples, sum(theirs) / len(theirs))
            for own, theirs in zip(losses, norms, strict=True)
        ]

    def results(
        self,
        means: Sequence[tuple[float, float]],
        measured: Sequence[Measured],
        evaluate_seconds: float,
    ) -> list[EpochResult]:
        """The result of every member, before its status is known; seconds are shared alike."""
        num = len(self.group)
        evaluate_seconds /= num
        train_seconds = self.seconds - evaluate_seconds
        return [
            EpochResult(
                epoch=member.state.epoch + 1,
                metrics=found.metrics,
                train_loss=loss,
                learning_rate=rate,
                grad_norm=norm,
                steps=_num_steps(before) + len(self.num_samples),
                train_seconds=before.seconds + train_seconds,
                data_seconds=before.data_seconds + self.data_seconds / num,
                evaluate_seconds=evaluate_seconds,
                confusion=found.confusion,
            )
            for member, before, (loss, norm), found, rate in zip(
                self.group, self.earlier, means, measured, self.learning_rates, strict=True
            )
        ]

    def _total(self, place: int) -> EpochTotals:
        total = EpochTotals()
        total.load_state_dict(self.earlier[place].state_dict())
        for losses, norms, num in zip(self.losses, self.norms, self.num_samples, strict=True):
            step = Step(losses[place].cpu(), norms[place].cpu(), None)
            total.add(step, num, self.learning_rates[place])
        total.seconds = self.earlier[place].seconds + self.seconds
        total.data_seconds = self.earlier[place].data_seconds + self.data_seconds / len(self.group)
        return total


def _num_steps(total: EpochTotals) -> int:
    """Steps of an epoch that was resumed, those that are not added up yet included."""
    state = total.state_dict()
    return int(state["counts"][0]) + len(state["num_samples"])
