"""The trials from which the search may be generalised: independent random draws of an arm's space.

Statements such as "the best of k trials" hold for such draws only. Trials proposed by a model
depend on earlier ones and are left out; a trial that was pruned because others were ahead has an
unknown final score, of which only bounds are known.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bakeoff.analysis.arm_summary import searched_trials
from bakeoff.analysis.confirmation import finite_or_nan, worst_known_score
from bakeoff.analysis.statistics import Scores
from bakeoff.components.pruners import compares_trials
from bakeoff.records import CHARGED_OUTCOMES, StudyRecord, TrialRecord

QUASI_RANDOM_SAMPLERS = frozenset({"sobol", "qmc"})
"""Scrambled Sobol sequences, as we and as Optuna name them."""
SUPPORTED_SHARE = 5
"""Statements about the best of k trials are made for k <= n / 5 only.

Source: coverage of the percentile bootstrap and the reach of the exact interval, which is bounded
on both sides for k <= n / 5.3; see Lourie, Cho and He 2024, section 4.
"""


@dataclass(frozen=True, kw_only=True, eq=False)
class Draws:
    """An arm's random trials, in order; axis n. Scores are signed: higher is better."""

    arm: str
    trials: tuple[TrialRecord, ...]
    scores: Scores
    """[n]; of trials whose final score is unknown, a lower bound."""
    upper: Scores
    """[n]; the same, with an upper bound where the final score is unknown."""
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
        """The scores [n], once if all are known, else their lower and their upper bounds."""
        return (self.scores,) if self.is_known.all() else (self.scores, self.upper)

    @property
    def is_known(self) -> npt.NDArray[np.bool_]:
        """Whether a trial's final score is known [n]."""
        return np.equal(self.scores, self.upper)


def random_draws(record: StudyRecord, arm: str) -> Draws:
    """The random trials of `arm` that were charged to its budget.

    Diverged and out-of-memory trials count: without a finite score of their own they have the worst
    known one. Where no score is known at all, every score is 0.
    """
    searched = searched_trials(record, arm)
    trials = tuple(
        trial for trial in searched if is_draw(record, trial) and trial.outcome in CHARGED_OUTCOMES
    )
    scores = _or_worst(record, [_known_score(record, trial) for trial in trials])
    cut = np.array([_is_cut(record, trial) for trial in trials], dtype=bool)
    return Draws(
        arm=arm,
        trials=trials,
        scores=scores,
        upper=np.where(cut, np.maximum(scores, _top(record, searched)), scores),
        epochs=np.array([trial.epochs_run for trial in trials], dtype=float),
    )


def _top(record: StudyRecord, searched: Sequence[TrialRecord]) -> float:
    """The best complete score of an arm, signed; minus infinity without one."""
    scores = (_signed(record, trial.score) for trial in searched if trial.outcome == "complete")
    return max((score for score in scores if np.isfinite(score)), default=-np.inf)


def is_random_search(record: StudyRecord, arm: str) -> bool:
    """Whether every charged trial of `arm` is a random draw."""
    charged = [t for t in searched_trials(record, arm) if t.outcome in CHARGED_OUTCOMES]
    return bool(charged) and all(is_draw(record, trial) for trial in charged)


def is_draw(record: StudyRecord, trial: TrialRecord) -> bool:
    """Whether a trial was drawn without regard to results, and evenly over its arm's space.

    Points of a scrambled Sobol sequence are, but not independently: what is estimated from them is
    right, its intervals are approximate. Points of a grid were chosen by somebody.
    """
    return trial.phase == "random" or (
        trial.phase == "design" and record.sampler in QUASI_RANDOM_SAMPLERS
    )


def approximation(record: StudyRecord) -> str:
    """What is added to a statement on random trials where they are quasi-random; else empty."""
    if record.sampler not in QUASI_RANDOM_SAMPLERS:
        return ""
    return (
        " Sobol points stand for random trials: they fill the space more evenly than independent"
        " draws, so every interval is approximate."
    )


def best_k_values(largest: int) -> list[int]:
    """The budgets k that tables show: 1, 2, 5, 10, 20, 50, 100 up to `largest`."""
    return [k for k in (1, 2, 5, 10, 20, 50, 100) if k <= largest]


def _is_cut(record: StudyRecord, trial: TrialRecord) -> bool:
    return trial.outcome == "pruned" and compares_trials(record.pruner)


def _known_score(record: StudyRecord, trial: TrialRecord) -> float:
    """Signed score; of a trial that was cut the best epoch so far, if the best epoch is scored."""
    if not _is_cut(record, trial):
        return _signed(record, trial.score)
    if record.score_rule == "last_epoch":
        return np.nan  # a run may end below its best epoch, so nothing bounds it from below
    values = [_signed(record, value) for value in trial.values(record.objective.name)]
    finite = [value for value in (*values, _signed(record, trial.score)) if np.isfinite(value)]
    return max(finite, default=np.nan)


def _signed(record: StudyRecord, score: float | None) -> float:
    return record.objective.sign * finite_or_nan(score)


def _or_worst(record: StudyRecord, scores: Iterable[float]) -> Scores:
    worst = finite_or_nan(record.objective.sign * worst_known_score(record))
    fallback = 0.0 if np.isnan(worst) else worst
    filled = [fallback if np.isnan(score) else score for score in scores]
    return np.array(filled, dtype=np.float64)
