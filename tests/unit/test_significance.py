import itertools

import pytest

from bakeoff.records.significance import ALPHA, alpha_at, look_rates, obrien_fleming


def test_half_of_the_seeds_spend_what_lan_and_demets_say():
    assert obrien_fleming(0.5) == pytest.approx(0.00557, abs=1e-5)
    assert obrien_fleming(1.0) == pytest.approx(ALPHA)


def test_without_looks_the_whole_rate_is_spent_at_once():
    assert alpha_at((), 8, 4) == ALPHA
    assert alpha_at((10,), 10, 4) == ALPHA


def test_two_looks_of_two_arms_spend_by_obrien_and_fleming():
    assert look_rates((10, 20), 2) == pytest.approx((0.00557, 0.04443), abs=1e-5)


def test_a_look_that_could_not_decide_otherwise_spends_what_the_exact_test_needs():
    first, last = look_rates((10, 20), 4)
    assert first > 6 * 2 / 2**10  # all ten differences of one sign are then enough
    assert first == pytest.approx(0.01171875)
    assert last == pytest.approx(ALPHA - first)


def test_a_look_that_would_cost_too_much_decides_nothing_and_costs_nothing():
    assert look_rates((10, 20), 8) == (0.0, ALPHA)
    assert look_rates((6, 12), 4) == (0.0, ALPHA)


@pytest.mark.parametrize("num_arms", [1, 2, 3, 4, 8])
def test_all_looks_together_never_spend_more_than_alpha(num_arms):
    for looks in itertools.combinations(range(6, 31, 3), 3):
        rates = look_rates(looks, num_arms)
        assert sum(rates) == pytest.approx(ALPHA)
        assert all(rate >= 0 for rate in rates)
        spent = max(obrien_fleming(looks[-2] / looks[-1]), ALPHA / 2)
        assert rates[-1] == pytest.approx(ALPHA - spent) or rates[-1] > ALPHA - spent


@pytest.mark.parametrize(("num_seeds", "place"), [(4, 0), (10, 0), (14, 0), (20, 1), (30, 1)])
def test_the_look_that_was_last_is_known_from_the_seeds_that_ran(num_seeds, place):
    assert alpha_at((10, 20), num_seeds, 4) == look_rates((10, 20), 4)[place]
