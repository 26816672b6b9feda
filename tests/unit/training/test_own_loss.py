"""A loss of the user's own trains as the registered one does, or is refused in one line."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, huber_loss

from bakeoff.errors import UsageError
from bakeoff.records import TrialConfig
from bakeoff.training import loop
from bakeoff.training.own_loss import build_own_loss
from bakeoff.training.state import TrainingState

MakeConfig = Callable[..., TrialConfig]


def plain(outputs: Tensor, targets: Tensor) -> Tensor:
    """The registered loss of classes and of tokens."""
    return cross_entropy(outputs, targets)


def huber(predictions: Tensor, targets: Tensor) -> Tensor:
    """The registered loss of that name."""
    return huber_loss(predictions, targets)


def weighted(outputs: Tensor, targets: Tensor, weight: Tensor) -> Tensor:
    """The registered loss with class weights."""
    return cross_entropy(outputs, targets, weight, reduction="sum") / len(targets)


class Module(nn.Module):
    """The registered loss as a module."""

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The mean over the batch."""
        return plain(outputs, targets)


class Learned(Module):
    """A loss with a weight of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))


class Needs(Module):
    """A loss that cannot be built without an argument."""

    def __init__(self, gamma: float) -> None:
        super().__init__()


def total(outputs: Tensor, targets: Tensor) -> Tensor:
    """A sum over the batch."""
    return cross_entropy(outputs, targets, reduction="sum")


def vector(outputs: Tensor, targets: Tensor) -> Tensor:
    """A value for each sample."""
    return cross_entropy(outputs, targets, reduction="none")


def errors(outputs: Tensor, targets: Tensor) -> Tensor:
    """A score without a gradient."""
    return (outputs.argmax(1) != targets).float().mean()


def three(outputs: Tensor, targets: Tensor, gamma: float) -> Tensor:
    """Too many arguments."""
    return plain(outputs, targets) * gamma


number = 7


def trained(config: TrialConfig) -> TrainingState:
    state = loop.prepare(config, "cpu")
    list(loop.train(state))
    return state


CELLS: dict[str, tuple[str, dict[str, object]]] = {
    "plain": ("cross_entropy", {}),
    "Module": ("cross_entropy", {"accumulation_steps": 2}),
    "weighted": ("cross_entropy", {"class_weights": "balanced", "imbalance": 3.0,
                                   "train_samples": None}),
    "huber": ("huber", {"dataset": "toy_tasks:regression", "task": "regression",
                        "objective": "rmse", "train_samples": None}),
    "language": ("cross_entropy", {"dataset": "toy_tasks:language", "task": "language",
                                   "objective": "loss", "train_samples": None,
                                   "model": "toy_tasks:build_bigrams", "model_params": {}}),
}  # fmt: skip


@pytest.mark.parametrize("cell", CELLS)
def test_own_copy_of_a_registered_loss_trains_to_the_same_weights(
    make_config: MakeConfig, cell: str
) -> None:
    registered, changes = CELLS[cell]
    config = make_config(loss=registered, epochs=2, **changes)
    name = "plain" if cell == "language" else cell
    own = replace(config, training=replace(config.training, loss=f"{__name__}:{name}"))
    one, other = trained(config), trained(own)
    assert [result.train_loss for result in one.history] == pytest.approx(
        [result.train_loss for result in other.history], rel=1e-5
    )
    for weights, twin in zip(one.model.parameters(), other.model.parameters(), strict=True):
        torch.testing.assert_close(weights, twin, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("total", r"is no mean over the batch: .* for 8 samples, .* and .* for their halves"),
        ("vector", r"expected one number, the mean over the batch, found \[8\]"),
        ("errors", "has no gradient with respect to the outputs"),
        (
            "three",
            r"a call with \(outputs \[N, C\], labels \[N\]\), found three\(.*gamma.*\(TypeEr",
        ),
        ("Learned", "has weights of its own, which no optimizer would train"),
        ("Needs", r"is built without arguments, found Needs\(gamma\) .*\(TypeError: "),
        ("number", "is int, not a function or a module"),
        ("nothing", "has no attribute 'nothing'"),
    ],
)
def test_loss_that_cannot_be_used_is_refused_in_one_line(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        build_own_loss(f"{__name__}:{name}", "classification", 10)
    assert "\n" not in str(caught.value)


def test_class_weights_need_a_loss_that_takes_them() -> None:
    with pytest.raises(UsageError, match="does not take the argument 'weight'"):
        build_own_loss(f"{__name__}:plain", "classification", 3, torch.ones(3))
    with_weights = build_own_loss("torch.nn:NLLLoss", "classification", 2, torch.tensor([1.0, 3.0]))
    log_p = torch.tensor([[0.5, 0.5], [0.25, 0.75]]).log()
    loss = with_weights(log_p, torch.tensor([0, 1]))
    expected = (torch.tensor(2.0).log() + 3 * torch.tensor(4 / 3).log()) / 4
    assert float(loss) == pytest.approx(float(expected))
