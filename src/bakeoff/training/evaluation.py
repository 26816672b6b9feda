"""Measuring a model: on validation samples after each epoch, on test samples once."""

from math import nan

import torch

from bakeoff.components.metrics import scored_epoch
from bakeoff.training.batches import Split
from bakeoff.training.state import TrainingState

EVALUATION_BYTES = 1 << 22
"""Inputs evaluated at once: more than a training batch where samples are small."""
MAX_EVALUATED = 1024
"""Samples evaluated at once, at most."""


def evaluate(state: TrainingState, split: Split) -> dict[str, float]:
    """Every registered metric on one split, with the weights as they are."""
    batch_size = state.config.training.batch_size
    batch_size = max(batch_size, min(MAX_EVALUATED, EVALUATION_BYTES // split.sample_bytes))
    state.model.eval()
    logits, labels = [], []
    with torch.no_grad(), state.autocast():
        for batch, batch_labels in split.batches(batch_size):
            logits.append(state.model(batch).float())
            labels.append(batch_labels)
    all_logits, all_labels = torch.cat(logits), torch.cat(labels)
    return {
        name: float(compute(all_logits, all_labels))
        for name, compute in state.metric_functions.items()
    }


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
