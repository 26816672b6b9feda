"""Evaluating a model: on validation samples after each epoch, on test samples once."""

from collections.abc import Iterator
from math import nan
from typing import NamedTuple

import torch
from torch import Tensor

from bakeoff.components.metrics import scored_epoch
from bakeoff.training.averaging import (
    averages_weights,
    find_batch_norms,
    measuring_statistics,
    switch_to_evaluation,
)
from bakeoff.training.batches import Split
from bakeoff.training.epoch_batches import Batch, plain_batches
from bakeoff.training.left_out import group_numbers, scores_without_groups
from bakeoff.training.own_metric import OwnMetric
from bakeoff.training.pixel_predictions import PixelPredictions
from bakeoff.training.predictions import (
    ClassPredictions,
    Predictions,
    SamplePredictions,
    no_predictions,
)
from bakeoff.training.ranks import ALONE, Ranks
from bakeoff.training.state import TrainingState

EVALUATION_BYTES = 1 << 18
"""Bytes of inputs in one evaluation batch. Small samples make larger batches than in training, but
activations can take fifty times as much memory as the inputs and must not set the peak."""
MAX_EVALUATED = 1024
"""Samples in one evaluation batch, at most."""
MAX_STATISTICS_BATCHES = 50
"""Training batches on which batch normalisation's statistics are measured where an optimizer
averages its weights. Source: README of the package schedulefree."""
MAX_CONFUSION = 100
"""Largest number of classes for which confusion matrices are kept."""


class Measured(NamedTuple):
    """The result of one evaluation."""

    metrics: dict[str, float]
    confusion: tuple[tuple[int, ...], ...]
    """Samples, or pixels, by class and predicted class, [C, C]; empty without classes or with too
    many."""


def prepare_to_evaluate(state: TrainingState) -> None:
    """Move averaged weights into the model, to be evaluated, recorded and saved.

    A moving average replaces the weights and batch normalisation's statistics. An optimizer that
    averages weights itself moves them. Batch normalisation has then only seen the weights that were
    trained, so its statistics are measured again on this epoch's first batches, without dropout and
    without drawing a random number. Call it after an epoch's last step.
    """
    if state.average is not None:
        state.average.swap_in()
    state.ranks.share_buffers(state.model)
    if not averages_weights(state.optimizer):
        return
    switch_to_evaluation(state.optimizer)
    state.model.eval()
    norms = state.freezing.without_frozen(find_batch_norms(state.model))
    if not norms:
        return
    with measuring_statistics(norms), torch.no_grad(), state.autocast():
        for inputs, _ in plain_batches(state, MAX_STATISTICS_BATCHES):
            state.model(inputs)


class Tested(NamedTuple):
    """The result of reading the test set."""

    metrics: dict[str, float]
    without: tuple[float, ...] = ()
    """The objective without each group of test samples, [G]; see `bakeoff.training.left_out`."""


def measure(state: TrainingState, split: Split) -> Measured:
    """Every metric on one split, with the model's weights as they are, and the confusion matrix.

    Where several ranks train the run, all of them call this, and all get what rank 0 measured.
    """
    found = predict(state, split, ranks=state.ranks)
    measured = measured_of(state, found) if state.ranks.is_first else Measured({}, ())
    return state.ranks.share(measured)


def measured_of(state: TrainingState, found: Predictions) -> Measured:
    """Every metric of predictions, and the confusion matrix."""
    metrics = _metrics(state, found)
    classes = (ClassPredictions, PixelPredictions)
    if not isinstance(found, classes) or state.splits.num_outputs > MAX_CONFUSION:
        return Measured(metrics, ())
    return Measured(metrics, tuple(tuple(map(int, row)) for row in found.confusion.tolist()))


def predict(
    state: TrainingState, split: Split, *, keeps_samples: bool = False, ranks: Ranks = ALONE
) -> Predictions:
    """The predictions of one split, with the model's weights as they are.

    With several ranks, rank 0 has them all, and the others may have none.
    """
    scale = state.splits.target_scale
    found = no_predictions(
        state.splits.task,
        state.criterion,
        scale.error_unit if scale else 1.0,
        keeps_samples=keeps_samples,
    )
    for metric in state.metric_functions.values():
        if isinstance(metric, OwnMetric):
            metric.follow(found)
    batch_size = evaluation_batch(state, split)
    state.model.eval()
    state.is_evaluating = True
    with torch.no_grad(), state.autocast():
        has_outputs = isinstance(found, SamplePredictions)
        is_shared = has_outputs and ranks.size <= len(split) // batch_size
        predicted = predict_together if is_shared and not ranks.is_alone else predict_alone
        for outputs, labels in predicted(state, split, batch_size, ranks):
            found.add(outputs, labels)
    state.is_evaluating = False
    return found


def evaluation_batch(state: TrainingState, split: Split) -> int:
    """Samples that are evaluated at once."""
    # The logits of every token, or of every pixel, take the most memory.
    has_many = state.splits.task in ("language", "segmentation")
    values_per_input = state.splits.num_outputs if has_many else 1
    most = min(MAX_EVALUATED, EVALUATION_BYTES // (split.sample_bytes * values_per_input))
    return max(state.config.training.batch_size, most)


def predict_alone(
    state: TrainingState, split: Split, batch_size: int, ranks: Ranks
) -> Iterator[Batch]:
    """Outputs and labels of each batch, from rank 0 alone."""
    for inputs, labels in split.batches(batch_size) if ranks.is_first else ():
        yield state.model(inputs), labels
        state.num_evaluated += 1


def predict_together(
    state: TrainingState, split: Split, batch_size: int, ranks: Ranks
) -> Iterator[Batch]:
    """As `predict_alone`, from the same batches, which the ranks evaluate in turn."""
    order = torch.cat(torch.split(torch.arange(len(split)), batch_size)[ranks.rank :: ranks.size])
    order = order.to(state.device)
    parts: list[Tensor] = []
    for inputs, _ in split.batches(batch_size, order):
        parts.append(state.model(inputs).float())
        state.num_evaluated += 1
    own = torch.cat(parts)
    outputs = own.new_zeros(len(split), *own.shape[1:])
    outputs[order] = own
    labels = split.labels.index_select(0, split.rows)
    labels = labels if labels.is_floating_point() else labels.long()
    outputs = ranks.add_up(outputs)
    pairs = zip(torch.split(outputs, batch_size), torch.split(labels, batch_size), strict=True)
    return iter(pairs)


def _metrics(state: TrainingState, found: Predictions) -> dict[str, float]:
    values = torch.stack([compute(found).double() for compute in state.metric_functions.values()])
    return dict(zip(state.metric_functions, values.tolist(), strict=True))


def read_test(state: TrainingState) -> Tested:
    """Every metric on the test samples, with the weights of the scored epoch.

    It leaves these weights in the model. Call it once, at the end of a confirmation run. All values
    are NaN if no epoch was scored.
    """
    if state.config.score_rule == "best_epoch" and state.best_weights is not None:
        state.model.load_state_dict(state.best_weights)
    if scored_epoch(state.history, state.objective, state.config.score_rule) is None:
        return Tested(dict.fromkeys(state.metric_functions, nan))
    found = predict(state, state.splits.test, keeps_samples=True)
    is_text = state.splits.task == "language"
    groups = group_numbers(len(state.splits.test), contiguous=is_text).to(state.device)
    compute = state.metric_functions[state.objective.name]
    metrics = _metrics(state, found)
    sees_batches = is_text or state.splits.task == "segmentation"
    if sees_batches and isinstance(compute, OwnMetric):  # it has seen whole batches only
        return Tested(metrics)
    return Tested(metrics, scores_without_groups(found, groups, compute))


def test(state: TrainingState) -> dict[str, float]:
    """Only the metrics of `read_test`."""
    return read_test(state).metrics
