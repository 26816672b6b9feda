import pytest

from bakeoff.search.pruners import PRUNERS, Cohort, decision_epochs
from bakeoff.search.samplers import SAMPLERS
from bakeoff.space import build_arms, build_trial_config, default_params
from bakeoff.studyfile.schema import SearchSection


@pytest.mark.parametrize(
    ("pruner", "warmup", "expected"),
    [
        ("none", 0.0, ()),
        ("median", 0.0, (2, 3)),
        ("median", 0.5, (3,)),
        ("median", 0.8, ()),
    ],
)
def test_a_trial_is_never_stopped_at_its_first_evaluation_or_during_warmup(
    config, pruner, warmup, expected
):
    params = dict(default_params(build_arms(config)[0], "mlp"))
    params["constant.warmup_fraction"] = warmup
    assert decision_epochs(pruner, build_trial_config(config, params, seed=0)) == expected


def cohort_after(curves, direction="maximize", startup_trials=2):
    cohort = Cohort("median", direction, startup_trials)
    for number, curve in enumerate(curves):
        for epoch, value in enumerate(curve, start=1):
            cohort.report(number, epoch, value)
        cohort.finish(number, curve[-1], pruned=False)
    return cohort


@pytest.mark.parametrize(
    ("direction", "value", "expected"),
    [("maximize", 0.4, True), ("maximize", 0.7, False), ("minimize", 0.4, False), ("minimize", 0.7, True)],
)  # fmt: skip
def test_a_trial_below_the_median_of_its_cohort_is_stopped(direction, value, expected):
    cohort = cohort_after([[0.5, 0.5], [0.6, 0.6], [0.55, 0.55]], direction)
    cohort.report(9, 2, value)
    assert cohort.should_prune(9) is expected


def test_nothing_is_stopped_before_the_cohort_has_enough_complete_trials():
    cohort = cohort_after([[0.9, 0.9]], startup_trials=2)
    cohort.report(9, 2, 0.1)
    assert not cohort.should_prune(9)


def test_an_epoch_reported_again_changes_nothing():
    cohort = cohort_after([[0.5, 0.5], [0.6, 0.6]])
    cohort.report(9, 2, 0.8)
    cohort.report(9, 2, 0.1)
    assert not cohort.should_prune(9)


def test_a_failed_trial_is_no_measure_for_others():
    cohort = cohort_after([[0.5, 0.5], [0.5, 0.5]])
    cohort.report(7, 2, 0.9)
    cohort.finish(7, None, pruned=False)
    cohort.report(9, 2, 0.6)
    assert not cohort.should_prune(9)


def test_the_study_file_allows_exactly_the_registered_samplers_and_pruners():
    properties = SearchSection.model_json_schema()["properties"]
    assert properties["sampler"]["enum"] == list(SAMPLERS.names)
    assert properties["pruner"]["enum"] == list(PRUNERS.names)
