"""The code of the augmentations, imported only where a trial augments.

Shapes: images [N, C, H, W] of any number type, masks [N, H, W] of the class of each pixel, draws
[N, k] uniform in [0, 1).
"""

from math import log

import torch
from torch.nn.functional import affine_grid, grid_sample, pad

from bakeoff.data.masks import IGNORED

SMALLEST_CROP = 0.5
"""Smallest share of the area that a crop keeps."""
LARGEST_STRETCH = 4 / 3
"""Largest ratio of a crop's sides, each relative to the image's side."""


def flip(images: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
    """Images mirrored left to right where the draw is below one half."""
    mirrored = draws[:, 0] < 0.5  # noqa: PLR2004 - a fair coin
    return torch.where(mirrored[:, None, None, None], images.flip(-1), images)


def flip_masks(masks: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
    """Masks mirrored as `flip` mirrors their images."""
    return flip(masks[:, None], draws)[:, 0]


def translate(images: torch.Tensor, draws: torch.Tensor, *, padding: int = 0) -> torch.Tensor:
    """Images shifted by whole pixels, uniformly up to an eighth of each side, padded with zeros.

    Sides shorter than 8 pixels are shifted by at most 1. Another value of `padding` replaces zero.
    """
    height, width = images.shape[2:]
    reach_y, reach_x = max(1, height // 8), max(1, width // 8)
    padded = pad(images, (reach_x, reach_x, reach_y, reach_y), value=padding)
    top = (draws[:, 0] * (2 * reach_y + 1)).long()
    left = (draws[:, 1] * (2 * reach_x + 1)).long()
    # Every place of the image in the padded one is a view, of which whole images are copied.
    windows = padded.unfold(2, height, 1).unfold(3, width, 1).permute(0, 2, 3, 1, 4, 5)
    return windows[torch.arange(len(images), device=images.device), top, left]


def translate_masks(masks: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
    """Masks shifted as `translate` shifts their images; pixels that come in are ignored."""
    return translate(masks[:, None], draws, padding=IGNORED)[:, 0]


def crop(images: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
    """A random part of each image, resized to the whole image by linear interpolation.

    Its area is uniform between half and all of the image, the ratio of its sides is log-uniform
    between 3/4 and 4/3 (less where it would not fit), and its position is uniform.
    """
    grid = _crop_grid(draws, images.shape)
    parts = grid_sample(images.float(), grid, padding_mode="border", align_corners=False)
    return parts if images.is_floating_point() else parts.round_().to(images.dtype)


def crop_masks(masks: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
    """Masks cropped as `crop` crops their images; each pixel takes the class of the nearest one.

    A crop lies inside of its image, so no pixel comes in from outside.
    """
    planes = masks[:, None].float()  # classes below 256 are exact
    grid = _crop_grid(draws, planes.shape)
    parts = grid_sample(planes, grid, mode="nearest", padding_mode="border", align_corners=False)
    return parts[:, 0].to(masks.dtype)


def _crop_grid(draws: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """The places in images [N, C, H, W] that the pixels of their crops show, [N, H, W, 2]."""
    area = SMALLEST_CROP + (1 - SMALLEST_CROP) * draws[:, 0]
    stretch = torch.exp((draws[:, 1] - 0.5) * log(LARGEST_STRETCH))
    sides = torch.stack([area.sqrt() * stretch, area.sqrt() / stretch], 1).clamp_max(1.0)
    # Coordinates run from -1 to 1, so the centre can be up to 1 - side away from the middle.
    centres = (2 * draws[:, 2:4] - 1) * (1 - sides)
    placed = torch.cat([torch.diag_embed(sides), centres[:, :, None]], 2)
    return affine_grid(placed, list(shape), align_corners=False)


def cutout(images: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
    """Images with a rectangle of half the height and half the width set to the image's mean.

    Its centre is uniform over the image, so part of it may lie outside. Each channel is set to its
    own mean, so that the mean of normalised images does not shift.
    """
    height, width = images.shape[2:]
    rows = _covered(draws[:, 0], height)[:, None, :, None]
    columns = _covered(draws[:, 1], width)[:, None, None, :]
    means = images.mean((2, 3), keepdim=True, dtype=torch.float32).to(images.dtype)
    return torch.where(rows & columns, means, images)


def _covered(draws: torch.Tensor, size: int) -> torch.Tensor:
    """Whether each of `size` positions lies in a half around a random centre, [N, size]."""
    half = max(1, size // 2)
    starts = (draws * size).long() - half // 2
    places = torch.arange(size, device=draws.device)
    return (places >= starts[:, None]) & (places < starts[:, None] + half)
