"""What a disk changed in the cache is never trained on."""

import os

import numpy as np
import pytest

from bakeoff.data import array_cache
from bakeoff.data.array_cache import About, load_filled, load_labels, write_array

RNG = np.random.default_rng(0)
ARRAYS = {
    "train_inputs": RNG.random((40, 3), dtype=np.float32),
    "train_labels": np.arange(40) % 3,
    "test_inputs": RNG.random((10, 3), dtype=np.float32),
    "test_labels": np.arange(10) % 3,
}


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BAKEOFF_DATA", str(tmp_path))
    return tmp_path


def load(filled):
    """Load the entry as a new process does; note in `filled` when it is decoded."""
    array_cache.fingerprint_on_disk.cache_clear()

    def fill(folder):
        filled.append(folder)
        folder.mkdir(exist_ok=True)
        for name, array in ARRAYS.items():
            write_array(folder, name, array)
        return About(class_names=("a", "b", "c"), test_is_reserved=True, notes=("left out: 1",))

    return load_filled("entry", fill)


def flip(file, place):
    """Change one bit as a disk does: the file keeps its size and its time."""
    state = file.stat()
    content = bytearray(file.read_bytes())
    content[place] ^= 0x01
    with file.open("r+b") as opened:
        opened.write(content)
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert file.stat().st_mtime_ns == state.st_mtime_ns


@pytest.mark.parametrize("name", [*(f"{name}.npy" for name in ARRAYS), "manifest.json"])
def test_an_entry_with_a_changed_bit_is_decoded_anew(cache, name):
    filled = []
    arrays, fingerprint = load(filled)
    load(filled)
    assert len(filled) == 1
    file = cache / "arrays" / "entry" / name
    for place in (-1, file.stat().st_size // 2):
        flip(file, place)
        again, same = load(filled)
        assert same == fingerprint
        assert (again.class_names, again.notes) == (arrays.class_names, arrays.notes)
        for part, array in ARRAYS.items():
            np.testing.assert_array_equal(getattr(again, part), array)
    assert len(filled) == 3


def test_an_entry_is_hashed_once_by_each_process(cache, monkeypatch):
    hashed = []
    fingerprint = array_cache.fingerprint
    monkeypatch.setattr(
        array_cache, "fingerprint", lambda arrays: hashed.append(1) or fingerprint(arrays)
    )
    filled = []
    load(filled)
    count = len(hashed)
    for _ in range(3):
        load_filled("entry", lambda folder: pytest.fail("it is there"))
    assert len(hashed) == count


def test_labels_with_a_changed_bit_are_read_anew(cache):
    labels = np.arange(5)
    for _ in range(2):
        np.testing.assert_array_equal(load_labels("some", lambda: labels), labels)
    flip(cache / "labels" / "some.npy", -3)
    np.testing.assert_array_equal(load_labels("some", lambda: labels), labels)
    np.testing.assert_array_equal(load_labels("some", lambda: pytest.fail("it is there")), labels)
