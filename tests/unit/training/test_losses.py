"""Class weights, the focal factor and label smoothing, each alone and together."""

from itertools import product

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, log_softmax, one_hot

from bakeoff.records import TrainingConfig
from bakeoff.training.batches import Split
from bakeoff.training.losses import balanced_weights, build_class_loss
from bakeoff.training.normalisation import Normalisation

GENERATOR = torch.Generator().manual_seed(0)
LOGITS = torch.randn(60, 4, generator=GENERATOR) * 3
LABELS = torch.tensor([0] * 40 + [1] * 14 + [2] * 5 + [3])
SOFT = torch.softmax(torch.randn(60, 4, generator=GENERATOR), 1)


def build(**settings: object) -> nn.Module:
    rows = torch.arange(len(LABELS))
    nothing = Normalisation(mean=torch.zeros(()), scale=torch.ones(()))
    split = Split(inputs=LOGITS, labels=LABELS, rows=rows, normalisation=nothing)
    return build_class_loss(TrainingConfig(epochs=1, **settings), split, 4)  # type: ignore[arg-type]


def reference(
    logits: Tensor, labels: Tensor, weights: Tensor, smoothing: float, gamma: float
) -> float:
    """Sample by sample and class by class, in float64."""
    total = 0.0
    for row, label in zip(logits.double(), labels, strict=True):
        log_p = log_softmax(row, 0)
        target = one_hot(label, 4).double() if label.ndim == 0 else label.double()
        target = (1 - smoothing) * target + smoothing / 4
        for c in range(4):
            p = float(log_p[c].exp())
            total -= float(weights[c] * target[c]) * (1 - p) ** gamma * float(log_p[c])
    return total / len(logits)


def test_balanced_weights_are_those_of_scikit_learn() -> None:
    expected = compute_class_weight("balanced", classes=np.arange(4), y=LABELS.numpy())
    assert balanced_weights(LABELS, 4).numpy() == pytest.approx(expected, rel=1e-6)


def test_sample_weighs_one_on_average() -> None:
    assert float(balanced_weights(LABELS, 4)[LABELS].mean()) == pytest.approx(1.0)


def test_on_all_samples_the_weighted_loss_is_torchs_with_scikit_learns_weights() -> None:
    weights = compute_class_weight("balanced", classes=np.arange(4), y=LABELS.numpy())
    expected = cross_entropy(LOGITS, LABELS, weight=torch.from_numpy(weights).float())
    assert float(build(class_weights="balanced")(LOGITS, LABELS)) == pytest.approx(float(expected))


def test_weighted_loss_of_parts_adds_up_to_that_of_the_whole() -> None:
    criterion = build(class_weights="balanced")
    parts = criterion(LOGITS[:50], LABELS[:50]) * 50 + criterion(LOGITS[50:], LABELS[50:]) * 10
    assert float(parts / 60) == pytest.approx(float(criterion(LOGITS, LABELS)))


@pytest.mark.parametrize(
    ("class_weights", "gamma", "smoothing", "soft"),
    list(product(("none", "balanced"), (0.0, 0.5, 2.0), (0.0, 0.1), (False, True))),
)
def test_loss_follows_its_definition(
    class_weights: str, gamma: float, smoothing: float, soft: bool
) -> None:
    criterion = build(class_weights=class_weights, focal_gamma=gamma, label_smoothing=smoothing)
    weights = torch.ones(4) if class_weights == "none" else balanced_weights(LABELS, 4)
    labels = SOFT if soft else LABELS
    expected = reference(LOGITS, labels, weights, smoothing, gamma)
    assert float(criterion(LOGITS, labels)) == pytest.approx(expected, rel=1e-5)


def test_without_remedies_the_loss_is_torchs_own() -> None:
    assert type(build()) is nn.CrossEntropyLoss


@pytest.mark.parametrize("gamma", [0.1, 0.5, 1.0, 2.0, 5.0])
def test_focal_gradient_is_finite_where_the_model_is_certain(gamma: float) -> None:
    logits = torch.tensor([[200.0, 0, 0, 0], [0, -200.0, 0, 0]], requires_grad=True)
    build(focal_gamma=gamma)(logits, torch.tensor([0, 1])).backward()
    assert logits.grad is not None
    assert bool(logits.grad.isfinite().all())
    assert bool(logits.grad[1].any())
