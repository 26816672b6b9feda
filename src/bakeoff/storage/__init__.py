"""Stores studies with Optuna. No other package knows the stored form.

database     opens the database: its URL, its schema, its transactions
connection   reads and writes that survive an unreachable database
contents     what the attribute of a study holds
trials       what the attributes of a run hold
reading      reads all runs of a study in four queries
transaction  stores what happened to many runs in one transaction
run_writer   what happens to a run, one by one or together
studies      all studies of one storage, written by the driver and read by everybody
places       where a study stores its checkpoints, if not with its results
lock         one driver per study
"""

from bakeoff.storage.contents import StudyFacts
from bakeoff.storage.studies import DRIVER_KEY, Storage

__all__ = ["DRIVER_KEY", "Storage", "StudyFacts"]
