"""Networks for features and images. They are imported only if one is built.

This module imports nothing of bakeoff: an export carries this source, so that its weights can be
used without bakeoff.
"""

from collections.abc import Sequence
from math import prod

from torch import Tensor, nn
from torch.nn.functional import avg_pool2d


def build_mlp(
    input_shape: Sequence[int], num_outputs: int, width: int, depth: int, dropout: float
) -> nn.Module:
    """Build `depth` hidden layers of `width` units: [N, ...] -> [N, num_outputs]."""
    layers: list[nn.Module] = [nn.Flatten()]
    num_inputs = prod(input_shape)
    for _ in range(depth):
        layers += [nn.Linear(num_inputs, width), nn.ReLU(), *_dropout(dropout)]
        num_inputs = width
    return nn.Sequential(*layers, nn.Linear(num_inputs, num_outputs))


def build_cnn(
    input_shape: Sequence[int], num_outputs: int, width: int, dropout: float
) -> nn.Module:
    """Build a small convolutional network: [N, C, H, W] -> [N, num_outputs].

    It has three 3x3 convolutions with batch normalisation, of `width`, `2 * width` and `4 * width`
    channels. The first one has a stride of 2, the second one is followed by pooling, and the
    classifier reads the average over all places. Images may have any size from 4x4.
    """
    return nn.Sequential(
        *_convolution(input_shape[0], width, stride=2),
        *_convolution(width, 2 * width),
        nn.MaxPool2d(2),
        *_convolution(2 * width, 4 * width),
        GlobalAverage(),
        nn.Flatten(),
        *_dropout(dropout),
        nn.Linear(4 * width, num_outputs),
    )


def build_resnet8(
    input_shape: Sequence[int], num_outputs: int, width: int, dropout: float
) -> nn.Module:
    """Build a residual network of eight layers: [N, C, H, W] -> [N, num_outputs].

    It has a 3x3 convolution, three blocks of two 3x3 convolutions with `width`, `2 * width` and
    `4 * width` channels, an average over all places, and a linear layer. The last two blocks halve
    the sides of the image. If a block changes the shape, its shortcut is a 1x1 convolution.

    Source: He et al. 2015, arXiv:1512.03385, section 4.2, with n = 1 and shortcuts of kind B
    """
    return nn.Sequential(
        *_convolution(input_shape[0], width),
        ResidualBlock(width, width),
        ResidualBlock(width, 2 * width, stride=2),
        ResidualBlock(2 * width, 4 * width, stride=2),
        GlobalAverage(),
        nn.Flatten(),
        *_dropout(dropout),
        nn.Linear(4 * width, num_outputs),
    )


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions, added to their input: [N, C, H, W] -> [N, D, H / stride, ...]."""

    def __init__(self, num_inputs: int, num_outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            *_convolution(num_inputs, num_outputs, stride),
            *_convolution(num_outputs, num_outputs)[:-1],
        )
        self.shortcut: nn.Module = nn.Identity()
        if num_inputs != num_outputs or stride > 1:
            self.shortcut = nn.Sequential(
                nn.Conv2d(num_inputs, num_outputs, 1, stride=stride, bias=False),
                nn.BatchNorm2d(num_outputs),
            )
        self.activation = nn.ReLU()

    def forward(self, images: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, D, H / stride, W / stride], rounded up."""
        summed: Tensor = self.activation(self.convolutions(images) + self.shortcut(images))
        return summed


class GlobalAverage(nn.Module):
    """The mean of every channel: [N, C, H, W] -> [N, C, 1, 1].

    This computes the same as `nn.AdaptiveAvgPool2d(1)`, but its gradient stays channels-last,
    which speeds up the layers below: a step of the small network takes 7 % less time.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, C, 1, 1]."""
        return avg_pool2d(inputs, inputs.shape[-2:])


def _convolution(num_inputs: int, num_outputs: int, stride: int = 1) -> list[nn.Module]:
    """Return a convolution, normalisation (which makes a bias redundant) and ReLU."""
    return [
        nn.Conv2d(num_inputs, num_outputs, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(num_outputs),
        nn.ReLU(inplace=True),
    ]


def _dropout(probability: float) -> list[nn.Module]:
    """Return no layer at 0, because dropout draws random numbers even if it drops nothing."""
    return [nn.Dropout(probability)] if probability > 0 else []
