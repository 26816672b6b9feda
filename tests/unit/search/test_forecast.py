import pytest

from bakeoff.search.forecast import MOST_TRIALS, forecast
from bakeoff.studyfile import resolve_study
from study_examples import study_document


def forecast_of(trials_per_arm, epochs=54, **search):
    return forecast(
        resolve_study(
            study_document(
                training={"epochs": epochs},
                search={"trials_per_arm": trials_per_arm, "schedulers": ["constant"],
                        "audit": 0, **search},
                space={"constant": {"warmup_fraction": 0.0}},
            )
        )
    )  # fmt: skip


def test_without_pruning_every_trial_trains_to_its_end():
    found = forecast_of(10, pruner="none")
    assert (found.epochs, found.most_paused) == (2 * 10 * 54, 0)


def test_halving_promotes_a_quarter_of_each_rung():
    """Of 16 trials to epoch 2 at least 4 continue to 6, 1 to 18 and 54; early promotions add to that."""
    found = forecast_of(16, pruner="halving")
    ladder = 16 * 2 + 4 * 4 + 1 * 12 + 1 * 36
    assert 2 * ladder <= found.epochs <= 1.5 * 2 * ladder
    assert 2 * 8 <= found.most_paused <= 2 * 16


def test_audited_trials_are_counted():
    more = forecast_of(40, pruner="halving", audit=0.1).epochs
    fewer = forecast_of(40, pruner="halving", audit=0).epochs
    assert 2 * 4 * 54 * 0.5 < more - fewer < 2 * 4 * 54 * 1.2


@pytest.mark.parametrize("pruner", ["median", "percentile", "hyperband", "patient"])
def test_other_pruners_save_epochs_too(pruner):
    found = forecast_of(20, epochs=10, pruner=pruner, pruner_startup_trials=2)
    assert found.most_paused == 0
    assert (found.epochs < 2 * 20 * 10) == (pruner != "patient")


def test_a_long_search_is_forecast_from_a_part_of_it():
    found = forecast_of(10 * MOST_TRIALS, pruner="none", epochs=3)
    assert found.epochs == 2 * 10 * MOST_TRIALS * 3
