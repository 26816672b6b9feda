"""Splits texts into words or characters, and numbers them by a vocabulary.

The vocabulary is that of the texts outside the test set: those to train on, and those to validate
on if they are rows of the same table.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bakeoff.data.text_file import UNKNOWN

PATTERNS: Mapping[str, str] = {"words": r"\w+|[^\w\s]", "characters": r"(?s)."}
"""What a token of a text in small letters is, by the name of the tokenizer."""
PADDING = ""
"""Name of the token 0, which fills short texts up. Token 1 is every unknown word or character."""
RESERVED = (PADDING, UNKNOWN)
MAX_TOKENS = 20_000
"""Greatest size of a vocabulary: the most frequent words or characters."""
MIN_COUNT = 2
"""A word or character must occur this often in the texts of a vocabulary to have its own token."""


def split_text(text: str, tokenizer: str) -> list[str]:
    """Return the words and punctuation marks of a text in small letters, or its characters."""
    return re.findall(PATTERNS[tokenizer], text.lower())


def make_vocabulary(texts: Iterable[str], tokenizer: str) -> tuple[str, ...]:
    """Return the tokens by number: two reserved ones, then the most frequent first."""
    counts = Counter(token for text in texts for token in split_text(text, tokenizer))
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    most = MAX_TOKENS - len(RESERVED)
    return (*RESERVED, *(token for token, count in ordered[:most] if count >= MIN_COUNT))


def number_texts(
    texts: Sequence[str], vocabulary: Sequence[str], tokenizer: str, length: int
) -> tuple[NDArray[np.int32], int]:
    """Return tokens [N, L] of the texts, cut or filled up to L, and the number that were cut."""
    numbers = {token: number for number, token in enumerate(vocabulary)}
    found = np.zeros((len(texts), length), dtype=np.int32)
    num_cut = 0
    for row, text in enumerate(texts):
        tokens = split_text(text, tokenizer)
        num_cut += len(tokens) > length
        codes = [numbers.get(token, 1) for token in tokens[:length]]
        found[row, : len(codes)] = codes
    return found, num_cut
