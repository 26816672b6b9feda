"""Faults of the processes of a study: kills, signals, hangs, crashes, memory, a second driver."""

import os
import random
import resource
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import optuna

from bakeoff.records import StudyRecord
from faults import oracle
from faults.rows import Tally, row
from faults.studies import NAME, Driver, Setup, orphans_of, running, start

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
PER_STUDY = 12
"""Faults that end the driver, in one study."""
EVENTS_BETWEEN = (3, 14)
"""Events after which the next fault of the driver comes."""
CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGILL, signal.SIGBUS, signal.SIGFPE)
STOP_SECONDS = 20.0
"""How long a stopped study may take to save its checkpoint on a busy machine."""
HANG_SECONDS = 2.0

_calm: dict[str, StudyRecord] = {}
_calm_weights: list[str] = []
"""SHA-256 of the weights that the undisturbed study keeps."""


def calm_study(folder: Path) -> StudyRecord:
    """The study without any fault and with one worker; run once per process."""
    if NAME not in _calm:
        setup = Setup(output=folder / "calm" / "out")
        with running(setup) as driver:
            driver.wait_for(10**6)
            if driver.finish():
                raise RuntimeError(f"the undisturbed study failed: {driver.text()}")
        _calm[NAME] = oracle.load(setup.storage_url, NAME)
        _calm_weights.extend(oracle.weights_in(setup.output / NAME))
    return _calm[NAME]


def ends_well(driver: Driver, tally: Tally, place: str) -> bool:
    """Wait for the end of a study that was hit; count it as lost unless it succeeded."""
    driver.wait_for(10**6)
    code = driver.finish()
    if code:
        tally.fail("lost", f"{place}: exit code {code}: {driver.text()[-1500:]}")
    return not code


def check_end(setup: Setup, drivers: list[Driver], tally: Tally, place: str, folder: Path) -> None:
    """Compare a study that was hit with the undisturbed one."""
    home = setup.output.parent
    record = oracle.load(setup.storage_url, NAME)
    same = setup.workers == 1
    for text in oracle.differences(record, calm_study(folder), same_values=same):
        tally.fail("lost", f"{place}: {text}")
    if same and oracle.weights_in(setup.output / NAME) != _calm_weights:
        tally.fail("lost", f"{place}: other weights are kept")
    for text in oracle.told_twice(setup.storage_url):
        tally.fail("lost", f"{place}: {text}")
    for text in oracle.left_behind(home):
        tally.fail("silent", f"{place}: left behind {text}")
    for driver in drivers:
        if left := orphans_of(driver):
            tally.fail("lost", f"{place}: processes {left} outlive their driver")
    if "Traceback" in drivers[-1].text():
        tally.fail("traceback", f"{place}: {drivers[-1].text()[-2000:]}")


def studies(count: int, per_study: int, rng: random.Random) -> Iterator[tuple[int, random.Random]]:
    """The number of faults in each study, and the draws of the study."""
    while count > 0:
        yield min(count, per_study), random.Random(rng.getrandbits(64))
        count -= per_study


def hit_workers(
    rng: random.Random, count: int, folder: Path, tally: Tally, hit: Callable[[int], None],
    hang_seconds: float = 600.0, workers: int = 1, checkpoints: str | None = None,
) -> None:  # fmt: skip
    """Hit workers of one driver until `count` were hit; the driver must continue to its end."""
    while count > 0:
        place = f"study {tally.injected}"
        setup = Setup(
            output=folder / place / "out", hang_seconds=hang_seconds, workers=workers,
            saves_everything=rng.random() < 0.5, checkpoints=checkpoints,
        )  # fmt: skip
        with running(setup) as driver:
            # A trial fails after three losses without a new epoch, so each hit waits for one.
            while count > 0 and driver.wait_for(rng.randint(1, 3)) > 0:
                time.sleep(rng.random() * 0.02)
                if found := driver.find_workers():
                    with suppress(ProcessLookupError):
                        hit(rng.choice(found))
                        tally.injected += 1
                        count -= 1
                    driver.drain()
                    driver.wait_for(2)  # an epoch that was on its way, and the loss
            if not ends_well(driver, tally, place):
                continue
        check_end(setup, [driver], tally, place, folder)


@row(
    name="worker-kill", count=300, quick=12, fault="kill -9 of a worker after 1 to 3 events",
    promise="its trial continues; same values and report as undisturbed",
)  # fmt: skip
def kill_workers(rng: random.Random, count: int, folder: Path, tally: Tally) -> None:
    """Kill the worker of one driver again and again."""
    hit_workers(rng, count, folder, tally, lambda pid: os.kill(pid, signal.SIGKILL))


@row(
    name="worker-kill-of-two", count=60, quick=0, fault="kill -9 of one of two workers",
    promise="every planned trial ends exactly once",
)  # fmt: skip
def kill_one_of_two(rng: random.Random, count: int, folder: Path, tally: Tally) -> None:
    """Kill one of two workers again and again."""
    hit_workers(rng, count, folder, tally, lambda pid: os.kill(pid, signal.SIGKILL), workers=2)


@row(
    name="worker-crash", count=100, quick=3,
    fault="segfault, abort, illegal instruction, bus error or FPE in a worker",
    promise="its trial continues; same values and report as undisturbed",
)  # fmt: skip
def crash_workers(rng: random.Random, count: int, folder: Path, tally: Tally) -> None:
    """Let workers crash by the signals of the kernel."""
    hit_workers(rng, count, folder, tally, lambda pid: os.kill(pid, rng.choice(CRASHES)))


@row(
    name="worker-hang", count=100, quick=1, fault=f"worker hangs (--hang-timeout {HANG_SECONDS:g})",
    promise="it is replaced and its trial continues; same values and report",
)  # fmt: skip
def hang_workers(rng: random.Random, count: int, folder: Path, tally: Tally) -> None:
    """Stop workers, so that they make no progress and ignore SIGTERM."""
    hit_workers(rng, count, folder, tally, lambda pid: os.kill(pid, signal.SIGSTOP), HANG_SECONDS)


@row(
    name="stop-and-continue", count=40, quick=0, fault="SIGSTOP of a worker, SIGCONT 0.3 s later",
    promise="nothing happens",
)  # fmt: skip
def pause_workers(rng: random.Random, count: int, folder: Path, tally: Tally) -> None:
    """Stop workers for a moment, as a laptop that sleeps."""

    def pause(pid: int) -> None:
        os.kill(pid, signal.SIGSTOP)
        time.sleep(0.3)
        os.kill(pid, signal.SIGCONT)

    hit_workers(rng, count, folder, tally, pause)


def end_drivers(
    rng: random.Random, count: int, folder: Path, tally: Tally,
    end: Callable[[Driver, random.Random], int | None], checkpoints: str | None = None,
) -> None:  # fmt: skip
    """End drivers and start them again until each study is finished.

    `end` returns the exit code that is expected, or None for any.
    """
    for number, draws in studies(count, PER_STUDY, rng):
        place, drivers = f"study {tally.injected}", []
        setup = Setup(
            output=folder / place / "out", saves_everything=draws.random() < 0.5,
            checkpoints=checkpoints,
        )  # fmt: skip
        for _ in range(number):
            with running(setup) as driver:
                drivers.append(driver)
                driver.wait_for(draws.randint(*EVENTS_BETWEEN))
                time.sleep(draws.random() * 0.05)
                driver.find_workers()
                if os.waitid(os.P_PID, driver.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                    driver.finish()
                    break  # the study was finished before the fault
                expected = end(driver, draws)
                tally.injected += 1
                code = driver.finish()
                if expected is not None and code not in (expected, 0):
                    tally.fail("lost", f"{place}: exit code {code}: {driver.text()[-1500:]}")
            if left := orphans_of(driver):
                tally.fail("lost", f"{place}: processes {left} outlive their driver")
        with running(setup) as driver:  # the second start after each
            drivers.append(driver)
            if not ends_well(driver, tally, place):
                continue
        check_end(setup, drivers[-1:], tally, place, folder)


@row(
    name="driver-kill", count=100, quick=2, fault="kill -9 of the driver",
    promise="no worker outlives it; the next start ends with same values and report",
)  # fmt: skip
def kill_drivers(rng: random.Random, count: int, folder: Path, tally: Tally) -> None:
    """Kill the driver alone."""

    def kill(driver: Driver, _: random.Random) -> int:
        driver.send(signal.SIGKILL)
        return -signal.SIGKILL

    end_drivers(rng, count, folder, tally, kill)


@row(
    name="group-kill", count=24, quick=0, fault="kill -9 of driver and workers at once",
    promise="the next start ends with same values and report",
)  # fmt: skip
def kill_groups(rng: random.Random, count: int, folder: Path, tally: Tally) -> None:
    """Kill the whole process group, as the out-of-memory killer of a container does."""

    def kill(driver: Driver, _: random.Random) -> int:
        os.killpg(driver.pid, signal.SIGKILL)
        return -signal.SIGKILL

    end_drivers(rng, count, folder, tally, kill)


@row(
    name="stop-signals", count=96, quick=3,
    fault="SIGTERM, SIGHUP, SIGINT once, SIGINT twice, also while starting",
    promise="ends with its exit code; the next start ends with same values and report",
)  # fmt: skip
def stop_drivers(rng: random.Random, count: int, folder: Path, tally: Tally) -> None:
    """Ask the driver to stop, in every way."""
    slowest = [0.0]

    def ask(driver: Driver, draws: random.Random) -> int:
        signum = draws.choice((signal.SIGTERM, signal.SIGHUP, signal.SIGINT))
        started = time.monotonic()
        os.killpg(driver.pid, signum)
        if draws.random() < 0.5:
            time.sleep(draws.random() * 0.01)
            with suppress(ProcessLookupError):
                os.killpg(driver.pid, signum)
        with suppress(TimeoutError):
            driver.finish(STOP_SECONDS)
        slowest[0] = max(slowest[0], time.monotonic() - started)
        return CODES[signum]

    end_drivers(rng, count, folder, tally, ask)
    tally.notes.append(f"slowest end {slowest[0]:.1f} s")


@row(
    name="second-driver", count=20, quick=1, fault="a second driver of the same study",
    promise="refused by name with exit code 2; the first one is not disturbed",
)  # fmt: skip
def start_two(rng: random.Random, count: int, folder: Path, tally: Tally) -> None:
    """Start a second driver while the first one works."""
    for number, draws in studies(count, 10, rng):
        place = f"study {tally.injected}"
        setup = Setup(output=folder / place / "out")
        with running(setup) as driver:
            for _ in range(number):
                driver.wait_for(draws.randint(1, 8))
                second = start(setup)
                code = second.finish()
                text = second.text()
                tally.injected += 1
                if code != 2 or f"process {driver.pid}" not in text:
                    tally.fail("silent", f"{place}: the second driver ended with {code}: {text}")
            if not ends_well(driver, tally, place):
                continue
        check_end(setup, [driver], tally, place, folder)


@row(
    name="memory-limit", count=8, quick=0, fault="a worker may map no more memory (RLIMIT_AS)",
    promise="every planned trial ends once; the study continues",
)  # fmt: skip
def limit_memory(rng: random.Random, count: int, folder: Path, tally: Tally) -> None:
    """Take all further memory from a worker."""
    calm = calm_study(folder)
    for _, draws in studies(count, 1, rng):
        place = f"study {tally.injected}"
        setup = Setup(output=folder / place / "out")
        with running(setup) as driver:
            driver.wait_for(draws.randint(2, 60))
            for pid in driver.find_workers():
                with suppress(ProcessLookupError):
                    resource.prlimit(pid, resource.RLIMIT_AS, (1 << 20, 1 << 20))
                    tally.injected += 1
            if not ends_well(driver, tally, place):
                continue
        record = oracle.load(setup.storage_url, NAME)
        runs = (len(record.trials), {run.outcome for run in record.trials})
        if runs[0] != len(calm.trials) or "running" in runs[1]:
            tally.fail("lost", f"{place}: {runs}")
        if "Traceback" in driver.text():
            tally.fail("traceback", f"{place}: {driver.text()[-1500:]}")


def jump_clocks() -> None:
    """Let the wall clock of this process, and of its forks, jump by up to a day at every look."""
    draws, real = random.Random(0), time.time
    time.time = lambda: real() + draws.uniform(-86_400, 86_400)
    module: Any = optuna.storages._rdb.storage  # noqa: SLF001 - it stores the time of trials
    now = module.datetime

    class Jumping(now):  # type: ignore[misc, valid-type]
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return now.fromtimestamp(time.time(), tz)

    module.datetime = Jumping


@row(
    name="clock-jumps", count=20, quick=0, fault="the wall clock jumps by up to a day at every look",
    promise="same values and report as undisturbed",
)  # fmt: skip
def jump(rng: random.Random, count: int, folder: Path, tally: Tally) -> None:
    """Run studies whose drivers and workers have a mad clock; a study counts as ten jumps."""
    for number, draws in studies(count, 10, rng):
        place = f"study {tally.injected}"
        setup = Setup(
            output=folder / place / "out", prepare=jump_clocks,
            saves_everything=draws.random() < 0.5,
        )  # fmt: skip
        with running(setup) as driver:
            tally.injected += number
            if not ends_well(driver, tally, place):
                continue
        check_end(setup, [driver], tally, place, folder)
