"""The difference between the final states of two runs, taken from their checkpoints."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bakeoff.errors import CheckpointError
from bakeoff.training.checkpoint import Checkpoints

CLOCK = frozenset({"train_seconds", "evaluate_seconds", "data_seconds"})
"""Keys of an epoch's record that differ between any two runs."""


@dataclass(frozen=True, kw_only=True)
class StateDifference:
    """Two final states, compared bit by bit."""

    epoch: int | None
    """First epoch whose records differ; None if no records do."""
    in_epoch: str
    """The first difference in that epoch: name, first value, second value."""
    paths: tuple[str, ...]
    """Names of all values that differ in the final states, weights first."""
    num_values: int
    """Number of tensors and numbers that were compared."""
    digest: str
    """SHA-256 of the first state."""

    @property
    def is_identical(self) -> bool:
        """Whether nothing differs."""
        return not self.paths


def compare_final_states(first: Path, second: Path, identity: str) -> StateDifference:
    """Compare the newest checkpoints of two folders, except for the times they measured.

    Raises:
        CheckpointError: A folder has no valid checkpoint.
    """
    states: list[dict[str, str]] = []
    for folder in (first, second):
        payload = Checkpoints(folder, identity).load()
        if payload is None:
            raise CheckpointError(f"{folder} holds no valid checkpoint")
        states.append(dict(_flatten("", payload)))
    one, two = states
    paths = [name for name in dict.fromkeys([*one, *two]) if one.get(name) != two.get(name)]
    epoch, in_epoch = _first_difference(one, two, paths)
    content = "\n".join(f"{name} {value}" for name, value in sorted(one.items()))
    return StateDifference(
        epoch=epoch,
        in_epoch=in_epoch,
        paths=tuple(paths),
        num_values=len(one),
        digest=hashlib.sha256(content.encode()).hexdigest(),
    )


def _flatten(path: str, value: Any) -> Iterator[tuple[str, str]]:
    """Every tensor and number by its path, as text that is equal if and only if the bits are."""
    if isinstance(value, Tensor):
        data = value.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        yield path, f"{value.dtype} {list(value.shape)} {hashlib.sha256(data).hexdigest()}"
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if key not in CLOCK:
                yield from _flatten(f"{path}.{key}" if path else str(key), item)
    elif isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        for index, item in enumerate(value):
            yield from _flatten(f"{path}.{index}", item)
    else:
        yield path, repr(value)


def _first_difference(
    one: Mapping[str, str], two: Mapping[str, str], paths: Sequence[str]
) -> tuple[int | None, str]:
    recorded = [name.split(".", 2) for name in paths if name.startswith("history.")]
    if not recorded:
        return None, ""
    _, index, key = min(recorded, key=lambda parts: int(parts[1]))
    name = f"history.{index}.{key}"
    return int(index) + 1, f"{key} {one.get(name, 'absent')} became {two.get(name, 'absent')}"
