import pytest
import torch

from bakeoff.components.augmentation_functions import flip, translate
from bakeoff.components.augmentations import AUGMENTATIONS, AugmentationSpec
from bakeoff.registry import resolve

IMAGES = torch.arange(6 * 2 * 16 * 24, dtype=torch.float32).reshape(6, 2, 16, 24) + 1
DRAWS = torch.rand(6, 2, generator=torch.Generator().manual_seed(0))
EVERY = pytest.mark.parametrize("spec", AUGMENTATIONS, ids=lambda spec: spec.name)


def apply(spec: AugmentationSpec, images: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
    return resolve(spec.apply)(images, draws)  # type: ignore[operator,no-any-return]


@EVERY
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_shape_and_type_stay(spec: AugmentationSpec, dtype: torch.dtype) -> None:
    images = IMAGES.to(dtype)
    changed = apply(spec, images, DRAWS[:, : spec.num_draws])
    assert (changed.shape, changed.dtype) == (images.shape, images.dtype)


@EVERY
def test_sample_does_not_depend_on_its_batch(spec: AugmentationSpec) -> None:
    draws = DRAWS[:, : spec.num_draws]
    alone = [apply(spec, IMAGES[i : i + 1], draws[i : i + 1]) for i in range(6)]
    assert torch.equal(apply(spec, IMAGES, draws), torch.cat(alone))


def test_flip_mirrors_where_the_draw_is_below_one_half() -> None:
    flipped = flip(IMAGES[:2], torch.tensor([[0.49], [0.5]]))
    assert torch.equal(flipped[0], IMAGES[0].flip(-1))
    assert torch.equal(flipped[1], IMAGES[1])


@pytest.mark.parametrize(
    ("draw_y", "draw_x", "down", "right"),
    [
        (0.5, 0.5, 0, 0),
        (0.0, 0.5, 2, 0),
        (0.999, 0.5, -2, 0),
        (0.5, 0.0, 0, 3),
        (0.0, 0.999, 2, -3),
    ],
)
def test_translate_shifts_and_fills_with_zeros(
    draw_y: float, draw_x: float, down: int, right: int
) -> None:
    moved = translate(IMAGES[:1], torch.tensor([[draw_y, draw_x]]))
    expected = torch.zeros_like(IMAGES[:1])
    rows, columns = (
        range(max(0, down), min(16, 16 + down)),
        range(max(0, right), min(24, 24 + right)),
    )
    for row in rows:
        for column in columns:
            expected[..., row, column] = IMAGES[:1, :, row - down, column - right]
    assert torch.equal(moved, expected)
