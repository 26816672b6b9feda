"""The tables of the verdict: T1 its sentences, T2 the results, T3 the pairs of arms."""

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from bakeoff.analysis.statistics import pairs_for_win_share
from bakeoff.records import ArmSummary, Comparison, PairResult
from bakeoff.records.significance import CONFIDENCE_TEXT
from bakeoff.report.answer import DEFAULTS_SUFFIX
from bakeoff.report.numbers import median_half_width, number_text, share_text
from bakeoff.report.table import Column, Table, count, interval, of_part, p_value, text

LEVELS = {
    "L0": "exploratory, because there are too few confirmation runs for a verdict",
    "L1": "confirmed: the configuration found for each arm was trained again on fresh seeds",
    "L2": "repeated: each arm was searched several times, and each finding was trained again",
}
TELLING_SHARE = 0.75
"""Win share above which a difference is meaningful (Bouthillier et al. 2021, section 4.2)."""
ENOUGH_PAIRS = pairs_for_win_share(TELLING_SHARE)


class Statement(NamedTuple):
    """A row of T1."""

    item: str
    text: str
    advice: str = ""


def verdict_table(comparison: Comparison) -> Table:
    """T1, the answer sentence by sentence, then hints and flags with what to do about them."""
    return Table(
        id="T1",
        slug="verdict",
        title="Verdict",
        columns=(text("item", "Item"), text("text", "Statement"), text("advice", "What to do")),
        records=tuple(_statements(comparison)),
    )


def _statements(comparison: Comparison) -> Iterator[Statement]:
    verdict = comparison.verdict
    yield Statement("question", comparison.study.question)
    yield Statement("level", f"{comparison.level}, {LEVELS[comparison.level]}")
    yield Statement("headline", verdict.headline)
    yield from (Statement("what limits it", sentence) for sentence in verdict.weakened_by)
    yield Statement("leading group", ", ".join(verdict.leading))
    yield from (Statement("finding", sentence) for sentence in verdict.sentences)
    yield from (Statement("tie-breaker", sentence) for sentence in verdict.tie_breakers)
    yield Statement("scope", verdict.scope)
    yield from (Statement("search", sentence) for sentence in comparison.effort)
    for found in comparison.diagnoses:
        yield Statement(f"hint on {found.arm} ({found.kind})", found.evidence, found.advice)
    for flag in comparison.flags:
        item = f"flag {flag.id} ({flag.severity})"
        yield Statement(item, f"{flag.title}: {flag.detail}", flag.advice)


def results_table(comparison: Comparison) -> Table:
    """T2, per arm: confirmed test scores, the best search score, the library default."""
    metric, leading = comparison.study.objective, comparison.verdict.leading
    half_width = median_half_width(
        one.confirmed.test_ci for one in comparison.arms if one.confirmed
    )
    rounded = partial(Column, show=partial(number_text, half_width=half_width))

    def default_text(arm: ArmSummary) -> str:
        is_complete = arm.default_outcome in {None, "complete"}
        score = number_text(arm.default_score, half_width)
        return score if is_complete else str(arm.default_outcome)

    return Table(
        id="T2",
        slug="results",
        title=(
            f"Results: {metric.title or metric.name},"
            f" {'higher' if metric.sign > 0 else 'lower'} is better"
        ),
        columns=(
            text("arm", "Arm"),
            text("leading", "Leads", lambda arm: "yes" if arm.arm in leading else ""),
            count("num_seeds", "Seeds K"),
            *of_part(
                "confirmed",
                rounded("test_mean", f"Test mean ({metric.unit})" if metric.unit else "Test mean"),
                *interval("test_ci", f"{CONFIDENCE_TEXT} CI", half_width=half_width),
                rounded("test_sd", "Seed SD"),
                rounded("worst", "Worst seed"),
                Column("worst_seed"),
                Column(
                    "num_diverged",
                    "Diverged",
                    label=lambda own: f"{own.num_diverged}/{len(own.seeds)}",
                ),
                rounded("validation_mean", "Validation mean"),
            ),
            rounded("search_best", "Search best"),
            *of_part("confirmed", rounded("selection_gap", "Selection gap")),
            Column("default_score", "Library default", label=default_text),
            Column("default_outcome"),
        ),
        records=(*comparison.arms, *_confirmed_defaults(comparison)),
        note=(
            "Test scores are those of the chosen configuration, trained again on fresh seeds."
            " Search best and library default are validation scores of single runs. The selection"
            " gap is how much better the chosen configuration scored in the search than on fresh"
            " seeds, on validation data; it is positive where the search was too optimistic."
        ),
    )


def _confirmed_defaults(comparison: Comparison) -> Iterator[ArmSummary]:
    """A row for each arm's library defaults that were trained on the confirmation seeds."""
    for arm in comparison.arms:
        if arm.default_confirmed is not None:
            yield replace(
                arm,
                arm=arm.arm + DEFAULTS_SUFFIX,
                confirmed=arm.default_confirmed,
                search_best=arm.default_score,
                over_searches=None,
            )


def pairs_table(comparison: Comparison) -> Table:
    """T3, per pair of arms: difference, interval, tests and status."""
    half_width = median_half_width(pair.ci for pair in comparison.pairs)
    rounded = partial(Column, show=partial(number_text, half_width=half_width))
    return Table(
        id="T3",
        slug="pairs",
        title="Pairs of arms",
        columns=(
            text("a", "Arm A"),
            text("b", "Arm B"),
            text("word", "Result"),
            Column("status"),
            count("num_pairs", "Paired seeds"),
            rounded("mean", "Mean difference"),
            *interval("ci", f"{CONFIDENCE_TEXT} CI, all pairs", half_width=half_width),
            rounded("unit_error", "Error over seeds"),
            rounded("example_error", "Error over test samples"),
            p_value("p", "p"),
            p_value("p_holm", "p (Holm)"),
            Column("win_share"),
            *interval("win_ci", f"A wins [{CONFIDENCE_TEXT} CI]", label=_wins_text),
            rounded("detectable", "Detectable"),
            p_value("equality_p", "p (equality)"),
            count("seeds_to_decide", "Seeds to decide"),
            Column("arrival_p"),
            Column("alpha"),
            Column("failure_limit"),
            Column("failure_p"),
        ),
        records=comparison.pairs,
        note=(
            "Differences are positive where A is better. The interval covers both errors; that over"
            " test samples is without what the spread over seeds holds already. The exact"
            " sign-flip test gives p; p (Holm) is corrected for all pairs. A wins is the share of"
            " seeds on which A is better; the verdict does not use it, because it takes about"
            f" {ENOUGH_PAIRS} seeds to show a share of {TELLING_SHARE}. Detectable is the"
            " difference that this many seeds usually show. p (equality) tests whether the"
            f" difference lies within ± {delta_text(comparison)}. Seeds to decide is the estimated"
            " number of seeds that"
            " would show this mean difference."
        ),
    )


def _wins_text(pair: PairResult) -> str:
    low, high = map(share_text, pair.win_ci)
    return f"{share_text(pair.win_share)} [{low}, {high}]"


def delta_text(comparison: Comparison) -> str:
    """Delta and its source: `delta = 0.0052 (set in the study file)`."""
    if math.isnan(comparison.delta):
        return f"delta ({comparison.delta_source})"
    return f"delta = {comparison.delta:.2g} ({comparison.delta_source})"
