"""The attributes of a run in Optuna's tables.

Small facts are user attributes, so that the dashboard's table shows them. Large ones, such as the
history of the epochs, are system attributes.
"""

import json
import math
from array import array
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from zlib import compress, decompress

from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.trial import TrialState

from bakeoff.records import (
    EpochResult,
    Losses,
    Outcome,
    StudyConfig,
    TrialPlan,
    TrialRecord,
    as_plain,
    as_strict,
    keep_last_confusion,
)
from bakeoff.space import distributions
from bakeoff.storage.checksums import (
    PLAN_KEY,
    DamagedError,
    FirstRows,
    add_end,
    is_run_checked,
    opened,
    sealed,
)
from bakeoff.storage.reading import StoredRun
from bakeoff.storage.shapes import check_shapes

RESULT_KEY = "bakeoff:result"
PAUSE_KEY = "bakeoff:paused"
LOSSES_KEY = "bakeoff:losses"
EXEMPT_KEY = "bakeoff:exempt"
MAY_BE_NAN = ("train_loss", "learning_rate", "grad_norm")
"""Fields of an epoch, besides its metrics, that may be NaN."""
STATES: Mapping[Outcome, TrialState] = {
    "complete": TrialState.COMPLETE,
    "diverged": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "infeasible": TrialState.FAIL,
    "failed": TrialState.FAIL,
}
"""A run that diverged is complete and has the score of an untrained model. With several objectives
it fails instead: it would win by some, such as time, because it ended early."""


def first_rows(plan: TrialPlan, config: StudyConfig) -> FirstRows:
    """What is stored of a run that begins, with a checksum."""
    user: dict[str, Any] = {"arm": plan.arm, "phase": plan.phase, "seed": str(plan.seed)}
    user |= {} if plan.purpose == "search" else {"purpose": plan.purpose}
    user |= {"audited": True} if plan.audited else {}
    user |= {"repeat": plan.repeat} if plan.repeat else {}
    system = {
        PLAN_KEY: {
            "purpose": plan.purpose,
            "configuration": plan.configuration,
            "params": dict(plan.params),
            "epochs": config.training.epochs,
            "decisions": list(plan.decision_epochs),
        }
    }
    return FirstRows(
        parameters=[
            (name, float(known.to_internal_repr(plan.params[name])), _distribution_text(known))
            for name, known in distributions(config, plan.params).items()
        ],
        user={key: json.dumps(value) for key, value in user.items()},
        system={key: json.dumps(value) for key, value in system.items()},
    ).with_checksum()


@lru_cache(maxsize=1024)
def _distribution_text(distribution: BaseDistribution) -> str:
    """The distribution as Optuna stores it. The same few come with every run."""
    return str(distribution_to_json(distribution))


def pause_of(history: Sequence[EpochResult]) -> dict[str, Any]:
    """The measurements of a paused run."""
    return sealed({"history": as_strict(as_plain(keep_last_confusion(history)))})


def losses_of(attempt: int, losses: Losses, drivers: int) -> dict[str, Any]:
    """The starts of a run, and the workers and drivers that it has lost."""
    lost = {"losses": losses.workers, "epoch": losses.epoch}
    others = {"nodes": losses.nodes, "drivers": drivers}
    counted = {name: count for name, count in others.items() if count}
    return sealed({"attempt": attempt, **lost, **counted})


def exemption_of(epoch: int) -> dict[str, Any]:
    """The epoch after which a run is exempt from pruning."""
    return sealed({"epoch": epoch})


def result_of(record: TrialRecord) -> dict[str, Any]:
    """Everything known about a run that has ended."""
    content = {
        "outcome": record.outcome,
        "score": record.score,
        "further_scores": dict(record.further_scores),
        "stop_reason": record.stop_reason,
        "attempts": record.attempts,
        **({"drivers": record.lost_drivers} if record.lost_drivers else {}),
        "test_metrics": dict(record.test_metrics),
        "history": as_plain(keep_last_confusion(record.history)),
        **({"test_without": packed(record.test_without)} if record.test_without else {}),
    }
    return {key: as_strict(value) for key, value in content.items()}


def packed(values: Sequence[float]) -> str:
    """Numbers as text: float32, compressed. 200 of them take at most 1.1 kB, as numbers 4 kB."""
    return b64encode(compress(array("f", values).tobytes())).decode()


def unpacked(text: str) -> tuple[float, ...]:
    """The numbers in a text of `packed`."""
    return tuple(array("f", decompress(b64decode(text)))) if text else ()


def facts_of(record: TrialRecord) -> dict[str, Any]:
    """The facts that the dashboard's table shows about a run that has ended."""
    facts: dict[str, Any] = {
        "outcome": record.outcome,
        "epochs": record.epochs_run,
        "train_seconds": round(record.train_seconds, 3),
    }
    if record.stop_reason:
        facts["stop_reason"] = record.stop_reason
    return facts | {f"test_{name}": value for name, value in record.test_metrics.items()}


def end_of(record: TrialRecord) -> tuple[TrialState, list[float] | None]:
    """Optuna's state and values for a run that has ended."""
    state = STATES[record.outcome]
    if state is TrialState.FAIL or record.score is None:
        return state, None
    further = list(record.further_scores.values())
    if any(map(math.isnan, further)):
        return TrialState.FAIL if state is TrialState.COMPLETE else state, None
    return state, [record.score, *further]


def check_of_end(run: StoredRun, state: TrialState, values: Sequence[float] | None) -> str:
    """The checksum of a run that is about to end in `state` with `values`.

    Raises:
        DamagedError: What it began with does not match its checksum.
    """
    is_run_checked(run.rows, run.number, run.state, must_be=False)
    add_end(run.rows, values)
    return run.rows.check_of_end(run.number, state.name)


@dataclass(frozen=True, kw_only=True)
class CheckedRun:
    """A run that was read."""

    trial_id: int
    record: TrialRecord
    is_checked: bool
    """Whether it has checksums. They match."""


def check_runs(
    runs: Sequence[StoredRun], objective: str, *, must_be_checked: bool
) -> list[CheckedRun]:
    """The runs of bakeoff among all trials of a study. Other programs may add trials.

    Args:
        runs: All trials, by number.
        objective: Name of the objective.
        must_be_checked: Whether a run without checksums is damaged.

    Raises:
        DamagedError: A run does not match its checksum, or is missing. The message names it.
    """
    found = []
    for number, run in enumerate(runs):
        try:
            if run.number != number:
                raise DamagedError(f"it is missing, and there is a run {run.number}")
            if not (run.rows.is_own or PLAN_KEY in run.system_attrs):
                continue
            is_checked = is_run_checked(run.rows, number, run.state, must_be=must_be_checked)
            if run.is_running or not is_checked:
                check_shapes(run)
            if run.rows.begun:
                _check_copies(run)
            record = to_record(run, objective)
        except DamagedError as error:
            raise DamagedError(f"run {number}: {error}") from None
        found.append(CheckedRun(trial_id=run.trial_id, record=record, is_checked=is_checked))
    return found


def _check_copies(run: StoredRun) -> None:
    """Raise an error if an attribute is missing whose copy for the dashboard is there.

    The copy is always stored later.
    """
    for copy, key in (("paused", PAUSE_KEY), ("attempts", LOSSES_KEY), ("spared_at", EXEMPT_KEY)):
        if copy in run.user_attrs and key not in run.system_attrs:
            raise DamagedError(f"{key!r} is missing")


def to_record(trial: StoredRun, objective: str) -> TrialRecord:
    """The record of a stored run.

    Raises:
        DamagedError: A part of it does not match its checksum.
    """
    plan: dict[str, Any] = trial.system_attrs[PLAN_KEY]
    is_running = trial.is_running
    paused = opened(trial.system_attrs.get(PAUSE_KEY, {}), "its pause") if is_running else {}
    starts = _starts(trial) if is_running else {}
    result: dict[str, Any] = paused if is_running else trial.system_attrs.get(RESULT_KEY, {})
    return TrialRecord(
        number=trial.number,
        arm=trial.user_attrs["arm"],
        params=plan["params"],
        outcome="running" if is_running else result.get("outcome", "failed"),
        score=result.get("score"),
        further_scores=_numbers(result.get("further_scores", {})),
        seed=int(trial.user_attrs["seed"]),  # stored as text, because the dashboard plots numbers
        phase=trial.user_attrs["phase"],
        purpose=plan["purpose"],
        configuration=plan["configuration"],
        history=_history(trial, result, objective),
        epochs_planned=plan["epochs"],
        test_metrics=_numbers(result.get("test_metrics", {})),
        stop_reason=result.get("stop_reason", ""),
        attempts=result.get("attempts", starts.get("attempt", 1)),
        losses=Losses(starts.get("losses", 0), starts.get("epoch", -1), starts.get("nodes", 0)),
        lost_drivers=result.get("drivers", starts.get("drivers", 0)),
        is_paused=bool(paused),
        place=trial.user_attrs.get("place", "") if is_running and not paused else "",
        audited=trial.user_attrs.get("audited", False),
        spared_at=_exempt_at(trial),
        decision_epochs=tuple(plan.get("decisions", ())),
        repeat=trial.user_attrs.get("repeat", 0),
        test_without=unpacked(result.get("test_without", "")),
    )


def _history(
    trial: StoredRun, result: Mapping[str, Any], objective: str
) -> tuple[EpochResult, ...]:
    """The recorded epochs. Only the objective is stored of a running trial."""
    if "history" not in result:
        return tuple(
            EpochResult(epoch=epoch, metrics={objective: value})
            for epoch, value in sorted(trial.intermediate_values.items())
        )
    return tuple(_epoch(item) for item in result["history"])


def _epoch(item: dict[str, Any]) -> EpochResult:
    """The epoch of a parsed entry, which is changed in place because there are many of them."""
    for numbers, keys in ((item, MAY_BE_NAN), (item["metrics"], item["metrics"])):
        for key in keys:
            if numbers[key].__class__ is not float:
                numbers[key] = _number(numbers[key])
    return EpochResult(**item)


def _numbers(stored: Mapping[str, float | str | None]) -> dict[str, float]:
    return {key: _number(value) for key, value in stored.items()}


def _number(value: float | str | None) -> float:
    return math.nan if value is None else float(value)


def _starts(trial: StoredRun) -> dict[str, Any]:
    """The starts and losses of a run that has not ended."""
    stored: Any = trial.system_attrs.get(LOSSES_KEY, ())
    if isinstance(stored, dict):
        return opened(stored, "its number of attempts")
    starts = {"attempt": trial.user_attrs.get("attempts", 1)}  # of an earlier release
    return starts | dict(zip(("losses", "epoch"), stored, strict=False))


def _exempt_at(trial: StoredRun) -> int | None:
    """The epoch after which the run was exempt from pruning."""
    stored: dict[str, Any] = trial.system_attrs.get(EXEMPT_KEY, {})
    if not stored:
        return trial.user_attrs.get("spared_at")  # of an earlier release
    return int(opened(stored, "its exemption")["epoch"])
