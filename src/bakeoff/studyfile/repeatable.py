"""Checks `[search] repeatable`: nothing in the study file may differ from run to run."""

import json
from typing import Any

from bakeoff.components.objectives import COSTS
from bakeoff.errors import StudyFileError
from bakeoff.studyfile.schema import SearchSection, StudyFile, TrainingSection

DEFAULT_LAG = 8
"""With 8 open trials four workers seldom wait, and an arm still learns early from its trials."""


def lag_of(section: SearchSection) -> int | None:
    """How many trials of an arm may be open at one time; None unless the study is repeatable.

    Raises:
        StudyFileError: A lag is given for a study that is not repeatable.
    """
    if section.lag is not None and not section.repeatable:
        raise StudyFileError(f"search.lag = {section.lag}: goes only with search.repeatable = true")
    return (section.lag or DEFAULT_LAG) if section.repeatable else None


def fix_training(file: StudyFile, objectives: tuple[str, ...]) -> TrainingSection:
    """The section, for a repeatable study with fixed precision (fp32) and threads (1) by default.

    Raises:
        StudyFileError: The precision, an objective or the budget depends on a clock.
    """
    section = file.training
    if not file.search.repeatable:
        return section
    measured = [name for name in objectives if name in COSTS]
    if measured:
        raise StudyFileError(
            f"search.repeatable = true: {measured[0]} is measured and differs from run to run, so a"
            " search that optimizes it cannot be repeated; leave it out of study.objective"
        )
    if file.search.seconds_per_arm is not None:
        raise StudyFileError(
            "search.repeatable = true: seconds_per_arm ends a search by the clock, so it cannot be"
            " repeated; give trials_per_arm or epochs_per_arm"
        )
    if "precision" in section.model_fields_set and section.precision == "auto":
        raise StudyFileError(
            f"training.precision = {json.dumps(section.precision)}: is chosen by measuring, so the"
            ' study would not be repeatable; name one: "fp32", "tf32", "bf16" or "fp16"'
        )
    fixed: dict[str, Any] = {"threads": section.threads or 1}
    if section.precision == "auto":
        fixed["precision"] = "fp32"
    return section.model_copy(update=fixed)
