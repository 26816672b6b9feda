"""Full disks: of checkpoints, storage, data cache, temporary files and shared memory."""

import ctypes
import os
import random
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from faults.rows import SkippedRowError, Tally, row
from faults.studies import Setup, running
from faults.study_rows import calm_study, check_end, ends_well

SIZE = 64 << 20
CLONE_NEWNS = 0x20000
MS_REC, MS_PRIVATE = 0x4000, 1 << 18
PLACES = ("results", "storage", "cache", "tmp", "shared memory")
FULL_SECONDS = 2.0


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A disk of a few megabytes, mounted on a folder."""
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "faults", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SkippedRowError(f"needs the right to mount: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


def fill(folder: Path, left: int) -> Path:
    """Fill a disk until about so many bytes are left; the file that does it."""
    filler = folder / "filler"
    state = os.statvfs(folder)
    with filler.open("wb") as file:
        free = state.f_bavail * state.f_frsize
        for size in (max(0, free - left), 0):
            try:
                os.posix_fallocate(file.fileno(), 0, max(1, size))
            except OSError:
                continue
            break
    return filler


def take_shared_memory(size: int) -> None:
    """Give this process and its forks a /dev/shm of their own of so many bytes."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS):
        raise OSError(ctypes.get_errno(), "unshare")
    libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None)
    if libc.mount(b"faults", b"/dev/shm", b"tmpfs", 0, f"size={size}".encode()):
        raise OSError(ctypes.get_errno(), "mount")


def use_cache(folder: Path) -> None:
    """Let this process and its forks keep decoded data in a folder."""
    os.environ["BAKEOFF_DATA"] = str(folder)


@row(
    name="disk-full", count=20, quick=1,
    fault="the disk of results, storage, cache, /tmp or /dev/shm is full for 2 s",
    promise="the study waits, or ends in one line and continues when there is room; same values",
)  # fmt: skip
def fill_disks(rng: random.Random, count: int, folder: Path, tally: Tally) -> None:
    """Fill one disk of a study at a random time, down to a random number of bytes."""
    calm_study(folder)
    for number in range(count):
        kind = PLACES[number % len(PLACES)]
        with small_disk(folder / f"disk-{number}") as disk:
            _fill_one(rng, kind, disk, tally, folder)


def _fill_one(rng: random.Random, kind: str, disk: Path, tally: Tally, folder: Path) -> None:
    home = folder / f"home-{tally.injected}" if kind in ("cache", "storage") else disk / "home"
    setup = Setup(
        output=home / "out",
        url=f"sqlite:///{disk / 'studies.db'}" if kind == "storage" else "",
        saves_everything=True,
        log=folder / f"log-{tally.injected}.txt",  # not on the full disk
        prepare={
            "cache": partial(use_cache, disk / "cache"),
            "shared memory": partial(take_shared_memory, 4096),
        }.get(kind, lambda: None),
    )
    left, events = rng.choice((0, 4096, rng.randrange(200_000))), rng.choice((0, 1, 5, 20, 60))
    place = f"{kind}, {left} bytes left after {events} events"
    with running(setup) as driver:
        if kind == "shared memory":
            driver.wait_for(10**6)
        else:
            driver.wait_for(events)
            filler = fill(disk, left)
            time.sleep(FULL_SECONDS)
            filler.unlink()
            driver.wait_for(10**6)
        tally.injected += 1
        first = driver.finish()
    drivers = [driver]
    if first:
        if "Traceback" in driver.text():
            tally.fail("traceback", f"{place}: {driver.text()[-1500:]}")
        if kind == "shared memory":
            setup = replace(setup, prepare=lambda: None)
        with running(setup) as driver:
            drivers.append(driver)
            if not ends_well(driver, tally, place):
                return
    check_end(setup, drivers[-1:], tally, place, folder)
