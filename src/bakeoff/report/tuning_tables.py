"""The tables made from search scores: T4 what a budget may find, T6 what a careless choice costs.

Both rest on the random trials of each arm, which are independent; trials that a model proposed are
left out.
"""

import math

from bakeoff.analysis.draws import approximation
from bakeoff.records import (
    ArmSummary,
    BudgetEstimate,
    BudgetQuantity,
    Comparison,
    NearBest,
    RateRobustness,
    Share,
)
from bakeoff.report.numbers import MISSING, interval_text, number_text, share_text
from bakeoff.report.table import Cell, Column, Table, count_cell, number_cell, text_cell
from bakeoff.report.verdict_tables import delta_text

QUANTITIES: dict[BudgetQuantity, str] = {
    "median_best": "median best of k",
    "expected_best": "expected best of k",
    "probability_better": "P(best of k is better)",
}

KNOWN = ""
"""Note of an estimate that is not withheld."""

Row = tuple[Cell, ...]


# ---------------------------------------------------------------- T4 budget


def budget_table(comparison: Comparison) -> Table:
    """Best of k trials per arm and P(A beats B), for the budgets k that the search supports."""
    columns = (
        Column(key="arm", heading="Arm"),
        Column(key="other", heading="Against"),
        Column(key="quantity", heading="Quantity"),
        Column(key="k", heading="k", numeric=True),
        Column(key="estimate", heading="Estimate", numeric=True),
        Column(key="at_least", heading="At least", numeric=True, shown=False),
        Column(key="at_most", heading="At most", numeric=True, shown=False),
        Column(key="ci_low", heading="95 % CI low", numeric=True, shown=False),
        Column(key="ci_high", heading="95 % CI high", numeric=True, shown=False),
        Column(key="ci", heading="95 % CI", numeric=True, stored=False),
        Column(key="method", heading="Interval by", shown=False),
        Column(key="n", heading="n", numeric=True),
        Column(key="note", heading="Note", shown=False),
    )
    withheld = sum(found.estimate is None for found in comparison.budget)
    missing = (
        f" Withheld: {withheld} of {len(comparison.budget)} estimates, because the unknown final"
        " scores of pruned trials could change them; the CSV has the bounds between which they lie."
    )
    return Table(
        id="T4",
        slug="budget",
        title="Budget: what the best of k trials may be expected to reach",
        columns=columns,
        rows=tuple(_budget_row(found) for found in comparison.budget),
        note=(
            "From independent random trials only (n per arm, in pairs of the smaller one), on"
            " validation scores, for k up to n/5; beyond it nothing is said. The verdict does not"
            f" use this table.{approximation(comparison.study)}{missing if withheld else ''}"
        ),
    )


def _budget_row(found: BudgetEstimate) -> Row:
    low, high = found.ci
    half_width = (high - low) / 2 if math.isfinite(high - low) else None
    return (
        text_cell(found.arm),
        text_cell(found.other),
        text_cell(QUANTITIES[found.quantity]),
        count_cell(found.k),
        number_cell(found.estimate, half_width),
        *(number_cell(bound) for bound in found.bounds),
        number_cell(low),
        number_cell(high),
        Cell(None, interval_text(low, high, half_width)),
        text_cell(found.method),
        count_cell(found.n),
        text_cell(KNOWN if found.estimate is not None else "withheld, between bounds"),
    )


# ---------------------------------------------------------------- T6 robustness


def robustness_table(comparison: Comparison) -> Table:
    """Per arm: near-best share, trials needed, divergence, learning-rate sensitivity."""
    columns = (
        Column(key="arm", heading="Arm"),
        Column(key="n", heading="Random trials", numeric=True),
        *_near_columns("own", "within delta of its own best"),
        *_near_columns("best", "within delta of the best arm"),
        Column(key="diverged", heading="Diverged", numeric=True),
        Column(key="diverged_ci_low", heading="Diverged CI low", numeric=True, shown=False),
        Column(key="diverged_ci_high", heading="Diverged CI high", numeric=True, shown=False),
        Column(key="diverged_ci", heading="95 % CI", numeric=True, stored=False),
        Column(key="rate_sensitivity", heading="LR sensitivity S", numeric=True),
        Column(key="rate_tolerance_decades", heading="LR tolerance (decades)", numeric=True),
        Column(key="rate_best_of", heading="S from best of", numeric=True, shown=False),
        Column(key="note", heading="Note on LR"),
    )
    return Table(
        id="T6",
        slug="robustness",
        title="Robustness: what a careless choice costs",
        columns=columns,
        rows=tuple(_robustness_row(arm) for arm in comparison.arms if arm.robustness),
        note=(
            f"Random trials only; {delta_text(comparison)}. Shares with Wilson 95 % intervals; two"
            " counts where pruned trials leave the share open. Its own best is the arm's confirmed"
            " validation mean (before confirmation, its best search score), the best arm's likewise"
            " confirmed. Trials needed: to find one such trial with probability 0.95. S: mean"
            " shortfall over one decade of learning rate to each side of the best half decade, in"
            " units of the objective; it has no interval, because the best of nearly all trials of"
            f" a half decade cannot be resampled.{approximation(comparison.study)}"
        ),
    )


def _near_columns(key: str, what: str) -> tuple[Column, ...]:
    return (
        Column(key=f"{key}_reference", heading=f"Reference, {key}", numeric=True, shown=False),
        Column(key=f"{key}_at_least", heading=f"Trials {what}", numeric=True),
        Column(key=f"{key}_at_most", heading=f"At most, {key}", numeric=True, shown=False),
        Column(key=f"{key}_ci_low", heading=f"Share CI low, {key}", numeric=True, shown=False),
        Column(key=f"{key}_ci_high", heading=f"Share CI high, {key}", numeric=True, shown=False),
        Column(key=f"{key}_ci", heading="95 % CI", numeric=True, stored=False),
        Column(key=f"{key}_trials_needed", heading="Trials needed", numeric=True),
        Column(key=f"{key}_trials_low", heading=f"Needed low, {key}", numeric=True, shown=False),
        Column(key=f"{key}_trials_high", heading=f"Needed high, {key}", numeric=True, shown=False),
    )


def _robustness_row(arm: ArmSummary) -> Row:
    found = arm.robustness
    assert found is not None  # noqa: S101 - the caller has left out arms without
    return (
        text_cell(arm.arm),
        count_cell(found.diverged.of),
        *_near_cells(found.near_own),
        *_near_cells(found.near_best),
        *_share_cells(found.diverged, with_count=found.diverged.at_least),
        *_rate_cells(found.learning_rate),
    )


def _near_cells(near: NearBest | None) -> Row:
    if near is None:
        return tuple(number_cell(None) for _ in range(9))
    share, (low, high) = near.share, near.trials_ci
    return (
        number_cell(near.reference),
        Cell(share.at_least, _count_text(share)),
        count_cell(share.at_most),
        *_share_cells(share),
        Cell(near.trials_needed, f"{_whole(near.trials_needed)} [{_whole(low)}, {_whole(high)}]"),
        number_cell(low),
        number_cell(high),
    )


def _share_cells(share: Share, *, with_count: int | None = None) -> Row:
    """The interval's two sides and its text; the count before them, if asked for."""
    low, high = share.ci
    count = () if with_count is None else (count_cell(with_count),)
    return (
        *count,
        number_cell(low),
        number_cell(high),
        Cell(None, f"[{share_text(low)}, {share_text(high)}]"),
    )


def _rate_cells(rate: RateRobustness) -> Row:
    return (
        number_cell(rate.sensitivity),
        number_cell(rate.tolerance_decades),
        count_cell(rate.best_of),
        text_cell(rate.note),
    )


def _count_text(share: Share) -> str:
    if share.at_least == share.at_most:
        return f"{share.at_least}"
    return f"{share.at_least} to {share.at_most}"


def _whole(count: float) -> str:
    """A number of trials, which is whole or infinite."""
    return (
        MISSING
        if math.isnan(count)
        else number_text(count)
        if math.isinf(count)
        else f"{count:.0f}"
    )
