"""What the rules of a suite time: which is missing, measuring it, and the file that keeps it."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bakeoff.errors import BakeoffError
from bakeoff.files import write_atomically
from bakeoff.records import (
    TIMED,
    Measure,
    StudyConfig,
    Suite,
    Timing,
    Workload,
    as_plain,
    json_text,
)
from bakeoff.studyfile import format_study
from bakeoff.studyfile.suite_file import load_workload

TIMINGS = "timings.json"


@dataclass(frozen=True, kw_only=True)
class Timed:
    """A measure of a workload that a rule needs, and the two sides that it compares."""

    workload: Workload
    measure: Measure
    a: str
    b: str

    def __str__(self) -> str:
        return f"{self.measure} of {self.workload.name}"

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What it has in common with its `Timing`."""
        return self.workload.name, self.measure, self.a, self.b


def timed_parts(suite: Suite) -> tuple[Timed, ...]:
    """What the rules of a suite time, once for all rules that need the same."""
    workloads = {one.name: one for one in suite.workloads}
    found = [
        Timed(workload=workloads[name], measure=rule.measure, a=contrast.a[0], b=contrast.b[0])
        for rule in suite.tested
        if (contrast := rule.contrast) is not None and rule.measure in TIMED
        for name in rule.workloads
    ]
    return tuple(dict.fromkeys(found))


def unmeasured(suite: Suite, folder: Path, only: Sequence[str] = ()) -> list[Timed]:
    """What no call has measured; what failed is in it, because the reason may have passed."""
    known = {_key(one) for one in load_timings(suite, folder) if not one.why_not}
    return [
        one
        for one in timed_parts(suite)
        if one.key not in known and (not only or one.workload.name in only)
    ]


def untried(suite: Suite, folder: Path) -> list[Timed]:
    """What no call has tried to measure."""
    known = {_key(one) for one in load_timings(suite, folder)}
    return [one for one in timed_parts(suite) if one.key not in known]


def measure(part: Timed, config: StudyConfig, device: str) -> Timing:
    """Measure one part on the first of the devices.

    Raises:
        BakeoffError: As `time_workload`.
    """
    from bakeoff.engines.devices import choose_devices
    from bakeoff.engines.open import EngineSettings
    from bakeoff.production.timings import time_workload

    chosen = choose_devices(device)
    settings = EngineSettings(device=chosen.kind, devices=chosen.devices[:1], workers=1, threads=1)
    return time_workload(config, part.workload.name, part.measure, part.a, part.b, settings)


def load_timings(suite: Suite, folder: Path) -> tuple[Timing, ...]:
    """What has been timed with the settings that the study files have now.

    Raises:
        BakeoffError: The file is damaged.
    """
    current = _current_settings(suite)
    return tuple(one for one in _stored(folder) if one.settings == current.get(one.workload))


def _current_settings(suite: Suite) -> dict[str, str]:
    """SHA-256 of the settings in the study file of every workload that is timed."""
    texts = {
        one.workload.name: format_study(load_workload(one.workload, suite.repeats))
        for one in timed_parts(suite)
    }
    return {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}


def _stored(folder: Path) -> tuple[Timing, ...]:
    """All that has been timed.

    Raises:
        BakeoffError: The file is damaged.
    """
    path = folder / TIMINGS
    if not path.exists():
        return ()
    try:
        return tuple(_timing(one) for one in json.loads(path.read_text("utf-8")))
    except (ValueError, TypeError, KeyError) as error:
        raise BakeoffError(f"{path} is damaged ({error}); remove it to time again") from None


def store_timing(suite: Suite, folder: Path, timing: Timing) -> None:
    """Keep a timing in place of an earlier one of the same, with the present settings."""
    timing = replace(timing, settings=_current_settings(suite)[timing.workload])
    others = [one for one in _stored(folder) if _key(one) != _key(timing)]
    kept = [as_plain(one) for one in (*others, timing)]
    write_atomically(folder / TIMINGS, json_text(kept))


def _key(one: Timing) -> tuple[str, str, str, str]:
    return one.workload, one.measure, one.a, one.b


def _timing(stored: Mapping[str, Any]) -> Timing:
    seconds = {key: tuple(stored[key]) for key in ("a_seconds", "b_seconds")}
    return Timing(**{**stored, **seconds})
