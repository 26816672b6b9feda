"""An augmentation of the user's own draws the same numbers again, or is refused in one line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from bakeoff.errors import UsageError
from bakeoff.records import TrialConfig
from bakeoff.training import loop
from bakeoff.training.build import build_augment, check_augment
from bakeoff.training.checkpoint import Checkpoints

MakeConfig = Callable[..., TrialConfig]
CPU = torch.device("cpu")
SHAPE = (1, 8, 8)


def shifted(images: Tensor, generator: torch.Generator) -> Tensor:
    """Images whose values wrap around by one random number for each."""
    shifts = torch.randint(0, 9, (len(images), 1, 1, 1), generator=generator)
    return images + shifts.to(images.dtype)


def turned() -> Any:
    """A transform that is made by a function."""
    from torchvision.transforms import v2

    return v2.Compose([v2.RandomHorizontalFlip(), v2.RandomCrop(8, padding=2)])


def halved(images: Tensor, generator: torch.Generator) -> Tensor:
    """Smaller images."""
    return images[..., :4]


def real(images: Tensor, generator: torch.Generator) -> Tensor:
    """Another type."""
    return images.double()


def unseeded(images: Tensor, generator: torch.Generator) -> Tensor:
    """Draws from the global generator."""
    return images + torch.randint(0, 99, (1,)).to(images.dtype)


def alone(images: Tensor) -> Tensor:
    """Takes no generator."""
    return images


def nothing(images: Tensor, generator: torch.Generator) -> None:
    """Returns nothing."""


OWN = [f"{__name__}:shifted", f"{__name__}:turned", "torchvision.transforms.v2:RandomVerticalFlip"]


def augmented(positions: Tensor, names: list[str], *, seed: int = 0, epoch: int = 1) -> Tensor:
    images = torch.arange(48 * 64).reshape(48, *SHAPE).to(torch.uint8)
    augment = build_augment(names, num_samples=48, seed=seed, epoch=epoch, device=CPU, batch_size=8)
    assert augment is not None
    return augment(images[positions], positions)


@pytest.mark.parametrize("name", OWN)
def test_augmentation_is_the_same_for_the_same_seed_epoch_and_place(name: str) -> None:
    positions = torch.arange(48)
    first = augmented(positions, [name])
    torch.manual_seed(7)
    state = torch.get_rng_state()
    assert torch.equal(first, augmented(positions, [name]))
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(first, augmented(positions, [name], seed=1))
    assert not torch.equal(first, augmented(positions, [name], epoch=2))


@pytest.mark.parametrize("name", OWN)
def test_batches_that_follow_are_the_same_without_those_before(name: str) -> None:
    whole = augmented(torch.arange(48), [name])
    assert torch.equal(augmented(torch.arange(16, 48), [name]), whole[16:])


def test_transform_of_an_image_does_not_depend_on_its_batch() -> None:
    order = torch.randperm(48, generator=torch.Generator().manual_seed(3))
    whole = augmented(torch.arange(48), OWN[1:])
    assert torch.equal(augmented(order, OWN[1:]), whole[order])


def test_own_and_registered_augmentations_follow_one_another_in_their_order() -> None:
    positions = torch.arange(48)
    both = augmented(positions, ["flip", OWN[0]])
    drawn = augmented(positions, [OWN[0]]) - augmented(positions, [f"{__name__}:kept"])
    assert torch.equal(both - drawn, augmented(positions, ["flip"]))


def kept(images: Tensor, generator: torch.Generator) -> Tensor:
    """Images as they are."""
    return images


def test_run_that_is_resumed_ends_with_the_same_bits(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    config = make_config(epochs=3, augment=tuple(OWN))
    whole = loop.prepare(config, "cpu")
    list(loop.train(whole))
    begun = loop.prepare(config, "cpu")
    checkpoints = Checkpoints(tmp_path, "one", attempt=1)
    next(loop.train(begun, checkpoints))
    checkpoints.save(begun)
    resumed = loop.prepare(config, "cpu")
    list(loop.train(resumed, Checkpoints(tmp_path, "one", attempt=2)))
    for name, weights in whole.evaluated_weights().items():
        assert torch.equal(resumed.evaluated_weights()[name], weights)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("halved", r"of the same shape and type, here \[4, 1, 8, 8\] of torch.uint8, found \[4, 1, 8, 4\]"),
        ("real", r"here \[4, 1, 8, 8\] of torch.uint8, found \[4, 1, 8, 8\] of torch.float64"),
        ("unseeded", "expected the same images from the same random state, found others"),
        ("alone", r"\(images \[N, C, H, W\], generator\), or .*, found alone\(images\) \(TypeError"),
        ("nothing", "found NoneType"),
        ("OWN", "expected a function, a transform .*, found list"),
    ],
)  # fmt: skip
def test_augmentation_that_cannot_be_used_is_refused_in_one_line(name: str, message: str) -> None:
    torch.manual_seed(0)
    with pytest.raises(UsageError, match=f"^augmentation '{__name__}:{name}': .*{message}") as one:
        check_augment([f"{__name__}:{name}"], SHAPE, torch.uint8, CPU)
    assert "\n" not in str(one.value)
