"""Optuna studies on disk <-> records.

A study `x` is two Optuna studies in one storage: `x` holds the search trials of all arms,
`x:confirm` the shortlist and confirmation runs. A run is created RUNNING with its parameters in one
transaction, receives one intermediate value per epoch, and is finished once.
"""

import shlex
import tomllib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import count
from typing import Any

from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from bakeoff.components.objectives import further_objectives
from bakeoff.errors import StorageError, UsageError, describe_unknown
from bakeoff.ranges import Params
from bakeoff.records import (
    Direction,
    EpochResult,
    MetricInfo,
    Purpose,
    StudyConfig,
    StudyRecord,
    TrialPlan,
    TrialRecord,
    WarmStarts,
    as_plain,
)
from bakeoff.storage.database import open_database, parse_storage_url, shown, sqlite_path
from bakeoff.storage.facts import StudyFacts
from bakeoff.storage.patience import Answer, guard, persist
from bakeoff.storage.reading import read_runs, without_collection
from bakeoff.storage.record import build_record
from bakeoff.storage.trials import (
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
from bakeoff.studyfile import format_study, resolve_study

FORMAT = 1
STUDY_KEY = "bakeoff:study"
CHANGED_KEY = "changed_after_results"
DRIVER_KEY = "bakeoff:driver"
"""Token of the driver that holds, or last held, the study's lock."""
CONFIRM_SUFFIX = ":confirm"
MAX_LISTED = 10
"""Studies of other programs that a message names."""
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
            create: Whether a missing SQLite file is made, and whether transactions are for
                writing (the driver) or for reading.

        Raises:
            UsageError: The URL cannot be understood.
            StorageError: The storage cannot be reached or is not an Optuna storage.
            MissingDependencyError: The database's driver is not installed.
        """
        self.url = parse_storage_url(url)
        self.path = sqlite_path(self.url)
        self._rdb = open_database(self.url, create=create)
        self._ids: dict[str, int] = {}
        self._num_trials: dict[int, int] = {}
        """Trials stored, by study; known once one has been counted."""
        self._begun_with: dict[str, dict[str, list[str]]] = {}
        self.driver_token = ""
        """Names the driver that holds a study's lock; empty where the lock cannot be lost."""
        self.on_wait: Callable[[str], None] = lambda _: None
        """Told why, each time a write has to wait for a storage that is away; may raise."""

    @property
    def optuna_storage(self) -> RDBStorage:
        """The Optuna storage itself, for optuna-dashboard."""
        return self._rdb

    def names(self) -> tuple[str, ...]:
        """Names of the bakeoff studies stored here, oldest first."""
        studies = guard(self._rdb.get_all_studies)
        return tuple(
            study.study_name
            for study in studies
            if STUDY_KEY in study.system_attrs and not study.study_name.endswith(CONFIRM_SUFFIX)
        )

    def foreign_names(self) -> tuple[str, ...]:
        """Names of the studies that other programs stored here, oldest first."""
        studies = guard(self._rdb.get_all_studies)
        return tuple(study.study_name for study in studies if STUDY_KEY not in study.system_attrs)

    def has(self, name: str) -> bool:
        """Whether a bakeoff study of this name is stored here.

        Raises:
            StorageError: An Optuna study of this name was made by another program.
        """
        if name in self.names():
            return True
        stored = {study.study_name for study in guard(self._rdb.get_all_studies)}
        if name in stored:
            raise StorageError(
                f"study {name!r} in {self} was not made by bakeoff; give yours another name, or"
                f" report on it: {self.report_command(name)}"
            )
        return False

    def report_command(self, name: str) -> str:
        """How to report on a study that another program stored here."""
        return f"`study report --storage {self} --study {shlex.quote(name)} --arm PARAMETER`"

    def __str__(self) -> str:
        return shown(self.url)

    # ------------------------------------------------------------ studies

    def remove_half_made(self, name: str) -> None:
        """Remove what a kill during `create` or `delete` left behind; call it under the lock."""
        stored = {study.study_name: study for study in guard(self._rdb.get_all_studies)}
        is_whole = name in stored and STUDY_KEY in stored[name].system_attrs
        if is_whole or name + CONFIRM_SUFFIX not in stored:
            return  # whole, absent, or another program's: only bakeoff makes the second study
        for one in (name, name + CONFIRM_SUFFIX):
            if one in stored:
                guard(partial(self._rdb.delete_study, self._id(one)))
        self._ids.clear()

    def create(
        self,
        config: StudyConfig,
        facts: StudyFacts,
        warm_starts: WarmStarts | None = None,
    ) -> None:
        """Store a new study; its warm starts are kept with it, for when it is continued."""
        objectives = (facts.metric, *further_objectives(config))
        directions = [DIRECTIONS[metric.direction] for metric in objectives]
        names = [metric.name for metric in objectives]
        for name in (config.name + CONFIRM_SUFFIX, config.name):
            study_id = guard(partial(self._rdb.create_new_study, directions, name))
            content = {"format": FORMAT, "config": format_study(config), "facts": as_plain(facts)}
            if warm_starts:
                content["warm_starts"] = as_plain(warm_starts)
            for key, value in (("study:metric_names", names), (STUDY_KEY, content)):
                guard(partial(self._rdb.set_study_system_attr, study_id, key, value))

    def claim(self, name: str) -> None:
        """Note which driver has the study now, so that one that was away finds out."""
        if self.driver_token:
            study_id, token = self._id(name), self.driver_token
            self._persist(lambda: self._rdb.set_study_system_attr(study_id, DRIVER_KEY, token))

    def load_config(self, name: str) -> StudyConfig:
        """The settings a stored study was begun with.

        Raises:
            UsageError: No such study; the known ones are listed.
        """
        return resolve_study(tomllib.loads(self._content(name)["config"]))

    def load_facts(self, name: str) -> StudyFacts:
        """What was measured when the study began."""
        facts = self._content(name)["facts"]
        return StudyFacts(**{**facts, "metric": MetricInfo(**facts["metric"])})

    def _content(self, name: str) -> dict[str, Any]:
        if not self.has(name):
            foreign = self.foreign_names()
            hint = f"; other programs' here: {', '.join(foreign[:MAX_LISTED])}" if foreign else ""
            raise UsageError(describe_unknown("study", name, self.names()) + hint)
        attrs = guard(lambda: self._rdb.get_study_system_attrs(self._id(name)))
        content: dict[str, Any] = attrs[STUDY_KEY]
        if content["format"] > FORMAT:
            raise StorageError(
                f"study {name!r} has format {content['format']}, this bakeoff reads up to {FORMAT};"
                " install a newer bakeoff"
            )
        return content

    def is_finished(self, name: str) -> bool:
        """Whether search and confirmation were complete when the study was last run."""
        attrs = guard(lambda: self._rdb.get_study_user_attrs(self._id(name)))
        return bool(attrs.get("finished", False))

    def mark_finished(self, name: str) -> None:
        """Note that search and confirmation are complete."""
        guard(lambda: self._rdb.set_study_user_attr(self._id(name), "finished", True))

    def notes(self, name: str) -> tuple[str, ...]:
        """What was noted of the study, oldest first."""
        attrs = guard(lambda: self._rdb.get_study_user_attrs(self._id(name)))
        return tuple(attrs.get("notes", ()))

    def note(self, name: str, text: str) -> bool:
        """Store what a reader of the study should know; whether it was not known before."""
        known = self.notes(name)
        if text in known:
            return False
        notes = [*known, text]
        self._persist(lambda: self._rdb.set_study_user_attr(self._id(name), "notes", notes))
        return True

    def extend(self, config: StudyConfig, changes: Sequence[str]) -> None:
        """Give a stored study more trials or arms; what it was begun with is kept beside.

        Optuna lets no choice grow, so the parameters `optimizer` and `scheduler` keep theirs: new
        arms are known by their attribute `arm`.
        """
        content, study_id = self._content(config.name), self._id(config.name)
        begun = {"optimizers": self.load_config(config.name).search.optimizers,
                 "schedulers": self.load_config(config.name).search.schedulers}  # fmt: skip
        settled = self._persist(partial(self._rdb.get_n_trials, study_id))
        extended = {
            "begun_with": begun, **content, "config": format_study(config), "settled": settled
        }  # fmt: skip
        if any(run.test_metrics for _, run in self.load_runs(config.name, "confirm")):
            extended[CHANGED_KEY] = [*content.get(CHANGED_KEY, ()), *changes]
        for key in ("finished", "search_ended"):
            self._persist(partial(self._rdb.set_study_user_attr, study_id, key, False))
        self._persist(
            lambda: self._rdb.set_study_system_attr(study_id, STUDY_KEY, as_plain(extended))
        )
        self.note(config.name, f"extended: {'; '.join(changes)}")

    def num_settled(self, name: str) -> int:
        """Search trials that were there when the study was last extended; 0 if it never was."""
        return int(self._content(name).get("settled", 0))

    def _as_begun(self, config: StudyConfig) -> StudyConfig:
        """With the choices that Optuna knows of `optimizer` and `scheduler`."""
        if config.name not in self._begun_with:
            self._begun_with[config.name] = self._content(config.name).get("begun_with", {})
        begun = {key: tuple(names) for key, names in self._begun_with[config.name].items()}
        return replace(config, search=replace(config.search, **begun))  # type: ignore[arg-type]

    def warm_starts(self, name: str) -> dict[str, list[Params]]:
        """Configurations that the arms begin with, by arm; see `bakeoff.search.warm_start`."""
        found: dict[str, list[Params]] = self._content(name).get("warm_starts", {})
        return found

    def has_search_ended(self, name: str) -> bool:
        """Whether the search was ended before its budget."""
        attrs = guard(lambda: self._rdb.get_study_user_attrs(self._id(name)))
        return bool(attrs.get("search_ended", False))

    def end_search(self, name: str) -> None:
        """Note that the search was ended before its budget, so that it is not taken up again."""
        study_id = self._id(name)
        self._persist(lambda: self._rdb.set_study_user_attr(study_id, "search_ended", True))

    def delete(self, name: str) -> None:
        """Remove a study and its confirmation runs."""
        self._content(name)
        for stored in (name, name + CONFIRM_SUFFIX):
            guard(partial(self._rdb.delete_study, self._id(stored)))

    def _id(self, stored_name: str) -> int:
        if stored_name not in self._ids:
            self._ids[stored_name] = guard(lambda: self._rdb.get_study_id_from_name(stored_name))
        return self._ids[stored_name]

    def _group_id(self, name: str, purpose: Purpose) -> int:
        return self._id(name if purpose == "search" else name + CONFIRM_SUFFIX)

    # ------------------------------------------------------------ runs

    def begin(self, config: StudyConfig, plan: TrialPlan) -> tuple[int, int]:
        """Store a run as RUNNING with its parameters, in one transaction.

        Returns:
            Its number, and the storage's id for `report` and `finish`.
        """
        template = template_of(plan, self._as_begun(config))
        study_id = self._group_id(config.name, plan.purpose)
        trial_id = self._create(study_id, template)
        number = self._num_trials[study_id]
        self._num_trials[study_id] += 1
        return number, trial_id

    def _create(self, study_id: int, template: FrozenTrial) -> int:
        """Store a trial once, even where the storage went away before it could say so.

        The driver alone writes, so that the number it will have is known: Optuna would read all
        trials to count them.
        """
        if study_id not in self._num_trials:
            self._num_trials[study_id] = self._persist(partial(self._rdb.get_n_trials, study_id))
        number, attempts = self._num_trials[study_id], count()

        def create() -> int:
            if next(attempts):
                with suppress(KeyError):  # it was stored, but not acknowledged
                    return self._rdb.get_trial_id_from_study_id_trial_number(study_id, number)
            return self._rdb.create_new_trial(study_id, template)

        return self._persist(create)

    def report(self, trial_id: int, epoch: int, value: float) -> None:
        """Store the objective after an epoch."""
        self._persist(lambda: self._rdb.set_trial_intermediate_value(trial_id, epoch, value))

    def pause(self, trial_id: int, history: Sequence[EpochResult]) -> None:
        """Note that a run waits with its checkpoint, and what it measured so far."""
        content = pause_of(history)
        self._persist(lambda: self._rdb.set_trial_system_attr(trial_id, PAUSE_KEY, content))
        self._show(trial_id, "paused", f"after epoch {history[-1].epoch}")

    def unpause(self, trial_id: int) -> None:
        """Note that a paused run continues."""
        self._persist(lambda: self._rdb.set_trial_system_attr(trial_id, PAUSE_KEY, {}))
        self._show(trial_id, "paused", "")

    def spare(self, trial_id: int, epoch: int) -> None:
        """Note that pruning would have ended a run after `epoch`."""
        self._show(trial_id, "spared_at", epoch)

    def count_attempt(self, trial_id: int, attempt: int) -> None:
        """Note that a run is begun for the `attempt`-th time, because it has lost its worker."""
        self._show(trial_id, "attempts", attempt)

    def _show(self, trial_id: int, key: str, value: object) -> None:
        """Store a small fact where the dashboard shows it."""
        self._persist(lambda: self._rdb.set_trial_user_attr(trial_id, key, value))

    def finish(self, trial_id: int, record: TrialRecord) -> None:
        """Store how a run ended; its state is changed last, so that a crash before repeats it."""
        facts, known = facts_of(record), partial(self._rdb.get_trial_user_attrs, trial_id)
        if record.outcome == "pruned" and self._persist(known).get("paused"):
            facts["paused"] = ""
        self._persist(
            lambda: self._rdb.set_trial_system_attr(trial_id, RESULT_KEY, result_of(record))
        )
        for key, value in facts.items():
            self._show(trial_id, key, value)
        (state, values), attempts = end_of(record), count()

        def end() -> None:
            if next(attempts) and self._rdb.get_trial(trial_id).state is state:
                return  # it was stored, but not acknowledged
            self._rdb.set_trial_state_values(trial_id, state, values)

        self._persist(end)

    def _persist(self, write: Callable[[], Answer]) -> Answer:
        return persist(write, self.on_wait)

    def load_runs(self, name: str, purpose: Purpose) -> tuple[tuple[int, TrialRecord], ...]:
        """All runs as (storage id, record), by number; `purpose` tells search from the rest."""
        study_id = self._group_id(name, purpose)
        objective = self.load_facts(name).metric.name
        with without_collection():
            return tuple(
                (run.trial_id, to_record(run, objective))
                for run in guard(lambda: read_runs(self._rdb.engine, study_id))
                if PLAN_KEY in run.system_attrs  # one that somebody else put in is none of ours
            )

    def load_record(self, name: str) -> StudyRecord:
        """The whole study, for analysis and report."""
        config, facts = self.load_config(name), self.load_facts(name)
        return build_record(
            config,
            facts,
            trials=[record for _, record in self.load_runs(name, "search")],
            confirmations=[record for _, record in self.load_runs(name, "confirm")],
            is_finished=self.is_finished(name),
            notes=self.notes(name),
            changed_after_results=self._content(name).get(CHANGED_KEY, ()),
        )
