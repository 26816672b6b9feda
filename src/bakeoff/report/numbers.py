"""Numbers as people read them: as many digits as the interval supports, and never more."""

import math
from collections.abc import Iterable
from statistics import median

SIGNIFICANT = 4
"""Digits of a number that no interval belongs to."""

MAX_DECIMALS = 10
MISSING = "\u2013"
"""A dash: not measured, or not defined."""

MINUTE, HOUR = 60, 3600


def decimals_for(half_width: float | None) -> int | None:
    """Decimals that show two significant digits of an interval's half-width.

    None where the half-width is missing, zero, NaN or infinite: it supports no rounding.
    """
    if half_width is None or not math.isfinite(half_width) or half_width <= 0:
        return None
    return min(MAX_DECIMALS, max(0, 1 - math.floor(math.log10(half_width))))


def half_width(low: float | None, high: float | None) -> float | None:
    """Half the width of an interval; None where a side is missing, NaN or infinite."""
    if low is None or high is None or not math.isfinite(high - low):
        return None
    return (high - low) / 2


def shared_decimals(intervals: Iterable[tuple[float, float]]) -> int | None:
    """Decimals for a column of a table, from the median half-width of its intervals.

    Equal decimals line up; the median keeps one odd interval from deciding for all. None without
    any bounded interval.
    """
    widths = [width for low, high in intervals if (width := half_width(low, high))]
    return decimals_for(median(widths)) if widths else None


def number_text(value: float | None, decimals: int | None = None) -> str:
    """`value` with that many decimals, or with four significant digits; missing is a dash."""
    if value is None or math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if decimals is None:
        return f"{value:.{SIGNIFICANT}g}"
    return f"{value:.{decimals}f}"


def interval_text(low: float | None, high: float | None, decimals: int | None = None) -> str:
    """`[low, high]`; missing sides are a dash, unbounded ones infinite."""
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        return MISSING
    return f"[{number_text(low, decimals)}, {number_text(high, decimals)}]"


def p_text(p: float | None) -> str:
    """A p value with two significant digits."""
    if p is None or math.isnan(p):
        return MISSING
    return f"{p:.2g}" if p >= 0.0001 else "< 0.0001"  # noqa: PLR2004 - the usual floor of p values


def duration_text(seconds: float | None) -> str:
    """Seconds as `12.3 s`, `4 min 10 s` or `2.5 h`."""
    if seconds is None or math.isnan(seconds):
        return MISSING
    if math.isinf(seconds):
        return "∞"
    if seconds < MINUTE:
        return f"{seconds:.3g} s"
    if seconds < HOUR:
        minutes, rest = divmod(round(seconds), MINUTE)
        return f"{minutes} min {rest} s"
    return f"{seconds / HOUR:.1f} h"


def share_text(part: int, whole: int) -> str:
    """`part` of `whole`, as in `3/20`."""
    return f"{part}/{whole}"
