"""Every pair of arms: paired statistics, corrected for the number of pairs, and a status."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import numpy.typing as npt

from bakeoff.analysis.confirmation import ConfirmedRuns
from bakeoff.analysis.statistics import (
    UNKNOWN,
    Difference,
    Scores,
    detectable_difference,
    detectable_unpaired_difference,
    equality_p,
    holm,
    num_pairs_of,
    paired_difference,
    seeds_to_decide,
    unpaired_difference,
    wilson_interval,
    win_share,
)
from bakeoff.records import PairResult, Status
from bakeoff.records.significance import ALPHA, min_confirmation_seeds

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """Scores of two arms, signed so that higher is better; in the order of seeds where paired."""

    a: Scores
    """[K], or [K_a] where unpaired."""
    b: Scores
    """[K], or [K_b] where unpaired."""
    a_diverged: Mask
    b_diverged: Mask
    paired: bool

    @property
    def num_seeds(self) -> int:
        """Seeds on which both arms were run; where unpaired, the seeds of the arm with fewer."""
        return min(len(self.a), len(self.b))

    @property
    def diverged(self) -> bool:
        """Whether any of the runs diverged."""
        return bool(self.a_diverged.any() or self.b_diverged.any())

    @property
    def mean_without_diverged(self) -> float:
        """Mean difference without diverged runs (paired: without their seeds); NaN without any."""
        if self.paired:
            kept = ~(self.a_diverged | self.b_diverged)
            a, b = self.a[kept], self.b[kept]
        else:
            a, b = self.a[~self.a_diverged], self.b[~self.b_diverged]
        return float(np.mean(a) - np.mean(b)) if len(a) and len(b) else math.nan


@dataclass(frozen=True, kw_only=True, eq=False)
class Pair:
    """A pair of arms: their scores and the result of comparing them."""

    sample: Sample
    result: PairResult

    @property
    def winner(self) -> str | None:
        """The arm that was shown to be better; None if neither was."""
        return self.result.winner

    @property
    def loser(self) -> str | None:
        """The arm that was shown to be worse; None if neither was."""
        return self.result.loser

    @property
    def names(self) -> tuple[str, str]:
        """Both arms."""
        return self.result.a, self.result.b


def compare_pairs(
    arms: Sequence[str],
    runs: Mapping[str, ConfirmedRuns],
    *,
    sign: int,
    delta: float,
    blocked: bool,
) -> tuple[Pair, ...]:
    """All pairs of `arms`, in order; p values and intervals hold for all pairs together.

    Pairs with an arm that was not confirmed count among the m pairs. Sentences stay empty.

    Args:
        arms: Every arm of the study, in the order of the report.
        runs: Confirmed runs by arm.
        sign: +1 where higher is better, -1 where lower is.
        delta: Smallest difference that matters; NaN if unknown.
        blocked: Whether a flag forbids any claim; every status is then `not_enough_data`.

    Source: Holm 1979 over all pairs, because the leader is chosen from the same scores;
    Bonferroni for the intervals.
    """
    samples = {
        (a, b): collect_sample(runs.get(a), runs.get(b), sign) for a, b in combinations(arms, 2)
    }
    results = [_measure(a, b, sample, len(arms), delta) for (a, b), sample in samples.items()]
    p_holm = holm(np.array([result.p for result in results])).tolist()
    equality_holm = holm(np.array([result.equality_p for result in results])).tolist()
    needed = math.inf if blocked else min_confirmation_seeds(len(arms))
    adjusted = (
        Pair(sample=sample, result=replace(result, p_holm=p, equality_p=equality))
        for sample, result, p, equality in zip(
            samples.values(), results, p_holm, equality_holm, strict=True
        )
    )
    return tuple(
        replace(pair, result=replace(pair.result, status=decide_status(pair, needed, delta)))
        for pair in adjusted
    )


def collect_sample(a: ConfirmedRuns | None, b: ConfirmedRuns | None, sign: int) -> Sample:
    """Scores of two arms on their common seeds, or on all of their seeds where none is common."""
    if a is None or b is None:
        nothing, nobody = np.empty(0), np.empty(0, dtype=bool)
        return Sample(a=nothing, b=nothing, a_diverged=nobody, b_diverged=nobody, paired=True)
    common = sorted(set(a.seeds) & set(b.seeds))
    at_a = [a.seeds.index(seed) for seed in common] or list(range(len(a.seeds)))
    at_b = [b.seeds.index(seed) for seed in common] or list(range(len(b.seeds)))
    return Sample(
        a=sign * a.test[at_a],
        b=sign * b.test[at_b],
        a_diverged=a.diverged[at_a],
        b_diverged=b.diverged[at_b],
        paired=bool(common),
    )


def leading_group(
    ranked: Sequence[str], runs: Mapping[str, ConfirmedRuns], pairs: Sequence[Pair], needed: int
) -> tuple[str, ...]:
    """Arms with enough confirmation runs that no other arm was shown to beat, in `ranked` order.

    Empty if no pair could be compared, or if arms beat each other in a circle, which can only
    happen if the pairs have different seeds.

    Source: Bouthillier et al. 2021, section 6 (highlight all procedures within the bounds).
    """
    if all(pair.result.status == "not_enough_data" for pair in pairs):
        return ()
    eligible = [arm for arm in ranked if arm in runs and len(runs[arm].seeds) >= needed]
    beaten = {pair.loser for pair in pairs}
    return tuple(arm for arm in eligible if arm not in beaten)


def decide_status(pair: Pair, needed: float, delta: float) -> Status:
    """The status of a pair whose p values are adjusted.

    Where a run diverged, Student's t does not hold. An arm is then better if the sign-flip test
    and the interval of its win share both say so, and nothing is said about the size.

    Source: Bouthillier et al. 2021, section 4 (win share); Schuirmann 1987 (equality).
    """
    result, diverged = pair.result, pair.sample.diverged
    if pair.sample.num_seeds < needed:
        return "not_enough_data"
    if result.p_holm < ALPHA:
        low, high = result.win_ci if diverged else result.ci
        middle = 0.5 if diverged else 0.0
        if result.mean > 0 and low > middle:
            return "clearly_better" if low >= delta and not diverged else "better"
        if result.mean < 0 and high < middle:
            return "clearly_better" if -high >= delta and not diverged else "better"
    return "practically_equal" if result.equality_p < ALPHA else "no_difference_shown"


def _measure(a: str, b: str, sample: Sample, num_arms: int, delta: float) -> PairResult:
    """All numbers of a pair; its p values are not yet adjusted."""
    alpha = ALPHA / num_pairs_of(num_arms)
    one, other, num = sample.a, sample.b, sample.num_seeds
    difference = Difference(mean=math.nan, sd=math.nan, ci=UNKNOWN, p=math.nan)
    wins, win_ci, detectable, equality = math.nan, UNKNOWN, math.nan, math.nan
    needed = None
    if num and sample.paired:
        difference = paired_difference(one, other, 1 - alpha)
        wins = win_share(one, other)
        win_ci = wilson_interval(wins, num)
        detectable = detectable_difference(difference.sd, num, alpha)
        least = min_confirmation_seeds(num_arms)
        needed = seeds_to_decide(difference.mean, difference.sd, alpha, least)
    elif num:
        difference = unpaired_difference(one, other, 1 - alpha)
        wins = win_share(one[:, None], other[None, :])  # over all pairs of runs
        detectable = detectable_unpaired_difference(difference.sd, len(one), len(other), alpha)
    if sample.diverged:  # Student's t does not hold
        difference, detectable, needed = replace(difference, ci=UNKNOWN), math.nan, None
    else:
        equality = equality_p(one, other, delta, paired=sample.paired)
    return PairResult(
        a=a,
        b=b,
        num_pairs=num if sample.paired else 0,
        status="not_enough_data",
        mean=difference.mean,
        ci=difference.ci,
        p=difference.p,
        p_holm=math.nan,
        win_share=wins,
        win_ci=win_ci,
        detectable=detectable,
        equality_p=equality,
        sentence="",
        seeds_to_decide=needed,
    )
