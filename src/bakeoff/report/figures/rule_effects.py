"""F12 shows the effects that decide the rules of a suite, by workload and on average."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from bakeoff.records import RATIOS, Measure, SuiteFindings
from bakeoff.records.significance import CONFIDENCE_TEXT
from bakeoff.report.figures import style
from bakeoff.report.figures.spec import FigureSpec

AVERAGE = ""
"""The workload of a row that is about the average over workloads."""


class RuleEffect(NamedTuple):
    """The effect of a rule on a workload, or on average over its workloads.

    It is positive, or above 1, where the rule is right.
    """

    rule: str
    workload: str
    estimate: float
    ci_low: float | None
    ci_high: float | None
    n: int
    verdict: str


def compute_effects(found: SuiteFindings, measures: Sequence[Measure]) -> tuple[RuleEffect, ...]:
    """Return for each rule about one of `measures` its average, then its workloads."""
    rows = []
    for one in found.rules:
        if one.rule.measure not in measures or not math.isfinite(one.effect):
            continue
        low, high = (end if math.isfinite(end) else None for end in one.ci)
        name, word = one.rule.name, one.word
        rows.append(RuleEffect(name, AVERAGE, one.effect, low, high, one.num_units, word))
        rows += [
            RuleEffect(name, own.workload, own.mean, None, None, len(own.effects), word)
            for own in one.effects
        ]
    return tuple(rows)


def draw_effects(
    rows: Sequence[RuleEffect], _: SuiteFindings, *, title: str, null: float
) -> style.Figure:
    """Draw a line for each row: a diamond with its interval for an average, a dot for a workload.

    The symbols of rules that are confirmed or refuted are filled.
    """
    places = [-place for place in range(len(rows))]
    ticks = style.categories([""] * len(rows)) | {
        "tickvals": places,
        "ticktext": [_name(row) for row in rows],
    }
    line = style.line_shape(x0=null, x1=null, xref="x", yref="paper", y0=0, y1=1)
    is_log = null > 0
    return style.draw(
        [_mark(row, place) for row, place in zip(rows, places, strict=True)],
        height=110 + 24 * len(rows),
        showlegend=False,
        xaxis=style.axis(title, **({"type": "log"} if is_log else {})),
        yaxis=style.axis(**ticks, range=[0.6 - len(rows), 0.6]),
        shapes=[line],
    )


def _mark(row: RuleEffect, place: int) -> style.Trace:
    is_average = row.workload == AVERAGE
    is_decided = "confirmed" in row.verdict or "refuted" in row.verdict
    symbol = ("diamond" if is_average else "circle") + ("" if is_decided else "-open")
    return style.scatter(
        [row], "markers", x="estimate", y=[place], hover=_hover,
        color=style.INK if is_average else style.FAINT_INK,
        error_x=style.error_bar(row, color=style.INK, thickness=2, width=5),
        marker={"symbol": symbol, "size": 12 if is_average else 7},
    )  # fmt: skip


def _name(row: RuleEffect) -> str:
    return (
        f"<b>{style.label(row.rule)}</b>" if row.workload == AVERAGE else style.label(row.workload)
    )


def _hover(row: RuleEffect) -> str:
    where = f", {style.label(row.workload)}" if row.workload else f" ({row.verdict})"
    return f"{style.label(row.rule)}{where}: {row.estimate:.3g}"


def _caption(_: SuiteFindings, *, text: str) -> str:
    return (
        f"{text} A diamond is the average over a rule's workloads with its {CONFIDENCE_TEXT}"
        " interval, a dot one workload. Filled symbols mean that the rule is confirmed or refuted."
    )


def _figure(
    part: str, measures: tuple[Measure, ...], question: str, title: str, null: float, text: str
) -> FigureSpec[SuiteFindings]:
    compute: Callable[[SuiteFindings], tuple[RuleEffect, ...]] = partial(
        compute_effects, measures=measures
    )
    return FigureSpec[SuiteFindings](
        id=f"F12{part}",
        slug=f"{measures[0]}-effects",
        question=question,
        row_type=RuleEffect,
        compute=compute,
        draw=partial(draw_effects, title=title, null=null),
        caption=partial(_caption, text=text),
        needs="no rule about this has been tested",
    )


SUITE_FIGURES = (
    _figure(
        "a", ("score",), "Which rules about scores hold?",
        "Advantage in standard deviations over seeds", 0.0,
        "Mean test score of the arms that a rule recommends, minus that of the others, in standard"
        " deviations of a score over seeds.",
    ),
    _figure(
        "b", RATIOS, "Which rules about speed hold?", "Times as fast", 1.0,
        "How many times as fast the rule is: epochs to a target, or seconds.",
    ),
    _figure(
        "c", ("diverged",), "What prevents divergence?", "Fewer failed trials, as a share", 0.0,
        "Share of the random trials that diverged or learned nothing without what the rule"
        " recommends, minus the share with it.",
    ),
)  # fmt: skip
