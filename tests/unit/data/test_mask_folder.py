"""Folders of images and masks: what is paired, decoded and refused."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bakeoff.data.mask_folder import list_masked_images, load_mask_folder
from bakeoff.errors import DataError
from toy_tasks import pictures


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAKEOFF_DATA", str(tmp_path / "cache"))


def write(folder: Path, num: int = 10, first: int = 0) -> Path:
    """Pictures as `images/007.png` and masks as `masks/007.png`; every second mask has a palette."""
    arrays = pictures(first + num)
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for number in range(first, first + num):
        image, mask = arrays["x"][number], arrays["y"][number].astype(np.uint8)
        Image.fromarray(image).save(folder / "images" / f"{number:03}.png")
        drawn = Image.fromarray(mask)
        if number % 2:
            drawn = Image.fromarray(mask, mode="P")
            drawn.putpalette([7, 7, 7, 200, 0, 0, 0, 0, 200] + 253 * [9, 9, 9])
        drawn.save(folder / "masks" / f"{number:03}.png")
    return folder


def test_images_and_masks_are_paired_by_name_whatever_the_palette(tmp_path: Path) -> None:
    arrays, digest = load_mask_folder(write(tmp_path / "set"), None)
    known = pictures(10)
    assert (len(arrays.train_inputs), len(arrays.test_inputs)) == (8, 2)
    assert arrays.test_is_reserved
    assert arrays.class_names == ("0", "1", "2")
    found = np.concatenate([arrays.train_inputs, arrays.test_inputs])
    masks = np.concatenate([arrays.train_labels, arrays.test_labels])
    assert masks.dtype == np.uint8
    places = [int((known["x"][:, None] == one).all((1, 2, 3)).argmax()) for one in found]
    assert sorted(places) == list(range(10))
    assert np.array_equal(known["x"][places], found[:, 0])
    assert np.array_equal(known["y"][places], masks)
    assert "6.2% of the train pixels have the value 255" in arrays.notes[0]
    assert load_mask_folder(tmp_path / "set", None)[1] == digest


def test_parts_have_folders_of_their_own(tmp_path: Path) -> None:
    for name, num, first in (("train", 6, 0), ("val", 3, 6), ("test", 2, 9)):
        write(tmp_path / "set" / name, num, first)
    arrays, _ = load_mask_folder(tmp_path / "set", None)
    known = pictures(11)
    assert not arrays.test_is_reserved
    assert arrays.validation_labels is not None
    assert np.array_equal(arrays.train_labels, known["y"][:6])
    assert np.array_equal(arrays.validation_labels, known["y"][6:9])
    assert np.array_equal(arrays.test_labels, known["y"][9:])
    assert "validation samples are those of the folder val (3)" in arrays.notes


def test_image_size_scales_images_smoothly_and_masks_to_the_nearest_class(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    steps = np.repeat(np.repeat(np.array([[0, 1], [1, 255]], dtype=np.uint8), 8, 0), 8, 1)
    for number in range(5):
        Image.fromarray(100 * (steps == 1).astype(np.uint8)).save(folder / f"images/{number}.bmp")
        Image.fromarray(steps).save(folder / f"masks/{number}.png")
    arrays, _ = load_mask_folder(folder, 8)
    assert arrays.train_inputs.shape == (4, 1, 8, 8)
    assert np.array_equal(arrays.train_labels[0], steps[::2, ::2])


def test_a_class_that_only_the_reserved_test_set_has_is_still_a_class(tmp_path: Path) -> None:
    folder = write(tmp_path / "set")
    tested = Path(list_masked_images(folder).parts["test"].masks[0])
    mask = np.array(Image.open(tested))
    mask[0, 0] = 3
    Image.fromarray(mask).save(tested)
    assert load_mask_folder(folder, None)[0].class_names == ("0", "1", "2", "3")


def small(folder: Path) -> None:
    Image.fromarray(np.zeros((8, 18), np.uint8)).save(folder / "masks" / "004.png")


def colour(folder: Path) -> None:
    Image.fromarray(np.zeros((16, 18, 3), np.uint8)).save(folder / "masks" / "004.png")


def wide(folder: Path) -> None:
    Image.fromarray(np.zeros((16, 18), np.uint16)).save(folder / "masks" / "004.png")


def lossy(folder: Path) -> None:
    (folder / "masks" / "004.png").rename(folder / "masks" / "004.jpg")


def gap(folder: Path) -> None:
    Image.fromarray(np.full((16, 18), 7, np.uint8)).save(folder / "masks" / "004.png")


def damaged(folder: Path) -> None:
    (folder / "masks" / "004.png").write_bytes(b"no picture")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / "masks" / "004.png").unlink(), "images/004.png: has no mask"),
        (lambda folder: (folder / "images" / "004.png").unlink(), "masks/004.png: has no image"),
        (lambda folder: (folder / "masks").rename(folder / "other"), "found nothing .* for masks"),
        (small, "masks/004.png: is 18x8, images are 18x16"),
        (colour, "004.png: has the colours RGB; masks are grey or palette pictures of 8 bits"),
        (wide, "004.png: has the colours I;16; masks are grey or palette pictures of 8 bits"),
        (lossy, "004.jpg: its format changes the values of pixels, which are classes; save masks"),
        (gap, "set has classes up to 7, but no pixel of 3"),
        (damaged, "masks/004.png: damaged, or not an image"),
    ],
)
def test_a_folder_that_cannot_be_used_is_refused_in_one_line(tmp_path, change, message) -> None:
    folder = write(tmp_path / "set")
    change(folder)
    with pytest.raises(DataError, match=message) as caught:
        load_mask_folder(folder, None)
    assert len(str(caught.value).splitlines()) == 1
