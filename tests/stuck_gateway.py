"""A stand-in for the process that speaks to Ray: it connects and then never says anything again."""

import time
from multiprocessing.connection import Connection

from bakeoff.engines.ray_messages import Ready


def run_stuck(connection: Connection, *_: object) -> None:
    """Say that one worker is ready, and hang."""
    connection.send(Ready(1))
    time.sleep(60)
