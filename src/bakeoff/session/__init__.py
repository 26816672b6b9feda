"""From a study and where to run it, to a finished study.

settings       where it runs and how much of the machine it takes
checks         what can be wrong before anything is created
measuring      the model tried for a few steps in a worker
descriptions   what is fixed before the run, and where it runs, as text
study          begin or continue, search, confirm
"""

from bakeoff.session.checks import check_data, check_packages, smallest_batch
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
    "choose_precision",
    "choose_threads",
    "describe_environment",
    "largest_checkpoint",
    "probe",
    "run_study",
    "smallest_batch",
    "study_folder",
]
