"""Budgets in epochs and seconds: what is promised, with workers that advance in any order."""

import math

import pytest
from hypothesis import given, settings, strategies as st

from bakeoff.errors import SpaceChangedError, StudyFileError
from bakeoff.records import Budget, EpochResult
from bakeoff.search.forecast import forecast
from bakeoff.search.ledger import Ledger
from bakeoff.space import check_extension
from bakeoff.studyfile import format_study, load_study_file, resolve_study
from search_simulation import EPOCHS, Simulation, search_of
from study_examples import study_document

PRUNERS = ("halving", "median", "none")
NO_TRIALS = {"trials_per_arm": None}


def curve(plan, number, epoch):
    """One trial in seven diverges after a few epochs; the others keep their order."""
    return math.nan if number % 7 == 3 and epoch > 4 else (number * 37 % 101) / 101 + epoch * 1e-4


def simulated(num_workers, turns=(), train_seconds=0.0, **search):
    simulation = Simulation(search_of(**{**NO_TRIALS, **search}), curve, train_seconds)
    simulation.run(num_workers, turns)
    return simulation


def config_of(**search):
    return resolve_study(study_document(training={"epochs": 4}, search={**NO_TRIALS, **search}))


@settings(max_examples=40, deadline=None)
@given(
    pruner=st.sampled_from(PRUNERS),
    num_workers=st.integers(1, 9),
    budget=st.integers(EPOCHS, 12 * EPOCHS),
    turns=st.lists(st.integers(0, 8), max_size=60),
)
def test_no_arm_is_charged_more_epochs_than_promised_nor_left_with_a_whole_run(
    pruner, num_workers, budget, turns
):
    simulation = simulated(num_workers, turns, epochs_per_arm=budget, pruner=pruner)
    for arm, charges in simulation.search.ledger.charges.items():
        trained = [n for n, plan in simulation.plans.items() if plan.arm == arm]
        assert charges.epochs == sum(simulation.epochs[number] for number in trained)
        assert budget - EPOCHS < charges.epochs <= budget
        assert charges.trials == len(trained)


@pytest.mark.parametrize("num_workers", [1, 2, 4])
@pytest.mark.parametrize("pruner", PRUNERS)
def test_arms_get_the_same_epochs_where_their_runs_cost_the_same(pruner, num_workers):
    simulation = simulated(num_workers, epochs_per_arm=200, pruner=pruner, audit=0)
    epochs = [charges.epochs for charges in simulation.search.ledger.charges.values()]
    assert max(epochs) - min(epochs) < EPOCHS


def test_halving_draws_more_trials_for_the_same_epochs():
    drawn = {
        pruner: len(simulated(2, epochs_per_arm=20 * EPOCHS, pruner=pruner).plans)
        for pruner in ("none", "halving")
    }
    assert drawn["none"] >= 40
    assert drawn["halving"] > 2 * drawn["none"]


@settings(max_examples=40, deadline=None)
@given(
    pruner=st.sampled_from(PRUNERS),
    num_workers=st.integers(1, 6),
    turns=st.lists(st.integers(0, 5), max_size=60),
)
def test_an_arm_is_charged_at_most_an_epoch_of_each_worker_beyond_its_seconds(
    pruner, num_workers, turns
):
    budget, seconds = 300.0, 2.0
    simulation = simulated(num_workers, turns, seconds, seconds_per_arm=budget, pruner=pruner)
    for charges in simulation.search.ledger.charges.values():
        assert budget - EPOCHS * seconds < charges.seconds <= budget + num_workers * seconds


def test_the_first_limit_that_is_reached_ends_the_search():
    few = simulated(2, epochs_per_arm=10**6, pruner="none", trials_per_arm=3)
    short = simulated(2, epochs_per_arm=2 * EPOCHS, pruner="none", trials_per_arm=30)
    assert (len(few.plans), len(short.plans)) == (6, 4)


def test_a_trial_stops_after_its_epoch_when_its_arm_has_used_up_its_seconds():
    search = search_of(trials_per_arm=None, seconds_per_arm=30, pruner="none")
    plan = search.next()
    search.started(0, plan)
    results = [
        EpochResult(epoch=epoch, metrics={"accuracy": 0.5}, train_seconds=8, evaluate_seconds=2)
        for epoch in range(1, 4)
    ]
    assert [search.decide(0, plan, one) for one in results] == [
        "continue",
        "continue",
        "budget_used",
    ]


def test_an_epoch_reported_again_is_charged_once_with_its_seconds():
    ledger = Ledger(["a"], Budget(seconds=100), run_epochs=9)
    ledger.begin(0, "a")
    ledger.reserve(0, 9)
    for seconds in (0.0, 3.0, 3.0):
        ledger.charge(0, EpochResult(epoch=1, metrics={}, train_seconds=seconds))
    assert (ledger.charges["a"].epochs, ledger.charges["a"].seconds) == (1, 3.0)


def test_an_arm_with_slower_epochs_gets_fewer_of_them():
    simulation = Simulation(
        search_of(trials_per_arm=None, seconds_per_arm=400, pruner="none"), curve
    )
    simulation.seconds_of = lambda plan: 1.0 if plan.arm == "sgd" else 3.0
    simulation.run(2, ())
    charges = simulation.search.ledger.charges
    assert charges["sgd"].trials > 2 * charges["adam"].trials


@pytest.mark.parametrize("pruner", PRUNERS)
def test_a_forecast_of_epochs_stays_within_the_budget(pruner):
    config = config_of(epochs_per_arm=1000, pruner=pruner)
    expected = forecast(config)
    assert 0.9 * 2000 <= expected.epochs <= 2000
    assert expected.trials >= 500


def test_a_forecast_of_seconds_is_one_of_epochs_at_the_measured_pace():
    config = config_of(seconds_per_arm=50, pruner="none")
    assert forecast(config, seconds_per_epoch=0.5).epochs == 200


def test_a_budget_comes_back_from_the_stored_file(tmp_path):
    config = config_of(epochs_per_arm=40, seconds_per_arm=7.5)
    path = tmp_path / "study.toml"
    path.write_text(format_study(config))
    assert load_study_file(path) == config
    assert config.search.budget == Budget(epochs=40, seconds=7.5)


def test_a_budget_below_one_run_is_refused():
    with pytest.raises(StudyFileError, match=r"epochs_per_arm = 3: less than one run of 4 epochs"):
        config_of(epochs_per_arm=3)


def test_an_extension_may_raise_a_limit_or_drop_it():
    stored = config_of(epochs_per_arm=40, trials_per_arm=9)
    for given_search in ({"epochs_per_arm": 60, "trials_per_arm": 9}, {"epochs_per_arm": 40}):
        assert check_extension(stored, config_of(**given_search))


@pytest.mark.parametrize(
    "changed", [{"epochs_per_arm": 30}, {"epochs_per_arm": 40, "seconds_per_arm": 9}]
)
def test_an_extension_may_neither_lower_a_limit_nor_set_a_new_one(changed):
    with pytest.raises(SpaceChangedError, match=r"search\.\w+_per_arm: fewer"):
        check_extension(config_of(epochs_per_arm=40), config_of(**changed))
