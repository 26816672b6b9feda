"""The confirmation runs of each arm, as arrays over seeds."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bakeoff.analysis.statistics import UNKNOWN, Scores, standard_deviation, t_interval
from bakeoff.records import ConfirmedScores, MetricInfo, StudyRecord, TrialRecord

CI_LEVEL = 0.95


@dataclass(frozen=True, kw_only=True, eq=False)
class ConfirmedRuns:
    """The K runs of one arm's chosen configuration that count, by seed."""

    arm: str
    configuration: int | None
    runs: tuple[TrialRecord, ...]
    test: Scores
    """Test scores [K] as measured; an untrained model's where the run diverged."""
    diverged: npt.NDArray[np.bool_]
    """[K]"""

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seeds [K]; an unknown one is a negative number that no other run has."""
        return tuple(_seed(run) for run in self.runs)


def confirmed_runs(record: StudyRecord, arm: str) -> ConfirmedRuns | None:
    """The runs of the configuration of `arm` that was confirmed; None if no run counts.

    A run counts if it trained to the end and the test set was read, or if it diverged. Runs that
    are missing for another reason (failed, out of memory, still running) are not outcomes of the
    configuration. Of several configurations the one with most runs is taken, of equally many the
    latest; of several runs with one seed the first.
    """
    counting = [
        run
        for run in record.confirmations
        if run.arm == arm and run.purpose == "confirm" and counts(run, record.objective)
    ]
    if not counting:
        return None
    sizes = Counter(run.configuration for run in counting)
    latest = {run.configuration: run.number for run in counting}
    chosen = max(sizes, key=lambda configuration: (sizes[configuration], latest[configuration]))
    runs = _first_of_each_seed(run for run in counting if run.configuration == chosen)
    return ConfirmedRuns(
        arm=arm,
        configuration=chosen,
        runs=runs,
        test=_test_scores(runs, record),
        diverged=np.array([is_diverged(run, record.objective) for run in runs]),
    )


def counts(run: TrialRecord, objective: MetricInfo) -> bool:
    """Whether `run` is an outcome: complete with its test score read, or diverged."""
    return run.outcome == "diverged" or (
        run.outcome == "complete" and objective.name in run.test_metrics
    )


def is_diverged(run: TrialRecord, objective: MetricInfo) -> bool:
    """Whether `run` diverged; a complete run whose test score is not finite did, too."""
    return run.outcome == "diverged" or not np.isfinite(
        run.test_metrics.get(objective.name, np.nan)
    )


def summarize_confirmation(
    confirmed: ConfirmedRuns, objective: MetricInfo, search_score: float | None
) -> ConfirmedScores:
    """Mean, interval, spread and worst seed of confirmed test scores, and the selection gap.

    The interval is NaN where a run diverged: Student's t does not describe such scores. The gap
    is NaN where the search score is unknown.
    """
    test, sign = confirmed.test, objective.sign
    validation = np.array([finite_or_nan(run.score) for run in confirmed.runs])
    validation_mean = float(np.mean(validation))
    worst = int(np.argmin(sign * test))
    return ConfirmedScores(
        seeds=confirmed.seeds,
        test_scores=tuple(test.tolist()),
        num_diverged=int(np.count_nonzero(confirmed.diverged)),
        test_mean=float(np.mean(test)),
        test_ci=UNKNOWN if confirmed.diverged.any() else t_interval(test, CI_LEVEL),
        test_sd=standard_deviation(test),
        worst=float(test[worst]),
        worst_seed=confirmed.seeds[worst],
        validation_mean=validation_mean,
        selection_gap=sign * (finite_or_nan(search_score) - validation_mean),
    )


def _first_of_each_seed(runs: Iterable[TrialRecord]) -> tuple[TrialRecord, ...]:
    first: dict[int, TrialRecord] = {}
    for run in runs:
        first.setdefault(_seed(run), run)
    return tuple(first[seed] for seed in sorted(first))


def _seed(run: TrialRecord) -> int:
    return -1 - run.number if run.seed is None else run.seed


def _test_scores(runs: Iterable[TrialRecord], record: StudyRecord) -> Scores:
    """Test scores; a diverged run without one gets its validation score, else the worst known."""
    name, worst = record.objective.name, worst_known_score(record)
    scores = []
    for run in runs:
        test = finite_or_nan(run.test_metrics.get(name))
        fallback = finite_or_nan(run.score)
        # 0 is reached only where no run of the whole study has a score: all are equal then
        scores.append(next((x for x in (test, fallback, worst) if np.isfinite(x)), 0.0))
    return np.array(scores)


def worst_known_score(record: StudyRecord) -> float:
    """The worst bound of the objective, or the worst finite score of any run if unbounded.

    NaN if no run has a finite score.
    """
    objective = record.objective
    bound = objective.low if objective.sign > 0 else objective.high
    if np.isfinite(bound):
        return bound
    scores = [
        finite_or_nan(score)
        for run in record.trials + record.confirmations
        for score in (run.score, run.test_metrics.get(objective.name))
    ]
    finite = [objective.sign * score for score in scores if np.isfinite(score)]
    return objective.sign * min(finite) if finite else float("nan")


def finite_or_nan(value: float | None) -> float:
    """`value`, or NaN where it is missing or infinite."""
    return float(value) if value is not None and np.isfinite(value) else float("nan")
