import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from bakeoff.data import image_decoding
from bakeoff.data.array_cache import NAMES
from bakeoff.data.image_decoding import PROGRESS_FILE, decode_images, load_image_folder
from bakeoff.data.image_folder import list_images
from bakeoff.errors import DataError

CLASSES = ("boot", "coat", "shirt")


def pixels(size: tuple[int, ...] = (6, 5), seed: int = 0) -> Any:
    return np.random.default_rng(seed).integers(0, 256, size, dtype=np.uint8)


def write_images(
    folder: Path, *, each: int = 10, size: tuple[int, ...] = (6, 5), first: int = 0
) -> Path:
    """Write `each` images of each class, all different, and from other seeds for another `first`."""
    for label, name in enumerate(CLASSES):
        (folder / name).mkdir(parents=True)
        for number in range(each):
            image = Image.fromarray(pixels(size, first + 100 * label + number))
            image.save(folder / name / f"{number:03}.png")
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BAKEOFF_DATA", str(tmp_path / "cache"))
    return tmp_path / "cache" / "arrays"


# ---------------------------------------------------------------- what is read


def test_train_and_test_folders_are_decoded_in_order_with_their_classes(tmp_path: Path) -> None:
    write_images(tmp_path / "set" / "train")
    write_images(tmp_path / "set" / "test", each=2)
    arrays, _ = load_image_folder(tmp_path / "set", None)
    assert arrays.class_names == CLASSES
    assert arrays.train_labels.tolist() == [0] * 10 + [1] * 10 + [2] * 10
    assert arrays.test_labels.tolist() == [0, 0, 1, 1, 2, 2]
    expected = [pixels(seed=100 * label + number) for label in range(3) for number in range(10)]
    assert np.array_equal(arrays.train_inputs, np.array(expected)[:, None])
    assert isinstance(arrays.train_inputs, np.memmap)


def test_without_a_test_folder_a_stratified_fifth_is_reserved_for_testing(tmp_path: Path) -> None:
    write_images(tmp_path / "set")
    arrays, _ = load_image_folder(tmp_path / "set", None)
    assert np.bincount(arrays.train_labels).tolist() == [8, 8, 8]
    assert np.bincount(arrays.test_labels).tolist() == [2, 2, 2]
    both = np.concatenate([arrays.train_inputs, arrays.test_inputs]).reshape(30, -1)
    assert len(np.unique(both, axis=0)) == 30


def test_grey_images_among_colour_images_get_three_channels(tmp_path: Path) -> None:
    write_images(tmp_path / "set")
    colour = pixels((6, 5, 3))
    Image.fromarray(colour).save(tmp_path / "set" / "shirt" / "colour.png")  # after all grey ones
    images = list_images(tmp_path / "set")
    arrays, _ = load_image_folder(tmp_path / "set", None)
    assert arrays.train_inputs.shape[1:] == (3, 6, 5)
    files = [*images.train.files, *images.test.files]
    both = np.concatenate([arrays.train_inputs, arrays.test_inputs])
    place = next(i for i, file in enumerate(files) if file.endswith("colour.png"))
    assert np.array_equal(both[place].transpose(1, 2, 0), colour)
    assert all(np.ptp(image, axis=0).max() == 0 for i, image in enumerate(both) if i != place)


def test_images_of_all_sizes_are_cropped_and_scaled_to_image_size(tmp_path: Path) -> None:
    write_images(tmp_path / "set")
    wide = np.zeros((8, 24), dtype=np.uint8)
    wide[:, 8:16] = 200  # a square crop at the centre keeps this part
    Image.fromarray(wide).save(tmp_path / "set" / "boot" / "000.png")
    images = list_images(tmp_path / "set")
    arrays, _ = load_image_folder(tmp_path / "set", 4)
    files = [*images.train.files, *images.test.files]
    both = np.concatenate([arrays.train_inputs, arrays.test_inputs])
    assert both.shape[1:] == (1, 4, 4)
    place = next(i for i, file in enumerate(files) if file.endswith("boot/000.png"))
    assert (both[place, 0, :, 1:3] == 200).all()
    assert (both[place] > 150).all()


def test_large_photographs_are_scaled_as_if_decoded_in_full(tmp_path: Path) -> None:
    row, column = np.mgrid[0:300, 0:400]
    photograph = np.stack([column * 0.6, row * 0.8, (row + column) * 0.3], axis=-1)
    Image.fromarray(photograph.astype(np.uint8)).save(tmp_path / "photograph.jpg", quality=95)
    form = image_decoding.ImageForm(channels=3, height=32, width=32, resized=True)
    with Image.open(tmp_path / "photograph.jpg") as image:
        fitted = ImageOps.fit(image.convert("RGB"), (32, 32), Image.Resampling.BILINEAR)
    expected = np.asarray(fitted).transpose(2, 0, 1).astype(int)
    decoded, _ = image_decoding.decode_image(str(tmp_path / "photograph.jpg"), form)
    assert np.abs(decoded - expected).max() <= 3


def test_folders_within_a_class_count_and_other_files_do_not(tmp_path: Path) -> None:
    write_images(tmp_path / "set")
    (tmp_path / "set" / "boot" / "more").mkdir()
    Image.fromarray(pixels()).save(tmp_path / "set" / "boot" / "more" / "extra.PNG")
    (tmp_path / "set" / "boot" / "notes.txt").write_text("not an image")
    (tmp_path / "set" / ".hidden").mkdir()
    images = list_images(tmp_path / "set")
    assert images.class_names == CLASSES
    assert len(images.train.files) + len(images.test.files) == 31


# ---------------------------------------------------------------- caching


def test_second_start_decodes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_images(tmp_path / "set")
    _, digest = load_image_folder(tmp_path / "set", None)
    monkeypatch.setattr(image_decoding, "decode_images", None)
    assert load_image_folder(tmp_path / "set", None)[1] == digest


def test_every_pixel_changes_the_fingerprint(tmp_path: Path) -> None:
    write_images(tmp_path / "set")
    digests = {load_image_folder(tmp_path / "set", None)[1]}
    for place in ((0, 0), (5, 4)):
        changed = pixels(seed=107)
        changed[place] ^= 1
        Image.fromarray(changed).save(tmp_path / "set" / "coat" / "007.png")
        digests.add(load_image_folder(tmp_path / "set", None)[1])
    assert len(digests) == 3


def test_several_processes_decode_the_same_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_images(tmp_path / "set", each=8)
    expected = load_image_folder(tmp_path / "set", None)[1]
    monkeypatch.setattr(image_decoding, "CHUNK_IMAGES", 5)
    monkeypatch.setattr(image_decoding, "num_cores", lambda: 2)
    monkeypatch.setenv("BAKEOFF_DATA", str(tmp_path / "other"))
    assert load_image_folder(tmp_path / "set", None)[1] == expected


SLOW_DECODER = """
import os, sys, time
from pathlib import Path
from bakeoff.data import image_decoding
decode_chunk = image_decoding._decode_chunk
def slow(form, chunk, folder):
    if chunk.start >= 12:
        print("two thirds", flush=True)
        time.sleep(60)
    return decode_chunk(form, chunk, folder)
image_decoding._decode_chunk = slow
image_decoding.CHUNK_IMAGES = 6
image_decoding.num_cores = lambda: 1
image_decoding.load_image_folder(Path(sys.argv[1]), None)
"""


def test_killed_decoding_continues_where_it_stopped(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_images(tmp_path / "set" / "train")
    write_images(tmp_path / "set" / "test", each=2)
    child = subprocess.Popen(
        [sys.executable, "-c", SLOW_DECODER, str(tmp_path / "set")], stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"two thirds\n"
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    [partial] = cache.iterdir()
    assert len((partial / PROGRESS_FILE).read_text().splitlines()) == 3  # the form, two chunks
    decoded = []
    decode = image_decoding.decode_image
    monkeypatch.setattr(image_decoding, "CHUNK_IMAGES", 6)
    monkeypatch.setattr(image_decoding, "num_cores", lambda: 1)
    monkeypatch.setattr(
        image_decoding, "decode_image", lambda *args: (decoded.append(args[0]), decode(*args))[1]
    )
    _, digest = load_image_folder(tmp_path / "set", None)
    assert len(decoded) == 36 - 12
    monkeypatch.setenv("BAKEOFF_DATA", str(tmp_path / "other"))
    assert load_image_folder(tmp_path / "set", None)[1] == digest
    assert sorted(path.name for path in next(cache.iterdir()).iterdir()) == sorted(
        ["manifest.json", *(f"{name}.npy" for name in NAMES)]
    )


def test_killed_decoding_continues_in_colour_if_the_first_image_is_grey(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_images(tmp_path / "set")
    Image.fromarray(pixels((6, 5, 3))).save(tmp_path / "set" / "shirt" / "colour.png")
    files = {"train_inputs": [str(path) for path in sorted((tmp_path / "set").glob("*/*"))]}
    monkeypatch.setattr(image_decoding, "CHUNK_IMAGES", 6)
    monkeypatch.setattr(image_decoding, "num_cores", lambda: 1)
    decode_images(files, tmp_path, None, lambda done, total: None)
    expected = np.load(tmp_path / "train_inputs.npy")
    lines = (tmp_path / PROGRESS_FILE).read_text().splitlines(keepends=True)
    (tmp_path / PROGRESS_FILE).write_text("".join(lines[:-2]))
    reported: list[tuple[int, int]] = []
    decode_images(files, tmp_path, None, lambda done, total: reported.append((done, total)))
    assert reported == [(30, 31), (31, 31)]
    assert np.array_equal(np.load(tmp_path / "train_inputs.npy"), expected)


@pytest.mark.parametrize("torn", ['"train_inputs 6', '"train_inputs 6 6"', "\x00\x00"])
def test_incomplete_last_line_of_the_progress_file_is_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, torn: str
) -> None:
    write_images(tmp_path / "set")
    files = {"train_inputs": list_images(tmp_path / "set").train.files}
    monkeypatch.setattr(image_decoding, "CHUNK_IMAGES", 6)
    monkeypatch.setattr(image_decoding, "num_cores", lambda: 1)
    folder = tmp_path / "partial"
    folder.mkdir()
    decode_images(files, folder, None, lambda done, total: None)
    expected = np.load(folder / "train_inputs.npy")
    lines = (folder / PROGRESS_FILE).read_text().splitlines(keepends=True)
    (folder / PROGRESS_FILE).write_text("".join(lines[:2]) + torn)
    damaged = expected.copy()
    damaged[6:] = 0
    np.save(folder / "train_inputs.npy", damaged)
    reported: list[tuple[int, int]] = []
    decode_images(files, folder, None, lambda done, total: reported.append((done, total)))
    assert np.array_equal(np.load(folder / "train_inputs.npy"), expected)
    assert reported == [(12, 24), (18, 24), (24, 24)]


def test_processes_that_start_at_the_same_time_decode_once(tmp_path: Path, cache: Path) -> None:
    write_images(tmp_path / "set", each=30)
    code = (
        "import sys; from pathlib import Path\n"
        "from bakeoff.data import reading_progress\n"
        "reading_progress.DELAY_SECONDS = 0\n"
        "from bakeoff.data.image_decoding import load_image_folder\n"
        "print(load_image_folder(Path(sys.argv[1]), None)[1])"
    )
    children = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / "set")],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(3)
    ]
    outputs = [child.communicate() for child in children]
    assert [child.returncode for child in children] == [0, 0, 0]
    assert len({digest for digest, _ in outputs}) == 1
    assert sum(b"decoding" in progress for _, progress in outputs) == 1
    assert len(list(cache.iterdir())) == 1


# ---------------------------------------------------------------- errors


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 40)


def write_wide(path: Path) -> None:
    Image.fromarray(np.full((6, 5), 40_000, dtype=np.uint16)).save(path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (truncate, "damaged, or not an image"),
        (lambda path: path.write_bytes(b""), "is empty; remove it"),
        (lambda path: path.write_text("text"), "damaged, or not an image"),
        (lambda path: Image.fromarray(pixels((7, 5))).save(path), r"is 5x7, others are 5x6; \[data\] image_size"),
        (write_wide, "pixels of more than 8 bits"),
    ],
    ids=["truncated", "empty", "text", "size", "16 bits"],
)  # fmt: skip
def test_message_names_an_image_that_cannot_be_used(
    tmp_path: Path, damage: Any, message: str
) -> None:
    write_images(tmp_path / "set")
    damage(tmp_path / "set" / "coat" / "004.png")
    with pytest.raises(DataError, match=message) as caught:
        load_image_folder(tmp_path / "set", None)
    assert str(caught.value).startswith(str(tmp_path / "set" / "coat" / "004.png"))
    assert "\n" not in str(caught.value)


def test_decompression_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_images(tmp_path / "set")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    with pytest.raises(DataError, match=r"boot/.*DecompressionBombWarning"):
        load_image_folder(tmp_path / "set", None)


def make_one_class(root: Path) -> None:
    (root / "boot").mkdir(parents=True)


def make_empty_class(root: Path) -> None:
    write_images(root)
    (root / "dress").mkdir()


def make_strange_test_class(root: Path) -> None:
    write_images(root / "train")
    write_images(root / "test")
    (root / "test" / "dress").mkdir()


def make_dead_link(root: Path) -> None:
    write_images(root)
    (root / "coat" / "dead.png").symlink_to("nowhere.png")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda root: None, "no such folder"),
        (lambda root: root.write_text("file"), "is not a folder"),
        (Path.mkdir, "has 0 class folders; allowed: two or more"),
        (make_one_class, "has 1 class folders"),
        (make_empty_class, r"dress: has no images \(\.avif"),
        (make_strange_test_class, r"test/dress: the training data has no class 'dress'"),
        (make_dead_link, "dead.png: No such file"),
        (
            lambda root: write_images(root, each=1),
            "no test set, and class 'boot' has too few samples",
        ),
    ],
    ids=["missing", "file", "empty", "one class", "empty class", "test class", "link", "scarce"],
)
def test_folder_that_cannot_be_used_is_refused(tmp_path: Path, make: Any, message: str) -> None:
    make(tmp_path / "set")
    with pytest.raises(DataError, match=message):
        load_image_folder(tmp_path / "set", None)


def test_decoding_that_does_not_fit_the_disk_is_refused_before_it_begins(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_images(tmp_path / "set")
    free = type("Usage", (), {"free": 100})
    monkeypatch.setattr("shutil.disk_usage", lambda _: free)
    with pytest.raises(DataError, match=r"decoded images need 0\.0 GB and 0\.0 GB are free"):
        load_image_folder(tmp_path / "set", None)


# ---------------------------------------------------------------- folders as people have them


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("Training", "Testing"),
        ("TRAIN", "test"),
        ("training_set", "test_set"),
        ("train_images", "test_images"),
        ("trainset", "testset"),
        ("x_train", "x_test"),
        ("train", "test1"),
    ],
)
def test_folders_of_the_parts_may_be_called_otherwise(
    tmp_path: Path, train: str, test: str
) -> None:
    write_images(tmp_path / "set" / train)
    write_images(tmp_path / "set" / test, each=2, first=50)
    arrays, _ = load_image_folder(tmp_path / "set", None)
    assert arrays.class_names == CLASSES
    assert (len(arrays.train_labels), len(arrays.test_labels)) == (30, 6)
    assert (arrays.test_is_reserved, arrays.notes) == (False, ())


@pytest.mark.parametrize("name", ["val", "valid", "Validation", "dev"])
def test_a_validation_folder_is_the_validation_set(tmp_path: Path, name: str) -> None:
    write_images(tmp_path / "set" / "train")
    write_images(tmp_path / "set" / name, each=2, first=50)
    arrays, _ = load_image_folder(tmp_path / "set", None)
    assert arrays.validation_labels is not None
    assert arrays.validation_labels.tolist() == [0, 0, 1, 1, 2, 2]
    expected = [pixels(seed=100 * label + 50 + number) for label in range(3) for number in range(2)]
    assert np.array_equal(np.asarray(arrays.validation_inputs), np.array(expected)[:, None])
    assert (arrays.test_is_reserved, len(arrays.test_labels)) == (True, 6)
    assert arrays.notes == (f"validation samples are those of the folder {name} (6)",)


def test_folders_that_are_left_out_are_named(tmp_path: Path) -> None:
    for name in ("train", "test", "val", "unlabelled"):
        write_images(tmp_path / "set" / name, each=4)
    assert list_images(tmp_path / "set").notes == (
        "folders beside train are left out: unlabelled",
        "validation samples are those of the folder val (12)",
    )


def test_a_test_folder_without_classes_has_no_labels_and_is_left_out(tmp_path: Path) -> None:
    write_images(tmp_path / "set" / "train")
    (tmp_path / "set" / "test").mkdir()
    Image.fromarray(pixels()).save(tmp_path / "set" / "test" / "0.png")
    found = list_images(tmp_path / "set")
    assert found.test_is_reserved
    assert found.notes == ("test is left out: it holds no folders of classes, so no labels",)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("train", "Training"), "Training and train could both be the training set"),
        (("train", "val", "dev"), "dev and val could both be the validation set"),
        (("test", "val"), "holds test and val, but no folder train"),
    ],
)
def test_unclear_parts_are_refused(tmp_path: Path, names: tuple[str, ...], message: str) -> None:
    for name in names:
        write_images(tmp_path / "set" / name, each=2)
    with pytest.raises(DataError, match=message):
        list_images(tmp_path / "set")


def test_a_class_may_be_called_like_a_part(tmp_path: Path) -> None:
    for name in ("valid", "invalid"):
        write_images(tmp_path / name)
        (tmp_path / "set").mkdir(exist_ok=True)
        (tmp_path / name / "boot").rename(tmp_path / "set" / name)
    assert list_images(tmp_path / "set").class_names == ("invalid", "valid")


def test_links_to_folders_are_followed_once(tmp_path: Path) -> None:
    write_images(tmp_path / "set")
    (tmp_path / "more").mkdir()
    Image.fromarray(pixels(seed=999)).save(tmp_path / "more" / "x.png")
    (tmp_path / "set" / "boot" / "linked").symlink_to(tmp_path / "more")
    (tmp_path / "more" / "back").symlink_to(tmp_path / "set" / "boot")
    found = list_images(tmp_path / "set")
    files = [Path(file).name for file in (*found.train.files, *found.test.files)]
    assert files.count("x.png") == 1
    assert len(files) == 31


def test_images_of_rarer_endings_are_read_and_other_files_are_counted(tmp_path: Path) -> None:
    root = write_images(tmp_path / "set")
    Image.fromarray(pixels()).save(root / "boot" / "a.jfif", format="JPEG")
    (root / "boot" / "notes.txt").write_text("x")
    (root / "coat" / "README").write_text("x")
    (root / "labels.csv").write_text("x")
    (root / ".hidden").write_text("x")
    found = list_images(root)
    assert any(file.endswith("a.jfif") for file in (*found.train.files, *found.test.files))
    (note,) = found.notes
    assert note.startswith("3 files that are no images are left out: ")
    assert all(part in note for part in (".txt (1)", ".csv (1)", "no ending (1)"))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photographs_are_turned_as_viewers_show_them(tmp_path: Path, orientation: int) -> None:
    """Every stored form of the picture that the tag describes gives the same pixels."""
    stored = {
        1: lambda a: a, 2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1], 5: lambda a: a.T, 6: lambda a: a.T[::-1],
        7: lambda a: a.T[::-1, ::-1], 8: lambda a: a.T[:, ::-1],
    }  # fmt: skip
    root = write_images(tmp_path / "set")
    upright = pixels(seed=5)
    tag = Image.Exif()
    tag[0x0112] = orientation
    picture = Image.fromarray(np.ascontiguousarray(stored[orientation](upright)))
    picture.save(root / "boot" / "000.png", exif=tag)
    arrays, _ = load_image_folder(root, None)
    everything = np.concatenate([arrays.train_inputs, arrays.test_inputs])
    assert any(np.array_equal(image[0], upright) for image in everything)
    turned = ("1 images are turned as their EXIF orientation says",)
    assert arrays.notes == (() if orientation == 1 else turned)


# ---------------------------------------------------------------- what people really have


@pytest.mark.parametrize("names", ["images masks", "img Labels"])
def test_pictures_and_their_masks_are_no_classes(tmp_path: Path, names: str) -> None:
    for name in names.split():
        shutil.copytree(write_images(tmp_path / name) / "boot", tmp_path / "set" / name)
    with pytest.raises(DataError, match="look like pictures and their masks, not like classes"):
        list_images(tmp_path / "set")


def test_a_test_folder_beside_the_folders_of_its_classes_is_refused(tmp_path: Path) -> None:
    write_images(tmp_path / "set")
    write_images(tmp_path / "set" / "test")
    with pytest.raises(DataError, match="test holds folders of the same names as those beside it"):
        list_images(tmp_path / "set")


def test_a_folder_around_the_folder_of_images_is_pointed_out(tmp_path: Path) -> None:
    write_images(tmp_path / "set" / "download")
    with pytest.raises(
        DataError, match=r"1 class folders; .*did you mean folder:.*/set/download\?"
    ):
        list_images(tmp_path / "set")


def test_a_class_may_be_a_train(tmp_path: Path) -> None:
    write_images(tmp_path / "set")
    (tmp_path / "set" / "boot").rename(tmp_path / "set" / "train")
    found = list_images(tmp_path / "set")
    assert found.class_names == ("coat", "shirt", "train")
    assert found.notes == ("train is taken as a class, as the folders beside it",)


def test_folders_of_systems_are_no_classes(tmp_path: Path) -> None:
    write_images(tmp_path / "set")
    for name in ("__MACOSX", "@eaDir", ".ipynb_checkpoints"):
        (tmp_path / "set" / name).mkdir()
    (tmp_path / "set" / "__MACOSX" / "._000.png").write_bytes(b"x")
    found = list_images(tmp_path / "set")
    assert (found.class_names, found.notes) == (CLASSES, ())


def test_what_may_be_missed_in_a_folder_is_said(tmp_path: Path) -> None:
    write_images(tmp_path / "set" / "train")
    write_images(tmp_path / "set" / "test", each=2, first=50)
    (tmp_path / "set" / "train" / "Coat").mkdir()
    shutil.copy(tmp_path / "set/train/coat/000.png", tmp_path / "set/train/Coat/a.png")
    shutil.copy(tmp_path / "set/train/coat/000.png", tmp_path / "set/train/b.png")
    shutil.copy(tmp_path / "set/train/boot/001.png", tmp_path / "set/test/boot/001.png")
    arrays, _ = load_image_folder(tmp_path / "set", None)
    assert arrays.notes == (
        "'Coat' and 'coat' are two classes",
        "test has no images of 1 classes: Coat",
        "1 images outside of the folders of classes are left out",
        "1 of 6 samples of the test set are training samples too",
    )


def save_pages(path: Path, mode: str) -> None:
    first, second = (Image.fromarray(pixels(seed=900 + n)).convert(mode) for n in range(2))
    first.save(path, save_all=True, append_images=[second])


def save_mode(path: Path, mode: str) -> None:
    Image.fromarray(pixels((6, 5, 4), 900), "RGBA").convert(mode).save(path)


@pytest.mark.parametrize(
    ("name", "save", "mode", "notes"),
    [
        (
            "z.tif",
            save_pages,
            "L",
            ("1 images have several frames or pages, of which the first is",),
        ),
        ("z.png", save_mode, "RGB", ("30 grey images become colour, because others are",)),
        ("z.png", save_mode, "LA", ("1 images have transparency, which", "30 grey images become")),
        (
            "z.png",
            save_mode,
            "RGBA",
            ("1 images have transparency, which", "30 grey images become"),
        ),
        ("z.jpg", save_mode, "CMYK", ("30 grey images become", "1 images of other colour spaces")),
        ("z.png", save_mode, "L", ()),
        ("z.png", save_mode, "1", ()),
    ],
)
def test_what_decoding_changes_is_said(
    tmp_path: Path, name: str, save: Callable[[Path, str], None], mode: str, notes: tuple[str, ...]
) -> None:
    write_images(tmp_path / "set")
    save(tmp_path / "set" / "coat" / name, mode)
    for _ in range(2):  # the second time from the cache
        arrays, _ = load_image_folder(tmp_path / "set", None)
        assert len(arrays.notes) == len(notes)
        assert all(one.startswith(note) for one, note in zip(arrays.notes, notes, strict=True))
