"""Could pruning have thrown away good runs? An answer from trials that it was not allowed to end.

Audited trials are chosen before they begin and end however they look, so their final scores are
known and not selected by pruning.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from bakeoff.analysis.arm_summary import searched_trials
from bakeoff.analysis.statistics import Scores, wilson_interval
from bakeoff.records import PruningRegret, StudyRecord, TrialRecord

MIN_TRIALS = 5
"""Fewer audited trials of an arm give no rank correlation."""
TOP_SHARE = 0.1
ALL_ARMS = "all arms"


@dataclass(frozen=True, kw_only=True)
class RungAudit:
    """How well the order at one rung agrees with the final order."""

    arm: str
    """Or `ALL_ARMS`: ranks within each arm, pooled."""
    rung: int
    """1 is the first epoch after which a trial may be stopped."""
    progress: float
    """Median share of the planned epochs at that rung."""
    spearman: float
    better_half: float
    """The same over the better half by final score; NaN with fewer than five."""
    n: int


def audited_trials(record: StudyRecord, arm: str) -> tuple[TrialRecord, ...]:
    """Search trials of `arm` that were never pruned on purpose and completed with a score."""
    return tuple(
        trial
        for trial in searched_trials(record, arm)
        if trial.audited and trial.outcome == "complete" and _is_number(trial.score)
    )


def rung_audits(record: StudyRecord) -> tuple[RungAudit, ...]:
    """Rank correlations of every arm with five audited trials, and of all arms together.

    Source: budget correlation of DeepCAVE (Sass et al. 2022); Spearman 1904.
    """
    by_arm = {arm.name: audited_trials(record, arm.name) for arm in record.arms}
    found = [row for arm, trials in by_arm.items() for row in _arm_rungs(record, arm, trials)]
    if len(by_arm) > 1:
        found += _pooled_rungs(record, list(by_arm.values()))
    return tuple(found)


def pruning_regrets(record: StudyRecord) -> tuple[PruningRegret, ...]:
    """How many of the audited trials pruning would have ended, of each arm that has any.

    The last row is of all arms together: each arm's own best tenth.
    """
    rows = [
        _regret(arm.name, trials, record.objective.sign)
        for arm in record.arms
        if (trials := audited_trials(record, arm.name))
    ]
    return tuple([*rows, _sum(rows)] if len(rows) > 1 else rows)


def spearman(first: Scores, second: Scores) -> float:
    """Rank correlation of two samples [n]; NaN where one of them is constant or n is below two."""
    if len(first) < 2 or np.ptp(first) == 0 or np.ptp(second) == 0:  # noqa: PLR2004 - no order
        return math.nan
    return float(stats.spearmanr(first, second).statistic)


def _arm_rungs(record: StudyRecord, arm: str, trials: Sequence[TrialRecord]) -> Iterator[RungAudit]:
    if len(trials) < MIN_TRIALS:
        return
    for rung, at_rung, final, progress in _rungs(record, trials):
        yield _audit(arm, rung, at_rung, final, progress)


def _pooled_rungs(
    record: StudyRecord, groups: Sequence[Sequence[TrialRecord]]
) -> Iterator[RungAudit]:
    """Mid-ranks within each arm, scaled to 0..1, so that arms are not compared with each other."""
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
    """Rung, signed scores there, final signed scores and progress of the trials that have it."""
    last = max((len(trial.decision_epochs) for trial in trials), default=0)
    for rung in range(1, last + 1):
        known = [
            (value, record.objective.sign * float(trial.score or 0.0), progress)
            for trial in trials
            if len(trial.decision_epochs) >= rung
            for value, progress in [_at(record, trial, trial.decision_epochs[rung - 1])]
            if math.isfinite(value)
        ]
        if known:
            at_rung, final, progress = np.array(known, dtype=np.float64).T
            yield rung, at_rung, final, progress


def _at(record: StudyRecord, trial: TrialRecord, epoch: int) -> tuple[float, float]:
    """The best signed score up to `epoch`, which is what is compared, and the share of epochs."""
    values = [
        record.objective.sign * result.metrics.get(record.objective.name, math.nan)
        for result in trial.history
        if result.epoch <= epoch
    ]
    finite = [value for value in values if math.isfinite(value)]
    return max(finite, default=math.nan), epoch / max(trial.epochs_planned, 1)


def _audit(arm: str, rung: int, at_rung: Scores, final: Scores, progress: Scores) -> RungAudit:
    better = final >= np.median(final)
    return RungAudit(
        arm=arm,
        rung=rung,
        progress=float(np.median(progress)),
        spearman=spearman(at_rung, final),
        better_half=(
            spearman(at_rung[better], final[better])
            if np.count_nonzero(better) >= MIN_TRIALS
            else math.nan
        ),
        n=len(final),
    )


def _regret(arm: str, trials: Sequence[TrialRecord], sign: int) -> PruningRegret:
    ranked = sorted(trials, key=lambda trial: -sign * float(trial.score or 0.0))
    top = ranked[: max(1, round(TOP_SHARE * len(ranked)))]
    return _summary(arm, len(trials), _num_spared(trials), len(top), _num_spared(top))


def _sum(rows: Sequence[PruningRegret]) -> PruningRegret:
    totals = [(row.n, row.would_end, row.top, row.top_would_end) for row in rows]
    return _summary(ALL_ARMS, *(sum(column) for column in zip(*totals, strict=True)))


def _summary(arm: str, n: int, would_end: int, top: int, top_would_end: int) -> PruningRegret:
    return PruningRegret(
        arm=arm,
        n=n,
        would_end=would_end,
        top=top,
        top_would_end=top_would_end,
        regret=top_would_end / top,
        ci=wilson_interval(top_would_end / top, top),
    )


def _num_spared(trials: Sequence[TrialRecord]) -> int:
    return sum(trial.spared_at is not None for trial in trials)


def _is_number(score: float | None) -> bool:
    return score is not None and math.isfinite(score)
