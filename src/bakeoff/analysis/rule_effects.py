"""The effect of a rule's contrast on one workload: one number for each search, or each timing."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from bakeoff.analysis.confirmation import ConfirmedRuns, finite_values
from bakeoff.analysis.findings import find_blocker
from bakeoff.analysis.flags import flags_on
from bakeoff.analysis.searches import Searches, search_units, searches_of
from bakeoff.analysis.statistics import Scores, standard_deviation
from bakeoff.analysis.target import arrival, target_of
from bakeoff.analysis.tuning import median_time
from bakeoff.analysis.wording import join
from bakeoff.records import (
    CHARGED_OUTCOMES,
    RATIOS,
    Comparison,
    Rule,
    StudyRecord,
    Timing,
    TrialRecord,
    WorkloadEffect,
)

UNFINISHED = "not finished"
MOST_DEVIATIONS = 10.0
"""The effect of one search on scores counts as no more standard deviations over seeds."""
UNTRAINED_SHARE = 0.05
"""A run that ends no farther than this on the way from an untrained model to the study's best score
has not learned."""
MIN_FOR_SHARE = 5
"""Random trials of an arm from which the share of a search that diverged is computed."""


def study_effect(rule: Rule, workload: str, comparison: Comparison | None) -> WorkloadEffect:
    """The effect on a workload whose study measures it.

    A study that is not finished does not count, so that nothing is looked at twice.

    Args:
        rule: A rule about scores, epochs or diverged trials.
        workload: One of its workloads.
        comparison: That of its study; None if it has not begun.
    """
    found = WorkloadEffect(rule=rule.name, workload=workload)
    if comparison is None or not comparison.study.finished:
        return replace(found, why_not=UNFINISHED)
    record = comparison.study
    if rule.measure != "diverged" and find_blocker(record) is not None:
        return replace(found, why_not="a flag of its study blocks every claim")
    a, b = contrasted(rule, record)
    if rule.measure == "diverged":
        return _with_effects(found, *_diverged_shares(record, a, b), is_ratio=False)
    searches = searches_of(record)
    flags = tuple(
        f"{workload}: {flag.title} ({flag.id})"
        for flag in flags_on(comparison.flags, "provisional", {*a, *b})
    )
    found = replace(found, weakened_by=tuple(dict.fromkeys(flags)))
    if rule.measure == "epochs":
        epochs = _epochs_to_target(record, searches, a, b)
        return _with_effects(replace(found, unit="epochs"), *epochs, is_ratio=True)
    return _score_effect(replace(found, unit=record.objective.name), record, searches, a, b)


def timed_effect(rule: Rule, workload: str, timing: Timing | None) -> WorkloadEffect:
    """The effect on a workload of which steps or loading were timed."""
    found = WorkloadEffect(rule=rule.name, workload=workload, unit="s")
    if timing is None or timing.why_not:
        return replace(found, why_not=timing.why_not if timing else "it is not measured yet")
    a, b = np.array(timing.a_seconds), np.array(timing.b_seconds)
    return _with_effects(found, a, b, is_ratio=True)


def contrasted(rule: Rule, record: StudyRecord) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The arms on both sides of a rule's contrast; all others are on the second if none is named.

    Raises:
        ValueError: The rule is not tested by arms.
    """
    if rule.contrast is None:
        raise ValueError(f"rule {rule.name!r} has no contrast")
    others = tuple(arm.name for arm in record.arms if arm.name not in rule.contrast.a)
    return rule.contrast.a, rule.contrast.b or others


def _with_effects(found: WorkloadEffect, a: Scores, b: Scores, *, is_ratio: bool) -> WorkloadEffect:
    """B over A in logarithms where it is a ratio, else B minus A; small values are good."""
    if not len(a):
        return replace(found, why_not="no search of it counts")
    effects = np.log(b) - np.log(a) if is_ratio else b - a
    return replace(
        found,
        effects=tuple(effects.tolist()),
        mean=_natural(float(effects.mean()), is_ratio=is_ratio),
        a_value=_natural(float(np.log(a).mean()), is_ratio=True) if is_ratio else float(a.mean()),
        b_value=_natural(float(np.log(b).mean()), is_ratio=True) if is_ratio else float(b.mean()),
    )


def _natural(value: float, *, is_ratio: bool) -> float:
    return math.exp(value) if is_ratio else value


def is_ratio(rule: Rule) -> bool:
    """Whether the effects of a rule are logarithms of ratios."""
    return rule.measure in RATIOS


def _score_effect(
    found: WorkloadEffect,
    record: StudyRecord,
    searches: Searches,
    a: Sequence[str],
    b: Sequence[str],
) -> WorkloadEffect:
    """Mean test score of A's arms minus that of B's, in standard deviations over seeds."""
    units = search_units(record, searches)
    scores = {arm: _by_repeat(units.get(arm)) for arm in (*a, *b)}
    repeats = sorted(set.intersection(*(set(own) for own in scores.values())))
    if not repeats:
        return replace(found, why_not=_why_none_counts(searches, (*a, *b)))
    scale = _seed_deviation(searches, (*a, *b))
    if not scale > 0:
        return replace(found, why_not="its scores do not vary over seeds")
    means = [
        np.mean([[scores[arm][r] for r in repeats] for arm in side], axis=0) for side in (a, b)
    ]
    differences = record.objective.sign * (means[0] - means[1]) / scale
    effects = np.clip(differences, -MOST_DEVIATIONS, MOST_DEVIATIONS)
    return replace(
        found,
        effects=tuple(effects.tolist()),
        mean=float(effects.mean()),
        a_value=float(means[0].mean()),
        b_value=float(means[1].mean()),
        scale=scale,
    )


def _by_repeat(found: ConfirmedRuns | None) -> Mapping[int, float]:
    if found is None:
        return {}
    return {run.repeat: float(score) for run, score in zip(found.runs, found.test, strict=True)}


def _why_none_counts(searches: Searches, arms: Iterable[str]) -> str:
    """Why no repeat has a search of each arm that counts."""
    reasons = [f"{arm}: {one.why_not}" for arm in arms for one in searches[arm] if one.why_not]
    return f"no search counts ({reasons[0]})" if reasons else "it has no search"


def _seed_deviation(searches: Searches, arms: Iterable[str]) -> float:
    """The median, over searches, of the deviation of a configuration's test score over seeds.

    The median leaves out configurations that collapse on some seeds.
    """
    found = [
        standard_deviation(one.confirmed.test)
        for arm in arms
        for one in searches[arm]
        if one.confirmed is not None and not one.why_not
    ]
    known = [one for one in found if math.isfinite(one)]
    return float(np.median(known)) if known else math.nan


def _epochs_to_target(
    record: StudyRecord, searches: Searches, a: Sequence[str], b: Sequence[str]
) -> tuple[Scores, Scores]:
    """Epochs to the target of B's arms [R] on each side, in the searches that count.

    The target is set anew for each repeat: the median over seeds of the best validation score of
    B's configuration, the worst such median if B has several arms. An arm whose median run does not
    reach it counts as if it took one epoch more than planned, which is too little.
    """
    rows = []
    for repeat in range(len(searches[a[0]])):
        runs = {arm: searches[arm][repeat] for arm in (*a, *b)}
        if any(one.why_not or one.confirmed is None for one in runs.values()):
            continue
        confirmed = {arm: one.confirmed for arm, one in runs.items() if one.confirmed}
        target = target_of(replace(record, reference=None), {arm: confirmed[arm] for arm in b}, ())
        if target is None:
            continue
        epochs = {arm: _median_epochs(own.runs, record, target) for arm, own in confirmed.items()}
        rows.append([np.exp(np.mean([np.log(epochs[arm]) for arm in side])) for side in (a, b)])
    found = np.array(rows, dtype=np.float64).reshape(-1, 2)
    return found[:, 0], found[:, 1]


def _median_epochs(runs: Sequence[TrialRecord], record: StudyRecord, target: float) -> float:
    epochs = median_time(np.array([arrival(run, record, target)[0] for run in runs]))
    return epochs if math.isfinite(epochs) else record.epochs + 1.0


def _diverged_shares(
    record: StudyRecord, a: Sequence[str], b: Sequence[str]
) -> tuple[Scores, Scores]:
    """Share of the random trials of each search that diverged [R], on both sides.

    A trial that ends where an untrained model is counts as well: with a rectifier whose inputs are
    all negative, or after a normalisation, a loss stays finite however large the steps are.
    """
    least = _learned_score(record)
    rows = []
    for repeat in range(record.repeats):
        shares = [[_diverged_share(record, arm, repeat, least) for arm in side] for side in (a, b)]
        if not any(math.isnan(one) for side in shares for one in side):
            rows.append([np.mean(side) for side in shares])
    found = np.array(rows, dtype=np.float64).reshape(-1, 2)
    return found[:, 0], found[:, 1]


def _learned_score(record: StudyRecord) -> float:
    """The score, signed so that higher is better, above which a trial has learned something."""
    sign, untrained = record.objective.sign, record.chance_score
    best = max((sign * one for one in finite_values(t.score for t in record.trials)), default=0.0)
    if not math.isfinite(untrained):
        return -math.inf
    return sign * untrained + UNTRAINED_SHARE * max(0.0, best - sign * untrained)


def _diverged_share(record: StudyRecord, arm: str, repeat: int, least: float) -> float:
    """Share of the random trials that diverged, or ended with a signed score up to `least`."""
    drawn = [
        trial.outcome == "diverged" or _last_score(record, trial) <= least
        for trial in record.trials
        if (trial.arm, trial.repeat, trial.phase) == (arm, repeat, "random")
        and trial.outcome in CHARGED_OUTCOMES
    ]
    return float(np.mean(drawn)) if len(drawn) >= MIN_FOR_SHARE else math.nan


def _last_score(record: StudyRecord, trial: TrialRecord) -> float:
    """The signed validation score of a trial's last epoch."""
    known = finite_values(trial.values(record.objective.name)[-1:])
    return record.objective.sign * known[0] if known else math.inf


def missing_text(effects: Sequence[WorkloadEffect]) -> str:
    """Which workloads do not count, and why; empty if all do."""
    by_reason: dict[str, list[str]] = {}
    for one in effects:
        if one.why_not:
            by_reason.setdefault(one.why_not, []).append(one.workload)
    return "; ".join(f"{join(names)} ({reason})" for reason, names in by_reason.items())
