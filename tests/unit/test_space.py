from dataclasses import replace

import optuna
import pytest
from hypothesis import given, settings, strategies as st
from optuna.distributions import FloatDistribution

from bakeoff.errors import SpaceChangedError
from bakeoff.ranges import Choice, FloatRange
from bakeoff.space import (
    build_arms,
    build_trial_config,
    check_unchanged,
    default_params,
    distributions,
    fingerprint,
    split_seeds,
    suggest,
)
from bakeoff.studyfile import resolve_study
from study_examples import study_document

optuna.logging.set_verbosity(optuna.logging.ERROR)


def arms_of(**changes):
    return build_arms(resolve_study(study_document(**changes)))


@pytest.mark.parametrize(
    ("compare", "names"),
    [
        (["optimizer"], ["sgd", "adam"]),
        (["scheduler"], ["constant", "cosine"]),
        (
            ["optimizer", "scheduler"],
            ["sgd+constant", "sgd+cosine", "adam+constant", "adam+cosine"],
        ),
    ],
)
def test_an_arm_is_one_value_of_what_is_compared(compare, names):
    assert [arm.name for arm in arms_of(study={"compare": compare})] == names


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 10_000), compare=st.sampled_from(["optimizer", "scheduler"]))
def test_a_suggestion_has_the_chosen_owners_parameters_only_each_in_its_range(seed, compare):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    for arm in arms_of(study={"compare": [compare]}, model={"dropout": {"low": 0.0, "high": 0.5}}):
        params = suggest(study.ask(), arm)
        owners = {params["optimizer"], params["scheduler"], "model"}
        assert {name.partition(".")[0] for name in params} - {"optimizer", "scheduler"} <= owners
        assert all(
            value in setting if isinstance(setting, (FloatRange, Choice)) else value == setting
            for name, value in params.items()
            for setting in (arm.space[name],)
        )


def test_a_fixed_value_is_used_as_it_is():
    (arm, _) = arms_of(space={"sgd": {"momentum": 0.9}})
    params = suggest(optuna.create_study().ask(), arm)
    assert params["sgd.momentum"] == 0.9


def test_the_default_configuration_is_the_librarys_without_a_schedule():
    (_, adam) = arms_of(model={"dropout": {"low": 0.0, "high": 0.5}})
    assert default_params(adam, "mlp") == {
        "optimizer": "adam",
        "scheduler": "constant",
        "adam.learning_rate": 1e-3,
        "adam.weight_decay": 0.0,
        "adam.beta1": 0.9,
        "constant.warmup_fraction": 0.0,
        "model.dropout": 0.0,
    }


def test_an_optimizer_of_the_package_has_a_default_configuration_too():
    name = "pytorch_optimizer:AdaBelief"
    [arm] = arms_of(search={"optimizers": [name], "schedulers": ["constant"]})
    assert default_params(arm, "mlp") == {
        "optimizer": name,
        "scheduler": "constant",
        f"{name}.learning_rate": 1e-3,
        f"{name}.weight_decay": 0.0,
        "constant.warmup_fraction": 0.0,
    }


def test_an_arm_with_schedules_of_its_own_knows_no_others():
    adam, averaging = arms_of(
        search={"optimizers": ["adam", "schedule_free_adamw"]},
        space={"schedule_free_adamw": {"scheduler": "constant"}},
    )
    assert adam.space["scheduler"] == Choice(choices=("constant", "cosine"))
    assert averaging.space["scheduler"] == "constant"
    assert list(averaging.space) == [
        "optimizer",
        "scheduler",
        "schedule_free_adamw.learning_rate",
        "schedule_free_adamw.weight_decay",
        "schedule_free_adamw.beta1",
        "constant.warmup_fraction",
    ]


def test_an_arm_with_schedules_of_its_own_stores_its_trials_with_the_others():
    config = resolve_study(
        study_document(
            search={"optimizers": ["adam", "schedule_free_adamw"]},
            space={"schedule_free_adamw": {"scheduler": "constant"}},
        )
    )
    for arm in build_arms(config):
        params = suggest(optuna.create_study().ask(), arm)
        assert distributions(config, params).keys() == params.keys()


def test_a_training_range_without_a_library_default_starts_in_its_middle():
    (sgd, _) = arms_of(training={"batch_size": {"low": 16, "high": 256, "log": True}})
    assert default_params(sgd, "mlp")["training.batch_size"] == 64


def test_a_default_outside_a_logarithmic_range_has_no_distribution():
    config = resolve_study(study_document())
    known = distributions(config, default_params(build_arms(config)[0], "mlp"))
    assert "sgd.weight_decay" not in known
    rate = known["sgd.learning_rate"]
    assert isinstance(rate, FloatDistribution)
    assert rate.low == 1e-4


def test_parameters_reach_their_owners():
    config = resolve_study(study_document(training={"batch_size": {"choices": [32, 64]}}))
    params = {
        "optimizer": "adam",
        "scheduler": "cosine",
        "adam.learning_rate": 0.01,
        "cosine.warmup_fraction": 0.1,
        "training.batch_size": 32,
    }
    trial = build_trial_config(config, params, seed=5)
    assert (trial.optimizer, trial.optimizer_params) == ("adam", {"learning_rate": 0.01})
    assert (trial.scheduler, trial.scheduler_params) == ("cosine", {"warmup_fraction": 0.1})
    assert trial.training.batch_size == 32
    assert trial.model_params == {"width": 16, "depth": 1, "dropout": 0.0}
    assert trial.seed == 5


def test_the_split_does_not_depend_on_the_training_seed(config):
    params = default_params(build_arms(config)[0], "mlp")
    splits = {build_trial_config(config, params, seed).split_seed for seed in (1, 2, 3)}
    assert len(splits) == 1


def test_resplitting_draws_a_split_per_repeat_and_per_confirmation_seed_for_all_arms():
    config = resolve_study(study_document(confirm={"resplit": True}))
    known = {
        (repeat, purpose, seed): split_seeds(config, repeat, purpose, seed)
        for repeat in (0, 1, 2)
        for purpose in ("search", "shortlist", "confirm", "default")
        for seed in (5, 6)
    }
    for repeat in (0, 1, 2):
        searched = {known[repeat, one, seed] for one in ("search", "shortlist") for seed in (5, 6)}
        assert len(searched) == 1
        for seed in (5, 6):
            assert known[repeat, "confirm", seed] == known[repeat, "default", seed]
    assert len({split for split, _ in known.values()}) == 3 * 3
    test_seeds = {
        repeat: {known[one][1] for one in known if one[0] == repeat} for repeat in (0, 1, 2)
    }
    assert test_seeds[0] == {None}
    assert all(len(seeds) == 1 for seeds in test_seeds.values())
    assert len(set.union(*test_seeds.values())) == 3
    calm = resolve_study(study_document())
    assert known[0, "search", 5] == split_seeds(calm, 0, "search", 5)
    assert {split_seeds(calm, repeat, "confirm", 5) for repeat in (0, 1)} == {known[0, "search", 5]}


def test_the_question_may_be_reworded(config):
    reworded = replace(config, question="Another question?")
    assert fingerprint(reworded) == fingerprint(config)
    check_unchanged(config, reworded)


def test_a_changed_setting_is_refused_with_the_difference(config):
    changed = resolve_study(study_document(training={"epochs": 5}))
    with pytest.raises(SpaceChangedError, match=r"training\.epochs: 4 -> 5"):
        check_unchanged(config, changed)


def test_a_changed_range_is_refused_with_the_difference(config):
    rate = {"learning_rate": {"low": 0.01, "high": 1.0, "log": True}}
    changed = resolve_study(study_document(space={"sgd": rate}))
    with pytest.raises(
        SpaceChangedError, match=r"space\.sgd\.learning_rate: .*0\.0001.* -> .*0\.01"
    ):
        check_unchanged(config, changed)
