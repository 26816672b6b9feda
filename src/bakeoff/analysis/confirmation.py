"""The confirmation runs of each arm, as arrays over seeds."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bakeoff.analysis.design import design_of
from bakeoff.analysis.estimates import Estimate, estimate_mean
from bakeoff.analysis.sample_error import TestSamples, with_sample_error
from bakeoff.analysis.statistics import UNKNOWN, Scores, standard_deviation
from bakeoff.records import ConfirmedScores, StudyRecord, TrialRecord
from bakeoff.records.significance import CONFIDENCE


@dataclass(frozen=True, kw_only=True, eq=False)
class ConfirmedRuns:
    """The K runs of one arm's chosen configuration that count, in the order of their seeds."""

    arm: str
    configuration: int | None
    runs: tuple[TrialRecord, ...]
    test: Scores
    """Test scores [K] as measured; the score of an untrained model where the run diverged."""
    diverged: npt.NDArray[np.bool_]
    """[K]"""

    @property
    def without(self) -> Scores:
        """Test scores without each group of test samples, [K, G]; G is 0 unless all have them."""
        lengths = {len(run.test_without) for run in self.runs}
        if len(lengths) != 1:
            return np.empty((len(self.runs), 0))
        return np.array([run.test_without for run in self.runs], dtype=np.float64)

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seeds [K]; an unknown seed is replaced by a negative number that no other run has."""
        return tuple(_seed(run) for run in self.runs)


def confirmation_runs(
    record: StudyRecord, arm: str, repeat: int | None = None
) -> tuple[TrialRecord, ...]:
    """The confirmation runs of `arm`, without those of the shortlist; of one repeat, or of all."""
    return tuple(
        run
        for run in record.confirmations
        if (run.arm, run.purpose) == (arm, "confirm") and repeat in (None, run.repeat)
    )


def confirmed_runs(record: StudyRecord, arm: str, repeat: int = 0) -> ConfirmedRuns | None:
    """The runs of the configuration of `arm` that a repeat confirmed; None if no run counts.

    A run counts if it trained to the end and the test set was read, or if it diverged; a test score
    that is not finite counts as divergence. Runs that are missing for another reason (failed, out
    of memory, still running) are not outcomes of the configuration. If several configurations were
    confirmed, the one with most runs is taken, and the latest of those with equally many; of
    several runs with one seed, the first is taken.
    """
    counting = _that_count(record, confirmation_runs(record, arm, repeat))
    if not counting:
        return None
    sizes = Counter(run.configuration for run in counting)
    latest = {run.configuration: run.number for run in counting}
    chosen = max(sizes, key=lambda configuration: (sizes[configuration], latest[configuration]))
    return _by_seed(record, [run for run in counting if run.configuration == chosen])


def default_runs(record: StudyRecord, arm: str) -> ConfirmedRuns | None:
    """The library defaults of `arm` on the confirmation seeds of all repeats; None if none counts.

    The defaults are the same configuration in every repeat.
    """
    own = [run for run in record.confirmations if (run.arm, run.purpose) == (arm, "default")]
    counting = _that_count(record, own)
    return _by_seed(record, counting) if counting else None


def _that_count(record: StudyRecord, runs: Iterable[TrialRecord]) -> list[TrialRecord]:
    """The runs that are outcomes of their configuration."""
    name = record.objective.name
    if is_undefined_on_test(record):
        return []
    return [
        run
        for run in runs
        if run.outcome == "diverged" or (run.outcome == "complete" and name in run.test_metrics)
    ]


def is_undefined_on_test(record: StudyRecord) -> bool:
    """Whether the test set was read, and gave none of the runs that ended a finite score.

    The test set then has no value of the objective: AUROC, for example, needs samples of both
    classes.
    """
    name = record.objective.name
    found = [
        run.test_metrics[name]
        for run in record.confirmations
        if run.outcome == "complete" and name in run.test_metrics
    ]
    return bool(found) and not np.isfinite(found).any()


def _by_seed(record: StudyRecord, counting: Sequence[TrialRecord]) -> ConfirmedRuns:
    """At least one run of one configuration, as arrays in the order of their seeds."""
    name = record.objective.name
    # reversed, so that the first run of a seed is kept
    by_seed = {_seed(run): run for run in reversed(counting)}
    runs = tuple(by_seed[seed] for seed in sorted(by_seed))
    # a diverged run without a test score gets that of an untrained model, or else the worst known
    # score; 0 is used only where no run of the whole study has a score, so that all are equal
    known = [
        (run.test_metrics.get(name), run.score if run.outcome == "diverged" else None)
        for run in runs
    ]
    found = [next(iter(finite_values(scores)), None) for scores in known]
    worst = finite_values((worst_known_score(record) if None in found else None, 0.0))[0]
    return ConfirmedRuns(
        arm=runs[0].arm,
        configuration=runs[0].configuration,
        runs=runs,
        test=np.array([worst if score is None else score for score in found]),
        diverged=np.array(
            [
                run.outcome == "diverged" or not np.isfinite(run.test_metrics.get(name, np.nan))
                for run in runs
            ]
        ),
    )


def summarize_confirmation(
    confirmed: ConfirmedRuns, record: StudyRecord, search_score: float | None
) -> ConfirmedScores:
    """Mean, interval, spread and worst seed of confirmed test scores, and the selection gap.

    The interval covers seeds and test samples. It is NaN where a run diverged, because Student's t
    does not describe such scores. The gap is NaN where the search score is unknown.
    """
    test, sign = confirmed.test, record.objective.sign
    estimate = estimate_score(confirmed, record)
    validation = np.array([finite_or_nan(run.score) for run in confirmed.runs])
    validation_mean = float(np.mean(validation))
    worst = int(np.argmin(sign * test))
    return ConfirmedScores(
        seeds=confirmed.seeds,
        test_scores=tuple(test.tolist()),
        num_diverged=int(np.count_nonzero(confirmed.diverged)),
        test_mean=float(np.mean(test)),
        test_ci=(
            UNKNOWN
            if confirmed.diverged.any()
            else estimate.interval(CONFIDENCE, (record.objective.low, record.objective.high))
        ),
        example_error=estimate.example_error,
        test_sd=standard_deviation(test),
        worst=float(test[worst]),
        worst_seed=confirmed.seeds[worst],
        validation_mean=validation_mean,
        selection_gap=sign * (finite_or_nan(search_score) - validation_mean),
    )


def estimate_score(
    confirmed: ConfirmedRuns, record: StudyRecord, *, over_searches: bool = False
) -> Estimate:
    """The mean test score, with its error over units and over test samples."""
    design = design_of(record, over_searches=over_searches)
    samples = TestSamples(scores=confirmed.test, without=confirmed.without)
    return with_sample_error(
        estimate_mean(confirmed.test, overlap=design.overlap),
        [samples] if design.one_test_set else [],
        record.num_test,
    )


def _seed(run: TrialRecord) -> int:
    return -1 - run.number if run.seed is None else run.seed


def worst_known_score(record: StudyRecord) -> float:
    """The worst bound of the objective, or the worst finite score of any run if unbounded.

    It is NaN if no run has a finite score.
    """
    objective = record.objective
    bound = objective.low if objective.sign > 0 else objective.high
    if np.isfinite(bound):
        return bound
    scores = finite_values(
        score
        for run in record.trials + record.confirmations
        for score in (run.score, run.test_metrics.get(objective.name))
    )
    return min(scores, key=lambda score: objective.sign * score, default=float("nan"))


def finite_values(values: Iterable[float | None]) -> list[float]:
    """Those of `values` that are present and finite."""
    return [float(value) for value in values if value is not None and np.isfinite(value)]


def finite_or_nan(value: float | None) -> float:
    """`value`, or NaN where it is missing or infinite."""
    return float(value) if value is not None and np.isfinite(value) else float("nan")
