"""Attempts of one run: each has a prefix of its own, in a folder and in a bucket."""

import math
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bakeoff.errors import CheckpointError, CheckpointWriteError
from bakeoff.stores import clear_store, join, open_store
from bakeoff.training import checkpoint, loop
from bakeoff.training.checkpoint import Checkpoints
from bakeoff.training.state import TrainingState
from run_examples import small_run
from unit.training.test_checkpoint import epochs_in


@pytest.fixture(params=["folder", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where a run stores its checkpoints."""
    is_folder = request.param == "folder"
    location = join(str(tmp_path) if is_folder else request.getfixturevalue("bucket"), "search-0")
    yield location
    clear_store(location)


def saving(place: str, attempt: int, *epochs: int) -> TrainingState:
    """Train an attempt from its checkpoint, and save it after the given epochs; the last ends it."""
    state = loop.prepare(small_run(epochs=8), "cpu")
    checkpoints = Checkpoints(place, "run", attempt=attempt, max_share=-math.inf)
    for result in loop.train(state, checkpoints):
        if result.epoch in epochs:
            checkpoints.save(state)
        if result.epoch == max(epochs):
            break
    return state


def keys(place: str) -> list[str]:
    return sorted(open_store(place).keys())


def names(*stems: str) -> list[str]:
    return sorted(f"{stem}{suffix}" for stem in stems for suffix in (".json", ".pt"))


def test_an_attempt_continues_from_the_newest_checkpoint_of_those_before(place: str) -> None:
    saving(place, 1, 1, 2)
    state = saving(place, 2, 3)
    assert len(state.history) == 3
    assert state.seconds_since_save == 0.0  # it was saved, and continued rather than begun again
    assert epochs_in(Checkpoints(place, "run", attempt=3).load()) == 3


def test_the_two_newest_are_kept_over_all_attempts(place: str) -> None:
    saving(place, 1, 1, 2)
    saving(place, 2, 3)
    assert keys(place) == names("attempt-1/epoch-0000002", "attempt-2/epoch-0000003")
    saving(place, 2, 4)
    assert keys(place) == names("attempt-2/epoch-0000003", "attempt-2/epoch-0000004")


def test_a_damaged_checkpoint_falls_back_to_that_of_the_attempt_before(place: str) -> None:
    saving(place, 1, 1, 2)
    saving(place, 2, 3)
    open_store(place).put("attempt-2/epoch-0000003.pt", b"damaged")
    assert epochs_in(Checkpoints(place, "run", attempt=3).load()) == 2


def test_an_attempt_that_was_given_up_cannot_disturb_its_successor(place: str) -> None:
    old = loop.prepare(small_run(epochs=8), "cpu")
    zombie = Checkpoints(place, "run", attempt=1)
    epochs = loop.train(old)
    next(epochs)
    zombie.save(old)
    saving(place, 2, 2, 3)
    before = keys(place)
    while len(old.history) < 5:
        next(epochs)
    with pytest.raises(CheckpointError, match="attempt 2 of this run has written it, and this is"):
        zombie.save(old)
    assert keys(place) == before


def test_what_an_old_attempt_stored_too_late_is_ignored_and_removed(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It listed the checkpoints before its successor saved one, and wrote after that."""
    old = loop.prepare(small_run(epochs=8), "cpu")
    zombie = Checkpoints(place, "run", attempt=1)
    for result in loop.train(old):
        if result.epoch == 6:
            break
    saving(place, 2, 2, 3)
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "_check_attempt", lambda *_: None)
        zombie.save(old)
    assert names("attempt-1/epoch-0000006")[0] in keys(place)
    assert epochs_in(Checkpoints(place, "run", attempt=2).load()) == 3
    saving(place, 2, 4)
    assert keys(place) == names("attempt-2/epoch-0000003", "attempt-2/epoch-0000004")


def test_checkpoints_of_earlier_releases_are_continued(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They were stored without a prefix for the attempt."""
    saving(place, 1, 1, 2)
    store = open_store(place)
    for key in keys(place):
        store.put(key.removeprefix("attempt-1/"), store.get(key))
        store.delete([key])
    assert keys(place) == names("epoch-0000001", "epoch-0000002")
    assert epochs_in(Checkpoints(place, "run", attempt=1).load()) == 2
    saving(place, 1, 3)
    assert keys(place) == names("attempt-1/epoch-0000003", "epoch-0000002")
    saving(place, 2, 4)
    assert keys(place) == names("attempt-1/epoch-0000003", "attempt-2/epoch-0000004")


def test_weights_are_stored_apart_from_checkpoints_and_survive_them(place: str) -> None:
    saving(place, 1, 1)
    Checkpoints(place, "run", attempt=1).keep_weights(b"weights")
    saving(place, 1, 2, 3)
    assert "attempt-1/weights.safetensors" in keys(place)
    assert epochs_in(Checkpoints(place, "run").load()) == 3


def test_weights_that_cannot_be_written_halt_the_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointWriteError, match=r"the weights cannot be written \(Not a dir"):
        Checkpoints(tmp_path / "file" / "run", "run").keep_weights(b"weights")


@pytest.mark.parametrize("verb", ["save", "load"])
def test_a_service_that_stays_away_halts_the_run_and_does_not_begin_it_again(
    bucket: str, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    state = saving(bucket, 1, 1)
    checkpoints = Checkpoints(bucket, "run")
    monkeypatch.setattr("bakeoff.stores.remote.RETRY_SECONDS", 0.0)

    async def refuse(*_: object, **__: object) -> None:
        raise ConnectionError("no route to host")

    monkeypatch.setattr("s3fs.S3FileSystem._call_s3", refuse)
    with pytest.raises(CheckpointWriteError, match=f"cannot be listed: {bucket}: no route to host"):
        checkpoints.save(state) if verb == "save" else checkpoints.load()


def test_a_damaged_object_is_never_unpickled(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    saving(bucket, 1, 1)
    store = open_store(bucket)
    data = store.get("attempt-1/epoch-0000001.pt")
    store.put("attempt-1/epoch-0000001.pt", data[:-1] + bytes([data[-1] ^ 1]))

    def refuse(_: bytes) -> None:
        raise AssertionError("it was unpickled")

    monkeypatch.setattr(checkpoint, "unpickle", refuse)
    assert Checkpoints(bucket, "run").load() is None


KILLED = """
import os, signal, sys
from bakeoff.stores.remote import RemoteStore
from unit.training.test_checkpoint_attempts import saving

place, puts = sys.argv[1], int(sys.argv[2])
real, seen = RemoteStore.put, []


def put(store, key, data):
    if len(seen) == puts:
        os.kill(os.getpid(), signal.SIGKILL)
    seen.append(key)
    real(store, key, data)


RemoteStore.put = put
saving(place, 1, 1, 2)
"""


def test_a_worker_that_is_killed_while_it_saves_loses_that_checkpoint_alone(bucket: str) -> None:
    """Between payload and manifest of the second checkpoint."""
    tests = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": f"{tests}:{os.environ.get('PYTHONPATH', '')}"}
    done = subprocess.run([sys.executable, "-c", KILLED, bucket, "3"], env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    whole = names("attempt-1/epoch-0000001")
    assert keys(bucket) == [*whole, "attempt-1/epoch-0000002.pt"]
    state = saving(bucket, 2, 2)
    assert [one.epoch for one in state.history] == [1, 2]
    calm = saving(join(bucket, "calm"), 1, 2)
    assert [one.train_loss for one in state.history] == [one.train_loss for one in calm.history]
