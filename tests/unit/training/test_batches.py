from pathlib import Path

import numpy as np
import pytest
import torch

from bakeoff.data.datasets import load_dataset
from bakeoff.records import DataConfig
from bakeoff.training.batches import (
    Splits,
    epoch_order,
    load_splits,
    steps_per_epoch,
)
from bakeoff.training.normalisation import measure_normalisation

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def splits() -> Splits:
    return load_splits(DataConfig(dataset="digits"), 0, CPU)


def test_batches_are_the_normalised_samples_in_the_given_order(splits: Splits) -> None:
    dataset = load_dataset(DataConfig(dataset="digits"))
    order = epoch_order(len(splits.train), 64, 0, 1)
    batches = list(splits.train.batches(64, order))
    rows = splits.train.rows[order].numpy()
    images = dataset.train_inputs[splits.train.rows.numpy()].astype(np.float64)
    expected = (dataset.train_inputs[rows] - images.mean()) / images.std()
    got = torch.cat([inputs for inputs, _ in batches]).numpy()
    assert np.abs(got - expected).max() < 1e-5
    assert np.array_equal(torch.cat([labels for _, labels in batches]), dataset.train_labels[rows])


@pytest.mark.parametrize("batch_size", [1, 7, 64, 1150, 5000])
def test_batches_have_the_configured_size(splits: Splits, batch_size: int) -> None:
    sizes = [len(labels) for _, labels in splits.train.batches(batch_size)]
    assert sum(sizes) == 1150
    assert set(sizes[:-1]) <= {batch_size}


@pytest.mark.parametrize("chunk_bytes", [1, 1 << 12, 1 << 30])
def test_fetching_in_chunks_changes_no_bit(
    splits: Splits, monkeypatch: pytest.MonkeyPatch, chunk_bytes: int
) -> None:
    expected = list(splits.validation.batches(32))
    monkeypatch.setattr("bakeoff.training.batches.CHUNK_BYTES", chunk_bytes)
    got = list(splits.validation.batches(32))
    assert [len(labels) for _, labels in got] == [len(labels) for _, labels in expected]
    assert torch.equal(torch.cat([x for x, _ in got]), torch.cat([x for x, _ in expected]))


def test_batches_can_be_channels_last() -> None:
    splits = load_splits(DataConfig(dataset="digits"), 0, CPU, channels_last=True)
    inputs, _ = next(iter(splits.train.batches(8)))
    assert inputs.is_contiguous(memory_format=torch.channels_last)


def test_splits_share_the_mapped_arrays(splits: Splits) -> None:
    assert splits.train.inputs.data_ptr() == splits.validation.inputs.data_ptr()
    assert splits.train.inputs.dtype == torch.uint8


def test_splits_do_not_overlap(splits: Splits) -> None:
    assert not set(splits.train.rows.tolist()) & set(splits.validation.rows.tolist())
    assert splits.train.inputs.data_ptr() != splits.test.inputs.data_ptr()


@pytest.mark.parametrize(
    ("num_samples", "batch_size", "num_used", "num_steps"),
    [(64, 32, 64, 2), (65, 32, 64, 2), (66, 32, 66, 3), (3, 1, 3, 3), (32, 32, 32, 1)],
)
def test_epoch_leaves_out_a_last_batch_of_one(
    num_samples: int, batch_size: int, num_used: int, num_steps: int
) -> None:
    order = epoch_order(num_samples, batch_size, 0, 1)
    assert len(order) == len(set(order.tolist())) == num_used
    assert steps_per_epoch(num_samples, batch_size) == num_steps


def test_order_depends_on_seed_and_epoch_only() -> None:
    torch.manual_seed(0)
    first = epoch_order(100, 32, 5, 2)
    torch.manual_seed(1)
    assert torch.equal(epoch_order(100, 32, 5, 2), first)
    assert not torch.equal(epoch_order(100, 32, 5, 3), first)
    assert not torch.equal(epoch_order(100, 32, 6, 2), first)


def test_normalisation_uses_training_rows_only_and_goes_by_feature() -> None:
    inputs = np.array([[1.0, 10.0], [3.0, 10.0], [500.0, -4.0]], dtype=np.float32)
    normalisation = measure_normalisation(inputs, np.array([0, 1]), 0, CPU)
    assert normalisation.mean.tolist() == [2.0, 10.0]
    assert normalisation.scale.tolist() == [1.0, 1.0]


def test_normalisation_goes_by_channel() -> None:
    images = np.zeros((4, 2, 3, 3), dtype=np.float32)
    images[:2, 1] = 4.0
    normalisation = measure_normalisation(images, np.arange(4), 0, CPU)
    assert normalisation.mean.flatten().tolist() == [0.0, 2.0]
    assert normalisation.scale.flatten().tolist() == [1.0, 0.5]


def test_normalisation_of_sequences_goes_by_feature_except_for_pixels() -> None:
    rows = np.zeros((4, 5, 2), dtype=np.float32)
    rows[:2, :, 1] = 4
    assert measure_normalisation(rows, np.arange(4), 0, CPU).mean.flatten().tolist() == [0, 2]
    pixels = measure_normalisation(rows.astype(np.uint8), np.arange(4), 0, CPU)
    assert pixels.mean.flatten().tolist() == [1]
    assert pixels.scale.item() == pytest.approx(1 / 3**0.5)


def test_normalisation_of_large_data_is_sampled_by_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bakeoff.training.normalisation.STATISTICS_BYTES", 1)
    inputs = np.random.default_rng(0).normal(5, 2, (5000, 3)).astype(np.float32)
    first, again, other = (
        measure_normalisation(inputs, np.arange(5000), seed, CPU).mean for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.numpy() == pytest.approx(5.0, abs=0.5)


def test_rows_of_numbers_are_read_from_an_own_file(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "mine.npz", x=np.random.default_rng(0).normal(size=(50, 3)), y=np.arange(50) % 2
    )
    splits = load_splits(DataConfig(dataset=f"npz:{tmp_path / 'mine.npz'}"), 0, CPU)
    inputs, labels = next(iter(splits.train.batches(8)))
    assert (inputs.shape, inputs.dtype, labels.dtype) == ((8, 3), torch.float32, torch.int64)
    assert (splits.num_outputs, splits.input_shape) == (2, (3,))
