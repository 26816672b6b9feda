import gzip
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st

from bakeoff.data import readers
from bakeoff.data.text_file import UNKNOWN, build_vocabulary, encode, make_windows, read_text
from bakeoff.errors import DataError


def decode(tokens: Sequence[int], vocabulary: Sequence[str]) -> str:
    return "".join(vocabulary[token] for token in tokens)


TEXT = "the quick brown fox jumps over the lazy dog. " * 40


def test_labels_are_the_characters_that_follow() -> None:
    windows = make_windows(TEXT, 9, "text")
    for part, start in (("train", 0), ("test", 1440)):
        inputs, labels = getattr(windows, f"{part}_inputs"), getattr(windows, f"{part}_labels")
        assert inputs.shape == labels.shape
        for row in (0, len(inputs) - 1):
            at = start + 10 * row
            assert decode(inputs[row], windows.class_names) == TEXT[at : at + 9]
            assert decode(labels[row], windows.class_names) == TEXT[at + 1 : at + 10]


def test_test_windows_are_the_end_of_the_text_and_share_nothing_with_the_rest() -> None:
    windows = make_windows(TEXT, 9, "text")
    assert (len(windows.train_inputs), len(windows.test_inputs)) == (144, 36)


def test_vocabulary_is_made_of_the_training_text_alone() -> None:
    windows = make_windows("ab" * 400 + "cd" * 100, 9, "text")
    assert windows.class_names == (UNKNOWN, "a", "b")
    assert np.unique(windows.test_inputs).tolist() == [0]


@pytest.mark.parametrize(("num_characters", "kind"), [(255, np.uint8), (256, np.int16)])
def test_tokens_have_the_smallest_type_that_holds_the_vocabulary(
    num_characters: int, kind: type
) -> None:
    text = "".join(chr(0x4E00 + number) for number in range(num_characters)) * 10
    windows = make_windows(text, 9, "text")
    assert len(windows.class_names) == num_characters + 1
    for part in (windows.train_inputs, windows.test_labels):
        assert part.dtype == kind
    assert decode(windows.train_inputs[3], windows.class_names) == text[30:39]


def test_rare_characters_share_one_token() -> None:
    vocabulary = build_vocabulary("aaaaa" + "bbbb" + "c" + "€" * 5)
    assert vocabulary == (UNKNOWN, "a", "€")
    assert encode("abc€d😀", vocabulary).tolist() == [1, 0, 0, 2, 0, 0]


def test_character_that_looks_like_the_unknown_one_is_unknown() -> None:
    assert build_vocabulary(UNKNOWN * 9 + "a" * 9) == (UNKNOWN, "a")


@given(text=st.text(alphabet="abcäß\n😀", max_size=60))
def test_known_characters_survive_the_round_trip(text: str) -> None:
    vocabulary = build_vocabulary("abcäß\n😀" * 5)
    assert decode(encode(text, vocabulary).tolist(), vocabulary) == text


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_text_is_read_with_or_without_gzip_and_lines_end_in_line_feeds(
    tmp_path: Path, pack: type
) -> None:
    (tmp_path / "text").write_bytes(pack("\ufeffgrün\r\nblau\rrot\n".encode()))
    assert read_text(tmp_path / "text") == "grün\nblau\nrot\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file"),
        (b"", "is empty"),
        (gzip.compress(b""), "is empty"),
        (b"gr\xfcn", r"is not UTF-8 text \(byte 2\)"),
        (gzip.compress(TEXT.encode())[:-20], "cannot be read"),
        (gzip.compress(bytes(5000)), "holds more than 4,000 bytes"),
    ],
    ids=["missing", "empty", "packed empty", "latin-1", "truncated", "too much"],
)
def test_text_that_cannot_be_used_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, message: str
) -> None:
    monkeypatch.setattr(readers, "MAX_TEXT_BYTES", 4000)
    if content is not None:
        (tmp_path / "text").write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read_text(tmp_path / "text")
    assert str(tmp_path / "text") in str(caught.value)


def test_message_about_a_short_text_says_how_long_it_must_be() -> None:
    with pytest.raises(DataError, match="has 100 characters; sequence_length = 9 needs 500 or"):
        make_windows("a" * 100, 9, "text")
