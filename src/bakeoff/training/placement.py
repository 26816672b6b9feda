"""Where the samples of a run are kept: on its device if they fit there, else in host memory."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from numpy.typing import NDArray
from torch import Tensor

from bakeoff.training.device import free_bytes, to_device

DATA_SHARE = 0.4
"""Share of a device's free memory that the samples of one part may take. Model, activations and the
other parts need the rest."""


class DataKey(NamedTuple):
    """What the samples of a data set are determined by."""

    config: str
    fingerprint: str
    test_seed: int | None


class HostInputs:
    """Inputs that do not fit on the device, of which each batch is copied there when it is used.

    The copy does not wait for the device, which trains on the batches before in the meantime.

    Args:
        inputs: All rows [N, ...], in host memory or memory-mapped.
        device: The device to put batches on.
    """

    def __init__(self, inputs: Tensor, device: torch.device) -> None:
        self._inputs = inputs
        self._device = device

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of an array of all inputs, [N, ...]."""
        return tuple(self._inputs.shape)

    @property
    def dtype(self) -> torch.dtype:
        """The type of the inputs, as they are stored."""
        return self._inputs.dtype

    def fetch(
        self,
        chunks: Sequence[Tensor],
        seed: int,  # noqa: ARG002 - of `LoadedInputs`
        *,
        tune: bool,  # noqa: ARG002 - of `LoadedInputs`
        skip: int = 0,
    ) -> Iterator[Tensor]:
        """Inputs [n, ...] of each chunk of rows, without the first `skip` chunks.

        `seed` and `tune` are for `LoadedInputs`, and change nothing here.
        """
        for rows in on_host(chunks)[skip:]:
            yield to_device(self._inputs.index_select(0, rows), self._device)


def on_host(chunks: Sequence[Tensor]) -> list[Tensor]:
    """The chunks in host memory, copied together: each copy from a device waits for it."""
    if not chunks:
        return []
    return list(torch.split(torch.cat(list(chunks)).cpu(), [len(chunk) for chunk in chunks]))


class KeptOnDevice:
    """The samples that this process keeps on its device from run to run, of one data set."""

    def __init__(self) -> None:
        self._key: DataKey | None = None
        self._parts: dict[tuple[str, str], Tensor] = {}
        self._versions: dict[tuple[str, str], int] = {}
        """Rise when a loop of the user's own changes a part in place, which is copied anew then."""

    def place(
        self, samples: NDArray[Any], key: DataKey, part: str, device: torch.device
    ) -> Tensor | HostInputs:
        """Samples on the device, or in host memory if they would take too much of the device's.

        On the CPU nothing is copied or kept: the arrays stay memory-mapped.

        Args:
            samples: All rows, [N, ...].
            key: Of the data set. Another one than before makes room for its samples.
            part: `train`, `validation` or `test`.
            device: Where the run trains.
        """
        if device.type == "cpu":
            return torch.from_numpy(samples)
        if key != self._key:
            self._parts.clear()
            self._key = key
        place = (part, str(device))
        if place in self._parts and num_changes(self._parts[place]) != self._versions[place]:
            del self._parts[place]
        if place not in self._parts:
            free = free_bytes(device)
            if free is not None and samples.nbytes > DATA_SHARE * free:
                return HostInputs(torch.from_numpy(samples), device)
            placed = torch.from_numpy(samples).to(device)
            self._parts[place], self._versions[place] = placed, num_changes(placed)
        return self._parts[place]

    def clear(self) -> None:
        """Keep nothing: every part is copied anew."""
        self._parts.clear()
        self._key = None


def num_changes(tensor: Tensor) -> int:
    """How often a tensor was changed in place."""
    return tensor._version  # noqa: SLF001 - there is no other count


KEPT_SAMPLES = KeptOnDevice()
"""Successive runs of a worker train on the same data."""
