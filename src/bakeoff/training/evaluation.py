"""Measuring a model: on validation samples after each epoch, on test samples once."""

from math import nan
from typing import NamedTuple

import torch

from bakeoff.components.metrics import scored_epoch
from bakeoff.training.averaging import (
    averages_weights,
    find_batch_norms,
    measuring_statistics,
    switch_to_evaluation,
)
from bakeoff.training.batches import Split
from bakeoff.training.epoch_batches import plain_batches
from bakeoff.training.metric_functions import ClassPredictions, Predictions, gather
from bakeoff.training.state import TrainingState

EVALUATION_BYTES = 1 << 18
"""Inputs evaluated at once: more than a training batch where samples are small. What a network
makes of them can be fifty times as much, which no other memory should have to wait for."""
MAX_EVALUATED = 1024
"""Samples evaluated at once, at most."""
MAX_STATISTICS_BATCHES = 50
"""Training batches that batch normalisation's statistics are measured on where an optimizer
averages its weights. Source: README of the package schedulefree."""

MAX_CONFUSION = 100
"""Classes up to which confusion matrices are kept."""


class Measured(NamedTuple):
    """What one evaluation found."""

    metrics: dict[str, float]
    confusion: tuple[tuple[int, ...], ...]
    """Samples by class and predicted class, [C, C]; empty where there are none or too many."""


def settle(state: TrainingState) -> None:
    """Put the weights where the epoch is evaluated, recorded and saved; call it after its steps.

    A moving average takes the place of the weights, with the averaged statistics of batch
    normalisation. An optimizer that averages them itself moves them; batch normalisation saw the
    weights that were trained, so its statistics are measured anew, on this epoch's first batches
    and without dropout; no random number is drawn.
    """
    if state.average is not None:
        state.average.put_in_place()
    if not averages_weights(state.optimizer):
        return
    switch_to_evaluation(state.optimizer)
    state.model.eval()
    norms = find_batch_norms(state.model)
    if not norms:
        return
    with measuring_statistics(norms), torch.no_grad(), state.autocast():
        for inputs, _ in plain_batches(state, MAX_STATISTICS_BATCHES):
            state.model(inputs)


def evaluate(state: TrainingState, split: Split) -> dict[str, float]:
    """Every registered metric on one split, with the weights as they are."""
    return measure(state, split).metrics


def measure(state: TrainingState, split: Split) -> Measured:
    """Every registered metric on one split, and the confusion matrix if there are classes."""
    found = _predict(state, split)
    values = torch.stack([compute(found).double() for compute in state.metric_functions.values()])
    metrics = dict(zip(state.metric_functions, values.tolist(), strict=True))
    if not isinstance(found, ClassPredictions) or state.splits.num_outputs > MAX_CONFUSION:
        return Measured(metrics, ())
    rows: list[list[float]] = found.confusion.tolist()
    return Measured(metrics, tuple(tuple(map(int, row)) for row in rows))


def _predict(state: TrainingState, split: Split) -> Predictions:
    batch_size = _evaluated_at_once(state, split)
    scale = state.splits.target_scale
    found = gather(state.splits.task, state.criterion, scale.deviation if scale else 1.0)
    state.model.eval()
    with torch.no_grad(), state.autocast():
        for batch, batch_labels in split.batches(batch_size):
            found.add(state.model(batch), batch_labels)
    return found


def _evaluated_at_once(state: TrainingState, split: Split) -> int:
    """Samples in a batch; of text the logits of every token decide, which weigh more."""
    is_language = state.splits.task == "language"
    sample_bytes = split.sample_bytes * (state.splits.num_outputs if is_language else 1)
    most = min(MAX_EVALUATED, EVALUATION_BYTES // sample_bytes)
    return max(state.config.training.batch_size, most)


def test(state: TrainingState) -> dict[str, float]:
    """Every metric on the test samples, with the weights of the scored epoch.

    Leaves these weights in the model. Call it once, at the end of a confirmation run; NaN if no
    epoch was scored.
    """
    if state.config.score_rule == "best_epoch" and state.best_weights is not None:
        state.model.load_state_dict(state.best_weights)
    if scored_epoch(state.history, state.objective, state.config.score_rule) is None:
        return dict.fromkeys(state.metric_functions, nan)
    return evaluate(state, state.splits.test)
