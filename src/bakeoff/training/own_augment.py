"""An augmentation of the user's own: a function of a batch, or a transform of single images.

Its random numbers depend only on the run's seed, the epoch and a sample's place in the epoch, so a
resumed run draws the same ones.

Shapes: images [N, C, H, W] as they are stored, before normalisation.
"""

import inspect
import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bakeoff.components.own_calls import AUGMENTATION
from bakeoff.errors import UsageError
from bakeoff.registry import expecting, generators_kept, resolve, users_code
from bakeoff.seeding import derive_seed

NUM_TRIED = 4
NUMPY_SEEDS = 1 << 32


class OwnAugmentation:
    """Applies the user's function or transform in one epoch.

    Args:
        reference: Names it in messages, and is part of every seed.
        apply: A function `(images [N, C, H, W], generator)`, or a module that changes one image.
        seed: The run's.
        epoch: Counted from 1.
        batch_size: A function sees at most this many samples at once; None does not divide them.
    """

    def __init__(
        self,
        reference: str,
        apply: Callable[..., Any],
        *,
        seed: int,
        epoch: int,
        batch_size: int | None,
    ) -> None:
        self._where = f"augmentation {reference!r}"
        self._apply = apply
        self._path = (seed, "augment", reference, epoch)
        self._batch_size = batch_size

    def __call__(self, images: Tensor, positions: Tensor) -> Tensor:
        """Changed images; `positions` [N] are the samples' places in the epoch.

        Raises:
            UsageError: The result has another shape or type.
        """
        places: list[int] = positions.tolist()
        with users_code():
            if isinstance(self._apply, nn.Module):
                changed = self._one_by_one(images, places)
            else:
                changed = self._batch_by_batch(images, places)
        if changed.shape != images.shape or changed.dtype != images.dtype:
            raise self._wrong(f"{list(changed.shape)} of {changed.dtype}", images)
        return changed

    def _batch_by_batch(self, images: Tensor, places: Sequence[int]) -> Tensor:
        size = self._batch_size or len(images)
        changed = []
        for first in range(0, len(images), size):
            batch = images[first : first + size]
            generator = torch.Generator(images.device)
            generator.manual_seed(derive_seed(*self._path, places[first]))
            found = self._apply(batch, generator)
            if not isinstance(found, Tensor):
                raise self._wrong(type(found).__name__, batch)
            changed.append(found)
        return torch.cat(changed)

    def _one_by_one(self, images: Tensor, places: Sequence[int]) -> Tensor:
        """Each image with global generators of its own, which are restored afterwards."""
        devices = [images.device] if images.device.type == "cuda" else []
        changed = []
        with torch.random.fork_rng(devices=devices), generators_kept():
            for image, place in zip(images, places, strict=True):
                seed = derive_seed(*self._path, place)
                random.seed(seed)
                np.random.seed(seed % NUMPY_SEEDS)
                torch.manual_seed(seed)
                found = self._apply(image)
                if not isinstance(found, Tensor) or found.shape != image.shape:
                    shape = list(found.shape) if isinstance(found, Tensor) else type(found).__name__
                    raise self._wrong(f"{shape} of one image", image)
                changed.append(found)
        return torch.stack(changed)

    def _wrong(self, found: str, images: Tensor) -> UsageError:
        given = f"{list(images.shape)} of {images.dtype}"
        return UsageError(
            f"{self._where}: expected {AUGMENTATION.gives}, here {given}, found {found}"
        )


def build_own_augmentation(
    reference: str, *, seed: int, epoch: int, batch_size: int | None = None
) -> OwnAugmentation:
    """The augmentation that `package.module:name` refers to, for one epoch.

    Args:
        reference: A function of images and a generator, a transform, its class, or a function
            without arguments that returns either of them.
        seed: The run's.
        epoch: Counted from 1.
        batch_size: See `OwnAugmentation`.

    Raises:
        UsageError: It cannot be imported or built, or is something else.
    """
    found = resolve(reference)
    expected = (
        f"augmentation {reference!r}: expected {AUGMENTATION.accepts}, called with"
        f" {AUGMENTATION.called_with}"
    )
    with expecting(expected, found):
        apply = found() if _is_factory(found) else found  # type: ignore[operator]
    if not callable(apply):
        raise UsageError(f"{expected}, found {type(apply).__name__}")
    return OwnAugmentation(reference, apply, seed=seed, epoch=epoch, batch_size=batch_size)


def check_own_augmentation(
    reference: str, shape: Sequence[int], dtype: torch.dtype, device: torch.device
) -> None:
    """Make sure that an augmentation takes images and depends on nothing but its random state.

    Args:
        reference: The augmentation.
        shape: Of an image, [C, H, W].
        dtype: Of the stored images.
        device: Where they are.

    Raises:
        UsageError: It does not.
    """
    where = f"augmentation {reference!r}"
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (NUM_TRIED, *shape), generator=generator).to(device, dtype)
    places = torch.arange(NUM_TRIED)
    expected = f"{where}: expected a call with {AUGMENTATION.called_with}"
    with expecting(expected, resolve(reference)):
        first, second = (
            build_own_augmentation(reference, seed=0, epoch=1)(images.clone(), places)
            for _ in range(2)
        )
    if not torch.equal(first, second):
        raise UsageError(
            f"{where}: expected the same images from the same random state, found others: draw"
            " from the generator that it is called with"
        )


def _is_factory(found: object) -> bool:
    """Whether it has to be called for the augmentation: a class, or a function of no arguments."""
    if isinstance(found, type):
        return True
    if isinstance(found, nn.Module) or not callable(found):
        return False
    try:
        inspect.signature(found).bind()
    except (TypeError, ValueError):
        return False
    return True
