"""A network that predicts the class of every pixel. It is imported only if it is built.

This module imports nothing of bakeoff: an export carries this source, so that its weights can be
used without bakeoff.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import pad


def build_unet(
    input_shape: Sequence[int], num_outputs: int, width: int, depth: int, dropout: float
) -> nn.Module:
    """Build a small U-Net: images [N, C, H, W] -> [N, num_outputs, H, W], of any H and W.

    It halves the sides `depth` times and doubles the channels each time, from `width` on.

    Source: Ronneberger et al. 2015, https://arxiv.org/abs/1505.04597, with padded convolutions and
    batch normalisation
    """
    return UNet(input_shape[0], num_outputs, width, depth, dropout)


class UNet(nn.Module):
    """Convolutions down and up again, with a connection at each size.

    Args:
        num_inputs: Channels of the images.
        num_outputs: Classes of the pixels.
        width: Channels at full size.
        depth: Times that the sides are halved.
        dropout: Probability with which a channel at the smallest size is dropped.
    """

    def __init__(
        self, num_inputs: int, num_outputs: int, width: int, depth: int, dropout: float
    ) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(depth + 1)]
        self.down = nn.ModuleList([_block(*pair) for pair in pairwise([num_inputs, *widths])])
        self.pool = nn.MaxPool2d(2)
        # No layer at 0, because dropout draws random numbers even if it drops nothing.
        self.dropout: nn.Module = nn.Dropout2d(dropout) if dropout > 0 else nn.Identity()
        self.enlarge = nn.ModuleList(
            [nn.ConvTranspose2d(2 * one, one, 2, stride=2) for one in reversed(widths[:-1])]
        )
        self.up = nn.ModuleList([_block(2 * one, one) for one in reversed(widths[:-1])])
        self.classify = nn.Conv2d(width, num_outputs, 1)
        self.multiple = 2**depth

    def forward(self, images: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, num_outputs, H, W]; zeros fill up sides that cannot be halved."""
        height, width = images.shape[-2:]
        found = pad(images, (0, -width % self.multiple, 0, -height % self.multiple))
        kept: list[Tensor] = []
        for level, block in enumerate(self.down):
            found = block(self.pool(found) if level else found)
            kept.append(found)
        found = self.dropout(kept.pop())
        for enlarge, block in zip(self.enlarge, self.up, strict=True):
            found = block(torch.cat([kept.pop(), enlarge(found)], 1))
        outputs: Tensor = self.classify(found)
        return outputs[..., :height, :width]


def _block(num_inputs: int, num_outputs: int) -> nn.Module:
    """Two 3x3 convolutions with normalisation, which makes a bias redundant, and ReLU."""
    layers: list[nn.Module] = []
    for channels in (num_inputs, num_outputs):
        layers += [
            nn.Conv2d(channels, num_outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(num_outputs),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)
