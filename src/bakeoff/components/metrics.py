"""The metrics of each task, the score of an untrained model, and the epoch that is scored."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from bakeoff.components.metric_specs import MetricSpec, Untrained, metric, share
from bakeoff.errors import UsageError, describe_unknown
from bakeoff.records import (
    EpochResult,
    MetricInfo,
    OwnMetric,
    ScoreRule,
    StudyConfig,
    Task,
    TrialConfig,
)
from bakeoff.registry import Registry

TARGET_UNITS = "target units"
NONE_OWN: Mapping[str, OwnMetric] = {}
"""No metric of the user's own."""


def find_metric(name: str, task: Task, own: Mapping[str, OwnMetric] = NONE_OWN) -> MetricSpec:
    """The metric called `name` of a task, or the user's own among those that the study names.

    Raises:
        UsageError: There is no such metric; the message offers the nearest one.
    """
    return _own_metric(name, own[name]) if name in own else METRICS[task][name]


def metric_info(name: str, config: StudyConfig | TrialConfig, num_targets: int = 1) -> MetricInfo:
    """The meaning of a metric of a study: as its file describes it, or that of the registry.

    Errors of several targets are in units of their deviations. Without data the task is unknown. A
    name means the same in every task, so any of them tells.

    Raises:
        UsageError: It is in neither; the message offers the nearest one.
    """
    if config.data.is_given or name in config.metrics:
        info = find_metric(name, config.data.task, config.metrics).info
        has_unit = info.unit == TARGET_UNITS and num_targets > 1
        return replace(info, unit="deviations of each target") if has_unit else info
    found = [metrics[name].info for metrics in METRICS.values() if name in metrics]
    if not found:
        raise UsageError(describe_unknown("metric", name, (*config.metrics, *METRIC_NAMES)))
    return found[0]


def worst_score(name: str, config: StudyConfig) -> float:
    """The score of a run that diverges, where no registered model of chance says it.

    It is what the study file gives as the score of an untrained model, or else the worst possible
    value, which is infinite where there is no limit.
    """
    own, info = config.metrics.get(name), metric_info(name, config)
    if own is not None and own.untrained is not None:
        return own.untrained
    return info.low if info.direction == "maximize" else info.high


def _own_metric(reference: str, said: OwnMetric) -> MetricSpec:
    """A metric of the user's own; one without a direction is recorded and never compared."""
    return MetricSpec(
        info=MetricInfo(
            name=reference,
            direction=said.direction or "maximize",
            low=-math.inf if said.low is None else said.low,
            high=math.inf if said.high is None else said.high,
            title=reference,
        ),
        compute=reference,
        chance=lambda _: math.nan if said.untrained is None else said.untrained,
        source="your own",
    )


def recorded_metrics(
    task: Task, num_outputs: int, objective: str, own: Mapping[str, OwnMetric] = NONE_OWN
) -> tuple[MetricSpec, ...]:
    """The metrics that are recorded for a run: those of its task that are meaningful, and its own.

    The objective is always among them.
    """
    known = (
        spec for spec in METRICS[task] if num_outputs >= spec.min_outputs or spec.name == objective
    )
    return (*known, *(_own_metric(name, said) for name, said in own.items()))


def chance_score(
    metric: str, task: Task, untrained: Untrained, own: Mapping[str, OwnMetric] = NONE_OWN
) -> float:
    """The score of an untrained model, which a diverged run gets.

    With C balanced classes or tokens the model gives each the same probability and decides by a
    fair draw: accuracies are 1/C and the cross-entropy is ln C. (Its calibration error would be
    perfect, so the worst one is used instead.) With several labels per sample it decides each label
    by a fair draw: it finds half of the samples that have a label, and of the samples that it finds
    the share p has the label, so that F1 is p / (p + 1/2). Of pixels, of which the share p has a
    class, it finds 1/C: the intersection is p/C and the union p + 1/C - p/C. In regression the
    model predicts the mean of the training targets: R2 is 0, and the errors are the distances of
    the validation targets from it.

    Raises:
        UsageError: The task has no such metric.
    """
    return find_metric(metric, task, own).chance(untrained)


def scored_epoch(
    history: Sequence[EpochResult], objective: MetricInfo, rule: ScoreRule
) -> EpochResult | None:
    """The epoch whose value of `objective` is the run's score.

    `last_epoch` takes the last epoch and `best_epoch` the best one; the earlier epoch wins a tie.
    An epoch without a finite value is never scored. None means that no epoch can be scored.
    """

    def worth(result: EpochResult) -> float:
        return objective.sign * result.metrics.get(objective.name, math.nan)

    candidates = history[-1:] if rule == "last_epoch" else history
    finite = [result for result in candidates if math.isfinite(worth(result))]
    return max(finite, key=worth, default=None)


def _one_of_all(untrained: Untrained) -> float:
    return 1 / untrained.num_outputs


def _entropy(untrained: Untrained) -> float:
    return math.log(untrained.num_outputs)


_CLASSIFICATION: Registry[MetricSpec] = Registry(
    "classification metric",
    (
        share(
            "accuracy",
            "Accuracy",
            "torchmetrics.functional.classification.multiclass_accuracy, micro average",
            chance=_one_of_all,
            is_mean_over_samples=True,
        ),
        share(
            "top5_accuracy",
            "Top-5 accuracy",
            "torchmetrics.functional.classification.multiclass_accuracy, micro average, top_k=5",
            chance=lambda one: min(5, one.num_outputs) / one.num_outputs,
            is_mean_over_samples=True,
            min_outputs=6,
        ),
        share(
            "balanced_accuracy",
            "Balanced accuracy",
            "sklearn.metrics.balanced_accuracy_score: mean recall of the classes present",
            chance=_one_of_all,
        ),
        metric(
            "loss",
            "Cross-entropy",
            "torch.nn.functional.cross_entropy, mean over samples, no label smoothing",
            unit="nats",
            chance=_entropy,
        ),
        share(
            "macro_f1",
            "Macro F1",
            "torchmetrics.functional.classification.multiclass_f1_score, macro average",
            chance=_one_of_all,
        ),
        share(
            "auroc",
            "AUROC",
            "torchmetrics.functional.classification.multiclass_auroc, one against the rest, macro",
            chance=lambda _: 0.5,
        ),
        metric(
            "calibration_error",
            "Expected calibration error",
            "torchmetrics.functional.classification.multiclass_calibration_error, 15 bins",
            high=1.0,
            # An untrained model is perfectly calibrated, but a diverged run gets the worst value.
            chance=lambda _: 1.0,
        ),
    ),
)


def _mean_share(untrained: Untrained) -> float:
    return sum(untrained.label_shares) / len(untrained.label_shares)


def _mean_of_present(shares: Sequence[float]) -> float:
    present = [share for share in shares if share > 0]
    return sum(present) / len(present) if present else math.nan


def _drawn_f1(share: float) -> float:
    return share / (share + 0.5)


_of_labels = partial(share, module="label_metrics")

_MULTILABEL: Registry[MetricSpec] = Registry(
    "multilabel metric",
    (
        _of_labels(
            "macro_f1",
            "Macro F1",
            "torchmetrics.functional.classification.multilabel_f1_score, macro average",
            chance=lambda one: sum(map(_drawn_f1, one.label_shares)) / len(one.label_shares),
        ),
        _of_labels(
            "micro_f1",
            "Micro F1",
            "torchmetrics.functional.classification.multilabel_f1_score, micro average",
            chance=lambda one: _drawn_f1(_mean_share(one)),
        ),
        _of_labels(
            "exact_match",
            "Exact match",
            "torchmetrics.functional.classification.multilabel_exact_match",
            chance=lambda one: 0.5**one.num_outputs,
            is_mean_over_samples=True,
        ),
        _of_labels(
            "hamming_accuracy",
            "Hamming accuracy",
            "torchmetrics.functional.classification.multilabel_accuracy, micro average",
            chance=lambda _: 0.5,
        ),
        _of_labels(
            "mean_average_precision",
            "Mean average precision",
            "sklearn.metrics.average_precision_score, mean over labels that some sample has",
            chance=lambda one: _mean_of_present(one.label_shares),
        ),
        _of_labels(
            "auroc",
            "AUROC",
            "sklearn.metrics.roc_auc_score, mean over labels that some samples have and some lack",
            chance=lambda _: 0.5,
        ),
        metric(
            "loss",
            "Binary cross-entropy",
            "torch.nn.functional.binary_cross_entropy_with_logits, mean over samples and labels",
            unit="nats/label",
            chance=lambda _: math.log(2),
        ),
    ),
)

_of_pixels = partial(share, module="pixel_predictions")


def _drawn_iou(part: float, num_classes: int) -> float:
    return part / (part * num_classes + 1 - part)


_SEGMENTATION: Registry[MetricSpec] = Registry(
    "segmentation metric",
    (
        _of_pixels(
            "mean_iou",
            "Mean IoU",
            "torchmetrics.functional.classification.multiclass_jaccard_index, macro average,"
            " ignore_index=255",
            chance=lambda one: (
                sum(_drawn_iou(part, one.num_outputs) for part in one.label_shares)
                / one.num_outputs
            ),
        ),
        _of_pixels(
            "pixel_accuracy",
            "Pixel accuracy",
            "torchmetrics.functional.classification.multiclass_accuracy, micro average,"
            " ignore_index=255",
            chance=_one_of_all,
        ),
        metric(
            "loss",
            "Cross-entropy",
            "torch.nn.functional.cross_entropy, mean over pixels, ignore_index=255",
            unit="nats/pixel",
            chance=_entropy,
        ),
    ),
)

_REGRESSION: Registry[MetricSpec] = Registry(
    "regression metric",
    (
        metric(
            "rmse",
            "RMSE",
            "torchmetrics.functional.mean_squared_error, squared=False",
            unit=TARGET_UNITS,
            chance=lambda one: one.target_deviation * math.sqrt(one.mean_losses["mse"]),
        ),
        metric(
            "mae",
            "MAE",
            "torchmetrics.functional.mean_absolute_error",
            unit=TARGET_UNITS,
            chance=lambda one: one.target_deviation * one.mean_losses["l1"],
        ),
        share("r2", "R2", "torchmetrics.functional.r2_score", chance=lambda _: 0.0, low=-math.inf),
        metric(
            "loss",
            "Loss",
            "torch.nn.functional: mse_loss, l1_loss or huber_loss of standardised targets",
            unit="standardised targets",
            chance=lambda one: one.mean_losses[one.loss],
        ),
    ),
)

_LANGUAGE: Registry[MetricSpec] = Registry(
    "language metric",
    (
        metric(
            "loss",
            "Cross-entropy",
            "torch.nn.functional.cross_entropy, mean over tokens, no label smoothing",
            unit="nats/token",
            chance=_entropy,
        ),
        metric(
            "perplexity",
            "Perplexity",
            "torchmetrics.functional.text.perplexity: the exponential of the cross-entropy",
            low=1.0,
            chance=lambda one: float(one.num_outputs),
        ),
        share(
            "token_accuracy",
            "Token accuracy",
            "torchmetrics.functional.classification.multiclass_accuracy over tokens",
            chance=_one_of_all,
        ),
    ),
)

METRICS: Mapping[Task, Registry[MetricSpec]] = {
    "classification": _CLASSIFICATION,
    "multilabel": _MULTILABEL,
    "segmentation": _SEGMENTATION,
    "regression": _REGRESSION,
    "language": _LANGUAGE,
}
"""The metrics that are recorded after every epoch. A name means the same in every task."""

DEFAULT_OBJECTIVES: Mapping[Task, str] = {
    "classification": "accuracy",
    "multilabel": "macro_f1",
    "segmentation": "mean_iou",
    "regression": "rmse",
    "language": "loss",
}

METRIC_NAMES = tuple(dict.fromkeys(spec.name for task in METRICS.values() for spec in task))
"""The metrics of all tasks."""
