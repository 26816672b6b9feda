"""The tables of the verdict: T1 its sentences, T2 the results, T3 the pairs of arms."""

import math
from collections.abc import Iterator

from bakeoff.analysis.statistics import pairs_for_win_share
from bakeoff.records import ArmSummary, Comparison, PairResult
from bakeoff.report.numbers import (
    interval_text,
    median_half_width,
    number_text,
    p_text,
    share_text,
)
from bakeoff.report.table import Cell, Column, Table, count_cell, number_cell, text_cell

LEVELS = {
    "L0": "exploratory: observed in the search; too few confirmation runs for a verdict",
    "L1": "confirmed configurations: each arm's choice was trained again on fresh seeds",
}

TELLING_SHARE = 0.75
"""A win share from which on a difference is meaningful (Bouthillier et al. 2021, section 4.2)."""
ENOUGH_PAIRS = pairs_for_win_share(TELLING_SHARE)

Row = tuple[Cell, ...]


# ---------------------------------------------------------------- T1 verdict


def verdict_table(comparison: Comparison) -> Table:
    """The answer, sentence by sentence; hints and flags with what to do about them."""
    columns = (
        Column(key="item", heading="Item"),
        Column(key="text", heading="Statement"),
        Column(key="advice", heading="What to do"),
    )
    rows = tuple(
        (text_cell(item), text_cell(text), text_cell(advice))
        for item, text, advice in _verdict_rows(comparison)
    )
    return Table(id="T1", slug="verdict", title="Verdict", columns=columns, rows=rows)


def _verdict_rows(comparison: Comparison) -> Iterator[tuple[str, str, str]]:
    verdict = comparison.verdict
    yield "question", comparison.study.question, ""
    yield "level", f"{comparison.level}, {LEVELS[comparison.level]}", ""
    yield "headline", verdict.headline, ""
    yield "leading group", ", ".join(verdict.leading), ""
    for sentence in verdict.sentences:
        yield "finding", sentence, ""
    for tie_breaker in verdict.tie_breakers:
        yield "tie-breaker", tie_breaker, ""
    yield "scope", verdict.scope, ""
    for sentence in comparison.effort:
        yield "search", sentence, ""
    for found in comparison.diagnoses:
        yield f"hint on {found.arm} ({found.kind})", found.evidence, found.advice
    for flag in comparison.flags:
        yield f"flag {flag.id} ({flag.severity})", f"{flag.title}: {flag.detail}", flag.advice


# ---------------------------------------------------------------- T2 results


def results_table(comparison: Comparison) -> Table:
    """Per arm: confirmed test scores, the search's best with its selection gap, the default."""
    metric = comparison.study.objective
    unit = f" ({metric.unit})" if metric.unit else ""
    columns = (
        Column(key="arm", heading="Arm"),
        Column(key="leading", heading="Leads"),
        Column(key="num_seeds", heading="Seeds K", numeric=True),
        Column(key="test_mean", heading=f"Test mean{unit}", numeric=True),
        Column(key="test_ci_low", heading="95 % CI low", numeric=True, shown=False),
        Column(key="test_ci_high", heading="95 % CI high", numeric=True, shown=False),
        Column(key="test_ci", heading="95 % CI", numeric=True, stored=False),
        Column(key="test_sd", heading="Seed SD", numeric=True),
        Column(key="worst", heading="Worst seed", numeric=True),
        Column(key="worst_seed", heading="Worst seed's number", numeric=True, shown=False),
        Column(key="num_diverged", heading="Diverged", numeric=True),
        Column(key="validation_mean", heading="Validation mean", numeric=True),
        Column(key="search_best", heading="Search best", numeric=True),
        Column(key="selection_gap", heading="Selection gap", numeric=True),
        Column(key="default_score", heading="Library default", numeric=True),
        Column(key="default_outcome", heading="Outcome of the default", shown=False),
    )
    better = "higher" if metric.sign > 0 else "lower"
    confirmed = [arm.confirmed for arm in comparison.arms if arm.confirmed]
    half_width = median_half_width(scores.test_ci for scores in confirmed)
    return Table(
        id="T2",
        slug="results",
        title=f"Results: {metric.title or metric.name}, {better} is better",
        columns=columns,
        rows=tuple(_result_row(comparison, arm, half_width) for arm in comparison.arms),
        note=(
            "Test scores are of the chosen configuration on fresh seeds; search best and library"
            " default are validation scores of single runs. Selection gap: how much the search"
            " promised beyond what fresh seeds gave on validation (positive: too much)."
        ),
    )


def _result_row(comparison: Comparison, arm: ArmSummary, half_width: float | None) -> Row:
    confirmed = arm.confirmed
    leads = "yes" if arm.arm in comparison.verdict.leading else ""
    default = arm.default_outcome if arm.default_outcome not in {None, "complete"} else None
    if confirmed is None:
        middle: Row = (count_cell(0), *(number_cell(None) for _ in range(9)))
        gap = None
    else:
        low, high = confirmed.test_ci
        middle = (
            count_cell(len(confirmed.seeds)),
            number_cell(confirmed.test_mean, half_width),
            number_cell(low, half_width),
            number_cell(high, half_width),
            Cell(None, interval_text(low, high, half_width)),
            number_cell(confirmed.test_sd, half_width),
            number_cell(confirmed.worst, half_width),
            count_cell(confirmed.worst_seed),
            Cell(confirmed.num_diverged, f"{confirmed.num_diverged}/{len(confirmed.seeds)}"),
            number_cell(confirmed.validation_mean, half_width),
        )
        gap = confirmed.selection_gap
    return (
        text_cell(arm.arm),
        text_cell(leads),
        *middle,
        number_cell(arm.search_best, half_width),
        number_cell(gap, half_width),
        Cell(arm.default_score, default or number_text(arm.default_score, half_width)),
        text_cell(arm.default_outcome),
    )


# ---------------------------------------------------------------- T3 pairs


def pairs_table(comparison: Comparison) -> Table:
    """Per pair of arms: difference, interval, tests and status."""
    columns = (
        Column(key="a", heading="Arm A"),
        Column(key="b", heading="Arm B"),
        Column(key="status", heading="Status"),
        Column(key="num_pairs", heading="Paired seeds", numeric=True),
        Column(key="mean", heading="Mean difference", numeric=True),
        Column(key="ci_low", heading="CI low", numeric=True, shown=False),
        Column(key="ci_high", heading="CI high", numeric=True, shown=False),
        Column(key="ci", heading="95 % CI, all pairs", numeric=True, stored=False),
        Column(key="p", heading="p", numeric=True),
        Column(key="p_holm", heading="p (Holm)", numeric=True),
        Column(key="win_share", heading="A wins", numeric=True, shown=False),
        Column(key="win_ci_low", heading="A wins, CI low", numeric=True, shown=False),
        Column(key="win_ci_high", heading="A wins, CI high", numeric=True, shown=False),
        Column(key="wins", heading="A wins [95 % CI]", numeric=True, stored=False),
        Column(key="detectable", heading="Detectable", numeric=True),
        Column(key="equality_p", heading="p (equality)", numeric=True),
        Column(key="seeds_to_decide", heading="Seeds to decide", numeric=True),
        Column(key="arrival_p", heading="p (time to target)", numeric=True, shown=False),
    )
    half_width = median_half_width(pair.ci for pair in comparison.pairs)
    return Table(
        id="T3",
        slug="pairs",
        title="Pairs of arms",
        columns=columns,
        rows=tuple(_pair_row(pair, half_width) for pair in comparison.pairs),
        note=(
            "Differences are positive where A is better. p: exact sign-flip test; Holm over all"
            " pairs. A wins: share of seeds on which A is better; it does not make the verdict,"
            f" since it takes about {ENOUGH_PAIRS} seeds to show a share of {TELLING_SHARE}."
            " Detectable: the difference that this many seeds usually show. p (equality): test that"
            f" the difference lies within ± {delta_text(comparison)}. Seeds to decide: estimated"
            " seeds at which this mean difference would be shown."
        ),
    )


def delta_text(comparison: Comparison) -> str:
    """Delta with where it comes from: `delta = 0.0052 (set in the study file)`."""
    if math.isnan(comparison.delta):
        return f"delta ({comparison.delta_source})"
    return f"delta = {comparison.delta:.2g} ({comparison.delta_source})"


def _pair_row(pair: PairResult, half_width: float | None) -> Row:
    return (
        text_cell(pair.a),
        text_cell(pair.b),
        Cell(pair.status, pair.status.replace("_", " ")),
        count_cell(pair.num_pairs),
        number_cell(pair.mean, half_width),
        number_cell(pair.ci[0]),
        number_cell(pair.ci[1]),
        Cell(None, interval_text(*pair.ci, half_width)),
        Cell(pair.p, p_text(pair.p)),
        Cell(pair.p_holm, p_text(pair.p_holm)),
        Cell(pair.win_share, share_text(pair.win_share)),
        number_cell(pair.win_ci[0]),
        number_cell(pair.win_ci[1]),
        Cell(None, _wins_text(pair)),
        number_cell(pair.detectable, half_width),
        Cell(pair.equality_p, p_text(pair.equality_p)),
        count_cell(pair.seeds_to_decide),
        number_cell(pair.arrival_p),
    )


def _wins_text(pair: PairResult) -> str:
    low, high = map(share_text, pair.win_ci)
    return f"{share_text(pair.win_share)} [{low}, {high}]"
