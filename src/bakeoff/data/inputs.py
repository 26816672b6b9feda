"""What one sample can look like: kinds of input, told apart by task and shape."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bakeoff.records import Task

InputKind = Literal["features", "rows", "image", "tokens"]

SHAPES: Mapping[InputKind, str] = {
    "features": "[F]",
    "rows": "[T, F]",
    "image": "[C, H, W]",
    "tokens": "[L]",
}
"""Of one sample: F numbers; T rows of F numbers, in order; C channels of H x W; L token ids."""


@dataclass(frozen=True, kw_only=True)
class Feature:
    """One number of a sample that was read from a table."""

    column: str
    value: str | None = None
    """The text for which the feature is 1, else 0; None where the column holds numbers."""

    @property
    def name(self) -> str:
        """`length`, or `colour=red`."""
        return self.column if self.value is None else f"{self.column}={self.value}"


def input_kind(task: Task, input_shape: Sequence[int]) -> InputKind:
    """The kind of samples of this shape; a language model's are always tokens."""
    if task == "language":
        return "tokens"
    kinds: dict[int, InputKind] = {1: "features", 2: "rows", 3: "image"}
    return kinds[len(input_shape)]


def describe_kinds(kinds: Sequence[InputKind]) -> str:
    """`features [F], rows [T, F] or image [C, H, W]`."""
    described = [f"{kind} {SHAPES[kind]}" for kind in kinds]
    return " or ".join([", ".join(described[:-1]), described[-1]] if described[1:] else described)
