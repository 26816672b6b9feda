"""The searches of each arm: what each found, which of them count, and what arms are compared on.

A study without repeats has one search per arm; its seeds show how the configurations found differ
(level L1). Where searches are repeated, each search gives one score, and enough of them show how
the arms differ (level L2).
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bakeoff.analysis.confirmation import (
    ConfirmedRuns,
    confirmed_runs,
    finite_values,
    worst_known_score,
)
from bakeoff.records import CHARGED_OUTCOMES, StudyRecord, TrialRecord
from bakeoff.records.significance import MIN_SEARCH_SEEDS, MIN_SEARCH_TRIALS

Runs = Mapping[str, ConfirmedRuns]
"""Confirmed runs by arm; arms without confirmed runs are missing."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ArmSearch:
    """One search of an arm, and the confirmation of what it found."""

    arm: str
    repeat: int
    num_trials: int
    """Trials charged to its budget."""
    chosen: TrialRecord | None
    """The trial whose configuration was confirmed; None if the record lacks it."""
    confirmed: ConfirmedRuns | None
    found_nothing: bool
    """Whether it ended without a complete trial, so that there was nothing to confirm."""
    why_not: str
    """Why it does not count at level L2; empty if it counts."""

    @property
    def num_seeds(self) -> int:
        """Confirmation runs of its configuration."""
        return len(self.confirmed.seeds) if self.confirmed else 0


Searches = Mapping[str, tuple[ArmSearch, ...]]
"""The searches of every arm, by repeat."""


def searches_of(record: StudyRecord) -> Searches:
    """Every arm's searches, one for each repeat that the study planned or has runs of."""
    runs = (*record.trials, *record.confirmations)
    repeats = range(max([record.repeats - 1, *(run.repeat for run in runs)]) + 1)
    ended = {run.repeat for run in record.confirmations}
    trials = defaultdict(list)
    for trial in record.trials:
        trials[trial.arm, trial.repeat].append(trial)
    return {
        arm.name: tuple(
            _search(record, trials[arm.name, repeat], arm.name, repeat, ended=repeat in ended)
            for repeat in repeats
        )
        for arm in record.arms
    }


def _search(
    record: StudyRecord, own: Sequence[TrialRecord], arm: str, repeat: int, *, ended: bool
) -> ArmSearch:
    """One search and its trials; `ended` says that the confirmation of the repeat has begun."""
    searched = [t for t in own if t.purpose == "search" and t.phase != "default"]
    charged = sum(trial.outcome in CHARGED_OUTCOMES for trial in searched)
    confirmed = confirmed_runs(record, arm, repeat)
    number = confirmed.configuration if confirmed else None
    complete = any(trial.outcome == "complete" for trial in searched)
    nothing = ended and confirmed is None and not complete and charged >= MIN_SEARCH_TRIALS
    return ArmSearch(
        arm=arm,
        repeat=repeat,
        num_trials=charged,
        chosen=next((t for t in own if t.number == number), None) if confirmed else None,
        confirmed=confirmed,
        found_nothing=nothing,
        why_not="" if nothing else _why_not(charged, len(confirmed.seeds) if confirmed else 0),
    )


def _why_not(num_trials: int, num_seeds: int) -> str:
    if num_trials < MIN_SEARCH_TRIALS:
        return f"it has {num_trials} of at least {MIN_SEARCH_TRIALS} trials"
    if num_seeds < MIN_SEARCH_SEEDS:
        return f"it has {num_seeds} of at least {MIN_SEARCH_SEEDS} confirmation seeds"
    return ""


def counted_repeats(searches: Searches) -> tuple[int, ...]:
    """The repeats in which the searches of all arms count."""
    by_repeat = zip(*searches.values(), strict=True)
    return tuple(own[0].repeat for own in by_repeat if not any(one.why_not for one in own))


def has_enough_searches(searches: Searches, needed: int) -> bool:
    """Whether at least two arms have `needed` common searches that count."""
    counted = [{one.repeat for one in own if not one.why_not} for own in searches.values()]
    return any(
        len(a & b) >= needed for place, a in enumerate(counted) for b in counted[place + 1 :]
    )


def compared_repeat(searches: Searches, needed: int) -> int:
    """The repeat whose configurations are compared at level L1.

    It is the first one in which most arms have `needed` confirmation seeds, so that the choice does
    not depend on how well a search went.
    """
    by_repeat = list(zip(*searches.values(), strict=True))
    ready = [sum(one.num_seeds >= needed for one in own) for own in by_repeat]
    return ready.index(max(ready)) if ready else 0


def shown_searches(
    searches: Searches, needed: int, sign: int, *, over_searches: bool
) -> dict[str, ArmSearch]:
    """The search of each arm whose configuration is recommended.

    Args:
        searches: The searches of every arm.
        needed: Confirmation seeds that level L1 needs.
        sign: +1 where higher is better, -1 where lower is.
        over_searches: Whether arms are compared on repeated searches (level L2).
    """
    first = compared_repeat(searches, needed)
    return {
        arm: recommended(own, sign) if over_searches else own[first]
        for arm, own in searches.items()
    }


def recommended(searches: Sequence[ArmSearch], sign: int) -> ArmSearch:
    """The search of an arm whose configuration is recommended at level L2.

    It has the best mean validation score on its confirmation seeds; the test set has no part in the
    choice. The earlier search wins a tie.
    """

    def validation(search: ArmSearch) -> float:
        runs = search.confirmed.runs if search.confirmed else ()
        scores = finite_values(run.score for run in runs if run.outcome == "complete")
        # a run that diverged makes a configuration worse than any whose runs all ended
        return sign * float(np.mean(scores)) if scores and len(scores) == len(runs) else -np.inf

    counted = [one for one in searches if not one.why_not] or list(searches)
    return max(counted, key=validation)


def search_units(record: StudyRecord, searches: Searches) -> Runs:
    """What arms are compared on at level L2: one run for each search that counts, by arm.

    The score of a search is the mean over its confirmation seeds, where a run that diverged has the
    score of an untrained model. A search that found nothing has the worst known score and counts
    as diverged. Searches of one repeat are paired if the arms share confirmation seeds.
    """
    shared = _share_seeds(searches)
    units = {}
    for place, (arm, own) in enumerate(searches.items()):
        runs = [_as_unit(record, one) for one in own if not one.why_not]
        if not shared:  # numbers that no other arm has
            runs = [replace(run, seed=run.repeat + place * len(own)) for run in runs]
        if runs:
            units[arm] = _as_runs(record, runs)
    return units


def per_repeat(record: StudyRecord, found: ConfirmedRuns) -> ConfirmedRuns:
    """Runs of several repeats as one run for each repeat, whose score is the mean of its runs."""
    repeats = sorted({run.repeat for run in found.runs})
    groups = [[place for place, run in enumerate(found.runs) if run.repeat == r] for r in repeats]
    parts = [
        replace(
            found,
            runs=tuple(found.runs[place] for place in own),
            test=found.test[own],
            diverged=found.diverged[own],
        )
        for own in groups
    ]
    return _as_runs(record, [_mean_run(record, *one) for one in zip(repeats, parts, strict=True)])


def _as_runs(record: StudyRecord, runs: Sequence[TrialRecord]) -> ConfirmedRuns:
    return ConfirmedRuns(
        arm=runs[0].arm,
        configuration=None,
        runs=tuple(runs),
        test=np.array([run.test_metrics[record.objective.name] for run in runs]),
        diverged=np.array([run.outcome == "diverged" for run in runs]),
    )


def _share_seeds(searches: Searches) -> bool:
    for own in zip(*searches.values(), strict=True):
        seeds = [set(one.confirmed.seeds) for one in own if one.confirmed]
        if len(seeds) > 1 and not set.intersection(*seeds):
            return False
    return True


def _as_unit(record: StudyRecord, search: ArmSearch) -> TrialRecord:
    """A search as one run whose scores are the means over its confirmation runs."""
    if search.confirmed is not None:
        return _mean_run(record, search.repeat, search.confirmed)
    worst = finite_values((worst_known_score(record), 0.0))[0]
    return TrialRecord(
        number=search.repeat,
        arm=search.arm,
        params={},
        outcome="diverged",
        score=None,
        seed=search.repeat,
        purpose="confirm",
        repeat=search.repeat,
        test_metrics={record.objective.name: worst},
    )


def _mean_run(record: StudyRecord, repeat: int, found: ConfirmedRuns) -> TrialRecord:
    """Runs of one configuration as one run with their mean scores, numbered by the repeat."""
    validation = finite_values(run.score for run in found.runs)
    return TrialRecord(
        number=repeat,
        arm=found.arm,
        params=found.runs[0].params,
        outcome="diverged" if found.diverged.any() else "complete",
        score=float(np.mean(validation)) if validation else None,
        seed=repeat,
        purpose="confirm",
        repeat=repeat,
        test_metrics={record.objective.name: float(np.mean(found.test))},
        test_without=_mean_without(found.runs),
    )


def _mean_without(runs: Sequence[TrialRecord]) -> tuple[float, ...]:
    """Mean over runs of the test score without each group [G]; empty unless all runs have them."""
    lengths = {len(run.test_without) for run in runs}
    if len(lengths) != 1 or 0 in lengths:
        return ()
    return tuple(np.mean([run.test_without for run in runs], axis=0).tolist())
