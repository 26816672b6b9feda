"""Every metric against the one of torchmetrics that its entry names, on many classes."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torchmetrics import functional
from torchmetrics.functional import classification
from torchmetrics.functional.text import perplexity

from bakeoff.components.metrics import METRICS
from bakeoff.records import Task
from bakeoff.registry import resolve
from bakeoff.training.predictions import ClassPredictions, no_predictions

NUM_CLASSES = 12
Compute = Callable[[Tensor, Tensor], Tensor]

EXPECTED: dict[Task, dict[str, Compute]] = {
    "classification": {
        "accuracy": lambda x, y: classification.multiclass_accuracy(x, y, NUM_CLASSES, "micro"),
        "top5_accuracy": lambda x, y: classification.multiclass_accuracy(
            x, y, NUM_CLASSES, "micro", top_k=5
        ),
        "balanced_accuracy": lambda x, y: classification.multiclass_accuracy(
            x, y, NUM_CLASSES, "macro"
        ),
        "macro_f1": lambda x, y: classification.multiclass_f1_score(x, y, NUM_CLASSES),
        "auroc": lambda x, y: classification.multiclass_auroc(x, y, NUM_CLASSES),
        "calibration_error": lambda x, y: classification.multiclass_calibration_error(
            x, y, NUM_CLASSES
        ),
    },
    "multilabel": {
        "macro_f1": lambda x, y: classification.multilabel_f1_score(x, y, NUM_CLASSES),
        "micro_f1": lambda x, y: classification.multilabel_f1_score(
            x, y, NUM_CLASSES, average="micro"
        ),
        "exact_match": lambda x, y: classification.multilabel_exact_match(x, y, NUM_CLASSES),
        "hamming_accuracy": lambda x, y: classification.multilabel_accuracy(
            x, y, NUM_CLASSES, average="micro"
        ),
        "mean_average_precision": lambda x, y: classification.multilabel_average_precision(
            x, y, NUM_CLASSES
        ),
        "auroc": lambda x, y: classification.multilabel_auroc(x, y, NUM_CLASSES),
    },
    "segmentation": {
        "mean_iou": lambda x, y: classification.multiclass_jaccard_index(
            x, y, NUM_CLASSES, ignore_index=255
        ),
        "pixel_accuracy": lambda x, y: classification.multiclass_accuracy(
            x, y, NUM_CLASSES, "micro", ignore_index=255
        ),
    },
    "regression": {
        "rmse": lambda x, y: functional.mean_squared_error(x[:, 0], y, squared=False),
        "mae": lambda x, y: functional.mean_absolute_error(x[:, 0], y),
        "r2": lambda x, y: functional.r2_score(x[:, 0], y),
    },
    "language": {
        "perplexity": perplexity,
        "token_accuracy": lambda x, y: classification.multiclass_accuracy(
            x.flatten(0, 1), y.flatten(), NUM_CLASSES, "micro"
        ),
    },
}


def predictions(task: Task, seed: int) -> tuple[Tensor, Tensor]:
    """Outputs and labels of 240 samples; every class occurs."""
    generator = torch.Generator().manual_seed(seed)
    if task == "regression":
        values = torch.randn(240, generator=generator)
        return (values + torch.randn(240, generator=generator))[:, None], values
    if task == "multilabel":
        given = torch.rand(240, NUM_CLASSES, generator=generator)
        return torch.randn(240, NUM_CLASSES, generator=generator) - given, (given < 0.3).long()
    labels = torch.randperm(240, generator=generator) % NUM_CLASSES
    logits = torch.randn(240, NUM_CLASSES, generator=generator)
    logits[torch.arange(240), labels] += 1
    if task == "segmentation":
        masks = labels.view(120, 2, 1).where(torch.rand(120, 2, 1, generator=generator) < 0.9, 255)
        return logits.view(120, 2, 1, -1).movedim(-1, 1), masks
    return (logits, labels) if task == "classification" else (logits[None], labels[None])


@pytest.mark.parametrize(
    ("task", "metric"),
    [(task, metric) for task, metrics in EXPECTED.items() for metric in metrics],
)
@pytest.mark.parametrize("seed", range(3))
def test_metric_is_that_of_torchmetrics(task: Task, metric: str, seed: int) -> None:
    outputs, labels = predictions(task, seed)
    found = no_predictions(task, lambda _, targets: targets.mean())
    for part in (slice(0, 100), slice(100, None)):
        rows = (slice(None), part) if task == "language" else part
        found.add(outputs[rows], labels[rows])
    compute = resolve(METRICS[task][metric].compute)
    assert callable(compute)
    expected = EXPECTED[task][metric](outputs, labels)
    assert float(compute(found)) == pytest.approx(float(expected), rel=1e-5)


def test_confusion_is_that_of_torchmetrics() -> None:
    logits, labels = predictions("classification", 0)
    found = ClassPredictions()
    found.add(logits, labels)
    expected = classification.multiclass_confusion_matrix(logits, labels, NUM_CLASSES)
    assert found.confusion.tolist() == expected.tolist()


def test_no_other_metric_but_the_loss_is_left_out() -> None:
    others = {
        (task, spec.name)
        for task, specs in METRICS.items()
        for spec in specs
        if spec.name not in EXPECTED[task]
    }
    assert others == {(task, "loss") for task in METRICS}
