"""Evaluating all members of a stack on the same samples.

Shapes: N members, S samples, C classes.
"""

from collections.abc import Sequence
from math import nan

import torch
from torch import Tensor

from bakeoff.training.batches import Split
from bakeoff.training.evaluation import Measured, evaluation_batch, measured_of
from bakeoff.training.predictions import (
    MAX_RANK,
    ClassPredictions,
    Predictions,
    class_areas,
    no_predictions,
)
from bakeoff.training.stack.network import StackedNetwork
from bakeoff.training.state import TrainingState


def measure_all(
    network: StackedNetwork, states: Sequence[TrainingState], split: Split
) -> list[Measured]:
    """Every metric of every member on one split, and its confusion matrix."""
    found = predict_all(network, states, split)
    return [measured_of(state, one) for state, one in zip(states, found, strict=True)]


def nothing_measured(state: TrainingState) -> Measured:
    """The metrics of a member whose loss is not finite, which is not evaluated."""
    return Measured(dict.fromkeys(state.metric_functions, nan), ())


def predict_all(
    network: StackedNetwork, states: Sequence[TrainingState], split: Split
) -> list[Predictions]:
    """The predictions of every member, with the network's weights as they are."""
    first = states[0]
    num_rows = len(network.rows)
    outputs, labels = [], []
    with torch.no_grad():
        for inputs, wanted in split.batches(evaluation_batch(first, split)):
            samples = inputs.expand(num_rows, *inputs.shape)
            outputs.append(network(samples, training=False)[: len(states)])
            labels.append(wanted)
            for state in states:
                state.num_evaluated += 1
    return predictions_of(states, torch.cat(outputs, 1).contiguous(), torch.cat(labels))


def predictions_of(
    states: Sequence[TrainingState], outputs: Tensor, labels: Tensor
) -> list[Predictions]:
    """Outputs [N, S, ...] of N members as predictions, which share what takes the most time."""
    scale = states[0].splits.target_scale
    unit = scale.error_unit if scale else 1.0
    found = [no_predictions(one.splits.task, one.criterion, unit) for one in states]
    for one, own in zip(found, outputs.unbind(), strict=True):
        one.add(own, labels)
    classes = [one for one in found if isinstance(one, ClassPredictions)]
    if classes:
        _share(classes, outputs.float(), labels)
    return found


def _share(found: Sequence[ClassPredictions], outputs: Tensor, labels: Tensor) -> None:
    """Compute for all members at once what most metrics need, [N, S, ...]."""
    num_classes = outputs.shape[2]
    # Computed with the classes side by side this takes a tenth of the time.
    log_probabilities = outputs.transpose(1, 2).log_softmax(1).transpose(1, 2).contiguous()
    predicted = outputs.argmax(2)
    best = log_probabilities.max(2)
    offsets = num_classes * torch.arange(len(found), device=labels.device)[:, None]
    is_right = predicted == labels
    right = torch.bincount(
        (labels + offsets)[is_right], minlength=len(found) * num_classes
    ).double()
    in_top5 = outputs.topk(min(MAX_RANK, num_classes), dim=2, sorted=False).indices
    shared = {
        "in_top5": (in_top5 == labels[:, None]).any(2),
        "log_probabilities": log_probabilities,
        "predicted": predicted,
        "confidence": best.values.exp().double(),
        "most_probable": best.indices,
        "right_counts": right.view(len(found), num_classes),
    }
    of_labels = {
        "labels": labels,
        "class_counts": torch.bincount(labels, minlength=num_classes).double(),
    }
    vars(found[0]).update(of_labels)
    shared["areas"] = class_areas(log_probabilities, found[0])
    for place, one in enumerate(found):
        # These are what the properties of the same names would compute, and keep like this.
        vars(one).update({name: values[place] for name, values in shared.items()})
        vars(one).update(of_labels, outputs=outputs[place])
