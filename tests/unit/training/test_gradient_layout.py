"""Gradients of images stay channels last from the layer on that would lose it."""

import gc
import weakref
from copy import copy, deepcopy

import pytest
import torch
from torch import Tensor, nn

from bakeoff.training.gradient_layout import keep_gradients_channels_last
from bakeoff.training.loop import train_epoch
from bakeoff.training.memory_layout import is_channels_last
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


def compare_steps(watched: nn.Module, plain: nn.Module) -> None:
    """Make sure that both have the same gradients, in three passes."""
    for _ in range(3):
        for found, expected in zip(step(watched), step(plain), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def watched_layers(model: nn.Module) -> list[str]:
    """The kinds of the layers that have a hook."""
    return [type(one).__name__ for one in model.modules() if vars(one)["_forward_hooks"]]


@pytest.mark.parametrize("end", ENDS)
def test_gradients_have_the_same_values(end):
    plain = ENDS[end]()
    watched = deepcopy(plain)
    keep_gradients_channels_last(watched)
    compare_steps(watched, plain)


def test_what_is_flattened_hands_back_a_gradient_channels_last():
    layouts = []

    class Noting(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            images.register_hook(
                lambda one: layouts.append(one.is_contiguous(memory_format=torch.channels_last))
            )
            return images * 1

    for last in (nn.Sigmoid(), nn.ReLU()):
        model = network(Noting(), last, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5))
        step(model)
        keep_gradients_channels_last(model)
        step(model)
    assert layouts == [False, True, True, True]


def test_a_layer_that_is_called_twice_is_watched_at_both_calls():
    torch.manual_seed(0)
    plain = Twice().to(memory_format=torch.channels_last)
    watched = deepcopy(plain)
    keep_gradients_channels_last(watched)
    compare_steps(watched, plain)


def test_models_that_are_stored_in_the_usual_way_get_no_hooks():
    state = prepare(small_run(model="mlp"), "cpu")
    train_epoch(state)
    assert not watched_layers(state.model)


def test_hooks_hold_no_layer_and_no_gradient():
    model = ENDS["flat"]()
    keep_gradients_channels_last(model)
    step(model)
    freed = weakref.ref(model)
    gc.collect()
    gc.disable()
    try:
        del model
        assert freed() is None
    finally:
        gc.enable()


def test_copies_of_a_layer_train():
    model = ENDS["flat"]()
    keep_gradients_channels_last(model)
    model[0] = copy(model[0])
    step(deepcopy(model))
    step(model)


@pytest.mark.parametrize(("name", "most"), [("bakeoff.networks.plain:build_cnn", 1), ("cnn", 0)])
def test_a_model_of_the_users_gets_its_hooks_once(name, most):
    params = {"width": 4, "dropout": 0.0}
    state = prepare(small_run(model=name, model_params=params), "cpu")
    for _ in range(2):
        train_epoch(state)
    hooks = [vars(one)["_forward_hooks"] for one in state.model.modules()]
    assert max(map(len, hooks)) == most


def test_asking_for_the_layout_reads_no_weight_that_is_computed():
    layer = nn.utils.parametrizations.spectral_norm(nn.Conv2d(3, 4, 3))
    model = nn.Sequential(layer).to(memory_format=torch.channels_last)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert is_channels_last(model)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])


def test_a_compiled_model_is_left_to_its_compiler():
    plain = ENDS["flat"]()
    compiled = deepcopy(plain)
    compiled.compile(backend="aot_eager")
    keep_gradients_channels_last(compiled)
    compare_steps(compiled, plain)
