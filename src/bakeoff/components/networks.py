"""The networks behind the registered models; imported only where one is built."""

from collections.abc import Sequence
from math import prod

from torch import nn


def build_mlp(
    input_shape: Sequence[int], num_outputs: int, width: int, depth: int, dropout: float
) -> nn.Module:
    """A network with `depth` hidden layers of `width` units: [N, ...] -> [N, num_outputs]."""
    layers: list[nn.Module] = [nn.Flatten()]
    num_inputs = prod(input_shape)
    for _ in range(depth):
        layers += [nn.Linear(num_inputs, width), nn.ReLU(), *_dropout(dropout)]
        num_inputs = width
    return nn.Sequential(*layers, nn.Linear(num_inputs, num_outputs))


def build_cnn(
    input_shape: Sequence[int], num_outputs: int, width: int, dropout: float
) -> nn.Module:
    """A small convolutional network: [N, C, H, W] -> [N, num_outputs].

    Three 3x3 convolutions with batch normalisation, of `width`, `2 * width` and `4 * width`
    channels; the first strides, the second is pooled, and an average over what is left feeds the
    classifier. Takes images of any size from 4x4.
    """
    return nn.Sequential(
        *_convolution(input_shape[0], width, stride=2),
        *_convolution(width, 2 * width),
        nn.MaxPool2d(2),
        *_convolution(2 * width, 4 * width),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        *_dropout(dropout),
        nn.Linear(4 * width, num_outputs),
    )


def _convolution(num_inputs: int, num_outputs: int, stride: int = 1) -> list[nn.Module]:
    """Convolution, normalisation (which makes a bias redundant), ReLU."""
    return [
        nn.Conv2d(num_inputs, num_outputs, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(num_outputs),
        nn.ReLU(),
    ]


def _dropout(probability: float) -> list[nn.Module]:
    """Nothing at 0: dropout draws random numbers even where it drops nothing."""
    return [nn.Dropout(probability)] if probability > 0 else []
