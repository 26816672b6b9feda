"""Durations: read from the command line, and written for people."""

import re

from bakeoff.errors import UsageError

MINUTE, HOUR = 60.0, 3600.0
UNITS = {"h": HOUR, "m": MINUTE, "s": 1.0}


def parse_duration(text: str) -> float:
    """Seconds of a duration such as `2h`, `90m`, `1h30m` or `45s`.

    Raises:
        UsageError: The text is not a duration, or the duration is zero.
    """
    parts = re.findall(r"(\d+(?:\.\d+)?)([hms])", text)
    seconds = sum(float(number) * UNITS[unit] for number, unit in parts)
    if "".join(number + unit for number, unit in parts) != text or seconds <= 0:
        raise UsageError(f"--timeout {text!r} is not a duration; examples are 2h, 90m, 1h30m, 45s")
    return seconds


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
