"""Optuna studies on disk <-> records; the only file that knows the stored form.

A study `x` is two Optuna studies in one storage: `x` holds the search trials of all arms,
`x:confirm` the shortlist and confirmation runs. A run is created RUNNING with its parameters in one
transaction, receives one intermediate value per epoch, and is finished once. Small facts are user
attributes, so that the dashboard's table shows them; bulky ones (per-epoch history) are system
attributes.
"""

import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from typing import Any, TypeVar

import optuna
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy.exc import SQLAlchemyError

from bakeoff.database import first_line, open_database, parse_storage_url, shown, sqlite_path
from bakeoff.errors import StorageError, UsageError, describe_unknown
from bakeoff.ranges import Params
from bakeoff.records import (
    EpochResult,
    MetricInfo,
    Outcome,
    Purpose,
    StudyConfig,
    StudyRecord,
    TrialRecord,
    as_plain,
    keep_last_confusion,
)
from bakeoff.search.arms import TrialPlan
from bakeoff.search.warm_start import WarmStarts
from bakeoff.space import build_arms, distributions, fingerprint
from bakeoff.studyfile import format_study, resolve_study

FORMAT = 1
STUDY_KEY = "bakeoff:study"
PLAN_KEY = "bakeoff:plan"
RESULT_KEY = "bakeoff:result"
PAUSE_KEY = "bakeoff:paused"
CONFIRM_SUFFIX = ":confirm"
RETRY_SECONDS = 600
STATES: Mapping[Outcome, TrialState] = {
    "complete": TrialState.COMPLETE,
    "diverged": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "infeasible": TrialState.FAIL,
    "failed": TrialState.FAIL,
}

AWAY_ERRORS = (SQLAlchemyError, optuna.exceptions.StorageInternalError)
GONE_ERRORS = (KeyError, optuna.exceptions.UpdateFinishedTrialError)
GONE = "the study was deleted or changed by another program while it was in use"

Answer = TypeVar("Answer")


@dataclass(frozen=True, kw_only=True)
class StudyFacts:
    """What was measured or decided when a study began; kept when it continues."""

    metric: MetricInfo
    chance_score: float
    """Score of an untrained model, given to runs that diverge."""
    num_validation: int
    num_test: int
    data_fingerprint: str
    precision: str
    threads: int
    """Per worker; the thread count changes the bits of a result."""
    protocol: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)


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
        self.on_wait: Callable[[str], None] = lambda _: None
        """Told why, each time a write has to wait for a storage that is away; may raise."""

    @property
    def optuna_storage(self) -> RDBStorage:
        """The Optuna storage itself, for optuna-dashboard."""
        return self._rdb

    def names(self) -> tuple[str, ...]:
        """Names of the bakeoff studies stored here, oldest first."""
        studies = _guard(self._rdb.get_all_studies)
        return tuple(
            study.study_name
            for study in studies
            if STUDY_KEY in study.system_attrs and not study.study_name.endswith(CONFIRM_SUFFIX)
        )

    def has(self, name: str) -> bool:
        """Whether a bakeoff study of this name is stored here.

        Raises:
            StorageError: An Optuna study of this name was made by another program.
        """
        if name in self.names():
            return True
        stored = {study.study_name for study in _guard(self._rdb.get_all_studies)}
        if name in stored:
            raise StorageError(
                f"study {name!r} in {self} was not made by bakeoff; give yours another name, or"
                f" report on it: `study report --storage {self} --study {name} --arm PARAMETER`"
            )
        return False

    def __str__(self) -> str:
        return shown(self.url)

    # ------------------------------------------------------------ studies

    def remove_half_made(self, name: str) -> None:
        """Remove what a kill during `create` or `delete` left behind; call it under the lock."""
        stored = {study.study_name: study for study in _guard(self._rdb.get_all_studies)}
        is_whole = name in stored and STUDY_KEY in stored[name].system_attrs
        if is_whole or name + CONFIRM_SUFFIX not in stored:
            return  # whole, absent, or another program's: only bakeoff makes the second study
        for one in (name, name + CONFIRM_SUFFIX):
            if one in stored:
                _guard(partial(self._rdb.delete_study, self._id(one)))
        self._ids.clear()

    def create(
        self,
        config: StudyConfig,
        facts: StudyFacts,
        warm_starts: WarmStarts | None = None,
    ) -> None:
        """Store a new study; its warm starts are kept with it, for when it is continued."""
        direction = StudyDirection.MAXIMIZE if facts.metric.sign > 0 else StudyDirection.MINIMIZE
        for name in (config.name + CONFIRM_SUFFIX, config.name):
            study_id = _guard(partial(self._rdb.create_new_study, [direction], name))
            content = {"format": FORMAT, "config": format_study(config), "facts": as_plain(facts)}
            if warm_starts:
                content["warm_starts"] = as_plain(warm_starts)
            for key, value in (("study:metric_names", [facts.metric.name]), (STUDY_KEY, content)):
                _guard(partial(self._rdb.set_study_system_attr, study_id, key, value))

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
            raise UsageError(describe_unknown("study", name, self.names()))
        attrs = _guard(lambda: self._rdb.get_study_system_attrs(self._id(name)))
        content: dict[str, Any] = attrs[STUDY_KEY]
        if content["format"] > FORMAT:
            raise StorageError(
                f"study {name!r} has format {content['format']}, this bakeoff reads up to {FORMAT};"
                " install a newer bakeoff"
            )
        return content

    def is_finished(self, name: str) -> bool:
        """Whether search and confirmation were complete when the study was last run."""
        attrs = _guard(lambda: self._rdb.get_study_user_attrs(self._id(name)))
        return bool(attrs.get("finished", False))

    def mark_finished(self, name: str) -> None:
        """Note that search and confirmation are complete."""
        _guard(lambda: self._rdb.set_study_user_attr(self._id(name), "finished", True))

    def notes(self, name: str) -> tuple[str, ...]:
        """What was noted of the study, oldest first."""
        attrs = _guard(lambda: self._rdb.get_study_user_attrs(self._id(name)))
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
        extended = {"begun_with": begun, **content, "config": format_study(config)}
        for key in ("finished", "search_ended"):
            self._persist(partial(self._rdb.set_study_user_attr, study_id, key, False))
        self._persist(
            lambda: self._rdb.set_study_system_attr(study_id, STUDY_KEY, as_plain(extended))
        )
        self.note(config.name, f"extended: {'; '.join(changes)}")

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
        attrs = _guard(lambda: self._rdb.get_study_user_attrs(self._id(name)))
        return bool(attrs.get("search_ended", False))

    def end_search(self, name: str) -> None:
        """Note that the search was ended before its budget, so that it is not taken up again."""
        study_id = self._id(name)
        self._persist(lambda: self._rdb.set_study_user_attr(study_id, "search_ended", True))

    def delete(self, name: str) -> None:
        """Remove a study and its confirmation runs."""
        self._content(name)
        for stored in (name, name + CONFIRM_SUFFIX):
            _guard(partial(self._rdb.delete_study, self._id(stored)))

    def _id(self, stored_name: str) -> int:
        if stored_name not in self._ids:
            self._ids[stored_name] = _guard(lambda: self._rdb.get_study_id_from_name(stored_name))
        return self._ids[stored_name]

    def _group_id(self, name: str, purpose: Purpose) -> int:
        return self._id(name if purpose == "search" else name + CONFIRM_SUFFIX)

    # ------------------------------------------------------------ runs

    def begin(self, config: StudyConfig, plan: TrialPlan) -> tuple[int, int]:
        """Store a run as RUNNING with its parameters, in one transaction.

        Returns:
            Its number, and the storage's id for `report` and `finish`.
        """
        known = distributions(self._as_begun(config), plan.params)
        template = create_trial(
            state=TrialState.RUNNING,
            params={key: value for key, value in plan.params.items() if key in known},
            distributions=known,
            user_attrs={"arm": plan.arm, "phase": plan.phase, "seed": plan.seed}
            | ({} if plan.purpose == "search" else {"purpose": plan.purpose})
            | ({"audited": True} if plan.audited else {}),
            system_attrs={
                PLAN_KEY: {
                    "purpose": plan.purpose,
                    "configuration": plan.configuration,
                    "params": dict(plan.params),
                    "epochs": config.training.epochs,
                    "decisions": list(plan.decision_epochs),
                }
            },
        )
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
        content = {"history": _without_nan(as_plain(keep_last_confusion(history)))}
        self._persist(lambda: self._rdb.set_trial_system_attr(trial_id, PAUSE_KEY, content))
        text = f"after epoch {history[-1].epoch}"
        self._persist(lambda: self._rdb.set_trial_user_attr(trial_id, "paused", text))

    def unpause(self, trial_id: int) -> None:
        """Note that a paused run continues."""
        self._persist(lambda: self._rdb.set_trial_system_attr(trial_id, PAUSE_KEY, {}))
        self._persist(lambda: self._rdb.set_trial_user_attr(trial_id, "paused", ""))

    def spare(self, trial_id: int, epoch: int) -> None:
        """Note that pruning would have ended a run after `epoch`."""
        self._persist(lambda: self._rdb.set_trial_user_attr(trial_id, "spared_at", epoch))

    def count_attempt(self, trial_id: int, attempt: int) -> None:
        """Note that a run is begun for the `attempt`-th time, because it has lost its worker."""
        self._persist(lambda: self._rdb.set_trial_user_attr(trial_id, "attempts", attempt))

    def finish(self, trial_id: int, record: TrialRecord) -> None:
        """Store how a run ended; its state is changed last, so that a crash before repeats it."""
        result = {
            "outcome": record.outcome,
            "score": record.score,
            "stop_reason": record.stop_reason,
            "attempts": record.attempts,
            "test_metrics": dict(record.test_metrics),
            "history": as_plain(keep_last_confusion(record.history)),
        }
        facts: dict[str, Any] = {
            "outcome": record.outcome,
            "epochs": record.epochs_run,
            "train_seconds": round(record.train_seconds, 3),
        }
        if record.stop_reason:
            facts["stop_reason"] = record.stop_reason
        if record.outcome == "pruned" and self._rdb.get_trial_user_attrs(trial_id).get("paused"):
            facts["paused"] = ""
        facts |= {f"test_{name}": value for name, value in record.test_metrics.items()}
        self._persist(
            lambda: self._rdb.set_trial_system_attr(trial_id, RESULT_KEY, _without_nan(result))
        )
        for key, value in facts.items():
            self._persist(partial(self._rdb.set_trial_user_attr, trial_id, key, value))
        state = STATES[record.outcome]
        values = None if state is TrialState.FAIL or record.score is None else [record.score]

        attempts = count()

        def end() -> None:
            if next(attempts) and self._rdb.get_trial(trial_id).state is state:
                return  # it was stored, but not acknowledged
            self._rdb.set_trial_state_values(trial_id, state, values)

        self._persist(end)

    def _persist(self, write: Callable[[], Answer]) -> Answer:
        """Write, and wait with growing pauses while the storage is away; nothing is dropped.

        Raises:
            StorageError: It stayed away for `RETRY_SECONDS`, or the study is gone.
        """
        deadline, pause = time.monotonic() + RETRY_SECONDS, 0.1
        while True:
            try:
                return write()
            except GONE_ERRORS:
                raise StorageError(GONE) from None
            except AWAY_ERRORS as error:
                if time.monotonic() > deadline:
                    raise StorageError(f"the storage stayed away: {first_line(error)}") from None
                self.on_wait(f"the storage does not answer ({first_line(error)}); waiting for it")
                time.sleep(pause)
                pause = min(2 * pause, 10.0)

    def load_runs(self, name: str, purpose: Purpose) -> tuple[tuple[int, TrialRecord], ...]:
        """All runs as (storage id, record), by number; `purpose` tells search from the rest."""
        study_id = self._group_id(name, purpose)
        objective = self.load_facts(name).metric.name
        trials = _guard(lambda: self._rdb.get_all_trials(study_id, deepcopy=False))
        return tuple(
            (trial._trial_id, _to_record(trial, objective))  # noqa: SLF001 - no public name
            for trial in sorted(trials, key=lambda trial: trial.number)
            if PLAN_KEY in trial.system_attrs  # one that somebody else put in is none of ours
        )

    def load_record(self, name: str) -> StudyRecord:
        """The whole study, for analysis and report."""
        config, facts = self.load_config(name), self.load_facts(name)
        return StudyRecord(
            name=name,
            question=config.question,
            objective=facts.metric,
            score_rule=config.score_rule,
            epochs=config.training.epochs,
            arms=build_arms(config),
            trials=tuple(record for _, record in self.load_runs(name, "search")),
            confirmations=tuple(record for _, record in self.load_runs(name, "confirm")),
            trials_per_arm=config.search.trials_per_arm,
            sampler=config.search.sampler,
            pruner=config.search.pruner,
            startup_trials=config.search.startup_trials,
            confirm=config.confirm,
            delta=config.delta,
            reference=config.reference,
            num_validation=facts.num_validation,
            num_test=facts.num_test,
            protocol=facts.protocol,
            environment=facts.environment,
            config_hash=fingerprint(config),
            finished=self.is_finished(name),
            notes=self.notes(name),
        )


# ---------------------------------------------------------------- trials <-> records


def _to_record(trial: FrozenTrial, objective: str) -> TrialRecord:
    plan: dict[str, Any] = trial.system_attrs[PLAN_KEY]
    is_running = not trial.state.is_finished()
    paused: dict[str, Any] = trial.system_attrs.get(PAUSE_KEY, {}) if is_running else {}
    result: dict[str, Any] = paused if is_running else trial.system_attrs.get(RESULT_KEY, {})
    return TrialRecord(
        number=trial.number,
        arm=trial.user_attrs["arm"],
        params=plan["params"],
        outcome="running" if is_running else result.get("outcome", "failed"),
        score=result.get("score"),
        seed=trial.user_attrs["seed"],
        phase=trial.user_attrs["phase"],
        purpose=plan["purpose"],
        configuration=plan["configuration"],
        history=_history(trial, result, objective),
        epochs_planned=plan["epochs"],
        test_metrics={key: _number(item) for key, item in result.get("test_metrics", {}).items()},
        stop_reason=result.get("stop_reason", ""),
        attempts=result.get("attempts", trial.user_attrs.get("attempts", 1)),
        is_paused=bool(paused),
        audited=trial.user_attrs.get("audited", False),
        spared_at=trial.user_attrs.get("spared_at"),
        decision_epochs=tuple(plan.get("decisions", ())),
    )


def _history(
    trial: FrozenTrial, result: Mapping[str, Any], objective: str
) -> tuple[EpochResult, ...]:
    """The recorded epochs; of a running trial only the objective is stored so far."""
    if "history" not in result:
        return tuple(
            EpochResult(epoch=epoch, metrics={objective: value})
            for epoch, value in sorted(trial.intermediate_values.items())
        )
    return tuple(
        EpochResult(
            **{
                **item,
                "metrics": {key: _number(value) for key, value in item["metrics"].items()},
                "train_loss": _number(item["train_loss"]),
                "learning_rate": _number(item["learning_rate"]),
                "grad_norm": _number(item["grad_norm"]),
            }
        )
        for item in result["history"]
    )


def _number(value: float | str | None) -> float:
    return float("nan") if value is None else float(value)


def _without_nan(value: Any) -> Any:
    """Non-finite numbers as text or null: PostgreSQL and strict JSON readers refuse NaN."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    if isinstance(value, float) and value != value:  # noqa: PLR0124 - NaN is not equal to itself
        return None
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return str(value)
    return value


def _guard(read: Callable[[], Answer]) -> Answer:
    try:
        return read()
    except GONE_ERRORS:
        raise StorageError(GONE) from None
    except AWAY_ERRORS as error:
        raise StorageError(f"the storage does not answer: {first_line(error)}") from None
