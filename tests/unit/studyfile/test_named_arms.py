"""The section `[arms]`: what its arms may have of their own, and how it is stored."""

import tomllib
from collections.abc import Mapping
from typing import Any

import pytest

from bakeoff.errors import SpaceChangedError, StudyFileError, UsageError
from bakeoff.production.one_configuration import Chosen, fix_settings
from bakeoff.ranges import Choice, FloatRange
from bakeoff.records import StudyConfig
from bakeoff.report.one_run_file import study_file_toml
from bakeoff.space import (
    build_arms,
    build_trial_config,
    check_extension,
    check_unchanged,
    default_params,
    distributions,
    fingerprint,
)
from bakeoff.storage.contents import as_begun, extended_content, new_content
from bakeoff.studyfile import format_study, load_study, resolve_stored, resolve_study
from bakeoff.studyfile.documents import parse_settings
from study_examples import study_document, study_facts

FOCAL = "my_losses:focal"
ARMS: dict[str, Any] = {
    "focal": {"training": {"loss": FOCAL, "batch_size": {"choices": [32, 64]}}},
    "cross_entropy": {},
    "deep": {"model": {"depth": 3}},
    "cnn": {"model": {"model": "cnn"}, "data": {"augment": ["translate"], "normalize": "none"}},
    "rms": {
        "search": {"optimizers": ["rmsprop"], "schedulers": ["cosine"]},
        "space": {"rmsprop": {"learning_rate": {"low": 1e-3, "high": 1e-2, "log": True}}},
    },
}


def study(arms: Any = ARMS, **changes: Mapping[str, Any]) -> StudyConfig:
    search = {"optimizers": ["sgd"], "schedulers": ["constant"], **changes.pop("search", {})}
    return resolve_study({**study_document(search=search, **changes), "arms": arms})


def test_each_arm_trains_with_its_own_settings_and_otherwise_as_the_study_says() -> None:
    config = study(model={"width": 24})
    trials = {
        arm.name: build_trial_config(one, default_params(arm, one.model), 7)
        for arm in build_arms(config)
        for one in (config.of_arm(arm.name),)
    }
    assert {name: one.training.loss for name, one in trials.items()} == {
        "focal": FOCAL,
        "cross_entropy": "cross_entropy",
        "deep": "cross_entropy",
        "cnn": "cross_entropy",
        "rms": "cross_entropy",
    }
    assert trials["focal"].training.batch_size == 32
    assert trials["cross_entropy"].training.batch_size == 64
    assert dict(trials["deep"].model_params) == {"width": 24, "depth": 3, "dropout": 0.0}
    assert trials["cnn"].model == "cnn"
    assert trials["cnn"].model_params["width"] == 16, "its own default, not that of the mlp"
    assert trials["cnn"].data.augment == ("translate",)
    assert (trials["rms"].optimizer, trials["rms"].scheduler) == ("rmsprop", "cosine")
    assert {one.training.epochs for one in trials.values()} == {4}
    assert {one.split_seed for one in trials.values()} == {trials["deep"].split_seed}


def test_each_arm_has_a_space_of_its_own() -> None:
    spaces = {arm.name: arm.space for arm in build_arms(study())}
    assert list(spaces) == list(ARMS)
    assert spaces["focal"]["training.batch_size"] == Choice(choices=(32, 64))
    assert "training.batch_size" not in spaces["deep"]
    assert spaces["rms"]["rmsprop.learning_rate"] == FloatRange(low=1e-3, high=1e-2, log=True)
    assert spaces["rms"]["optimizer"] == "rmsprop"
    assert "sgd.learning_rate" not in spaces["rms"]
    assert spaces["deep"]["sgd.learning_rate"] == spaces["cnn"]["sgd.learning_rate"]


def test_an_arm_with_several_optimizers_chooses_among_them() -> None:
    arms = {"any": {"search": {"optimizers": ["sgd", "adam"]}}, "sgd": {}}
    first, second = build_arms(study(arms))
    assert first.space["optimizer"] == Choice(choices=("sgd", "adam"))
    assert second.space["optimizer"] == "sgd"


@pytest.mark.parametrize(
    ("arms", "changes"),
    [
        (ARMS, {}),
        ({"low": {}, "high": {"training": {"ema_decay": 0.9}}}, {"training": {"ema_decay": 0.5}}),
        (
            {"frozen": {}, "fresh": {"finetune": {"pretrained": False, "freeze": "none"}}},
            {
                "model": {"model": "torchvision:resnet18", "width": 64},
                "finetune": {"pretrained": True, "freeze": "backbone"},
            },
        ),
        (
            {"tuned": {"finetune": {"pretrained": True}, "data": {"normalize": "data"}}, "new": {}},
            {"model": {"model": "torchvision:resnet18"}},
        ),
        (
            {"fixed": {"training": {"batch_size": 32}}, "any": {}},
            {"training": {"batch_size": {"low": 16, "high": 64}}},
        ),
    ],
)
def test_a_stored_study_loads_back_with_its_arms(
    arms: dict[str, Any], changes: dict[str, Any]
) -> None:
    document = study_document(**changes)
    if changes.get("model", {}).get("model", "mlp") != "mlp":
        document["model"] = {"model": changes["model"]["model"]}
    config = resolve_study({**document, "arms": arms})
    assert list(config.arms) == list(arms)
    assert resolve_stored(tomllib.loads(format_study(config))) == config


def test_inputs_of_a_fresh_model_are_not_normalised_as_pretrained_weights_ask() -> None:
    document = study_document(finetune={"pretrained": True})
    document["model"] = {"model": "torchvision:resnet18"}
    arms = {"tuned": {}, "fresh": {"finetune": {"pretrained": False}}}
    config = resolve_study({**document, "arms": arms})
    again = resolve_stored(tomllib.loads(format_study(config)))
    assert again.of_arm("tuned").data.normalize == "weights"
    assert again.of_arm("fresh").data.normalize is None


@pytest.mark.parametrize(
    ("arms", "message"),
    [
        ({"one": {}}, "arms: only 'one'; name two or more to compare"),
        ({"one": {}, "t wo": {}}, "arms.t wo"),
        ({"one": {}, "two": {"training": {"epochs": 5}}},
         "arms.two.training.epochs: cannot differ between arms; all arms have the same budget"),
        ({"one": {}, "two": {"training": {"precision": "bf16"}}}, "two.training.precision"),
        ({"one": {}, "two": {"training": {"metrics": ["m:f1"]}}}, "two.training.metrics"),
        ({"one": {}, "two": {"study": {"seed": 4}}},
         "arms.two.study: cannot differ between arms; the study has one name, seed and objective"),
        ({"one": {}, "two": {"confirm": {"seeds": 4}}}, "arms.two.confirm: cannot differ"),
        ({"one": {}, "two": {"search": {"sampler": "gp"}}}, "arms.two.search.sampler: cannot"),
        ({"one": {}, "two": {"data": {"train_samples": 10}}},
         "arms.two.data.train_samples: cannot differ between arms; all arms train on the same"),
        ({"one": {}, "two": {"trainin": {}}}, "unknown section 'trainin'; did you mean 'training'"),
        ({"one": {}, "two": {"training": {"los": "x"}}},
         "arms.two: training.los: unknown key 'los'; did you mean 'loss'"),
        ({"one": {}, "two": {"model": {"widht": 3}}}, "arms.two: model.widht: unknown key"),
        ({"one": {}, "two": {"space": {"adam": {"learning_rate": 0.1}}}},
         "arms.two: space.adam: unknown optimizer or scheduler of this study 'adam'"),
        ({"one": {}, "two": {"training": 3}}, "arms.two.training = 3"),
    ],
)  # fmt: skip
def test_what_must_be_the_same_in_all_arms_is_refused_with_the_reason(
    arms: dict[str, Any], message: str
) -> None:
    with pytest.raises(StudyFileError) as caught:
        study(arms)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_arm_that_chooses_among_optimizers_has_one_list_of_schedules() -> None:
    own = {"sgd": {"scheduler": "constant"}}
    arms = {"any": {"search": {"optimizers": ["sgd", "adam"]}, "space": own}, "sgd": {}}
    with pytest.raises(StudyFileError, match=r"arms.any: space.sgd.scheduler: goes only with"):
        study(arms)


def test_different_losses_are_not_compared_by_the_loss() -> None:
    arms = {"focal": {"training": {"loss": FOCAL}}, "plain": {}}
    with pytest.raises(StudyFileError, match=f"focal: {FOCAL}, plain: cross_entropy"):
        study(arms, study={"objective": "loss"})
    same = {"wide": {"model": {"width": 32}}, "plain": {}}
    assert study(same, study={"objective": "loss"}).objective == "loss"


def test_the_arms_are_named_or_compared_but_not_both() -> None:
    with pytest.raises(StudyFileError, match=r"study.compare: the arms are those of \[arms\]"):
        study(study={"compare": ["optimizer"]})
    assert study().question == "Which arm suits digits?"
    assert study(study={"reference": "deep"}).reference == "deep"
    with pytest.raises(StudyFileError, match="unknown arm 'sgd'"):
        study(study={"reference": "sgd"})


def test_a_setting_of_one_arm_can_be_given_by_its_key(tmp_path: Any) -> None:
    settings = parse_settings(["arms.deep.model.depth=4"])
    config = load_study({**study_document(), "arms": {"deep": {}, "toy": {}}}, settings=settings)
    assert config.arms["deep"].model_params["depth"] == 4
    assert config.arms["toy"].model_params["depth"] == 1


def test_a_part_of_an_arm_that_does_not_exist_is_refused_with_its_arm(tmp_path: Any) -> None:
    (tmp_path / "arm_losses.py").write_text("def focal(outputs, labels):\n    return 0\n")
    arms = {"focal": {"training": {"loss": "arm_losses:fokal"}}, "toy": {}}
    with pytest.raises(StudyFileError, match=r"^arms.focal.training.loss = .*'focal'"):
        load_study({**study_document(), "arms": arms}, settings={}, folder=str(tmp_path))
    shared = study_document(training={"loss": "arm_losses:fokal"})
    arms = {"deep": {"model": {"depth": 3}}, "toy": {}}
    with pytest.raises(StudyFileError, match=r"^training.loss = .*'focal'"):
        load_study({**shared, "arms": arms}, settings={}, folder=str(tmp_path))


def test_a_single_run_asks_for_the_configuration_of_one_arm() -> None:
    with pytest.raises(UsageError, match="its arms focal, cross_entropy, deep, cnn, rms; take"):
        fix_settings(study(), Chosen())


def test_a_record_says_in_what_the_arms_differ() -> None:
    arms = {"focal": {"training": {"loss": FOCAL}}, "deep": {"model": {"depth": 3}}}
    assert {arm.name: dict(arm.settings) for arm in build_arms(study(arms))} == {
        "focal": {"model.depth": "1", "training.loss": FOCAL},
        "deep": {"model.depth": "3", "training.loss": "cross_entropy"},
    }
    assert all(not arm.settings for arm in build_arms(resolve_study(study_document())))


def test_an_arm_without_settings_is_part_of_the_fingerprint() -> None:
    two, three = ({"deep": ARMS["deep"], "a": {}}, {"deep": ARMS["deep"], "a": {}, "b": {}})
    assert fingerprint(study(two)) != fingerprint(study(three))
    with pytest.raises(SpaceChangedError, match="add them with --extend"):
        check_unchanged(study(two), study(three))


def test_a_study_is_extended_by_arms_whose_others_stay_as_they_are() -> None:
    before = study({name: ARMS[name] for name in ("focal", "cross_entropy")})
    changes = check_extension(before, study())
    assert any(change.startswith("arms.deep.model.depth: absent -> 3") for change in changes)
    other = {**ARMS, "focal": {"training": {"label_smoothing": 0.1}}}
    with pytest.raises(SpaceChangedError, match=r"arms\.focal\.training\.label_smoothing"):
        check_extension(before, study(other))
    without = {name: one for name, one in ARMS.items() if name != "focal"}
    with pytest.raises(SpaceChangedError, match="space of focal changed or is missing"):
        check_extension(before, study(without))


def test_the_first_arms_decide_the_distributions_that_optuna_keeps() -> None:
    before = study({name: ARMS[name] for name in ("focal", "cross_entropy")})
    content = new_content(before, study_facts(), None)
    extended = extended_content(content, study(), num_settled=3, changes_after_results=())
    rms = build_arms(study())[-1]
    params = default_params(rms, "mlp")
    assert distributions(study(), params).keys() >= {"optimizer", "rmsprop.learning_rate"}
    known = as_begun(study(), extended)
    assert list(known.arms) == ["focal", "cross_entropy"]
    assert "rmsprop.learning_rate" not in distributions(known, params)
    sgd = default_params(build_arms(before)[1], "mlp")
    assert distributions(known, sgd) == distributions(before, sgd)


def test_a_pasted_configuration_has_the_settings_of_its_arm() -> None:
    config = study()
    text = format_study(config)
    for arm in build_arms(config):
        one = config.of_arm(arm.name)
        params = default_params(arm, one.model)
        pasted = resolve_study(tomllib.loads(study_file_toml(params, text, arm.name)))
        assert not pasted.arms
        wanted = build_trial_config(one, params, 7)
        found = build_trial_config(pasted, default_params(build_arms(pasted)[0], one.model), 7)
        assert (found.model, found.model_params) == (wanted.model, wanted.model_params)
        assert (found.training, found.data) == (wanted.training, wanted.data)
        assert (found.optimizer, found.optimizer_params) == (
            wanted.optimizer, wanted.optimizer_params,
        )  # fmt: skip
