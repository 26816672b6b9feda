"""The report of a suite: S1 the rules, S2 their effects by workload, S3 arms, S4 the studies."""

import math
from collections.abc import Mapping, Sequence

from bakeoff.analysis.rules import effects_of
from bakeoff.analysis.wording import interval, join, number
from bakeoff.records import (
    RATIOS,
    ArmSummary,
    Comparison,
    Measure,
    RuleFinding,
    SuiteFindings,
    Timing,
    TrialRecord,
    WorkloadEffect,
)
from bakeoff.records.durations import plural
from bakeoff.records.significance import CONFIDENCE_TEXT
from bakeoff.report.figures.rule_effects import SUITE_FIGURES
from bakeoff.report.page import Page, build_figure
from bakeoff.report.table import Column, Table, count, duration, p_value, text

EFFECT_UNITS: Mapping[Measure, str] = {
    "score": "SD over seeds",
    "epochs": "times as fast (epochs)",
    "diverged": "share of trials",
    "precision": "times as fast (step)",
    "loading": "times as fast (loading)",
}
MADE_OF = ("torch", "processor", "device", "workers", "threads")
"""What the report says of the machine."""


def build_suite_page(
    found: SuiteFindings,
    comparisons: Mapping[str, Comparison],
    *,
    generated_at: str,
    timings: Sequence[Timing] = (),
    image_formats: tuple[str, ...] = (),
) -> Page[SuiteFindings]:
    """Compute everything that the report of a suite shows.

    Args:
        found: Its verdicts.
        comparisons: Those of its studies by workload.
        generated_at: Shown as the report's time.
        timings: What was timed.
        image_formats: Formats in which figures are also written as image files.
    """
    return Page(
        template="suite",
        subject=found,
        study=next((one.study for one in comparisons.values()), None),
        title=found.suite.question,
        level_text=_made_by(found, comparisons, timings),
        generated_at=generated_at,
        tables=(
            rules_table(found),
            effects_table(found),
            arms_table(comparisons),
            studies_table(found, comparisons),
        ),
        figures=tuple(build_figure(spec, found) for spec in SUITE_FIGURES),
        image_formats=image_formats,
    )


def _made_by(
    found: SuiteFindings, comparisons: Mapping[str, Comparison], timings: Sequence[Timing]
) -> str:
    """What made the numbers: repeats, versions, machine and commit."""
    searches = f"{plural(found.suite.repeats, 'search')} of every arm"
    made, environments = searches, [one.study.environment for one in comparisons.values()]
    if not environments:
        made, environments = "repeated measurements", [one.environment for one in timings]
    known = {
        name: sorted({one.get(name, "") for one in environments} - {""})
        for name in ("bakeoff", *MADE_OF)
    }
    parts = [f"{name} {' or '.join(values)}" for name, values in known.items() if values]
    commit = [f"commit {found.commit}"] if found.commit else []
    return f"Made of {'; '.join(filter(None, (made, ', '.join([*parts, *commit]))))}."


def rules_table(found: SuiteFindings) -> Table:
    """S1, per rule: verdict, effect, interval, p."""
    return Table(
        id="S1",
        slug="rules",
        title="Rules",
        columns=(
            text("rule", "Rule", "rule.name"),
            text("says", "It says", "rule.says"),
            text("verdict", "Verdict", "word"),
            Column("effect", "Effect", label=_effect_text),
            Column("ci_low", value=lambda one: one.ci[0]),
            Column("ci_high", value=lambda one: one.ci[1]),
            text("effect_unit", "Unit", _unit_of),
            Column("confirmed_above", "Confirmed above", "rule.confirmed_above"),
            Column("refuted_below", "Refuted below", "rule.refuted_below"),
            p_value("p", value="p"),
            p_value("p_holm", "p, Holm"),
            count("num_workloads", "Workloads", lambda one: len(one.effects)),
            count("num_units", "Units"),
            text("unit", value="unit"),
            text("provisional", value=lambda one: "; ".join(one.provisional)),
            text("sentence", value="sentence"),
        ),
        records=found.rules,
        note=(
            f"The effect is the average over the workloads, with its {CONFIDENCE_TEXT} interval"
            " for this rule alone. p is corrected for all rules."
        ),
    )


def _unit_of(one: RuleFinding) -> str:
    return EFFECT_UNITS[one.rule.measure] if one.rule.contrast else ""


def _effect_text(one: RuleFinding) -> str:
    if math.isnan(one.effect):
        return "\u2013"
    half = (one.ci[1] - one.ci[0]) / 2
    return f"{number(one.effect, half)} {interval(one.ci)}"


def effects_table(found: SuiteFindings) -> Table:
    """S2, per rule and workload: the effect, both sides of the contrast, and every unit."""
    measures = {one.rule.name: one.rule.measure for one in found.rules}

    def spread(one: WorkloadEffect) -> str:
        is_ratio = measures[one.rule] in RATIOS
        return "; ".join(f"{math.exp(x) if is_ratio else x:.3g}" for x in one.effects)

    return Table(
        id="S2",
        slug="effects",
        title="Effects by workload",
        columns=(
            text("rule", "Rule"),
            text("workload", "Workload"),
            Column("effect", "Effect", "mean"),
            text("units", "Single searches or measurements", spread),
            Column("a_value", "A"),
            Column("b_value", "B"),
            text("value_unit", "A and B in", "unit"),
            Column("seed_sd", "SD over seeds", "scale"),
            text("why_not", "Does not count, because"),
            text("flags", "Flags", lambda one: "; ".join(one.weakened_by)),
        ),
        records=effects_of(found),
        note="A is what the rule recommends, B what it is compared with.",
    )


def arms_table(comparisons: Mapping[str, Comparison]) -> Table:
    """S3, per workload and arm: what its searches found."""
    records = [(workload, one, arm) for workload, one in comparisons.items() for arm in one.arms]
    return Table(
        id="S3",
        slug="arms",
        title="Arms of every workload",
        columns=(
            text("workload", "Workload", lambda at: at[0]),
            text("arm", "Arm", lambda at: at[2].arm),
            text("metric", "Metric", lambda at: at[1].study.objective.name),
            Column("mean", "Mean over searches", lambda at: _over_searches(at[2])[0]),
            text("searches", "Single searches", lambda at: _over_searches(at[2])[1]),
            count("trials", "Trials", lambda at: at[2].num_trials),
            count("diverged", "Diverged", lambda at: at[2].num_by_outcome.get("diverged", 0)),
            text("edges", "At the edge of a range", lambda at: _edges(at[2])),
        ),
        records=tuple(records),
    )


def _over_searches(arm: ArmSummary) -> tuple[float, str]:
    """Mean test score over the searches, and the mean of each over its seeds."""
    means = [one.confirmed.test_mean for one in arm.searches if one.confirmed]
    mean = sum(means) / len(means) if means else math.nan
    return mean, "; ".join(f"{one:.4g}" for one in means)


def _edges(arm: ArmSummary) -> str:
    return join([f"{mark.parameter} ({mark.side})" for mark in arm.boundaries if mark.raises_flag])


def studies_table(found: SuiteFindings, comparisons: Mapping[str, Comparison]) -> Table:
    """S4, per workload: its study, how far it is, what it took."""
    titles = {one.name: one.title for one in found.suite.workloads}
    return Table(
        id="S4",
        slug="studies",
        title="Studies",
        columns=(
            text("workload", "Workload", lambda at: at[0]),
            text("title", "Model and data", lambda at: titles[at[0]] or at[1].study.question),
            text("study", "Study", lambda at: at[1].study.name),
            text("level", "Level", lambda at: at[1].level),
            text("finished", "Finished", lambda at: "yes" if at[1].study.finished else "no"),
            count("runs", "Runs", lambda at: len(_runs(at[1]))),
            duration("train_seconds", "Training", lambda at: _seconds(at[1])),
            text("headline", "Its own verdict", lambda at: at[1].verdict.headline),
            text("config_hash", value=lambda at: at[1].study.config_hash),
        ),
        records=tuple(comparisons.items()),
    )


def _runs(comparison: Comparison) -> list[TrialRecord]:
    return [*comparison.study.trials, *comparison.study.confirmations]


def _seconds(comparison: Comparison) -> float:
    """Seconds of training and evaluation of all runs, of one worker."""
    return sum(run.train_seconds + run.evaluate_seconds for run in _runs(comparison))
