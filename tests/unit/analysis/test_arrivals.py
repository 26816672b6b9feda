"""Times to a target with runs that never arrive: known answer K, and the sentences on it."""

import math
from dataclasses import replace

import numpy as np
import pytest

from bakeoff.analysis.arrivals import arrival_curve, arrival_test
from bakeoff.analysis.comparison import compare
from bakeoff.records import Comparison, EpochResult, StudyRecord
from bakeoff.report.figures.learning_curves import ARRIVED, compute_learning_curves
from record_examples import example_record

# Freireich et al. 1963: weeks of remission under 6-mercaptopurine and under placebo
EVENTS = [6, 6, 6, 7, 10, 13, 16, 22, 23]
CENSORED = [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
DRUG = np.array([*EVENTS, *CENSORED], dtype=float)
DRUG_ENDED = np.arange(len(DRUG)) < len(EVENTS)
PLACEBO = np.array(
    [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23], dtype=float
)
PLACEBO_ENDED = np.ones(len(PLACEBO), dtype=bool)


def test_known_answer_k_survival_with_censored_patients():
    times, shares = arrival_curve(DRUG, DRUG_ENDED)
    assert times.tolist() == [6, 7, 10, 13, 16, 22, 23]
    survival = [0.8571, 0.8067, 0.7529, 0.6902, 0.6275, 0.5378, 0.4482]
    assert 1 - shares == pytest.approx(survival, abs=5e-5)


def test_known_answer_k_log_rank_against_placebo():
    found = arrival_test(DRUG, DRUG_ENDED, PLACEBO, PLACEBO_ENDED)
    assert found.z == pytest.approx(-4.0979, abs=5e-5)
    assert found.z**2 == pytest.approx(16.79, abs=5e-3)


def test_both_directions_of_the_log_rank_test_mirror_each_other():
    forward = arrival_test(DRUG, DRUG_ENDED, PLACEBO, PLACEBO_ENDED)
    backward = arrival_test(PLACEBO, PLACEBO_ENDED, DRUG, DRUG_ENDED)
    assert (backward.z, backward.p) == pytest.approx((-forward.z, forward.p))


def test_without_censoring_the_curve_is_the_share_of_runs():
    times, shares = arrival_curve(np.array([3.0, 1.0, 3.0, 7.0]), np.ones(4, dtype=bool))
    assert (times.tolist(), shares.tolist()) == ([1, 3, 7], pytest.approx([0.25, 0.75, 1.0]))


def test_nobody_arrives_and_everybody_arrives_at_once_are_no_evidence():
    nobody, everybody = np.zeros(3, dtype=bool), np.ones(3, dtype=bool)
    times = np.full(3, 8.0)
    assert arrival_curve(times, nobody).times.size == 0
    assert arrival_test(times, nobody, times, nobody) == (0.0, 1.0)
    assert arrival_test(times, everybody, times, everybody) == (0.0, 1.0)


def test_an_arm_without_runs_is_not_tested():
    nothing, nobody = np.empty(0), np.empty(0, dtype=bool)
    assert math.isnan(arrival_test(nothing, nobody, DRUG, DRUG_ENDED).p)


# ---------------------------------------------------------------- of a study


def arriving(arrivals: dict[str, list[float]], epochs: int = 30) -> StudyRecord:
    """A study whose confirmation runs reach 0.9 at these epochs, or never where infinite."""
    scores = [0.93 + 0.001 * (n % 3) for n in range(max(map(len, arrivals.values())))]
    equal = dict.fromkeys(arrivals, tuple(scores))
    record = example_record(num_arms=len(arrivals), epochs=epochs, test_scores=equal)
    waiting = {arm: list(times) for arm, times in arrivals.items()}

    def history(at: float) -> tuple[EpochResult, ...]:
        return tuple(
            EpochResult(epoch=n, metrics={"accuracy": 0.9 if n >= at else 0.5}, train_seconds=2.0)
            for n in range(1, epochs + 1)
        )

    runs = tuple(
        replace(run, history=history(waiting[run.arm].pop(0))) if run.purpose == "confirm" else run
        for run in record.confirmations
    )
    return replace(record, confirmations=runs, reference=next(iter(arrivals)))


def arrivals_of(comparison: Comparison, arm: str) -> list[tuple[int, float]]:
    rows = compute_learning_curves(comparison)
    return [(row.epoch, row.estimate) for row in rows if (row.arm, row.quantity) == (arm, ARRIVED)]


FREIREICH = {
    "sgd": PLACEBO.tolist(),
    "adam": [*EVENTS, *[math.inf] * len(CENSORED)],
}


@pytest.fixture(name="freireich", scope="module")
def _freireich() -> Comparison:
    return compare(arriving(FREIREICH))


def test_a_study_has_the_arrivals_of_its_runs(freireich: Comparison):
    adam = next(arm for arm in freireich.arms if arm.arm == "adam")
    assert adam.time_to_target.target == 0.9
    assert sorted(adam.time_to_target.epochs) == sorted(FREIREICH["adam"])
    assert (adam.time_to_target.reached, adam.time_to_target.num_runs) == (9, 21)
    assert adam.time_to_target.median_epochs == math.inf


def test_a_study_tests_its_arrivals_as_the_log_rank_test_does(freireich: Comparison):
    (pair,) = freireich.pairs
    times = np.minimum(FREIREICH["adam"], 30)
    watched = np.isfinite(FREIREICH["adam"])
    assert pair.arrival_p == arrival_test(PLACEBO, PLACEBO_ENDED, times, watched).p
    assert pair.arrival_p < 0.001


def test_the_figure_climbs_to_the_share_of_runs_that_arrived(freireich: Comparison):
    rows = arrivals_of(freireich, "adam")
    assert rows[:2] == [(0, 0.0), (6, pytest.approx(3 / 21))]
    assert rows[-2:] == [(23, pytest.approx(9 / 21)), (30, pytest.approx(9 / 21))]
    assert arrivals_of(freireich, "sgd")[-1] == (30, 1.0)


def test_a_tie_breaker_says_whether_arrivals_differ(freireich: Comparison):
    (cost, *_) = freireich.verdict.tie_breakers
    shown = (
        "A difference in epochs was shown between the configurations found for sgd and adam"
        " (log-rank, Holm p < 0.001)."
    )
    assert cost.endswith(shown)
    (cost, *_) = compare(
        arriving({arm: [4, 5, 6, 7, 8, 9] for arm in FREIREICH})
    ).verdict.tie_breakers
    assert cost.endswith("No difference in epochs was shown (log-rank).")
