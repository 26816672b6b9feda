"""Data that a worker prepares once for all of its runs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bakeoff.engines.local import LocalEngine
from bakeoff.engines.protocol import Finished, Halted, Job, Started
from bakeoff.engines.stacks import StackEngine
from bakeoff.errors import DataChangedError
from bakeoff.training.kept_splits import KeptSplits
from run_examples import small_run

CPU = torch.device("cpu")
RUN = small_run(dataset=f"{__name__}:build", train_samples=None)
CALLS: list[int] = []


def build() -> dict[str, object]:
    """Arrays of a user's own, who counts how often they are made."""
    CALLS.append(1)
    samples = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    labels = np.arange(60) % 3
    return {"x": samples, "y": labels}


@pytest.fixture
def kept() -> KeptSplits:
    CALLS.clear()
    kept = KeptSplits()
    kept.is_on = True
    return kept


def test_runs_that_differ_in_what_they_train_share_their_data(kept):
    first = kept.load(RUN, CPU)
    assert kept.load(replace(RUN, seed=7, optimizer="sgd", model="linear"), CPU) is first
    assert len(CALLS) == 1


@pytest.mark.parametrize(
    "change", [{"split_seed": 1}, {"test_seed": 3}, {"data": replace(RUN.data, train_samples=20)}]
)
def test_other_samples_are_prepared_anew(kept, change):
    first = kept.load(RUN, CPU)
    other = kept.load(replace(RUN, **change), CPU)
    assert other is not first
    assert len(CALLS) == 2


def test_data_that_a_loop_of_the_users_own_has_changed_is_read_again(kept):
    inputs = kept.load(RUN, CPU).train.inputs
    expected = inputs.clone()
    inputs.mul_(2)
    again = kept.load(RUN, CPU).train.inputs
    assert torch.equal(again, expected)
    assert len(CALLS) == 2


@pytest.mark.parametrize(
    "change",
    [
        lambda inputs: inputs.data.mul_(2),
        lambda inputs: inputs.numpy().__imul__(2),
        lambda inputs: np.random.default_rng(1).shuffle(inputs.numpy()),
    ],
    ids=["data", "numpy", "shuffled"],
)
def test_changes_that_torch_does_not_count_are_found_as_well(kept, change):
    run = replace(RUN, training=replace(RUN.training, loop="my_loops:train"))
    inputs = kept.load(run, CPU).train.inputs
    expected = inputs.clone()
    assert kept.load(run, CPU).train.inputs is inputs
    change(inputs)
    assert torch.equal(kept.load(run, CPU).train.inputs, expected)
    assert len(CALLS) == 2


def test_data_that_is_not_the_studys_is_refused_also_when_it_is_kept(kept):
    found = kept.load(RUN, CPU).fingerprint
    assert kept.load(replace(RUN, data_fingerprint=found), CPU).fingerprint == found
    with pytest.raises(DataChangedError, match=rf"fingerprint 0+, now {found[:12]}\); restore it"):
        kept.load(replace(RUN, data_fingerprint="0" * 32), CPU)


@pytest.mark.parametrize("is_stacked", [False, True])
def test_a_worker_that_finds_other_data_charges_no_run(tmp_path: Path, is_stacked):
    config = small_run(epochs=1, data_fingerprint="0" * 32)
    jobs = [
        Job(run=f"confirm-{seed}", config=config, checkpoints=str(tmp_path / str(seed)))
        for seed in range(2)
    ]
    local = LocalEngine(num_workers=1, threads=1)
    engine = StackEngine(local) if is_stacked else local
    ends = []
    try:
        for job in jobs if is_stacked else jobs[:1]:
            engine.submit(job)
        while len(ends) < (2 if is_stacked else 1):
            ends += [one for one in engine.events(1.0) if not isinstance(one, Started)]
    finally:
        engine.close()
    assert all(isinstance(one, Halted) and "the data changed" in one.reason for one in ends)


def test_nothing_is_kept_where_it_was_not_asked_for():
    CALLS.clear()
    kept = KeptSplits()
    assert kept.load(RUN, CPU) is not kept.load(RUN, CPU)
    assert len(CALLS) == 2


def test_a_worker_calls_the_users_function_once_for_all_its_runs(tmp_path: Path, monkeypatch):
    (tmp_path / "counted_data.py").write_text(
        "from pathlib import Path\n"
        "import numpy as np\n"
        "def build():\n"
        f"    with Path({str(tmp_path / 'calls')!r}).open('a') as file:\n"
        "        file.write('x')\n"
        "    samples = np.arange(240, dtype=np.float32).reshape(60, 4)\n"
        "    return {'x': samples, 'y': np.arange(60) % 3}\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    config = small_run(dataset="counted_data:build", train_samples=None, epochs=1)
    engine = LocalEngine(num_workers=1, threads=1)
    ends = []
    try:
        for seed in range(3):
            engine.submit(
                Job(
                    run=f"search-{seed}",
                    config=replace(config, seed=seed),
                    checkpoints=str(tmp_path / str(seed)),
                )
            )
            while not engine.num_free:
                ends += [one for one in engine.events(1.0) if isinstance(one, Finished)]
    finally:
        engine.close()
    assert [one.outcome for one in ends] == ["complete"] * 3
    assert (tmp_path / "calls").read_text() == "x"
