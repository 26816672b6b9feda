"""Durations and counts as text."""

MINUTE, HOUR = 60.0, 3600.0


def format_duration(seconds: float) -> str:
    """A finite number of seconds as `0.25 s`, `12 s`, `4 min 10 s` or `2.5 h`."""
    if seconds < MINUTE:
        return f"{seconds:.3g} s"
    if seconds < HOUR:
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes} min {rest} s"
    return f"{seconds / HOUR:.1f} h"


def format_estimate(seconds: float) -> str:
    """An estimated time with about two digits: `12 s`, `3 min`, `2.5 h`."""
    if seconds < 100:  # noqa: PLR2004 - two digits of seconds, then of minutes
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"  # noqa: PLR2004
    if seconds < 100 * MINUTE:
        return f"{seconds / MINUTE:.0f} min"
    return f"{seconds / HOUR:.1f} h"


def plural(count: int, noun: str) -> str:
    """`1 trial`, `2 trials`, `2 searches`."""
    ending = "" if count == 1 else "es" if noun.endswith("search") else "s"
    return f"{count:,} {noun}{ending}"
