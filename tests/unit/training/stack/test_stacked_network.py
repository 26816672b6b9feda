"""A stacked network and its optimizers against the same networks one by one, in float64."""

from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from bakeoff.components.optimizers import OPTIMIZERS
from bakeoff.networks.plain import build_cnn, build_mlp, build_resnet8
from bakeoff.training.build import build_optimizer
from bakeoff.training.losses import LabelLoss, TargetLoss, WeightedCrossEntropy
from bakeoff.training.optimizer_rules import RULES
from bakeoff.training.stack.flat_weights import FlatWeights
from bakeoff.training.stack.key import OPTIMIZERS as STACKED
from bakeoff.training.stack.layers import NotStackableError
from bakeoff.training.stack.losses import losses_of
from bakeoff.training.stack.network import StackedNetwork
from bakeoff.training.stack.optimizers import Lane, OptimizerRow, find_rule

CPU = torch.device("cpu")
NAMES = [spec.name for spec in OPTIMIZERS if spec.build in STACKED]
RATES = {"sgd": 0.1, "nesterov": 0.03, "adadelta": 1.0, "adagrad": 0.02}
NUM_SAMPLES, NUM_CLASSES = 12, 4


def models(kind: str, num: int) -> list[nn.Module]:
    build = {
        "mlp": lambda: build_mlp((1, 8, 8), NUM_CLASSES, 6, 2, 0.0),
        "cnn": lambda: build_cnn((1, 8, 8), NUM_CLASSES, 3, 0.0),
        "resnet8": lambda: build_resnet8((1, 8, 8), NUM_CLASSES, 2, 0.0),
    }[kind]
    torch.manual_seed(4)
    return [build().double() for _ in range(num)]


def batches(num: int, steps: int) -> list[tuple[Tensor, Tensor]]:
    drawn = torch.Generator().manual_seed(5)
    shape = (num, NUM_SAMPLES, 1, 8, 8)
    return [
        (
            torch.randn(shape, generator=drawn, dtype=torch.float64),
            torch.randint(NUM_CLASSES, shape[:2], generator=drawn),
        )
        for _ in range(steps)
    ]


def stacked(made: list[nn.Module]) -> StackedNetwork:
    return StackedNetwork(made, [torch.Generator() for _ in made])


def train_one_by_one(
    made: list[nn.Module],
    optimizers: list[torch.optim.Optimizer],
    data: list[tuple[Tensor, Tensor]],
) -> None:
    for row, (model, optimizer) in enumerate(zip(made, optimizers, strict=True)):
        for inputs, labels in data:
            functional.cross_entropy(model(inputs[row]), labels[row]).backward()
            optimizer.step()
            optimizer.zero_grad()


def train_together(
    made: list[nn.Module],
    optimizers: list[torch.optim.Optimizer],
    data: list[tuple[Tensor, Tensor]],
) -> StackedNetwork:
    network = stacked(made)
    rows = []
    for row, (model, optimizer) in enumerate(zip(made, optimizers, strict=True)):
        names = {id(one): name for name, one in model.named_parameters()}
        rows.append(OptimizerRow(optimizer, network.weights, names, row))
    for inputs, labels in data:
        with torch.inference_mode():
            outputs = network(inputs, training=True)
            network.backward(losses_of(nn.CrossEntropyLoss(), outputs, labels)[1])
            for one in rows:
                Lane([one]).step()
    for one in rows:
        one.store()
    return network


def largest_difference(network: StackedNetwork, expected: list[nn.Module]) -> float:
    differences = []
    for row, model in enumerate(expected):
        found = deepcopy(model)
        network.weights.store(network.weights.values[row], dict(found.named_parameters()))
        network.store_buffers(row, found)
        pairs = zip(found.state_dict().values(), model.state_dict().values(), strict=True)
        differences += [float((one - other).abs().max()) for one, other in pairs]
    return max(differences)


@pytest.mark.parametrize("kind", ["mlp", "cnn", "resnet8"])
def test_fifty_steps_give_the_weights_of_networks_that_train_alone(kind):
    alone = models(kind, 3)
    together = deepcopy(alone)
    names, params = ["sgd", "adamw", "adam"], {"weight_decay": 0.01}
    data = batches(3, 50)
    of_alone, of_together = (
        [build_optimizer(name, one, params, CPU) for name, one in zip(names, made, strict=True)]
        for made in (alone, together)
    )
    train_one_by_one(alone, of_alone, data)
    assert largest_difference(train_together(together, of_together, data), alone) < 1e-10


@pytest.mark.parametrize("name", NAMES)
def test_every_optimizer_makes_the_steps_that_it_makes_alone(name):
    alone = models("mlp", 2)
    together = deepcopy(alone)
    params = {"weight_decay": 1e-3, "learning_rate": RATES.get(name, 1e-3)}
    of_alone, of_together = (
        [build_optimizer(name, one, params, CPU) for one in made] for made in (alone, together)
    )
    train_one_by_one(alone, of_alone, batches(2, 50))
    network = train_together(together, of_together, batches(2, 50))
    assert largest_difference(network, alone) < 1e-10
    for expected, found in zip(of_alone, of_together, strict=True):
        states = zip(expected.state.values(), found.state.values(), strict=True)
        for one, other in states:
            assert {key: value for key, value in one.items() if value is not None}.keys() == (
                other.keys()
            )
            for key, value in other.items():
                torch.testing.assert_close(value, one[key], rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", ["sgd", "adamw", "rmsprop"])
def test_an_optimizer_continues_in_a_stack_from_its_steps_alone(name):
    params = {"learning_rate": 1e-2, "momentum": 0.9} if name != "adamw" else {}
    alone = models("mlp", 2)
    continued = deepcopy(alone)
    of_alone, of_continued = (
        [build_optimizer(name, one, params, CPU) for one in made] for made in (alone, continued)
    )
    data = batches(2, 20)
    train_one_by_one(alone, of_alone, data)
    train_one_by_one(continued, of_continued, data[:10])
    assert largest_difference(train_together(continued, of_continued, data[10:]), alone) < 1e-10


def test_the_rules_are_those_of_the_optimizers_that_may_be_stacked():
    assert {f"torch.optim:{one.__name__}" for one in RULES} == STACKED


def test_an_optimizer_that_looks_at_whole_matrices_is_refused():
    model = models("mlp", 1)[0]
    with pytest.raises(NotStackableError, match="Adafactor"):
        find_rule(torch.optim.Adafactor(model.parameters()))


def test_dropout_drops_what_it_drops_alone():
    made = [nn.Sequential(nn.Flatten(), nn.Linear(64, 4), nn.Dropout(rate)) for rate in (0.2, 0.7)]
    inputs = torch.randn(2, 10, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    network = StackedNetwork(made, [torch.Generator().manual_seed(seed) for seed in (7, 8)])
    found = network(inputs, training=True)
    for row, seed in enumerate((7, 8)):
        torch.manual_seed(seed)
        torch.testing.assert_close(found[row], made[row](inputs[row]))


def test_dropout_draws_nothing_at_rates_of_0_and_1_as_it_does_alone():
    rates = ((0.0, 0.5), (1.0, 0.5), (0.5, 0.0), (1e-17, 0.5))
    made = [
        nn.Sequential(nn.Flatten(), nn.Dropout(first), nn.Linear(64, 4), nn.Dropout(second))
        for first, second in rates
    ]
    inputs = torch.randn(4, 10, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    generators = [torch.Generator().manual_seed(seed) for seed in range(4)]
    found = StackedNetwork(made, generators)(inputs, training=True)
    for row, (model, generator) in enumerate(zip(made, generators, strict=True)):
        torch.manual_seed(row)
        torch.testing.assert_close(found[row], model(inputs[row]))
        assert torch.equal(generator.get_state(), torch.get_rng_state())


@pytest.mark.parametrize(
    "criterion",
    [
        nn.CrossEntropyLoss(),
        nn.CrossEntropyLoss(label_smoothing=0.2),
        WeightedCrossEntropy(torch.tensor([0.5, 1.0, 2.0, 3.0]).double(), 0.1),
        TargetLoss(nn.MSELoss()),
        TargetLoss(nn.HuberLoss(delta=0.5)),
        LabelLoss(torch.tensor([1.0, 2.0, 3.0, 4.0]).double()),
    ],
    ids=["plain", "smoothed", "weighted", "mse", "huber", "labels"],
)
def test_losses_and_their_gradients_are_those_of_each_member_alone(criterion):
    drawn = torch.Generator().manual_seed(6)
    with torch.inference_mode():  # as in the steps of a stack
        outputs = torch.randn(3, 10, NUM_CLASSES, generator=drawn, dtype=torch.float64)
        if isinstance(criterion, TargetLoss):
            labels = torch.randn(3, 10, NUM_CLASSES, generator=drawn, dtype=torch.float64)
        elif isinstance(criterion, LabelLoss):
            labels = torch.randint(2, (3, 10, NUM_CLASSES), generator=drawn).double()
        else:
            labels = torch.randint(NUM_CLASSES, (3, 10), generator=drawn)
        losses, gradients = losses_of(criterion, outputs, labels)
    for row in range(3):
        alone = outputs[row].clone().requires_grad_()
        loss = criterion(alone, labels[row].clone())
        loss.backward()
        torch.testing.assert_close(losses[row], loss.detach(), rtol=0, atol=1e-12)
        torch.testing.assert_close(gradients[row], alone.grad, rtol=0, atol=1e-8)


class _InPlace(nn.Module):
    """Its activations change values that are read again."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.end = nn.Linear(64, 16), nn.Linear(16, NUM_CLASSES)
        self.activation = nn.ReLU(inplace=True)
        self.other = nn.SiLU(inplace=True)

    def forward(self, inputs: Tensor) -> Tensor:
        found = self.first(inputs.flatten(1))
        changed = self.activation(found)
        changed = self.other(found + changed) + found
        return self.end(self.activation(changed) + changed)


class _Everything(nn.Module):
    """A layer of every kind with a gradient by hand or by autograd, in images and vectors."""

    def __init__(self) -> None:
        super().__init__()
        self.images = nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.GELU(), nn.MaxPool2d(2),
            nn.Conv2d(4, 8, 3, padding="same"), nn.LeakyReLU(), nn.AvgPool2d(2),
            nn.Conv2d(8, 4, 1, bias=False, groups=2), nn.Flatten(),
        )  # fmt: skip
        self.vectors = nn.Sequential(
            nn.Linear(16, 40), nn.LayerNorm(40), nn.Tanh(), nn.Linear(40, 18, bias=False),
            nn.BatchNorm1d(18), nn.ReLU(), nn.Linear(18, NUM_CLASSES),
        )  # fmt: skip

    def forward(self, inputs: Tensor) -> Tensor:
        return self.vectors(self.images(inputs))


@pytest.mark.parametrize("build", [_InPlace, _Everything])
def test_gradients_of_all_layers_are_those_of_autograd(build):
    torch.manual_seed(8)
    made = [build().double() for _ in range(2)]
    ((inputs, labels),) = batches(2, 1)
    network = stacked(made)
    with torch.inference_mode():
        outputs = network(inputs, training=True)
        network.backward(losses_of(nn.CrossEntropyLoss(), outputs, labels)[1])
    for row, model in enumerate(made):
        functional.cross_entropy(model(inputs[row]), labels[row]).backward()
        for name, weights in model.named_parameters():
            found = network.weights.gradient(name)[row]
            torch.testing.assert_close(found, weights.grad, rtol=0, atol=1e-12)
        for name, buffer in model.named_buffers():
            torch.testing.assert_close(network.buffers[name][row], buffer)


class _Reshaping(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(64, 4)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.layer(inputs.view(len(inputs), -1))


class _Functional(_Reshaping):
    def forward(self, inputs: Tensor) -> Tensor:
        return functional.relu(self.layer(torch.flatten(inputs, 1)))


class _Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer, self.end = nn.Linear(64, 64), nn.Linear(64, 4)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.end(self.layer(self.layer(inputs.flatten(1))))


class _Unused(_Functional):
    def __init__(self) -> None:
        super().__init__()
        self.spare = nn.Linear(2, 2)


def test_a_network_of_the_users_with_functions_is_stacked():
    made = [_Functional() for _ in range(3)]
    inputs = torch.randn(3, 5, 1, 8, 8)
    found = stacked(made)(inputs, training=False)
    torch.testing.assert_close(
        found, torch.stack([model(own) for model, own in zip(made, inputs, strict=True)])
    )


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (_Reshaping(), "takes|calls|reads|traced"),
        (_Twice(), "twice"),
        (_Unused(), "no layer uses"),
        (nn.Sequential(nn.Flatten(), nn.Bilinear(1, 1, 1)), "Bilinear"),
        (nn.Sequential(nn.Conv2d(1, 2, 3, padding=1, padding_mode="reflect")), "reflect"),
        (nn.Sequential(nn.BatchNorm2d(1, track_running_stats=False)), "statistics"),
    ],
)
def test_what_cannot_be_stacked_is_refused_with_the_reason(model, reason):
    with pytest.raises(NotStackableError, match=reason):
        stacked([model])


def test_frozen_weights_and_hooks_are_refused():
    frozen, hooked = models("mlp", 2)
    next(frozen.parameters()).requires_grad_(False)
    hooked.register_forward_hook(lambda *_: None)
    for model, reason in ((frozen, "not trained"), (hooked, "hooks")):
        with pytest.raises(NotStackableError, match=reason):
            stacked([model])


def test_networks_of_different_widths_are_refused():
    with pytest.raises(NotStackableError, match="different structures"):
        stacked([build_mlp((4,), 2, width, 1, 0.0) for width in (3, 5)])


def test_weights_that_decay_come_first_and_every_weight_begins_at_64_bytes():
    weights = FlatWeights([build_mlp((5,), 3, 7, 1, 0.0)])
    shapes = [tuple(one.shape) for one in weights.places]
    assert shapes == [(7, 5), (3, 7), (7,), (3,)]
    assert all(leaf.data_ptr() % 64 == 0 for leaf in weights.leaves.values())


class Dropping(nn.Module):
    """A model of a user's, whose forward pass may depend on its dropout rate."""

    def __init__(self, rate: float, *, limit: float) -> None:
        super().__init__()
        self.layer = nn.Linear(64, NUM_CLASSES)
        self.drop = nn.Dropout(rate)
        self.is_clipped = rate > limit

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.layer(self.drop(inputs.flatten(1)))
        return torch.tanh(outputs) if self.is_clipped else outputs


def test_models_of_a_users_may_have_other_dropout_rates():
    made = [Dropping(rate, limit=1.0).double() for rate in (0.1, 0.4)]
    inputs = batches(2, 1)[0][0]
    outputs = stacked(made)(inputs, training=False)
    for row, model in enumerate(made):
        assert torch.allclose(outputs[row], model.eval()(inputs[row]))


def test_models_of_a_users_that_calculate_otherwise_at_other_rates_are_not_stacked():
    made = [Dropping(rate, limit=0.2) for rate in (0.1, 0.4)]
    with pytest.raises(NotStackableError, match="something else at other dropout rates"):
        stacked(made)
