"""Runs a study from its settings to its end.

run_settings   where a study runs and which resources it uses
checks         checks of data, packages and settings before anything is created
measuring      trains the model for a few steps in a worker
descriptions   protocol and environment of a study as text for its report
study          starts or continues a study: search, then confirmation
"""

from bakeoff.session.checks import check_data, check_packages, smallest_batch
from bakeoff.session.measuring import largest_checkpoint, probe
from bakeoff.session.run_settings import RunSettings, choose_threads
from bakeoff.session.study import run_study

__all__ = [
    "RunSettings",
    "check_data",
    "check_packages",
    "choose_threads",
    "largest_checkpoint",
    "probe",
    "run_study",
    "smallest_batch",
]
