"""Every metric against scikit-learn's, or against numbers worked out by hand."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    confusion_matrix,
    f1_score,
    hamming_loss,
    log_loss,
    mean_absolute_error,
    r2_score,
    roc_auc_score,
    root_mean_squared_error,
    top_k_accuracy_score,
)
from torch import Tensor
from torch.nn.functional import huber_loss, mse_loss, one_hot
from torchmetrics.functional.classification import multiclass_calibration_error

from bakeoff.components.metric_specs import Untrained
from bakeoff.components.metrics import (
    DEFAULT_OBJECTIVES,
    METRICS,
    chance_score,
    find_metric,
    metric_info,
    scored_epoch,
    worst_score,
)
from bakeoff.data.targets import losses_of_the_mean, measure_targets, standardise
from bakeoff.errors import UsageError
from bakeoff.records import EpochResult, OwnMetric, StudyConfig, Task
from bakeoff.registry import resolve
from bakeoff.studyfile import resolve_study
from bakeoff.training.predictions import ClassPredictions, Predictions, no_predictions

EVERY = pytest.mark.parametrize(
    ("task", "metric"),
    [(task, spec.name) for task, specs in METRICS.items() for spec in specs],
    ids=lambda value: value,
)
SEEDS = pytest.mark.parametrize("seed", range(5))
DEVIATION = 3.0
Batch = tuple[Tensor, Tensor]


def target_loss(predictions: Tensor, targets: Tensor) -> Tensor:
    return mse_loss(predictions[:, 0], targets)


def compute(task: Task, metric: str, *batches: Batch) -> float:
    found = no_predictions(task, target_loss, DEVIATION)
    for outputs, labels in batches:
        found.add(outputs, labels)
    function: Callable[[Predictions], Tensor] = resolve(find_metric(metric, task).compute)  # type: ignore[assignment]
    return float(function(found))


def classes(seed: int, num_samples: int = 90) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 5, (num_samples,), generator=generator)
    logits = torch.randn(num_samples, 5, generator=generator)
    return logits + 2 * one_hot(labels, 5), labels


def label_sets(seed: int, num_samples: int = 90) -> Batch:
    """Logits, some of them equal, and labels [N, 4], of which the last is rare."""
    generator = torch.Generator().manual_seed(seed)
    shares = torch.tensor([0.5, 0.4, 0.3, 0.1])
    labels = (torch.rand(num_samples, 4, generator=generator) < shares).long()
    logits = torch.randn(num_samples, 4, generator=generator) + 1.5 * labels - 0.5
    return (4 * logits).round() / 4 + 0.1, labels


def targets(seed: int, num_samples: int = 90) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(num_samples, generator=generator)
    return (values + 0.5 * torch.randn(num_samples, generator=generator))[:, None], values


def tokens(seed: int, num_samples: int = 12) -> Batch:
    logits, labels = classes(seed, 8 * num_samples)
    return logits.view(num_samples, 8, 5), labels.view(num_samples, 8)


def pixels(seed: int, num_samples: int = 12) -> Batch:
    """Logits [N, 5, 4, 3] and masks [N, 4, 3]."""
    logits, labels = classes(seed, 12 * num_samples)
    return logits.view(num_samples, 4, 3, 5).movedim(-1, 1), labels.view(num_samples, 4, 3)


BATCHES: dict[Task, Callable[[int], Batch]] = {
    "classification": classes,
    "multilabel": label_sets,
    "segmentation": pixels,
    "regression": targets,
    "language": tokens,
}


def perfect(task: Task, labels: Tensor) -> Tensor:
    if task == "multilabel":
        return 100.0 * labels - 50
    if task == "segmentation":
        return 50.0 * one_hot(labels, 5).movedim(-1, 1)
    return labels[:, None] if task == "regression" else 50.0 * one_hot(labels, 5)


def epochs(metric: str, *values: float) -> list[EpochResult]:
    return [
        EpochResult(epoch=epoch, metrics={metric: value}) for epoch, value in enumerate(values, 1)
    ]


# ---------------------------------------------------------------- against scikit-learn


@SEEDS
def test_metrics_of_classes_equal_those_of_scikit_learn(seed: int) -> None:
    logits, labels = classes(seed)
    guessed, shares = logits.argmax(1), logits.double().softmax(1).numpy()
    expected = {
        "accuracy": accuracy_score(labels, guessed),
        "top5_accuracy": 1.0,
        "balanced_accuracy": balanced_accuracy_score(labels, guessed),
        "macro_f1": f1_score(labels, guessed, average="macro"),
        "auroc": roc_auc_score(labels, shares, multi_class="ovr"),
        "loss": log_loss(labels, shares, labels=range(5)),
    }
    found = {name: compute("classification", name, (logits, labels)) for name in expected}
    assert found == pytest.approx(expected, rel=1e-5)


@SEEDS
def test_top5_accuracy_of_many_classes_is_that_of_scikit_learn(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 12, (200,), generator=generator)
    logits = torch.randn(200, 12, generator=generator)
    expected = top_k_accuracy_score(labels, logits.numpy(), k=5, labels=range(12))
    assert compute("classification", "top5_accuracy", (logits, labels)) == pytest.approx(expected)


@SEEDS
def test_auroc_counts_ties_one_half_and_leaves_out_absent_classes(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 3, (80,), generator=generator)  # of five classes
    some_rows = torch.randn(6, 5, generator=generator)
    logits = some_rows[torch.randint(0, 6, (80,), generator=generator)]
    shares = logits.double().softmax(1)
    expected = [roc_auc_score(labels == one, shares[:, one]) for one in range(3)]
    value = compute("classification", "auroc", (logits, labels))
    assert value == pytest.approx(sum(expected) / 3, abs=1e-6)


@SEEDS
def test_calibration_error_is_that_of_torchmetrics_and_of_its_definition(seed: int) -> None:
    logits, labels = classes(seed)
    value = compute("classification", "calibration_error", (logits, labels))
    shares = logits.softmax(1)
    assert value == pytest.approx(
        float(multiclass_calibration_error(shares, labels, num_classes=5, n_bins=15)), abs=1e-6
    )
    confidence, guessed = (part.numpy() for part in shares.max(1))
    bins = [(confidence >= low / 15) & (confidence < (low + 1) / 15) for low in range(15)]
    right = guessed == labels.numpy()
    gaps = [
        abs(right[one].mean() - confidence[one].mean()) * one.sum() for one in bins if one.any()
    ]
    assert value == pytest.approx(sum(gaps) / 90, abs=1e-6)


def test_certain_and_right_is_perfectly_calibrated_and_certain_and_wrong_is_not() -> None:
    labels = torch.arange(5)
    certain = 1000.0 * one_hot(labels, 5)
    assert compute("classification", "calibration_error", (certain, labels)) == 0.0
    wrong = certain.roll(1, 0)
    assert compute("classification", "calibration_error", (wrong, labels)) == 1.0


ONE_CLASS = {
    "accuracy": 0.75, "top5_accuracy": 1.0, "balanced_accuracy": 0.75, "macro_f1": 3 / 7,
}  # fmt: skip


def test_validation_samples_of_one_class_leave_auroc_undefined_and_the_rest_finite() -> None:
    labels = torch.zeros(4, dtype=torch.int64)
    guesses = 3.0 * one_hot(torch.tensor([0, 0, 0, 1]), 5)
    batch = (guesses, labels)
    assert math.isnan(compute("classification", "auroc", batch))
    assert {name: compute("classification", name, batch) for name in ONE_CLASS} == pytest.approx(
        ONE_CLASS
    )
    assert math.isfinite(compute("classification", "calibration_error", batch))


def test_metrics_of_very_many_classes_need_no_matrix_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ClassPredictions, "confusion", None)
    labels = torch.tensor([0, 7, 49_999, 7])
    guesses = torch.tensor([0, 7, 49_999, 3])
    logits = torch.zeros(4, 50_000).scatter_(1, guesses[:, None], 30.0)
    expected = {"accuracy": 3 / 4, "balanced_accuracy": 5 / 6, "macro_f1": 2 / 3}
    for spec in METRICS["classification"]:
        value = compute("classification", spec.name, (logits, labels))
        assert value == pytest.approx(expected.get(spec.name, value))


@SEEDS
def test_confusion_counts_samples_by_class_and_predicted_class(seed: int) -> None:
    logits, labels = classes(seed)
    found = ClassPredictions()
    found.add(logits, labels)
    assert found.confusion.tolist() == confusion_matrix(labels, logits.argmax(1)).tolist()


@SEEDS
def test_metrics_of_label_sets_equal_those_of_scikit_learn(seed: int) -> None:
    logits, labels = label_sets(seed)
    guessed, shares = (logits > 0).long(), logits.double().sigmoid().numpy()
    expected = {
        "macro_f1": f1_score(labels, guessed, average="macro"),
        "micro_f1": f1_score(labels, guessed, average="micro"),
        "exact_match": accuracy_score(labels, guessed),
        "hamming_accuracy": 1 - hamming_loss(labels, guessed),
        "mean_average_precision": average_precision_score(labels, shares, average="macro"),
        "auroc": roc_auc_score(labels, shares, average="macro"),
        "loss": log_loss(labels.flatten(), shares.flatten()),
    }
    assert tuple(expected) == METRICS["multilabel"].names
    found = {name: compute("multilabel", name, (logits, labels)) for name in expected}
    assert found == pytest.approx(expected, rel=1e-5)


def test_labels_that_no_sample_or_every_sample_has_are_left_out_of_what_ranks_samples() -> None:
    logits, labels = label_sets(0)
    expected = {
        name: compute("multilabel", name, (logits[:, :2], labels[:, :2]))
        for name in ("auroc", "mean_average_precision", "macro_f1")
    }
    guesses = torch.cat([logits[:, :2], -torch.ones(90, 1)], 1)
    absent = torch.cat([labels[:, :2], torch.zeros(90, 1, dtype=torch.int64)], 1)
    found = {name: compute("multilabel", name, (guesses, absent)) for name in expected}
    assert found == pytest.approx(expected)
    none = torch.zeros(90, 2, dtype=torch.int64)
    assert math.isnan(compute("multilabel", "auroc", (logits[:, :2], none)))
    assert math.isnan(compute("multilabel", "auroc", (logits[:, :2], 1 - none)))
    assert math.isnan(compute("multilabel", "mean_average_precision", (logits[:, :2], none)))
    assert compute("multilabel", "mean_average_precision", (logits[:, :2], 1 - none)) == 1.0


@SEEDS
def test_metrics_of_targets_equal_those_of_scikit_learn_in_units_of_the_target(seed: int) -> None:
    predictions, values = targets(seed)
    true, guessed = DEVIATION * values, DEVIATION * predictions[:, 0]
    expected = {
        "rmse": root_mean_squared_error(true, guessed),
        "mae": mean_absolute_error(true, guessed),
        "r2": r2_score(true, guessed),
        "loss": root_mean_squared_error(true, guessed) ** 2 / DEVIATION**2,
    }
    found = {name: compute("regression", name, (predictions, values)) for name in expected}
    assert found == pytest.approx(expected, rel=1e-5)


@SEEDS
def test_metrics_of_tokens_are_those_of_all_tokens_together(seed: int) -> None:
    logits, labels = tokens(seed)
    flat, true = logits.flatten(0, 1), labels.flatten()
    mean = log_loss(true, flat.double().softmax(1).numpy(), labels=range(5))
    expected = {
        "loss": mean,
        "perplexity": math.exp(mean),
        "token_accuracy": accuracy_score(true, flat.argmax(1)),
    }
    found = {name: compute("language", name, (logits, labels)) for name in expected}
    assert found == pytest.approx(expected, rel=1e-5)


# ---------------------------------------------------------------- what all must do


@EVERY
def test_perfect_predictions_beat_noisy_ones(task: Task, metric: str) -> None:
    outputs, labels = BATCHES[task](0)
    sign = find_metric(metric, task).info.sign
    best = sign * compute(task, metric, (perfect(task, labels), labels))
    noisy = sign * compute(task, metric, (outputs, labels))
    assert best > noisy or (metric == "top5_accuracy" and best == noisy == 1)  # of five classes


@EVERY
def test_order_of_the_samples_and_batches_does_not_matter(task: Task, metric: str) -> None:
    outputs, labels = BATCHES[task](0)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(1))
    parts = [(outputs[part], labels[part]) for part in torch.split(order, 7)]
    expected = compute(task, metric, (outputs, labels))
    assert compute(task, metric, *parts) == pytest.approx(expected, rel=1e-5)


@EVERY
def test_value_lies_in_the_declared_range(task: Task, metric: str) -> None:
    info = find_metric(metric, task).info
    assert info.low <= compute(task, metric, BATCHES[task](0)) <= info.high


@EVERY
def test_outputs_that_are_not_finite_never_look_good(task: Task, metric: str) -> None:
    outputs, labels = BATCHES[task](0)
    value = compute(task, metric, (torch.full_like(outputs, math.nan), labels))
    sign = find_metric(metric, task).info.sign
    good = compute(task, metric, (outputs, labels))
    assert math.isnan(value) or sign * value < sign * good or metric == "top5_accuracy"


@pytest.mark.parametrize("task", METRICS)
def test_every_task_has_its_loss_and_a_default_objective(task: Task) -> None:
    assert {"loss", DEFAULT_OBJECTIVES[task]} <= {*METRICS[task].names}


def test_loss_of_a_regression_is_the_one_that_is_trained() -> None:
    found = no_predictions("regression", lambda outputs, labels: huber_loss(outputs[:, 0], labels))
    predictions, values = targets(0)
    found.add(predictions, values)
    function = resolve(find_metric("loss", "regression").compute)
    assert float(function(found)) == float(huber_loss(predictions[:, 0], values))  # type: ignore[operator]


def test_r2_is_undefined_where_all_targets_are_equal() -> None:
    batch = (torch.tensor([[1.0], [2.0]]), torch.ones(2))
    assert math.isnan(compute("regression", "r2", batch))
    assert compute("regression", "mae", batch) == DEVIATION * 0.5


def test_classes_neither_present_nor_predicted_do_not_count_in_macro_f1() -> None:
    labels = torch.tensor([0, 0, 1, 1])
    guesses = 9.0 * one_hot(torch.tensor([0, 0, 1, 0]), 5)
    assert compute("classification", "macro_f1", (guesses, labels)) == pytest.approx(
        f1_score(labels, guesses.argmax(1), average="macro")
    )


# ---------------------------------------------------------------- chance


CHANCE = {
    ("classification", "accuracy"): 0.1,
    ("classification", "top5_accuracy"): 0.5,
    ("classification", "balanced_accuracy"): 0.1,
    ("classification", "macro_f1"): 0.1,
    ("classification", "auroc"): 0.5,
    ("classification", "loss"): math.log(10),
    ("language", "loss"): math.log(10),
    ("language", "perplexity"): 10.0,
    ("language", "token_accuracy"): 0.1,
}


@pytest.mark.parametrize(("task", "metric"), CHANCE, ids=lambda value: value)
def test_chance_score_is_that_of_an_untrained_model(task: Task, metric: str) -> None:
    expected = CHANCE[task, metric]
    assert chance_score(metric, task, Untrained(num_outputs=10)) == pytest.approx(expected)


@pytest.mark.parametrize(("task", "metric"), CHANCE, ids=lambda value: value)
def test_chance_score_is_what_fair_guesses_get(task: Task, metric: str) -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(20_000) % 10
    guesses = 1e-6 * torch.rand((20_000, 10), generator=generator)
    if task == "language":
        labels, guesses = labels.view(200, 100), guesses.view(200, 100, 10)
    expected = chance_score(metric, task, Untrained(num_outputs=10))
    assert compute(task, metric, (guesses, labels)) == pytest.approx(expected, abs=0.01)


SHARES = (0.5, 0.25, 0.1)


@pytest.mark.parametrize("metric", METRICS["multilabel"].names)
def test_chance_score_of_label_sets_is_what_fair_draws_of_each_label_get(metric: str) -> None:
    generator = torch.Generator().manual_seed(0)
    labels = (torch.rand(50_000, 3, generator=generator) < torch.tensor(SHARES)).long()
    draws = 1e-6 * (torch.rand(50_000, 3, generator=generator) - 0.5)
    untrained = Untrained(num_outputs=3, loss="bce", label_shares=SHARES)
    expected = chance_score(metric, "multilabel", untrained)
    assert compute("multilabel", metric, (draws, labels)) == pytest.approx(expected, abs=0.01)


def test_calibration_error_of_a_run_that_diverged_is_the_worst_not_the_perfect_one_of_guessing() -> (
    None
):
    assert chance_score("calibration_error", "classification", Untrained(num_outputs=10)) == 1.0


@pytest.mark.parametrize("metric", METRICS["regression"].names)
def test_chance_score_of_a_regression_is_what_the_training_mean_gets(metric: str) -> None:
    generator = torch.Generator().manual_seed(0)
    train, validation = torch.randn((2, 5000), generator=generator).mul(2.5).add(7).numpy()
    scale = measure_targets(train)
    untrained = Untrained(
        num_outputs=1,
        loss="mse",
        target_deviation=scale.deviation,
        mean_losses=losses_of_the_mean(validation, scale),
    )
    found = no_predictions("regression", target_loss, scale.deviation)
    values = torch.from_numpy(standardise(validation, scale))
    found.add(torch.zeros(5000, 1), values)
    function = resolve(find_metric(metric, "regression").compute)
    expected = chance_score(metric, "regression", untrained)
    assert float(function(found)) == pytest.approx(expected, rel=1e-4, abs=1e-3)  # type: ignore[operator]


@pytest.mark.parametrize("loss", ["mse", "l1", "huber"])
def test_losses_of_the_mean_are_those_of_torch(loss: str) -> None:
    values = torch.randn(500, generator=torch.Generator().manual_seed(0)).mul(3)
    scale = measure_targets(values.numpy())
    zeros = torch.zeros(500)
    standardised = torch.from_numpy(standardise(values.numpy(), scale))
    function = {"mse": mse_loss, "l1": torch.nn.functional.l1_loss, "huber": huber_loss}[loss]
    expected = float(function(zeros, standardised))
    found = losses_of_the_mean(values.numpy(), scale)[loss]  # type: ignore[index]
    assert found == pytest.approx(expected, rel=1e-5)


def test_equal_targets_have_a_deviation_of_one() -> None:
    scale = measure_targets(torch.full((4,), 2.5).numpy())
    assert (scale.mean, scale.deviation) == (2.5, 1.0)


def test_metric_of_another_task_is_refused_listing_those_of_this_one() -> None:
    with pytest.raises(UsageError, match="allowed: rmse, mae, r2, loss"):
        find_metric("accuracy", "regression")


def test_chance_score_of_a_misspelt_metric_is_refused() -> None:
    with pytest.raises(UsageError, match="did you mean 'accuracy'"):
        chance_score("acuracy", "classification", Untrained(num_outputs=10))


# ---------------------------------------------------------------- which epoch is scored


@pytest.mark.parametrize(
    ("metric", "rule", "values", "expected"),
    [
        ("accuracy", "best_epoch", (0.1, 0.9, 0.5), 2),
        ("accuracy", "best_epoch", (0.9, 0.9, 0.5), 1),
        ("accuracy", "best_epoch", (0.4, math.nan, 0.5), 3),
        ("accuracy", "last_epoch", (0.9, 0.5), 2),
        ("loss", "best_epoch", (0.9, 0.2, 0.5), 2),
        ("loss", "best_epoch", (math.inf, 0.9), 2),
    ],
)
def test_scored_epoch_follows_the_rule(
    metric: str, rule: str, values: tuple[float, ...], expected: int
) -> None:
    scored = scored_epoch(epochs(metric, *values), METRICS["classification"][metric].info, rule)  # type: ignore[arg-type]
    assert scored is not None
    assert scored.epoch == expected


@pytest.mark.parametrize(
    ("rule", "values"),
    [
        ("best_epoch", ()),
        ("last_epoch", ()),
        ("best_epoch", (math.nan, math.inf)),
        ("last_epoch", (0.9, math.nan)),
    ],
)
def test_no_epoch_is_scored_without_a_finite_value(rule: str, values: tuple[float, ...]) -> None:
    history = epochs("accuracy", *values)
    assert scored_epoch(history, METRICS["classification"]["accuracy"].info, rule) is None  # type: ignore[arg-type]


def described(**metrics: OwnMetric) -> StudyConfig:
    document = {
        "study": {"name": "own", "objective": "accuracy"},
        "training": {"epochs": 1, "loop": "my_loop:train"},
        "search": {"optimizers": ["sgd"]},
    }
    return replace(resolve_study(document), metrics=metrics)


def test_a_metric_is_what_the_study_file_says_or_else_what_is_registered():
    config = described(
        accuracy=OwnMetric(direction="minimize", high=3.0), reward=OwnMetric(direction="maximize")
    )
    assert (metric_info("accuracy", config).direction, metric_info("accuracy", config).high) == (
        "minimize",
        3.0,
    )
    assert metric_info("reward", config).low == -math.inf
    assert metric_info("rmse", config).unit == "target units"  # without data, of any task
    with pytest.raises(UsageError, match="did you mean 'reward'"):
        metric_info("rewrad", config)


def test_a_run_that_diverges_gets_the_score_of_an_untrained_model_or_the_worst_one():
    config = described(
        reward=OwnMetric(direction="maximize", low=-5.0),
        error=OwnMetric(direction="minimize", high=9.0, untrained=2.0),
    )
    assert worst_score("reward", config) == -5.0
    assert worst_score("error", config) == 2.0
    assert worst_score("accuracy", config) == 0.0
    assert worst_score("loss", config) == math.inf
