"""Kinds of input: what one sample looks like, which follows from the task and its shape."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bakeoff.records import Task

InputKind = Literal["features", "rows", "image", "tokens", "text"]

SHAPES: Mapping[InputKind, str] = {
    "features": "[F]",
    "rows": "[T, F]",
    "image": "[C, H, W]",
    "tokens": "[L]",
    "text": "[L]",
}
"""Shape of a sample: F numbers; T rows of F numbers in order; C channels of H x W; L token ids with
a label for each (tokens), or with one for all (text)."""


@dataclass(frozen=True, kw_only=True)
class Feature:
    """One number of a sample that was read from a table."""

    column: str
    value: str | None = None
    """The text for which the feature is 1, else 0; None if the column holds numbers."""
    offset: float = 0.0
    """Subtracted from the numbers before they become float32, which would lose their digits."""

    @property
    def name(self) -> str:
        """`length`, or `colour=red`."""
        return self.column if self.value is None else f"{self.column}={self.value}"


def input_kind(task: Task, input_shape: Sequence[int], *, is_text: bool = False) -> InputKind:
    """Return the kind of samples of this shape; a language model always reads tokens.

    With `is_text` the samples are tokens of whole texts.
    """
    if task == "language" or is_text:
        return "text" if is_text else "tokens"
    kinds: dict[int, InputKind] = {1: "features", 2: "rows", 3: "image"}
    return kinds[len(input_shape)]


def describe_kinds(kinds: Sequence[InputKind]) -> str:
    """Return a list such as `features [F], rows [T, F] or image [C, H, W]`."""
    described = [f"{kind} {SHAPES[kind]}" for kind in kinds]
    return " or ".join([", ".join(described[:-1]), described[-1]] if described[1:] else described)
