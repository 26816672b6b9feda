"""Stores studies and their runs in an Optuna storage, and loads them as records.

A study `x` is two Optuna studies in one storage: `x` holds the search trials of all arms, and
`x:confirm` holds the shortlist and confirmation runs. One transaction creates a run in the state
RUNNING with its parameters. The run then receives one intermediate value per epoch, and its state
is changed once, when it ends.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from optuna.study import StudyDirection

from bakeoff.components.objectives import further_objectives
from bakeoff.errors import StorageError, UsageError, describe_unknown
from bakeoff.garbage import without_collection
from bakeoff.ranges import Params
from bakeoff.records import (
    Direction,
    Purpose,
    StudyConfig,
    StudyRecord,
    TrialPlan,
    TrialRecord,
    WarmStarts,
)
from bakeoff.storage.checksums import ADVICE, BEGUN_KEY, DamagedError, opened
from bakeoff.storage.connection import Connection, OnWait, persist
from bakeoff.storage.contents import (
    FORMAT,
    StudyFacts,
    StudyState,
    as_begun,
    build_record,
    config_of,
    extended_content,
    has_checksums,
    naming,
    new_content,
    state_of,
    stored_state,
    study_facts_of,
)
from bakeoff.storage.database import (
    is_busy,
    is_unreachable,
    open_database,
    parse_storage_url,
    shown,
    sqlite_path,
)
from bakeoff.storage.reading import (
    has_orphans,
    parse,
    read_runs,
    read_studies,
    read_study_attributes,
)
from bakeoff.storage.run_writer import RunWriter
from bakeoff.storage.trials import (
    CheckedRun,
    check_runs,
    first_rows,
)

STUDY_KEY = "bakeoff:study"
STATE_KEY = "bakeoff:state"
DRIVER_KEY = "bakeoff:driver"
"""The token of the driver that holds, or last held, the study's lock."""
CONFIRM_SUFFIX = ":confirm"
ALL_RUNS: tuple[Purpose, ...] = ("search", "confirm")
"""The purposes by which all runs of a study are loaded."""
MAX_LISTED = 10
"""Number of studies of other programs that a message names."""
DIRECTIONS: Mapping[Direction, StudyDirection] = {
    "maximize": StudyDirection.MAXIMIZE,
    "minimize": StudyDirection.MINIMIZE,
}


class Storage(RunWriter):
    """All studies of one Optuna storage."""

    def __init__(
        self,
        url: str,
        *,
        create: bool = False,
        on_wait: OnWait = lambda _: None,
        is_known: bool = False,
    ) -> None:
        """Open the storage.

        Args:
            url: `sqlite:///results/studies.db` or `postgresql://...`.
            create: Create a missing SQLite file, and open transactions for writing (the driver)
                instead of reading.
            on_wait: Called while the storage does not answer.
            is_known: Whether the storage has been used before. If so, opening waits for it as every
                later access does. If not, its address may be wrong, and opening waits only for a
                storage that says that it is busy.

        Raises:
            UsageError: The URL cannot be understood.
            StorageError: The storage cannot be reached or is not an Optuna storage.
            MissingDependencyError: The database's driver is not installed.
        """
        super().__init__()
        self.url = parse_storage_url(url)
        self.path = sqlite_path(self.url)
        opening = partial(open_database, self.url, create=create)
        waited_for = is_unreachable if is_known else is_busy
        self.optuna_storage = self._rdb = persist(opening, on_wait, waited_for)
        """The Optuna storage itself, for optuna-dashboard."""
        self.connection = Connection(self._rdb, on_wait)
        self._contents: dict[str, dict[str, Any]] = {}
        """The contents of the studies whose runs are being stored."""
        self.driver_token = ""
        """Identifies the driver that holds a study's lock. Empty if the lock cannot be lost."""

    def names(self) -> tuple[str, ...]:
        """Names of the bakeoff studies stored here, oldest first."""
        return tuple(
            name
            for name, content in self._stored().items()
            if content is not None and not name.endswith(CONFIRM_SUFFIX)
        )

    def foreign_names(self) -> tuple[str, ...]:
        """Names of the studies that other programs stored here, oldest first."""
        return tuple(name for name, content in self._stored().items() if content is None)

    def has(self, name: str) -> bool:
        """Whether a bakeoff study of this name is stored here.

        Raises:
            StorageError: Another program made an Optuna study of this name.
        """
        if name in self.names():
            return True
        if name in self._stored():
            raise StorageError(
                f"study {name!r} in {self} was not made by bakeoff; choose another name for yours,"
                f" or report on it: {self.report_command(name)}"
            )
        return False

    def report_command(self, name: str) -> str:
        """The command that reports on a study that another program stored here."""
        return f"`study report --storage {self} --study {shlex.quote(name)} --arm PARAMETER`"

    def __str__(self) -> str:
        return shown(self.url)

    def _stored(self) -> dict[str, str | None]:
        """The content of every Optuna study by its name, oldest first; None if it is not ours."""
        return self.connection.call(read_studies, self._rdb.engine, STUDY_KEY)

    def remove_half_made(self, name: str) -> None:
        """Remove what a killed `create` or `delete` left behind. The caller must hold the lock."""
        stored = self._stored()
        is_whole = stored.get(name) is not None
        if is_whole or name + CONFIRM_SUFFIX not in stored:
            return  # whole, absent, or another program's: only bakeoff makes the second study
        for one in (name, name + CONFIRM_SUFFIX):
            if one in stored:
                self.connection.delete_study(one)

    def create(
        self, config: StudyConfig, facts: StudyFacts, warm_starts: WarmStarts | None = None
    ) -> None:
        """Store a new study, with its warm starts for later continuations."""
        objectives = (facts.metric, *further_objectives(config))
        directions = [DIRECTIONS[metric.direction] for metric in objectives]
        names = [metric.name for metric in objectives]
        content = new_content(config, facts, warm_starts)
        call, rdb = self.connection.call, self._rdb
        for name in (config.name + CONFIRM_SUFFIX, config.name):
            study_id = self.connection.create_study(directions, name)
            call(rdb.set_study_system_attr, study_id, "study:metric_names", names)
            call(rdb.set_study_system_attr, study_id, STATE_KEY, stored_state(StudyState()))
            call(rdb.set_study_system_attr, study_id, STUDY_KEY, content)

    def claim(self, name: str) -> None:
        """Store which driver has the study now, so that a disconnected driver can detect it."""
        if self.driver_token:
            self._set_content(name, DRIVER_KEY, self.driver_token)

    def load_config(self, name: str) -> StudyConfig:
        """The settings of a stored study.

        Raises:
            UsageError: No such study is stored. The message lists the known ones.
        """
        content = self._content(name)
        with naming(name, STUDY_KEY):
            return config_of(content)

    def load_facts(self, name: str) -> StudyFacts:
        """What was measured when the study began."""
        content = self._content(name)
        with naming(name, STUDY_KEY):
            return study_facts_of(content)

    def _content(self, name: str) -> dict[str, Any]:
        stored = self._stored()
        if not self.has(name) or name not in stored:
            foreign = ", ".join(self.foreign_names()[:MAX_LISTED])
            hint = f"; studies of other programs here: {foreign}" if foreign else ""
            raise UsageError(describe_unknown("study", name, self.names()) + hint)
        with naming(name, STUDY_KEY):
            content: dict[str, Any] = parse(stored[name], STUDY_KEY)
            if content["format"] > FORMAT:
                raise StorageError(
                    f"study {name!r} has format {content['format']}, but this bakeoff reads formats"
                    f" up to {FORMAT}; install a newer bakeoff"
                )
            return opened(content, "its content")

    def _set_content(self, name: str, key: str, value: Any) -> None:
        study_id = self.connection.study_id(name)
        self.connection.call(self._rdb.set_study_system_attr, study_id, key, value)

    def _set_attr(self, name: str, key: str, value: Any) -> None:
        study_id = self.connection.study_id(name)
        self.connection.call(self._rdb.set_study_user_attr, study_id, key, value)

    def _state(self, name: str) -> StudyState:
        study_id = self.connection.study_id(name)
        read, engine = read_study_attributes, self._rdb.engine
        attrs = self.connection.call(read, engine, study_id, "system")
        if STATE_KEY in attrs:
            with naming(name, STATE_KEY):
                return state_of(parse(attrs[STATE_KEY], STATE_KEY))
        if has_checksums(self._content(name)):
            raise DamagedError(f"study {name!r}: its state is missing: {ADVICE}")
        texts = self.connection.call(read, engine, study_id, "user")
        with naming(name, "notes"):
            kept = ("finished", "search_ended", "notes")
            stored = {key: parse(texts[key], key) for key in kept if key in texts}
            return StudyState(
                finished=bool(stored.get("finished")),
                search_ended=bool(stored.get("search_ended")),
                notes=tuple(map(str, stored.get("notes", ()))),
            )

    def _set_state(self, name: str, state: StudyState) -> None:
        """Store the state, and a copy of what the dashboard shows of it."""
        before = self._state(name)
        self._set_content(name, STATE_KEY, stored_state(state))
        for key in ("finished", "search_ended", "notes"):
            if getattr(state, key) != getattr(before, key):
                self._set_attr(name, key, value=getattr(state, key))

    def is_finished(self, name: str) -> bool:
        """Whether search and confirmation were complete when the study was last run."""
        return self._state(name).finished

    def mark_finished(self, name: str) -> None:
        """Store that search and confirmation are complete."""
        runs = {str(one): len(self.load_runs(name, one)) for one in ALL_RUNS}
        self._set_state(name, replace(self._state(name), finished=True, runs=runs))

    def has_search_ended(self, name: str) -> bool:
        """Whether the search was ended before its budget was used."""
        return self._state(name).search_ended

    def end_search(self, name: str) -> None:
        """Store that the search ended before its budget was used, so that it is not resumed."""
        self._set_state(name, replace(self._state(name), search_ended=True))

    def notes(self, name: str) -> tuple[str, ...]:
        """The notes about the study, oldest first."""
        return self._state(name).notes

    def note(self, name: str, text: str) -> bool:
        """Store a note for readers of the study, and return whether it is new."""
        state = self._state(name)
        if text not in state.notes:
            self._set_state(name, replace(state, notes=(*state.notes, text)))
        return text not in state.notes

    def extend(self, config: StudyConfig, changes: Sequence[str]) -> None:
        """Give a stored study more trials or arms. Its first optimizers and schedules are kept.

        Optuna allows no new choice of a parameter, so `optimizer` and `scheduler` keep theirs.
        Trials of new arms are recognized by their attribute `arm`.
        """
        name, content = config.name, self._content(config.name)
        num_trials = self.connection.call(self._rdb.get_n_trials, self.connection.study_id(name))
        read = [run for _, run in self.load_runs(name, "confirm") if run.test_metrics]
        extended = extended_content(
            content,
            config,
            num_trials if self.is_finished(name) else int(content.get("settled", 0)),
            changes if read else (),
            num_read=len({r.seed for r in read if r.purpose == "confirm" and r.repeat == 0}),
            num_read_repeats=len({r.repeat for r in read if r.purpose == "confirm"}),
        )
        self._set_state(name, replace(self._state(name), finished=False, search_ended=False))
        self._set_content(name, STUDY_KEY, extended)
        self._contents.pop(name, None)
        self.note(name, f"extended: {'; '.join(changes)}")

    def random_id(self, name: str) -> str:
        """A text that no other study has, whatever its name; empty if an old release stored it."""
        return str(self._content(name).get("id", ""))

    def num_settled(self, name: str, repeat: int = 0) -> int:
        """Search trials of a repeat when the study was last extended; 0 if it never was."""
        settled = int(self._content(name).get("settled", 0))
        runs = self.load_runs(name, "search", repeat) if settled else ()
        return sum(record.number < settled for _, record in runs)

    def warm_starts(self, name: str) -> dict[str, list[Params]]:
        """Hyperparameters that each arm tries first, by arm; see `bakeoff.search.warm_start`."""
        found: dict[str, list[Params]] = self._content(name).get("warm_starts", {})
        return found

    def count_trials(self, name: str) -> int:
        """Number of trials of the search, whatever their state, even in a damaged study."""
        return self.connection.call(self._rdb.get_n_trials, self.connection.study_id(name))

    def delete(self, name: str) -> None:
        """Remove a study and its confirmation runs, even if it is damaged."""
        if not self.has(name):
            self._content(name)  # which raises
        for stored in (name, name + CONFIRM_SUFFIX):
            self.connection.delete_study(stored)

    def _group_id(self, name: str, purpose: Purpose) -> int:
        return self.connection.study_id(name if purpose == "search" else name + CONFIRM_SUFFIX)

    def begin(self, config: StudyConfig, plan: TrialPlan) -> tuple[int, int]:
        """Store a run as RUNNING with its parameters, in one transaction.

        Returns:
            The run's number, and its id for `report` and `finish`.
        """
        if config.name not in self._contents:
            self._contents[config.name] = self._content(config.name)
        rows = first_rows(plan, as_begun(config, self._contents[config.name]))
        return self._begin_run(self._group_id(config.name, plan.purpose), rows)

    def load_runs(
        self, name: str, purpose: Purpose, repeat: int | None = None
    ) -> tuple[tuple[int, TrialRecord], ...]:
        """The runs as (storage id, record), by number: those of the search, or all others.

        Args:
            name: Name of the study.
            purpose: `search`, or any other.
            repeat: The repeat whose runs are loaded; None loads those of all repeats.
        """
        runs = self._checked_runs(name, purpose)
        return tuple(
            (one.trial_id, one.record) for one in runs if repeat in (None, one.record.repeat)
        )

    def _checked_runs(self, name: str, purpose: Purpose) -> list[CheckedRun]:
        content = self._content(name)
        objective = study_facts_of(content).metric.name
        study_id = self._group_id(name, purpose)
        with without_collection():
            try:
                runs = self.connection.call(read_runs, self._rdb.engine, study_id)
                found = check_runs(runs, objective, must_be_checked=has_checksums(content))
                if len(found) < len(runs):  # of another program, or separated from its attributes
                    self._check_no_orphans()
                return found
            except DamagedError as error:
                group = "search" if purpose == "search" else "confirmation"
                raise DamagedError(f"study {name!r}, {group} {error}: {ADVICE}") from None

    def _check_no_orphans(self) -> None:
        if self.connection.call(has_orphans, self._rdb.engine, BEGUN_KEY):
            raise DamagedError("runs: the attributes of a run belong to none")

    def load_record(self, name: str) -> StudyRecord:
        """The whole study, for analysis and report.

        Raises:
            DamagedError: A part of it does not match its checksum.
        """
        content = self._content(name)
        state = self._state(name)  # before the runs, because runs are only added
        search, others = (self._checked_runs(name, purpose) for purpose in ALL_RUNS)
        for purpose, runs in zip(ALL_RUNS, (search, others), strict=True):
            if state.finished and len(runs) < state.runs.get(purpose, 0):
                raise DamagedError(f"study {name!r}: runs are missing: {ADVICE}")
        return build_record(
            content,
            trials=(one.record for one in search),
            confirmations=(one.record for one in others),
            state=state,
            num_unchecked=sum(not one.is_checked for one in (*search, *others)),
        )
