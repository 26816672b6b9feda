"""Asynchronous successive halving with promotion, among the trials of one cohort.

A trial trains to its first rung and pauses there with its checkpoint. The best quarter of a rung is
promoted: it continues to the next one. A trial that is not among them now may be later, when others
have turned out worse, so it is paused, not ended. What is still paused when nothing else is left to
do has been pruned.

    while the arm still draws        the best floor(n / 4) of a rung's n trials are promoted
    once it draws no more            the best ceil(n / 4) of every rung whose trials have all
                                     arrived: what synchronous halving would promote

Source: Li et al., "A System for Massively Parallel Hyperparameter Tuning" (2020), algorithm 2: the
top 1/eta are promoted as trials arrive. The end, the first evaluation and warm-up are our own.
"""

import math
from bisect import insort
from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, field

from bakeoff.components.pruners import FIRST_DECISION
from bakeoff.records import (
    Decision,
    EpochResult,
    Promotion,
    Standing,
    TrialConfig,
    TrialRecord,
)
from bakeoff.search.cohorts import CohortKey

REDUCTION = 4
"""One in so many trials of a rung is promoted (eta)."""
SPACING = 3
"""Rungs are this factor apart, so that most epochs go to new configurations, few to the last rung:
with 4 and 3, a rung costs at most two thirds of the one below it."""
NUM_RUNGS = 3


def rung_epochs(config: TrialConfig) -> tuple[int, ...]:
    """The epochs at which a trial pauses: 1/27, 1/9 and 1/3 of the way from warm-up to the end.

    Rounded down, but never before warm-up has ended nor before the second epoch; the last epoch is
    left out, because nothing is left to save, and where two fall together one is left. Rungs count
    from the last: trials are compared at equal parts of their own schedules, not at equal epochs.
    """
    epochs = config.training.epochs
    warmup = float(config.scheduler_params.get("warmup_fraction", 0.0)) * epochs
    first = max(FIRST_DECISION, math.floor(warmup) + 1)
    parts = (SPACING**power for power in range(NUM_RUNGS, 0, -1))
    rungs = {max(first, math.floor(warmup + (epochs - warmup) / part)) for part in parts}
    return tuple(sorted(rung for rung in rungs if rung < epochs))


@dataclass
class Rung:
    """What the trials that reached an epoch were worth there."""

    values: dict[int, float] = field(default_factory=dict)
    """By trial number, higher is better; minus infinity for one that diverged on the way."""
    promoted: set[int] = field(default_factory=set)
    _order: list[tuple[float, int]] = field(default_factory=list)
    """Its trials as (minus value, number), sorted."""

    def add(self, number: int, value: float) -> None:
        """A trial is measured, once."""
        if number not in self.values:
            self.values[number] = value
            insort(self._order, (-value, number))

    def best(self, count: int | None = None) -> list[int]:
        """Numbers of its best `count` trials, best first; ties go to the earlier trial."""
        return [number for _, number in self._order[:count]]


class Halving:
    """The rungs of one cohort, and where each of its trials stands.

    A trial is running, paused at a rung, or ended. Rungs are known by their level: `NUM_RUNGS` is
    the last before the end, 0 is below all. The numbers of a cohort's trials are unique.
    """

    def __init__(self) -> None:
        self._rungs: dict[int, Rung] = {}
        self._running: dict[int, int] = {}
        """Last epoch of each trial that is training."""
        self._paused: dict[int, int] = {}
        """Last epoch of each trial that is paused."""
        self._levels: dict[int, int] = {}
        """Highest level at which each trial was measured."""
        self._promotable: dict[bool, int | None] = {}
        """Answers of `promotable` since the last change."""
        self._stops: dict[int, int] = {}
        """Latest epoch at which a trial was measured at each level; warm-up delays them."""

    @property
    def paused(self) -> tuple[int, ...]:
        """Numbers of the paused trials."""
        return tuple(self._paused)

    @property
    def num_promoted(self) -> int:
        """Promotions so far, at all rungs."""
        return sum(len(rung.promoted) for rung in self._rungs.values())

    def start(self, number: int) -> None:
        """A new trial begins to train."""
        self._running[number] = 0
        self._levels[number] = 0
        self._promotable.clear()

    def report(self, number: int, epoch: int, rungs: Sequence[int], value: float) -> None:
        """A trial has trained to `epoch`; at one of its `rungs` it is measured, once.

        Args:
            number: The trial.
            epoch: Completed epochs. Epochs that are told again after a resumption change nothing.
            rungs: The trial's own rungs.
            value: Higher is better; NaN counts as the worst.
        """
        if number not in self._running or epoch <= self._running[number]:
            return
        level = self._levels[number]
        if level:  # it trains on, so it was promoted
            self._rungs[level].promoted.add(number)
        self._running[number] = epoch
        if epoch in rungs:
            level = level_of(epoch, rungs)
            self._stops[level] = max(epoch, self._stops.get(level, 0))
            self._measure(number, level, value)

    def _measure(self, number: int, level: int, value: float) -> None:
        worth = -math.inf if math.isnan(value) else value
        self._rungs.setdefault(level, Rung()).add(number, worth)
        self._levels[number] = level
        self._promotable.clear()

    def is_held(self, number: int) -> bool:
        """Whether a trial at a rung must pause: it is not promoted."""
        level = self._levels[number]
        return level > 0 and number not in self._rungs[level].promoted

    def pause(self, number: int) -> None:
        """A trial at a rung waits for its promotion."""
        self._paused[number] = self._running.pop(number)
        self._promotable.clear()

    def promote(self, number: int) -> None:
        """A paused trial continues to its next rung."""
        self._rungs[self._levels[number]].promoted.add(number)
        self._running[number] = self._paused.pop(number)
        self._promotable.clear()

    def end(self, number: int) -> None:
        """A trial has ended."""
        self._running.pop(number, None)
        self._paused.pop(number, None)
        self._promotable.clear()

    def fail(self, number: int, epoch: int, rungs: Sequence[int]) -> None:
        """A trial diverged in `epoch`: it counts as the worst of the rung it did not reach."""
        self.end(number)
        ahead = [rung for rung in rungs if rung >= epoch]
        if ahead:
            self._measure(number, level_of(ahead[0], rungs), -math.inf)

    def promotable(self, *, draws: bool) -> int | None:
        """The trial that should continue now, or None.

        While the arm draws new trials, the highest rung comes first. Then the lowest: a rung is
        complete when nothing below it trains, and its best `ceil(n / 4)` go on; while one is not
        complete, what would have been promoted before may still go on.

        Args:
            draws: Whether new trials may still join the cohort.
        """
        if draws not in self._promotable:
            numbers = self._promotable_early() if draws else self._promotable_late()
            self._promotable[draws] = next(numbers, None)
        return self._promotable[draws]

    def _promotable_early(self) -> Iterator[int]:
        for level in sorted(self._rungs, reverse=True):
            yield from self._paused_best(level, len(self._rungs[level].values) // REDUCTION)

    def _promotable_late(self) -> Iterator[int]:
        for level in sorted(self._rungs):
            if any(self._levels[number] < level for number in self._running):
                break
            num_trials = len(self._rungs[level].values)
            yield from self._paused_best(level, math.ceil(num_trials / REDUCTION))
        yield from self._promotable_early()

    def _paused_best(self, level: int, count: int) -> Iterator[int]:
        for number in self._rungs[level].best(count):
            if number in self._paused and self._levels[number] == level:
                yield number

    def owed_epochs(self, epochs: int, spared: Container[int]) -> int:
        """About how many epochs are left if no trial joins any more.

        Args:
            epochs: Of a whole run.
            spared: Trials that continue even where nothing promotes them.
        """
        if not self._running and self.promotable(draws=False) is None:
            return sum(epochs - self._paused[number] for number in self._paused if number in spared)
        stops = [self._stops.get(level) for level in range(NUM_RUNGS + 1)]
        running = Counter(self._levels[number] for number in self._running)
        going_on = [number for number in self._paused if number in spared]
        passing = [
            sum(self._levels[number] < level for number in going_on)
            for level in range(NUM_RUNGS + 1)
        ]
        return sum(epochs - self._paused[number] for number in going_on) + ladder_epochs(
            [0, *stops[1:], epochs],
            arriving=[running[level] for level in range(NUM_RUNGS + 1)],
            arrived=[
                len(self._rung(level).values) + passing[level] for level in range(NUM_RUNGS + 1)
            ],
            promoted=[len(self._rung(level).promoted) for level in range(NUM_RUNGS + 1)],
        )

    def _rung(self, level: int) -> Rung:
        return self._rungs.get(level, Rung())

    def standings(self) -> dict[int, tuple[int, float]]:
        """How far each measured trial came, and where it stands among those that came as far.

        Returns:
            By trial number: its highest level, and the share of that rung's trials that are better,
            0.0 for the best, so that trials of different cohorts can be put in one order.
        """
        standings: dict[int, tuple[int, float]] = {}
        for level in sorted(self._rungs):
            order = self._rungs[level].best()
            standings |= {number: (level, place / len(order)) for place, number in enumerate(order)}
        return standings


def level_of(epoch: int, rungs: Sequence[int]) -> int:
    """Level of the rung at `epoch`; a trial with fewer rungs than others lacks the lowest."""
    return NUM_RUNGS - len(rungs) + 1 + rungs.index(epoch)


def ladder_epochs(
    stops: Sequence[int | None],
    arriving: Sequence[int],
    arrived: Sequence[int],
    promoted: Sequence[int],
) -> int:
    """Epochs that halving still takes when no trial joins any more.

    Args:
        stops: The epoch of each level: 0, the rungs, the end; None where there is no such rung.
        arriving: Trials that train, by the level they were last measured at; 0 is below all rungs.
        arrived: Trials measured at each level.
        promoted: How many of those were promoted.
    """
    owed, climbing, last = 0, arriving[0], 0
    for level, stop in enumerate(stops[1:], start=1):
        if stop is None:
            continue
        owed += climbing * (stop - last)
        last = stop
        if level <= NUM_RUNGS:
            due = math.ceil((arrived[level] + climbing) / REDUCTION) - promoted[level]
            climbing = arriving[level] + max(0, due)
    return owed


class HalvedCohorts:
    """Successive halving in every cohort of a study; see `bakeoff.search.cohorts.Cohorts`."""

    def __init__(
        self,
        objective: str,
        sign: int,
        draws: Callable[[str], bool],
        is_off: Callable[[CohortKey], bool] = lambda _: False,
        affords: Callable[[int], bool] = lambda _: True,
    ) -> None:
        """Start without trials.

        Args:
            objective: The metric that is compared.
            sign: +1 where higher is better, -1 where lower is.
            draws: Whether an arm will still draw new trials.
            is_off: Whether a cohort's trials are no longer pruned.
            affords: Whether a trial's arm can pay for it until its next rung.
        """
        self._is_off = is_off
        self._affords = affords
        self._audited: dict[CohortKey, set[int]] = defaultdict(set)
        self._objective = objective
        self._sign = sign
        self._draws = draws
        self._cohorts: dict[CohortKey, Halving] = defaultdict(Halving)

    def decision_epochs(self, config: TrialConfig) -> tuple[int, ...]:
        """See `Cohorts`; these are the rungs."""
        return rung_epochs(config)

    def start(self, key: CohortKey, number: int, *, audited: bool = False) -> None:
        """A new trial joins its cohort."""
        self._cohorts[key].start(number)
        if audited:
            self._audited[key].add(number)

    def report(
        self, key: CohortKey, number: int, rungs: Sequence[int], result: EpochResult
    ) -> None:
        """Note an epoch."""
        value = self._sign * result.metrics.get(self._objective, math.nan)
        self._cohorts[key].report(number, result.epoch, rungs, value)

    def decide(self, key: CohortKey, number: int) -> Decision:
        """Pause the trial at its rung, unless it is the one that would be promoted next.

        An audited trial pauses too while its arm draws, so that it costs the search nothing until
        then.
        """
        cohort = self._cohorts[key]
        if not cohort.is_held(number):
            return "continue"
        cohort.pause(number)
        if self._promotable() == (key, number):
            cohort.promote(number)
            return "continue"
        if self._spares(key, number):
            cohort.promote(number)
            return "exempt"
        return "pause"

    def _spares(self, key: CohortKey, number: int) -> bool:
        """Whether a trial that nothing else would promote goes on all the same."""
        is_exempt = number in self._audited[key] or self._is_off(key)
        return is_exempt and not self._draws(key[0]) and self._affords(number)

    def take_up(self, key: CohortKey, number: int) -> None:
        """A stored trial is paused."""
        self._cohorts[key].pause(number)

    def promote(self) -> Promotion | None:
        """The paused trial that continues now, if any; spared ones come last."""
        found, is_exempt = self._promotable(), False
        if found is None:
            found, is_exempt = self._spared(), True
        if found is None:
            return None
        key, number = found
        self._cohorts[key].promote(number)
        return Promotion(number, is_exempt)

    def _spared(self) -> tuple[CohortKey, int] | None:
        for key in self._in_turn():
            if self._draws(key[0]):
                continue
            paused = self._cohorts[key].paused
            spared = paused if self._is_off(key) else self._audited[key].intersection(paused)
            number = next(filter(self._affords, sorted(spared)), None)
            if number is not None:
                return key, number
        return None

    def _in_turn(self) -> list[CohortKey]:
        """Cohorts of the arm with the fewest promotions first, so that arms advance together."""
        promotions = Counter[str]()
        for (arm, _), cohort in self._cohorts.items():
            promotions[arm] += cohort.num_promoted
        return sorted(self._cohorts, key=lambda key: (promotions[key[0]], key))

    def _promotable(self) -> tuple[CohortKey, int] | None:
        for key in self._in_turn():
            number = self._cohorts[key].promotable(draws=self._draws(key[0]))
            if number is not None and self._affords(number):
                return key, number
        return None

    def owed_epochs(self, epochs: int, arm: str | None = None) -> float:
        """See `Cohorts`."""
        return sum(
            cohort.owed_epochs(epochs, cohort.paused if self._is_off(key) else self._audited[key])
            for key, cohort in self._cohorts.items()
            if arm in (None, key[0])
        )

    def finish(self, key: CohortKey, record: TrialRecord, rungs: Sequence[int]) -> None:
        """Note how a trial ended."""
        if record.outcome == "diverged":
            self._cohorts[key].fail(record.number, record.epochs_run, rungs)
        else:
            self._cohorts[key].end(record.number)

    def standings(self, arm: str) -> dict[int, Standing]:
        """Where each trial of the arm stands; rungs first, then the place in the rung."""
        return {
            number: Standing(1, -float(level), share)
            for key, cohort in self._cohorts.items()
            if key[0] == arm
            for number, (level, share) in cohort.standings().items()
        }
