"""Successive halving that earns its trust in early epochs before it acts on them.

It differs from plain halving in four points.

- A search with a small budget has one rung, halfway between warm-up and end, and a third of the
  trials pass it. With few trials little can be saved, and nothing can be learned about rungs.
- With a larger budget the rungs are those of plain halving, and the share of trials that passes a
  rung is learned; see `bakeoff.search.trust`.
- From the `PATIENT_AFTER`th trial of an arm on, its audited trials train to their end at once. The
  search pays for them only where it has not ended soon, which is where early epochs may mislead.
  They are proposed from ended trials alone: a search of their own that early epochs cannot mislead.
  So are the more of the other trials, the less the first rung is trusted.
- The sampler is given the trials in one order. Trials that got further are sorted anew among the
  places that they hold together, so that a whole run is not ahead of others for being whole.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from bakeoff.components.pruners import PrunerSettings
from bakeoff.records import Decision, EpochResult, Standing, Standings, TrialConfig, TrialRecord
from bakeoff.search.cohorts import CohortKey
from bakeoff.search.halved_cohorts import HalvedCohorts
from bakeoff.search.halving import NUM_RUNGS, RUNG_PARTS, Halving, rung_epochs
from bakeoff.search.trust import Evidence, RungEvidence, believed, share_to_promote

Array = NDArray[np.float64]
Numbers = NDArray[np.intp]

FEWEST_RUNS = 64
"""Budget of an arm, in trials or whole runs, from which on there are several rungs: if a quarter
passes each of three, fewer trials would leave none."""
SMALL_PARTS = (1 / 2,)
SMALL_SHARE = 1 / 3
PATIENT_AFTER = 50
TRUSTED = 0.6
"""The rank correlation between the first rung and the end below which a part of the trials is
proposed from ended trials alone: a little less than what is believed without evidence."""
FEWEST_WHOLE = 3
"""Ended trials that suffice to propose a trial from them alone."""
GOLDEN_RATIO = (1 + math.sqrt(5)) / 2
"""The parts of its multiples after the point are evenly spread."""


class CautiousCohorts(HalvedCohorts):
    """Cautious halving in every cohort of a study; see `bakeoff.search.cohorts.Cohorts`."""

    def __init__(
        self,
        objective: str,
        sign: int,
        draws: Callable[[str], bool],
        is_off: Callable[[CohortKey], bool],
        affords: Callable[[int], bool],
        settings: PrunerSettings,
    ) -> None:
        super().__init__(objective, sign, draws, is_off, affords, settings)
        self._is_small = settings.num_runs is None or settings.num_runs < FEWEST_RUNS
        self._cohorts: dict[CohortKey, Halving] = defaultdict(lambda: Halving(self._share))
        self._shares: dict[int, float] = {}
        """By level, the share that is promoted at present."""
        self._evidence: dict[tuple[CohortKey, int], RungEvidence] = defaultdict(RungEvidence)
        """By cohort and level."""
        self._trust = 0.0
        """The rank correlation that is believed between the first rung and the end."""
        self._begun = Counter[str]()
        self._patient: set[int] = set()
        """Trials that no rung holds."""

    def decision_epochs(self, config: TrialConfig) -> tuple[int, ...]:
        """See `Cohorts`; these are the rungs."""
        return rung_epochs(config, SMALL_PARTS if self._is_small else RUNG_PARTS)

    def start(self, key: CohortKey, number: int, *, audited: bool = False) -> None:
        """See `Cohorts`."""
        super().start(key, number, audited=audited)
        self._begun[key[0]] += 1
        if audited and self._begun[key[0]] > PATIENT_AFTER:
            self._patient.add(number)

    def report(
        self, key: CohortKey, number: int, rungs: Sequence[int], result: EpochResult
    ) -> None:
        """See `Cohorts`."""
        super().report(key, number, rungs, result)
        if result.epoch in rungs:
            self._learn()

    def decide(self, key: CohortKey, number: int) -> Decision:
        """Pause the trial at its rung, unless it is the next one to be promoted, or patient."""
        decision = super().decide(key, number)
        if decision == "pause" and number in self._patient and self._affords(number):
            self._cohorts[key].promote(number)
            return "exempt"
        return decision

    def finish(self, key: CohortKey, record: TrialRecord, rungs: Sequence[int]) -> None:
        """See `Cohorts`."""
        super().finish(key, record, rungs)
        if record.outcome == "complete" and record.score is not None:
            self._cohorts[key].finals[record.number] = self._sign * record.score
        elif record.outcome == "diverged":
            self._cohorts[key].finals[record.number] = -math.inf
        self._learn()

    def _share(self, level: int) -> float:
        return SMALL_SHARE if self._is_small else self._shares.get(level) or self._learn()[level]

    def _learn(self) -> dict[int, float]:
        """Compute the shares of all levels from what the trials so far have shown."""
        if self._is_small:
            return self._shares
        shares, correlation = dict[int, float](), 1.0
        for level in range(NUM_RUNGS, 0, -1):
            correlation *= believed([self._evidence_at(key, level) for key in self._cohorts])
            shares[level] = share_to_promote(correlation)
        self._trust = correlation
        if shares != self._shares:
            self._shares = shares
            for cohort in self._cohorts.values():
                cohort.reconsider()
        return shares

    def _evidence_at(self, key: CohortKey, level: int) -> Evidence:
        cohort = self._cohorts[key]
        return self._evidence[key, level].of(cohort.values_at(level), cohort.values_after(level))

    def ranks(
        self, arm: str, ended: Mapping[int, Standings], *, audited: bool = False
    ) -> dict[int, Standings]:
        """See `Cohorts`; diverged trials come last."""
        if len(ended) >= FEWEST_WHOLE and self._learns_from_ended(arm, audited=audited):
            return dict(ended)
        cohorts = [cohort for key, cohort in self._cohorts.items() if key[0] == arm]
        complete = {number: one[0].loss for number, one in ended.items() if one[0].tier == 0}
        others = {number: one for number, one in ended.items() if number not in complete}
        return _places(cohorts, complete) | others

    def _learns_from_ended(self, arm: str, *, audited: bool) -> bool:
        """Whether the arm's next trial is proposed from ended trials alone."""
        begun = self._begun[arm]
        if self._is_small or begun < PATIENT_AFTER:
            return False
        return audited or begun * GOLDEN_RATIO % 1 < 1 - self._trust / TRUSTED


def _places(cohorts: Sequence[Halving], complete: Mapping[int, float]) -> dict[int, Standings]:
    """The places of an arm's trials as ranks, the best first.

    Args:
        cohorts: The cohorts of the arm.
        complete: By complete trial its loss.
    """
    levels = range(1, NUM_RUNGS + 1)
    orders = [[_array(cohort.best_at(level)) for cohort in cohorts] for level in levels]
    places = _first_places(orders, 1 + max(complete, default=-1))
    measured = ~np.isnan(places)
    whole = _array([*complete])
    places[whole[~measured[whole]]] = np.count_nonzero(measured)
    losses = np.array([*complete.values()], dtype=np.float64)
    last = whole[np.lexsort((whole, losses))]
    for order in (*chain.from_iterable(orders[1:]), last):
        places[order] = np.sort(places[order])
    placed = np.flatnonzero(~np.isnan(places))
    placed = placed[np.argsort(places[placed], kind="stable")]
    return dict(zip(placed.tolist(), map(_at, places[placed].tolist()), strict=True))


def _first_places(orders: Sequence[Sequence[Numbers]], fewest: int) -> Array:
    """Places by number, from the share of trials that are better at a trial's lowest rung.

    Args:
        orders: By level and cohort, the numbers of the trials, best first.
        fewest: The least length of the result.

    Returns:
        [largest number + 1, or `fewest`]; NaN for a number that was measured at no rung.
    """
    largest = max((int(order.max()) for order in chain(*orders) if len(order)), default=-1)
    shares = np.full(max(largest + 1, fewest), np.nan)
    for order in chain.from_iterable(reversed(orders)):
        shares[order] = np.arange(len(order)) / len(order)
    order = np.argsort(shares, kind="stable")[: np.count_nonzero(~np.isnan(shares))]
    places = np.full(len(shares), np.nan)
    places[order] = np.arange(len(order))
    return places


def _array(numbers: Sequence[int]) -> Numbers:
    return np.array(numbers, dtype=np.intp)


@cache
def _at(place: float) -> Standings:
    """The rank at a place. The same places come again with every proposal."""
    return (Standing(tier=1, loss=place),)
