"""The trials from which a search may be generalised: independent random draws of an arm's space.

Statements such as "the best of k trials" hold for such draws only. Trials proposed by a model
depend on earlier trials and are left out. The final score of a trial that was pruned because others
were ahead is unknown. It is at least the trial's best epoch so far, if the best epoch is scored,
and at most the best value that the metric can have; where the metric has no bound, it is infinite.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bakeoff.analysis.arm_trials import best_first, charged_trials, searched_trials
from bakeoff.analysis.confirmation import finite_or_nan, finite_values, worst_known_score
from bakeoff.analysis.statistics import Scores
from bakeoff.analysis.wording import join, metric_name, number
from bakeoff.components.pruners import compares_trials
from bakeoff.records import StudyRecord, TrialRecord

QUASI_RANDOM_SAMPLERS = frozenset({"sobol", "qmc"})
"""Scrambled Sobol sequences, under the names that bakeoff and Optuna use."""
SUPPORTED_SHARE = 5
"""Statements about the best of k of n trials are made for k <= n / 5 only.

Source: coverage of the percentile bootstrap and the reach of the exact interval, which is bounded
on both sides for k <= n / 5.3; see Lourie, Cho and He 2024, section 4.
"""


@dataclass(frozen=True, kw_only=True, eq=False)
class Draws:
    """An arm's random trials, in order; axis n. Scores are signed: higher is better."""

    arm: str
    trials: tuple[TrialRecord, ...]
    scores: Scores
    """[n]; a lower bound where the final score is unknown, minus infinity without any."""
    upper: Scores
    """[n]; as `scores`, but with an upper bound where the final score is unknown, infinity without
    any."""
    epochs: Scores
    """Epochs trained [n]."""

    @property
    def num(self) -> int:
        """The number n of draws."""
        return len(self.trials)

    @property
    def supported(self) -> int:
        """The largest k for which anything may be said about the best of k trials."""
        return self.num // SUPPORTED_SHARE

    @property
    def bounds(self) -> tuple[Scores, ...]:
        """The scores [n] alone if all are known, otherwise their lower and their upper bounds."""
        return (self.scores,) if self.is_known.all() else (self.scores, self.upper)

    @property
    def is_known(self) -> npt.NDArray[np.bool_]:
        """Whether a trial's final score is known [n]."""
        return np.equal(self.scores, self.upper)


def random_draws(record: StudyRecord, arm: str) -> Draws:
    """The random trials of `arm` that count towards its budget.

    Diverged and out-of-memory trials count. Without a finite score they get the worst known score
    of the study; where no score is known at all, theirs are unknown.
    """
    metric = record.objective
    trials = tuple(trial for trial in charged_trials(record, arm) if is_draw(record, trial))
    known = np.array([_known_score(record, trial) for trial in trials], dtype=np.float64)
    worst = finite_or_nan(metric.sign * worst_known_score(record))
    cut = np.array([_is_cut(record, trial) for trial in trials], dtype=bool)
    is_open = cut | (np.isnan(known) & np.isnan(worst))
    least, most = sorted((metric.sign * metric.low, metric.sign * metric.high))
    scores = np.where(np.isnan(known), np.where(is_open, least, worst), known)
    return Draws(
        arm=arm,
        trials=trials,
        scores=scores,
        upper=np.where(is_open, most, scores),
        epochs=np.array([trial.epochs_run for trial in trials], dtype=float),
    )


def best_pruned(record: StudyRecord, arm: str) -> TrialRecord | None:
    """The pruned trial of `arm` that had come further than every complete one, if there is one.

    The best score of a search is that of a complete trial, because only such a trial has a final
    score. A pruned trial may have been better while it ran. An arm without a complete trial has no
    best score, so there is nothing that a pruned trial could be ahead of.
    """
    trials = searched_trials(record, arm)
    complete = best_first(trials, record.objective.sign)
    least = _signed(record, complete[0].score) if complete else np.inf
    pruned = [trial for trial in trials if trial.outcome == "pruned"]
    ahead = [trial for trial in pruned if _best_seen(record, trial) > least]
    return max(ahead, key=lambda trial: _best_seen(record, trial), default=None)


def describe_best_pruned(record: StudyRecord) -> str:
    """What pruned trials had reached beyond every complete trial of their arm; else empty."""
    found = [
        f"{number(record.objective.sign * _best_seen(record, trial))} for {arm.name} (trial"
        f" {trial.number}, pruned after epoch {trial.epochs_run})"
        for arm in record.arms
        if (trial := best_pruned(record, arm.name)) is not None
    ]
    if not found:
        return ""
    return (
        f"Pruned trials had a better {metric_name(record.objective)} than every complete trial of"
        f" their arm: {join(found)}. Their final scores are unknown."
    )


def is_random_search(record: StudyRecord, arm: str) -> bool:
    """Whether every trial that counts towards the budget of `arm` is a random draw."""
    charged = charged_trials(record, arm)
    return bool(charged) and all(is_draw(record, trial) for trial in charged)


def is_draw(record: StudyRecord, trial: TrialRecord) -> bool:
    """Whether a trial was drawn without regard to results, and evenly over its arm's space.

    Points of a scrambled Sobol sequence were drawn so, but not independently: estimates from them
    are right, and their intervals are approximate. Points of a grid were chosen by a person.
    """
    return trial.phase == "random" or (
        trial.phase == "design" and record.sampler in QUASI_RANDOM_SAMPLERS
    )


def approximation(record: StudyRecord) -> str:
    """A sentence to add to statements on random trials that are quasi-random; otherwise empty."""
    if record.sampler not in QUASI_RANDOM_SAMPLERS:
        return ""
    return (
        " Sobol points are used as random trials: they fill the space more evenly than independent"
        " draws, so every interval is approximate."
    )


def best_k_values(largest: int) -> list[int]:
    """The budgets k that tables show: 1, 2, 5, 10, 20, 50, 100 up to `largest`."""
    return [k for k in (1, 2, 5, 10, 20, 50, 100) if k <= largest]


def _is_cut(record: StudyRecord, trial: TrialRecord) -> bool:
    return trial.outcome == "pruned" and compares_trials(record.pruner)


def _known_score(record: StudyRecord, trial: TrialRecord) -> float:
    """Signed score; for a trial that was cut, its best epoch so far if the best epoch is scored."""
    if not _is_cut(record, trial):
        return _signed(record, trial.score)
    if record.score_rule == "last_epoch":
        return np.nan  # a run may end below its best epoch, so it has no lower bound
    best = _best_seen(record, trial)
    return best if np.isfinite(best) else np.nan


def _best_seen(record: StudyRecord, trial: TrialRecord) -> float:
    """Signed best value of the objective after any epoch so far; minus infinity without any."""
    seen = finite_values((*trial.values(record.objective.name), trial.score))
    return max((_signed(record, value) for value in seen), default=-np.inf)


def _signed(record: StudyRecord, score: float | None) -> float:
    return record.objective.sign * finite_or_nan(score)
