import importlib.util
import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import TTestPower

from bakeoff.analysis.power import (
    _by_t,
    detectable_deviations,
    detectable_difference,
    detectable_unpaired_difference,
    seeds_to_decide,
)
from bakeoff.records.power_table import DETECTABLE
from bakeoff.records.significance import auto_seeds, min_confirmation_seeds, repeats_needed

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "power_table.py"


@pytest.fixture(scope="module")
def power_table():
    spec = importlib.util.spec_from_file_location("power_table", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("num_arms", "seeds"), [(2, 7), (3, 9), (4, 10), (6, 12), (8, 14)])
def test_auto_is_the_fewest_seeds_that_usually_show_two_deviations(num_arms, seeds):
    assert auto_seeds(num_arms) == seeds
    at = seeds - min_confirmation_seeds(num_arms)
    assert DETECTABLE[num_arms][at] <= math.sqrt(2) < DETECTABLE[num_arms][at - 1]


def test_auto_is_never_below_what_the_exact_test_needs_and_grows_with_the_arms():
    found = [auto_seeds(num_arms) for num_arms in range(1, 30)]
    assert found == sorted(found)
    assert all(auto_seeds(n) >= min_confirmation_seeds(n) for n in range(1, 30))


def test_as_many_searches_as_seeds_are_needed():
    assert [repeats_needed(n) for n in range(2, 9)] == [auto_seeds(n) for n in range(2, 9)]


@pytest.mark.parametrize(("num_arms", "seeds"), [(2, 6), (2, 9), (4, 8), (4, 10)])
def test_a_cell_of_the_table_is_what_its_simulation_gives(
    num_arms, seeds, power_table, monkeypatch
):
    monkeypatch.setattr(power_table, "STUDIES", {16: 2_000})
    cell = DETECTABLE[num_arms][seeds - min_confirmation_seeds(num_arms)]
    assert power_table.detectable(num_arms, seeds) == pytest.approx(cell, abs=0.06)


@pytest.mark.parametrize("num_arms", sorted(DETECTABLE))
def test_more_seeds_detect_less_and_more_arms_detect_more(num_arms):
    found = [
        detectable_deviations(num, num_arms) for num in range(min_confirmation_seeds(num_arms), 60)
    ]
    assert all(later < sooner + 0.02 for sooner, later in pairwise(found))
    assert detectable_deviations(20, num_arms) < detectable_deviations(20, num_arms + 1) + 0.03


def test_too_few_seeds_detect_nothing():
    assert math.isinf(detectable_deviations(5, 2))
    assert math.isnan(detectable_difference(1.0, 5, 2))


def test_with_many_seeds_two_arms_detect_what_the_t_test_does():
    effect = TTestPower().solve_power(nobs=60, alpha=0.05, power=0.8)
    assert detectable_deviations(60, 2) == pytest.approx(effect, rel=0.04)


@pytest.mark.parametrize("num_seeds", [6, 8, 12, 31, 32, 40, 100])
def test_the_power_of_the_t_test_is_the_one_of_statsmodels(num_seeds):
    effect = _by_t(num_seeds, 4, 0.05)
    assert TTestPower().power(effect, num_seeds, 0.05 / 6) == pytest.approx(0.8, abs=2e-3)


def test_an_error_that_seeds_do_not_reduce_makes_more_detectable():
    plain = detectable_difference(0.01, 10, 4)
    assert detectable_difference(0.01, 10, 4, lasting_error=0.01 / math.sqrt(10)) == (
        pytest.approx(math.sqrt(2) * plain)
    )


def test_unpaired_detectable_difference_agrees_with_simulation():
    effect = detectable_unpaired_difference(1.0, 8, 10, 0.05)
    rng = np.random.default_rng(0)
    test = stats.ttest_ind(
        rng.normal(effect, 1, size=(4000, 8)), rng.normal(0, 1, size=(4000, 10)), axis=1
    )
    assert np.mean(test.pvalue < 0.05) == pytest.approx(0.8, abs=0.02)


@pytest.mark.parametrize("effect", [0.1, 0.5, 1.0, 1.4])
@pytest.mark.parametrize("num_arms", [2, 4])
def test_seeds_to_decide_is_the_smallest_number_that_does(effect, num_arms):
    seeds = seeds_to_decide(effect, 1.0, num_arms)
    assert detectable_difference(1.0, seeds, num_arms) <= effect
    assert effect < detectable_difference(1.0, seeds - 1, num_arms)


def test_seeds_to_decide_is_never_below_the_minimum():
    assert seeds_to_decide(-100.0, 1.0, 2) == 6


def test_seeds_to_decide_of_a_constant_difference_is_the_minimum():
    assert seeds_to_decide(0.01, 0.0, 2) == 6


def test_no_number_of_seeds_decides_what_the_test_samples_hide():
    assert seeds_to_decide(0.01, 0.001, 2, lasting_error=0.01) is None


@pytest.mark.parametrize(
    ("mean", "sd"), [(0.0, 1.0), (math.nan, 1.0), (0.1, math.nan), (1e-9, 1.0)]
)
def test_seeds_to_decide_is_undefined_without_a_difference_or_spread(mean, sd):
    assert seeds_to_decide(mean, sd, 2) is None
