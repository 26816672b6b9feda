import math

import numpy as np
import pytest

from bakeoff.analysis.learning_rate import (
    rate_sensitivity,
    sensitivity_of,
    tolerance_of,
)
from bakeoff.analysis.tuning import expected_best_of_k
from bakeoff.records import RateRobustness


def test_sensitivity_of_a_seven_point_grid():
    losses = np.array([2.5, 2.4, 2.3, 2.35, 3.0, 9.0, math.inf])
    assert sensitivity_of(-losses, floor=-10.8) == pytest.approx(2.32143, abs=1e-5)


CURVATURE, WIDTH = 0.3, 1.5


@pytest.fixture(name="parabola")
def _parabola():
    """Losses c u**2 on a fine grid of u in [-w, w] decades."""
    return -CURVATURE * np.linspace(-WIDTH, WIDTH, 30_001) ** 2


def test_sensitivity_of_a_parabola(parabola):
    assert sensitivity_of(parabola) == pytest.approx(CURVATURE * WIDTH**2 / 3, rel=1e-3)


def test_tolerance_of_a_parabola(parabola):
    found = tolerance_of(parabola, 0.1, 2 * WIDTH / len(parabola))
    assert found == pytest.approx(2 * math.sqrt(0.1 / CURVATURE), abs=1e-3)


def test_tolerance_is_unknown_without_delta():
    assert math.isnan(tolerance_of(np.array([0.5, 0.6]), math.nan, 0.5))


BOUNDS = (1e-5, 1e-1)
MIDDLES = 10.0 ** (np.arange(-9.5, -2.0) / 2)


def trials_per_bin(counts, seed=0):
    """Trials in the middles of the eight half decades of the range, best near 1e-3."""
    rates = np.repeat(MIDDLES, counts)
    noise = np.random.default_rng(seed).uniform(0, 0.01, len(rates))
    return rates, 0.9 - 0.05 * (np.log10(rates) + 3.25) ** 2 - noise


def test_sensitivity_compares_the_best_of_equally_many_trials():
    rates, scores = trials_per_bin([3, 3, 4, 9, 3, 5, 3, 3])
    found = rate_sensitivity(rates, scores, bounds=BOUNDS, delta=0.02, floor=-math.inf)
    window = [scores[np.isclose(rates, middle)] for middle in MIDDLES[1:6]]
    values = np.array([expected_best_of_k(own, 3) for own in window])
    assert found == RateRobustness(
        sensitivity=pytest.approx(np.max(values) - np.mean(values)),
        tolerance_decades=0.5 * np.count_nonzero(values >= np.max(values) - 0.02),
        best_of=3,
        note="",
    )


def test_untrained_score_limits_what_a_bad_learning_rate_costs():
    rates, scores = trials_per_bin([3] * 8)
    scores[rates > 5e-3] = -100.0
    limited = rate_sensitivity(rates, scores, bounds=BOUNDS, delta=0.02, floor=0.1)
    assert limited.sensitivity < 0.4


@pytest.mark.parametrize(
    ("counts", "bounds", "reason"),
    [
        ([2] * 8, BOUNDS, "no half decade has 3 trials"),
        ([3, 3, 3, 3, 2, 3, 3, 3], BOUNDS, "a half decade has 2 trials, not 3"),
        ([3] * 8, (1e-4, 3e-3), "the range ends within a decade of the best"),
    ],
)
def test_missing_sensitivity_says_why(counts, bounds, reason):
    found = rate_sensitivity(*trials_per_bin(counts), bounds=bounds, delta=0.02, floor=-math.inf)
    assert found.note == reason
    assert found.sensitivity is None


def test_sensitivity_does_not_depend_on_the_order_of_trials():
    rates, scores = trials_per_bin([4] * 8)
    order = np.random.default_rng(1).permutation(len(rates))
    settings = {"bounds": BOUNDS, "delta": 0.02, "floor": -math.inf}
    expected = rate_sensitivity(rates, scores, **settings)
    assert rate_sensitivity(rates[order], scores[order], **settings) == expected
