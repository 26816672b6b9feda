"""Estimates how often pruning ends good trials, from audited trials, which are never pruned.

A trial is chosen for the audit before it begins and runs to its end whatever its scores are. So the
final scores of audited trials are known, and pruning did not select them.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from bakeoff.analysis.arm_trials import searched_trials
from bakeoff.analysis.confirmation import finite_or_nan, finite_values
from bakeoff.analysis.statistics import Scores, wilson_interval
from bakeoff.records import PruningRegret, StudyRecord, TrialRecord

MIN_TRIALS = 5
"""With fewer audited trials of an arm, no rank correlation is computed."""
TOP_SHARE = 0.1
ALL_ARMS = "all arms"


class RungAudit(NamedTuple):
    """How well the ranking at one rung agrees with the final ranking."""

    arm: str
    """An arm's name, or `ALL_ARMS` for the ranks within each arm, pooled."""
    rung: int
    """1 is the first epoch after which a trial may be stopped."""
    progress: float
    """Median share of the planned epochs at that rung."""
    estimate: float
    """Spearman's rank correlation of the scores at the rung with the final scores."""
    better_half: float
    """The same over the better half by final score; NaN with fewer than five."""
    n: int


def audited_trials(record: StudyRecord, arm: str) -> tuple[TrialRecord, ...]:
    """Audited search trials of `arm` that completed with a finite score."""
    return tuple(
        trial
        for trial in searched_trials(record, arm)
        if trial.audited
        and trial.outcome == "complete"
        and math.isfinite(finite_or_nan(trial.score))
    )


def rung_audits(record: StudyRecord) -> tuple[RungAudit, ...]:
    """Rank correlations of every arm with five audited trials, and of all arms together.

    Source: budget correlation of DeepCAVE (Sass et al. 2022); Spearman 1904.
    """
    by_arm = {arm.name: audited_trials(record, arm.name) for arm in record.arms}
    found = [
        _audit(arm, *rung)
        for arm, trials in by_arm.items()
        if len(trials) >= MIN_TRIALS
        for rung in _rungs(record, trials)
    ]
    if len(by_arm) > 1:
        found += _pooled_rungs(record, list(by_arm.values()))
    return tuple(found)


def pruning_regrets(record: StudyRecord) -> tuple[PruningRegret, ...]:
    """For each arm with audited trials, how many of them pruning would have ended.

    The last row is for all arms together and counts the best tenth of each arm.
    """
    audited = {arm.name: audited_trials(record, arm.name) for arm in record.arms}
    rows = [(arm, _counts(own, record.objective.sign)) for arm, own in audited.items() if own]
    if len(rows) > 1:
        sums = map(sum, zip(*(counts for _, counts in rows), strict=True))
        rows.append((ALL_ARMS, tuple(sums)))
    return tuple(
        PruningRegret(
            arm=arm,
            n=n,
            would_end=would_end,
            top=top,
            top_would_end=top_would_end,
            regret=top_would_end / top,
            ci=wilson_interval(top_would_end / top, top),
        )
        for arm, (n, would_end, top, top_would_end) in rows
    )


def _counts(trials: Sequence[TrialRecord], sign: int) -> tuple[int, ...]:
    """Number of trials, those pruning would have ended, and both among the best tenth."""
    ranked = sorted(trials, key=lambda trial: -sign * float(trial.score or 0.0))
    top = ranked[: max(1, round(TOP_SHARE * len(ranked)))]
    ended, top_ended = (sum(one.spared_at is not None for one in some) for some in (ranked, top))
    return len(ranked), ended, len(top), top_ended


def spearman(first: Scores, second: Scores) -> float:
    """Rank correlation of two samples [n]; NaN if one of them is constant or n is below two."""
    if len(first) < 2 or np.ptp(first) == 0 or np.ptp(second) == 0:  # noqa: PLR2004 - no order
        return math.nan
    return float(stats.spearmanr(first, second).statistic)


def _pooled_rungs(
    record: StudyRecord, groups: Sequence[Sequence[TrialRecord]]
) -> Iterator[RungAudit]:
    """Correlations of mid-ranks within each arm, scaled to 0..1, so arms are not compared."""
    pooled: dict[int, list[tuple[Scores, Scores, Scores]]] = {}
    for trials in groups:
        for rung, at_rung, final, progress in _rungs(record, trials):
            ranks = (_scaled_ranks(at_rung), _scaled_ranks(final), progress)
            pooled.setdefault(rung, []).append(ranks)
    for rung, parts in sorted(pooled.items()):
        at_rung, final, progress = map(np.concatenate, zip(*parts, strict=True))
        if len(final) >= MIN_TRIALS:
            yield _audit(ALL_ARMS, rung, at_rung, final, progress)


def _scaled_ranks(scores: Scores) -> Scores:
    return np.asarray((stats.rankdata(scores) - 0.5) / len(scores), dtype=np.float64)


def _rungs(
    record: StudyRecord, trials: Sequence[TrialRecord]
) -> Iterator[tuple[int, Scores, Scores, Scores]]:
    """Each rung with the best scores so far, final scores and progress of trials that reach it.

    Scores are signed, so that higher is better.
    """
    sign, metric = record.objective.sign, record.objective.name
    for rung in range(max((len(trial.decision_epochs) for trial in trials), default=0)):
        known = []
        for trial in trials:
            if len(trial.decision_epochs) > rung:
                epoch = trial.decision_epochs[rung]
                seen = (one.metrics.get(metric) for one in trial.history if one.epoch <= epoch)
                if values := [sign * value for value in finite_values(seen)]:
                    final = sign * float(trial.score or 0.0)
                    known.append((max(values), final, epoch / max(trial.epochs_planned, 1)))
        if known:
            best, final_scores, progress = np.array(known, dtype=np.float64).T
            yield rung + 1, best, final_scores, progress


def _audit(arm: str, rung: int, at_rung: Scores, final: Scores, progress: Scores) -> RungAudit:
    better = final >= np.median(final)
    has_half = np.count_nonzero(better) >= MIN_TRIALS
    return RungAudit(
        arm=arm,
        rung=rung,
        progress=float(np.median(progress)),
        estimate=spearman(at_rung, final),
        better_half=spearman(at_rung[better], final[better]) if has_half else math.nan,
        n=len(final),
    )
