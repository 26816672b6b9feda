"""The training loop.

    state = prepare(config, device)
    for result in train(state, checkpoints): ...
    metrics = test(state)

To stop a run early, stop iterating.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from math import isfinite, nan
from time import perf_counter

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_value_, clip_grads_with_norm_, get_total_norm

from bakeoff.records import EpochResult, TrainingConfig
from bakeoff.training.averaging import switch_to_training
from bakeoff.training.batches import num_drawn
from bakeoff.training.epoch_batches import Batch
from bakeoff.training.evaluation import measure, prepare_to_evaluate, read_test, test
from bakeoff.training.flat import FlatStep
from bakeoff.training.rank_checkpoints import Saving
from bakeoff.training.shards import accumulate_over_ranks, rank_batches
from bakeoff.training.snapshot import restore
from bakeoff.training.state import TrainingState, prepare
from bakeoff.training.totals import EpochTotals, Step

NORM_EPSILON = 1e-6
"""Keeps a norm of 0 from dividing. Source: `torch.nn.utils.clip_grads_with_norm_`"""

__all__ = ["prepare", "read_test", "test", "train", "train_step"]


def train(state: TrainingState, checkpoints: Saving | None = None) -> Iterator[EpochResult]:
    """Train epoch by epoch and yield each epoch's result; only the last status is not `running`.

    If `checkpoints` holds a checkpoint, its epochs are yielded again as they were recorded, and
    training continues bit by bit as if it had not been interrupted. An epoch is saved before it is
    yielded, unless saving would cost more than 1 % of the training time since the last save. Within
    a long epoch, a step is saved every five minutes. The caller may call `checkpoints.save(state)`
    at any yield. After `checkpoints.suspend()`, which another thread may call, training ends after
    the step in progress, which is saved; `state.is_over` is False then.

    Raises:
        CheckpointError: The checkpoint belongs to another run, other data or another model.
        OSError: A checkpoint cannot be written.
    """
    payload = None if checkpoints is None else checkpoints.load()
    if payload is not None:
        restore(state, payload)
    yield from tuple(state.history)
    while not state.is_over:
        measured = run_epoch(state, checkpoints)
        if measured is None:
            return
        result = state.record(measured)
        if checkpoints is not None and checkpoints.is_due(state.seconds_since_save):
            checkpoints.save(state)
        yield result


def run_epoch(state: TrainingState, checkpoints: Saving | None = None) -> EpochResult | None:
    """Train one epoch and evaluate it; a diverged epoch is not evaluated, its metrics are NaN.

    None if `checkpoints` was asked to suspend the run within the epoch.
    """
    totals = state.totals = state.totals or EpochTotals()
    started = perf_counter() - totals.seconds
    for _ in epoch_steps(state, totals):
        totals.seconds = perf_counter() - started
        if checkpoints is not None and checkpoints.is_due_within_epoch(state):
            checkpoints.save(state)
            if checkpoints.is_suspended:
                return None
    train_loss, grad_norm = totals.means()
    state.ranks.check_equal(state.model, state.epoch + 1)
    trained = perf_counter()
    if isfinite(train_loss):
        prepare_to_evaluate(state)
        metrics, confusion = measure(state, state.splits.validation)
        state.schedule.end_epoch(metrics[state.objective.name])
    else:
        metrics, confusion = dict.fromkeys(state.metric_functions, nan), ()
    return EpochResult(
        epoch=state.epoch + 1,
        metrics=metrics,
        train_loss=train_loss,
        learning_rate=totals.learning_rate,
        grad_norm=grad_norm,
        steps=totals.steps,
        skipped_steps=totals.skipped_steps,
        train_seconds=trained - started,
        data_seconds=totals.data_seconds,
        evaluate_seconds=perf_counter() - trained,
        confusion=confusion,
    )


def train_epoch(state: TrainingState) -> EpochTotals:
    """Make one pass over the training samples, in this epoch's order."""
    totals = EpochTotals()
    for _ in epoch_steps(state, totals):
        pass
    return totals


def epoch_steps(state: TrainingState, totals: EpochTotals) -> Iterator[None]:
    """Make the steps of one epoch that `totals` has not counted, yielding after each of them."""
    training = state.config.training
    state.begin_steps()
    switch_to_training(state.optimizer)
    if state.average is not None:
        state.average.begin(state.flat)
    skip = -(-totals.drawn // training.batch_size)
    batches = totals.timed(rank_batches(state, skip))
    left = num_drawn(len(state.splits.train), training.batch_size) - totals.drawn
    while left:
        num_samples = min(left, training.batch_size * training.accumulation_steps)
        learning_rate = state.schedule.learning_rate
        step = train_step(state, islice(batches, training.accumulation_steps), num_samples)
        totals.add(step, num_samples, learning_rate)
        left -= num_samples
        yield
    next(batches, None)  # ends the generator, so that loader processes finish their epoch


def train_step(state: TrainingState, batches: Iterable[Batch], num_samples: int) -> Step:
    """Make one optimizer step on all samples of `batches`, and advance the schedule.

    It waits nowhere for the device, except that an optimizer without a fused implementation has to
    know under fp16 whether it may step. Schedule and average therefore count a step that the scaler
    skips, which changes no weight.
    """
    accumulate = accumulate_gradients if state.ranks.is_alone else accumulate_over_ranks
    loss = accumulate(state, batches, num_samples)
    state.scaler.unscale_(state.optimizer)
    grad_norm = clip_gradients(state)
    state.lap("rest")
    skipped = step_optimizer(state)
    state.lap("optimizer")
    state.schedule.advance()
    if state.average is not None:
        state.average.update()
    state.lap("rest")
    return Step(loss, grad_norm, skipped)


def accumulate_gradients(
    state: TrainingState, batches: Iterable[Batch], num_samples: int
) -> Tensor:
    """Accumulate gradients of the mean loss over all `num_samples` samples; return that loss."""
    total: Tensor | None = None
    for inputs, labels in batches:
        state.lap("data")
        with state.autocast():
            loss = state.criterion(state.model(inputs), labels)
        if len(labels) < num_samples:
            loss = loss * (len(labels) / num_samples)
        state.lap("forward")
        state.scaler.scale(loss).backward()
        make_dense(state.trainable)
        state.lap("backward")
        total = loss.detach() if total is None else total + loss.detach()
    if total is None:
        raise ValueError("a step needs at least one batch")
    return total


def make_dense(trainable: Sequence[nn.Parameter]) -> None:
    """Make sparse gradients dense, which embeddings with `sparse=True` have.

    So clipping, weight decay, fused steps and every optimizer treat them as any others. The values
    are those that the same embedding with `sparse=False` has.
    """
    for weights in trainable:
        if weights.grad is not None and weights.grad.layout is not torch.strided:
            weights.grad = weights.grad.to_dense()


def clip_gradients(state: TrainingState) -> Tensor:
    """Clip by norm and then by value, where configured; return the norm before clipping."""
    training = state.config.training
    if state.flat is not None:
        return clip_flat(state.flat, training)
    gradients = [weights.grad for weights in state.trainable if weights.grad is not None]
    norm = total_norm(gradients)
    if training.clip_grad_norm is not None and gradients:
        clip_norm(state.trainable, gradients, training.clip_grad_norm, norm)
    if training.clip_grad_value is not None:
        clip_values(state.trainable, training.clip_grad_value)
    return norm


def clip_flat(flat: FlatStep, training: TrainingConfig) -> Tensor:
    """As `clip_gradients`, on the buffer of all gradients."""
    norm = flat.collect()
    if training.clip_grad_norm is not None:
        flat.gradients.mul_(_kept_share(training.clip_grad_norm, norm))
    if training.clip_grad_value is not None:
        flat.gradients.clamp_(-training.clip_grad_value, training.clip_grad_value)
    return norm


def _kept_share(limit: float, norm: Tensor) -> Tensor:
    """What is left of gradients of this norm, in (0, 1]."""
    return torch.clamp(limit / (norm + NORM_EPSILON), max=1.0)


def clip_norm(
    trainable: Sequence[nn.Parameter], gradients: Sequence[Tensor], limit: float, norm: Tensor
) -> None:
    """Scale all gradients so that their norm is at most `limit`.

    The result is that of torch's `clip_grads_with_norm_`, bit by bit, which on CPUs scales one
    tensor after the other.
    """
    if any(one.device.type != "cpu" for one in gradients):
        clip_grads_with_norm_(trainable, limit, norm)
        return
    torch._foreach_mul_(list(gradients), _kept_share(limit, norm))


def clip_values(trainable: Sequence[nn.Parameter], limit: float) -> None:
    """Clip every number of the gradients to [-limit, limit]; a complex one is a pair of numbers."""
    if not any(weights.is_complex() for weights in trainable):
        clip_grad_value_(trainable, limit)
        return
    for weights in trainable:
        if weights.grad is None:
            continue
        if weights.is_complex():
            parts = torch.view_as_real(weights.grad.resolve_conj())
            weights.grad = torch.view_as_complex(parts.clamp(-limit, limit))
        else:
            weights.grad.clamp_(-limit, limit)


def total_norm(gradients: Sequence[Tensor]) -> Tensor:
    """The norm of all gradients as one vector, a scalar; 0 for no gradients.

    The result is that of torch's `get_total_norm`, bit by bit. On the CPU torch takes the norm of
    one tensor after another as well, but first sorts them by device and type, which in a small
    network costs as much as the norms.
    """
    if not gradients or any(one.device.type != "cpu" for one in gradients):
        return get_total_norm(gradients)
    norms = torch._foreach_norm(list(gradients))  # noqa: SLF001 - as in torch's own norms
    norm: Tensor = torch.linalg.vector_norm(torch.stack(norms))
    return norm


def step_optimizer(state: TrainingState) -> Tensor | None:
    """Step unless the scaler found a gradient that is not finite.

    Returns:
        A number above 0 on the device if the step was skipped, else 0; None without a scaler.
    """
    if state.flat is not None:
        state.flat.step()
        return None
    scaler, skipped = state.scaler, None
    if scaler.is_enabled():
        # Reading the scale before and after, which torch documents, would wait for the device.
        found = scaler._found_inf_per_device(state.optimizer)  # noqa: SLF001
        skipped = next(iter(found.values()), None)
    scaler.step(state.optimizer)
    scaler.update()
    for weights in state.trainable:  # as `zero_grad()`, without the time its hooks take
        weights.grad = None
    return skipped
