"""Time to target: how soon confirmation runs reach a score, and the search cost to get there."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bakeoff.analysis.arm_trials import searched_trials
from bakeoff.analysis.arrivals import arrival_test
from bakeoff.analysis.confirmation import ConfirmedRuns, finite_values
from bakeoff.analysis.pairs import Pair
from bakeoff.analysis.searches import Runs
from bakeoff.analysis.statistics import Scores, holm
from bakeoff.analysis.tuning import expected_cost_of_success, first_reaching, median_time
from bakeoff.records import ArmSummary, StudyRecord, TimeToTarget, TrialRecord


def target_of(record: StudyRecord, runs: Runs, leading: Sequence[str]) -> float | None:
    """The validation score whose time of arrival is reported; None without confirmation runs.

    Every arm is represented by the median over seeds of a run's best validation score, so that no
    lucky run sets the target. The target is the median of the declared reference arm; without a
    reference, the worst median in the leading group (of all confirmed arms if no arm leads), so
    that at least half of the runs of each of these arms arrive.

    Source: AlgoPerf (Dahl et al. 2023), section 4 (target from the median run).
    """
    names = leading or list(runs)
    if record.reference is not None and record.reference in runs:
        names = [record.reference]
    medians = [_median_best(runs[name], record) for name in names if name in runs]
    finite = finite_values(medians)
    if not finite:
        return None
    return min(finite) if record.objective.sign > 0 else max(finite)


def with_time_to_target(
    summary: ArmSummary, record: StudyRecord, runs: ConfirmedRuns | None, target: float | None
) -> ArmSummary:
    """`summary` with the time that its confirmation runs need to reach `target`.

    Runs that diverged do not reach it. Evaluation time is not counted. The seconds are NaN where
    many runs trained at once, because their time is that of all arms together.
    """
    if target is None or runs is None:
        return summary
    times = [arrival(run, record, target) for run in runs.runs]
    epochs, seconds = np.array(times).T
    searched = searched_trials(record, summary.arm)
    return replace(
        summary,
        time_to_target=TimeToTarget(
            target=target,
            reached=int(np.count_nonzero(np.isfinite(epochs))),
            num_runs=len(times),
            median_epochs=median_time(epochs),
            median_seconds=median_time(seconds) if record.arithmetic == "plain" else float("nan"),
            epochs=tuple(epochs.tolist()),
            search_cost_epochs=expected_cost_of_success(
                np.array([trial.epochs_run for trial in searched], dtype=float),
                np.array([np.isfinite(arrival(t, record, target)[0]) for t in searched]),
            ),
        ),
    )


def with_arrival_tests(
    pairs: Sequence[Pair], arms: Sequence[ArmSummary], epochs: int
) -> tuple[Pair, ...]:
    """`pairs` with the log-rank p of their epochs to the target, Holm over all pairs.

    Runs that never reached it, including diverged ones, are censored at the planned end.

    Args:
        pairs: All pairs of `arms`.
        arms: Every arm, with its time to target.
        epochs: Planned epochs of every run.

    Source: Mantel 1966; Holm 1979.
    """
    times = {
        arm.arm: np.array(arm.time_to_target.epochs if arm.time_to_target else ()) for arm in arms
    }
    watched = {arm: (np.minimum(own, epochs), np.isfinite(own)) for arm, own in times.items()}
    found = [arrival_test(*watched[a], *watched[b]).p for a, b in (pair.names for pair in pairs)]
    return tuple(
        replace(pair, result=replace(pair.result, arrival_p=float(p)))
        for pair, p in zip(pairs, holm(np.array(found)), strict=True)
    )


def _signed_values(run: TrialRecord, record: StudyRecord) -> Scores:
    return record.objective.sign * np.array(run.values(record.objective.name), dtype=float)


def _median_best(confirmed: ConfirmedRuns, record: StudyRecord) -> float:
    """Median over complete runs of the best validation score; NaN if no run has one."""
    runs = [run for run in confirmed.runs if run.outcome == "complete"]
    values = [finite_values(_signed_values(run, record)) for run in runs]
    bests = [record.objective.sign * max(own) for own in values if own]
    return float(np.median(bests)) if bests else float("nan")


def arrival(run: TrialRecord, record: StudyRecord, target: float) -> tuple[float, float]:
    """Epochs and training seconds until `target` is reached; infinite if it is not."""
    index = first_reaching(_signed_values(run, record), record.objective.sign * target)
    if run.outcome == "diverged" or index is None:
        return np.inf, np.inf
    until = run.history[: index + 1]
    return float(until[-1].epoch), sum(result.train_seconds for result in until)
