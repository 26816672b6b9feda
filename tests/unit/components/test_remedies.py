"""Which remedies a study file may combine with which task, optimizer and other remedy."""

import tomllib
from typing import Any

import pytest

from bakeoff.components.remedies import REMEDIES, find_task_conflict
from bakeoff.errors import StudyFileError
from bakeoff.ranges import FloatRange, IntRange
from bakeoff.records import TrainingConfig
from bakeoff.studyfile import format_study, resolve_study
from study_examples import study_document

USED: dict[str, Any] = {
    "label_smoothing": 0.1,
    "class_weights": "balanced",
    "sampling": "weighted",
    "focal_gamma": 2.0,
    "mixup_alpha": 0.2,
    "cutmix_alpha": 1.0,
    "ema_decay": 0.99,
}
"""A value of each remedy that switches it on."""
EVERY = pytest.mark.parametrize("name", REMEDIES.names)


def test_every_remedy_is_tried() -> None:
    assert tuple(USED) == REMEDIES.names


@EVERY
def test_remedy_is_off_unless_asked_for(name: str) -> None:
    assert getattr(TrainingConfig(epochs=1), name) == REMEDIES[name].off


@EVERY
def test_classifier_may_use_every_remedy(name: str) -> None:
    config = resolve_study(study_document(training={name: USED[name]}))
    assert getattr(config.training, name) == USED[name]


@pytest.mark.parametrize(
    ("task", "allowed"),
    [
        ("classification", {*USED}),
        ("regression", {"ema_decay"}),
        ("language", {"ema_decay", "label_smoothing"}),
    ],
)
def test_task_may_use_what_makes_sense_for_it(task: Any, allowed: set[str]) -> None:
    assert {name for name in USED if find_task_conflict(name, task) is None} == allowed


def test_the_message_gives_the_reason() -> None:
    assert find_task_conflict("focal_gamma", "regression") == (
        "cannot be used in regression: the focal loss is one of samples with a class each"
    )


@pytest.mark.parametrize(
    ("training", "search", "message"),
    [
        (
            {"class_weights": "balanced", "sampling": "weighted"},
            {},
            'training.sampling = "weighted": class_weights already correct the same imbalance',
        ),
        (
            {"ema_decay": 0.9},
            {"optimizers": ["sgd", "schedule_free_sgd"], "schedulers": ["constant"]},
            "training.ema_decay = 0.9: optimizer 'schedule_free_sgd' already averages the weights",
        ),
        (
            {"ema_decay": {"low": 0.9, "high": 0.99}},
            {"optimizers": ["schedule_free_sgd"], "schedulers": ["constant"]},
            "training.ema_decay: optimizer 'schedule_free_sgd' already averages the weights",
        ),
        ({"class_weights": "inverse"}, {}, 'training.class_weights = "inverse": input should be'),
        ({"ema_decay": 1.0}, {}, "training.ema_decay = 1.0: input should be less than 1"),
        ({"accumulation_steps": 0}, {}, "training.accumulation_steps = 0: input should be"),
        ({"clip_grad_value": 0}, {}, "training.clip_grad_value = 0: input should be greater"),
        (
            {"mixup_alpha": {"low": -1, "high": 1}},
            {},
            "training.mixup_alpha: -1.0 in the range: Input should be greater than or equal to 0",
        ),
    ],
    ids=lambda value: value[:28] if isinstance(value, str) else "",
)
def test_what_cannot_be_used_is_refused_with_the_reason(
    training: dict[str, Any], search: dict[str, Any], message: str
) -> None:
    with pytest.raises(StudyFileError) as caught:
        resolve_study(study_document(training=training, search=search))
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("name", "table", "expected"),
    [
        ("clip_grad_value", {"low": 1, "high": 5}, FloatRange(low=1.0, high=5.0)),
        ("focal_gamma", {"low": 0, "high": 5}, FloatRange(low=0.0, high=5.0)),
        ("mixup_alpha", {"low": 0.1, "high": 1.0}, FloatRange(low=0.1, high=1.0)),
        ("cutmix_alpha", {"low": 0.1, "high": 1}, FloatRange(low=0.1, high=1.0)),
        ("ema_decay", {"low": 0.9, "high": 0.999}, FloatRange(low=0.9, high=0.999)),
        ("accumulation_steps", {"low": 1, "high": 4}, IntRange(low=1, high=4)),
    ],
)
def test_any_number_may_be_a_range(name: str, table: dict[str, Any], expected: Any) -> None:
    config = resolve_study(study_document(training={name: table}))
    assert config.space[f"training.{name}"] == expected
    assert resolve_study(tomllib.loads(format_study(config))) == config
