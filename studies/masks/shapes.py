"""Draws the pictures of shapes.toml: discs and squares on a noisy ground, with a mask of each."""

import numpy as np
from numpy.typing import NDArray

SIDE = 32
IGNORED = 255


def draw(num_pictures: int = 240) -> dict[str, NDArray[np.uint8]]:
    """Colour pictures [N, 3, 32, 32] and masks [N, 32, 32]: 0 ground, 1 disc, 2 square.

    A shape may cover part of another. The pixels at the edge of a shape are ignored.
    """
    generator = np.random.default_rng(0)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    images = generator.normal(90, 25, size=(num_pictures, 3, SIDE, SIDE))
    masks = np.zeros((num_pictures, SIDE, SIDE), dtype=np.uint8)
    for image, mask in zip(images, masks, strict=True):
        for shape in (1, 2):
            top, left = generator.integers(8, SIDE - 8, size=2)
            radius = generator.integers(4, 8)
            down, right = abs(rows - top), abs(columns - left)
            distance = np.hypot(down, right) if shape == 1 else np.maximum(down, right)
            colour = generator.normal(0, 50, size=3)
            image[:, distance <= radius] += colour[:, None]
            mask[distance <= radius] = shape
            mask[abs(distance - radius) < 1] = IGNORED
    return {"x": images.clip(0, 255).astype(np.uint8), "y": masks}
