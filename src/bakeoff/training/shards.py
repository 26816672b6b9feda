"""How several ranks train on the batches of one: each on its own part of every batch.

The order of samples, their augmentation and their mixing are those of a single process. Each rank
computes the mean loss over its part. The parts count by what their losses divide by, so that the
sum of their gradients is the gradient of the mean over the whole batch.

Shapes: inputs [N, ...], labels [N], class probabilities [N, C], masks [N, H, W].
"""

from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from itertools import islice
from typing import cast

import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from bakeoff.data.masks import IGNORED
from bakeoff.registry import is_reference
from bakeoff.training.batches import num_drawn
from bakeoff.training.epoch_batches import Batch, plain_batches, training_batches
from bakeoff.training.ranks import Ranks
from bakeoff.training.state import TrainingState


def rank_batches(state: TrainingState, skip: int = 0) -> Iterator[Batch]:
    """This rank's part of each batch of the epoch in training, without the first `skip` batches."""
    if state.ranks.is_alone:
        return training_batches(state, skip)
    if fetches_parts(state):
        return plain_batches(state, skip=skip, ranks=state.ranks)
    return cut_batches(training_batches(state, skip), state.ranks)


def fetches_parts(state: TrainingState) -> bool:
    """Whether a rank can fetch its part of a batch alone and get what the whole batch would give.

    Mixing needs the whole batch, and so may an augmentation of the user's own. The random numbers
    of a data set of the user's depend on how often a sample was drawn before.
    """
    config, training, ranks = state.config, state.config.training, state.ranks
    rest = num_drawn(len(state.splits.train), training.batch_size) % training.batch_size
    is_last_larger = ranks.part_of(rest).size > ranks.part_of(training.batch_size).size
    mixes = training.mixup_alpha > 0 or training.cutmix_alpha > 0
    is_own = any(map(is_reference, config.data.augment))
    repeats = training.sampling == "weighted" and not isinstance(state.splits.train.inputs, Tensor)
    return not (mixes or is_own or repeats or is_last_larger)


def cut_batches(batches: Iterable[Batch], ranks: Ranks) -> Iterator[Batch]:
    """This rank's part of each batch."""
    for inputs, labels in batches:
        part = ranks.part_of(len(labels))
        yield inputs[part.start : part.stop], labels[part.start : part.stop]


def accumulate_over_ranks(
    state: TrainingState, batches: Iterable[Batch], num_samples: int
) -> Tensor:
    """As `bakeoff.training.loop.accumulate_gradients`, from this rank's parts of the batches.

    The gradients of all ranks are averaged in the backward pass of the last batch, which is why
    each loss is multiplied by the number of ranks. The returned loss is that of all ranks.
    """
    ranks, left = state.ranks, num_samples
    replica = cast("DistributedDataParallel", state.replica)
    total = torch.zeros((), device=state.device)
    sizes = [state.config.training.batch_size] * (num_samples // state.config.training.batch_size)
    sizes += [num_samples - sum(sizes)] if num_samples > sum(sizes) else []
    for size, (inputs, labels) in zip(sizes, islice(batches, len(sizes)), strict=True):
        state.lap("data")
        left -= size
        with replica.no_sync() if left else nullcontext():
            with state.autocast():
                loss = state.criterion(replica(inputs), labels)
            loss = loss * (share_of_loss(state, labels, size) * (size / num_samples))
            state.lap("forward")
            state.scaler.scale(loss * ranks.size).backward()
        state.lap("backward")
        total = total + loss.detach()
    return ranks.add_up(total)


def share_of_loss(state: TrainingState, labels: Tensor, num_samples: int) -> float | Tensor:
    """What this rank's mean loss contributes to the mean over a batch of `num_samples`.

    The loss of pixels is a mean over those that count, and only all ranks know how many those are.
    Every other loss is a mean over samples.
    """
    if state.splits.task != "segmentation":
        return state.ranks.part_of(num_samples).share
    counted = (labels != IGNORED).sum().float()
    return counted / state.ranks.add_up(counted.clone()).clamp(min=1)
