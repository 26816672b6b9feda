"""Several studies of the same arms: does it hold across workloads (level L3)?"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from bakeoff.analysis.ranks import (
    RankTest,
    nemenyi_p,
    profile_score,
    rank_test,
    ranks_of,
    time_ratios,
)
from bakeoff.analysis.statistics import Scores
from bakeoff.analysis.wording import join, number, p_value, plural
from bakeoff.records import ArmSummary, Comparison
from bakeoff.significance import ALPHA

MIN_WORKLOADS = 6
"""Fewer have too little power for a test across workloads, so that none is made."""
MIN_PROFILED = 3
"""Fewer make no performance profile."""


CHOSEN = "Every claim is about these workloads: they were chosen, not drawn from all there are."
MEANS_ONLY = (
    "A rank takes the confirmed mean as it is, whether or not its difference was shown within the"
    " workload."
)


@dataclass(frozen=True, kw_only=True)
class ArmAcross:
    """One arm over all workloads that count."""

    arm: str
    mean_rank: float
    """1 is best; NaN without a workload that counts."""
    wins: int
    """Workloads on which no arm has a better mean."""
    profile_score: float
    """Area under its performance profile of epochs to the target, 0 to 1."""


@dataclass(frozen=True, kw_only=True)
class PairAcross:
    """Two arms over all workloads that count; `a` has the better mean rank."""

    a: str
    b: str
    rank_difference: float
    p: float
    """Nemenyi, over all pairs; Wilcoxon where there are two arms. NaN below six workloads."""
    shown: bool
    sentence: str


@dataclass(frozen=True, kw_only=True, eq=False)
class AcrossWorkloads:
    """What several studies say together. Axes: W workloads that count, M arms common to all."""

    comparisons: tuple[Comparison, ...]
    """All that were given."""
    arm_names: tuple[str, ...]
    """Arms common to all studies, in the first one's order."""
    counted: tuple[Comparison, ...]
    """Those in which every common arm was confirmed often enough for a verdict."""
    scores: Scores
    """Confirmed test means [W, M], signed: higher is better."""
    ranks: Scores
    """[W, M]"""
    ratios: Scores
    """Median epochs to the study's target over the best arm's [W, M]."""
    test: RankTest | None
    """None below six workloads or two arms."""
    arms: tuple[ArmAcross, ...]
    """Best mean rank first."""
    pairs: tuple[PairAcross, ...]
    level: str
    headline: str
    notes: tuple[str, ...]


def compare_workloads(comparisons: Sequence[Comparison]) -> AcrossWorkloads:
    """Rank the arms that all studies have in common, and test the ranks from six workloads on.

    A study counts if all common arms were confirmed on enough seeds for a verdict; its workload is
    its model and data, so each should differ. What does not count is named in the notes.
    """
    names = _common_arms(comparisons)
    counted = [one for one in comparisons if len(names) > 1 and _counts(one, names)]
    scores = np.array([[_score(one, arm) for arm in names] for one in counted])
    scores = scores.reshape(len(counted), len(names))
    ratios = time_ratios(_epochs_to_target(counted, names)) if counted else scores
    ranks = ranks_of(scores) if counted else scores
    enough = len(counted) >= MIN_WORKLOADS
    test = rank_test(scores) if enough else None
    arms = _arms(names, ranks, ratios)
    pairs = _pairs([arm.arm for arm in arms], names, ranks, test)
    return AcrossWorkloads(
        comparisons=tuple(comparisons),
        arm_names=names,
        counted=tuple(counted),
        scores=scores,
        ranks=ranks,
        ratios=ratios,
        test=test,
        arms=arms,
        pairs=pairs,
        level="L3" if enough else "L1" if counted else "L0",
        headline=_headline(names, len(counted), pairs, test),
        notes=tuple(_notes(comparisons, counted, names)),
    )


def _common_arms(comparisons: Sequence[Comparison]) -> tuple[str, ...]:
    known = [{arm.name for arm in one.study.arms} for one in comparisons]
    first = comparisons[0].study.arms if comparisons else ()
    return tuple(arm.name for arm in first if all(arm.name in names for names in known))


def _summary(comparison: Comparison, arm: str) -> ArmSummary:
    return next(one for one in comparison.arms if one.arm == arm)


def _counts(comparison: Comparison, names: Sequence[str]) -> bool:
    blocked = comparison.level == "L0"
    return not blocked and all(
        (found := _summary(comparison, arm).confirmed) is not None
        and len(found.seeds) >= comparison.min_seeds
        for arm in names
    )


def _score(comparison: Comparison, arm: str) -> float:
    found = _summary(comparison, arm).confirmed
    return comparison.study.objective.sign * (found.test_mean if found else np.nan)


def _epochs_to_target(comparisons: Sequence[Comparison], names: Sequence[str]) -> Scores:
    found = [[_summary(one, arm).time_to_target for arm in names] for one in comparisons]
    return np.array(
        [[time.median_epochs if time else np.nan for time in row] for row in found], dtype=float
    )


def _arms(names: Sequence[str], ranks: Scores, ratios: Scores) -> tuple[ArmAcross, ...]:
    if not len(ranks):
        return tuple(
            ArmAcross(arm=name, mean_rank=np.nan, wins=0, profile_score=np.nan) for name in names
        )
    best = ranks == ranks.min(axis=1, keepdims=True)
    found = [
        ArmAcross(
            arm=name,
            mean_rank=float(ranks[:, place].mean()),
            wins=int(best[:, place].sum()),
            profile_score=profile_score(ratios[:, place]),
        )
        for place, name in enumerate(names)
    ]
    return tuple(sorted(found, key=lambda arm: arm.mean_rank))


def _pairs(
    ranked: Sequence[str], names: Sequence[str], ranks: Scores, test: RankTest | None
) -> tuple[PairAcross, ...]:
    if not len(ranks):
        return ()
    mean = dict(zip(names, ranks.mean(axis=0).tolist(), strict=True))
    return tuple(
        _pair(a, b, mean[b] - mean[a], ranks.shape, test) for a, b in combinations(ranked, 2)
    )


def _pair(
    a: str, b: str, difference: float, shape: tuple[int, ...], test: RankTest | None
) -> PairAcross:
    num_workloads, num_arms = shape
    p = np.nan
    if test is not None:
        is_only = num_arms == 2  # noqa: PLR2004 - the pair is all there is
        p = test.p if is_only else nemenyi_p(difference, num_arms, num_workloads)
    shown = test is not None and difference > 0 and test.p < ALPHA and p < ALPHA
    core = (
        f"{a} ranks above {b}"
        if shown
        else f"No difference in rank shown between {a} and {b}"
        if test is not None
        else f"Observed of {a} and {b}"
    )
    evidence = "" if test is None else f", {p_value(p)} over all pairs"
    return PairAcross(
        a=a,
        b=b,
        rank_difference=difference,
        p=p,
        shown=shown,
        sentence=(
            f"{core}: mean ranks differ by {number(difference)}{evidence}, on these"
            f" {plural(num_workloads, 'workload')}."
        ),
    )


def _headline(
    names: Sequence[str], num_counted: int, pairs: Sequence[PairAcross], test: RankTest | None
) -> str:
    if len(names) < 2:  # noqa: PLR2004 - nothing to compare
        return "No comparison: the studies have fewer than two arms in common."
    if test is None:
        return (
            f"No verdict across workloads: {num_counted} of at least {MIN_WORKLOADS} needed"
            " workloads count; see each study's own verdict."
        )
    shown = [f"{pair.a} ranks above {pair.b}" for pair in pairs if pair.shown]
    if not shown:
        return f"No difference in rank shown between {join(names)} on these workloads."
    return f"{join(shown)}, on these {num_counted} workloads."


def _notes(
    comparisons: Sequence[Comparison], counted: Sequence[Comparison], names: Sequence[str]
) -> list[str]:
    left_out = [one.study.name for one in comparisons if one not in counted]
    found = [CHOSEN, MEANS_ONLY]
    if left_out:
        found.append(
            f"Not counted, because not all of {join(names)} were confirmed on enough seeds:"
            f" {join(left_out)}."
        )
    hashes = [one.study.config_hash for one in counted]
    if len(set(hashes)) < len(hashes):
        found.append("Some studies have the same settings: they are no workloads of their own.")
    return found
