"""Runs jobs to their end on an engine, for callers that need no scheduling."""

from collections.abc import Callable, Iterator

from bakeoff.engines.protocol import (
    Died,
    Engine,
    Epoch,
    Event,
    Job,
    Paused,
    Probe,
    Profile,
    Started,
)
from bakeoff.engines.stopping import InterruptedStudyError, StopRequest

POLL_SECONDS = 0.2
"""How long to wait for an event before looking for a stop request."""
MAX_ATTEMPTS = 3
"""Number of workers that a run may lose, without a new epoch in between, before it counts as
failed."""


def follow(
    engine: Engine,
    stop: StopRequest,
    *jobs: Job | Probe | Profile,
    on_pause: Callable[[], None] | None = None,
) -> Iterator[Event]:
    """Submit `jobs` and yield their events until all of them have ended.

    A job whose worker died is submitted again when the next event is requested. A caller that
    does not want this raises when it receives `Died`.

    Args:
        engine: An engine with a free worker for every job.
        stop: Checked between events.
        jobs: What to run, all at the same time.
        on_pause: With it, the first stop request suspends the jobs after their step, and this is
            called. Without it, the first stop request interrupts them at once.

    Raises:
        InterruptedStudyError: A stop was requested.
    """
    active = {job.run: job for job in jobs}
    for job in jobs:
        engine.submit(job)
    is_pausing = False
    while active:
        if stop.count > (on_pause is not None):
            raise InterruptedStudyError(stop.exit_code)
        if on_pause is not None and stop.count and not is_pausing:
            is_pausing = True
            on_pause()
            for run in active:
                engine.reply(run, "suspend")
        for event in engine.events(POLL_SECONDS):
            if isinstance(event, Paused) or (is_pausing and isinstance(event, Died)):
                raise InterruptedStudyError(stop.exit_code)
            yield event
            if isinstance(event, Died):
                engine.submit(active[event.run])
            elif not isinstance(event, (Epoch, Started)):
                del active[event.run]
