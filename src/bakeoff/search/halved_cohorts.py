"""Successive halving in every cohort of a study: which paused trial continues, whose arm pays."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence

from bakeoff.components.pruners import PrunerSettings
from bakeoff.records import (
    Decision,
    EpochResult,
    Promotion,
    Standing,
    Standings,
    TrialConfig,
    TrialRecord,
)
from bakeoff.search.cohorts import CohortKey
from bakeoff.search.halving import Halving, rung_epochs


class HalvedCohorts:
    """Successive halving in every cohort of a study; see `bakeoff.search.cohorts.Cohorts`.

    Args:
        objective: The metric that is compared.
        sign: +1 where higher is better, -1 where lower is.
        draws: Whether an arm will still begin new trials.
        is_off: Whether pruning is switched off for a cohort.
        affords: Whether a trial's arm can pay for it until its next rung.
        settings: What a pruner is built from; plain halving has no settings.
    """

    def __init__(
        self,
        objective: str,
        sign: int,
        draws: Callable[[str], bool],
        is_off: Callable[[CohortKey], bool],
        affords: Callable[[int], bool],
        settings: PrunerSettings,  # noqa: ARG002
    ) -> None:
        self._objective = objective
        self._sign = sign
        self._draws = draws
        self._is_off = is_off
        self._affords = affords
        self._audited: dict[CohortKey, set[int]] = defaultdict(set)
        self._cohorts: dict[CohortKey, Halving] = defaultdict(Halving)

    def decision_epochs(self, config: TrialConfig) -> tuple[int, ...]:
        """See `Cohorts`; these are the rungs."""
        return rung_epochs(config)

    def start(self, key: CohortKey, number: int, *, audited: bool = False) -> None:
        """See `Cohorts`."""
        self._cohorts[key].start(number)
        if audited:
            self._audited[key].add(number)

    def report(
        self, key: CohortKey, number: int, rungs: Sequence[int], result: EpochResult
    ) -> None:
        """See `Cohorts`."""
        value = self._sign * result.metrics.get(self._objective, math.nan)
        self._cohorts[key].report(number, result.epoch, rungs, value)

    def decide(self, key: CohortKey, number: int) -> Decision:
        """Pause the trial at its rung, unless it would be the next one to be promoted.

        An audited trial also pauses while its arm begins new trials, so that it costs the search
        nothing until then.
        """
        cohort = self._cohorts[key]
        if not cohort.is_held(number):
            return "continue"
        cohort.pause(number)
        if self._promotable() == (key, number):
            cohort.promote(number)
            return "continue"
        is_exempt = not self._draws(key[0]) and number in self._exempt(key)
        if is_exempt and self._affords(number):
            cohort.promote(number)
            return "exempt"
        return "pause"

    def _exempt(self, key: CohortKey) -> set[int]:
        """Paused trials that continue without a promotion once the arm begins no more trials."""
        paused = self._cohorts[key].paused
        if self._is_off(key):
            return set(paused)
        return {number for number in self._audited[key] if number in paused}

    def restore_paused(self, key: CohortKey, number: int) -> None:
        """See `Cohorts`."""
        self._cohorts[key].pause(number)

    def promote(self) -> Promotion | None:
        """See `Cohorts`; trials that are exempt from pruning come last."""
        promotable = self._promotable()
        found = promotable or self._first_exempt()
        if found is None:
            return None
        key, number = found
        self._cohorts[key].promote(number)
        return Promotion(number, is_exempt=promotable is None)

    def _first_exempt(self) -> tuple[CohortKey, int] | None:
        for key in self._fewest_promotions_first():
            exempt = () if self._draws(key[0]) else sorted(self._exempt(key))
            number = next(filter(self._affords, exempt), None)
            if number is not None:
                return key, number
        return None

    def _promotable(self) -> tuple[CohortKey, int] | None:
        for key in self._fewest_promotions_first():
            number = self._cohorts[key].promotable(draws=self._draws(key[0]))
            if number is not None and self._affords(number):
                return key, number
        return None

    def _fewest_promotions_first(self) -> list[CohortKey]:
        """The cohorts by the promotions of their arm, fewest first, so that arms keep pace."""
        promotions = Counter[str]()
        for (arm, _), cohort in self._cohorts.items():
            promotions[arm] += cohort.num_promoted
        return sorted(self._cohorts, key=lambda key: (promotions[key[0]], key))

    def pending_epochs(self, epochs: int, arm: str | None = None) -> float:
        """See `Cohorts`."""
        return sum(
            cohort.pending_epochs(epochs, self._exempt(key))
            for key, cohort in self._cohorts.items()
            if arm in (None, key[0])
        )

    def finish(self, key: CohortKey, record: TrialRecord, rungs: Sequence[int]) -> None:
        """See `Cohorts`."""
        if record.outcome == "diverged":
            self._cohorts[key].fail(record.number, record.epochs_run, rungs)
        else:
            self._cohorts[key].end(record.number)

    def ranks(
        self,
        arm: str,
        ended: Mapping[int, Standings],
        *,
        audited: bool = False,  # noqa: ARG002
    ) -> dict[int, Standings]:
        """See `Cohorts`; complete trials come first, then the highest rung, then the best in it."""
        ranks = dict(ended)
        for key, cohort in self._cohorts.items():
            if key[0] == arm:
                for number, (level, share) in cohort.standings(ranks).items():
                    ranks[number] = (Standing(tier=1, progress=-float(level), loss=share),)
        return ranks
