"""Every pair of arms: paired statistics, corrected for the number of pairs, and a status."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bakeoff.analysis.confirmation import ConfirmedRuns
from bakeoff.analysis.design import NO_DESIGN, Design
from bakeoff.analysis.estimates import NO_ESTIMATE, Estimate
from bakeoff.analysis.failures import failure_limit, failure_p
from bakeoff.analysis.power import (
    detectable_difference,
    detectable_unpaired_difference,
    seeds_to_decide,
)
from bakeoff.analysis.samples import Sample, collect_samples, first_runs
from bakeoff.analysis.statistics import (
    UNKNOWN,
    Interval,
    holm,
    num_pairs_of,
    permutation_p,
    sign_flip_p,
    wilson_interval,
    win_share,
)
from bakeoff.records import PairResult, Status
from bakeoff.records.significance import alpha_at, min_confirmation_seeds


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
    design: Design = NO_DESIGN,
) -> tuple[Pair, ...]:
    """All pairs of `arms`, in order; p values and intervals hold for all pairs together.

    Pairs with an arm that was not confirmed count among the m pairs. Sentences stay empty.

    Args:
        arms: Every arm of the study, in the order of the report.
        runs: What each arm is compared by: one run for each confirmation seed, or for each search.
        sign: +1 where higher is better, -1 where lower is.
        delta: Smallest difference that matters; NaN if unknown.
        blocked: Whether a flag forbids any claim; every status is then `not_enough_data`.
        design: Bounds, test set, splits and looks of the study.

    Source: Holm 1979 over all pairs, because the leader is chosen from the same scores;
    Bonferroni for the intervals.
    """
    samples = collect_samples(arms, runs, sign, delta)
    alpha = alpha_at(
        design.looks, max((sample.num_seeds for sample in samples.values()), default=0), len(arms)
    )
    results = [
        _measure(names, sample, len(arms), delta, alpha, design)
        for names, sample in samples.items()
    ]
    adjusted = zip(
        *(
            holm(np.array([getattr(result, key) for result in results])).tolist()
            for key in ("p", "equality_p", "failure_p")
        ),
        strict=True,
    )
    needed = math.inf if blocked else min_confirmation_seeds(len(arms))
    pairs = []
    for sample, result, (p, equality, failure) in zip(
        samples.values(), results, adjusted, strict=True
    ):
        tested = replace(result, p_holm=p, equality_p=equality, failure_p=failure)
        status = decide_status(Pair(sample=sample, result=tested), needed, delta)
        pairs.append(Pair(sample=sample, result=replace(tested, status=status)))
    if not design.read_at or blocked:
        return tuple(pairs)
    first = {arm: first_runs(found, min(design.read_at)) for arm, found in runs.items()}
    then = compare_pairs(
        arms, first, sign=sign, delta=delta, blocked=False, design=replace(design, read_at=())
    )
    return tuple(map(_mark_new, pairs, then))


def _mark_new(pair: Pair, then: Pair) -> Pair:
    """Whether a pair claims a winner, or equality, that it did not claim `then`."""
    equal = "practically_equal"
    is_new = (pair.winner is not None and pair.winner != then.winner) or (
        pair.result.status == equal != then.result.status
    )
    return replace(pair, result=replace(pair.result, new_since_reading=is_new))


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

    An arm is better if the sign-flip test and the interval over seeds and test samples both say so.
    Where a run failed, Student's t does not hold: the interval of the win share then takes its
    place, nothing is said about the size, an arm that fails more often than the other is not
    better, and no arms are equal.

    Source: Bouthillier et al. 2021, section 4 (win share); Schuirmann 1987 (equality); Boschloo
    1970 (failures).
    """
    result, alpha = pair.result, pair.result.alpha
    if pair.sample.num_seeds < needed:
        return "not_enough_data"
    if pair.sample.failed:
        return "better" if _is_better_despite_failures(pair) else "no_difference_shown"
    if result.p_holm < alpha:
        low, high = result.ci
        if result.mean > 0 and low > 0:
            return "clearly_better" if low >= delta else "better"
        if result.mean < 0 and high < 0:
            return "clearly_better" if -high >= delta else "better"
    return "practically_equal" if result.equality_p < alpha else "no_difference_shown"


def _is_better_despite_failures(pair: Pair) -> bool:
    result, sample = pair.result, pair.sample
    low, high = result.win_ci
    a_is_ahead = result.mean > 0
    is_shown = result.p_holm < result.alpha and (low > 0.5 if a_is_ahead else high < 0.5)  # noqa: PLR2004 - half of the seeds
    shares = float(np.mean(sample.a_failed)), float(np.mean(sample.b_failed))
    ahead, behind = shares if a_is_ahead else shares[::-1]
    fails_more = result.failure_p < result.alpha and ahead > behind
    return is_shown and not fails_more


@dataclass(frozen=True, kw_only=True)
class _Tests:
    """What is computed in one way over common units and in another over different ones."""

    p: float
    win_share: float
    win_ci: Interval = UNKNOWN
    detectable: float = math.nan
    seeds_to_decide: int | None = None


def _measure(
    names: tuple[str, str],
    sample: Sample,
    num_arms: int,
    delta: float,
    alpha: float,
    design: Design,
) -> PairResult:
    """All numbers of a pair; its p values are not yet adjusted."""
    num, sizes = sample.num_seeds, (len(sample.a), len(sample.b))
    tests = _Tests(p=math.nan, win_share=math.nan)
    estimate = NO_ESTIMATE
    if num:
        estimate = sample.estimate(design)
        tests = (_test_paired if sample.paired else _test_unpaired)(
            sample, estimate, num_arms, alpha
        )
    counts = int(sample.a_failed.sum()), int(sample.b_failed.sum())
    without = [size for count, size in zip(counts, sizes, strict=True) if size and not count]
    by_t, widest = not sample.failed, design.bounds[1] - design.bounds[0]
    level = 1 - alpha / num_pairs_of(num_arms)
    return PairResult(
        a=names[0],
        b=names[1],
        num_pairs=num if sample.paired else 0,
        num_units=sizes,
        status="not_enough_data",
        alpha=alpha,
        mean=estimate.mean,
        ci=estimate.interval(level, (-widest, widest)) if by_t else UNKNOWN,
        p=tests.p,
        p_holm=math.nan,
        win_share=tests.win_share,
        win_ci=tests.win_ci,
        unit_error=estimate.unit_error,
        example_error=estimate.example_error,
        detectable=tests.detectable if by_t else math.nan,
        seeds_to_decide=tests.seeds_to_decide if by_t else None,
        equality_p=estimate.equality_p(delta) if by_t else math.nan,
        failed=counts,
        failure_limit=failure_limit(min(without)) if without else math.nan,
        failure_p=failure_p(counts[0], sizes[0], counts[1], sizes[1]),
        sentence="",
    )


def _test_paired(sample: Sample, estimate: Estimate, num_arms: int, alpha: float) -> _Tests:
    num, wins, lasting = sample.num_seeds, win_share(sample.a, sample.b), estimate.lasting_error
    return _Tests(
        p=sign_flip_p(sample.differences),
        win_share=wins,
        win_ci=wilson_interval(wins, num),
        detectable=detectable_difference(estimate.sd, num, num_arms, alpha, lasting_error=lasting),
        seeds_to_decide=seeds_to_decide(
            estimate.mean, estimate.sd, num_arms, lasting_error=lasting
        ),
    )


def _test_unpaired(sample: Sample, estimate: Estimate, num_arms: int, alpha: float) -> _Tests:
    level = alpha / num_pairs_of(num_arms)
    return _Tests(
        p=permutation_p(sample.a, sample.b),
        win_share=win_share(sample.a[:, None], sample.b[None, :]),  # over all pairs of runs
        detectable=detectable_unpaired_difference(estimate.sd, len(sample.a), len(sample.b), level),
    )
