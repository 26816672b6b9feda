"""Files are replaced together, links are not followed, and nothing unfinished is left."""

import errno
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bakeoff import files
from bakeoff.errors import OutputError
from bakeoff.files import (
    UNFINISHED,
    open_below,
    replace_files,
    temporary_folder,
    write_atomically,
    write_durably,
)


def contents(folder: Path) -> dict[str, str]:
    return {one.name: one.read_text() for one in folder.iterdir()}


def test_a_disk_that_fills_leaves_every_file_as_it_was(tmp_path, monkeypatch):
    replace_files({tmp_path / "a": "old a", tmp_path / "b": "old b"})
    synced = []

    def sync(descriptor):
        synced.append(descriptor)
        if len(synced) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", sync)
    with pytest.raises(OutputError, match=r"b cannot be written \(No space left on device\)"):
        replace_files({tmp_path / "a": "new a", tmp_path / "b": "new b"})
    assert contents(tmp_path) == {"a": "old a", "b": "old b"}
    synced.append(0)
    replace_files({tmp_path / "a": "new a", tmp_path / "b": "new b"})
    assert contents(tmp_path) == {"a": "new a", "b": "new b"}


def test_a_durable_file_that_cannot_be_written_leaves_nothing_unfinished(tmp_path, monkeypatch):
    def fail(_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="Input/output error"):
        write_durably(tmp_path / "weights", b"12345")
    assert contents(tmp_path) == {}


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_the_mode_of_a_report_is_that_of_the_umask(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        write_atomically(tmp_path / "report.md", "text")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "report.md").stat().st_mode) == mode


WRITER = """
import os, sys, time
from pathlib import Path
from bakeoff import files
replace = Path.replace
def wait(path, target):
    print("written", flush=True)
    sys.stdin.read()
    return replace(path, target)
Path.replace = wait
files.write_atomically(Path(sys.argv[1]) / "a", "from the other process")
"""


@pytest.fixture
def writer(tmp_path):
    """Another process that has written an unfinished file, and continues if its stdin is closed."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, tmp_path],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline() == "written\n"
    yield process
    process.kill()
    process.communicate()


def test_the_next_write_removes_what_a_killed_process_left(tmp_path, writer):
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    assert [one for one in contents(tmp_path) if one.endswith(UNFINISHED)]
    write_atomically(tmp_path / "b", "text")
    assert contents(tmp_path) == {"b": "text"}


def test_what_a_living_process_writes_is_not_removed(tmp_path, writer):
    write_atomically(tmp_path / "b", "text")
    writer.communicate("")
    assert contents(tmp_path) == {"a": "from the other process", "b": "text"}


def test_a_temporary_folder_removes_those_of_killed_processes_only(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(files, "LEFT_SECONDS", 0.0)
    left, foreign = tmp_path / "bakeoff-read-left", tmp_path / "other-left"
    for folder in (left, foreign):
        (folder / "inner").mkdir(parents=True)
    with temporary_folder("read") as first:
        time.sleep(0.02)
        with temporary_folder("read") as second:
            assert {first, second, foreign} == set(tmp_path.iterdir())
    assert list(tmp_path.iterdir()) == [foreign]


@pytest.mark.parametrize(
    "parts",
    [
        ("link",),
        ("folder", "link"),
        ("linked", "file"),
        ("folder", "..", "file"),
        ("folder/file",),
        ("/etc/passwd",),
        ("folder",),
        ("pipe",),
        ("nul\0",),
        ("",),
        (),
    ],
)
def test_a_file_below_a_folder_is_opened_without_following_links(tmp_path, parts):
    outside = tmp_path / "outside"
    outside.mkdir()
    folder = tmp_path / "below" / "folder"
    folder.mkdir(parents=True)
    for file in (outside / "file", folder / "file", folder.parent / "file"):
        file.write_text("secret")
    (folder / "link").symlink_to(folder / "file")
    (folder.parent / "link").symlink_to(outside / "file")
    (folder.parent / "linked").symlink_to(outside)
    os.mkfifo(folder.parent / "pipe")
    with pytest.raises(OSError, match=r"."):
        open_below(folder.parent, *parts)
    with open_below(folder.parent, "folder", "file") as file:
        assert file.read() == b"secret"
