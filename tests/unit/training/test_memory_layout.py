"""Image models of the user's are stored channels last where that changes nothing that they compute."""

import pytest
import torch
from torch import Tensor, nn

from bakeoff.training.memory_layout import is_channels_last, store_channels_last
from bakeoff.training.state import prepare

SHAPE = (3, 8, 8)


class Plain(nn.Module):
    """A small network; subclasses change what lies between its convolution and its head."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(4 * 64, 5)

    def flat(self, images: Tensor) -> Tensor:
        return images.flatten(1)

    def forward(self, images: Tensor) -> Tensor:
        output: Tensor = self.head(self.drop(self.flat(self.norm(self.conv(images)).relu())))
        return output


class Viewing(Plain):
    def flat(self, images: Tensor) -> Tensor:
        return images.view(len(images), -1)


class ViewingInTraining(Plain):
    def flat(self, images: Tensor) -> Tensor:
        return images.view(len(images), -1) if self.training else images.flatten(1)


class ReadingMemory(Plain):
    """Reads numbers in the order in which they are stored, without an error."""

    def flat(self, images: Tensor) -> Tensor:
        return images.as_strided((len(images), 256), (256, 1))


def test_a_model_that_computes_the_same_is_stored_channels_last() -> None:
    model = Plain()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)

    assert store_channels_last(model, SHAPE)

    assert is_channels_last(model)
    assert torch.equal(torch.rand(1), expected)  # the generator is where it was
    assert model.training
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert all(one.grad is None for one in model.parameters())


@pytest.mark.parametrize("kind", [Viewing, ViewingInTraining, ReadingMemory])
def test_a_model_that_needs_contiguous_memory_is_left_as_it_is(kind: type[Plain]) -> None:
    model = kind()

    assert not store_channels_last(model, SHAPE)

    assert not is_channels_last(model)
    assert all(one.is_contiguous() for one in model.parameters())


def test_an_empty_weight_is_the_same_in_both_layouts() -> None:
    model = Plain()
    model.register_parameter("none", nn.Parameter(torch.empty(0)))
    model.register_forward_hook(lambda one, _, output: output + one.none.sum())

    assert store_channels_last(model, SHAPE)


def test_a_model_without_convolutions_or_images_is_not_tried() -> None:
    assert not store_channels_last(nn.Sequential(nn.Flatten(), nn.Linear(192, 2)), SHAPE)
    assert not store_channels_last(Plain(), (192,))


def test_a_model_of_the_users_trains_channels_last(make_config, monkeypatch, tmp_path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "convolving.py").write_text(
        "from torch import nn\n"
        "def build(input_shape, num_outputs):\n"
        "    convolutions = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3)\n"
        "    return nn.Sequential(*convolutions, nn.Flatten(), nn.Linear(64, num_outputs))\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))

    state = prepare(make_config(model="convolving:build", model_params={}), "cpu")

    assert is_channels_last(state.model)
