"""Tiny studies that are really trained, in processes that a fault can hit.

A driver is a fork of this process, and its workers are forks of it, so that nothing is imported
again and hundreds of faults take minutes. `integration/test_study_run.py` starts the command itself.
"""

import faulthandler
import multiprocessing
import os
import select
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any

from bakeoff.engines import processes
from bakeoff.errors import BakeoffError
from bakeoff.ranges import Params
from bakeoff.records import EpochResult, StudyConfig
from bakeoff.session.run_settings import RunSettings
from bakeoff.session.study import run_study
from bakeoff.space import build_trial_config
from bakeoff.storage import Storage
from bakeoff.studyfile import resolve_study
from bakeoff.training import checkpoint, loop
from study_examples import SilentObserver, study_document

CONFIG = resolve_study(
    study_document(
        data={"train_samples": 300},
        model={"width": 8, "dropout": 0.2},
        training={"epochs": 4, "batch_size": 64, "clip_grad_norm": 1.0},
        search={"schedulers": ["constant", "one_cycle"], "pruner": "halving"},
    )
)
"""14 search trials, of which some are paused and promoted, and 16 runs of the confirmation."""
NAME = CONFIG.name
TRACEBACK_CODE = 70
"""Exit code of a driver that raised something unforeseen."""
PATIENCE_SECONDS = 120.0
ORPHAN_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True)
class Setup:
    """How a driver is started."""

    output: Path
    url: str = ""
    """Of the storage; empty for the SQLite file in the output folder."""
    workers: int = 1
    hang_seconds: float = 600.0
    saves_everything: bool = False
    """Whether a checkpoint is saved after every epoch, however long that takes."""
    config: StudyConfig = CONFIG
    log: Path | None = None
    """Where driver and workers write; None for a file next to the output folder."""
    checkpoints: str | None = None
    """The location of a store for checkpoints; None for the output folder."""
    prepare: Callable[[], None] = lambda: None
    """Called in the driver's process before the study begins."""

    @property
    def storage_url(self) -> str:
        """The URL of the storage."""
        return self.url or f"sqlite:///{self.output / 'studies.db'}"


@dataclass
class Driver:
    """A driver's process, which leads a session of its own."""

    pid: int
    lines: int
    """File descriptor from which a byte is read for every epoch that a run reaches first."""
    log: Path
    code: int | None = None
    """Exit code, or minus the signal that ended it; None while it runs."""
    workers: set[int] = field(default_factory=set)
    """Process ids of the workers that were seen."""

    def wait_for(self, count: int) -> int:
        """Wait for so many new events, or the end of the driver; return the number."""
        seen, end = 0, time.monotonic() + PATIENCE_SECONDS
        while seen < count and time.monotonic() < end:
            if not select.select([self.lines], [], [], 1.0)[0]:
                continue
            got = os.read(self.lines, count - seen)
            if not got:
                break
            seen += len(got)
        return seen

    def drain(self) -> None:
        """Forget the events so far."""
        while select.select([self.lines], [], [], 0)[0] and os.read(self.lines, 1 << 16):
            pass

    def find_workers(self) -> list[int]:
        """Process ids of its workers."""
        try:
            text = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        except OSError:
            return []
        found = [int(one) for one in text.split()]
        self.workers.update(found)
        return found

    def send(self, signum: int) -> None:
        """Send a signal to the driver alone."""
        if self.code is None:
            os.kill(self.pid, signum)

    def finish(self, seconds: float = PATIENCE_SECONDS) -> int:
        """Wait for the end of the driver and return its code; kill it after `seconds`.

        Raises:
            TimeoutError: It did not end.
        """
        end = time.monotonic() + seconds
        while self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
                os.close(self.lines)
            elif time.monotonic() > end:
                os.killpg(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                self.code = -signal.SIGKILL
                os.close(self.lines)
                raise TimeoutError(f"the driver did not end within {seconds:g} s: {self.text()}")
            else:
                self.find_workers()
                time.sleep(0.01)
        return self.code

    def text(self) -> str:
        """What the driver and its workers wrote."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""


class Reporter(SilentObserver):
    """Writes a byte for every epoch that a run reaches first, and notes to the log."""

    def __init__(self, out: int) -> None:
        super().__init__()
        self._out = out
        self._newest: dict[str, int] = {}

    def epoch(self, run: str, plan: Any, result: EpochResult) -> None:
        """An epoch has ended."""
        if result.epoch > self._newest.get(run, 0):
            self._newest[run] = result.epoch
            os.write(self._out, b".")

    def note(self, text: str) -> None:
        """Something happened that a reader should know."""
        print(text, flush=True)


def start(setup: Setup) -> Driver:
    """Start a driver."""
    setup.output.parent.mkdir(parents=True, exist_ok=True)
    log = setup.log or setup.output.parent / "log.txt"
    reading, writing = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        os.close(writing)
        return Driver(pid, reading, log)
    code = TRACEBACK_CODE
    try:
        os.close(reading)
        code = _drive(setup, writing, log)
    finally:
        os._exit(code)


def _drive(setup: Setup, writing: int, log: Path) -> int:
    os.setsid()
    faulthandler.disable()  # pytest's, which would print the stack of a worker that crashes
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(out, 1)
    os.dup2(out, 2)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", closefd=False) for number in (1, 2))
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_DFL)
    temporary = setup.output.parent / "tmp"
    temporary.mkdir(exist_ok=True)
    os.environ["TMPDIR"] = tempfile.tempdir = str(temporary)
    vars(processes)["multiprocessing"] = Forking
    if setup.saves_everything:
        checkpoint.MAX_SAVE_SHARE = inf
    settings = RunSettings(
        output=setup.output, storage_url=setup.storage_url, workers=setup.workers, threads=1,
        device="cpu", hang_seconds=setup.hang_seconds,
        checkpoints=setup.checkpoints,
    )  # fmt: skip
    code = TRACEBACK_CODE
    try:
        setup.prepare()
        run_study(setup.config, settings, Reporter(writing))
        code = 0
    except BakeoffError as error:
        print(f"study: {error}", flush=True)
        code = error.exit_code
    except BaseException:  # noqa: BLE001 - counted as a traceback
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    return code


class Forking:
    """Takes the place of `multiprocessing` in the engine: workers are forked and start at once."""

    @staticmethod
    def get_context(_: str) -> Any:
        """The context in which processes are forked."""
        return multiprocessing.get_context("fork")


def warm_up() -> None:
    """Import in this process what drivers and workers import when they begin."""
    from bakeoff.session.checks import check_data, check_packages
    from bakeoff.training import memory, weights  # noqa: F401 - workers import them later

    check_packages(CONFIG)
    check_data(CONFIG)
    for optimizer in CONFIG.search.optimizers:
        params: Params = {
            "optimizer": optimizer, "scheduler": "one_cycle", f"{optimizer}.learning_rate": 0.01
        }  # fmt: skip
        state = loop.prepare(build_trial_config(CONFIG, params, 0, repeat=0), "cpu")
        next(iter(loop.train(state)))
    with tempfile.TemporaryDirectory() as folder:
        Storage(f"sqlite:///{folder}/studies.db", create=True)


@contextmanager
def running(setup: Setup) -> Iterator[Driver]:
    """A driver that is killed with its session if the block fails."""
    driver = start(setup)
    try:
        yield driver
    finally:
        if driver.code is None:
            os.killpg(driver.pid, signal.SIGKILL)
            driver.finish()


def members_of(session: int) -> list[int]:
    """Process ids of all living processes of a session."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(int(path.parent.name))
    return found


def orphans_of(driver: Driver, seconds: float = ORPHAN_SECONDS) -> list[int]:
    """Processes that are left of a driver's session after so many seconds."""
    end = time.monotonic() + seconds
    while (left := members_of(driver.pid)) and time.monotonic() < end:
        time.sleep(0.05)
    return left
