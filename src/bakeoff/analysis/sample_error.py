"""The test set is a sample too: the error of scores and differences over its samples.

Axes: U units (confirmation seeds, or searches), G groups of test samples.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bakeoff.analysis.estimates import Estimate
from bakeoff.analysis.statistics import Scores

MIN_UNITS, MIN_GROUPS = 2, 10
"""Fewer units cannot tell the error over samples from that over units."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TestSamples:
    """Scores of one arm on the whole test set and without each group of its samples."""

    __test__ = False  # not a test of pytest

    scores: Scores
    """[U]"""
    without: Scores
    """[U, G]; sample i is in group i % G."""

    def minus(self, other: "TestSamples") -> "TestSamples":
        """The paired differences of two arms."""
        return TestSamples(scores=self.scores - other.scores, without=self.without - other.without)

    @property
    def usable(self) -> bool:
        """Whether there are enough units and groups, and every score is known."""
        units, groups = self.without.shape
        return units >= MIN_UNITS and groups >= MIN_GROUPS and bool(np.isfinite(self.without).all())


def with_sample_error(
    estimate: Estimate, parts: Sequence[TestSamples], num_samples: int | None
) -> Estimate:
    """`estimate` with the part of its error that comes from the choice of test samples.

    The delete-a-group jackknife estimates the variance over samples of the mean over units. Of it,
    the part in which samples act differently on every unit is also in the spread over units, so it
    is subtracted (as in the variance of a mean over two crossed factors).

    Args:
        estimate: Of the mean over units.
        parts: The scores that it is made of: one for a mean or a paired difference, two (the second
            is subtracted) for a difference over different units.
        num_samples: Samples of the test set; None counts all groups as equally large.

    Source: Busing, Meijer and van der Leeden 1999 (jackknife with unequal groups); Owen 2007,
    section 3 (two crossed factors); Satterthwaite 1946 (degrees of freedom).
    """
    groups = parts[0].without.shape[1] if parts else 0
    if not parts or not all(part.usable and part.without.shape[1] == groups for part in parts):
        return estimate
    pseudo = [pseudo_values(part, num_samples) for part in parts]
    together = pseudo[0].mean(axis=0) - (pseudo[1].mean(axis=0) if len(pseudo) > 1 else 0.0)
    of_samples = _variance(together[None], num_samples)
    both = [_interaction(values, num_samples) for values in pseudo]
    own = max(0.0, of_samples - sum(both))
    # Satterthwaite's degrees of a difference of mean squares
    spread = of_samples**2 / (groups - 1) + sum(
        square**2 / ((len(values) - 1) * (groups - 1))
        for square, values in zip(both, pseudo, strict=True)
    )
    return replace(
        estimate,
        example_error=math.sqrt(own),
        example_degrees=max(1.0, own**2 / spread) if spread > 0 else 1.0,
    )


def pseudo_values(scores: TestSamples, num_samples: int | None) -> Scores:
    """Pseudo-values [U, G] of the jackknife: what each group of test samples contributes."""
    ratio = group_ratios(scores.without.shape[1], num_samples)
    return ratio * scores.scores[:, None] - (ratio - 1) * scores.without


def group_ratios(groups: int, num_samples: int | None) -> Scores:
    """Samples of the test set per sample of each group, [G]."""
    if not num_samples or num_samples < groups:
        return np.full(groups, float(groups))
    sizes = num_samples // groups + (np.arange(groups) < num_samples % groups)
    return np.asarray(num_samples / sizes, dtype=np.float64)


def _variance(pseudo: Scores, num_samples: int | None) -> float:
    """Jackknife variance of the mean of pseudo-values [U, G] over groups, summed over U."""
    ratio = group_ratios(pseudo.shape[1], num_samples)
    center = (pseudo / ratio).sum(axis=1, keepdims=True)
    return float(((pseudo - center) ** 2 / (ratio - 1)).mean(axis=1).sum())


def _interaction(pseudo: Scores, num_samples: int | None) -> float:
    """The part of the variance of the mean in which groups act differently on every unit."""
    units = len(pseudo)
    return _variance(pseudo - pseudo.mean(axis=0), num_samples) / (units * (units - 1))
