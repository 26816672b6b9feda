"""Whether a library's default settings did better than what the search found for an arm."""

import math
from collections.abc import Iterator

from bakeoff.analysis.findings import Findings
from bakeoff.analysis.wording import SCOPE, metric_name, number, plural
from bakeoff.records import ArmSummary

CLEAR_DEVIATIONS = 2
"""Standard deviations over seeds that a single run must be ahead by."""


def default_sentences(findings: Findings) -> Iterator[str]:
    """A sentence for each arm whose defaults were ahead of its tuned configuration on validation.

    The default configuration ran once. It is ahead if its score is above the chosen configuration's
    mean over fresh seeds by more than delta and more than two standard deviations over seeds;
    before confirmation, if it is above every search trial.

    Source: Schmidt, Schneider and Hennig 2021 (defaults are a contender of their own).
    """
    objective = findings.record.objective
    for arm in findings.arms:
        score = arm.default_score
        if score is None or arm.default_outcome != "complete" or not math.isfinite(score):
            continue
        tuned, margin, how = _tuned(arm, findings.delta)
        if tuned is not None and objective.sign * (score - tuned) > margin:
            yield (
                f"Observed: with its library defaults, {arm.arm} had a validation"
                f" {metric_name(objective)} of {number(score)} in its one run, and {number(tuned)}"
                f" {how}; so its search was too short, or its ranges leave out the defaults,"
                f" {SCOPE}."
            )


def _tuned(arm: ArmSummary, delta: float) -> tuple[float | None, float, str]:
    """The tuned score, what a default must be ahead by, and how the score was measured."""
    if arm.confirmed is None:
        return arm.search_best, 0.0, f"in the top one of {plural(arm.num_trials, 'search trial')}"
    margins = (0.0, delta, CLEAR_DEVIATIONS * arm.confirmed.test_sd)
    margin = max(each for each in margins if math.isfinite(each))
    seeds = plural(len(arm.confirmed.seeds), "fresh seed")
    return arm.confirmed.validation_mean, margin, f"on average over {seeds} as tuned"
