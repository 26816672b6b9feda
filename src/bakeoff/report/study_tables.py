"""The tables of the study: T7 how it was run, T8 what it chose, and every run."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bakeoff.analysis.wording import count_range, promised
from bakeoff.ranges import Choice, FloatRange, IntRange, ParamValue, Range
from bakeoff.records import BoundaryMark, Comparison, StudyRecord
from bakeoff.report.numbers import MISSING, number_text
from bakeoff.report.table import Column, Table, count, text

PROTOCOL, SPACE, ENVIRONMENT = "protocol", "space", "environment"
"""Sections of T7."""
RUN_COLUMNS = (
    "purpose", "number", "arm", "phase", "outcome", "score", "seed", "configuration",
    "epochs_planned", "epochs_run", "train_seconds", "evaluate_seconds", "attempts", "stop_reason",
)  # fmt: skip


class ProtocolEntry(NamedTuple):
    """A row of T7."""

    section: str
    arm: str
    item: str
    value: str


def protocol_table(comparison: Comparison) -> Table:
    """T7, what was fixed before the run, the space of each arm, and the environment."""
    study = comparison.study
    return Table(
        id="T7",
        slug="protocol",
        title="Protocol",
        columns=(
            text("section", "Section"),
            text("arm", "Arm"),
            text("item", "Item"),
            text("value", "Value"),
        ),
        records=(
            *(ProtocolEntry(PROTOCOL, "", *pair) for pair in _protocol_items(comparison)),
            *(
                ProtocolEntry(SPACE, arm.name, name, setting_text(setting))
                for arm in study.arms
                for name, setting in arm.space.items()
            ),
            *(ProtocolEntry(ENVIRONMENT, "", *pair) for pair in study.environment.items()),
        ),
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
            f"{count_range([arm.num_trials for arm in comparison.arms])} trials, none promised"
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
    for name, samples in (("validation", study.num_validation), ("test", study.num_test)):
        yield f"{name} samples", "not recorded" if samples is None else str(samples)
    yield from study.protocol.items()
    yield "configuration hash", study.config_hash
    yield "finished", "yes" if study.finished else "no"


def setting_text(setting: Range | ParamValue | None) -> str:
    """A searched range, or the fixed value, of one parameter."""
    if isinstance(setting, Choice):
        return "one of " + ", ".join(map(str, setting.choices))
    if isinstance(setting, (FloatRange, IntRange)):
        return f"{setting.low:g} to {setting.high:g}{', log scale' if setting.log else ''}"
    return "" if setting is None else f"{setting} (fixed)"


class ChosenValue(NamedTuple):
    """A row of T8: one parameter of an arm's chosen configuration."""

    arm: str
    trial: int | None
    parameter: str
    value: ParamValue
    searched: str
    mark: str


def configurations_table(comparison: Comparison) -> Table:
    """T8, every parameter of each arm's chosen configuration, with the range it was searched in."""
    spaces = {arm.name: arm.space for arm in comparison.study.arms}
    return Table(
        id="T8",
        slug="configurations",
        title="Chosen configurations",
        columns=(
            text("arm", "Arm"),
            count("trial", "Trial"),
            text("parameter", "Parameter"),
            Column("value", "Value", _stored_value, label=_value_text),
            text("searched", "Searched"),
            text("mark", "At the edge of its range"),
        ),
        records=tuple(
            ChosenValue(
                arm=arm.arm,
                trial=arm.chosen_trial,
                parameter=name,
                value=value,
                searched=setting_text(spaces.get(arm.arm, {}).get(name)),
                mark=_mark_text(arm.boundaries, name),
            )
            for arm in comparison.arms
            for name, value in arm.chosen_params.items()
        ),
    )


def _stored_value(chosen: ChosenValue) -> str | float:
    return str(chosen.value) if isinstance(chosen.value, (bool, str)) else chosen.value


def _value_text(chosen: ChosenValue) -> str:
    value = _stored_value(chosen)
    return (value or MISSING) if isinstance(value, str) else number_text(value)


def _mark_text(marks: Sequence[BoundaryMark], parameter: str) -> str:
    return "; ".join(
        f"{mark.side} end ({number_text(mark.bound)})" + (", widen it" if mark.raises_flag else "")
        for mark in marks
        if mark.parameter == parameter
    )


def trials_table(study: StudyRecord) -> Table:
    """One row per run: search trials, then shortlist and confirmation runs; CSV only."""
    runs = (*study.trials, *study.confirmations)
    metrics = dict.fromkeys(name for run in runs for name in run.test_metrics)
    params = dict.fromkeys(name for run in runs for name in run.params)

    def item(attribute: str, prefix: str, name: str) -> Column:
        return Column(f"{prefix}_{name}", value=lambda run: getattr(run, attribute).get(name))

    return Table(
        id="trials",
        title="Every run",
        columns=(
            *map(Column, RUN_COLUMNS),
            *(item("further_scores", "objective", one.name) for one in study.further_objectives),
            *(item("test_metrics", "test", name) for name in metrics),
            *(item("params", "params", name) for name in params),
        ),
        records=runs,
    )
