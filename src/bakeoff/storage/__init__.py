"""Optuna studies <-> records; nothing else knows the stored form.

facts      what a study keeps from its beginning
patience   reading and writing a database that may be away for a while
record     a study as analysis and report read it
reading    all runs of a study in four queries
trials     runs as Optuna stores them
studies    all studies of one storage: written by the driver, read by everybody
"""

from bakeoff.storage.facts import StudyFacts
from bakeoff.storage.studies import DRIVER_KEY, Storage

__all__ = ["DRIVER_KEY", "Storage", "StudyFacts"]
