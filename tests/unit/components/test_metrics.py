import math

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score, log_loss

from bakeoff.components import metric_functions
from bakeoff.components.metrics import METRICS, MetricSpec, chance_score, scored_epoch
from bakeoff.errors import UsageError
from bakeoff.records import EpochResult
from bakeoff.registry import resolve

EVERY = pytest.mark.parametrize("spec", METRICS, ids=lambda spec: spec.name)


def logits_and_labels(seed: int, num_samples: int = 90) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 5, (num_samples,), generator=generator)
    logits = torch.randn(num_samples, 5, generator=generator)
    return logits + 2 * torch.nn.functional.one_hot(labels, 5), labels


def compute(spec: MetricSpec, logits: torch.Tensor, labels: torch.Tensor) -> float:
    return float(resolve(spec.compute)(logits, labels))  # type: ignore[operator]


def epochs(metric: str, *values: float) -> list[EpochResult]:
    return [
        EpochResult(epoch=epoch, metrics={metric: value}) for epoch, value in enumerate(values, 1)
    ]


@pytest.mark.parametrize("seed", range(5))
def test_accuracy_equals_the_one_of_scikit_learn(seed: int) -> None:
    logits, labels = logits_and_labels(seed)
    expected = accuracy_score(labels, logits.argmax(1))
    assert float(metric_functions.accuracy(logits, labels)) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(5))
def test_macro_f1_equals_the_one_of_scikit_learn(seed: int) -> None:
    logits, labels = logits_and_labels(seed)
    expected = f1_score(labels, logits.argmax(1), average="macro")
    assert float(metric_functions.macro_f1(logits, labels)) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(5))
def test_loss_equals_the_one_of_scikit_learn(seed: int) -> None:
    logits, labels = logits_and_labels(seed)
    expected = log_loss(labels, logits.double().softmax(1).numpy(), labels=range(5))
    assert float(metric_functions.loss(logits, labels)) == pytest.approx(expected, rel=1e-5)


@EVERY
def test_perfect_predictions_beat_noisy_ones(spec: MetricSpec) -> None:
    logits, labels = logits_and_labels(0)
    perfect = compute(spec, 50.0 * torch.nn.functional.one_hot(labels, 5), labels)
    assert spec.info.sign * perfect > spec.info.sign * compute(spec, logits, labels)


@EVERY
def test_order_of_the_samples_does_not_matter(spec: MetricSpec) -> None:
    logits, labels = logits_and_labels(0)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(1))
    shuffled = compute(spec, logits[order], labels[order])
    assert shuffled == pytest.approx(compute(spec, logits, labels), rel=1e-5)


@EVERY
def test_value_lies_in_the_declared_range(spec: MetricSpec) -> None:
    value = compute(spec, *logits_and_labels(0))
    assert spec.info.low <= value <= spec.info.high


@pytest.mark.parametrize(
    ("metric", "expected"), [("accuracy", 0.1), ("macro_f1", 0.1), ("loss", math.log(10))]
)
def test_chance_score_is_that_of_a_model_that_knows_nothing(metric: str, expected: float) -> None:
    assert chance_score(metric, 10) == pytest.approx(expected)


@EVERY
def test_chance_score_is_what_fair_guesses_get(spec: MetricSpec) -> None:
    generator = np.random.default_rng(0)
    labels = torch.arange(20_000) % 10
    guesses = torch.from_numpy(generator.uniform(0, 1e-9, (20_000, 10)))
    assert compute(spec, guesses, labels) == pytest.approx(chance_score(spec.name, 10), abs=0.01)


def test_chance_score_of_an_unknown_metric_is_refused() -> None:
    with pytest.raises(UsageError, match="did you mean 'accuracy'"):
        chance_score("acuracy", 10)


@pytest.mark.parametrize(
    ("metric", "rule", "values", "expected"),
    [
        ("accuracy", "best_epoch", (0.1, 0.9, 0.5), 2),
        ("accuracy", "best_epoch", (0.9, 0.9, 0.5), 1),
        ("accuracy", "best_epoch", (0.4, math.nan, 0.5), 3),
        ("accuracy", "last_epoch", (0.9, 0.5), 2),
        ("loss", "best_epoch", (0.9, 0.2, 0.5), 2),
        ("loss", "best_epoch", (math.inf, 0.9), 2),
    ],
)
def test_scored_epoch_follows_the_rule(
    metric: str, rule: str, values: tuple[float, ...], expected: int
) -> None:
    scored = scored_epoch(epochs(metric, *values), METRICS[metric].info, rule)  # type: ignore[arg-type]
    assert scored is not None
    assert scored.epoch == expected


@pytest.mark.parametrize(
    ("rule", "values"),
    [
        ("best_epoch", ()),
        ("last_epoch", ()),
        ("best_epoch", (math.nan, math.inf)),
        ("last_epoch", (0.9, math.nan)),
    ],
)
def test_no_epoch_is_scored_without_a_finite_value(rule: str, values: tuple[float, ...]) -> None:
    history = epochs("accuracy", *values)
    assert scored_epoch(history, METRICS["accuracy"].info, rule) is None  # type: ignore[arg-type]
