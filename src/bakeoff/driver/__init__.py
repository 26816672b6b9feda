"""Drives a study. The search and the confirmation use the same loop.

roles         interfaces of what the driver works with: a source of runs and an observer
active_run    a run that is being trained, and the record that is stored when it ends
later         stores what follows from a poll, and only then shows it and answers workers
loop          next -> submit -> event -> report -> stop or finish
ordered       repeatable mode: reports runs to the search in the order in which they were scheduled
kept_weights  the weights of the best confirmation run of each arm
run_stores    where runs store their checkpoints and weights
"""

from bakeoff.driver.loop import Driver
from bakeoff.driver.ordered import Ordered
from bakeoff.driver.roles import Observer, Source
from bakeoff.engines.stopping import InterruptedStudyError, StopRequest

__all__ = ["Driver", "InterruptedStudyError", "Observer", "Ordered", "Source", "StopRequest"]
