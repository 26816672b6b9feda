"""A mean score or difference, the parts of its standard error, and intervals within bounds.

Axes: U units (confirmation seeds, or searches), G groups of test samples.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import special

from bakeoff.analysis.statistics import UNKNOWN, Interval, Scores, standard_deviation

MIN_FOR_INTERVAL = 4
"""Below four values a t interval is wider than anything that it could tell."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean over units with its standard error."""

    mean: float
    sd: float
    """Standard deviation over units (unpaired: of one arm, pooled over both)."""
    unit_error: float
    """Standard error over units; NaN with fewer than two."""
    unit_degrees: float
    num_units: int
    """Units (of the arm with fewer)."""
    overlap: float = 0.0
    """Variance over units that more units do not reduce, in squares of `sd`."""
    example_error: float = math.nan
    """Standard error over test samples beyond what `unit_error` holds; NaN if it is not known."""
    example_degrees: float = 1.0

    @property
    def error(self) -> float:
        """Both parts together."""
        return math.hypot(self.unit_error, max(0.0, self.example_error))

    @property
    def lasting_error(self) -> float:
        """The part of the error that more units do not reduce."""
        return math.hypot(math.sqrt(self.overlap) * self.sd, max(0.0, self.example_error))

    @property
    def degrees(self) -> float:
        """Degrees of freedom of `error`.

        Source: Satterthwaite 1946.
        """
        parts = (
            (self.unit_error**2, self.unit_degrees),
            (max(0.0, self.example_error) ** 2, self.example_degrees),
        )
        spread = sum(part**2 / degrees for part, degrees in parts)
        return sum(part for part, _ in parts) ** 2 / spread if spread > 0 else self.unit_degrees

    def half_width(self, level: float) -> float:
        """Half the width of the t interval, never below that of the interval over units alone."""
        over_units = t_quantile(level, self.unit_degrees) * self.unit_error
        return max(over_units, t_quantile(level, self.degrees) * self.error)

    def interval(self, level: float, bounds: Interval) -> Interval:
        """The t interval within `bounds`; NaN with fewer than four units."""
        if self.num_units < MIN_FOR_INTERVAL:
            return UNKNOWN
        return bounded_interval(self.mean, self.half_width(level), bounds)

    def equality_p(self, delta: float) -> float:
        """P value of two one-sided t tests against a mean outside `[-delta, delta]`.

        A small value means practically equal. It is NaN where `delta` is not positive or the error
        is unknown, and 0 or 1 where the error is zero.

        Source: Schuirmann 1987; over units alone it equals
        `statsmodels.stats.weightstats.ttost_paired` and `ttost_ind`.
        """
        if not delta > 0 or math.isnan(self.error):
            return math.nan
        if self.error == 0:
            return 0.0 if abs(self.mean) < delta else 1.0
        gap = delta - abs(self.mean)
        ways = ((self.unit_degrees, self.unit_error), (self.degrees, self.error))
        return max(t_tail(gap / error, degrees) for degrees, error in ways if error > 0)


NO_ESTIMATE = Estimate(
    mean=math.nan, sd=math.nan, unit_error=math.nan, unit_degrees=1.0, num_units=0
)
"""Of scores that there are none of."""


def bounded_interval(mean: float, half_width: float, bounds: Interval) -> Interval:
    """The interval `mean` +/- `half_width`, transformed so that it lies within `bounds`.

    Between two finite bounds it is symmetric on the logit scale, with one finite bound on the log
    scale of the distance to it, and without any as it is. Where the half-width is small, all three
    agree. A mean at a bound has no interval on such a scale; then the interval ends there.

    Source: the delta method; Brown, Cai and DasGupta 2001, section 4.1.3 (logit interval).
    """
    if math.isnan(half_width) or half_width == 0:
        return (mean, mean) if half_width == 0 else UNKNOWN
    low, high = bounds
    above, below = mean - low, high - mean
    if math.isinf(above) and math.isinf(below):
        return mean - half_width, mean + half_width
    if not (above > 0 and below > 0):
        return max(low, mean - half_width), min(high, mean + half_width)
    if math.isinf(below):
        return low + above * _exp(-half_width / above), low + above * _exp(half_width / above)
    if math.isinf(above):
        return high - below * _exp(half_width / below), high - below * _exp(-half_width / below)
    width, step = high - low, half_width * (1 / above + 1 / below)
    odds = math.log(above / below)
    return low + width * float(special.expit(odds - step)), low + width * float(
        special.expit(odds + step)
    )


def estimate_mean(values: Scores, *, overlap: float = 0.0) -> Estimate:
    """The mean of `values` [U] over units.

    Args:
        values: At least one.
        overlap: Samples that a unit did not train on, per sample that it trained on, if every unit
            drew its training samples anew from one pool; otherwise 0.

    Source: Student 1908; Nadeau and Bengio 2003, section 3 (corrected resampled t: variance times
    1/U + overlap, because training sets that overlap make scores alike).
    """
    num, sd = len(values), standard_deviation(values)
    return Estimate(
        mean=float(np.mean(values)),
        sd=sd,
        unit_error=sd * math.sqrt(1 / num + overlap),
        unit_degrees=max(1, num - 1),
        num_units=num,
        overlap=overlap,
    )


def estimate_difference(a: Scores, b: Scores, *, overlap: float = 0.0) -> Estimate:
    """Mean of `a` [U_a] minus mean of `b` [U_b] over different units.

    Source: Welch 1947.
    """
    of_a, of_b = (estimate_mean(values, overlap=overlap) for values in (a, b))
    squares = of_a.unit_error**2, of_b.unit_error**2
    spread = squares[0] ** 2 / of_a.unit_degrees + squares[1] ** 2 / of_b.unit_degrees
    return Estimate(
        mean=of_a.mean - of_b.mean,
        sd=math.sqrt((of_a.sd**2 + of_b.sd**2) / 2),
        unit_error=math.sqrt(sum(squares)),
        unit_degrees=sum(squares) ** 2 / spread if spread > 0 else 1.0,
        num_units=min(len(a), len(b)),
        overlap=overlap,
    )


@lru_cache(maxsize=4096)
def t_quantile(level: float, degrees: float) -> float:
    """Half the width of an interval of this level in standard errors; `stats.t.ppf`, but quick."""
    return float(special.stdtrit(degrees, (1 + level) / 2))


def t_tail(t: float, degrees: float) -> float:
    """Probability of a larger t."""
    return float(special.stdtr(degrees, -t))


def _exp(power: float) -> float:
    return math.exp(power) if power < 700 else math.inf  # noqa: PLR2004 - the largest float's log
