"""The tables of the study: T7 how it was run, T8 what it chose, and every run."""

from collections.abc import Iterator
from typing import NamedTuple

from bakeoff.analysis.wording import count_range, plural, promised
from bakeoff.ranges import Choice, FloatRange, IntRange, ParamValue, Range, describe_scale
from bakeoff.records import ArmSummary, BoundaryMark, Comparison, StudyRecord
from bakeoff.report.numbers import MISSING, number_text
from bakeoff.report.table import Column, Getter, Table, count, text

RUN_COLUMNS = (
    "purpose", "number", "arm", "phase", "outcome", "score", "seed", "configuration",
    "epochs_planned", "epochs_run", "train_seconds", "evaluate_seconds", "attempts", "stop_reason",
)  # fmt: skip
ARITHMETIC = {
    "plain": "plain: runs train one by one",
    "stacked": "stacked: runs train many at once",
}

COSTS = frozenset({"epochs_planned", "epochs_run", "train_seconds", "evaluate_seconds"})


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
            *(ProtocolEntry("protocol", "", *pair) for pair in _protocol_items(comparison)),
            *(
                ProtocolEntry("space", arm.name, name, setting_text(setting))
                for arm in study.arms
                for name, setting in arm.space.items()
            ),
            *(ProtocolEntry("environment", "", *pair) for pair in study.environment.items()),
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
            else f"{promised(study.budget)}; at random: the first"
            f" {plural(study.startup_trials, 'trial')}"
        ),
    )
    yield "sampler", study.sampler + (", shared by all arms" if study.shared_sampler else "")
    yield "pruner", study.pruner
    yield (
        "shortlist",
        "{} on {} each".format(
            plural(confirm.shortlist, "configuration"), plural(confirm.shortlist_seeds, "seed")
        ),
    )
    yield "confirmation seeds", f"{confirm.seeds} (a verdict needs {comparison.min_seeds})"
    if confirm.seeds and not study.foreign:
        named = "" if confirm.arithmetic == "auto" else ", as the study file says"
        yield "arithmetic of the confirmation", f"{ARITHMETIC[study.arithmetic]}{named}"
    if not study.foreign:
        yield "arithmetic of the search", ARITHMETIC[study.search_arithmetic]
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
        scale = describe_scale(setting)
        return f"{setting.low:g} to {setting.high:g}{scale}{' scale' if setting.log else ''}"
    return "" if setting is None else f"{setting} (fixed)"


class ChosenValue(NamedTuple):
    """A row of T8: one parameter of an arm's chosen configuration."""

    arm: ArmSummary
    name: str

    @property
    def value(self) -> str | float:
        """A number, or any other value as text."""
        value = self.arm.chosen_params[self.name]
        return str(value) if isinstance(value, (bool, str)) else value


def configurations_table(comparison: Comparison) -> Table:
    """T8, every parameter of each arm's chosen configuration, with the range it was searched in."""
    spaces = {arm.name: arm.space for arm in comparison.study.arms}

    def searched(row: ChosenValue) -> str:
        return setting_text(spaces.get(row.arm.arm, {}).get(row.name))

    return Table(
        id="T8",
        slug="configurations",
        title="Chosen configurations",
        columns=(
            text("arm", "Arm", "arm.arm"),
            count("trial", "Trial", "arm.chosen_trial"),
            text("parameter", "Parameter", "name"),
            Column("value", "Value", label=_value_text),
            text("searched", "Searched", searched),
            text("mark", "At the edge of its range", _mark_text),
        ),
        records=tuple(
            ChosenValue(arm, name) for arm in comparison.arms for name in arm.chosen_params
        ),
    )


def _value_text(row: ChosenValue) -> str:
    return (row.value or MISSING) if isinstance(row.value, str) else number_text(row.value)


def _mark_text(row: ChosenValue) -> str:
    return "; ".join(
        f"{mark.side} end ({number_text(mark.bound)})" + _widen_text(mark)
        for mark in row.arm.boundaries
        if mark.parameter == row.name
    )


def _widen_text(mark: BoundaryMark) -> str:
    if not mark.raises_flag:
        return ""
    to = "" if mark.wider_bound is None else f" to {number_text(mark.wider_bound)}"
    return f", widen it{to}"


def trials_table(study: StudyRecord) -> Table:
    """One row per run: search trials, then shortlist and confirmation runs; CSV only."""
    runs = (*study.trials, *study.confirmations)
    metrics = dict.fromkeys(name for run in runs for name in run.test_metrics)
    params = dict.fromkeys(name for run in runs for name in run.params)

    def known(name: str) -> Getter:
        """The attribute; nothing for 0 epochs or seconds, where another program stored none."""
        if not study.foreign or name not in COSTS:
            return name
        return lambda run: getattr(run, name) or None

    def item(attribute: str, prefix: str, name: str) -> Column:
        return Column(f"{prefix}_{name}", value=lambda run: getattr(run, attribute).get(name))

    return Table(
        id="trials",
        title="Every run",
        columns=(
            *(Column(name, value=known(name)) for name in RUN_COLUMNS),
            *(item("further_scores", "objective", one.name) for one in study.further_objectives),
            *(item("test_metrics", "test", name) for name in metrics),
            *(item("params", "params", name) for name in params),
        ),
        records=runs,
    )
