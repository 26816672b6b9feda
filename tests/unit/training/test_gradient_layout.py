"""Gradients of images stay channels last from the layer on that would lose it."""

from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from bakeoff.training.gradient_layout import GradientLayout
from bakeoff.training.loop import train_epoch
from bakeoff.training.state import prepare
from run_examples import small_run

IMAGES = torch.randn(4, 3, 8, 8)


def network(*last: nn.Module) -> nn.Sequential:
    """A small network of images, stored channels last, that ends in some layers."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True)]
    model = nn.Sequential(*layers, *last)
    return model.to(memory_format=torch.channels_last)


ENDS = {
    "average": lambda: network(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5)),
    "flat": lambda: network(nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 5)),
    "dropped": lambda: network(nn.MaxPool2d(2), nn.Dropout2d(0.5), nn.Flatten(), nn.Linear(64, 5)),
}


class Twice(nn.Module):
    """Calls one layer twice; only the second call's output is flattened."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 3, 3, padding=1)
        self.activation = nn.ReLU()
        self.head = nn.Linear(192, 5)

    def forward(self, images: Tensor) -> Tensor:
        once = self.activation(self.convolution(images))
        output: Tensor = self.head(self.activation(self.convolution(once)).flatten(1))
        return output


def step(model: nn.Module) -> list[Tensor]:
    """The gradients of a backward pass."""
    model.zero_grad()
    torch.manual_seed(3)
    model(IMAGES).square().sum().backward()
    return [one.grad.clone() for one in model.parameters()]


def watched_layers(model: nn.Module) -> list[str]:
    """The kinds of the layers that have a hook."""
    return [type(one).__name__ for one in model.modules() if vars(one)["_forward_hooks"]]


@pytest.mark.parametrize("end", ENDS)
def test_gradients_have_the_same_values(end):
    plain = ENDS[end]()
    watched = deepcopy(plain)
    GradientLayout(watched)
    for _ in range(3):
        for found, expected in zip(step(watched), step(plain), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("end", ENDS)
def test_only_layers_that_get_another_layout_keep_their_hook(end):
    model = ENDS[end]()
    GradientLayout(model)
    for _ in range(3):
        step(model)
    hooked = watched_layers(model)
    images = [one for one in hooked if one not in ("Linear", "Flatten", "AdaptiveAvgPool2d")]
    assert images == {"average": ["ReLU"], "flat": ["MaxPool2d"], "dropped": ["Dropout2d"]}[end]


def test_what_is_flattened_hands_back_a_gradient_channels_last():
    layouts = []

    class Noting(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            images.register_hook(
                lambda one: layouts.append(one.is_contiguous(memory_format=torch.channels_last))
            )
            return images * 1

    model = network(Noting(), nn.Flatten(), nn.Linear(256, 5))
    step(model)
    GradientLayout(model)
    step(model)
    step(model)
    assert layouts == [False, True, True]


def test_a_layer_that_is_called_twice_is_watched_at_both_calls():
    torch.manual_seed(0)
    plain = Twice().to(memory_format=torch.channels_last)
    watched = deepcopy(plain)
    GradientLayout(watched)
    for _ in range(3):
        for found, expected in zip(step(watched), step(plain), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert "ReLU" in watched_layers(watched)


def test_models_that_are_stored_in_the_usual_way_get_no_hooks():
    state = prepare(small_run(model="mlp"), "cpu")
    train_epoch(state)
    assert state.gradient_layout is None
    assert not watched_layers(state.model)


def test_an_evaluation_changes_nothing():
    model = ENDS["flat"]()
    GradientLayout(model)
    with torch.no_grad():
        model.eval()(IMAGES)
    assert len(watched_layers(model)) == len([*model])


def test_a_compiled_model_is_left_to_its_compiler():
    plain = ENDS["flat"]()
    compiled = deepcopy(plain)
    compiled.compile(backend="aot_eager")
    GradientLayout(compiled)
    for _ in range(2):
        for found, expected in zip(step(compiled), step(plain), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
