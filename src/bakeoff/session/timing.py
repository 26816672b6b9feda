"""Measures how long the parts of a study take on this machine, for `study plan`.

Every arm's library defaults are trained for a moment, on as many workers at once as the study will
have, so that workers that share cores are slow here as well. Then a few short runs are driven as in
a study, with a temporary SQLite file.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import fmean

from bakeoff.engines.follow import follow
from bakeoff.engines.protocol import Died, Engine, Failed, Profile, Profiled
from bakeoff.engines.stopping import StopRequest
from bakeoff.errors import BakeoffError, UsageError
from bakeoff.records import StudyConfig, TrialConfig
from bakeoff.seeding import derive_seed
from bakeoff.session.rehearsal import RunTimes, rehearse_runs
from bakeoff.session.stacking import NO_STACKS, Widths
from bakeoff.space import build_arms, build_trial_config, default_params

WARMUP_SECONDS = 0.05
MEASURED_SECONDS = 1.0
"""Seconds for which each arm is trained."""
UNMEASURED_STEPS = 3
"""Steps that a profile makes before those that it measures."""
REPORT_SHARE = 0.3
"""Seconds for the report and the dashboard's figures, as a share of the seconds from the start of
the program to the end of the probe. Both are spent on importing libraries, and slow down together
on a busy machine. Measured: 0.29 (44 runs of digits, two busy cores)."""


@dataclass(frozen=True, kw_only=True)
class StudyTimes:
    """Seconds that the parts of a study take."""

    start: float
    """From the start of the program until the first run trains."""
    epoch: float
    """Of one worker, for training and evaluation; the mean over arms."""
    worker: float
    """To start another worker, which idles meanwhile."""
    run: float
    """Of one worker, for a run besides its epochs; the mean over arms."""
    stacked: RunTimes | None = None
    """Of one worker, for a run of the confirmation's stacks; None if its runs train one by one."""
    searched: RunTimes | None = None
    """The same for a trial of the search."""

    def seconds(
        self,
        *,
        epochs: float,
        runs: float,
        resumed: float,
        workers: int,
        confirmed: tuple[float, float] = (0, 0),
    ) -> float:
        """Seconds for a whole study.

        Args:
            epochs: Epochs of all runs.
            runs: Number of runs.
            resumed: How often a paused run is set up again.
            workers: Runs that train at the same time.
            confirmed: Epochs and number of those runs that are trained for the confirmation.
        """
        training = epochs * self.epoch + (runs + resumed) * self.run
        of_epochs, of_runs = confirmed
        for times, num_epochs, num_runs in (
            (self.stacked, of_epochs, of_runs),
            (self.searched, epochs - of_epochs, runs - of_runs + resumed),
        ):
            if times is not None:
                training += num_epochs * (times.epoch - self.epoch)
                training += num_runs * (times.run - self.run)
        idle = (workers - 1) * min(self.worker, training)
        return self.start * (1 + REPORT_SHARE) + (training + idle) / workers


def measure_times(
    config: StudyConfig,
    engine: Engine,
    stop: StopRequest,
    *,
    workers: int,
    started: float,
    widths: Widths = NO_STACKS,
) -> StudyTimes:
    """Measure the parts of a study whose probe has just ended on `engine`.

    Args:
        config: The study, with the precision that it will use.
        engine: An engine with `workers` free workers.
        stop: Checked while runs train.
        workers: Runs that train at the same time.
        started: When the program started, on the clock of `time.time`.
        widths: Runs that each worker trains at once in search and confirmation; 0 where they train
            one by one.

    Raises:
        UsageError: An arm cannot be trained.
        BakeoffError: A worker died.
    """
    start = time.time() - started
    trials = [
        build_trial_config(one, default_params(arm, one.model), derive_seed(config.seed))
        for arm in build_arms(config)
        for one in (config.of_arm(arm.name),)
    ]
    # Every worker imports its libraries before anything is measured.
    first = list(_profile(engine, stop, [trials[0]] * workers, WARMUP_SECONDS))
    found: list[tuple[Profiled, float]] = []
    rounds = [trials[first : first + workers] for first in range(0, len(trials), workers)]
    for some in rounds:
        busy = [*some, *(trials[:1] * workers)][:workers]  # all workers train, as in the study
        found += _profile(engine, stop, busy, MEASURED_SECONDS)
    epoch = fmean(one.epoch_seconds for one, _ in found)
    rehearse = partial(rehearse_runs, config, engine, stop, workers=workers, epoch_seconds=epoch)
    alone = rehearse()
    if alone is None:
        around = fmean(max(0.0, wall - _measured_seconds(one)) for one, wall in found)
    else:
        around = alone.run
    searched, stacked = (
        rehearse(num_runs=width, arithmetic="stacked") if width else None for width in widths
    )
    return StudyTimes(
        start=start,
        worker=max(wall for _, wall in first),
        epoch=epoch,
        run=around,
        stacked=stacked,
        searched=searched,
    )


def _profile(
    engine: Engine, stop: StopRequest, trials: Sequence[TrialConfig], seconds: float
) -> Iterator[tuple[Profiled, float]]:
    """Profiles of runs that train at the same time, each with the seconds that it took in all."""
    jobs = [
        Profile(run=f"plan-{index}", config=trial, seconds=seconds)
        for index, trial in enumerate(trials)
    ]
    began = time.monotonic()
    for event in follow(engine, stop, *jobs):
        match event:
            case Profiled():
                yield event, time.monotonic() - began
            case Failed():
                raise UsageError(f"the study cannot be measured: {event.reason}")
            case Died():
                raise BakeoffError(f"the study cannot be measured: {event.reason}")


def _measured_seconds(profiled: Profiled) -> float:
    """Seconds of a profile's steps and of its evaluation."""
    steps = profiled.num_steps + UNMEASURED_STEPS
    return steps * profiled.step_seconds + profiled.evaluate_seconds
