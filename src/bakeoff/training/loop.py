"""The training loop.

    state = prepare(config, device)
    for result in train(state, checkpoints): ...
    metrics = test(state)

Whoever wants to stop a run stops iterating.
"""

from collections.abc import Iterator
from math import isfinite, nan
from time import perf_counter
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from bakeoff.components.metrics import scored_epoch
from bakeoff.records import EpochResult
from bakeoff.training.batches import Split, epoch_order
from bakeoff.training.build import build_augment
from bakeoff.training.checkpoint import Checkpoints
from bakeoff.training.snapshot import restore
from bakeoff.training.state import TrainingState, prepare

__all__ = ["evaluate", "prepare", "test", "train", "train_step"]

EVALUATION_BYTES = 1 << 22
MAX_EVALUATED = 1024
"""Samples evaluated at once, at most: more than a training batch where they are small."""


def train(state: TrainingState, checkpoints: Checkpoints | None = None) -> Iterator[EpochResult]:
    """Train epoch by epoch, yielding what each measured; the last one's status is not `running`.

    If `checkpoints` holds a checkpoint, the epochs it covers are yielded again as recorded, and
    training continues with the bits it would have had. An epoch is saved before it is yielded,
    unless saving would cost more than 2 % of the training time since the last save; the last
    epoch always is. `checkpoints.save(state)` may be called at any yield.

    Raises:
        CheckpointError: The checkpoint belongs to another run, other data or another model.
        OSError: A checkpoint cannot be written.
    """
    payload = None if checkpoints is None else checkpoints.load()
    if payload is not None:
        restore(state, payload)
    yield from tuple(state.history)
    while not state.is_over:
        result = state.record(run_epoch(state))
        if checkpoints is not None and (
            state.is_over or checkpoints.is_due(state.seconds_since_save)
        ):
            checkpoints.save(state)
        yield result


def run_epoch(state: TrainingState) -> EpochResult:
    """Train one epoch and evaluate it; a diverged one is not evaluated, its metrics are NaN."""
    started = perf_counter()
    totals = train_epoch(state)
    train_loss, grad_norm = totals.means()
    trained = perf_counter()
    if isfinite(train_loss):
        metrics = evaluate(state, state.splits.validation)
        state.schedule.end_epoch(metrics[state.objective.name])
    else:
        metrics = dict.fromkeys(state.metric_functions, nan)
    return EpochResult(
        epoch=state.epoch + 1,
        metrics=metrics,
        train_loss=train_loss,
        learning_rate=totals.learning_rate,
        grad_norm=grad_norm,
        steps=totals.steps,
        skipped_steps=totals.skipped_steps,
        train_seconds=trained - started,
        evaluate_seconds=perf_counter() - trained,
    )


def train_epoch(state: TrainingState) -> "EpochTotals":
    """One pass over the training samples, in the order of this epoch."""
    config, epoch = state.config, state.epoch + 1
    num_samples, batch_size = len(state.splits.train), config.training.batch_size
    order = epoch_order(num_samples, batch_size, config.seed, epoch).to(state.device)
    augment = build_augment(
        config.data.augment,
        num_samples=num_samples,
        seed=config.seed,
        epoch=epoch,
        device=state.device,
    )
    totals = EpochTotals(state.device)
    state.model.train()
    for inputs, labels in state.splits.train.batches(batch_size, order, augment):
        learning_rate = state.schedule.learning_rate
        totals.add(train_step(state, inputs, labels), len(labels), learning_rate)
    return totals


def train_step(state: TrainingState, inputs: Tensor, labels: Tensor) -> "Step":
    """Forward, backward, clip, step; the schedule advances only if the optimizer stepped."""
    with state.autocast():
        loss = state.criterion(state.model(inputs), labels)
    state.scaler.scale(loss).backward()
    state.scaler.unscale_(state.optimizer)
    grad_norm = clip_gradients(state)
    stepped = step_optimizer(state)
    if stepped:
        state.schedule.advance()
    return Step(loss.detach(), grad_norm, stepped)


def clip_gradients(state: TrainingState) -> Tensor:
    """The norm of the whole gradient before clipping."""
    weights = [weights for weights in state.model.parameters() if weights.grad is not None]
    norm = get_total_norm([weights.grad for weights in weights if weights.grad is not None])
    if state.config.training.clip_grad_norm is not None:
        clip_grads_with_norm_(weights, state.config.training.clip_grad_norm, norm)
    return norm


def step_optimizer(state: TrainingState) -> bool:
    """Step unless the scaler found a gradient that is not finite; whether it stepped."""
    scale = state.scaler.get_scale()
    state.scaler.step(state.optimizer)
    state.scaler.update()
    state.optimizer.zero_grad()
    # The scaler says that it skipped a step only by lowering its scale.
    return state.scaler.get_scale() >= scale


class Step(NamedTuple):
    """What one step did; the tensors are scalars that were not waited for."""

    loss: Tensor
    grad_norm: Tensor
    """Before clipping."""
    stepped: bool


class EpochTotals:
    """Sums over one epoch's steps, kept on the device so that no step waits for it."""

    def __init__(self, device: torch.device) -> None:
        self._sums = torch.zeros(2, dtype=torch.float64, device=device)
        self._num_samples = 0
        self.steps = 0
        self.skipped_steps = 0
        self.learning_rate = nan

    def add(self, step: Step, num_samples: int, learning_rate: float) -> None:
        """Count a step; one that was skipped had no finite gradient and only counts as that."""
        if not step.stepped:
            self.skipped_steps += 1
            return
        self._sums[0] += step.loss * num_samples
        self._sums[1] += step.grad_norm
        self._num_samples += num_samples
        self.steps += 1
        self.learning_rate = learning_rate

    def means(self) -> tuple[float, float]:
        """Mean loss over samples and mean gradient norm over steps; NaN if no step was made."""
        if self.steps == 0:
            return nan, nan
        loss, grad_norm = self._sums.tolist()
        return loss / self._num_samples, grad_norm / self.steps


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
