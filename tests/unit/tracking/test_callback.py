"""A function of the user's gets every epoch in a process of its own, and cannot stop a study."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from bakeoff.errors import UsageError
from bakeoff.records import TrackingConfig
from bakeoff.tracking import Tracking, check_trackers
from bakeoff.tracking.callback import CallbackTracker
from tracked_runs import RUN, SETTINGS, begin_run, end_run, tracked_epoch

MODULE = """
import json, pathlib, sys

def keep(event):
    with open(pathlib.Path(__file__).parent / "events.jsonl", "a") as file:
        file.write(json.dumps(event) + "\\n")

def fails_once(event):
    keep(event)
    if event["event"] == "epoch" and event["epoch"] == 1:
        print("printed to stdout")
        raise ConnectionError("no route to host")

def takes_two(event, other):
    pass

def hangs(event):
    import time
    time.sleep(600)

NUMBER = 3
"""


PATIENCE_SECONDS = 60.0
"""For processes that a busy machine starts slowly; the function hangs for ten times as long."""


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bakeoff.tracking.CLOSE_SECONDS", PATIENCE_SECONDS)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a study file, with a module that no other test imports."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "my_events.py").write_text(MODULE)
    return tmp_path / "mine"


def tracker(folder: Path, name: str) -> CallbackTracker:
    results = folder.parent / "results"
    return CallbackTracker(results, f"my_events:{name}", "toy", str(folder))


def events(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]


def test_a_continued_run_gives_every_epoch_once(folder: Path) -> None:
    first = tracker(folder, "keep")
    begin_run(first)
    first.pause(RUN)
    first.close()

    again = tracker(folder, "keep")
    end_run(again)
    again.close()

    given = events(folder)
    assert [one["event"] for one in given] == ["begin", "epoch", "pause", "epoch", "end"]
    assert given[0] == {
        "event": "begin", "study": "toy", "run": RUN, "settings": SETTINGS
    }  # fmt: skip
    assert (given[3]["epoch"], given[3]["metrics"], given[3]["train_loss"]) == (
        2, {"accuracy": 0.2}, None,
    )  # fmt: skip
    assert (given[4]["outcome"], given[4]["scores"]) == ("complete", {"score": 0.2})


def test_an_error_is_logged_and_said_once_and_later_events_follow(folder: Path) -> None:
    notes: list[str] = []
    tracking = Tracking([tracker(folder, "fails_once")], notes.append)
    tracking.begin("search-0", {})
    for number in (1, 2):
        tracking.epoch("search-0", tracked_epoch(number))
    tracking.close()

    assert [one.get("epoch") for one in events(folder)] == [None, 1, 2]
    log = (folder.parent / "results" / "callback.log").read_text()
    assert "ConnectionError: no route to host" in log
    assert "printed to stdout" in log
    (note,) = notes
    assert "my_events:fails_once failed; see" in note


def test_a_function_that_hangs_keeps_nobody_waiting(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bakeoff.tracking.CLOSE_SECONDS", 0.5)
    hanging = tracker(folder, "hangs")
    notes: list[str] = []
    tracking = Tracking([hanging], notes.append)
    tracking.begin("search-0", {})
    started = time.monotonic()
    while hanging.process is None and time.monotonic() - started < PATIENCE_SECONDS:
        time.sleep(0.05)
    assert hanging.process is not None
    tracking.close()

    assert time.monotonic() - started < 2 * PATIENCE_SECONDS
    assert any("did not receive everything" in one for one in notes)
    hanging.process.kill()
    hanging.process.wait()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "takes_two",
            r"expected a call with \(event\), a dictionary, found takes_two\(event, other\)",
        ),
        ("NUMBER", "found is int"),
        ("absent", "has no attribute 'absent'"),
    ],
)
def test_a_wrong_function_is_refused_before_the_study_begins(
    folder: Path, name: str, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        check_trackers(TrackingConfig(callback=f"my_events:{name}"), str(folder))


def test_a_module_that_ends_python_is_refused(folder: Path) -> None:
    (folder / "my_end.py").write_text("import os\nos._exit(3)\n")
    with pytest.raises(UsageError, match="its module ends Python, or hangs"):
        check_trackers(TrackingConfig(callback="my_end:keep"), str(folder))


def test_a_right_function_is_accepted(folder: Path) -> None:
    check_trackers(TrackingConfig(callback="my_events:keep"), str(folder))
    assert not (folder / "events.jsonl").exists()
