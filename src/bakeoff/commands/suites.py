"""Runs the studies of a suite one after another, times what its rules time, and reports."""

import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Timer
from typing import TYPE_CHECKING

from bakeoff.analysis.comparison import compare
from bakeoff.analysis.rules import judge_suite
from bakeoff.commands.stored_studies import open_storage
from bakeoff.commands.suite_timings import (
    load_timings,
    measure,
    store_timing,
    unmeasured,
    untried,
)
from bakeoff.errors import (
    DataError,
    MissingDependencyError,
    NothingCompletedError,
    SpaceChangedError,
)
from bakeoff.records import Comparison, StudyConfig, Suite, SuiteFindings, Workload
from bakeoff.records.durations import format_estimate, plural
from bakeoff.studyfile import study_arms
from bakeoff.studyfile.suite_file import load_workload

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bakeoff.driver import StopRequest
    from bakeoff.storage import Storage

LEFT_OUT = (DataError, MissingDependencyError, NothingCompletedError)
"""Errors of one workload that do not end the suite."""


@dataclass(kw_only=True)
class SuitePlace:
    """Where a suite runs, and for how long."""

    folder: Path
    """Of its results: the report, one folder for each study, and the default storage."""
    device: str
    workers: int | None
    threads: int | None
    say: Callable[[str], None]
    storage: str | None = None
    """URL of the storage of all its studies; None means SQLite in the folder."""
    stop_after: float | None = None
    """Seconds after which it pauses; None means never."""
    started: float = field(default_factory=time.monotonic)
    compared: dict[str, Comparison] = field(default_factory=dict)
    """Of the studies that are finished, by name; comparing takes seconds."""

    def open_begun(self) -> "Storage | None":
        """The storage of all its studies; None before the first, and then no file is created."""
        if self.storage is None and not self.folder.exists():
            return None
        return open_storage(self.storage, self.folder, create=True)

    @property
    def seconds_left(self) -> float | None:
        """Seconds until it pauses."""
        if self.stop_after is None:
            return None
        return max(0.0, self.stop_after - (time.monotonic() - self.started))

    @property
    def is_over(self) -> bool:
        """Whether its time is up."""
        return self.seconds_left == 0


def run_suite(suite: Suite, place: SuitePlace, only: Sequence[str] = ()) -> tuple[str, ...]:
    """Run every study that is not finished, and measure what was not measured.

    A workload whose data or package is missing, or no trial of which completes, is left out and
    named; the others run, and are timed. After every study the report is written.

    Args:
        suite: The suite.
        place: Where.
        only: Names of the workloads to run; empty means all.

    Returns:
        Why workloads are left out.

    Raises:
        InterruptedStudyError: Ctrl-C was pressed, or a time limit of the system ended it. Calling
            again continues.
        SpaceChangedError: A study was begun with other settings than the files have now.
        BakeoffError: A study cannot run.
    """
    storage, problems = place.open_begun(), []
    for workload in suite.studied:
        _check_stored(suite, workload, place, storage)
    for number, workload in enumerate(suite.studied, 1):
        if place.is_over:
            break
        if only and workload.name not in only:
            continue
        place.say(f"workload {number} of {len(suite.studied)}: {workload.name}")
        try:
            if _run_workload(suite, workload, place):
                write_report(suite, place)
        except LEFT_OUT as error:
            problems.append(f"{workload.name}: {error}")
            place.say(f"left out: {problems[-1]}")
    return (*problems, *_run_timings(suite, place, only))


def _run_timings(suite: Suite, place: SuitePlace, only: Sequence[str]) -> list[str]:
    """Measure what is not measured yet; why workloads are left out."""
    problems = []
    for part in unmeasured(suite, place.folder, only):
        if place.is_over:
            break
        place.say(f"timing {part.workload.name}: {part.measure}")
        try:
            weights = _weights(part.workload, place)
            config = load_workload(part.workload, suite.repeats, weights)
            timing = measure(part, config, place.device)
        except LEFT_OUT as error:
            problems.append(f"{part.workload.name}, {part.measure}: {error}")
            place.say(f"left out: {problems[-1]}")
            continue
        store_timing(suite, place.folder, timing)
        if timing.why_not:
            place.say(f"not measured: {timing.why_not}")
    return problems


def _run_workload(suite: Suite, workload: Workload, place: SuitePlace) -> bool:
    """Run or continue one study; whether there was anything to do.

    Raises:
        NothingCompletedError: No trial completed, in this call or in an earlier one.
    """
    from bakeoff.api import check_any_completed
    from bakeoff.engines.stopping import InterruptedStudyError

    storage = place.open_begun()
    name = _check_stored(suite, workload, place, storage)
    if storage is not None and _is_finished(storage, name):
        check_any_completed(storage.load_record(name))
        place.say(f"{name} is finished")
        return False
    config = load_workload(workload, suite.repeats, _weights(workload, place))
    try:
        with _pausing(place) as stop:
            _run_study(config, place, stop)
    except InterruptedStudyError:
        if not place.is_over:
            raise
        place.say(f"{config.name} is paused, because the time is up")
        return True
    return True


def _check_stored(
    suite: Suite, workload: Workload, place: SuitePlace, storage: "Storage | None"
) -> str:
    """The name of a workload's study, which is as the files say now if it has begun.

    Raises:
        SpaceChangedError: It was begun with other settings.
    """
    from bakeoff.space import describe_changes

    given = load_workload(workload, suite.repeats)
    if storage is None or not storage.has(given.name):
        return given.name
    stored = storage.load_config(given.name)
    pretrained = stored.finetune.pretrained
    if workload.pretrain is not None and isinstance(pretrained, str):
        given = load_workload(workload, suite.repeats, Path(pretrained))
    if changes := describe_changes(stored, given):
        where = f"--storage {place.storage}" if place.storage else f"--output {place.folder}"
        raise SpaceChangedError(
            f"workload {workload.name}: study {given.name!r} was begun with other settings"
            f" ({'; '.join(changes)}); restore them, or delete what was begun with"
            f" `study delete {given.name} {where}`"
        )
    return given.name


def _is_finished(storage: "Storage | None", study: str) -> bool:
    return storage is not None and storage.has(study) and storage.is_finished(study)


@contextmanager
def _pausing(place: SuitePlace) -> "Iterator[StopRequest]":
    """A request to stop, which comes by Ctrl-C or when the time is up."""
    from bakeoff.driver import StopRequest

    stop = StopRequest()
    left = place.seconds_left
    timer = None if left is None else Timer(left, _pause, (stop,))
    if timer is not None:
        timer.daemon = True
        timer.start()
    try:
        yield stop
    finally:
        if timer is not None:
            timer.cancel()


def _pause(stop: "StopRequest") -> None:
    """Ask for a stop as Ctrl-C does; the program continues, so Ctrl-C must still end it."""
    stop.ends_process = False
    stop.ask(signal.SIGINT, None)


def _run_study(config: StudyConfig, place: SuitePlace, stop: "StopRequest") -> None:
    """As `study run` does, and write the report of the study."""
    from bakeoff.api import drive_study, write_and_publish
    from bakeoff.engines.processes import ended_on_error, start_early
    from bakeoff.session.run_settings import RunSettings
    from bakeoff.studyfile.threads import choose_threads

    threads = choose_threads(config, place.threads)
    early = start_early(config.folder, device=place.device, threads=threads, engine="local")
    with ended_on_error(early):
        settings = RunSettings.choose(
            output=place.folder,
            storage_url=place.storage,
            workers=place.workers,
            threads=threads,
            early=early,
            device=place.device,
            devices_per_trial=config.training.devices_per_trial,
            study=config.name,
        )
    drive_study(config, settings, stop=stop)
    write_and_publish(config.name, settings)


def _weights(workload: Workload, place: SuitePlace) -> Path | None:
    """The weights that a workload fine-tunes, trained if they are not there yet."""
    if workload.pretrain is None:
        return None
    from bakeoff.api import train
    from bakeoff.production.run import default_seed, run_folder
    from bakeoff.studyfile import load_study_file

    config = load_study_file(workload.pretrain)
    run = run_folder(place.folder, config, default_seed(config), workload.name)
    if not run.has_begun or run.load_result() is None:
        place.say(f"training the weights of {workload.name}")
        train(
            workload.pretrain,
            name=workload.name,
            output=place.folder,
            device=place.device,
            threads=place.threads,
        )
    return run.weights


def suite_comparisons(suite: Suite, place: SuitePlace) -> dict[str, Comparison]:
    """The comparisons of the studies that have begun, by workload.

    Raises:
        SpaceChangedError: A study was begun with other settings than the files have now.
    """
    storage = place.open_begun()
    if storage is None:
        return {}
    found = {}
    for workload in suite.studied:
        name = _check_stored(suite, workload, place, storage)
        if name in place.compared:
            found[workload.name] = place.compared[name]
        elif storage.has(name):
            found[workload.name] = compare(storage.load_record(name))
            if found[workload.name].study.finished:
                place.compared[name] = found[workload.name]
    return found


def write_report(
    suite: Suite, place: SuitePlace, image_formats: Sequence[str] = ()
) -> tuple[SuiteFindings, Path | None]:
    """Judge every rule and write the report; there is none before a study has begun or was timed.

    `image_formats` is that of `bakeoff.report.write_suite_report`.

    Raises:
        SpaceChangedError: A study was begun with other settings than the files have now.
        BakeoffError: The storage cannot be read, or the report cannot be written.
    """
    from bakeoff.production.gate_file import commit_of
    from bakeoff.report import write_suite_report

    comparisons = suite_comparisons(suite, place)
    commit = commit_of(str(suite.workloads[0].file.parent))
    timings = load_timings(suite, place.folder)
    findings = judge_suite(suite, comparisons, timings, commit=commit)
    if not comparisons and not timings:
        return findings, None
    page = write_suite_report(
        findings, comparisons, place.folder, timings=timings, image_formats=image_formats
    )
    return findings, page


def unfinished(suite: Suite, place: SuitePlace) -> list[str]:
    """The workloads whose studies are not finished, and what no call has tried to time."""
    storage = place.open_begun()
    studies = [
        one.name
        for one in suite.studied
        if not _is_finished(storage, load_workload(one, suite.repeats).name)
    ]
    return studies + [str(one) for one in untried(suite, place.folder)]


@dataclass(frozen=True, kw_only=True)
class SuiteCost:
    """What a suite will cost."""

    rows: tuple[Mapping[str, object], ...]
    expected_hours: float
    max_hours: float


def plan_suite(suite: Suite, place: SuitePlace, only: Sequence[str] = ()) -> SuiteCost:
    """Plan every study that is not finished, each from a probe of a few seconds.

    Weights that a study fine-tunes are trained before it is probed. What the suite times is not
    part of the plan.

    Raises:
        SpaceChangedError: A study was begun with other settings.
        BakeoffError: Data or model of a study are unusable.
    """
    from bakeoff.commands.verbs.plan import make_plan

    storage = place.open_begun()
    rows: list[Mapping[str, object]] = []
    expected = most = 0.0
    for workload in suite.studied:
        if only and workload.name not in only:
            continue
        _check_stored(suite, workload, place, storage)
        config = load_workload(workload, suite.repeats)
        row: dict[str, object] = {
            "workload": workload.name, "study": config.name, "arms": len(study_arms(config)),
            "runs": None, "epochs": None, "about": "done", "at most": "",
        }  # fmt: skip
        if not _is_finished(storage, config.name):
            place.say(f"probing {workload.name}")
            config = load_workload(workload, suite.repeats, _weights(workload, place))
            plan = make_plan(
                config, workers=place.workers, threads=place.threads, device=place.device
            )
            expected += plan.expected_hours
            most += plan.max_hours
            row |= {
                "runs": plan.num_runs,
                "epochs": plan.expected_epochs,
                "about": format_estimate(3600 * plan.expected_hours),
                "at most": format_estimate(3600 * plan.max_hours),
            }
        rows.append(row)
    return SuiteCost(rows=tuple(rows), expected_hours=expected, max_hours=most)


def describe_left(left: Sequence[str]) -> str:
    """What a suite has still to do, in a sentence."""
    if not left:
        return "every study of the suite is finished"
    return f"{plural(len(left), 'part')} to go: {', '.join(left)}; the same command continues"
