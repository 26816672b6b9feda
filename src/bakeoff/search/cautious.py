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
from collections.abc import Callable, Iterable, Mapping, Sequence

from bakeoff.components.pruners import PrunerSettings
from bakeoff.records import Decision, EpochResult, Standing, Standings, TrialConfig, TrialRecord
from bakeoff.search.cohorts import CohortKey
from bakeoff.search.halved_cohorts import HalvedCohorts
from bakeoff.search.halving import NUM_RUNGS, RUNG_PARTS, Halving, rung_epochs
from bakeoff.search.trust import Evidence, believed, evidence_of, share_to_promote

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
        self._evidence: dict[tuple[CohortKey, int], tuple[tuple[int, int], Evidence]] = {}
        """The evidence of a cohort's level, behind the numbers of trials it was computed from."""
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
        here, later = self._cohorts[key].values_at(level), self._cohorts[key].values_after(level)
        sizes = len(here), len(later)
        known, evidence = self._evidence.get((key, level), (None, Evidence()))
        if known != sizes:
            evidence = evidence_of(here, later)
            self._evidence[key, level] = sizes, evidence
        return evidence

    def ranks(
        self, arm: str, ended: Mapping[int, Standings], *, audited: bool = False
    ) -> dict[int, Standings]:
        """See `Cohorts`; diverged trials come last."""
        if len(ended) >= FEWEST_WHOLE and self._learns_from_ended(arm, audited=audited):
            return dict(ended)
        cohorts = [cohort for key, cohort in self._cohorts.items() if key[0] == arm]
        places = _first_places(cohorts)
        for level in range(2, NUM_RUNGS + 1):
            for cohort in cohorts:
                _sort_anew(places, cohort.best_at(level))
        complete = {number: one[0] for number, one in ended.items() if one[0].tier == 0}
        places |= {number: len(places) for number in complete if number not in places}
        _sort_anew(places, sorted(complete, key=lambda one: (complete[one], one)))
        others = {number: one for number, one in ended.items() if number not in complete}
        ranked = {number: (Standing(tier=1, loss=place),) for number, place in places.items()}
        return ranked | others

    def _learns_from_ended(self, arm: str, *, audited: bool) -> bool:
        """Whether the arm's next trial is proposed from ended trials alone."""
        begun = self._begun[arm]
        if self._is_small or begun < PATIENT_AFTER:
            return False
        return audited or begun * GOLDEN_RATIO % 1 < 1 - self._trust / TRUSTED


def _first_places(cohorts: Iterable[Halving]) -> dict[int, float]:
    """Places by trial, from the share of trials that are better at its lowest rung."""
    shares = dict[int, float]()
    for cohort in cohorts:
        for level in range(NUM_RUNGS, 0, -1):
            order = cohort.best_at(level)
            shares |= {number: place / len(order) for place, number in enumerate(order)}
    order = sorted(shares, key=lambda one: (shares[one], one))
    return {number: float(place) for place, number in enumerate(order)}


def _sort_anew(places: dict[int, float], order: list[int]) -> None:
    """Give the places that the trials in `order` hold together to them in that order."""
    held = sorted(places[number] for number in order)
    places |= dict(zip(order, held, strict=True))
