"""Reads a table whose samples are texts: one column holds the texts, another one the labels."""

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bakeoff.data.array_cache import load_cached
from bakeoff.data.arrays import Arrays
from bakeoff.data.csv_file import encode_labels, name_classes, target_columns
from bakeoff.data.csv_frame import read_frame
from bakeoff.data.hub_files import PREFIX, TOKENIZER, need_hub_file, pad_token
from bakeoff.data.own_tokens import make_vocabulary, number_texts
from bakeoff.data.splits import hold_out_test
from bakeoff.errors import DataError, MissingDependencyError, describe_unknown
from bakeoff.records import DataConfig

if TYPE_CHECKING:
    import pandas as pd

TOKENS = np.int32


def load_text_table(
    config: DataConfig, path: Path, validation: Path | None = None
) -> tuple[Arrays, str]:
    """The texts of the table at `path` as tokens [N, L], mapped into memory, and its fingerprint.

    Texts are cut or filled up to `sequence_length` tokens. A fifth of the rows is reserved for
    testing.

    Raises:
        DataError: The table or the tokenizer cannot be read, or a column is missing.
        MissingDependencyError: The package tokenizers is not installed.
    """
    is_hub = str(config.tokenizer).startswith(PREFIX)
    tokenizer = need_hub_file(str(config.tokenizer), TOKENIZER) if is_hub else None
    sources = tuple(one for one in (path, tokenizer, validation) if one is not None)
    asked: tuple[object, ...] = (config.text, config.target, config.sequence_length)
    asked += (pad_token(str(config.tokenizer)) if is_hub else config.tokenizer,)
    name = hashlib.sha256(repr(asked).encode()).hexdigest()[:8]

    def decode() -> Arrays:
        return _decode(config, tokenizer, path, validation)

    return load_cached(f"texts-{config.task}-{name}", sources, decode)


def _decode(
    config: DataConfig, tokenizer: Path | None, path: Path, validation: Path | None
) -> Arrays:
    frame, notes = read_frame(path)
    text, targets = _columns(config, frame, path)
    class_names, guesses = name_classes(frame, targets, config.task, path)
    labels = encode_labels(frame, targets, config.task, class_names, path)
    kept, held = hold_out_test(labels, config.task, str(path), class_names)
    texts = frame[text].astype(str)
    vocabulary = () if tokenizer else make_vocabulary(texts.iloc[kept], str(config.tokenizer))

    def tokens(some: "pd.Series[Any]", named: str = "texts") -> NDArray[np.int32]:
        length = int(config.sequence_length or 0)
        if tokenizer is not None:
            found, num_cut = tokenize(config, tokenizer, some)
        else:
            own = str(config.tokenizer)
            found, num_cut = number_texts(list(some), vocabulary, own, length)
        if num_cut:
            more = f"have more than {length} tokens and are cut"
            notes.append(f"{num_cut:,} of {len(some):,} {named} {more}")
        return found

    notes += guesses
    inputs = tokens(texts)
    arrays = Arrays(
        train_inputs=inputs[kept],
        train_labels=labels[kept],
        test_inputs=inputs[held],
        test_labels=labels[held],
        class_names=class_names,
        vocabulary=vocabulary,
        test_is_reserved=True,
        notes=tuple(notes),
    )
    if validation is None:
        return arrays
    other, _ = read_frame(validation)
    _columns(replace(config, text=text, target=targets), other, validation)
    own_labels = encode_labels(other, targets, config.task, class_names, validation)
    own_inputs = tokens(other[text].astype(str), f"texts of {validation.name}")
    notes.append(f"validation samples are the rows of {validation} ({len(own_labels):,})")
    return replace(
        arrays,
        validation_inputs=own_inputs,
        validation_labels=own_labels,
        notes=tuple(notes),
    )


def _columns(config: DataConfig, frame: "pd.DataFrame", path: Path) -> tuple[str, tuple[str, ...]]:
    """The column of the texts, and those to predict, by default the last one."""
    names = [str(name) for name in frame]
    text = str(config.text)
    if text not in names:
        raise DataError(f"{path}: data.text: {describe_unknown('column', text, names)}")
    targets = target_columns(config.target, names, path)
    if text in targets:
        raise DataError(f"{path}: data.text: column {text!r} is the target; name it by data.target")
    return text, targets


def tokenize(
    config: DataConfig, tokenizer: Path, texts: Iterable[str]
) -> tuple[NDArray[np.int32], int]:
    """Tokens [N, L] of the texts, and the number of texts that were cut.

    Raises:
        DataError: The file is no tokenizer.
        MissingDependencyError: The package tokenizers is not installed.
    """
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise MissingDependencyError(
            "data.text needs the package tokenizers, which is not installed; get it with:"
            " pip install 'bakeoff[hf]'"
        ) from None
    try:
        encoder = Tokenizer.from_file(str(tokenizer))
    except Exception as error:  # noqa: BLE001 - the library raises nothing more particular
        raise DataError(f"{tokenizer} is no tokenizer ({error})") from None
    length = int(config.sequence_length or 0)
    encoder.enable_truncation(length)
    encoder.enable_padding(length=length, pad_id=pad_token(str(config.tokenizer)))
    found = encoder.encode_batch(list(texts))
    num_cut = sum(bool(one.overflowing) for one in found)
    return np.array([one.ids for one in found], dtype=TOKENS), num_cut
