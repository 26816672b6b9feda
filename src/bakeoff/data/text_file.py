"""Reads text for character models: windows of tokens, labelled with the characters that follow."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bakeoff.data.array_cache import load_cached
from bakeoff.data.arrays import Arrays, token_type
from bakeoff.data.readers import decode_text, read_bounded
from bakeoff.data.splits import TEST_FRACTION
from bakeoff.errors import DataError

UNKNOWN = "\N{REPLACEMENT CHARACTER}"
"""Name of the one token for all characters that are rare or unseen in the training text."""
MIN_COUNT = 5
"""A character must occur this often in the training text to have a token of its own."""
MIN_WINDOWS = 10
"""Fewer are too few to split into training, validation and test samples."""


def load_text(
    path: Path, sequence_length: int, validation: Path | None = None
) -> tuple[Arrays, str]:
    """Return the text at `path` as windows, mapped into memory, and its fingerprint.

    The windows of the text `validation`, if there is one, are for validation.

    Raises:
        DataError: As `read_text` and `make_windows`.
    """

    def decode() -> Arrays:
        arrays = make_windows(read_text(path), sequence_length, str(path))
        return arrays if validation is None else _add_validation(arrays, validation)

    sources = (path,) if validation is None else (path, validation)
    return load_cached(f"text-{sequence_length}", sources, decode)


def _add_validation(arrays: Arrays, path: Path) -> Arrays:
    """The arrays with the windows of the text at `path`, in the vocabulary of the training text."""
    tokens = encode(read_text(path), arrays.class_names).astype(arrays.train_inputs.dtype)
    windows = _cut(tokens, arrays.train_inputs.shape[1])
    if not len(windows):
        raise DataError(f"{path}: has {len(tokens)} characters, fewer than a sample")
    notes = [f"validation samples are those of {path} ({len(windows):,})"]
    share = float((tokens == 0).mean())
    if share > 0:
        notes.append(f"{share:.1%} of its characters are unknown to the training text")
    return replace(
        arrays,
        validation_inputs=np.ascontiguousarray(windows[:, :-1]),
        validation_labels=np.ascontiguousarray(windows[:, 1:]),
        notes=(*arrays.notes, *notes),
    )


def _cut(tokens: NDArray[Any], sequence_length: int) -> NDArray[Any]:
    """Windows [N, L + 1] that do not overlap; a remainder is left out."""
    length = sequence_length + 1
    return tokens[: len(tokens) // length * length].reshape(-1, length)


def read_text(path: Path) -> str:
    """Read UTF-8 text from a file, which may be gzipped; lines end in line feeds alone.

    Raises:
        DataError: The file is missing, damaged, too large, or not UTF-8.
    """
    text = decode_text(read_bounded(path), path)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def make_windows(text: str, sequence_length: int, where: str) -> Arrays:
    """Cut a text into windows of `sequence_length` + 1 characters that do not overlap.

    The last fifth of the text is the test set; the vocabulary is made from the rest. All characters
    of a window except the last are its inputs, and all except the first are its labels. A remainder
    that does not fill a window at the end of either part is left out. The names of the classes are
    the characters of the tokens; the first name represents all unknown characters.

    Args:
        text: The text.
        sequence_length: Tokens in a sample, L.
        where: The source of the text, for messages.

    Raises:
        DataError: The text is too short for such windows.
    """
    length = sequence_length + 1
    start = len(text) - round(TEST_FRACTION * len(text))
    if (len(text) - start) // length < MIN_WINDOWS:
        raise DataError(
            f"{where}: has {len(text)} characters; sequence_length = {sequence_length} needs "
            f"{round(MIN_WINDOWS * length / TEST_FRACTION)} or more"
        )
    vocabulary = build_vocabulary(text[:start])
    tokens = encode(text, vocabulary).astype(token_type(len(vocabulary) - 1))
    train, test = (_cut(part, sequence_length) for part in (tokens[:start], tokens[start:]))
    return Arrays(
        train_inputs=np.ascontiguousarray(train[:, :-1]),
        train_labels=np.ascontiguousarray(train[:, 1:]),
        test_inputs=np.ascontiguousarray(test[:, :-1]),
        test_labels=np.ascontiguousarray(test[:, 1:]),
        class_names=vocabulary,
    )


def build_vocabulary(text: str) -> tuple[str, ...]:
    """Return the unknown symbol, then every character that is frequent enough in `text`, sorted."""
    counts = Counter(text)
    counts.pop(UNKNOWN, None)
    return (UNKNOWN, *sorted(char for char, count in counts.items() if count >= MIN_COUNT))


def encode(text: str, vocabulary: Sequence[str]) -> NDArray[np.int32]:
    """Return the token of every character, [len(text)]; 0 if the vocabulary lacks the character."""
    points = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
    table = np.zeros(int(points.max(initial=0)) + 1, dtype=np.int32)
    for token, char in enumerate(vocabulary):
        if ord(char) < len(table):
            table[ord(char)] = token
    tokens: NDArray[np.int32] = table[points]
    return tokens
