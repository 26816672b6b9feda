"""Decides whether current code is worse than a stored baseline by more than a margin.

Axes: K seeds, with each of which both were trained. Differences are current minus baseline, signed
so that higher is better.
"""

import math

import numpy as np

from bakeoff.analysis.estimates import estimate_mean
from bakeoff.analysis.failures import find_collapses
from bakeoff.analysis.findings import DELTA_IN_STANDARD_ERRORS, standard_error_of_score
from bakeoff.analysis.power import detectable_difference, seeds_to_decide
from bakeoff.analysis.statistics import (
    Scores,
    paired_differences,
    sign_flip_p,
    standard_deviation,
)
from bakeoff.analysis.wording import interval, metric_name, number, p_value, two_digits
from bakeoff.records import GateDecision, GateFinding, MetricInfo
from bakeoff.records.durations import plural
from bakeoff.records.significance import (
    GATE_ALPHA,
    GATE_SEEDS,
    MOST_GATE_SEEDS,
    min_confirmation_seeds,
)

NUM_ARMS = 2
"""The current code and the baseline."""
TWO_SIDED = 2 * GATE_ALPHA
"""The functions for two-sided tests get this rate, so that each side has that of the gate."""
LEVEL_TEXT = f"{1 - TWO_SIDED:.0%}".replace("%", " %")
MIN_SEEDS = min_confirmation_seeds(NUM_ARMS, TWO_SIDED)
"""With fewer seeds the exact test cannot decide anything."""


def judge(current: Scores, baseline: Scores, metric: MetricInfo, margin: float) -> GateFinding:
    """Compare the scores of current code [K] with those of the baseline [K] on the same seeds.

    The code is worse if a one-sided exact sign-flip test shows that the mean loss is larger than
    the margin, and the interval of the mean lies beyond the margin as well. It is not worse if both
    show that the loss is smaller. Where scores of the current code collapsed, Student's interval
    does not hold, so it is not called that. Everything else cannot be told.

    Args:
        current: Finite scores as measured.
        baseline: Finite scores as measured, in the same order of seeds.
        metric: What the scores are.
        margin: The largest loss that is accepted, above 0.

    Raises:
        ValueError: The arrays differ in length, are empty, or hold a value that is not finite.

    Source: Fisher 1935 (sign flip); Student 1908; Piaggio et al. 2012, JAMA 308 (non-inferiority by
    a one-sided interval and a margin set in advance).
    """
    differences = paired_differences(metric.sign * current, metric.sign * baseline)
    # rounded like the differences, so that a loss of exactly the margin is on neither side
    beyond = paired_differences(metric.sign * current + margin, metric.sign * baseline)
    estimate, widest = estimate_mean(differences), metric.high - metric.low
    low, high = estimate.interval(1 - TWO_SIDED, (-widest, widest))
    p = sign_flip_p(beyond) / 2
    p_worse, p_not_worse = (p, 1 - p) if float(np.mean(beyond)) < 0 else (1 - p, p)
    collapsed = find_collapsed(current, metric, margin)
    decision: GateDecision = "cannot_tell"
    if p_worse < GATE_ALPHA and high < -margin:
        decision = "worse"
    elif p_not_worse < GATE_ALPHA and low > -margin and not collapsed:
        decision = "not_worse"
    num = len(differences)
    return GateFinding(
        decision=decision,
        num_pairs=num,
        margin=margin,
        mean=estimate.mean,
        sd=estimate.sd,
        ci=(low, high),
        p_worse=p_worse,
        p_not_worse=p_not_worse,
        detectable=detectable_difference(estimate.sd, num, NUM_ARMS, TWO_SIDED),
        seeds_to_tell=_seeds_to_tell(estimate.mean + margin, estimate.sd, num, decision),
        collapsed=collapsed,
    )


def find_collapsed(scores: Scores, metric: MetricInfo, margin: float) -> tuple[int, ...]:
    """Places of the scores [K] that are far below the others, as `find_collapses` says."""
    (collapses,) = find_collapses((metric.sign * scores,), margin)
    return tuple(int(place) for place in np.flatnonzero(collapses))


def _seeds_to_tell(distance: float, sd: float, num: int, decision: GateDecision) -> int | None:
    """Seeds that would show on which side of the margin a loss at this distance from it lies."""
    if decision != "cannot_tell":
        return None
    found = seeds_to_decide(distance, sd, NUM_ARMS, TWO_SIDED)
    return found if found is not None and found > num else None


def default_margin(
    scores: Scores, metric: MetricInfo, num_validation: int | None
) -> tuple[float, str]:
    """The margin where the user names none, and where it comes from.

    As in a report: two standard errors of the validation set for metrics averaged over samples,
    otherwise the standard deviation over the seeds of the baseline [K], which may be 0.
    """
    error = standard_error_of_score(float(np.mean(scores)), metric, num_validation)
    if error is not None:
        return DELTA_IN_STANDARD_ERRORS * error, (
            f"{DELTA_IN_STANDARD_ERRORS} x the standard error from {num_validation:,} validation"
            " samples"
        )
    return standard_deviation(scores), "the standard deviation over the seeds of the baseline"


def seeds_for(scores: Scores, margin: float) -> int:
    """Seeds with which unchanged code is shown to be not worse, with probability 0.8.

    They are at least 12, so that larger losses are found, and at most 40. Scores of both sides are
    taken as independent, as they are once a change touches the order of random numbers.

    Args:
        scores: Of the baseline's first seeds [K].
        margin: The largest loss that is accepted.
    """
    spread = math.sqrt(2) * standard_deviation(scores)
    needed = seeds_to_decide(margin, spread, NUM_ARMS, TWO_SIDED) or MOST_GATE_SEEDS
    return min(max(needed, GATE_SEEDS), MOST_GATE_SEEDS)


def describe_power(scores: Scores, margin: float) -> str:
    """What a baseline with these scores [K] can show of code whose scores are independent of it."""
    spread = math.sqrt(2) * standard_deviation(scores)
    found = detectable_difference(spread, len(scores), NUM_ARMS, TWO_SIDED)
    needed = seeds_to_decide(margin, spread, NUM_ARMS, TWO_SIDED)
    text = (
        f"With {plural(len(scores), 'seed')}, a loss of {number(margin + found)} is found with"
        f" probability 0.8 where {number(margin)} is accepted."
    )
    if needed is None or needed > len(scores):
        more = "more than 10,000 seeds" if needed is None else f"about {needed:,} seeds"
        text += (
            f" To show with that probability that unchanged code is not worse needs {more}, or a"
            f" margin of {two_digits(found)}."
        )
    return text


def describe_finding(
    finding: GateFinding, current: Scores, baseline: Scores, metric: MetricInfo
) -> str:
    """The decision with its evidence, in sentences."""
    half_width = (finding.ci[1] - finding.ci[0]) / 2
    now, before = (number(float(np.mean(each)), half_width) for each in (current, baseline))
    evidence = (
        f"validation {metric_name(metric)} {now} instead of {before} over"
        f" {plural(finding.num_pairs, 'seed')}, {_change(finding.mean, half_width)}"
        f" ({LEVEL_TEXT} interval of the gain {interval(finding.ci)}"
    )
    margin = number(finding.margin)
    if finding.decision == "worse":
        return (
            f"The current code is worse than the baseline by more than {margin}: {evidence},"
            f" {p_value(finding.p_worse)})."
        )
    if finding.decision == "not_worse":
        return (
            f"The current code is not worse than the baseline by more than {margin}: {evidence},"
            f" {p_value(finding.p_not_worse)})."
        )
    more = (
        f" About {plural(finding.seeds_to_tell, 'seed')} would usually tell."
        if finding.seeds_to_tell
        else ""
    )
    return (
        "It cannot be told whether the current code is worse than the baseline by more than"
        f" {margin}: {evidence}).{more}"
    )


def _change(mean: float, half_width: float) -> str:
    """`a gain of 0.012`, `a loss of 0.012` or `no change`."""
    if mean == 0:
        return "no change"
    return f"a {'loss' if mean < 0 else 'gain'} of {number(abs(mean), half_width)}"
