"""Weights & Biases offline: the files that would be sent."""

import json
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from wandb.proto.wandb_internal_pb2 import Record  # type: ignore[attr-defined]

from bakeoff.tracking.wandb_client import WandbTracker
from tracked_runs import begin_run, end_run


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No network, and nothing of the user's own settings."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("WANDB_CACHE_DIR", str(tmp_path / "cache"))


BLOCK, FILE_HEADER, HEADER = 1 << 15, 7, struct.Struct("<IHB")
FULL, LAST = 1, 4


def fragments_of(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Kind and data of each part of a record in a log of LevelDB's format, which W&B writes."""
    place = FILE_HEADER
    while place + HEADER.size <= len(content):
        if BLOCK - place % BLOCK < HEADER.size:  # no header fits the rest of a block
            place += BLOCK - place % BLOCK
            continue
        _, length, kind = HEADER.unpack_from(content, place)
        place += HEADER.size
        yield kind, content[place : place + length]
        place += length


def records_in(folder: Path) -> Iterator[Record]:
    (file,) = (folder / "wandb").glob("offline-run-*/run-*.wandb")
    whole = b""
    for kind, data in fragments_of(file.read_bytes()):
        whole += data
        if kind in (FULL, LAST):
            yield Record.FromString(whole)
            whole = b""


def finished_records(folder: Path) -> list[Record]:
    """All records of a run that has ended; a process of W&B's own writes them."""
    deadline = time.monotonic() + 30
    while True:
        records = list(records_in(folder))
        if any(one.WhichOneof("record_type") == "exit" for one in records):
            return records
        assert time.monotonic() < deadline, [one.WhichOneof("record_type") for one in records]
        time.sleep(0.1)


def rows_in(folder: Path) -> list[dict[str, Any]]:
    """Every point that was logged."""
    return [
        {item.key or ".".join(item.nested_key): json.loads(item.value_json)
         for item in record.history.item}
        for record in finished_records(folder)
        if record.WhichOneof("record_type") == "history"
    ]  # fmt: skip


def test_a_continued_run_has_every_epoch_once_with_its_settings(tmp_path: Path) -> None:
    folder = tmp_path / "toy"
    first = WandbTracker(folder, "project", group="toy")
    begin_run(first)
    first.close()
    time.sleep(1.1)  # W&B names files by the second; no run is continued within the same one
    end_run(WandbTracker(folder, "project", group="toy"))
    rows = rows_in(folder)
    assert [(row["_step"], row["validation/accuracy"]) for row in rows] == [(1, 0.1), (2, 0.2)]
    runs = [one.run for one in finished_records(folder) if one.WhichOneof("record_type") == "run"]
    assert (runs[0].display_name, runs[0].run_group, runs[0].project) == (
        "search-0", "toy", "project",
    )  # fmt: skip
    config = {item.key: json.loads(item.value_json) for item in runs[0].config.update}
    assert config["sgd.learning_rate"] == 0.1


def test_a_study_that_is_started_again_has_new_runs(tmp_path: Path) -> None:
    old = WandbTracker(tmp_path / "old", "project", group="toy")
    old.begin("search-0", {})
    old.close()
    (tmp_path / "new").mkdir()
    (tmp_path / "old" / "wandb").rename(tmp_path / "new" / "wandb")
    assert not WandbTracker(tmp_path / "new", "project", group="toy").has("search-0")
