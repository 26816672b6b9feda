"""What people write and have: study files and data files, changed at random."""

import io
import os
import random
import shutil
import sys
import tempfile
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w
from hypothesis import HealthCheck, Phase, given, seed, settings
from PIL import Image

from bakeoff.commands.cli import main
from bakeoff.errors import BakeoffError
from bakeoff.session.checks import check_data
from bakeoff.studyfile import resolve_study
from faults.rows import Tally, row
from integration.test_mutated_studies import documents
from study_examples import study_document

LABELS = 3


def call(arguments: list[str]) -> tuple[int, list[str]]:
    """Exit code and lines on stderr of the command."""
    err = io.StringIO()
    try:
        with redirect_stderr(err), redirect_stdout(io.StringIO()):
            main(arguments)
    except SystemExit as ended:
        return int(ended.code or 0), err.getvalue().splitlines()
    return 0, err.getvalue().splitlines()


@row(
    name="study-file-mutated", count=5000, quick=0,
    fault="one to three places of a study file replaced, removed, renamed or moved",
    promise="valid, or exit code 2 and one line; nothing else happens",
)  # fmt: skip
def mutate_studies(rng: random.Random, count: int, folder: Path, tally: Tally) -> None:
    """Validate mutated study files."""
    file = folder / "study.toml"
    file.parent.mkdir(exist_ok=True)

    @seed(rng.getrandbits(64))
    @settings(
        max_examples=count, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(documents())
    def validate(document: dict[str, Any]) -> None:
        file.write_text(tomli_w.dumps(document), encoding="utf-8")
        tally.injected += 1
        code, lines = call(["validate", str(file)])
        if code not in (0, 2) or len(lines) != (1 if code else 0):
            tally.fail("traceback", f"exit code {code}, {lines[-3:]}: {document}")

    validate()
    left = sorted(path.name for path in folder.iterdir() if path.name != "data")
    if left != ["study.toml"]:
        tally.fail("silent", f"left behind: {left}")


def make_table(path: Path) -> str:
    """A table of 60 rows."""
    rows = "".join(f"{n},{n * 0.5},red,{n % LABELS}\n" for n in range(60))
    path.write_text("size,weight,colour,kind\n" + rows)
    return f"csv:{path}"


def make_arrays(path: Path) -> str:
    """Arrays of 60 samples."""
    draws = np.random.default_rng(0)
    buffer = io.BytesIO()
    np.savez(buffer, x=draws.normal(size=(60, 5)).astype(np.float32), y=np.arange(60) % LABELS)
    path.write_bytes(buffer.getvalue())
    return f"npz:{path}"


def make_images(path: Path) -> str:
    """A folder of 30 images, of which one is the file that is changed."""
    draws = np.random.default_rng(0)
    folder = path.with_name("images")
    shutil.rmtree(folder, ignore_errors=True)
    for number in range(30):
        file = folder / "abc"[number % LABELS] / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draws.integers(0, 255, (8, 8)).astype(np.uint8)).save(file)
    shutil.move(folder / "a" / "0.png", path)
    (folder / "a" / "0.png").symlink_to(path)
    return f"folder:{folder}"


def make_text(path: Path) -> str:
    """A text of 6,000 characters."""
    path.write_text("the quick brown fox jumps over the lazy dog\n" * 140)
    return f"text:{path}"


FORMS: dict[str, tuple[Callable[[Path], str], str]] = {
    "table.csv": (make_table, "mlp"),
    "arrays.npz": (make_arrays, "mlp"),
    "image.png": (make_images, "mlp"),
    "text.txt": (make_text, "gru"),
}
"""Makes the file that is changed, and returns how a study names its data; the model."""


def mutated(data: bytes, rng: random.Random) -> bytes:
    """The bytes with one to four places flipped, cut, doubled, removed or overwritten."""
    found = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(len(found) or 1)
        size = rng.choice((1, 2, 8, 100, 1000))
        match rng.choice(("flip", "cut", "double", "remove", "overwrite", "word")):
            case "flip" if found:
                found[place % len(found)] ^= 1 << rng.randrange(8)
            case "cut":
                del found[place:]
            case "double":
                found[place:place] = found[place : place + size]
            case "remove":
                del found[place : place + size]
            case "overwrite":
                found[place : place + size] = rng.randbytes(size)
            case _:
                word = rng.choice(
                    (b",", b'"', b"\n", b"nan", b"inf", b"-1", b"1e999", b"\xff", b";")
                )
                found[place:place] = word
    return bytes(found)


@row(
    name="data-file-mutated", count=2000, quick=30,
    fault="bytes of a table, arrays, an image or a text flipped, cut, doubled or replaced",
    promise="read, or refused in one line",
)  # fmt: skip
def mutate_data(rng: random.Random, count: int, folder: Path, tally: Tally) -> None:
    """Read mutated data files."""
    refused, before = 0, os.environ.get("BAKEOFF_DATA")
    for number in range(count):
        name = list(FORMS)[number % len(FORMS)]
        make, model = FORMS[name]
        draws = rng.getrandbits(64)
        with tempfile.TemporaryDirectory() as place:
            os.environ["BAKEOFF_DATA"] = f"{place}/cache"
            path = Path(place) / name
            dataset = make(path)
            document = study_document(data={"dataset": dataset}, training={"batch_size": 8})
            document["model"] = {"model": model}
            if number < len(FORMS):
                check_data(resolve_study(document))  # it is in order before it is changed
                os.environ["BAKEOFF_DATA"] = f"{place}/second-cache"
            path.write_bytes(mutated(path.read_bytes(), random.Random(draws)))
            tally.injected += 1
            try:
                with redirect_stderr(io.StringIO()) as err:
                    check_data(resolve_study(document))
            except BakeoffError as error:
                refused += 1
                if "\n" in str(error):
                    tally.fail("traceback", f"{name} {draws}: several lines: {error}")
            except Exception as error:  # noqa: BLE001 - what must not happen
                tally.fail("traceback", f"{name} {draws}: {type(error).__name__}: {error}")
            if "Traceback" in err.getvalue() or "Warning" in err.getvalue():
                tally.fail("traceback", f"{name} {draws}: {err.getvalue()[-500:]}")
    if before is None:
        os.environ.pop("BAKEOFF_DATA", None)
    else:
        os.environ["BAKEOFF_DATA"] = before
    tally.notes.append(f"{refused} refused")
    sys.stderr.flush()
