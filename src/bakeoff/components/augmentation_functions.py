"""The code behind the augmentations; imported only where a trial augments.

Shapes: images [N, C, H, W] of any number type, draws [N, k] uniform in [0, 1).
"""

import torch
from torch.nn.functional import pad


def flip(images: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
    """Images mirrored left to right where the draw is below one half."""
    mirrored = draws[:, 0] < 0.5  # noqa: PLR2004 - a fair coin
    return torch.where(mirrored[:, None, None, None], images.flip(-1), images)


def translate(images: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
    """Images shifted by whole pixels, uniformly up to an eighth of each side, filled with zeros.

    A side shorter than 8 is shifted by at most 1.
    """
    num, channels, height, width = images.shape
    reach_y, reach_x = max(1, height // 8), max(1, width // 8)
    padded = pad(images, (reach_x, reach_x, reach_y, reach_y))
    top = (draws[:, 0] * (2 * reach_y + 1)).long()
    left = (draws[:, 1] * (2 * reach_x + 1)).long()
    rows = (top[:, None] + torch.arange(height, device=images.device))[:, None, :, None]
    columns = (left[:, None] + torch.arange(width, device=images.device))[:, None, None, :]
    samples = torch.arange(num, device=images.device)[:, None, None, None]
    planes = torch.arange(channels, device=images.device)[None, :, None, None]
    return padded[samples, planes, rows, columns]
