"""The tables of the study: T5 what it cost, T7 how it was run, T8 what it chose, and every run."""

import math
from collections.abc import Iterator, Sequence

from bakeoff.analysis.wording import promised, trials_per_arm
from bakeoff.ranges import Choice, FloatRange, IntRange, ParamValue, Range
from bakeoff.records import (
    ArmSummary,
    BoundaryMark,
    Comparison,
    Outcome,
    StudyRecord,
    TimeToTarget,
    TrialRecord,
)
from bakeoff.report.numbers import MISSING, number_text, share_text
from bakeoff.report.table import (
    Cell,
    CellValue,
    Column,
    Table,
    count_cell,
    duration_cell,
    number_cell,
    text_cell,
)

SHOWN_OUTCOMES: tuple[Outcome, ...] = ("complete", "pruned", "diverged", "infeasible", "failed")

PROTOCOL, SPACE, ENVIRONMENT = "protocol", "space", "environment"
"""Sections of T7."""

Row = tuple[Cell, ...]
Setting = Range | ParamValue


# ---------------------------------------------------------------- T5 effort


def effort_table(comparison: Comparison) -> Table:
    """Per arm: trials by outcome, epochs, seconds, and the time to the target."""
    columns = (
        Column(key="arm", heading="Arm"),
        Column(key="num_trials", heading="Trials", numeric=True),
        *(
            Column(key=f"num_{outcome}", heading=outcome.capitalize(), numeric=True)
            for outcome in SHOWN_OUTCOMES
        ),
        Column(key="epochs", heading="Epochs", numeric=True),
        Column(key="train_seconds", heading="Training", numeric=True),
        Column(key="evaluate_seconds", heading="Evaluation", numeric=True),
        Column(key="seconds_per_epoch", heading="Per epoch", numeric=True),
        Column(key="target", heading="Target", numeric=True),
        Column(key="reached", heading="Reached it", numeric=True),
        Column(key="num_runs", heading="Confirmation runs", numeric=True, shown=False),
        Column(key="median_epochs", heading="Median epochs to it", numeric=True),
        Column(key="epochs_ratio", heading="Ratio of epochs", numeric=True),
        Column(key="median_seconds", heading="Median time to it", numeric=True),
        Column(key="seconds_ratio", heading="Ratio of times", numeric=True),
        Column(key="search_cost_epochs", heading="Search epochs per success", numeric=True),
    )
    reference = _reference_arm(comparison)
    name = reference.arm if reference else "the first arm"
    return Table(
        id="T5",
        slug="effort",
        title="Effort: what the search cost, and how soon the target is reached",
        columns=columns,
        rows=tuple(_effort_row(arm, reference) for arm in comparison.arms),
        note=(
            "Trials are those charged to the arm's budget: all but failed ones. Per epoch: median,"
            " training only. Time to target is of confirmation runs, for runs planned for"
            f" {comparison.study.epochs} epochs; ratios are to {name}; ∞ where fewer than half"
            " reached it. Search epochs per success: all epochs of the search, divided by the"
            " trials that reached the target."
        ),
    )


def _reference_arm(comparison: Comparison) -> ArmSummary | None:
    """The arm declared as reference, else the first one."""
    declared = [arm for arm in comparison.arms if arm.arm == comparison.study.reference]
    return next(iter([*declared, *comparison.arms]), None)


def _effort_row(arm: ArmSummary, reference: ArmSummary | None) -> Row:
    return (
        text_cell(arm.arm),
        count_cell(arm.num_trials),
        *(count_cell(arm.num_by_outcome.get(outcome, 0)) for outcome in SHOWN_OUTCOMES),
        count_cell(arm.epochs),
        duration_cell(arm.train_seconds),
        duration_cell(arm.evaluate_seconds),
        duration_cell(arm.seconds_per_epoch),
        *_target_cells(arm.time_to_target, reference.time_to_target if reference else None),
    )


def _target_cells(own: TimeToTarget | None, reference: TimeToTarget | None) -> Row:
    if own is None:
        return tuple(number_cell(None) for _ in range(8))
    epochs_ratio = _ratio(own.median_epochs, reference.median_epochs if reference else None)
    seconds_ratio = _ratio(own.median_seconds, reference.median_seconds if reference else None)
    return (
        number_cell(own.target),
        Cell(own.reached, f"{own.reached}/{own.num_runs}"),
        count_cell(own.num_runs),
        number_cell(own.median_epochs),
        _ratio_cell(epochs_ratio),
        duration_cell(own.median_seconds),
        _ratio_cell(seconds_ratio),
        number_cell(own.search_cost_epochs),
    )


def _ratio(own: float, reference: float | None) -> float | None:
    """`own` over `reference`; None where the reference never got there or took no time."""
    if reference is None or not math.isfinite(reference) or reference <= 0:
        return None
    return own / reference


def _ratio_cell(ratio: float | None) -> Cell:
    return Cell(ratio, MISSING if ratio is None else share_text(ratio))


# ---------------------------------------------------------------- T7 protocol


def protocol_table(comparison: Comparison) -> Table:
    """What was fixed before the run, the space of each arm, and the environment."""
    columns = (
        Column(key="section", heading="Section"),
        Column(key="arm", heading="Arm"),
        Column(key="item", heading="Item"),
        Column(key="value", heading="Value"),
    )
    study = comparison.study
    rows = [
        *((PROTOCOL, "", item, value) for item, value in _protocol_items(comparison)),
        *(
            (SPACE, arm.name, name, setting_text(setting))
            for arm in study.arms
            for name, setting in arm.space.items()
        ),
        *((ENVIRONMENT, "", item, value) for item, value in study.environment.items()),
    ]
    return Table(
        id="T7",
        slug="protocol",
        title="Protocol",
        columns=columns,
        rows=tuple(tuple(text_cell(text) for text in row) for row in rows),
    )


def _protocol_items(comparison: Comparison) -> Iterator[tuple[str, str]]:
    study = comparison.study
    metric, confirm = study.objective, study.confirm
    yield "study", study.name
    yield "objective", f"{metric.name} ({metric.direction}), scored by {study.score_rule}"
    for further in study.further_objectives:
        yield "further objective", f"{further.name} ({further.direction})"
    yield "epochs per run", str(study.epochs) if study.epochs else "not recorded"
    yield (
        "budget per arm",
        (
            f"{trials_per_arm(study)} trials, none promised"
            if study.foreign
            else f"{promised(study.budget)}; the first {study.startup_trials} trials at random"
        ),
    )
    yield "sampler", study.sampler + (", shared by all arms" if study.shared_sampler else "")
    yield "pruner", study.pruner
    yield "shortlist", f"{confirm.shortlist} configurations on {confirm.shortlist_seeds} seeds each"
    yield "confirmation seeds", f"{confirm.seeds} (a verdict needs {comparison.min_seeds})"
    yield "delta", f"{number_text(comparison.delta)}: {comparison.delta_source}"
    yield "reference arm", study.reference or "none declared"
    yield "validation samples", _optional_text(study.num_validation)
    yield "test samples", _optional_text(study.num_test)
    yield from study.protocol.items()
    yield "configuration hash", study.config_hash
    yield "finished", "yes" if study.finished else "no"


def _optional_text(number: int | None) -> str:
    return "not recorded" if number is None else str(number)


def setting_text(setting: Setting | None) -> str:
    """A searched range, or the fixed value, of one parameter."""
    if isinstance(setting, Choice):
        return "one of " + ", ".join(map(str, setting.choices))
    if isinstance(setting, (FloatRange, IntRange)):
        scale = ", log scale" if setting.log else ""
        return f"{setting.low:g} to {setting.high:g}{scale}"
    return "" if setting is None else f"{setting} (fixed)"


# ---------------------------------------------------------------- T8 chosen configurations


def configurations_table(comparison: Comparison) -> Table:
    """Every parameter of each arm's chosen configuration, with the range it was searched in."""
    columns = (
        Column(key="arm", heading="Arm"),
        Column(key="trial", heading="Trial", numeric=True),
        Column(key="parameter", heading="Parameter"),
        Column(key="value", heading="Value", numeric=True),
        Column(key="searched", heading="Searched"),
        Column(key="mark", heading="At the edge of its range"),
    )
    spaces = {arm.name: arm.space for arm in comparison.study.arms}
    rows = tuple(
        (
            text_cell(arm.arm),
            count_cell(arm.chosen_trial),
            text_cell(name),
            _value_cell(value),
            text_cell(setting_text(spaces.get(arm.arm, {}).get(name))),
            text_cell(_mark_text(arm.boundaries, name)),
        )
        for arm in comparison.arms
        for name, value in arm.chosen_params.items()
    )
    return Table(
        id="T8",
        slug="configurations",
        title="Chosen configurations",
        columns=columns,
        rows=rows,
    )


def _value_cell(value: ParamValue) -> Cell:
    if isinstance(value, (bool, str)):
        return text_cell(str(value))
    return number_cell(value)


def _mark_text(marks: Sequence[BoundaryMark], parameter: str) -> str:
    return "; ".join(
        f"{mark.side} end ({number_text(mark.bound)})" + (", widen it" if mark.raises_flag else "")
        for mark in marks
        if mark.parameter == parameter
    )


# ---------------------------------------------------------------- every run


def trials_table(study: StudyRecord) -> Table:
    """One row per run: search trials, then shortlist and confirmation runs; CSV only."""
    runs = [*study.trials, *study.confirmations]
    metrics = list(dict.fromkeys(name for run in runs for name in run.test_metrics))
    params = list(dict.fromkeys(name for run in runs for name in run.params))
    further = [metric.name for metric in study.further_objectives]
    names = [
        *RUN_COLUMNS,
        *(f"objective_{one}" for one in further),
        *(f"test_{m}" for m in metrics),
        *(f"params_{p}" for p in params),
    ]
    values = (
        [
            *_run_values(run),
            *(run.further_scores.get(name) for name in further),
            *(run.test_metrics.get(name) for name in metrics),
            *(run.params.get(name) for name in params),
        ]
        for run in runs
    )
    return Table(
        id="trials",
        slug="",
        title="Every run",
        columns=tuple(Column(key=name, heading=name) for name in names),
        rows=tuple(tuple(Cell(value, "") for value in row) for row in values),
    )


RUN_COLUMNS = (
    "purpose", "number", "arm", "phase", "outcome", "score", "seed", "configuration",
    "epochs_planned", "epochs_run", "train_seconds", "evaluate_seconds", "attempts", "stop_reason",
)  # fmt: skip


def _run_values(run: TrialRecord) -> tuple[CellValue, ...]:
    return tuple(getattr(run, name) for name in RUN_COLUMNS)
