import pytest
import torch

from bakeoff.components.augmentations import AUGMENTATIONS, AugmentationSpec
from bakeoff.registry import resolve
from bakeoff.training.augmentation_functions import crop, cutout, flip, translate

IMAGES = torch.arange(6 * 2 * 16 * 24, dtype=torch.float32).reshape(6, 2, 16, 24) + 1
DRAWS = torch.rand(6, 4, generator=torch.Generator().manual_seed(0))
EVERY = pytest.mark.parametrize("spec", AUGMENTATIONS, ids=lambda spec: spec.name)


def apply(spec: AugmentationSpec, images: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
    return resolve(spec.apply)(images, draws)  # type: ignore[operator,no-any-return]


@EVERY
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_shape_and_type_do_not_change(spec: AugmentationSpec, dtype: torch.dtype) -> None:
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


def test_crop_of_the_whole_area_is_the_image() -> None:
    whole = torch.tensor([[1.0, 0.5, 0.3, 0.7]])
    assert torch.allclose(crop(IMAGES[:1], whole), IMAGES[:1], rtol=1e-4)


@pytest.mark.parametrize(
    ("draw", "first", "last"), [(0.0, 0, 11.31), (0.5, 2.34, 13.66), (1.0, 4.69, 16)]
)
def test_crop_stretches_a_part_of_half_the_area(draw: float, first: float, last: float) -> None:
    # Every column holds its own number.
    ramp = torch.arange(16.0).expand(1, 1, 16, 16)
    part = crop(ramp, torch.tensor([[0.0, 0.5, draw, 0.0]]))
    scale = 0.5**0.5
    assert float(part[0, 0, 0, 8] - part[0, 0, 0, 7]) == pytest.approx(scale, abs=1e-4)
    middle = (first + last) / 2 - 0.5
    assert float(part[0, 0, 0, 7:9].mean()) == pytest.approx(middle, abs=0.01)


@pytest.mark.parametrize(("stretch", "width", "height"), [(0.0, 0.612, 0.816), (1.0, 0.816, 0.612)])
def test_crop_stretches_to_four_thirds_at_most(stretch: float, width: float, height: float) -> None:
    ramp = torch.arange(16.0).expand(1, 1, 16, 16)
    draws = torch.tensor([[0.0, stretch, 0.5, 0.5]])
    across, down = crop(ramp, draws)[0, 0], crop(ramp.mT, draws)[0, 0]
    assert float(across[8, 9] - across[8, 8]) == pytest.approx(width, abs=1e-3)
    assert float(down[9, 8] - down[8, 8]) == pytest.approx(height, abs=1e-3)


@pytest.mark.parametrize(
    ("draw_y", "draw_x", "rows", "columns"),
    [
        (0.5, 0.5, range(4, 12), range(6, 18)),
        (0.0, 0.999, range(4), range(17, 24)),
    ],
)
def test_cutout_paints_a_rectangle_with_each_channels_mean(
    draw_y: float, draw_x: float, rows: range, columns: range
) -> None:
    painted = cutout(IMAGES[:1], torch.tensor([[draw_y, draw_x]]))
    expected = IMAGES[:1].clone()
    for channel in range(2):
        for row in rows:
            expected[0, channel, row, columns[0] : columns[-1] + 1] = IMAGES[0, channel].mean()
    assert torch.equal(painted, expected)
