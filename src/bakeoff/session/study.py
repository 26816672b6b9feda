"""Runs a study to its end: check, measure, search, confirm.

Errors are found before anything is created: the data is read, and the model is built and trained
for a few steps in a worker.
"""

from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from bakeoff.data.summary import DatasetSummary
from bakeoff.driver import Driver, InterruptedStudyError, Observer, StopRequest
from bakeoff.engines.device_table import CPU
from bakeoff.engines.open import open_engine
from bakeoff.engines.protocol import Engine, Probed
from bakeoff.errors import StorageError, UsageError
from bakeoff.files import write_atomically
from bakeoff.own_source import code_files, own_folders
from bakeoff.records import StudyConfig
from bakeoff.search.deadline import Deadline
from bakeoff.search.warm_start import choose_warm_starts
from bakeoff.session.checkpoint_place import checkpoint_location, remove_checkpoints
from bakeoff.session.checks import (
    changed_code,
    check_data,
    check_packages,
    check_same_code,
    check_same_weights,
    check_unchanged_facts,
)
from bakeoff.session.descriptions import DEVICES, component_packages, describe_machine
from bakeoff.session.kept_probes import KeptProbes
from bakeoff.session.measuring import measure, probe
from bakeoff.session.recording import recorded_session
from bakeoff.session.repeats import StudyRun, confirmation_epochs
from bakeoff.session.run_settings import RunSettings, check_output
from bakeoff.session.stacking import check_arithmetic
from bakeoff.session.stored_facts import stored_facts
from bakeoff.space import build_arms, check_extension, check_unchanged
from bakeoff.storage import Storage, StudyFacts
from bakeoff.storage.database import import_ahead
from bakeoff.storage.lock import study_lock
from bakeoff.stores import is_url, try_store
from bakeoff.studyfile import format_study
from bakeoff.studyfile.own_parts import COPIES, own_parts
from bakeoff.tracking import build_tracking
from bakeoff.tracking.observer import TrackedObserver


@dataclass(frozen=True, kw_only=True)
class SessionResult:
    """What one call of `run_study` did."""

    num_trained: int
    """Number of runs that were trained or continued; 0 if the study was already complete."""
    num_trials: int
    num_confirmations: int


def run_study(
    config: StudyConfig,
    settings: RunSettings,
    observer: Observer,
    stop: StopRequest | None = None,
) -> SessionResult:
    """Start or continue a study and run it until it is complete.

    Args:
        config: The study.
        settings: Where it runs.
        observer: Is shown what happens.
        stop: Listens for requests to stop; by default the program ends after one.

    Raises:
        SpaceChangedError: The stored study has other settings.
        StudyLockedError: Another process runs this study.
        InterruptedStudyError: A stop was requested. Calling again continues the study.
        BakeoffError: Data, model, storage or settings are unusable. Nothing was created.
    """
    deadline = _deadline(config, settings)  # its clock starts here
    stop = stop or StopRequest()
    check_output(settings.output / config.name)
    if settings.checkpoints is not None:
        try_store(settings.checkpoints, "--checkpoints")
    check_packages(config)
    check_arithmetic(config)
    summary = check_data(config, hang_seconds=settings.hang_seconds)
    known = stored_facts(settings.storage_url, config.name)
    threads = known.threads if known else settings.threads
    ahead = 0 if known else _workers_ahead(config, settings)
    engine_settings = _for_engine(replace(settings, threads=threads, ahead=ahead), config, summary)
    if settings.device_note:
        observer.note(settings.device_note)
    import_ahead()
    with (
        stop.listening(),
        open_engine(engine_settings, observer.note) as engine,
    ):
        kept = _kept_probes(config, summary, replace(settings, threads=threads))
        facts = known or measure(config, settings, summary, engine, stop, kept)
        if not known:
            _note_measured(config, facts, observer)
        storage = Storage(settings.storage_url, create=True)
        storage.connection.on_wait = partial(_on_wait, observer, stop)
        with study_lock(storage, config.name):
            storage.remove_half_made(config.name)
            if not storage.has(config.name):
                _create(storage, config, facts, settings.source, observer)
            storage.claim(config.name)
            stored = _load_or_extend(storage, config, extends=settings.extends)
            checkpoints = checkpoint_location(storage, config.name, settings, observer)
            facts = storage.load_facts(config.name)
            changed = check_unchanged_facts(config, facts, summary, settings)
            if not storage.is_finished(config.name):
                _note_once(storage, config.name, changed, observer)
                if known:  # the probe fails if model or device no longer works
                    probed = probe(config, engine, stop, kept)
                    _check_same_files(storage, config.name, known, probed, settings, observer)
            folder = settings.output / config.name
            with (
                _recorded(storage, config.name, settings.user),
                closing(build_tracking(config, folder, observer.note)) as tracking,
            ):
                tracked = TrackedObserver(observer, tracking)
                begin = partial(_drive, stored, folder, checkpoints, storage, engine, tracked, stop)
                return begin(deadline, settings.workers)


def _workers_ahead(config: StudyConfig, settings: RunSettings) -> int:
    """The workers that a new study will need for its first runs, on this CPU.

    They import torch while the first one tries the model. On an accelerator they would disturb it.
    """
    trials = config.search.trials_per_arm
    most = settings.workers if trials is None else trials * len(build_arms(config))
    return min(settings.workers, most) if settings.device == CPU.kind else 0


def _for_engine(settings: RunSettings, config: StudyConfig, summary: DatasetSummary) -> RunSettings:
    """Settings with what the nodes of a cluster must have: data, a store, and the user's code."""
    if settings.ray is None:
        return settings
    has_code = next(own_parts(config), None) is not None
    store = settings.checkpoints or ""
    cluster = replace(
        settings.ray,
        data=config.data if config.data.is_given else None,
        fingerprint=summary.fingerprint,
        store=store if is_url(store) else "",
        code_folders=own_folders() if has_code else (),
        left_out=(str(settings.output),),
    )
    return replace(settings, ray=cluster)


def _kept_probes(
    config: StudyConfig, summary: DatasetSummary, settings: RunSettings
) -> KeptProbes | None:
    """What was measured earlier; None on an accelerator, which may be gone or busy since then."""
    if settings.device != "cpu":
        return None
    machine = describe_machine(settings.device) | component_packages(config)
    threads = {"threads": str(settings.threads)}
    return KeptProbes(data=summary.fingerprint, machine=machine | threads)


def _recorded(storage: Storage, name: str, user: str) -> AbstractContextManager[None]:
    """Store who drives the study, unless there is nothing left to drive."""
    if storage.is_finished(name):
        return nullcontext()
    return recorded_session(storage, name, user)


def _create(
    storage: Storage, config: StudyConfig, facts: StudyFacts, source: str | None, observer: Observer
) -> None:
    """Store a new study, with warm starts from the study `source` if it is given."""
    if source is None:
        storage.create(config, facts)
        return
    arms = build_arms(config)
    num_runs = config.search.budget.num_whole_runs(config.training.epochs)
    found = choose_warm_starts(storage.load_record(source), arms, num_runs)
    storage.create(config, facts, found)
    counts = ", ".join(f"{arm} {len(params)}" for arm, params in found.items())
    text = f"started from the best configurations of {source} that fit: {counts}"
    storage.note(config.name, text)
    observer.note(text)


def _load_or_extend(storage: Storage, config: StudyConfig, *, extends: bool) -> StudyConfig:
    """Return the settings of the stored study, after extending it if `extends`."""
    stored = storage.load_config(config.name)
    if not extends:
        check_unchanged(stored, config)
        return stored
    changes = check_extension(stored, config)
    if changes and stored.search.lag is not None and not storage.is_finished(config.name):
        raise UsageError(
            f"--extend: study {config.name!r} is repeatable and has not ended; run it to its end"
            " first, so that the extension begins from the same results on every machine"
        )
    if changes or storage.has_search_ended(config.name):
        storage.extend(config, changes or ["the search that a timeout ended continues"])
    return storage.load_config(config.name)


def _deadline(config: StudyConfig, settings: RunSettings) -> Deadline | None:
    if settings.timeout is None:
        return None
    if config.search.lag is not None:
        raise UsageError(
            "--timeout: a search that ends by the clock cannot be repeated; remove --timeout or"
            " search.repeatable"
        )
    return Deadline(
        seconds=settings.timeout,
        num_workers=settings.workers,
        confirmation_epochs=confirmation_epochs(config, 0),
        run_epochs=config.training.epochs,
    )


def _on_wait(observer: Observer, stop: StopRequest, reason: str) -> None:
    observer.note(reason)
    if stop.count > 1:
        raise InterruptedStudyError(stop.exit_code)


def _drive(
    config: StudyConfig,
    folder: Path,
    checkpoints: str,
    storage: Storage,
    engine: Engine,
    observer: Observer,
    stop: StopRequest,
    deadline: Deadline | None,
    workers: int,
) -> SessionResult:
    facts = storage.load_facts(config.name)
    try:
        write_atomically(folder / "study.toml", format_study(config))
        _keep_code(folder / COPIES, facts)
    except OSError as error:
        raise StorageError(str(error)) from None
    driver = Driver(
        config=config,
        facts=facts,
        storage=storage,
        engine=engine,
        observer=observer,
        stop=stop,
        checkpoints=checkpoints,
        weights=folder / "weights",
    )
    run = StudyRun(config, facts, storage, driver, observer, deadline, workers)
    num_trained = run.run_repeats()
    storage.mark_finished(config.name)
    for left in remove_checkpoints(checkpoints, folder.parent, config.name):
        observer.note(left)
    return SessionResult(
        num_trained=num_trained,
        num_trials=len(storage.load_runs(config.name, "search")),
        num_confirmations=len(storage.load_runs(config.name, "confirm")),
    )


def _note_measured(config: StudyConfig, facts: StudyFacts, observer: Observer) -> None:
    """Say what was chosen for a new study."""
    if config.training.precision == "auto":
        observer.note(f"precision {facts.environment['precision']}")
    if DEVICES in facts.environment:
        observer.note(f"{DEVICES}: {facts.environment[DEVICES]}")


def _check_same_files(
    storage: Storage,
    name: str,
    facts: StudyFacts,
    probed: Probed,
    settings: RunSettings,
    observer: Observer,
) -> None:
    """Refuse other weights or code than the study began with; accepted code is noted.

    Raises:
        UsageError: They changed.
    """
    check_same_weights("study", facts.environment, probed.weights)
    if not settings.accepts_code:
        check_same_code("study", facts.environment, probed.code)
    elif changed := changed_code(facts.environment, probed.code):
        text = f"continued with code that changed since the study began: {', '.join(changed)}"
        _note_once(storage, name, text, observer)


def _note_once(storage: Storage, name: str, text: str, observer: Observer) -> None:
    """Store a note for the readers of the study, unless it is empty or there already."""
    if text and storage.note(name, text):
        observer.note(text)


def _keep_code(folder: Path, facts: StudyFacts) -> None:
    """Copy the files of the user's code next to the results; a copy that is there stays.

    Raises:
        OSError: A copy cannot be written.
    """
    for file in map(Path, code_files(facts.environment)):
        copy = folder / (file.name if file.is_absolute() else file)
        if file.is_file() and not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(copy, file.read_text(encoding="utf-8", errors="replace"))
