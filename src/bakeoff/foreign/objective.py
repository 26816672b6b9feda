"""Finds out what the values of an Optuna study mean: name, direction and score rule."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from bakeoff.components.metrics import METRICS
from bakeoff.errors import UsageError, describe_unknown, visible
from bakeoff.foreign.opening import StoredStudy
from bakeoff.records import Direction, MetricInfo, ScoreRule

AGREEING_SHARE = 0.9
"""The share of the complete trials that must agree on how their value follows from the reports."""


@dataclass(frozen=True, kw_only=True)
class Objective:
    """One objective of a study."""

    index: int
    metric: MetricInfo
    all_names: tuple[str, ...]
    """The names of all objectives, in order."""
    score_rule: ScoreRule
    evidence: str
    """How the score rule is known."""
    reports_objective: bool
    """Whether the values reported during training are values of the objective."""
    first_step: int
    """The smallest reported step. Programs count epochs from 0 or from 1."""
    last_step: int
    """The number of epochs of the longest run; 0 if nothing was reported."""

    def value(self, trial: FrozenTrial) -> float | None:
        """The trial's final value; None if it has none."""
        if trial.values is None or len(trial.values) <= self.index:
            return None
        return float(trial.values[self.index])


def find_objective(study: StoredStudy, wanted: str | None) -> Objective:
    """The objective called `wanted`, or the first one if `wanted` is None.

    A single objective may be given any name. The bounds of a registered metric apply if its
    direction and the values agree with it. Otherwise there are no bounds.

    Raises:
        UsageError: There are several objectives, and none has this name.
    """
    names, index = _names(study, wanted)
    direction: Direction = (
        "minimize" if study.directions[index] is StudyDirection.MINIMIZE else "maximize"
    )
    steps = [step for trial in study.trials for step in trial.intermediate_values]
    first = min(1, min(steps, default=1))
    objective = Objective(
        index=index,
        metric=MetricInfo(name=names[index], direction=direction, low=-math.inf, high=math.inf),
        all_names=names,
        score_rule="last_epoch",
        evidence="nothing was reported during training",
        reports_objective=len(names) == 1,
        first_step=first,
        last_step=max(steps, default=0) + 1 - first if steps else 0,
    )
    known = replace(objective, metric=_known_metric(objective, study.trials))
    return _with_score_rule(known, study.trials) if steps else known


def _names(study: StoredStudy, wanted: str | None) -> tuple[tuple[str, ...], int]:
    count = len(study.directions)
    if count == 1:
        return (visible(wanted or (*study.metric_names, "value")[0]),), 0
    given = study.metric_names or tuple(f"value {place}" for place in range(count))
    names = tuple(map(visible, given))
    if wanted is not None and wanted not in names:
        raise UsageError(f"--metric-name: {describe_unknown('objective', wanted, names)}")
    return names, names.index(wanted) if wanted else 0


def _known_metric(objective: Objective, trials: Sequence[FrozenTrial]) -> MetricInfo:
    """The registered metric of this name, if the values are possible for it."""
    plain = objective.metric
    values = [objective.value(trial) for trial in trials]
    finite = [value for value in values if value is not None and math.isfinite(value)]
    for known in [
        metrics[plain.name].info for metrics in METRICS.values() if plain.name in metrics
    ]:
        in_bounds = all(known.low <= value <= known.high for value in finite)
        if known.direction == plain.direction and in_bounds:
            return known
    return plain


def _with_score_rule(objective: Objective, trials: Sequence[FrozenTrial]) -> Objective:
    """The objective with the score rule that the reports of complete trials show."""
    sign, num_trials, agreeing = objective.metric.sign, 0, Counter[str]()
    for trial in trials:
        value = objective.value(trial)
        reported = [x for _, x in sorted(trial.intermediate_values.items()) if math.isfinite(x)]
        if trial.state is not TrialState.COMPLETE or value is None or not reported:
            continue
        num_trials += 1
        is_best = math.isclose(value, sign * max(sign * x for x in reported), rel_tol=1e-6)
        is_last = math.isclose(value, reported[-1], rel_tol=1e-6)
        is_within = is_best or is_last or min(reported) <= value <= max(reported)
        agreeing.update({"best": is_best, "last": is_last, "within": is_within})
    needed = AGREEING_SHARE * num_trials
    if not num_trials:
        evidence = "no complete trial reported values, so the last one is assumed"
    elif agreeing["best"] >= needed and agreeing["best"] > agreeing["last"]:
        evidence = "the best reported value, as the trials show"
        return replace(objective, score_rule="best_epoch", evidence=evidence)
    elif agreeing["last"] >= needed:
        evidence = "the last reported value, as the trials show"
    elif agreeing["within"] >= needed:
        evidence = "neither the last nor the best reported value"
    else:
        evidence = "the reported values belong to another quantity than the objective"
        return replace(objective, evidence=evidence, reports_objective=False)
    return replace(objective, evidence=evidence)
