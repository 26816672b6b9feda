"""Samples with several labels each: their data, loss and metrics, from arrays to a trained run."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.utils.data import ConcatDataset, Dataset, TensorDataset

from bakeoff.components.metrics import METRICS
from bakeoff.data.arrays import check_arrays
from bakeoff.data.datasets import load_dataset
from bakeoff.data.summary import describe_dataset
from bakeoff.errors import DataError, UsageError
from bakeoff.records import DataConfig, OwnMetric, TrialConfig
from bakeoff.training import loop
from bakeoff.training.batches import load_splits
from bakeoff.training.losses import LabelLoss, balanced_positives, build_loss
from toy_tasks import FLIPPED, multilabel

MakeConfig = Callable[..., TrialConfig]

MULTILABEL = {
    "dataset": "toy_tasks:multilabel", "task": "multilabel", "train_samples": None, "loss": "bce",
    "objective": "macro_f1", "optimizer_params": {"learning_rate": 0.02}, "epochs": 15,
    "batch_size": 32,
}  # fmt: skip
DATA = DataConfig(dataset="toy_tasks:multilabel", task="multilabel")


def samples() -> TensorDataset:
    """The same samples as a torch data set."""
    arrays = multilabel()
    return TensorDataset(torch.from_numpy(arrays["x"]), torch.from_numpy(arrays["y"]))


def each_sample() -> Dataset[tuple[Tensor, ...]]:
    """The same samples in a data set without a list of labels, so that each one is fetched."""
    return ConcatDataset([samples()])


def rare() -> dict[str, np.ndarray]:
    """Labels of which one applies to no sample and one to every sample."""
    arrays = multilabel(40)
    labels = np.stack([arrays["y"][:, 0], np.zeros(40, int), np.ones(40, int)], 1)
    return {"x": arrays["x"], "y": labels}


def own_loss(outputs: Tensor, labels: Tensor) -> Tensor:
    """The registered loss."""
    return binary_cross_entropy_with_logits(outputs, labels)


def own_f1(outputs: Tensor, labels: Tensor) -> float:
    """The registered macro F1."""
    return float(f1_score(labels, outputs > 0, average="macro"))


def test_a_run_learns_every_label_up_to_those_that_are_flipped(make_config: MakeConfig) -> None:
    state = loop.prepare(make_config(**MULTILABEL), "cpu")
    results, tested = list(loop.train(state)), loop.read_test(state)
    assert tuple(results[-1].metrics) == METRICS["multilabel"].names
    assert results[-1].confusion == ()
    assert 1 - 2.5 * FLIPPED < tested.metrics["hamming_accuracy"] < 1
    assert tested.metrics["exact_match"] < tested.metrics["hamming_accuracy"]
    assert tested.metrics["auroc"] > 0.9
    assert len(tested.without) == 120
    assert np.mean(tested.without) == pytest.approx(tested.metrics["macro_f1"], abs=0.01)


def test_a_loss_and_a_metric_of_the_users_own_give_what_the_registered_ones_give(
    make_config: MakeConfig,
) -> None:
    metric = f"{__name__}:own_f1"
    both = []
    for loss, metrics in (("bce", {}), (f"{__name__}:own_loss", {metric: OwnMetric()})):
        config = make_config(**{**MULTILABEL, "epochs": 2, "loss": loss})
        state = loop.prepare(replace(config, metrics=metrics), "cpu")
        both.append(dict(list(loop.train(state))[-1].metrics))
    assert both[1].pop(metric) == pytest.approx(both[0]["macro_f1"])
    assert both[1] == both[0]


def test_balanced_weights_make_those_with_a_label_weigh_as_much_as_those_without() -> None:
    labels = torch.tensor([[1, 0, 1], [0, 0, 1], [0, 0, 1], [1, 0, 0]], dtype=torch.uint8)
    weights = balanced_positives(labels)
    assert weights.tolist() == pytest.approx([1.0, 1.0, 1 / 3])
    logits = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    share = logits.double().sigmoid()
    given = labels.double()
    by_hand = -(weights * given * share.log() + (1 - given) * (1 - share).log()).mean()
    assert float(LabelLoss(weights)(logits, labels)) == pytest.approx(float(by_hand), rel=1e-6)
    halves = [LabelLoss(weights)(logits[part], labels[part]) for part in (slice(2), slice(2, 4))]
    assert float(sum(halves)) / 2 == pytest.approx(float(by_hand), rel=1e-6)


def test_balanced_weights_come_from_the_training_samples(make_config: MakeConfig) -> None:
    splits = load_splits(DATA, 0, torch.device("cpu"))
    loss = build_loss(
        make_config(**MULTILABEL, class_weights="balanced"), splits, torch.device("cpu")
    )
    assert isinstance(loss, LabelLoss)
    assert loss.positive_weights is not None
    labels = splits.train.labels[splits.train.rows].double()
    expected = (1 - labels.mean(0)) / labels.mean(0)
    torch.testing.assert_close(loss.positive_weights, expected.float())


@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
def test_a_loss_of_another_task_is_refused(make_config: MakeConfig, loss: str) -> None:
    with pytest.raises(UsageError, match=f"training.loss = '{loss}' is not a loss for multilabel"):
        loop.prepare(make_config(**{**MULTILABEL, "loss": loss}), "cpu")


@pytest.mark.parametrize("source", ["samples", "each_sample"])
def test_torch_data_sets_with_a_row_of_labels_per_sample_give_the_same_splits(source: str) -> None:
    config = DataConfig(dataset=f"{__name__}:{source}", task="multilabel")
    dataset, arrays = load_dataset(config), load_dataset(DATA)
    assert dataset.class_names == arrays.class_names == ("0", "1", "2")
    assert np.array_equal(dataset.train_labels, arrays.train_labels)
    assert np.array_equal(dataset.test_labels, arrays.test_labels)
    split = load_splits(config, 0, torch.device("cpu")).train
    inputs, labels = next(iter(split.batches(8)))
    assert (labels.shape, labels.dtype) == ((8, 3), torch.int64)
    assert inputs.shape == (8, 6)


def test_labels_that_a_part_has_no_samples_of_are_said_once_for_each_part() -> None:
    config = DataConfig(dataset=f"{__name__}:rare", task="multilabel")
    summary = describe_dataset(config, 0)
    more = ", and so does mean average precision"
    assert [note for note in summary.notes if "label" in note] == [
        note
        for part in ("training", "validation", "test")
        for note in (
            f"no {part} sample has the label 1, so AUROC leaves it out{more}",
            f"every {part} sample has the label 2, so AUROC leaves it out",
        )
    ]
    assert summary.label_shares[1:] == (0.0, 1.0)
    assert describe_dataset(DATA, 0).notes == ()


Y = multilabel(40)["y"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y": Y[:, 0]}, r"y_train has shape \[40\]; it must be \[N, K\] of 0 and 1"),
        ({"y": Y[:, :1]}, r"y_train has shape \[40, 1\]; it must be \[N, K\]"),
        ({"y": Y + 1}, "y_train holds 2; a label is 1 where a sample has it, else 0"),
        ({"y": Y.astype(str)}, "y_train has dtype <U21; labels must be 0 and 1"),
        ({"y": Y / 2}, "y_train holds 0.5; a label is 1"),
        ({"y": Y[:30]}, "x_train and y_train differ in length: 40 and 30"),
        ({"x_test": np.ones((4, 6)), "y_test": Y[:4, :2]}, r"\[40, 3\], y_test \[4, 2\]"),
    ],
)
def test_arrays_that_are_no_label_sets_are_refused(
    changes: dict[str, np.ndarray], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        check_arrays({**multilabel(40), **changes}, "d", "multilabel")


def test_label_sets_in_a_classification_are_refused_naming_the_task() -> None:
    with pytest.raises(DataError, match='task = "multilabel" takes several labels per sample'):
        check_arrays(multilabel(40), "d")
