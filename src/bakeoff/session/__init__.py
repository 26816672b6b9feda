"""Runs a study from its settings to its end.

run_settings   where a study runs and which resources it uses
checks         checks of data, packages and settings before anything is created
measuring      trains the model for a few steps in a worker
descriptions   protocol and environment of a study as text for its report
study          starts or continues a study: search, then confirmation
"""

from bakeoff.session.checks import check_data, check_packages, check_same_data, smallest_batch
from bakeoff.session.descriptions import describe_environment
from bakeoff.session.measuring import choose_precision, largest_checkpoint, probe
from bakeoff.session.run_settings import (
    RunSettings,
    check_count,
    check_output,
    choose_threads,
    study_folder,
)
from bakeoff.session.study import SessionResult, run_study

__all__ = [
    "RunSettings",
    "SessionResult",
    "check_count",
    "check_data",
    "check_output",
    "check_packages",
    "check_same_data",
    "choose_precision",
    "choose_threads",
    "describe_environment",
    "largest_checkpoint",
    "probe",
    "run_study",
    "smallest_batch",
    "study_folder",
]
