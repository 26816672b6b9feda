"""Where samples are kept; the device `meta` stands for an accelerator."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from bakeoff.training import placement
from bakeoff.training.batches import load_splits
from bakeoff.training.placement import DataKey, HostInputs, KeptOnDevice, on_host
from run_examples import RUN

META = torch.device("meta")
SAMPLES = np.arange(60, dtype=np.float32).reshape(20, 3)
KEY = DataKey("config", "fingerprint", None)


def test_samples_go_to_the_device_once_for_all_runs() -> None:
    kept = KeptOnDevice()
    first = kept.place(SAMPLES, KEY, "train", META)
    assert isinstance(first, Tensor)
    assert first.device == META
    assert kept.place(SAMPLES, KEY, "train", META) is first
    assert kept.place(SAMPLES, KEY, "test", META) is not first
    assert kept.place(SAMPLES, KEY, "train", META) is first


def test_samples_that_a_loop_of_the_users_own_has_changed_are_copied_anew() -> None:
    kept = KeptOnDevice()
    first = kept.place(SAMPLES, KEY, "train", META)
    assert isinstance(first, Tensor)
    first.mul_(2)
    second = kept.place(SAMPLES, KEY, "train", META)
    assert second is not first
    assert kept.place(SAMPLES, KEY, "train", META) is second


@pytest.mark.parametrize(
    "other",
    [KEY._replace(config="other"), KEY._replace(fingerprint="x"), KEY._replace(test_seed=1)],
)
def test_other_data_replaces_what_is_kept(other: DataKey) -> None:
    kept = KeptOnDevice()
    first = kept.place(SAMPLES, KEY, "train", META)
    assert kept.place(SAMPLES, other, "train", META) is not first


@pytest.mark.parametrize(("free", "fits"), [(600, True), (599, False)])
def test_samples_that_would_take_too_much_of_the_device_stay_in_host_memory(
    monkeypatch: pytest.MonkeyPatch, free: int, fits: bool
) -> None:
    monkeypatch.setattr(placement, "free_bytes", lambda _: free)  # 240 bytes of samples
    placed = KeptOnDevice().place(SAMPLES, KEY, "train", META)
    assert isinstance(placed, Tensor if fits else HostInputs)
    assert tuple(placed.shape) == (20, 3)
    assert placed.dtype is torch.float32


def test_the_cpu_maps_samples_and_keeps_none() -> None:
    kept = KeptOnDevice()
    placed = kept.place(SAMPLES, KEY, "train", torch.device("cpu"))
    assert isinstance(placed, Tensor)
    assert placed.data_ptr() == SAMPLES.ctypes.data


def test_streamed_batches_are_those_of_samples_on_the_device() -> None:
    train = load_splits(RUN.data, 0, torch.device("cpu"), channels_last=True).train
    assert isinstance(train.inputs, Tensor)
    streamed = replace(train, inputs=HostInputs(train.inputs, torch.device("cpu")))
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(1))
    for skip in (0, 2):
        expected = list(train.batches(32, order, skip=skip))
        found = list(streamed.batches(32, order, skip=skip))
        assert len(found) == 6 - skip
        for (inputs, labels), (same_inputs, same_labels) in zip(expected, found, strict=True):
            assert torch.equal(inputs, same_inputs)
            assert torch.equal(labels, same_labels)
            assert same_inputs.is_contiguous(memory_format=torch.channels_last)


def test_chunks_keep_their_lengths_in_host_memory() -> None:
    chunks = [torch.tensor([3, 1]), torch.tensor([2])]
    assert [one.tolist() for one in on_host(chunks)] == [[3, 1], [2]]
    assert on_host([]) == []
