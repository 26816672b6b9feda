import tomllib

import pytest

from bakeoff.errors import StudyFileError
from bakeoff.ranges import Choice, FloatRange
from bakeoff.records import FinetuneConfig
from bakeoff.space import build_arms, build_trial_config, default_params, fingerprint
from bakeoff.studyfile import format_study, load_study, resolve_study
from study_examples import study_document

RESNET = {"model": "torchvision:resnet18"}


def config_of(finetune=None, model=None, **changes):
    document = study_document(**changes)
    document["model"] = model or RESNET
    return resolve_study({**document, "finetune": finetune or {}})


@pytest.mark.parametrize(
    "finetune",
    [
        {},
        {"pretrained": True},
        {"pretrained": "IMAGENET1K_V1", "freeze": "backbone", "unfreeze_epoch": 2},
        {"pretrained": "old/weights.safetensors", "freeze": "all but 2 stages"},
        {"pretrained": True, "layer_decay": 0.75, "head_factor": 10},
        {"pretrained": True, "layer_decay": {"choices": [0.65, 0.8]},
         "head_factor": {"low": 1, "high": 30, "log": True}},
    ],
    ids=str,
)  # fmt: skip
def test_the_section_survives_being_written_to_a_file(finetune):
    config = config_of(finetune)
    assert resolve_study(tomllib.loads(format_study(config))) == config


def test_a_study_of_texts_survives_being_written_to_a_file():
    data = {"dataset": "csv:reviews.csv", "text": "review"}
    config = config_of({"pretrained": True}, model={"model": "hf:./bert"}, data=data)
    assert (config.data.tokenizer, config.data.sequence_length) == ("hf:./bert", 64)
    assert config.data.normalize is None
    assert resolve_study(tomllib.loads(format_study(config))) == config


def test_a_study_without_the_section_keeps_its_fingerprint():
    without = resolve_study(study_document())
    explicit = resolve_study(
        study_document(finetune={"freeze": "none"}, data={"normalize": "data"})
    )
    assert "finetune" not in format_study(without)
    assert fingerprint(explicit) == fingerprint(without)


def test_factors_are_parameters_of_every_arm():
    config = config_of({"pretrained": True, "layer_decay": {"choices": [0.65, 0.8]},
                        "head_factor": {"low": 1, "high": 30}})  # fmt: skip
    arm = build_arms(config)[0]
    assert arm.space["finetune.layer_decay"] == Choice(choices=(0.65, 0.8))
    assert arm.space["finetune.head_factor"] == FloatRange(low=1.0, high=30.0)
    params = {**default_params(arm, config.model), "finetune.head_factor": 7.0}
    trial = build_trial_config(config, params, seed=1)
    assert trial.finetune == FinetuneConfig(pretrained=True, layer_decay=0.65, head_factor=7.0)
    assert trial.model_params == {}


@pytest.mark.parametrize(
    ("finetune", "data", "expected"),
    [
        ({}, {}, None),
        ({"pretrained": True}, {}, "weights"),
        ({"pretrained": True}, {"normalize": "data"}, "data"),
        ({"pretrained": True}, {"normalize": "imagenet"}, "imagenet"),
        ({}, {"normalize": "data"}, None),
        ({}, {"normalize": "none"}, "none"),
    ],
)
def test_pretrained_weights_decide_how_inputs_are_normalised(finetune, data, expected):
    assert config_of(finetune, data=data).data.normalize == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"finetune": {"pretrained": True}, "model": {"model": "mlp"}}, "finetune.pretrained = true: only torchvision:NAME, timm:NAME"),
        ({"finetune": {"pretrained": "IMAGENET1K_V1"}, "model": {"model": "mlp"}}, "name a file that ends with .safetensors"),
        ({"finetune": {"freeze": "backbone"}}, "finetune.freeze: the weights of 'torchvision:resnet18' are untrained; set finetune.pretrained"),
        ({"finetune": {"layer_decay": 0.5}}, "finetune.layer_decay: the weights"),
        ({"finetune": {"pretrained": True, "freeze": "head"}}, 'finetune.freeze = "head"'),
        ({"finetune": {"pretrained": True, "freeze": "all but 0 stages"}}, "finetune.freeze"),
        ({"finetune": {"pretrained": True, "layer_decay": 1.5}}, "finetune.layer_decay"),
        ({"finetune": {"pretrained": True, "layer_decay": {"low": 0.5, "high": 1.5}}}, "finetune.layer_decay = 1.5: must be above 0 and at most 1"),
        ({"finetune": {"pretrained": True, "head_factor": {"low": 0, "high": 2}}}, "finetune.head_factor = 0.0: must be above 0"),
        ({"finetune": {"pretrained": True, "freeze": "backbone", "layer_decay": 0.5}}, "finetune.layer_decay: has no effect"),
        ({"finetune": {"pretrained": True, "unfreeze_epoch": 2}}, "finetune.unfreeze_epoch = 2: nothing is frozen"),
        ({"finetune": {"pretrained": True, "freeze": "backbone", "unfreeze_epoch": 5}}, "finetune.unfreeze_epoch = 5: a run has 4 epochs only"),
        ({"finetune": {"pretrained": True, "unfreeze_epoch": 1}}, "finetune.unfreeze_epoch = 1"),
        ({"finetune": {"pretraned": True}}, "finetune.pretraned: unknown key 'pretraned'; did you mean 'pretrained'"),
        ({"model": {**RESNET, "parameter_groups": "mine"}}, 'model.parameter_groups = "mine": must be a function as package.module:function'),
        ({"model": {**RESNET, "parameter_groups": "mine:groups"}, "finetune": {"pretrained": True, "layer_decay": 0.5}}, "does not go with finetune.layer_decay"),
        ({"model": {**RESNET, "pretrained": True}}, "trained ones are loaded by pretrained under [finetune]"),
        ({"data": {"normalize": "weights"}}, "goes only with finetune.pretrained"),
        ({"data": {"normalize": "zscore"}}, "data.normalize"),
        ({"data": {"dataset": "csv:a.csv", "normalize": "imagenet"}, "model": {"model": "mlp"}}, "is for images, and 'csv:a.csv' has none"),
        ({"data": {"dataset": "text:a.txt", "normalize": "none"}, "model": {"model": "gru"}}, "tokens are not normalised"),
    ],
    ids=str,
)  # fmt: skip
def test_settings_that_contradict_each_other_are_refused(changes, message):
    with pytest.raises(StudyFileError) as caught:
        config_of(**changes)
    assert message in str(caught.value)


def test_the_users_own_model_may_have_trained_weights_of_its_own():
    config = config_of({"freeze": "backbone"}, model={"model": "mine:build", "depth": 3})
    assert config.finetune.freeze == "backbone"
    assert config.model_params == {"depth": 3}


def test_a_function_for_parameter_groups_is_looked_for_without_importing_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weight_rules.py").write_text("raise SystemExit\ndef groups(model): ...\n")
    document = study_document()
    for name, message in (("groups", ""), ("group", "did you mean 'groups'")):
        document["model"] = {**RESNET, "parameter_groups": f"weight_rules:{name}"}
        if not message:
            assert (
                load_study(document, settings={}).finetune.parameter_groups == "weight_rules:groups"
            )
            continue
        with pytest.raises(StudyFileError, match=f"^model.parameter_groups = .*{message}"):
            load_study(document, settings={})
