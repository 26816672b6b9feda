"""A function of the user's that never returns its data ends what waits for it."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from bakeoff.data import reading_limit, reading_progress
from bakeoff.data.reading_limit import limited_reading
from bakeoff.data.reading_progress import showing_progress
from bakeoff.errors import DataError

FUNCTION = "my_data:load"
MESSAGE = (
    r"^my_data:load: no progress in reading the data for 0\.2 s; does it wait .* --hang-timeout"
)


def wait_carelessly() -> None:
    try:
        time.sleep(60)
    except Exception:  # noqa: BLE001 - as careless code does
        time.sleep(60)


def test_code_that_waits_is_interrupted_although_it_catches_every_exception() -> None:
    began = time.monotonic()
    with pytest.raises(DataError, match=MESSAGE), limited_reading(FUNCTION, 0.2):
        wait_carelessly()
    assert time.monotonic() - began < 30


def test_a_lock_that_nobody_releases_is_interrupted() -> None:
    lock = threading.Lock()
    lock.acquire()
    with pytest.raises(DataError, match=MESSAGE), limited_reading(FUNCTION, 0.2):
        lock.acquire()


def test_progress_puts_the_limit_off(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [time.monotonic()]  # a clock of its own, which a busy machine cannot make late
    for module in (reading_limit, reading_progress):
        monkeypatch.setattr(module, "monotonic", lambda: now[0])
    with limited_reading(FUNCTION, 0.3), showing_progress("reading labels") as advance:
        for done in range(20):
            time.sleep(0.05)  # in which the limit is looked at
            now[0] += 0.05  # a second together
            advance(done, 20)
    time.sleep(0.4)  # and no signal comes later


@pytest.mark.parametrize(("dataset", "seconds"), [("digits", 0.01), (FUNCTION, None)])
def test_files_that_bakeoff_reads_and_calls_without_a_limit_may_take_long(
    dataset: str, seconds: float | None
) -> None:
    with limited_reading(dataset, seconds):
        time.sleep(0.1)


def test_a_library_that_python_cannot_interrupt_ends_the_process_with_the_same_line(
    tmp_path: Path,
) -> None:
    script = tmp_path / "reads.py"
    script.write_text(
        "import ctypes\n"
        "from bakeoff.data import reading_limit\n"
        "reading_limit.PATIENCE_SECONDS = 0.2\n"
        "lock = ctypes.CDLL(None).pthread_mutex_lock\n"
        "mutex = ctypes.create_string_buffer(64)\n"
        f"with reading_limit.limited_reading({FUNCTION!r}, 0.2):\n"
        "    lock(mutex), lock(mutex)\n"
    )
    found = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=60, check=False
    )
    assert found.returncode == DataError.exit_code
    assert found.stderr.startswith("study: my_data:load: no progress in reading the data")
    assert found.stderr.count("\n") == 1
