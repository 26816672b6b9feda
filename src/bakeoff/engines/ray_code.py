"""Takes the user's code to the nodes of a cluster: as one archive, unpacked once per node.

Ray's own `working_dir` takes one folder, and a study has two: that of its file and the current one.
"""

import hashlib
import io
import os
import secrets
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from bakeoff.data.array_cache import data_folder
from bakeoff.errors import UsageError, one_line

MAX_FILES = 20_000
"""Files that are looked at in each folder. More are no folder of code."""
MAX_FILE_BYTES = 1_000_000
"""Larger files are data, and stay unless they are Python code."""
MAX_BYTES = 50_000_000
"""Size of all files together. They are sent to each node once."""
NEVER = frozenset({"__pycache__", "node_modules", "site-packages"})
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The date of every file in an archive, so that the same files give the same archive."""


def pack(folders: Sequence[str], left_out: Sequence[str]) -> bytes:
    """An archive with the code of `folders`, and the small files next to it.

    Hidden folders, virtual environments and caches stay here.

    Args:
        folders: Their files are called `0/...`, `1/...` in the archive.
        left_out: Folders that stay here, such as that of the results.

    Raises:
        UsageError: A folder holds more than code.
    """
    found = io.BytesIO()
    outside = {Path(one).absolute() for one in left_out}
    total = 0
    with zipfile.ZipFile(found, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, folder in enumerate(folders):
            for path in _files_of(Path(folder), outside):
                data = path.read_bytes()
                total += len(data)
                if total > MAX_BYTES:
                    raise UsageError(_describe_excess(folder, f"{MAX_BYTES // 10**6} MB of files"))
                name = f"{number}/{path.relative_to(folder).as_posix()}"
                archive.writestr(zipfile.ZipInfo(name, EPOCH), data, zipfile.ZIP_DEFLATED)
    return found.getvalue()


def _files_of(folder: Path, outside: set[Path]) -> Iterator[Path]:
    """The files to send, in a fixed order."""
    num_seen = 0
    for parent, folders, files in os.walk(folder):
        here = Path(parent)
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".")
            and name not in NEVER
            and (here / name).absolute() not in outside
            and not (here / name / "pyvenv.cfg").exists()
        )
        for name in sorted(files):
            num_seen += 1
            if num_seen > MAX_FILES:
                raise UsageError(_describe_excess(str(folder), f"{MAX_FILES:,} files"))
            path = here / name
            if name.startswith(".") or not path.is_file():
                continue
            if path.suffix == ".py" or path.stat().st_size <= MAX_FILE_BYTES:
                yield path


def _describe_excess(folder: str, what: str) -> str:
    return (
        f"{folder} is sent to the cluster's nodes for the code in it, and has more than {what};"
        " keep the study file and its modules in a folder of their own and start the command there"
    )


def unpack(archive: bytes, num_folders: int) -> tuple[str, ...]:
    """Unpack an archive once per machine and user; return its folders, in their order.

    Raises:
        OSError: The cache folder cannot be written.
    """
    target = data_folder() / "code" / hashlib.sha256(archive).hexdigest()
    if not target.exists():
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished = target.with_name(f".{secrets.token_hex(8)}")
        unfinished.mkdir(mode=0o700)
        try:
            with zipfile.ZipFile(io.BytesIO(archive)) as content:
                content.extractall(unfinished)
            _put_in_place(unfinished, target)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    folders = tuple(str(target / str(number)) for number in range(num_folders))
    for folder in folders:
        Path(folder).mkdir(exist_ok=True)  # one without files is not in the archive
    return folders


def _put_in_place(unfinished: Path, target: Path) -> None:
    try:
        unfinished.rename(target)
    except OSError as error:
        if not target.is_dir():  # and no other worker was quicker
            raise OSError(f"{target} cannot be written ({one_line(error)})") from error
