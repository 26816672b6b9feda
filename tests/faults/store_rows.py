"""Faults of studies whose checkpoints are in a bucket: killed workers, a service that is gone."""

import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bakeoff.stores import RemoteStore
from faults.rows import SkippedRowError, Tally, row
from faults.server import Proxy
from faults.studies import Driver, Setup, running
from faults.study_rows import check_end, end_drivers, ends_well, hit_workers
from object_server import BUCKET, credentials, object_server

LONGEST_GONE_SECONDS = 3.0


@contextmanager
def bucket_behind_proxy() -> Iterator[Proxy]:
    """A server with an empty bucket, which this process and its forks reach through a proxy.

    Raises:
        SkippedRowError: The packages for it are not installed.
    """
    try:
        import moto  # noqa: F401
        from s3fs import S3FileSystem
    except ImportError as error:
        raise SkippedRowError(f"needs moto and s3fs ({error})") from None
    before = dict(os.environ)
    with object_server() as port:
        proxy = Proxy(port)
        os.environ.update(credentials(proxy.port))
        S3FileSystem.clear_instance_cache()  # it knows the port of an earlier server
        try:
            yield proxy
        finally:
            proxy.close()
            S3FileSystem.clear_instance_cache()
            os.environ.clear()
            os.environ.update(before)


def check_empty(tally: Tally) -> None:
    """Count every object that a finished study left."""
    for key in RemoteStore(f"s3://{BUCKET}").keys():  # noqa: SIM118 - not a dictionary
        tally.fail("silent", f"left behind {key}")


@row(
    name="bucket-worker-kill", count=60, quick=3,
    fault="kill -9 of a worker whose checkpoints are in a bucket",
    promise="its trial continues; same values and report as in a folder, undisturbed",
)  # fmt: skip
def kill_workers(rng: random.Random, count: int, folder: Path, tally: Tally) -> None:
    """Kill the worker of one driver again and again."""
    place = f"s3://{BUCKET}/studies"
    with bucket_behind_proxy():
        hit_workers(
            rng, count, folder, tally, lambda pid: os.kill(pid, signal.SIGKILL), checkpoints=place
        )
        check_empty(tally)


@row(
    name="bucket-driver-kill", count=24, quick=1,
    fault="kill -9 of the driver of a study whose checkpoints are in a bucket",
    promise="the next start finds them there; same values and report as in a folder",
)  # fmt: skip
def kill_drivers(rng: random.Random, count: int, folder: Path, tally: Tally) -> None:
    """Kill the driver alone."""

    def kill(driver: Driver, _: random.Random) -> int:
        driver.send(signal.SIGKILL)
        return -signal.SIGKILL

    with bucket_behind_proxy():
        end_drivers(rng, count, folder, tally, kill, f"s3://{BUCKET}/drivers")
        check_empty(tally)


@row(
    name="bucket-gone", count=40, quick=1,
    fault=f"the service of the bucket refuses everything for up to {LONGEST_GONE_SECONDS:g} s",
    promise="the study waits and continues; same values and report",
)  # fmt: skip
def lose_service(rng: random.Random, count: int, folder: Path, tally: Tally) -> None:
    """Break all connections to the service, and refuse new ones for a while."""
    with bucket_behind_proxy() as proxy:
        while count > 0:
            place = f"study {tally.injected}"
            setup = Setup(
                output=folder / place / "out", checkpoints=f"s3://{BUCKET}/{place[6:]}",
                saves_everything=True,
            )  # fmt: skip
            with running(setup) as driver:
                while count > 0 and driver.wait_for(rng.randint(2, 5)) > 0:
                    _refuse(proxy, rng.uniform(0.2, LONGEST_GONE_SECONDS))
                    tally.injected += 1
                    count -= 1
                if not ends_well(driver, tally, place):
                    continue
            check_end(setup, [driver], tally, place, folder)
        check_empty(tally)


def _refuse(proxy: Proxy, seconds: float) -> None:
    proxy.refuses = True
    proxy.reset()
    time.sleep(seconds)
    proxy.refuses = False
