import itertools

import pytest

from bakeoff.components.pruners import PRUNERS, PrunerSettings
from bakeoff.components.samplers import SAMPLERS
from bakeoff.records import EpochResult
from bakeoff.search.pruners import Cohort, PrunedCohorts, build_pruner
from bakeoff.space import build_arms, build_trial_config, default_params
from bakeoff.studyfile import resolve_study
from bakeoff.studyfile.schema import SearchSection
from study_examples import study_document

SETTINGS = {
    "percentile": {"percentile": 25.0},
    "hyperband": {"reduction": 3},
    "patient": {"patience": 2, "min_delta": 0.0},
    "threshold": {"lower": 0.3},
}
OPTUNAS = [one.name for one in PRUNERS if one.build is not None and not one.pauses]


@pytest.mark.parametrize(
    ("pruner", "warmup", "expected"),
    [
        ("none", 0.0, ()),
        *((name, 0.0, (2, 3)) for name in OPTUNAS),
        *((name, 0.5, (3,)) for name in OPTUNAS),
        *((name, 0.8, ()) for name in OPTUNAS),
    ],
)
def test_a_trial_is_never_stopped_at_its_first_evaluation_or_during_warmup(
    config, pruner, warmup, expected
):
    params = dict(default_params(build_arms(config)[0], "mlp"))
    params["constant.warmup_fraction"] = warmup
    settings = PrunerSettings(startup_trials=1, epochs=config.training.epochs)
    cohorts = PrunedCohorts(pruner, "accuracy", "maximize", settings)
    assert cohorts.decision_epochs(build_trial_config(config, params, seed=0)) == expected


def cohort_after(
    curves, direction="maximize", startup_trials=2, pruner="median", epochs=4, judges=False
):
    settings = PrunerSettings(
        startup_trials=startup_trials, epochs=epochs, params=SETTINGS.get(pruner, {})
    )
    cohort = Cohort(pruner, direction, settings)
    for number, curve in enumerate(curves):
        cohort.start(number)
        for epoch, value in enumerate(curve, start=1):
            cohort.report(number, epoch, value)
            if judges:
                cohort.should_prune(number)
        cohort.finish(number, curve[-1], pruned=False)
    return cohort


def falls_behind(cohort, curve, number=99):
    """The first epoch at which a new trial with this curve is stopped, asked from the second on."""
    cohort.start(number)
    for epoch, value in enumerate(curve, start=1):
        cohort.report(number, epoch, value)
        if epoch > 1 and cohort.should_prune(number):
            return epoch
    return None


@pytest.mark.parametrize(
    ("direction", "value", "expected"),
    [("maximize", 0.4, True), ("maximize", 0.7, False), ("minimize", 0.4, False), ("minimize", 0.7, True)],
)  # fmt: skip
def test_a_trial_below_the_median_of_its_cohort_is_stopped(direction, value, expected):
    cohort = cohort_after([[0.5, 0.5], [0.6, 0.6], [0.55, 0.55]], direction)
    cohort.start(9)
    cohort.report(9, 2, value)
    assert cohort.should_prune(9) is expected


LEVELS = [[level / 10] * 12 for level in range(1, 9)]
"""Eight complete trials at 0.1 to 0.8."""


@pytest.mark.parametrize(
    ("pruner", "stopped", "continued"),
    [
        ("median", [0.44] * 4, [0.46] * 4),
        ("percentile", [0.6] * 4, [0.7] * 4),
        ("threshold", [0.29] * 4, [0.31] * 4),
        ("patient", [0.4] + [0.3] * 5, [0.1, 0.15, 0.2, 0.25, 0.3, 0.35]),
        ("hyperband", [0.1] * 8, [0.95] * 8),
    ],
)
def test_each_pruner_stops_a_bad_trial_and_continues_a_good_one(pruner, stopped, continued):
    assert falls_behind(cohort_after(LEVELS, pruner=pruner, epochs=12), continued) is None
    hits = [
        falls_behind(cohort_after(LEVELS[:size], pruner=pruner, epochs=12, judges=True), stopped)
        for size in range(4, 9)
    ]
    assert any(hits), "in at least one bracket"


def test_hyperband_gives_the_same_answer_twice():
    """Optuna would take the second question for one at the next rung."""
    cohort = cohort_after(LEVELS, pruner="hyperband", epochs=12, judges=True)
    for number in range(20, 40):
        cohort.start(number)
        cohort.report(number, 2, 0.05)
        assert cohort.should_prune(number) == cohort.should_prune(number)
    assert any(cohort.should_prune(number) for number in range(20, 40))


@pytest.mark.parametrize("pruner", OPTUNAS)
def test_a_cohort_restored_trial_by_trial_decides_as_the_original_did(pruner):
    """After a restart the epochs come trial by trial, not as they were measured."""
    settings = PrunerSettings(startup_trials=1, epochs=8, params=SETTINGS.get(pruner, {}))
    live, again = (PrunedCohorts(pruner, "accuracy", "maximize", settings) for _ in range(2))
    key, rungs = ("sgd", "constant"), tuple(range(2, 8))
    curves = {
        number: [0.1 * ((number * 5) % 7) + 0.01 * e for e in range(1, 6)] for number in range(7)
    }
    for cohorts, order in (
        (live, itertools.product(range(5), curves)),
        (again, ((epoch, number) for number in curves for epoch in range(5))),
    ):
        for number in curves:
            cohorts.start(key, number)
        for epoch, number in order:
            result = EpochResult(epoch=epoch + 1, metrics={"accuracy": curves[number][epoch]})
            cohorts.report(key, number, rungs, result)
    for cohorts in (live, again):
        for number in curves:
            result = EpochResult(epoch=6, metrics={"accuracy": curves[number][-1]})
            cohorts.report(key, number, rungs, result)
    assert [live.decide(key, number) for number in curves] == [
        again.decide(key, number) for number in curves
    ]


def test_nothing_is_stopped_before_the_cohort_has_enough_complete_trials():
    cohort = cohort_after([[0.9, 0.9]], startup_trials=2)
    assert falls_behind(cohort, [0.1, 0.1]) is None


def test_an_epoch_reported_again_changes_nothing():
    cohort = cohort_after([[0.5, 0.5], [0.6, 0.6]])
    cohort.start(9)
    cohort.report(9, 2, 0.8)
    cohort.report(9, 2, 0.1)
    assert not cohort.should_prune(9)


def test_other_trials_are_not_compared_with_a_failed_trial():
    cohort = cohort_after([[0.5, 0.5], [0.5, 0.5]])
    cohort.start(7)
    cohort.report(7, 2, 0.9)
    cohort.finish(7, None, pruned=False)
    assert falls_behind(cohort, [0.6, 0.6]) is None


def test_the_study_file_allows_exactly_the_registered_samplers_and_pruners():
    schema = SearchSection.model_json_schema()
    assert schema["properties"]["sampler"]["enum"] == list(SAMPLERS.names)
    allowed = schema["$defs"]["PrunerTable"]["properties"]["name"]["enum"]
    assert sorted(allowed) == sorted(PRUNERS.names)


@pytest.mark.parametrize("pruner", OPTUNAS)
def test_every_pruner_that_the_study_file_offers_can_be_built(pruner):
    table = {"name": pruner, **SETTINGS.get(pruner, {})}
    search = resolve_study(study_document(search={"pruner": table})).search
    assert (search.pruner, search.pruner_params) == (pruner, SETTINGS.get(pruner, {}))
    settings = PrunerSettings(startup_trials=3, epochs=10, params=search.pruner_params)
    assert build_pruner(PRUNERS[pruner], settings)
