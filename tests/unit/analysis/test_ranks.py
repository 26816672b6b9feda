"""Ranks over workloads, on classic printed data: known answers F, G and H."""

import csv
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from bakeoff.analysis.ranks import (
    critical_difference,
    nemenyi_p,
    profile,
    profile_score,
    rank_test,
    ranks_of,
    time_ratios,
)

DEMSAR = np.array(
    [
        [763, 768, 771, 798], [599, 591, 590, 569], [954, 971, 968, 967], [628, 661, 654, 657],
        [882, 888, 886, 898], [936, 931, 916, 931], [661, 668, 609, 685], [583, 583, 563, 625],
        [775, 838, 866, 875], [1000, 1000, 1000, 1000], [940, 962, 965, 962], [619, 666, 614, 669],
        [972, 981, 975.1, 975], [957, 978, 946, 970],
    ]
)  # fmt: skip
"""Demsar 2006, table 6, area under the curve x 1000 of C4.5, +m, +cf and +m+cf; the printed tie on
"voting" is broken as the paper ranks it."""


def test_known_answer_g_mean_ranks_and_critical_difference() -> None:
    ranks = ranks_of(DEMSAR)
    assert ranks.mean(axis=0) == pytest.approx([3.143, 2.000, 2.893, 1.964], abs=5e-4)
    assert critical_difference(4, 14) == pytest.approx(1.25, abs=5e-3)
    assert rank_test(DEMSAR).critical_difference == critical_difference(4, 14)


def test_known_answer_g_friedman_without_and_with_its_correction_for_ties() -> None:
    """The paper's 9.28 leaves ties uncorrected; corrected it is that over 1 - T / (W (M^3 - M))."""
    ranks = ranks_of(DEMSAR)
    num_workloads, num_arms = ranks.shape
    plain = (
        12 * num_workloads / (num_arms * (num_arms + 1))
        * (np.sum(ranks.mean(axis=0) ** 2) - num_arms * (num_arms + 1) ** 2 / 4)
    )  # fmt: skip
    assert plain == pytest.approx(9.28, abs=5e-3)
    ties = sum(count**3 - count for row in ranks for count in np.unique(row, return_counts=True)[1])
    corrected = plain / (1 - ties / (num_workloads * (num_arms**3 - num_arms)))
    found = rank_test(DEMSAR)
    assert found.statistic == pytest.approx(corrected)
    assert found.p == pytest.approx(stats.chi2.sf(corrected, num_arms - 1))


def test_known_answer_g_wilcoxon() -> None:
    found = rank_test(DEMSAR[:, :2])
    assert (found.method, found.statistic) == ("Wilcoxon signed-rank", 12.0)
    assert found.critical_difference == np.inf


@pytest.fixture(name="readme", scope="module")
def _readme() -> np.ndarray:
    """The example of autorank's README: six clipped normal populations of 50."""
    rng = np.random.RandomState(42)
    means = (0.2, 0.3, 0.5, 0.8, 0.85, 0.9)
    return np.column_stack([rng.normal(mean, 0.3, 50).clip(0, 1) for mean in means])


def test_known_answer_h_p_and_mean_ranks_of_the_autorank_example(readme: np.ndarray) -> None:
    assert rank_test(readme).p == pytest.approx(2.3412212612346733e-28, rel=1e-9)
    mean_ranks = ranks_of(readme).mean(axis=0)
    assert mean_ranks == pytest.approx([5.40, 4.71, 3.95, 2.47, 2.29, 2.18], abs=6e-3)


def test_known_answer_h_critical_difference_of_the_autorank_example() -> None:
    assert critical_difference(6, 50) == pytest.approx(1.0662484349869374, abs=1e-4)


def test_nemenyi_p_is_five_percent_at_the_critical_difference() -> None:
    assert nemenyi_p(critical_difference(4, 14), 4, 14) == pytest.approx(0.05, abs=1e-6)
    assert nemenyi_p(-1.0, 4, 14) == nemenyi_p(1.0, 4, 14)


@pytest.mark.parametrize("num_arms", [2, 4])
def test_equal_scores_are_no_evidence(num_arms: int) -> None:
    assert rank_test(np.ones((7, num_arms))).p == 1.0


@pytest.mark.slow
def test_equal_arms_rarely_differ_in_rank() -> None:
    rng = np.random.default_rng(0)
    found = [rank_test(rng.normal(size=(8, 4))).p < 0.05 for _ in range(1000)]
    assert np.mean(found) <= 0.06


# ---------------------------------------------------------------- time to target


def test_times_are_ratios_to_the_best_and_unreached_ones_infinite() -> None:
    times = np.array([[2.0, 4.0, np.nan], [np.inf, np.inf, np.inf], [3.0, np.inf, 3.0]])
    expected = [[1.0, 2.0, np.inf], [np.inf] * 3, [1.0, np.inf, 1.0]]
    assert time_ratios(times).tolist() == expected


def test_a_profile_is_the_share_within_each_limit() -> None:
    ratios = np.array([1.0, 2.0, np.inf, 5.0])
    assert profile(ratios, np.array([1.0, 1.9, 2.0, 4.0])).tolist() == [0.25, 0.25, 0.5, 0.5]


def published_times() -> tuple[list[str], np.ndarray, np.ndarray]:
    """Submissions [S], published scores [S] and seconds to the target [W, S], NaN if not run."""
    with Path(__file__).with_name("algoperf_times.csv").open(newline="") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    times = [[float(cell or "nan") for cell in list(row.values())[2:]] for row in rows]
    return (
        [row["submission"] for row in rows],
        np.array([float(r["score"]) for r in rows]),
        np.array(times).T,
    )


def test_known_answer_f_the_trapezoid_of_our_profile_is_the_published_score() -> None:
    _, published, times = published_times()
    ratios, limits = time_ratios(times), np.linspace(1, 4, 100)
    areas = [np.trapezoid(profile(own, limits), limits) / 3 for own in ratios.T]
    assert areas == pytest.approx(published, abs=1e-9)


def test_known_answer_f_our_closed_form_ranks_submissions_as_published() -> None:
    names, published, times = published_times()
    scores = np.array([profile_score(own) for own in time_ratios(times).T])
    assert scores == pytest.approx(published, abs=0.002)
    assert np.argsort(-scores).tolist() == np.argsort(-published).tolist()
    best = {name: score for name, score in zip(names, scores.tolist(), strict=True) if score > 0.43}
    assert best == pytest.approx(
        {
            "schedule_free_adamw_v2": 0.567578, "ademamix": 0.506545,
            "schedule_free_adamw": 0.465963, "nadamw_baselinev05": 0.435315,
        },
        abs=5e-7,
    )  # fmt: skip


def test_known_answer_f_the_closed_form_is_the_area_under_the_profile() -> None:
    """Within .002 of the 100-point trapezoid with which AlgoPerf integrates on [1, 4]."""
    rng = np.random.default_rng(0)
    limits = np.linspace(1, 4, 100)
    for _ in range(20):
        ratios = np.where(rng.random(200) < 0.3, np.inf, rng.uniform(1, 6, size=200))
        area = np.trapezoid(profile(ratios, limits), limits) / 3
        assert profile_score(ratios) == pytest.approx(area, abs=0.002)
    assert profile_score(np.ones(3)) == 1.0
    assert profile_score(np.full(3, np.inf)) == 0.0
