"""Drives one study: search and confirmation go through the same loop.

roles      whom the driver asks what runs next, and whom it tells what happens
runs       a run under way, and what is stored of it when it has ended
loop       next -> submit -> event -> report -> stop or finish
ordered    a search that hears of its runs in the order they were dealt
"""

from bakeoff.driver.loop import Driver
from bakeoff.driver.ordered import Ordered
from bakeoff.driver.roles import Observer, Source
from bakeoff.engines.stopping import InterruptedStudyError, StopRequest

__all__ = [
    "Driver",
    "InterruptedStudyError",
    "Observer",
    "Ordered",
    "Source",
    "StopRequest",
]
