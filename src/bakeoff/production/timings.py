"""Times what a suite's rules about speed compare: precisions, and numbers of loader processes."""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import cast

from bakeoff.engines.follow import follow
from bakeoff.engines.open import EngineSettings, open_engine
from bakeoff.engines.protocol import Died, Failed, Profile, Profiled
from bakeoff.engines.stopping import StopRequest
from bakeoff.errors import BakeoffError, UsageError, one_line
from bakeoff.production.one_configuration import Chosen, fix_settings
from bakeoff.production.run import default_seed, trial_config
from bakeoff.records import Measure, Precision, StudyConfig, Timing
from bakeoff.registry import is_reference
from bakeoff.session.checks import check_data, check_packages
from bakeoff.session.descriptions import describe_machine

REPEATS = 10
"""Measurements of each side."""
STEP_SECONDS = 2.0
"""Seconds of training that one measurement of a step takes."""
LOADING_SECONDS = 1800.0
"""Time after which a measurement of loader processes has failed."""


def time_workload(
    config: StudyConfig, workload: str, measure: Measure, a: str, b: str, settings: EngineSettings
) -> Timing:
    """Measure both sides `REPEATS` times in turns.

    A side that this machine cannot run, or not in time, gives a timing that says why.

    Args:
        config: The study of the workload; its first optimizer is trained.
        workload: Its name in the suite.
        measure: `precision` or `loading`.
        a: A precision, or a number of loader processes.
        b: Another one.
        settings: Where to train; one worker is used.

    Raises:
        InterruptedStudyError: A stop was requested.
        BakeoffError: Data or model are unusable.
    """
    found = Timing(
        workload=workload,
        measure=measure,
        a=a,
        b=b,
        a_seconds=(),
        b_seconds=(),
        environment={**describe_machine(settings.device), "threads": str(settings.threads)},
    )
    try:
        seconds = (
            _time_steps(config, (a, b), replace(settings, workers=1))
            if measure == "precision"
            else _time_loading(config, (a, b))
        )
    except UsageError as error:
        return replace(found, why_not=one_line(error))
    return replace(found, a_seconds=tuple(seconds[a]), b_seconds=tuple(seconds[b]))


def _time_steps(
    config: StudyConfig, precisions: tuple[str, str], settings: EngineSettings
) -> Mapping[str, list[float]]:
    """Seconds of a training step in each precision."""
    check_packages(config)
    check_data(config)
    one = fix_settings(config, Chosen(optimizer=None, scheduler=None))
    seconds: dict[str, list[float]] = {name: [] for name in precisions}
    with StopRequest().listening() as stop, open_engine(settings) as engine:
        for turn in range(REPEATS + 1):  # the first warms up
            for name in precisions:
                precise = replace(one.training, precision=cast("Precision", name))
                trial = trial_config(replace(one, training=precise), name, default_seed(one))
                job = Profile(run="timing", config=trial, seconds=STEP_SECONDS)
                for event in follow(engine, stop, job):
                    if isinstance(event, (Failed, Died)):
                        raise UsageError(f"{name} cannot be timed: {event.reason}")
                    if isinstance(event, Profiled) and turn:
                        seconds[name].append(event.step_seconds)
    return seconds


def _time_loading(config: StudyConfig, processes: tuple[str, str]) -> Mapping[str, list[float]]:
    """Seconds of an epoch of loading with each number of processes."""
    if not is_reference(config.data.dataset):
        raise UsageError("its data is in memory; only a torch data set has loader processes")
    order = [
        sys.executable, "-m", "bakeoff.training.loading_times", config.data.dataset, config.folder,
        str(config.training.batch_size), str(REPEATS), *processes,
    ]  # fmt: skip
    try:
        done = subprocess.run(  # noqa: S603 - our own module; the reference was checked
            order, capture_output=True, text=True, check=False, timeout=LOADING_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise UsageError(f"loading took longer than {LOADING_SECONDS:g} s") from None
    if done.returncode:
        raise BakeoffError(f"loading cannot be timed: {one_line(done.stderr[-500:])}")
    times: Mapping[str, list[float]] = json.loads(done.stdout)
    return times
