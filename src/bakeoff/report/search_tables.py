"""The tables made from search scores: T4 budget, T6 robustness, T9 importances, T10 pruning.

T4 and T6 use only the random trials of each arm, which are independent, and leave out trials that a
model proposed.
"""

import math
from collections.abc import Iterable

from bakeoff.analysis.draws import approximation
from bakeoff.analysis.importance import MIN_TRIALS, MIN_TRIALS_FOR_TOP
from bakeoff.records import BudgetEstimate, BudgetQuantity, Comparison, NearBest, Share
from bakeoff.records.significance import CONFIDENCE_TEXT
from bakeoff.report.numbers import interval_text, number_text, share_text
from bakeoff.report.table import Column, Table, count, interval, of_part, share, text
from bakeoff.report.verdict_tables import delta_text

QUANTITIES: dict[BudgetQuantity, str] = {
    "median_best": "median best of k",
    "expected_best": "expected best of k",
    "probability_better": "P(best of k is better)",
}
WITHHELD, NOTHING_KNOWN = "withheld, between bounds", "withheld, nothing is known"
CI = f"{CONFIDENCE_TEXT} CI"


def budget_table(comparison: Comparison) -> Table:
    """T4, best of k trials per arm and P(A beats B), for the budgets k that the search supports."""
    withheld = sum(found.estimate is None for found in comparison.budget)
    missing = (
        f" Of {len(comparison.budget)} estimates, {withheld} are withheld, because the unknown"
        " final scores of pruned trials could change them; the CSV has their bounds, as far as"
        " there are any."
    )
    return Table(
        id="T4",
        slug="budget",
        title="Budget: the expected result of the best of k trials",
        columns=(
            text("arm", "Arm"),
            text("other", "Against"),
            text("quantity", "Quantity", lambda found: QUANTITIES[found.quantity]),
            count("k", "k"),
            Column(
                "estimate",
                "Estimate",
                label=lambda found: number_text(found.estimate, _half_width(found)),
            ),
            Column("at_least", value=lambda found: found.bounds[0]),
            Column("at_most", value=lambda found: found.bounds[1]),
            *interval("ci", CI, label=lambda found: interval_text(found.ci, _half_width(found))),
            Column("method"),
            count("n", "n"),
            Column("note", value=_withheld_note),
        ),
        records=comparison.budget,
        note=(
            "Estimates use the validation scores of independent random trials only (n per arm; for"
            " a pair, n of the smaller arm). There is no estimate for k above n/5. The verdict does"
            f" not use this table.{approximation(comparison.study)}{missing if withheld else ''}"
        ),
    )


def _withheld_note(found: BudgetEstimate) -> str:
    """Why there is no estimate; bounds that exclude no value say nothing."""
    if found.estimate is not None:
        return ""
    ends = (0.0, 1.0) if found.quantity == "probability_better" else (-math.inf, math.inf)
    return NOTHING_KNOWN if found.bounds == ends else WITHHELD


def _half_width(found: BudgetEstimate) -> float | None:
    low, high = found.ci
    return (high - low) / 2 if math.isfinite(high - low) else None


def robustness_table(comparison: Comparison) -> Table:
    """T6, per arm: near-best share, trials needed, divergence, learning-rate sensitivity."""
    return Table(
        id="T6",
        slug="robustness",
        title="Robustness: what a careless choice of hyperparameters costs",
        columns=(
            text("arm", "Arm"),
            count("n", "Random trials", "robustness.diverged.of"),
            *_near_columns("own", "within delta of its own best"),
            *_near_columns("best", "within delta of the best arm"),
            *of_part(
                "robustness.diverged",
                count("diverged", "Diverged", "at_least", label=_share_text),
                Column("diverged_at_most", value="at_most"),
                *interval("diverged_ci", CI, "ci", label=lambda share: _shares_text(share.ci)),
            ),
            *of_part(
                "robustness.learning_rate",
                Column("rate_sensitivity", "LR sensitivity S", "sensitivity"),
                Column("rate_tolerance_decades", "LR tolerance (decades)", "tolerance_decades"),
                Column("rate_best_of", value="best_of"),
                text("note", "Note on LR"),
            ),
        ),
        records=tuple(arm for arm in comparison.arms if arm.robustness),
        note=(
            f"Only random trials count; {delta_text(comparison)}. Shares have Wilson"
            f" {CONFIDENCE_TEXT} intervals. Two counts are given where pruned trials, or"
            " failures that may be divergence, leave the count open. An arm's own best is its"
            " confirmed validation mean or, before confirmation, its best search score; the best"
            " arm is the one with the best confirmed validation mean."
            " Trials needed is the number that finds one such trial with probability 0.95. S is the"
            " mean shortfall over one decade of learning rate to each side of the best half decade,"
            " in units of the objective. S has no interval, because the best of nearly all trials"
            f" of a half decade cannot be resampled.{approximation(comparison.study)}"
        ),
    )


def _near_columns(key: str, what: str) -> tuple[Column, ...]:
    """Columns about the random trials that come near a reference."""
    return of_part(
        f"robustness.near_{key}",
        Column(f"{key}_reference", value="reference"),
        Column(f"{key}_at_least", f"Trials {what}", "share.at_least", label=_near_text),
        Column(f"{key}_at_most", value="share.at_most"),
        *interval(f"{key}_ci", CI, "share.ci", label=lambda near: _shares_text(near.share.ci)),
        Column(f"{key}_trials_needed", "Trials needed", "trials_needed", label=_needed_text),
        Column(f"{key}_trials_low", value=lambda near: near.trials_ci[0]),
        Column(f"{key}_trials_high", value=lambda near: near.trials_ci[1]),
    )


def _shares_text(ends: Iterable[float]) -> str:
    return f"[{', '.join(map(share_text, ends))}]"


def _near_text(near: NearBest) -> str:
    return _share_text(near.share)


def _share_text(share: Share) -> str:
    low, high = share.at_least, share.at_most
    return f"{low}" if low == high else f"{low} to {high}"


def _needed_text(near: NearBest) -> str:
    """Numbers of trials, each of which is whole or infinite."""
    counts = (near.trials_needed, *near.trials_ci)
    needed, low, high = (f"{n:.0f}" if math.isfinite(n) else number_text(n) for n in counts)
    return f"{needed} [{low}, {high}]"


def importance_table(comparison: Comparison) -> Table:
    """T9, per arm and searched parameter: its two shares with their ranges."""
    return Table(
        id="T9",
        slug="importances",
        title="Importance of each parameter, arm by arm",
        columns=(
            text("arm", "Arm"),
            text("parameter", "Parameter"),
            *_share_columns("whole", "Importance for the score"),
            *_share_columns("top", "Importance for the best tenth"),
            count("n", "Trials"),
            count("n_with", "Trials with the parameter"),
        ),
        records=comparison.importances,
        note=(
            "The importances of an arm sum to 1 and hold for the searched ranges only. The"
            " importance for the score covers the whole space, including bad regions: it is what"
            " random forests lose in accuracy when the values are shuffled (from"
            f" {MIN_TRIALS} trials with a known score). The importance for the best tenth says how"
            f" differently the values are distributed there (PED-ANOVA, from {MIN_TRIALS_FOR_TOP}"
            " trials). Brackets give the least and greatest of five forests or resamples; they are"
            " not confidence intervals. A sampler that learns has drawn more trials where scores"
            " were good, which blurs both importances."
        ),
    )


def _share_columns(key: str, heading: str) -> tuple[Column, ...]:
    """Columns of a share with the least and the greatest of its estimates."""
    return of_part(
        key,
        Column(key, value=lambda shares: shares[0]),
        Column(f"{key}_low", value=lambda shares: shares[1]),
        Column(f"{key}_high", value=lambda shares: shares[2]),
        Column(f"{key}_text", heading, label=_middle_text, stored=False),
    )


def _middle_text(shares: tuple[float, float, float]) -> str:
    return f"{share_text(shares[0])} {_shares_text(shares[1:])}"


def pruning_table(comparison: Comparison) -> Table:
    """T10, per arm: audited trials, those pruning would have ended, and how many of the best."""
    return Table(
        id="T10",
        slug="pruning",
        title="What pruning would have done to audited trials",
        columns=(
            text("arm", "Arm"),
            count("n", "Audited"),
            count("would_end", "Would have ended"),
            count("top", "Best tenth"),
            count("top_would_end", "Of those, would have ended"),
            share("regret", "Regret"),
            *interval("ci", CI),
        ),
        records=comparison.pruning,
        note=(
            "Audited trials were chosen before they began and were never pruned. Regret is the"
            " share of the best tenth by final score, at least one trial per arm, that pruning"
            " would have ended; its interval is a Wilson interval."
        ),
    )
