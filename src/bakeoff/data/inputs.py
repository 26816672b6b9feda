"""Kinds of input: what one sample looks like, which follows from the task and its shape."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bakeoff.records import Task

InputKind = Literal["features", "codes", "rows", "image", "tokens", "text"]

SHAPES: Mapping[InputKind, str] = {
    "features": "[F]",
    "codes": "[F]",
    "rows": "[T, F]",
    "image": "[C, H, W]",
    "tokens": "[L]",
    "text": "[L]",
}
"""Shape of a sample: F numbers; F numbers some of which are codes of texts (codes); T rows of F
numbers in order; C channels of H x W; L token ids with a label for each (tokens), or with one for
all (text)."""


@dataclass(frozen=True, kw_only=True)
class Feature:
    """One number of a sample that was read from a table."""

    column: str
    value: str | None = None
    """The text for which the feature is 1, else 0; None if the column holds numbers."""
    offset: float = 0.0
    """Subtracted from the numbers before they become float32, which would lose their digits."""
    levels: tuple[str, ...] = ()
    """The texts that the codes 1, 2, ... stand for; 0 is any other text. Empty if it has no codes.
    """

    @property
    def name(self) -> str:
        """`length`, or `colour=red`."""
        return self.column if self.value is None else f"{self.column}={self.value}"


Categories = tuple[tuple[int, int], ...]
"""The places of codes in a sample, each with the number of its codes, 0 included."""


def code_counts(features: Sequence[Feature]) -> Categories:
    """Return the place and the number of codes of each feature that has codes."""
    return tuple(
        (place, len(feature.levels) + 1) for place, feature in enumerate(features) if feature.levels
    )


def input_kind(
    task: Task, input_shape: Sequence[int], *, is_text: bool = False, has_codes: bool = False
) -> InputKind:
    """Return the kind of samples of this shape; a language model always reads tokens.

    With `is_text` the samples are tokens of whole texts, with `has_codes` rows of a table whose
    texts are codes.
    """
    if has_codes:
        return "codes"
    if task == "language" or is_text:
        return "text" if is_text else "tokens"
    kinds: dict[int, InputKind] = {1: "features", 2: "rows", 3: "image"}
    return kinds[len(input_shape)]


def describe_kinds(kinds: Sequence[InputKind]) -> str:
    """Return a list such as `features [F], rows [T, F] or image [C, H, W]`."""
    described = [f"{kind} {SHAPES[kind]}" for kind in kinds]
    return " or ".join([", ".join(described[:-1]), described[-1]] if described[1:] else described)
