"""Samples that are not in memory: any process fetches the same bits, and every fault is reported."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bakeoff.data.sample_source import SampleSource, open_source
from bakeoff.errors import DataError
from bakeoff.records import DataConfig, TrialConfig
from bakeoff.training import loading, loop
from bakeoff.training.batches import load_splits
from bakeoff.training.checkpoint import Checkpoints
from bakeoff.training.loading import (
    BatchLoader,
    LoadedInputs,
    Request,
    WorkerTuning,
    count_repeats,
    describe_loading,
    open_loader,
)

MakeConfig = Callable[..., TrialConfig]

OWN_SAMPLES = '''
import os
import random
import signal
import time
from multiprocessing import parent_process
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset


class Noisy(Dataset):
    """Draws from every global generator, and fails in a loader process as `fault` says."""

    def __init__(self, fault=lambda: None):
        self.fault = fault
        self.targets = [index % 3 for index in range(len(self))]

    def __len__(self):
        return 400

    def __getitem__(self, index):
        if index == 200 and parent_process() is not None:
            self.fault()
        noise = torch.randn(8) + random.random() + np.random.rand()
        return self.targets[index] + noise, self.targets[index]


def build():
    return Noisy()


def build_killed():
    return Noisy(lambda: os.kill(os.getpid(), signal.SIGKILL))


def build_hung():
    return Noisy(lambda: time.sleep(60))


def build_broken():
    def fault():
        raise OSError("cannot read it")
    return Noisy(fault)


class Relabelled(Noisy):
    def __getitem__(self, index):
        inputs, label = super().__getitem__(index)
        return inputs, label if index < 300 or index == 399 else 1 - label % 2


def build_relabelled():
    return Relabelled()


class Watched(Noisy):
    """Slow samples; each process that fetches one leaves its number in a folder."""

    def __getitem__(self, index):
        time.sleep(0.001)
        (Path(os.environ["WATCHED"]) / str(os.getpid())).touch()
        return super().__getitem__(index)


def build_watched():
    from bakeoff.training import loading

    loading.START_SECONDS = 0.0  # so that processes are tried in so short a run
    return Watched()
'''


@pytest.fixture(autouse=True)
def own_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A user's module called `own_samples`, importable by reference also in other processes."""
    (tmp_path / "own_samples.py").write_text(OWN_SAMPLES)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("BAKEOFF_DATA", str(tmp_path / "cache"))
    yield
    open_loader.cache_clear()
    sys.modules.pop("own_samples", None)


def loader(source: SampleSource, num_workers: int) -> BatchLoader:
    """One that uses a given number of processes."""
    return BatchLoader(source, WorkerTuning(limit=8, best=num_workers, candidate=None))


REQUESTS = [
    Request(part="train", rows=tuple(range(start, start + 20)), seed=5)
    for start in range(0, 400, 20)
]


def fetch(batches: BatchLoader) -> Any:
    return np.concatenate([fetched.inputs for fetched in batches.fetch(REQUESTS)])


# ---------------------------------------------------------------- the same bits


def test_bits_do_not_depend_on_the_number_of_processes() -> None:
    source = open_source("own_samples:build")
    torch.manual_seed(1)
    before = torch.get_rng_state()
    expected = fetch(loader(source, 0))
    two = loader(source, 2)
    assert np.array_equal(fetch(two), expected)
    assert np.array_equal(fetch(two), expected)  # its processes are there already
    assert torch.equal(torch.get_rng_state(), before)


def run(config: TrialConfig, num_workers: int, checkpoints: Any = None, until: int = 9) -> Any:
    """Weights and losses of a run, or of its beginning."""
    state = loop.prepare(config, "cpu")
    tuning = state.splits.train.inputs.loader.tuning
    tuning.best, tuning.candidate = num_workers, None
    for result in loop.train(state, checkpoints):
        if result.epoch == until:
            checkpoints.save(state)
            break
    weights = [weights.numpy(force=True).tobytes() for weights in state.model.parameters()]
    return weights, [(result.train_loss, dict(result.metrics)) for result in state.history]


def test_resumed_with_other_processes_a_run_ends_with_the_same_bits(
    tmp_path: Path, make_config: MakeConfig
) -> None:
    config = make_config(dataset="own_samples:build", train_samples=None, epochs=3)
    expected = run(config, 0)
    run(config, 0, Checkpoints(tmp_path / "run", "run"), until=1)
    assert run(config, 2, Checkpoints(tmp_path / "run", "run")) == expected
    assert expected[1][-1][0] < expected[1][0][0]  # it learns something


def test_the_number_of_processes_is_told_once_it_has_been_measured() -> None:
    inputs = load_splits(
        DataConfig(dataset="own_samples:build"), 0, torch.device("cpu")
    ).train.inputs
    assert isinstance(inputs, LoadedInputs)
    tuning = inputs.loader.tuning = WorkerTuning(limit=8)
    tuning.record(1.0, 0.9, 100)
    assert describe_loading(inputs) == ""
    tuning.record(0.5, 0.9, 100)
    tuning.record(0.49, 0.9, 100)
    expected = "a worker fetches samples with 2 loader processes (timed: 0, 2, 4)"
    assert describe_loading(inputs) == expected
    assert describe_loading(torch.zeros(3)) == ""


def test_samples_of_each_epoch_have_new_random_numbers_and_those_of_validation_never() -> None:
    splits = load_splits(DataConfig(dataset="own_samples:build"), 0, torch.device("cpu"))
    first, again, other = (
        torch.cat([inputs for inputs, _ in splits.train.batches(32, seed=seed)])
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    validated = [torch.cat([x for x, _ in splits.validation.batches(32)]) for _ in range(2)]
    assert torch.equal(*validated)


def test_a_sample_that_comes_twice_draws_new_random_numbers_the_second_time() -> None:
    splits = load_splits(DataConfig(dataset="own_samples:build"), 0, torch.device("cpu"))
    order = torch.tensor([3, 5, 3, 4, 3])
    twice = torch.cat([x for x, _ in splits.train.batches(2, order, seed=1)])
    once = torch.cat([x for x, _ in splits.train.batches(2, order[:2], seed=1)])
    assert torch.equal(twice[:2], once)
    assert len({tuple(row) for row in twice.tolist()}) == 5
    again = torch.cat([x for x, _ in splits.train.batches(5, order, seed=1)])
    assert torch.equal(twice, again)


def test_repeats_are_counted_across_batches() -> None:
    chunks = [np.array([7, 2, 7]), np.array([], dtype=np.int64), np.array([2, 7, 1])]
    assert [part.tolist() for part in count_repeats(chunks)] == [[0, 0, 1], [], [1, 2, 0]]
    assert count_repeats([np.array([4])])[0].tolist() == [0]


def test_inputs_are_normalised_as_arrays_are() -> None:
    splits = load_splits(DataConfig(dataset="own_samples:build"), 0, torch.device("cpu"))
    inputs, labels = zip(*splits.train.batches(32), strict=True)
    assert torch.cat(inputs).mean().item() == pytest.approx(0, abs=0.15)
    assert torch.cat(inputs).std().item() == pytest.approx(1, abs=0.1)
    assert sorted(set(torch.cat(labels).tolist())) == [0, 1, 2]
    assert splits.input_shape == (8,)


# ---------------------------------------------------------------- how many processes


@pytest.mark.parametrize(
    ("times", "waiting", "limit", "tried", "best"),
    [
        ({0: 1.0, 2: 0.5, 4: 0.3, 8: 0.29}, 0.9, 8, [0, 2, 4, 8], 4),
        ({0: 1.0, 2: 0.5}, 0.9, 3, [0, 2], 2),
        ({0: 1.0, 2: 0.95}, 0.9, 8, [0, 2], 0),
        ({0: 1.0, 1: 0.5}, 0.9, 1, [0, 1], 1),
        ({0: 1.0}, 0.05, 8, [0], 0),
        ({0: 0.001}, 0.9, 8, [0], 0),
    ],
    ids=["four", "three cores", "none helps", "one core", "no wait", "short epochs"],
)
def test_processes_are_added_while_they_help(
    times: dict[int, float], waiting: float, limit: int, tried: list[int], best: int
) -> None:
    tuning = WorkerTuning(limit=limit)
    while tuning.candidate is not None:
        tuning.record(times[tuning.candidate], waiting, num_batches=100)
    assert list(tuning.seconds_per_batch) == tried
    assert tuning.best == best


def test_timing_during_training_loses_neither_batches_nor_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "watched").mkdir()
    monkeypatch.setenv("WATCHED", str(tmp_path / "watched"))
    monkeypatch.setattr(loading, "START_SECONDS", 0.0)
    monkeypatch.setattr(loading, "MEASURED_BATCHES", 2)
    monkeypatch.setattr(loading, "MIN_GAIN", -9.0)  # one process helps, whatever was timed
    source = open_source("own_samples:build_watched")
    tuned = BatchLoader(source, WorkerTuning(limit=1))
    for _ in range(2):
        got = np.concatenate([one.inputs for one in tuned.fetch(REQUESTS, tune=True)])
        assert np.array_equal(got, fetch(loader(source, 0)))
    assert list(tuned.tuning.seconds_per_batch) == [0, 1]
    assert "1 loader processes (0: " in tuned.tuning.describe()
    assert len(list((tmp_path / "watched").iterdir())) == 2  # this process, and one that was kept


# ---------------------------------------------------------------- what goes wrong


def test_loader_process_that_dies_ends_the_run_with_its_reason_and_the_next_one_works(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    batches = loader(open_source("own_samples:build_killed"), 1)
    with pytest.raises(DataError, match=r"a loader process failed: DataLoader worker \(pid"):
        fetch(batches)
    first = next(iter(batches.fetch(REQUESTS[:3])))
    assert first.inputs.shape == (20, 8)


@pytest.mark.slow
def test_loader_process_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "LOADER_SECONDS", 5.0)
    batches = loader(open_source("own_samples:build_hung"), 1)
    with pytest.raises(DataError, match="timed out after 5"):
        fetch(batches)


def test_what_a_sample_raises_is_reported_in_one_line() -> None:
    with pytest.raises(DataError) as caught:
        fetch(loader(open_source("own_samples:build_broken"), 1))
    assert (
        str(caught.value) == "own_samples:build_broken: train sample 200: OSError: cannot read it"
        " (own_samples.py:45)"
    )


def test_label_other_than_the_one_that_was_read_is_refused(make_config: MakeConfig) -> None:
    config = make_config(dataset="own_samples:build_relabelled", train_samples=None, epochs=1)
    with pytest.raises(
        DataError, match=r"sample 3\d\d has the label [01], but was first read as [012]"
    ):
        run(config, 0)


KILLED = """
import os, signal, sys
from bakeoff.data.sample_source import open_source
from bakeoff.training.loading import BatchLoader, Request, WorkerTuning
if __name__ == "__main__":
    sys.path.insert(0, sys.argv[1])
    tuning = WorkerTuning(limit=8, best=2, candidate=None)
    requests = [Request(part="train", rows=(n,), seed=0) for n in range(100)]
    for number, _ in enumerate(BatchLoader(open_source("own_samples:build_watched"), tuning).fetch(requests)):
        if number == 20:
            print("fetching", flush=True)
            signal.pause()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere torch's own watchdog ends them")
def test_loader_processes_end_with_a_killed_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "watched").mkdir()
    (tmp_path / "killed.py").write_text(KILLED)
    monkeypatch.setenv("WATCHED", str(tmp_path / "watched"))
    child = subprocess.Popen(
        [sys.executable, str(tmp_path / "killed.py"), str(tmp_path)], stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"fetching\n"
    children = [int(file.name) for file in (tmp_path / "watched").iterdir()]
    children.remove(child.pid) if child.pid in children else None
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    assert len(children) == 2
    deadline = time.monotonic() + 60
    while any(map(is_alive, children)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(is_alive, children))


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_worker_of_the_engine_may_start_loader_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_config: MakeConfig
) -> None:
    from bakeoff.engines.local import LocalEngine
    from bakeoff.engines.protocol import Epoch, Finished, Job

    (tmp_path / "watched").mkdir()
    monkeypatch.setenv("WATCHED", str(tmp_path / "watched"))
    config = make_config(
        dataset="own_samples:build_watched", train_samples=None, batch_size=8, epochs=2
    )
    engine = LocalEngine(num_workers=1, threads=1)
    try:
        engine.submit(Job(run="search-0", config=config, checkpoints=str(tmp_path / "run")))
        events = list(iter_events(engine))
    finally:
        engine.close()
    assert [type(event) for event in events] == [Epoch, Epoch, Finished]
    assert len(list((tmp_path / "watched").iterdir())) >= 2


def iter_events(engine: Any) -> Iterator[Any]:
    deadline = time.monotonic() + 60
    while not engine.num_free and time.monotonic() < deadline:
        yield from engine.events(1.0)
