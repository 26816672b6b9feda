"""What an experienced person would see in the curves, with the evidence and one thing to try.

A diagnosis is a hint and never part of the verdict. A rule examines one run and returns its
evidence or None; an arm gets a diagnosis if more than half of its runs show it. To add a diagnosis,
write its rule and its entry in `RULES`.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bakeoff.analysis.arm_trials import searched_trials
from bakeoff.analysis.curves import Curve, curve_of
from bakeoff.analysis.findings import Findings
from bakeoff.analysis.learning_rate import learning_rate_of
from bakeoff.analysis.wording import metric_name, number, plural
from bakeoff.records import Diagnosis, DiagnosisKind, EpochResult, MetricInfo, TrialRecord

MIN_EPOCHS = 5
"""A curve with fewer evaluations is not examined."""
RISE = 0.1
"""Overfitting: the validation loss rises again by this share of its lowest value."""
EARLY = 0.8
"""Overfitting: the lowest validation loss lies before this share of the run."""
GAP = 0.1
"""Underfitting: the validation loss is no more than this share above the training loss."""
LITTLE_LEARNED = 0.5
"""Underfitting: this share of the first epoch's training loss remains at the end."""
FAR_FROM_PERFECT = 0.8
"""Underfitting: a bounded objective has reached less than this share of its range."""
LAST_PART = 0.2
"""Still improving: the last part of a run is compared with an equally long part before it."""
LAST_GAIN = 0.05
"""Still improving: the last part brings this share of the difference between the worst and the best
epoch."""
BACK_AND_FORTH = 0.05
"""Unstable: mean back-and-forth movement per epoch, as a share of the difference between the worst
and the best epoch."""
LATE_HALF = 0.55
"""Slow: half of the gain comes after this share of the run (a straight line has 0.5)."""
PLATEAU = 0.02
"""Plateaued: share of the gain by which later epochs may still differ."""
PLATEAU_BEGINS = 0.4
"""Plateaued: it begins before this share of the run."""
MIN_EPOCHS_ON_PLATEAU = 6
WAITING = 0.25
"""Waiting for data: share of the training time."""
MIN_DIVERGED = 2
MOSTLY, RARELY = 0.5, 0.1
"""Diverging above a learning rate: shares of trials that diverge above it and below it."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One diagnosis that the curve of a run can show."""

    kind: DiagnosisKind
    advice: str
    find: Callable[[Curve], str | None]
    """The evidence in a run's curve, or None."""
    advice_alone: str = ""
    """For a single run that is not compared with others; empty if the advice is the same."""


def diagnose_study(findings: Findings) -> tuple[Diagnosis, ...]:
    """Diagnoses of every arm, in the order of the arms.

    The curves are those of the confirmation runs, or without any that of the best search trial. The
    learning rate above which runs diverge is determined from all search trials.
    """
    return tuple(
        diagnosis
        for arm in findings.arms
        for diagnosis in (
            *diagnose_runs(
                _runs_of(findings, arm.arm),
                findings.record.objective,
                arm=arm.arm,
                floor=findings.delta,
            ),
            *_diverging_rate(searched_trials(findings.record, arm.arm), arm.arm),
        )
    )


def diagnose_runs(
    histories: Sequence[Sequence[EpochResult]],
    objective: MetricInfo,
    *,
    arm: str = "",
    floor: float = math.nan,
) -> tuple[Diagnosis, ...]:
    """What the curves of runs of one configuration show, in the order of `RULES`.

    Runs with fewer than five evaluated epochs are ignored.

    Args:
        histories: The epochs of each run; one run is enough.
        objective: The metric by which runs are scored.
        arm: The arm that the diagnoses name; empty for a single run.
        floor: Smallest difference of the objective that matters; NaN if unknown.
    """
    found = [curve_of(history, objective, floor, at_least=MIN_EPOCHS) for history in histories]
    curves = [curve for curve in found if curve is not None]
    return tuple(diagnosis for rule in RULES for diagnosis in _apply(rule, curves, arm))


def _apply(rule: Rule, curves: Sequence[Curve], arm: str) -> Iterator[Diagnosis]:
    """The diagnosis, if more than half of the curves show it, with the evidence of the first."""
    evidence = [text for text in map(rule.find, curves) if text is not None]
    if 2 * len(evidence) <= len(curves):
        return
    shown = f" (in {len(evidence)} of {len(curves)} runs)" if len(curves) > 1 else ""
    advice = rule.advice if arm else rule.advice_alone or rule.advice
    yield Diagnosis(arm=arm, kind=rule.kind, evidence=f"{evidence[0]}{shown}.", advice=advice)


def _runs_of(findings: Findings, arm: str) -> list[tuple[EpochResult, ...]]:
    """Histories of the arm's complete confirmation runs, or without any of its best trial."""
    confirmed = findings.runs.get(arm)
    if confirmed is not None:
        return [run.history for run in confirmed.runs if run.outcome == "complete"]
    best = next(summary.search_best_trial for summary in findings.arms if summary.arm == arm)
    return [run.history for run in searched_trials(findings.record, arm) if run.number == best]


def find_overfitting(curve: Curve) -> str | None:
    """The validation loss starts to rise while the training loss continues to fall."""
    loss, train = curve.validation_loss, curve.train_loss
    if not np.isfinite(loss).all():
        return None
    lowest = int(np.argmin(loss))
    turned_early = curve.epochs[lowest] < EARLY * curve.epochs[-1]
    if not turned_early or not train[-1] < train[lowest]:
        return None
    # the median of the last three epochs, so that one bad last epoch is not a trend
    final = float(np.median(loss[-3:]))
    if final < (1 + RISE) * loss[lowest]:
        return None
    return (
        f"after epoch {curve.epochs[lowest]:.0f} of {curve.epochs[-1]:.0f} the validation loss rose"
        f" from {loss[lowest]:.3g} to {final:.3g} while the training loss fell from"
        f" {train[lowest]:.3g} to {train[-1]:.3g}"
    )


def find_underfitting(curve: Curve) -> str | None:
    """The training loss stays high, and the validation loss is not much higher."""
    loss, train = curve.validation_loss, curve.train_loss
    if not np.isfinite([loss[-1], train[0], train[-1]]).all() or train[0] <= 0:
        return None
    left = train[-1] / train[0]
    fits = loss[-1] > (1 + GAP) * train[-1] or left < LITTLE_LEARNED
    if fits or _position(curve) >= FAR_FROM_PERFECT or find_still_improving(curve):
        return None
    return (
        f"the training loss ended at {train[-1]:.3g}, which is {100 * left:.0f} % of the first"
        f" epoch's {train[0]:.3g}, and the validation loss ({loss[-1]:.3g}) is at most"
        f" {100 * GAP:.0f} % above it"
    )


def find_still_improving(curve: Curve) -> str | None:
    """The last fifth of the run still brings a good part of the gain and rises within itself."""
    width = max(1, round(LAST_PART * len(curve.scores)))
    above = float(np.mean(curve.signed[-width:]) - np.mean(curve.signed[-2 * width : -width]))
    rise = width * float(np.polyfit(np.arange(width + 1), curve.signed[-width - 1 :], 1)[0])
    last = min(above, rise)
    if not curve.is_notable(last, LAST_GAIN) or last < 2 * _back_and_forth(curve):
        return None
    return (
        f"in the last {plural(width, 'epoch')} the {metric_name(curve.objective)} still improved by"
        f" about {number(last, last)}, {_share_of_span(last, curve)}"
    )


def find_instability(curve: Curve) -> str | None:
    """After the first quarter the objective goes up and down strongly."""
    movement = _back_and_forth(curve)
    if not curve.is_notable(movement, BACK_AND_FORTH):
        return None
    return (
        f"after the first quarter the {metric_name(curve.objective)} moves back and forth by"
        f" {number(movement, movement)} per epoch, {_share_of_span(movement, curve)}"
    )


def find_slow_convergence(curve: Curve) -> str | None:
    """Half of the gain comes only in the second half of the run."""
    start, best = curve.signed[0], float(np.max(curve.signed))
    if not curve.gain > max(0.0, curve.floor):
        return None
    half = curve.epochs[int(np.argmax(curve.signed >= (start + best) / 2))]
    if half <= LATE_HALF * curve.epochs[-1]:
        return None
    return (
        f"half of the gain in {metric_name(curve.objective)}, from {number(curve.scores[0])} to"
        f" {number(curve.objective.sign * best)}, was reached only at epoch {half:.0f} of"
        f" {curve.epochs[-1]:.0f}"
    )


def find_plateau(curve: Curve) -> str | None:
    """The objective stops improving early in the run."""
    best = float(np.max(curve.signed))
    near = best - max(PLATEAU * curve.gain, curve.floor)
    begin = int(np.argmax(curve.signed >= near))
    num_after = len(curve.scores) - 1 - begin
    early = curve.epochs[begin] <= PLATEAU_BEGINS * curve.epochs[-1]
    if not early or num_after < MIN_EPOCHS_ON_PLATEAU or not curve.gain > curve.floor:
        return None
    return (
        f"after epoch {curve.epochs[begin]:.0f} of {curve.epochs[-1]:.0f} the"
        f" {metric_name(curve.objective)} gained only"
        f" {number(best - float(curve.signed[begin]))} more"
    )


def find_waiting_for_data(curve: Curve) -> str | None:
    """Training steps wait for their batches."""
    if not curve.data_share > WAITING:
        return None
    return f"{100 * curve.data_share:.0f} % of the training time was spent waiting for data"


RULES: tuple[Rule, ...] = (
    Rule(
        kind="overfitting",
        advice="Regularise more (weight decay, dropout or augmentation), or stop early.",
        find=find_overfitting,
    ),
    Rule(
        kind="underfitting",
        advice="Regularise less, or use a larger model: this one does not fit its training data.",
        find=find_underfitting,
    ),
    Rule(
        kind="still_improving",
        advice="Train longer: the ranking may change with more epochs, so run all arms again.",
        advice_alone="Train for more epochs.",
        find=find_still_improving,
    ),
    Rule(
        kind="unstable",
        advice="Lower the learning rate, clip the gradient, or let the schedule decay to zero.",
        find=find_instability,
    ),
    Rule(
        kind="slow_to_converge",
        advice="Raise the learning rate or shorten the warm-up.",
        find=find_slow_convergence,
    ),
    Rule(
        kind="plateaued_early",
        advice="Plan fewer epochs, or a schedule that lowers the learning rate sooner.",
        find=find_plateau,
    ),
    Rule(
        kind="waiting_for_data",
        advice="Use fewer augmentations, or keep decoded samples as arrays (npz:PATH, folder:PATH);"
        " `study profile` shows where a step's time goes.",
        find=find_waiting_for_data,
    ),
)


def _share_of_span(difference: float, curve: Curve) -> str:
    return f"{100 * difference / curve.span:.0f} % of the difference between worst and best epoch"


def _position(curve: Curve) -> float:
    """Where the objective ended in its range, from 0 (worst) to 1 (perfect); 0 if unbounded."""
    width = curve.objective.high - curve.objective.low
    if not math.isfinite(width) or width <= 0:
        return 0.0
    share = float(curve.scores[-1] - curve.objective.low) / width
    return share if curve.objective.sign > 0 else 1 - share


def _back_and_forth(curve: Curve) -> float:
    """Mean movement per epoch after the first quarter, less the net change."""
    later = curve.signed[len(curve.signed) // 4 :]
    steps = np.diff(later)
    return float((np.sum(np.abs(steps)) - abs(np.sum(steps))) / len(steps))


def _diverging_rate(trials: Sequence[TrialRecord], arm: str) -> Iterator[Diagnosis]:
    """The learning rate that best separates diverged trials from others, if one does."""
    rates = [(learning_rate_of(trial), trial.outcome == "diverged") for trial in trials]
    known = sorted((rate, diverged) for rate, diverged in rates if rate is not None)
    values = np.array([rate for rate, _ in known])
    diverged = np.array([bad for _, bad in known], dtype=bool)
    if np.count_nonzero(diverged) < MIN_DIVERGED:
        return
    below = np.concatenate(([0], np.cumsum(diverged)))
    # few diverged trials below the split, and few others above it
    right = below + (np.count_nonzero(~diverged) - (np.arange(len(values) + 1) - below))
    split = int(np.argmin(right))
    num_above, bad_below = len(values) - split, int(below[split])
    bad_above = int(below[-1]) - bad_below
    if num_above == 0 or bad_above < max(MIN_DIVERGED, MOSTLY * num_above):
        return
    if split and bad_below > RARELY * split:
        return
    least = number(float(values[split]))
    yield Diagnosis(
        arm=arm,
        kind="diverging_above",
        evidence=(
            f"{bad_above} of {num_above} trials with a learning rate of {least} or more diverged,"
            f" and {bad_below} of the {split} below it."
        ),
        advice=f"End the range near {least}, add warm-up, or clip the gradient.",
    )
