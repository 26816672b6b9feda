"""F4 shows the best score against the cost of the search, as observed and as expected."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np

from bakeoff.analysis.arm_trials import charged_trials
from bakeoff.analysis.draws import SUPPORTED_SHARE, is_random_search, random_draws
from bakeoff.analysis.tuning import expected_best_by_cost
from bakeoff.analysis.wording import plural, trials_per_arm
from bakeoff.records import Comparison, StudyRecord
from bakeoff.report.figures import style
from bakeoff.report.figures.spec import MIN_DRAWS, FigureSpec

LEFT_OUT = 0.1
"""Share of the points, the worst ones, that the score axis may leave out."""
NUM_BUDGETS = 40
"""Points of an expected curve."""


class SearchProgress(NamedTuple):
    """The best score that an arm's search has reached, or is expected to reach, at some cost."""

    arm: str
    quantity: Literal["observed", "expected"]
    k: int | None
    """Trials run so far; None in expected rows."""
    epochs: float | None
    """None if another program reported none; the figure then shows `k`."""
    train_seconds: float | None
    """None in expected rows, and where another program stored no times."""
    estimate: float | None
    trial: int | None
    """Number of the k-th trial."""
    supported: bool
    """Whether at most a fifth of the search was spent, in expected rows; True in observed ones."""


def compute_search_progress(comparison: Comparison) -> tuple[SearchProgress, ...]:
    """Return an observed row per trial, and the expected curve of arms searched at random.

    Of repeated searches the first one is observed, because a line over several searches would be
    the progress of none.

    An observed estimate is None until a trial of the arm is complete. The expected best within a
    cost is the mean over random orders of the trials. It is given where all trials are independent
    random draws, at least five, with known final scores.
    """
    study = comparison.study
    return tuple(
        row
        for arm in study.arms
        for row in (*_observed_rows(study, arm.name), *_expected_rows(study, arm.name))
    )


def _observed_rows(study: StudyRecord, arm: str) -> list[SearchProgress]:
    sign = study.objective.sign
    best: float | None = None
    epochs, seconds = 0, 0.0
    rows = []
    first = [trial for trial in charged_trials(study, arm) if trial.repeat == 0]
    for k, trial in enumerate(first, start=1):
        epochs += trial.epochs_run
        seconds += trial.train_seconds
        score = trial.score if trial.outcome == "complete" else None
        if score is not None and math.isfinite(score):
            best = score if best is None else sign * max(sign * best, sign * score)
        rows.append(
            SearchProgress(
                arm, "observed", k, epochs if study.has_epochs else None,
                None if study.foreign and seconds == 0 else seconds, best, trial.number, True,
            )
        )  # fmt: skip
    return rows


def _has_expectation(study: StudyRecord, arm: str) -> bool:
    """Tell whether all trials of an arm are independent draws, at least five, with known scores."""
    draws = random_draws(study, arm)
    independent = is_random_search(study, arm) and bool(draws.is_known.all())
    return independent and draws.num >= MIN_DRAWS and bool(np.max(draws.epochs) > 0)


def _expected_rows(study: StudyRecord, arm: str) -> list[SearchProgress]:
    if not _has_expectation(study, arm):
        return []
    draws = random_draws(study, arm)
    total = float(np.sum(draws.epochs))
    budgets = np.geomspace(np.max(draws.epochs), total, NUM_BUDGETS)
    expected = study.objective.sign * expected_best_by_cost(draws.scores, draws.epochs, budgets)
    supported = total / SUPPORTED_SHARE
    return [
        SearchProgress(arm, "expected", None, budget, None, score, None, budget <= supported)
        for budget, score in zip(budgets.tolist(), expected.tolist(), strict=True)
        if math.isfinite(score)
    ]


def draw_search_progress(rows: Sequence[SearchProgress], comparison: Comparison) -> style.Figure:
    """Draw one line per arm: expected where known, with the observed steps faint behind it.

    Of many trials, an observed line shows those that were better than all before.
    """
    study = comparison.study
    score, traces = style.metric_title(study.objective), []
    cost = "Epochs" if study.has_epochs else "Trials"
    for own in style.grouped(rows, "arm").values():
        expected = [row for row in own if row.quantity == "expected"]
        observed = [row for row in own if row.quantity == "observed"]
        traces += [_step_line(observed, study, faint=bool(expected)), *_curves(expected, study)]
    return style.draw(
        traces,
        height=400,
        showlegend=True,
        xaxis=style.log_count_axis(f"{cost} of search, per arm"),
        yaxis=style.axis(f"Best {score}", range=_score_range(rows, study)),
    )


def _score_range(rows: Sequence[SearchProgress], study: StudyRecord) -> list[float] | None:
    """Leave the worst tenth out: the first trials may be far worse than all later ones."""
    estimates = [row.estimate for row in rows if row.estimate is not None]
    if not estimates:
        return None
    sign = study.objective.sign
    worst, best = np.quantile(sign * np.array(estimates), [LEFT_OUT, 1.0]).tolist()
    margin = style.score_margin(worst, best)
    return sorted([sign * (worst - margin), sign * (best + margin)])


def _step_line(rows: Sequence[SearchProgress], study: StudyRecord, *, faint: bool) -> style.Trace:
    arm = rows[0].arm
    if len(rows) > style.MAX_DRAWN:  # too many to be seen as dots: keep the steps and both ends
        steps = [now for before, now in pairwise(rows) if now.estimate != before.estimate]
        rows = [rows[0], *steps, rows[-1]]
    return style.scatter(
        rows, "lines" if faint else "lines+markers", y="estimate", hover=_hover,
        x="epochs" if study.has_epochs else "k",
        color=style.arm_color(study, arm) + (style.FAINT if faint else ""),
        line={"shape": "hv", "width": 1 if faint else 2},
        marker={"symbol": style.arm_symbol(study, arm), "size": 7},
        **style.legend_entry(arm, shown=not faint),
    )  # fmt: skip


def _curves(rows: Sequence[SearchProgress], study: StudyRecord) -> list[style.Trace]:
    """Draw the expected curve: solid to a fifth of the search, dotted beyond."""
    solid, dotted = style.solid_and_dotted(rows)
    return [
        style.scatter(
            part, "lines", x="epochs", y="estimate", hover=_hover,
            color=style.arm_color(study, part[0].arm), line={"width": 2, "dash": dash},
            **style.legend_entry(part[0].arm, shown=part is (solid or dotted)),
        )
        for part, dash in ((solid, "solid"), (dotted, "dot"))
        if part
    ]  # fmt: skip


def _hover(row: SearchProgress) -> str:
    best = f"{style.label(row.arm)}: {math.nan if row.estimate is None else row.estimate:.6g}"
    if row.quantity == "expected":
        return f"{best} expected within {row.epochs:.0f} epochs"
    epochs = "" if row.epochs is None else f", {plural(round(row.epochs), 'epoch')}"
    return f"{best} observed after {plural(row.k or 0, 'trial')}{epochs}"


def _caption(comparison: Comparison) -> str:
    study = comparison.study
    is_expected = any(_has_expectation(study, arm.name) for arm in study.arms)
    what = (
        "Thick lines: the expected validation score of the best trial within that many epochs of"
        " random search, which is the mean over 5,000 random orders of the trials. They are solid"
        " up to a fifth of the search and dotted beyond, where nothing can be concluded; no"
        " interval is known for them. Thin lines: the one order that was run, as observed"
        if is_expected
        else "The validation score of the best complete trial so far, in one search per arm; this"
        " is observed, not estimated. Every dot is a trial; of more than"
        f" {style.MAX_DRAWN}, only those that were better than all before are drawn"
    )
    if study.repeats > 1:
        what += f". Of {study.repeats} searches per arm, the first one is shown"
    counted = (
        "The epochs of pruned and diverged trials count; the CSV file has seconds."
        if study.has_epochs
        else "The program that made the study reported no epochs."
    )
    return (
        f"{what} (sampler {study.sampler}, pruner {study.pruner}, n = {trials_per_arm(study)}"
        f" trials each). {counted}"
        " The axis leaves out the worst tenth of the points. The best of many"
        " trials is optimistic, so the verdict does not use it."
    )


FIGURE = FigureSpec[Comparison](
    id="F4",
    slug="search-progress",
    question="What does more search bring, at equal cost?",
    row_type=SearchProgress,
    compute=compute_search_progress,
    draw=draw_search_progress,
    caption=_caption,
    needs="no search trial has ended yet",
    on_dashboard=True,
)
