"""Several studies of the same arms: does a difference hold across workloads (level L3)?"""

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
from bakeoff.records.significance import ALPHA

MIN_WORKLOADS = 6
"""With fewer workloads a test has too little power, so no test is made."""
MIN_PROFILED = 3
"""With fewer workloads no performance profile is drawn."""

CHOSEN = (
    "Every claim is about these workloads, which were chosen and not drawn from all workloads there"
    " are."
)
MEANS_ONLY = (
    "A rank uses the confirmed mean as it is, whether or not its difference was shown within the"
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
    """P of Nemenyi's test over all pairs, of Wilcoxon's for two arms; NaN below six workloads."""
    shown: bool
    sentence: str


@dataclass(frozen=True, kw_only=True, eq=False)
class AcrossWorkloads:
    """The comparison across studies. Axes: W workloads that count, M arms that all have."""

    comparisons: tuple[Comparison, ...]
    """All given studies."""
    arm_names: tuple[str, ...]
    """Arms that all studies have, in the order of the first study."""
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
    """Rank the arms that all studies have, and test the ranks if six or more workloads count.

    A study counts if all common arms were confirmed on enough seeds for a verdict. Its workload is
    its model and data, so studies should differ in them. The notes name studies that do not count.
    """
    known = [{arm.name for arm in one.study.arms} for one in comparisons]
    first = comparisons[0].study.arms if comparisons else ()
    names = tuple(arm.name for arm in first if all(arm.name in own for own in known))
    counted = [one for one in comparisons if len(names) > 1 and _counts(one, names)]
    scores, times = np.full((2, len(counted), len(names)), np.nan)
    for row, one in enumerate(counted):
        summaries = {arm.arm: arm for arm in one.arms}
        for column, arm in enumerate(map(summaries.__getitem__, names)):
            found = arm.over_searches.mean if arm.over_searches else None
            if found is None and arm.confirmed:
                found = arm.confirmed.test_mean
            if found is not None:
                scores[row, column] = one.study.objective.sign * found
            if arm.time_to_target:
                times[row, column] = arm.time_to_target.median_epochs
    ranks, ratios = (ranks_of(scores), time_ratios(times)) if counted else (scores, times)
    enough = len(counted) >= MIN_WORKLOADS
    test = rank_test(scores) if enough else None
    arms = _arms(names, ranks, ratios)
    pairs = tuple(
        _pair(a, b, len(counted), len(names), test) for a, b in combinations(arms, 2) if counted
    )
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


def _counts(comparison: Comparison, names: Sequence[str]) -> bool:
    """Whether all arms have enough confirmation seeds, or at level L2 enough searches."""
    arms = {arm.arm: arm for arm in comparison.arms}

    def num_units(arm: ArmSummary) -> int:
        return len(arm.over_searches.scores) if arm.over_searches else arm.num_seeds

    return comparison.level != "L0" and all(
        num_units(arms[name]) >= comparison.min_seeds for name in names
    )


def _arms(names: Sequence[str], ranks: Scores, ratios: Scores) -> tuple[ArmAcross, ...]:
    is_best = ranks == ranks.min(axis=1, keepdims=True, initial=np.inf)
    found = [
        ArmAcross(
            arm=name,
            mean_rank=float(ranks[:, place].mean()) if len(ranks) else np.nan,
            wins=int(is_best[:, place].sum()),
            profile_score=profile_score(ratios[:, place]) if len(ranks) else np.nan,
        )
        for place, name in enumerate(names)
    ]
    return tuple(sorted(found, key=lambda arm: arm.mean_rank))


def _pair(
    a: ArmAcross, b: ArmAcross, num_workloads: int, num_arms: int, test: RankTest | None
) -> PairAcross:
    difference, p = b.mean_rank - a.mean_rank, np.nan
    if test is not None:
        is_only_pair = num_arms == 2  # noqa: PLR2004
        p = test.p if is_only_pair else nemenyi_p(difference, num_arms, num_workloads)
    shown = test is not None and difference > 0 and test.p < ALPHA and p < ALPHA
    core, evidence = f"Observed for {a.arm} and {b.arm}", ""
    if test is not None:
        core = f"No difference in rank was shown between {a.arm} and {b.arm}"
        evidence = f", {p_value(p)} over all pairs"
    if shown:
        core = f"{a.arm} ranks above {b.arm}"
    return PairAcross(
        a=a.arm,
        b=b.arm,
        rank_difference=difference,
        p=p,
        shown=shown,
        sentence=(
            f"{core}: the mean ranks differ by {number(difference)}{evidence}, on these"
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
        return f"No difference in rank was shown between {join(names)} on these workloads."
    return f"{join(shown)}, on these {num_counted} workloads."


def _notes(
    comparisons: Sequence[Comparison], counted: Sequence[Comparison], names: Sequence[str]
) -> list[str]:
    left_out = [one.study.name for one in comparisons if one not in counted]
    found = [CHOSEN, MEANS_ONLY]
    if left_out:
        found.append(
            f"These studies are not counted, because not all of {join(names)} were confirmed on"
            f" enough seeds: {join(left_out)}."
        )
    hashes = [one.study.config_hash for one in counted]
    if len(set(hashes)) < len(hashes):
        found.append("Some studies have the same settings, so they are not different workloads.")
    return found
