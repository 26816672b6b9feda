"""The scores that every pair of arms is compared on."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations

import numpy as np

from bakeoff.analysis.confirmation import ConfirmedRuns
from bakeoff.analysis.design import Design
from bakeoff.analysis.estimates import Estimate, estimate_difference, estimate_mean
from bakeoff.analysis.failures import Mask, find_collapses
from bakeoff.analysis.sample_error import TestSamples, with_sample_error
from bakeoff.analysis.statistics import ROUNDING, Scores, paired_differences


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """Scores of two arms, signed so that higher is better; in the order of seeds where paired."""

    a: Scores
    """[K], or [K_a] where unpaired."""
    b: Scores
    """[K], or [K_b] where unpaired."""
    a_diverged: Mask
    b_diverged: Mask
    a_failed: Mask
    """Runs that diverged or collapsed."""
    b_failed: Mask
    a_without: Scores
    """Scores without each group of test samples, [K, G]; G is 0 where they are not known."""
    b_without: Scores
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
    def failed(self) -> bool:
        """Whether any of the runs diverged or collapsed, so that Student's t does not hold."""
        return bool(self.a_failed.any() or self.b_failed.any())

    @property
    def mean_without_diverged(self) -> float:
        """Mean difference without failed runs (paired: without their seeds); NaN without any."""
        if self.paired:
            kept = ~(self.a_failed | self.b_failed)
            a, b = self.a[kept], self.b[kept]
        else:
            a, b = self.a[~self.a_failed], self.b[~self.b_failed]
        return float(np.mean(a) - np.mean(b)) if len(a) and len(b) else math.nan

    @cached_property
    def differences(self) -> Scores:
        """Paired differences [K]."""
        return paired_differences(self.a, self.b)

    def estimate(self, design: Design) -> Estimate:
        """The mean difference and both parts of its error."""
        a = TestSamples(scores=self.a, without=self.a_without)
        b = TestSamples(scores=self.b, without=self.b_without)
        is_known = design.one_test_set and self.a_without.shape[1] == self.b_without.shape[1] > 0
        if self.paired:
            estimate = estimate_mean(self.differences, overlap=design.overlap)
            if abs(estimate.mean) <= ROUNDING * max(np.max(np.abs(self.a)), np.max(np.abs(self.b))):
                estimate = replace(estimate, mean=0.0)
            parts = [a.minus(b)] if is_known else []
        else:
            estimate = estimate_difference(self.a, self.b, overlap=design.overlap)
            parts = [a, b] if is_known else []
        return with_sample_error(estimate, parts, design.num_test)


def collect_samples(
    arms: Sequence[str], runs: Mapping[str, ConfirmedRuns], sign: int, delta: float
) -> dict[tuple[str, str], Sample]:
    """The scores of every pair of arms."""
    confirmed = [arm for arm in arms if arm in runs]
    collapses = find_collapses([sign * runs[arm].test for arm in confirmed], delta)
    failed = {
        arm: collapsed | runs[arm].diverged
        for arm, collapsed in zip(confirmed, collapses, strict=True)
    }
    return {
        (a, b): _collect(runs[a], runs[b], failed[a], failed[b], sign)
        if a in failed and b in failed
        else EMPTY_SAMPLE
        for a, b in combinations(arms, 2)
    }


def _collect(
    a: ConfirmedRuns, b: ConfirmedRuns, a_failed: Mask, b_failed: Mask, sign: int
) -> Sample:
    """Scores of two arms on their common seeds, or on all of their seeds where none is common."""
    place_a, place_b = ({seed: place for place, seed in enumerate(runs.seeds)} for runs in (a, b))
    common = sorted(place_a.keys() & place_b.keys())
    at_a = [place_a[seed] for seed in common] or list(range(len(place_a)))
    at_b = [place_b[seed] for seed in common] or list(range(len(place_b)))
    return Sample(
        a=sign * a.test[at_a],
        b=sign * b.test[at_b],
        a_diverged=a.diverged[at_a],
        b_diverged=b.diverged[at_b],
        a_failed=a_failed[at_a],
        b_failed=b_failed[at_b],
        a_without=sign * a.without[at_a],
        b_without=sign * b.without[at_b],
        paired=bool(common),
    )


def _nothing(*shape: int) -> Scores:
    return np.empty(shape)


EMPTY_SAMPLE = Sample(
    a=_nothing(0), b=_nothing(0),
    a_diverged=_nothing(0) > 0, b_diverged=_nothing(0) > 0,
    a_failed=_nothing(0) > 0, b_failed=_nothing(0) > 0,
    a_without=_nothing(0, 0), b_without=_nothing(0, 0), paired=True,
)  # fmt: skip
"""Of a pair with an arm that was not confirmed."""


def first_runs(runs: ConfirmedRuns, num: int) -> ConfirmedRuns:
    """The `num` runs of an arm that were begun first, in the order of their seeds."""
    earliest = sorted(range(len(runs.runs)), key=lambda place: runs.runs[place].number)[:num]
    kept = sorted(earliest)
    return replace(
        runs,
        runs=tuple(runs.runs[place] for place in kept),
        test=runs.test[kept],
        diverged=runs.diverged[kept],
    )
