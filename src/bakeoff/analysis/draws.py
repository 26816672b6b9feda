"""The trials from which a search may be generalised: independent random draws of an arm's space.

Statements such as "the best of k trials" hold for such draws only. Trials proposed by a model
depend on earlier trials and are left out. The final score of a trial that was pruned because others
were ahead is unknown, and only bounds of it are known.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bakeoff.analysis.arm_summary import charged_trials
from bakeoff.analysis.confirmation import finite_or_nan, finite_values, worst_known_score
from bakeoff.analysis.statistics import Scores
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
    """[n]; a lower bound where the final score is unknown."""
    upper: Scores
    """[n]; as `scores`, but with an upper bound where the final score is unknown."""
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
    of the study, or 0 where no score is known at all.
    """
    charged = charged_trials(record, arm)
    trials = tuple(trial for trial in charged if is_draw(record, trial))
    known = np.array([_known_score(record, trial) for trial in trials], dtype=np.float64)
    worst = finite_or_nan(record.objective.sign * worst_known_score(record))
    scores = np.where(np.isnan(known), np.nan_to_num(worst), known)
    complete = (_signed(record, trial.score) for trial in charged if trial.outcome == "complete")
    top = max(finite_values(complete), default=-np.inf)
    cut = np.array([_is_cut(record, trial) for trial in trials], dtype=bool)
    return Draws(
        arm=arm,
        trials=trials,
        scores=scores,
        upper=np.where(cut, np.maximum(scores, top), scores),
        epochs=np.array([trial.epochs_run for trial in trials], dtype=float),
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
    seen = finite_values((*trial.values(record.objective.name), trial.score))
    return max((_signed(record, value) for value in seen), default=np.nan)


def _signed(record: StudyRecord, score: float | None) -> float:
    return record.objective.sign * finite_or_nan(score)
