"""Numbers as people read them in tables; sentences are rounded by the same rule."""

import math
from collections.abc import Iterable
from statistics import median

from bakeoff.analysis.wording import number
from bakeoff.records.durations import format_duration

MISSING = "\u2013"
"""A dash: not measured, or not defined."""

INFINITE = "\u221e"
SMALLEST_P = 0.001


def number_text(value: float | None, half_width: float | None = None) -> str:
    """`value` rounded to two significant digits of that half-width; missing and NaN are a dash.

    Without a half-width, four significant digits.
    """
    if value is None or math.isnan(value):
        return MISSING
    if math.isinf(value):
        return INFINITE if value > 0 else f"-{INFINITE}"
    return number(value, math.nan if half_width is None else half_width)


def interval_text(ends: tuple[float, float], half_width: float | None = None) -> str:
    """`[low, high]`; a dash where an end is NaN, an infinity where it is unbounded."""
    if any(map(math.isnan, ends)):
        return MISSING
    low, high = (number_text(end, half_width) for end in ends)
    return f"[{low}, {high}]"


def median_half_width(intervals: Iterable[tuple[float, float]]) -> float | None:
    """Half-width by which a table's column is rounded, so that its decimals line up.

    The median of the intervals that are bounded and wider than 0; None if there is none.
    """
    widths = [(high - low) / 2 for low, high in intervals if 0 < high - low < math.inf]
    return median(widths) if widths else None


def share_text(share: float | None) -> str:
    """A share or a ratio with two decimals."""
    return number_text(share) if share is None or not math.isfinite(share) else f"{share:.2f}"


def p_text(p: float | None) -> str:
    """A p value with two significant digits."""
    if p is None or math.isnan(p):
        return MISSING
    return f"{p:.2g}" if p >= SMALLEST_P else f"< {SMALLEST_P}"


def duration_text(seconds: float | None) -> str:
    """Seconds as in `format_duration`; a sign where there is no finite number."""
    if seconds is None or not math.isfinite(seconds):
        return number_text(seconds)
    return format_duration(seconds)
