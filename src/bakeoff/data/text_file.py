"""Text for character models: windows of tokens, each labelled with the characters that follow."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bakeoff.data.array_cache import load_cached
from bakeoff.data.arrays import TEST_FRACTION, Arrays
from bakeoff.data.readers import check_file, read_bounded
from bakeoff.errors import DataError

UNKNOWN = "\N{REPLACEMENT CHARACTER}"
"""Name of the one token for all characters that are rare or unseen in the training text."""
MIN_COUNT = 5
"""A character must occur this often in the training text to have a token of its own."""
TOKEN_TYPES = (np.uint8, np.int16, np.int32)
"""No uint16: torch cannot index with it."""
MIN_WINDOWS = 10
"""Fewer could not be split into training, validation and test samples that say anything."""


def load_text(path: Path, sequence_length: int) -> tuple[Arrays, str]:
    """The text at `path` as windows, cut once and then mapped into memory, and its fingerprint.

    Raises:
        DataError: As `read_text` and `make_windows`.
    """
    check_file(path)
    return load_cached(
        f"text-{sequence_length}",
        (path,),
        lambda: make_windows(read_text(path), sequence_length, str(path)),
    )


def read_text(path: Path) -> str:
    """The UTF-8 text in a file, which may be gzipped, with line feeds alone between lines.

    Raises:
        DataError: The file is missing, damaged, too large, or not UTF-8.
    """
    content = read_bounded(path)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not UTF-8 text (byte {error.start})") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def make_windows(text: str, sequence_length: int, where: str) -> Arrays:
    """Cut a text into windows of `sequence_length` + 1 characters that do not overlap.

    The last fifth of the text is the test set; the vocabulary is made from the rest. A window's
    characters but the last are its inputs, those but the first its labels. What does not fill a
    window at the end of either part is left out. The names of the classes are the characters of
    the tokens, the first standing for all that are unknown.

    Args:
        text: The text.
        sequence_length: Tokens in a sample, L.
        where: What it was read from, for messages.

    Raises:
        DataError: The text is too short for such windows.
    """
    start = len(text) - round(TEST_FRACTION * len(text))
    num_windows = (len(text) - start) // (sequence_length + 1)
    if num_windows < MIN_WINDOWS:
        raise DataError(
            f"{where}: has {len(text)} characters; sequence_length = {sequence_length} needs "
            f"{round(MIN_WINDOWS * (sequence_length + 1) / TEST_FRACTION)} or more"
        )
    vocabulary = build_vocabulary(text[:start])
    kind = next(one for one in TOKEN_TYPES if len(vocabulary) <= np.iinfo(one).max + 1)
    tokens = encode(text, vocabulary).astype(kind)
    train, test = (_cut(part, sequence_length + 1) for part in (tokens[:start], tokens[start:]))
    return Arrays(
        train_inputs=np.ascontiguousarray(train[:, :-1]),
        train_labels=np.ascontiguousarray(train[:, 1:]),
        test_inputs=np.ascontiguousarray(test[:, :-1]),
        test_labels=np.ascontiguousarray(test[:, 1:]),
        class_names=vocabulary,
    )


def build_vocabulary(text: str) -> tuple[str, ...]:
    """The unknown symbol, then every character that occurs often enough in `text`, sorted."""
    counts = Counter(text)
    counts.pop(UNKNOWN, None)
    return (UNKNOWN, *sorted(char for char, count in counts.items() if count >= MIN_COUNT))


def encode(text: str, vocabulary: Sequence[str]) -> NDArray[np.int32]:
    """The token of every character of `text`, [len(text)]; 0 where the vocabulary lacks it."""
    points = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
    table = np.zeros(int(points.max(initial=0)) + 1, dtype=np.int32)
    for token, char in enumerate(vocabulary):
        if ord(char) < len(table):
            table[ord(char)] = token
    tokens: NDArray[np.int32] = table[points]
    return tokens


def decode(tokens: Sequence[int], vocabulary: Sequence[str]) -> str:
    """The text that tokens stand for."""
    return "".join(vocabulary[token] for token in tokens)


def _cut(tokens: NDArray[Any], length: int) -> NDArray[Any]:
    num_windows = len(tokens) // length
    return tokens[: num_windows * length].reshape(num_windows, length)
