"""Faults of a PostgreSQL server and of the network before it."""

import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bakeoff.studyfile import resolve_study
from driven_study import drive
from faults import oracle
from faults.rows import Tally, row
from faults.server import Proxy, Server
from faults.studies import Driver, Setup, running
from faults.study_rows import check_end, ends_well
from study_examples import SimulatedEngine, study_document

SIMULATED = resolve_study(study_document(search={"trials_per_arm": 24}))
"""A study without training, so that most of its time is the storage's."""
BLACK_HOLE_SECONDS = {signal.SIGTERM: 30.0, signal.SIGINT: 8.0}
"""Within which a driver ends after SIGTERM, or after SIGINT twice, while nothing answers."""


@contextmanager
def own_server() -> Iterator[Server]:
    """A server that is stopped at the end."""
    server = Server()
    try:
        yield server
    finally:
        server.close()


def finish(setup: Setup, driver: Driver, place: str, tally: Tally, folder: Path) -> None:
    """Wait for the end of a study that was hit, and compare it."""
    if ends_well(driver, tally, place):
        check_end(setup, [driver], tally, place, folder)


@row(
    name="postgres-restart", count=50, quick=1,
    fault="PostgreSQL restarts (fast, immediate, kill -9), away for up to 1 s",
    promise="the study waits and continues by itself; same values and report",
)  # fmt: skip
def restart(rng: random.Random, count: int, folder: Path, tally: Tally) -> None:
    """Restart the server of a study that runs."""
    with own_server() as server:
        while count > 0:
            place = f"study {tally.injected}"
            setup = Setup(output=folder / place / "out", url=server.url())
            with running(setup) as driver:
                while count > 0 and driver.wait_for(rng.randint(2, 10)) > 0:
                    mode = rng.choice(("fast", "immediate", "kill"))
                    server.kill() if mode == "kill" else server.stop(mode)
                    time.sleep(rng.random())
                    server.start()
                    tally.injected += 1
                    count -= 1
                    driver.drain()
                finish(setup, driver, place, tally, folder)


class EndingEngine(SimulatedEngine):
    """Ends all sessions before each event, until so many have been ended."""

    def __init__(self, server: Server, count: int, tally: Tally) -> None:
        super().__init__(num_workers=2)
        self._server, self._left, self._tally = server, count, tally

    def events(self, timeout):
        """The next event."""
        if self._left > 0:
            ended = self._server.end_sessions()
            self._left -= ended
            self._tally.injected += ended
        return super().events(timeout)


@row(
    name="postgres-sessions", count=1000, quick=0, fault="the driver's session is ended",
    promise="every write is stored once; same values as undisturbed",
)  # fmt: skip
def end_sessions(rng: random.Random, count: int, folder: Path, tally: Tally) -> None:
    """End the driver's session at every event of simulated studies."""
    url = f"sqlite:///{folder / 'calm.db'}"
    calm = drive(SIMULATED, SimulatedEngine(num_workers=2), url, folder)
    with own_server() as server:
        while tally.injected < count:
            url, place = server.url(), f"session {tally.injected}"
            engine = EndingEngine(server, count - tally.injected, tally)
            record = drive(SIMULATED, engine, url, folder / place)
            if oracle.comparable(record.trials) != oracle.comparable(calm.trials):
                tally.fail("lost", f"{place}: other values")
            for text in [*oracle.differences(record, calm), *oracle.told_twice(url)]:
                tally.fail("lost", f"{place}: {text}")


@row(
    name="network-hold", count=20, quick=0,
    fault="black hole: for up to 2 s no byte passes between driver and PostgreSQL",
    promise="the study waits and continues; same values and report",
)  # fmt: skip
def hold(rng: random.Random, count: int, folder: Path, tally: Tally) -> None:
    """Hold all bytes for a while."""

    def inject(proxy: Proxy) -> None:
        proxy.holds = True
        time.sleep(2 * rng.random())
        proxy.holds = False

    _disturb(rng, count, folder, tally, inject)


@row(
    name="network-reset", count=60, quick=1, fault="every connection to PostgreSQL is broken",
    promise="the study continues by itself; same values and report",
)  # fmt: skip
def reset(rng: random.Random, count: int, folder: Path, tally: Tally) -> None:
    """Break connections at random times."""
    _disturb(rng, count, folder, tally, Proxy.reset)


def _disturb(rng: random.Random, count: int, folder: Path, tally: Tally, inject) -> None:
    with own_server() as server:
        while count > 0:
            place, proxy = f"study {tally.injected}", Proxy(server.port)
            setup = Setup(output=folder / place / "out", url=server.url(proxy.port))
            with running(setup) as driver:
                while count > 0 and driver.wait_for(rng.randint(1, 6)) > 0:
                    time.sleep(rng.random() * 0.05)
                    inject(proxy)
                    tally.injected += 1
                    count -= 1
                    driver.drain()
                finish(setup, driver, place, tally, folder)
            proxy.close()


@row(
    name="network-gone-stop", count=8, quick=0,
    fault="SIGTERM, or SIGINT twice, while no byte passes to PostgreSQL",
    promise="SIGTERM ends it within 20 s, SIGINT twice within 3 s; the next start continues",
)  # fmt: skip
def stop_in_black_hole(rng: random.Random, count: int, folder: Path, tally: Tally) -> None:
    """Stop a driver whose database never answers."""
    slowest = dict.fromkeys(BLACK_HOLE_SECONDS, 0.0)
    with own_server() as server:
        proxy = Proxy(server.port)
        setup = Setup(output=folder / "study" / "out", url=server.url(proxy.port))
        for number in range(count):
            signum = (signal.SIGTERM, signal.SIGINT)[number % 2]
            with running(setup) as driver:
                driver.wait_for(rng.randint(3, 10))
                proxy.holds = True
                time.sleep(1.0)
                started = time.monotonic()
                for _ in range(2 if signum == signal.SIGINT else 1):
                    with suppress(ProcessLookupError):
                        os.kill(driver.pid, signum)
                    time.sleep(0.3)
                tally.injected += 1
                try:
                    driver.finish(BLACK_HOLE_SECONDS[signum])
                except TimeoutError as error:
                    tally.fail("traceback", f"stop {number}: {error}")
                slowest[signum] = max(slowest[signum], time.monotonic() - started)
                proxy.holds = False
        with running(setup) as driver:
            finish(setup, driver, "the last start", tally, folder)
        proxy.close()
    tally.notes.append("slowest " + ", ".join(f"{k.name} {v:.1f} s" for k, v in slowest.items()))
