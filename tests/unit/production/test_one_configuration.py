import tomllib

import pytest

from bakeoff.errors import StudyFileError, UsageError
from bakeoff.production.one_configuration import Chosen, fix_settings, params_of
from bakeoff.records import StudyConfig
from bakeoff.report.one_run_file import study_file_toml
from bakeoff.studyfile import format_study, resolve_study
from study_examples import study_document

SPACE = {"sgd": {"momentum": 0.9, "learning_rate": {"low": 0.01, "high": 1.0, "log": True}}}


def fixed(chosen: Chosen = Chosen(), **sections: dict) -> StudyConfig:  # noqa: B008 - frozen
    return fix_settings(resolve_study(study_document(**sections)), chosen)


def test_a_setting_that_is_not_chosen_has_the_files_value_or_the_library_default() -> None:
    config = fixed(space=SPACE, model={"dropout": {"low": 0.1, "high": 0.5}})
    assert params_of(config) == {
        "optimizer": "sgd",
        "scheduler": "constant",
        "sgd.learning_rate": 0.01,
        "sgd.weight_decay": 0.0,
        "sgd.momentum": 0.9,
        "constant.warmup_fraction": 0.0,
    }
    assert dict(config.model_params) == {"width": 16, "depth": 1, "dropout": 0.1}


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ({"learning_rate": {"low": 1e-5, "high": 1e-4, "log": True}}, 1e-4),
        ({"learning_rate": {"low": 1e-2, "high": 1e-1, "log": True}}, 1e-2),
        ({"learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}}, 1e-3),
        ({"learning_rate": {"choices": [0.3, 0.1]}}, 0.3),
        ({"learning_rate": {"choices": [0.3, 0.001]}}, 1e-3),
        ({"weight_decay": {"low": 1e-4, "high": 1e-2, "log": True}}, 1e-4),
        ({}, 1e-3),
    ],
)  # fmt: skip
def test_a_library_default_is_moved_into_the_files_own_range(given: dict, taken: float) -> None:
    (name,) = given or ["learning_rate"]
    assert params_of(fixed(space={"sgd": given}))[f"sgd.{name}"] == taken


def test_a_parameter_that_is_searched_by_the_file_alone_stays_in_its_range() -> None:
    space = {"adam": {"beta2": {"low": 0.9, "high": 0.95}}}
    assert params_of(fixed(Chosen(optimizer="adam"), space=space))["adam.beta2"] == 0.95


def test_a_chosen_value_may_lie_outside_the_files_range() -> None:
    assert params_of(fixed(Chosen(learning_rate=5.0), space=SPACE))["sgd.learning_rate"] == 5.0


def test_a_chosen_setting_replaces_both() -> None:
    chosen = Chosen(
        optimizer="adamw",
        scheduler="one_cycle",
        learning_rate=0.02,
        epochs=9,
        batch_size=32,
        others=("adamw.beta2=0.95", "model.width=8", "training.clip_grad_norm=0.5"),
    )
    config = fixed(chosen, space=SPACE)
    params = params_of(config)
    assert params["adamw.learning_rate"] == 0.02
    assert params["adamw.beta2"] == 0.95
    assert "sgd.momentum" not in params
    assert config.model_params["width"] == 8
    training = config.training
    assert (training.epochs, training.batch_size, training.clip_grad_norm) == (9, 32, 0.5)


def test_a_range_of_training_is_left_at_its_middle() -> None:
    config = fixed(training={"batch_size": {"low": 16, "high": 64, "log": True}})
    assert config.training.batch_size == 32


def test_the_only_schedule_of_the_file_is_taken() -> None:
    assert params_of(fixed(search={"schedulers": ["cosine"]}))["scheduler"] == "cosine"


def test_an_optimizers_own_schedule_is_taken() -> None:
    config = fixed(space={"sgd": {"scheduler": "cosine"}})
    assert params_of(config)["scheduler"] == "cosine"


@pytest.mark.parametrize("compare", [["optimizer"], ["scheduler"], ["optimizer", "scheduler"]])
def test_a_study_of_one_configuration_reduces_to_itself(compare: list[str]) -> None:
    config = fixed(Chosen(learning_rate=0.3), study={"compare": compare, "reference": None})
    assert resolve_study(tomllib.loads(format_study(config))) == config
    assert fix_settings(config, Chosen()) == config


def test_a_chosen_configuration_pasted_from_a_report_is_that_configuration() -> None:
    params = {
        "optimizer": "adamw",
        "adamw.learning_rate": 0.02,
        "adamw.weight_decay": 0.3,
        "adamw.beta1": 0.8,
        "scheduler": "one_cycle",
        "one_cycle.warmup_fraction": 0.2,
        "model.dropout": 0.25,
        "training.clip_grad_norm": 0.5,
    }
    document = study_document(space=SPACE, model={"dropout": {"low": 0.0, "high": 0.5}})
    pasted = tomllib.loads(study_file_toml(params))
    for section in ("search", "model", "training"):
        document[section] = {**document[section], **pasted[section]}
    document["space"] = pasted["space"]
    config = fix_settings(resolve_study(document), Chosen())
    found = {
        **params_of(config),
        "model.dropout": config.model_params["dropout"],
        "training.clip_grad_norm": config.training.clip_grad_norm,
    }
    assert {name: found[name] for name in params} == params


@pytest.mark.parametrize("written", ["beta2=0.9", "adam.beta2", "adam.=1", "=1"])
def test_a_setting_without_owner_or_value_is_refused(written: str) -> None:
    with pytest.raises(UsageError, match=r"write owner\.parameter=value"):
        fixed(Chosen(others=(written,)))


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("sgd.momentum=fast", "must be a number"),
        ("sgd.momentum=[1]", "must be a number"),
        ("training.epochs=true", "training.epochs = true"),
        ("training.precision=fp8", 'training.precision = "fp8"'),
        ("data.dataset=iris", "unknown optimizer or scheduler of this study 'data'"),
    ],
)
def test_a_value_that_is_not_allowed_is_refused(written: str, message: str) -> None:
    with pytest.raises(StudyFileError, match=message):
        fixed(Chosen(others=(written,)))


def test_without_pretrained_weights_inputs_are_normalised_by_the_data_again() -> None:
    sections = {"model": {"model": "torchvision:resnet18"}, "finetune": {"pretrained": True}}
    assert fixed(**sections).data.normalize == "weights"
    chosen = Chosen(others=("finetune.pretrained=false",))
    assert fixed(chosen, **sections).data.normalize is None
