"""Gives every epoch of a study to a function of the user's, which runs in a process of its own."""

import os
import select
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from bakeoff.errors import UsageError
from bakeoff.records import EpochResult, Outcome, json_text
from bakeoff.tracking.callback_process import READY
from bakeoff.tracking.tracker import Values

START_SECONDS = 120.0
"""How long the user's module may take to be imported."""
GIVEN_FILE = ".callback"
"""Lines `run epoch`, so that a study that continues does not give an epoch twice."""
LOG_FILE = "callback.log"
"""What the function prints and raises."""


class CallbackTracker:
    """Calls a function of the user's with one dictionary for each event.

    Args:
        directory: Folder of the study's results, which gets the log.
        reference: `package.module:function`.
        group: Name of the study.
        folder: Folder of the study file, in which the module is looked for first.
    """

    name = "callback"

    def __init__(self, directory: Path, reference: str, group: str, folder: str) -> None:
        self._directory = directory
        self._reference = reference
        self._group = group
        self._folder = folder
        self.process: subprocess.Popen[str] | None = None
        self._given: dict[str, int] | None = None
        self.place = f"{reference}; what it prints and raises is in {directory / LOG_FILE}"

    def has(self, run: str) -> bool:
        """See `Tracker`."""
        return run in self._last_epochs()

    def begin(self, run: str, values: Values) -> None:
        """See `Tracker`. The event `begin` is given once, also if the run is continued."""
        if not self.has(run):
            self._send("begin", run, {"settings": dict(values)})
            self._remember(run, 0)

    def epoch(self, run: str, result: EpochResult) -> None:
        """See `Tracker`. Epochs that an earlier session gave are not given again."""
        if result.epoch > self._last_epochs()[run]:
            self._send("epoch", run, asdict(result))
            self._remember(run, result.epoch)

    def pause(self, run: str) -> None:
        """See `Tracker`."""
        self._send("pause", run, {})

    def end(self, run: str, outcome: Outcome, scores: Mapping[str, float]) -> None:
        """See `Tracker`."""
        self._send("end", run, {"outcome": outcome, "scores": dict(scores)})

    def close(self) -> None:
        """See `Tracker`. Waits until the function has returned from the last event.

        Raises:
            RuntimeError: The function raised an error, which is in the log.
        """
        process = self.process
        if process is None or process.stdin is None:
            return
        process.stdin.close()
        if process.wait():
            raise RuntimeError(f"{self._reference} failed; see {self._directory / LOG_FILE}")

    def _send(self, event: str, run: str, facts: Mapping[str, object]) -> None:
        if self.process is None:
            self._directory.mkdir(parents=True, exist_ok=True)
            with (self._directory / LOG_FILE).open("w") as log:
                self.process = start_callback(self._reference, self._folder, log.fileno())
        if self.process.stdin is not None:
            told = {"event": event, "study": self._group, "run": run, **facts}
            self.process.stdin.write(json_text(told, indent=None))
            self.process.stdin.flush()

    def _last_epochs(self) -> dict[str, int]:
        """The last epoch that was given of each run."""
        if self._given is None:
            path = self._directory / GIVEN_FILE
            lines = path.read_text().splitlines() if path.exists() else []
            pairs = [line.rsplit(" ", 1) for line in lines]
            self._given = {pair[0]: int(pair[1]) for pair in pairs if pair[-1].isdigit()}
        return self._given

    def _remember(self, run: str, epoch: int) -> None:
        self._last_epochs()[run] = epoch
        with (self._directory / GIVEN_FILE).open("a") as file:
            file.write(f"{run} {epoch}\n")


def check_callback(reference: str, folder: str) -> None:
    """Make sure that the function can be imported and called, in a process of its own.

    Args:
        reference: `package.module:function`.
        folder: Folder of the study file.

    Raises:
        UsageError: It cannot; the message says what was expected and what was found.
    """
    process = start_callback(reference, folder, subprocess.DEVNULL)
    if process.stdin is not None:
        process.stdin.close()
    process.wait()


def start_callback(reference: str, folder: str, log: int) -> "subprocess.Popen[str]":
    """Start the process that calls the function, and wait until it has imported it.

    Args:
        reference: `package.module:function`.
        folder: Folder of the study file.
        log: File descriptor that takes what the function prints and raises.

    Raises:
        UsageError: The function cannot be imported or called so.
    """
    module = "bakeoff.tracking.callback_process"
    process = subprocess.Popen(  # noqa: S603 - this program, with the user's own function
        [sys.executable, "-m", module, reference, folder, str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
    )
    assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018 - pipes
    with process.stdout as answers:
        has_answer = select.select([answers], [], [], START_SECONDS)[0]
        answer = answers.readline().strip() if has_answer else ""
    if answer != READY:
        process.kill()
        process.wait()
        process.stdin.close()
        raise UsageError(
            answer or f"tracking.callback = {reference!r}: its module ends Python, or hangs"
        )
    return process
