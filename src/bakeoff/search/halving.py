"""Asynchronous successive halving with promotion, among the trials of one cohort.

A trial trains to its first rung and pauses there with its checkpoint. The best quarter of a rung is
promoted: those trials continue to the next rung. A trial that is not among them now may be later,
when newer trials turn out worse, so it is paused and not ended. Trials that are still paused when
the search ends count as pruned.

    while the arm begins new trials   the best floor(n / 4) of a rung's n trials are promoted
    afterwards                        the best ceil(n / 4) of every rung whose trials have all
                                      arrived, as synchronous halving would promote

Source: Li et al., "A System for Massively Parallel Hyperparameter Tuning" (2020), algorithm 2: the
top 1/eta are promoted as trials arrive. The rules for the end, the first evaluation and warm-up are
our own.
"""

import math
from bisect import bisect_left, insort
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Container, KeysView, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from bakeoff.components.pruners import FIRST_DECISION
from bakeoff.records import (
    TrialConfig,
)

REDUCTION = 4
"""One in so many trials of a rung is promoted (eta)."""
SPACING = 3
"""Epochs of a rung over those of the rung below. With 4 and 3, a rung costs at most two thirds of
the rung below it, so most epochs go to new configurations."""
NUM_RUNGS = 3
RUNG_PARTS = tuple(1 / SPACING**power for power in range(NUM_RUNGS, 0, -1))
"""1/27, 1/9 and 1/3."""
ROUNDING = 1e-9
"""Shares of a count are whole numbers if they are so near to one."""


def rung_epochs(config: TrialConfig, parts: Sequence[float] = RUNG_PARTS) -> tuple[int, ...]:
    """The epochs at which a trial pauses: these parts of the way from warm-up to the end.

    They are rounded down, but come after warm-up and not before the second epoch. The last epoch is
    not a rung, and rungs that coincide count once. Rungs count from the last: trials are compared
    at equal parts of their own schedules, not at equal epochs.
    """
    epochs = config.training.epochs
    warmup = float(config.scheduler_params.get("warmup_fraction", 0.0)) * epochs
    first = max(FIRST_DECISION, math.floor(warmup) + 1)
    rungs = {max(first, math.floor(warmup + (epochs - warmup) * p + ROUNDING)) for p in parts}
    return tuple(sorted(rung for rung in rungs if rung < epochs))


@dataclass
class Rung:
    """The trials that reached a rung."""

    values: dict[int, float] = field(default_factory=dict)
    """Value by trial number. Higher is better; a trial that diverged has minus infinity."""
    promoted: set[int] = field(default_factory=set)
    last_epoch: int = 0
    """Latest epoch at which a trial was measured here (warm-up delays rungs); 0 before any."""
    _order: list[tuple[float, int]] = field(default_factory=list)
    """The trials as (minus value, number), sorted."""
    _numbers: list[int] = field(default_factory=list)
    """Their numbers in this order."""
    _paused: list[tuple[float, int]] = field(default_factory=list)
    """Those of them that are paused here, sorted in the same way."""

    def add(self, number: int, value: float) -> None:
        """Store a trial's value, once."""
        if number not in self.values:
            self.values[number] = value
            place = bisect_left(self._order, (-value, number))
            self._order.insert(place, (-value, number))
            self._numbers.insert(place, number)

    def pause(self, number: int) -> None:
        """A trial that was measured here pauses."""
        insort(self._paused, (-self.values[number], number))

    def resume(self, number: int) -> None:
        """A trial that paused here continues, or has ended."""
        del self._paused[bisect_left(self._paused, (-self.values[number], number))]

    def ranked(self) -> Sequence[int]:
        """The numbers of the trials, best first; the earlier trial wins a tie."""
        return self._numbers

    def best_paused(self, count: int) -> int | None:
        """The best paused trial, if it is one of the best `count` of all trials."""
        if not self._paused or bisect_left(self._order, self._paused[0]) >= count:
            return None
        return self._paused[0][1]


class Halving:
    """The rungs of one cohort and the state of each of its trials.

    A trial is running, paused at a rung, or ended. A rung's level counts up to `NUM_RUNGS` for the
    last rung before the end; level 0 is below all rungs. Trial numbers are unique in a cohort.

    Args:
        share: The share of a level's trials that is promoted.
    """

    def __init__(self, share: Callable[[int], float] = lambda _: 1 / REDUCTION) -> None:
        self._share = share
        self.finals: dict[int, float] = {}
        """Final value by trial, where it matters. Higher is better."""
        self._rungs: defaultdict[int, Rung] = defaultdict(Rung)
        self._running: dict[int, int] = {}
        """Last epoch of each running trial."""
        self._paused: dict[int, int] = {}
        """Last epoch of each paused trial."""
        self._levels: dict[int, int] = {}
        """Highest level at which each trial was measured."""
        self._promotable: dict[bool, int | None] = {}
        """Answers of `promotable` since the last change."""

    @property
    def paused(self) -> KeysView[int]:
        """Numbers of the paused trials."""
        return self._paused.keys()

    @property
    def num_promoted(self) -> int:
        """Promotions so far, at all rungs."""
        return sum(len(rung.promoted) for rung in self._rungs.values())

    def values_at(self, level: int) -> dict[int, float]:
        """The values at a level by trial number. Higher is better."""
        return self._rungs[level].values if level in self._rungs else {}

    def values_after(self, level: int) -> dict[int, float]:
        """The values at the next level, or at the end, by trial number."""
        return self.values_at(level + 1) if level < NUM_RUNGS else self.finals

    def best_at(self, level: int) -> Sequence[int]:
        """The trials of a level, best first; the earlier trial wins a tie."""
        return self._rungs[level].ranked() if level in self._rungs else ()

    def reconsider(self) -> None:
        """The shares that are promoted have changed."""
        self._promotable.clear()

    def start(self, number: int) -> None:
        """A new trial begins to train."""
        self._running[number] = self._levels[number] = 0
        self._promotable.clear()

    def report(self, number: int, epoch: int, rungs: Sequence[int], value: float) -> None:
        """A trial has trained to `epoch`; at one of its `rungs` it is measured, once.

        Args:
            number: The trial.
            epoch: Completed epochs. An epoch that is reported again after a resumption is ignored.
            rungs: The trial's own rungs.
            value: Higher is better; NaN counts as the worst.
        """
        if number not in self._running or epoch <= self._running[number]:
            return
        level = self._levels[number]
        if level:  # it trains beyond this rung, so it was promoted
            self._rungs[level].promoted.add(number)
        self._running[number] = epoch
        if epoch in rungs:
            level = level_of(epoch, rungs)
            self._measure(number, level, -math.inf if math.isnan(value) else value)
            self._rungs[level].last_epoch = max(epoch, self._rungs[level].last_epoch)

    def _measure(self, number: int, level: int, value: float) -> None:
        self._rungs[level].add(number, value)
        self._levels[number] = level
        self._promotable.clear()

    def is_held(self, number: int) -> bool:
        """Whether a trial at a rung must pause because it is not promoted."""
        level = self._levels[number]
        return level > 0 and number not in self._rungs[level].promoted

    def pause(self, number: int) -> None:
        """A trial at a rung waits for its promotion."""
        self._paused[number] = self._running.pop(number)
        if level := self._levels[number]:
            self._rungs[level].pause(number)
        self._promotable.clear()

    def promote(self, number: int) -> None:
        """A paused trial continues to its next rung."""
        self._rungs[self._levels[number]].promoted.add(number)
        self._running[number] = self._resume(number)
        self._promotable.clear()

    def _resume(self, number: int) -> int:
        """A trial is paused no more; return its last epoch."""
        if level := self._levels[number]:
            self._rungs[level].resume(number)
        return self._paused.pop(number)

    def end(self, number: int) -> None:
        """A trial has ended."""
        self._running.pop(number, None)
        if number in self._paused:
            self._resume(number)
        self._promotable.clear()

    def fail(self, number: int, epoch: int, rungs: Sequence[int]) -> None:
        """A trial diverged in `epoch`: it counts as the worst of the rung it did not reach."""
        self.end(number)
        ahead = [rung for rung in rungs if rung >= epoch]
        if ahead:
            self._measure(number, level_of(ahead[0], rungs), -math.inf)

    def promotable(self, *, draws: bool) -> int | None:
        """The trial that should continue now, or None.

        While the arm begins new trials, the highest rung comes first. Afterwards the lowest does:
        a rung is complete when no trial below it is running, and then its best `ceil(n / 4)`
        continue. Before a rung is complete, the early rule still applies to it.

        Args:
            draws: Whether new trials may still join the cohort.
        """
        if draws not in self._promotable:
            found = None if draws else self._promotable_late()
            self._promotable[draws] = self._promotable_early() if found is None else found
        return self._promotable[draws]

    def _promotable_early(self) -> int | None:
        for level in sorted(self._rungs, reverse=True):
            rung = self._rungs[level]
            count = math.floor(len(rung.values) * self._share(level) + ROUNDING)
            if (number := rung.best_paused(count)) is not None:
                return number
        return None

    def _promotable_late(self) -> int | None:
        lowest = min((self._levels[number] for number in self._running), default=math.inf)
        for level in sorted(self._rungs):
            if lowest < level:
                break
            rung = self._rungs[level]
            count = ceil_share(len(rung.values), self._share(level))
            if (number := rung.best_paused(count)) is not None:
                return number
        return None

    def pending_epochs(self, epochs: int, exempt: Collection[int]) -> int:
        """Estimate how many epochs the cohort still takes if no trial joins.

        Args:
            epochs: Planned epochs of a trial.
            exempt: Paused trials that continue without a promotion.
        """
        pending = sum(epochs - self._paused[number] for number in exempt)
        if not self._running and self.promotable(draws=False) is None:
            return pending
        running = Counter(self._levels[number] for number in self._running)
        loads = []
        for level in range(1, NUM_RUNGS + 1):
            rung = self._rungs.get(level, Rung())
            passing = sum(self._levels[number] < level for number in exempt)
            loads.append(
                RungLoad(
                    epoch=rung.last_epoch,
                    measured=len(rung.values) + passing,
                    promoted=len(rung.promoted),
                    running=running[level],
                    share=self._share(level),
                )
            )
        return pending + ladder_epochs(running[0], loads, epochs)

    def standings(self, known: Container[int] = ()) -> dict[int, tuple[int, float]]:
        """The rank of each measured trial, so that trials of different cohorts can be ordered.

        Args:
            known: Trials whose rank is known otherwise, which are left out.

        Returns:
            By trial number: its highest level, and the share of that rung's trials that are better
            (0.0 for the best).
        """
        standings: dict[int, tuple[int, float]] = {}
        for level in sorted(self._rungs, reverse=True):
            order = self._rungs[level].ranked()
            for place, number in enumerate(order):
                if number not in known and number not in standings:
                    standings[number] = level, place / len(order)
        return standings


def level_of(epoch: int, rungs: Sequence[int]) -> int:
    """Level of the rung at `epoch`; a trial with fewer rungs than others lacks the lowest."""
    return NUM_RUNGS - len(rungs) + 1 + rungs.index(epoch)


class RungLoad(NamedTuple):
    """What is known of a rung when the remaining epochs are estimated."""

    epoch: int
    """The epoch of the rung; 0 if no trial has been measured there."""
    measured: int = 0
    promoted: int = 0
    running: int = 0
    """Trials that were promoted here and are still below the next rung."""
    share: float = 1 / REDUCTION
    """Share of the trials that is promoted."""


def ceil_share(count: int, share: float) -> int:
    """A share of a count, rounded up."""
    return math.ceil(count * share - ROUNDING)


def ladder_epochs(num_below: int, rungs: Sequence[RungLoad], epochs: int) -> int:
    """The epochs that halving still takes when no trial joins any more.

    Args:
        num_below: Running trials that have not reached a rung.
        rungs: From the lowest to the highest.
        epochs: Planned epochs of a trial.
    """
    pending, climbing, last = 0, num_below, 0
    for rung in rungs:
        if rung.epoch:
            pending += climbing * (rung.epoch - last)
            last = rung.epoch
            due = ceil_share(rung.measured + climbing, rung.share) - rung.promoted
            climbing = rung.running + max(0, due)
    return pending + climbing * (epochs - last)
