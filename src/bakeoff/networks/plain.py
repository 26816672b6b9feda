"""The networks behind the registered models; imported only where one is built.

Nothing of bakeoff is imported here: an export carries this source, so that weights can be used
without it.
"""

from collections.abc import Sequence
from math import prod

from torch import Tensor, nn
from torch.nn.functional import avg_pool2d


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
        GlobalAverage(),
        nn.Flatten(),
        *_dropout(dropout),
        nn.Linear(4 * width, num_outputs),
    )


def build_resnet8(
    input_shape: Sequence[int], num_outputs: int, width: int, dropout: float
) -> nn.Module:
    """A residual network of eight layers: [N, C, H, W] -> [N, num_outputs].

    A 3x3 convolution, three stages of one block of two 3x3 convolutions with `width`, `2 * width`
    and `4 * width` channels, the last two halving the sides, an average over what is left, and a
    linear layer. Where a block changes the shape, a 1x1 convolution does so beside it.

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
    """Two 3x3 convolutions, added to what came in: [N, C, H, W] -> [N, D, H / stride, ...]."""

    def __init__(self, num_inputs: int, num_outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            *_convolution(num_inputs, num_outputs, stride),
            *_convolution(num_outputs, num_outputs)[:-1],
        )
        is_same = num_inputs == num_outputs and stride == 1
        self.shortcut = (
            nn.Identity()
            if is_same
            else nn.Sequential(
                nn.Conv2d(num_inputs, num_outputs, 1, stride=stride, bias=False),
                nn.BatchNorm2d(num_outputs),
            )
        )
        self.activation = nn.ReLU()

    def forward(self, images: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, D, H / stride, W / stride], rounded up."""
        summed: Tensor = self.activation(self.convolutions(images) + self.shortcut(images))
        return summed


class GlobalAverage(nn.Module):
    """The mean of every channel: [N, C, H, W] -> [N, C, 1, 1].

    As `nn.AdaptiveAvgPool2d(1)`, but its gradient stays channels last, where the layers below are
    quick with it: a step of the small network takes a fourteenth less.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        """The means."""
        return avg_pool2d(inputs, inputs.shape[-2:])


def _convolution(num_inputs: int, num_outputs: int, stride: int = 1) -> list[nn.Module]:
    """Convolution, normalisation (which makes a bias redundant), ReLU."""
    return [
        nn.Conv2d(num_inputs, num_outputs, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(num_outputs),
        nn.ReLU(inplace=True),
    ]


def _dropout(probability: float) -> list[nn.Module]:
    """Nothing at 0: dropout draws random numbers even where it drops nothing."""
    return [nn.Dropout(probability)] if probability > 0 else []
