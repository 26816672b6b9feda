"""Stores studies and their runs in an Optuna storage, and loads them as records.

A study `x` is two Optuna studies in one storage: `x` holds the search trials of all arms, and
`x:confirm` holds the shortlist and confirmation runs. One transaction creates a run in the state
RUNNING with its parameters. The run then receives one intermediate value per epoch, and its state
is changed once, when it ends.
"""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from optuna.study import StudyDirection

from bakeoff.components.objectives import further_objectives
from bakeoff.errors import StorageError, UsageError, describe_unknown
from bakeoff.ranges import Params
from bakeoff.records import (
    Direction,
    EpochResult,
    Purpose,
    StudyConfig,
    StudyRecord,
    TrialPlan,
    TrialRecord,
    WarmStarts,
)
from bakeoff.storage.connection import Connection
from bakeoff.storage.contents import (
    FORMAT,
    StudyFacts,
    as_begun,
    build_record,
    config_of,
    extended_content,
    new_content,
    study_facts_of,
)
from bakeoff.storage.database import open_database, parse_storage_url, shown, sqlite_path
from bakeoff.storage.reading import read_runs, without_collection
from bakeoff.storage.trials import (
    LOSSES_KEY,
    PAUSE_KEY,
    PLAN_KEY,
    RESULT_KEY,
    end_of,
    facts_of,
    pause_of,
    result_of,
    template_of,
    to_record,
)

STUDY_KEY = "bakeoff:study"
DRIVER_KEY = "bakeoff:driver"
"""The token of the driver that holds, or last held, the study's lock."""
CONFIRM_SUFFIX = ":confirm"
MAX_LISTED = 10
"""Number of studies of other programs that a message names."""
DIRECTIONS: Mapping[Direction, StudyDirection] = {
    "maximize": StudyDirection.MAXIMIZE,
    "minimize": StudyDirection.MINIMIZE,
}


class Storage:
    """All studies of one Optuna storage."""

    def __init__(self, url: str, *, create: bool = False) -> None:
        """Open the storage.

        Args:
            url: `sqlite:///results/studies.db` or `postgresql://...`.
            create: Create a missing SQLite file, and open transactions for writing (the driver)
                instead of reading.

        Raises:
            UsageError: The URL cannot be understood.
            StorageError: The storage cannot be reached or is not an Optuna storage.
            MissingDependencyError: The database's driver is not installed.
        """
        self.url = parse_storage_url(url)
        self.path = sqlite_path(self.url)
        self.optuna_storage = self._rdb = open_database(self.url, create=create)
        """The Optuna storage itself, for optuna-dashboard."""
        self.connection = Connection(self._rdb)
        self._contents: dict[str, dict[str, Any]] = {}
        """The contents of the studies whose runs are being stored."""
        self.driver_token = ""
        """Identifies the driver that holds a study's lock. Empty if the lock cannot be lost."""

    def names(self) -> tuple[str, ...]:
        """Names of the bakeoff studies stored here, oldest first."""
        return tuple(
            name
            for name, attrs in self._stored().items()
            if STUDY_KEY in attrs and not name.endswith(CONFIRM_SUFFIX)
        )

    def foreign_names(self) -> tuple[str, ...]:
        """Names of the studies that other programs stored here, oldest first."""
        return tuple(name for name, attrs in self._stored().items() if STUDY_KEY not in attrs)

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

    def _stored(self) -> dict[str, dict[str, Any]]:
        """The system attributes of every Optuna study by its name, oldest study first."""
        studies = self.connection.call(self._rdb.get_all_studies)
        return {study.study_name: study.system_attrs for study in studies}

    # ------------------------------------------------------------ studies

    def remove_half_made(self, name: str) -> None:
        """Remove what a killed `create` or `delete` left behind. The caller must hold the lock."""
        stored = self._stored()
        is_whole = STUDY_KEY in stored.get(name, {})
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
            study_id = call(rdb.create_new_study, directions, name)
            call(rdb.set_study_system_attr, study_id, "study:metric_names", names)
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
        return config_of(self._content(name))

    def load_facts(self, name: str) -> StudyFacts:
        """What was measured when the study began."""
        return study_facts_of(self._content(name))

    def _content(self, name: str) -> dict[str, Any]:
        stored = self._stored()
        if not self.has(name) or name not in stored:
            foreign = ", ".join(self.foreign_names()[:MAX_LISTED])
            hint = f"; studies of other programs here: {foreign}" if foreign else ""
            raise UsageError(describe_unknown("study", name, self.names()) + hint)
        content: dict[str, Any] = stored[name][STUDY_KEY]
        if content["format"] > FORMAT:
            raise StorageError(
                f"study {name!r} has format {content['format']}, but this bakeoff reads formats up"
                f" to {FORMAT}; install a newer bakeoff"
            )
        return content

    def _set_content(self, name: str, key: str, value: Any) -> None:
        study_id = self.connection.study_id(name)
        self.connection.retry(self._rdb.set_study_system_attr, study_id, key, value)

    def _attr(self, name: str, key: str, default: Any) -> Any:
        """A fact of the study that the dashboard shows."""
        study_id = self.connection.study_id(name)
        return self.connection.call(self._rdb.get_study_user_attrs, study_id).get(key, default)

    def _set_attr(self, name: str, key: str, value: Any) -> None:
        study_id = self.connection.study_id(name)
        self.connection.retry(self._rdb.set_study_user_attr, study_id, key, value)

    def is_finished(self, name: str) -> bool:
        """Whether search and confirmation were complete when the study was last run."""
        return bool(self._attr(name, "finished", default=False))

    def mark_finished(self, name: str) -> None:
        """Store that search and confirmation are complete."""
        self._set_attr(name, "finished", value=True)

    def has_search_ended(self, name: str) -> bool:
        """Whether the search was ended before its budget was used."""
        return bool(self._attr(name, "search_ended", default=False))

    def end_search(self, name: str) -> None:
        """Store that the search ended before its budget was used, so that it is not resumed."""
        self._set_attr(name, "search_ended", value=True)

    def notes(self, name: str) -> tuple[str, ...]:
        """The notes about the study, oldest first."""
        return tuple(self._attr(name, "notes", ()))

    def note(self, name: str, text: str) -> bool:
        """Store a note for readers of the study, and return whether it is new."""
        known = self.notes(name)
        if text not in known:
            self._set_attr(name, "notes", [*known, text])
        return text not in known

    def extend(self, config: StudyConfig, changes: Sequence[str]) -> None:
        """Give a stored study more trials or arms. Its first optimizers and schedules are kept.

        Optuna allows no new choice of a parameter, so `optimizer` and `scheduler` keep theirs.
        Trials of new arms are recognized by their attribute `arm`.
        """
        name, content = config.name, self._content(config.name)
        num_trials = self.connection.retry(self._rdb.get_n_trials, self.connection.study_id(name))
        read = [run for _, run in self.load_runs(name, "confirm") if run.test_metrics]
        extended = extended_content(
            content,
            config,
            num_trials,
            changes if read else (),
            num_read=len({r.seed for r in read if r.purpose == "confirm" and r.repeat == 0}),
            num_read_repeats=len({r.repeat for r in read if r.purpose == "confirm"}),
        )
        for key in ("finished", "search_ended"):
            self._set_attr(name, key, value=False)
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

    def delete(self, name: str) -> None:
        """Remove a study and its confirmation runs."""
        self._content(name)
        for stored in (name, name + CONFIRM_SUFFIX):
            self.connection.delete_study(stored)

    # ------------------------------------------------------------ runs

    def _group_id(self, name: str, purpose: Purpose) -> int:
        return self.connection.study_id(name if purpose == "search" else name + CONFIRM_SUFFIX)

    def begin(self, config: StudyConfig, plan: TrialPlan) -> tuple[int, int]:
        """Store a run as RUNNING with its parameters, in one transaction.

        Returns:
            The run's number, and the storage's id for `report` and `finish`.
        """
        if config.name not in self._contents:
            self._contents[config.name] = self._content(config.name)
        template = template_of(plan, as_begun(config, self._contents[config.name]))
        return self.connection.create_trial(self._group_id(config.name, plan.purpose), template)

    def report(self, trial_id: int, epoch: int, value: float) -> None:
        """Store the objective after an epoch."""
        self.connection.retry(self._rdb.set_trial_intermediate_value, trial_id, epoch, value)

    def pause(self, trial_id: int, history: Sequence[EpochResult]) -> None:
        """Store that a run waits with its checkpoint, and its measurements so far."""
        self._set_run_content(trial_id, PAUSE_KEY, pause_of(history))
        self._set_run_attr(trial_id, "paused", f"after epoch {history[-1].epoch}")

    def unpause(self, trial_id: int) -> None:
        """Store that a paused run continues."""
        self._set_run_content(trial_id, PAUSE_KEY, {})
        self._set_run_attr(trial_id, "paused", "")

    def exempt(self, trial_id: int, epoch: int) -> None:
        """Store that the run is exempt from pruning that would have ended it after `epoch`."""
        self._set_run_attr(trial_id, "spared_at", epoch)

    def count_attempt(self, trial_id: int, attempt: int, losses: tuple[int, int]) -> None:
        """Store the number of times a run was started. It is restarted if its worker dies.

        `losses` are the workers lost since its last new epoch, and that epoch.
        """
        self._set_run_content(trial_id, LOSSES_KEY, list(losses))
        self._set_run_attr(trial_id, "attempts", attempt)

    def finish(self, trial_id: int, record: TrialRecord) -> None:
        """Store how a run ended. The state is stored last, so that a crash repeats the run."""
        facts = facts_of(record)
        if record.outcome == "pruned" and self.connection.retry(
            self._rdb.get_trial_user_attrs, trial_id
        ).get("paused"):
            facts["paused"] = ""
        self._set_run_content(trial_id, RESULT_KEY, result_of(record))
        for key, value in facts.items():
            self._set_run_attr(trial_id, key, value)
        self.connection.end_trial(trial_id, *end_of(record))

    def _set_run_content(self, trial_id: int, key: str, value: Any) -> None:
        self.connection.retry(self._rdb.set_trial_system_attr, trial_id, key, value)

    def _set_run_attr(self, trial_id: int, key: str, value: object) -> None:
        """Store a small fact that the dashboard shows."""
        self.connection.retry(self._rdb.set_trial_user_attr, trial_id, key, value)

    def load_runs(
        self, name: str, purpose: Purpose, repeat: int | None = None
    ) -> tuple[tuple[int, TrialRecord], ...]:
        """The runs as (storage id, record), by number: those of the search, or all others.

        Args:
            name: Name of the study.
            purpose: `search`, or any other.
            repeat: The repeat whose runs are loaded; None loads those of all repeats.
        """
        objective = self.load_facts(name).metric.name
        study_id = self._group_id(name, purpose)
        with without_collection():
            records = [
                (run.trial_id, to_record(run, objective))
                for run in self.connection.call(read_runs, self._rdb.engine, study_id)
                if PLAN_KEY in run.system_attrs  # other programs may add trials without a plan
            ]
        return tuple(one for one in records if repeat in (None, one[1].repeat))

    def load_record(self, name: str) -> StudyRecord:
        """The whole study, for analysis and report."""
        return build_record(
            self._content(name),
            trials=(record for _, record in self.load_runs(name, "search")),
            confirmations=(record for _, record in self.load_runs(name, "confirm")),
            is_finished=self.is_finished(name),
            notes=self.notes(name),
        )
