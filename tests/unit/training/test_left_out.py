"""The test score without each group of samples, against scores of what is left."""

import math

import pytest
import torch

from bakeoff.components.metrics import METRICS
from bakeoff.registry import resolve
from bakeoff.training.left_out import group_numbers, scores_without_groups
from bakeoff.training.metric_functions import accuracy, rmse
from bakeoff.training.predictions import no_predictions


def filled(task, outputs, labels):
    def criterion(predicted, targets):
        return (predicted.view(targets.shape) - targets).abs().mean()

    found = no_predictions(task, criterion, 3.0, keeps_samples=True)
    for some, of_them in zip(outputs.split(7), labels.split(7), strict=True):
        found.add(some, of_them)
    return found


def draw(task, num_samples, seed=0):
    """Outputs with many ties, and labels; class 3 has a single sample."""
    generator = torch.Generator().manual_seed(seed)
    if task == "language":
        outputs = torch.randn(num_samples, 5, 6, generator=generator)
        return outputs, torch.randint(6, (num_samples, 5), generator=generator)
    if task == "segmentation":
        outputs = torch.randn(num_samples, 4, 3, 2, generator=generator)
        masks = torch.randint(3, (num_samples, 3, 2), generator=generator)
        masks[:, 0, 1] = 255
        return outputs, masks
    if task == "regression":
        outputs = torch.randn(num_samples, 1, generator=generator)
        return outputs, torch.randn(num_samples, generator=generator)
    outputs = torch.randint(3, (num_samples, 7), generator=generator).float()
    if task == "multilabel":
        return outputs - 1, torch.randint(2, (num_samples, 7), generator=generator)
    labels = torch.arange(num_samples) % 3
    labels[num_samples // 2] = 3
    return outputs, labels


@pytest.mark.parametrize(
    ("task", "metric"), [(task, metric.name) for task, known in METRICS.items() for metric in known]
)
@pytest.mark.parametrize("num_samples", [2, 23, 431])
def test_every_metric_without_a_group_is_that_of_the_other_samples(task, metric, num_samples):
    compute = resolve(METRICS[task][metric].compute)
    outputs, labels = draw(task, num_samples)
    groups = group_numbers(num_samples, contiguous=task == "language")
    found = scores_without_groups(filled(task, outputs, labels), groups, compute)
    assert len(found) == min(num_samples, 200)
    for number, score in enumerate(found):
        kept = groups != number
        expected = compute(filled(task, outputs[kept], labels[kept])).double().item()
        assert score == pytest.approx(expected, rel=1e-6, abs=1e-7, nan_ok=True)


def test_accuracy_without_each_of_four_samples_is_counted_by_hand():
    outputs = torch.tensor([[2.0, 1.0], [1.0, 2.0], [2.0, 1.0], [1.0, 2.0]])
    found = filled("classification", outputs, torch.tensor([0, 1, 0, 0]))
    scores = scores_without_groups(found, group_numbers(4, contiguous=False), accuracy)
    assert scores == pytest.approx((2 / 3, 2 / 3, 2 / 3, 1.0))


def test_an_error_that_dwarfs_all_others_does_not_round_them_away():
    found = filled("regression", torch.tensor([[1e9], [1.0], [1.0], [1.0]]), torch.zeros(4))
    scores = scores_without_groups(found, group_numbers(4, contiguous=False), rmse)
    assert scores[0] == pytest.approx(3.0)
    assert scores[1:] == pytest.approx([3e9 / 3**0.5] * 3)


def test_auroc_without_a_group_is_undefined_where_the_other_samples_are_of_one_class():
    outputs = torch.tensor([[2.0, 1.0], [1.0, 2.0], [2.0, 1.0]])
    found = filled("classification", outputs, torch.tensor([0, 1, 0]))
    compute = resolve(METRICS["classification"]["auroc"].compute)
    scores = scores_without_groups(found, group_numbers(3, contiguous=False), compute)
    assert [math.isnan(score) for score in scores] == [False, True, False]
    assert scores[0] == 1.0


def test_auroc_is_nan_only_where_a_nan_is_left():
    outputs = torch.tensor([[2.0, 1.0], [1.0, 2.0], [math.nan, 1.0], [0.0, 3.0]])
    found = filled("classification", outputs, torch.tensor([0, 1, 0, 1]))
    compute = resolve(METRICS["classification"]["auroc"].compute)
    scores = scores_without_groups(found, group_numbers(4, contiguous=False), compute)
    assert [math.isnan(score) for score in scores] == [True, True, False, True]


def test_groups_interleave_samples_but_are_blocks_of_text_and_the_first_are_the_larger():
    interleaved = group_numbers(450, contiguous=False)
    assert interleaved[:3].tolist() == [0, 1, 2]
    assert interleaved[200].item() == 0
    blocks = group_numbers(450, contiguous=True)
    assert blocks[:4].tolist() == [0, 0, 0, 1]
    assert torch.equal(interleaved.bincount(), blocks.bincount())
    assert blocks.bincount().tolist() == [3] * 50 + [2] * 150


def test_a_single_sample_has_nothing_to_be_left_out():
    found = filled("classification", torch.tensor([[2.0, 1.0]]), torch.tensor([0]))
    assert scores_without_groups(found, group_numbers(1, contiguous=False), accuracy) == ()
