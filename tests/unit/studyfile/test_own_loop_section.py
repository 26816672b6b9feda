"""A study file with a loop of one's own: what it may leave out, and what it cannot have."""

import tomllib

import pytest
import tomli_w

from bakeoff.errors import StudyFileError
from bakeoff.space import build_arms, build_trial_config, default_params, fingerprint
from bakeoff.studyfile import format_study, load_study_file, resolve_study
from study_examples import study_document

LOOP = {
    "study": {"name": "own", "objective": "reward"},
    "metrics": {"reward": {"direction": "maximize", "untrained": -1.0}},
    "model": {"width": {"low": 4, "high": 8}},
    "training": {"epochs": 3, "loop": "my_loop:train"},
    "search": {"optimizers": ["sgd", "adam"]},
}


def changed(**sections):
    """The study with changed sections; None leaves one out."""
    document = {**LOOP, **sections}
    return {name: section for name, section in document.items() if section is not None}


def test_data_and_model_may_be_left_out():
    config = resolve_study(LOOP)
    assert not config.data.is_given
    assert config.model == ""
    assert config.training.loop == "my_loop:train"
    assert config.training.precision == "fp32"
    assert config.question == "Which optimizer suits my_loop:train?"
    arm = build_arms(config)[0]
    trial = build_trial_config(config, default_params(arm, config.model), seed=1)
    assert trial.model_params == {"width": 6}
    assert trial.metrics["reward"].direction == "maximize"


@pytest.mark.parametrize(
    "document",
    [
        LOOP,
        changed(metrics={"reward": {"direction": "minimize", "low": 0.0, "high": 2.5}}),
        changed(
            data={"dataset": "digits"}, model={"model": "mlp"}, study={"name": "own"}, metrics=None
        ),
        changed(study={"name": "own", "objective": "accuracy"}, metrics=None, model=None),
    ],
)
def test_it_loads_back_as_it_was_written(document):
    config = resolve_study(document)
    assert resolve_study(tomllib.loads(format_study(config))) == config


def test_a_study_without_a_loop_keeps_its_fingerprint():
    text = format_study(resolve_study(study_document()))
    assert "loop" not in text
    assert "metrics" not in text
    assert fingerprint(resolve_study(study_document())) != fingerprint(resolve_study(LOOP))


TRAINING = LOOP["training"]
WRONG = [
    ({"training": {"epochs": 3}}, "data: is missing"),
    ({"training": {"epochs": 3}, "data": {"dataset": "digits"}}, "model.model: is missing"),
    ({"training": {**TRAINING, "loop": "my_loop"}}, "must be your own loop as package.module:name"),
    ({"training": {**TRAINING, "clip_grad_norm": 1.0}}, "training.clip_grad_norm: is part of the built-in loop"),
    ({"training": {**TRAINING, "mixup_alpha": 0.2}}, "training.mixup_alpha: is part of the built-in loop"),
    ({"training": {**TRAINING, "loss": "my_loss:focal"}}, "training.loss: goes only with the built-in loop"),
    ({"training": {**TRAINING, "precision": "bf16"}}, "your own loop decides its precision"),
    ({"training": {**TRAINING, "metrics": ["my:one"]}}, "training.metrics: is part of the built-in loop"),
    ({"finetune": {"freeze": "backbone"}}, "finetune: goes only with the built-in loop"),
    ({"model": {"parameter_groups": "my:groups"}}, "model.parameter_groups: goes only with the built-in loop"),
    ({"metrics": {"reward": {"untrained": 0.0}}}, "metrics.reward.direction: is missing"),
    ({"model": {"model": "mlp"}}, "model.model = \"mlp\": is built for the samples of [data]"),
    ({"data": {"image_size": 8}}, "data.image_size: goes only with data.dataset"),
    ({"confirm": {"resplit": True}}, "confirm.resplit = true: there is no [data] to split anew"),
    ({"study": {"name": "own"}}, "study.objective: is missing; name a metric that your loop yields"),
    ({"study": {"name": "own", "objective": "rewrad"}}, "did you mean 'reward'?"),
    ({"study": {"name": "own", "objective": ["reward", "accuracy"]}}, "describe 'accuracy' in [metrics.accuracy]"),
    ({"study": {"name": "own", "objective": "loss"}}, "metrics.loss.untrained: is missing"),
    ({"metrics": {"reward": {"direction": "maximize"}}}, "metrics.reward.untrained: is missing"),
    ({"metrics": {"reward": {"direction": "up"}}}, "metrics.reward.direction = \"up\""),
    ({"metrics": {"reward": {"direction": "maximize", "lower": 0}}}, "unknown key 'lower'; did you mean 'low'?"),
    ({"metrics": {"reward": {"direction": "maximize", "low": 2, "high": 1}}}, "must be low <= untrained <= high"),
    ({"metrics": {**LOOP["metrics"], "train_loss": {"direction": "minimize"}}}, "metrics.train_loss: this name is taken"),
]  # fmt: skip


@pytest.mark.parametrize(("sections", "message"), WRONG, ids=[message for _, message in WRONG])
def test_a_key_that_does_not_go_with_it_is_refused(sections, message):
    with pytest.raises(StudyFileError) as caught:
        resolve_study(changed(**sections))
    assert message in str(caught.value)


def test_metrics_describe_what_a_loop_yields():
    with pytest.raises(StudyFileError, match=r"metrics\.reward: describes what a loop of your own"):
        resolve_study(study_document(metrics=LOOP["metrics"]))


def test_a_metric_of_a_loop_that_looks_like_a_reference_is_no_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_loop.py").write_text("def train(run): ...\n")
    metrics = {**LOOP["metrics"], "loss:d": {"direction": "minimize"}}
    (tmp_path / "own.toml").write_text(tomli_w.dumps(changed(metrics=metrics)))
    assert set(load_study_file(tmp_path / "own.toml").metrics) == {"reward", "loss:d"}


def test_the_loop_is_looked_for_without_importing_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "own.toml"
    file.write_text(tomli_w.dumps(LOOP))
    with pytest.raises(StudyFileError, match=r"training\.loop = .*: no module 'my_loop'"):
        load_study_file(file)
    (tmp_path / "my_loop.py").write_text("raise AssertionError\ndef trian(run): ...\n")
    with pytest.raises(StudyFileError, match="did you mean 'trian'"):
        load_study_file(file)
    (tmp_path / "my_loop.py").write_text("raise AssertionError\ndef train(run): ...\n")
    assert load_study_file(file).training.loop == "my_loop:train"
