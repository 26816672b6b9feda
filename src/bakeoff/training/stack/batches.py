"""The batches of all members of a stack: each has samples, order and augmentation of its own.

Shapes: N members, B samples of a batch; inputs [N, B, ...], labels [N, B, ...].
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

import torch
from torch import Tensor

from bakeoff.training.batches import CHUNK_BYTES, Split
from bakeoff.training.epoch_batches import EpochSamples, epoch_samples
from bakeoff.training.stack.layers import NotStackableError
from bakeoff.training.state import TrainingState

StackedBatch = tuple[Tensor, Tensor]


def stacked_batches(states: Sequence[TrainingState], skip: int = 0) -> Iterator[StackedBatch]:
    """The batches of each member's epoch in training, side by side, without the first `skip`.

    Each member's are those that it would train with alone. They share the data and its splits.
    """
    split = states[0].splits.train
    samples = [epoch_samples(state) for state in states]
    batch_size = states[0].config.training.batch_size
    chunk = batch_size * max(1, CHUNK_BYTES // (split.sample_bytes * batch_size * len(states)))
    gather = _gatherer(split, samples)
    # Chunks begin at multiples of their size, as for a run alone, whatever is left out.
    first, left_out = divmod(skip, chunk // batch_size)
    for start in range(first * chunk, len(samples[0].order), chunk):
        stop = min(start + chunk, len(samples[0].order))
        batches = _batches(gather, start, stop, batch_size)
        yield from islice(batches, left_out, None)
        left_out = 0


Gather = Callable[[slice, int], StackedBatch]
"""Gives S batches [S, N, B, ...] of a part of the epoch, and their labels."""


def _batches(gather: Gather, start: int, stop: int, batch_size: int) -> Iterator[StackedBatch]:
    """The batches of a chunk of the epoch; only the last one may be incomplete."""
    whole = stop - (stop - start) % batch_size
    for part, size in ((slice(start, whole), batch_size), (slice(whole, stop), stop - whole)):
        if part.stop > part.start:
            inputs, labels = gather(part, size)
            yield from zip(inputs.unbind(), labels.unbind(), strict=True)


def _gatherer(split: Split, samples: Sequence[EpochSamples]) -> Gather:
    """What gathers the batches of an epoch.

    Small data that is not augmented is normalised once, for all members.
    """
    inputs = split.inputs
    if not isinstance(inputs, Tensor):
        raise NotStackableError("the samples are not in the device's memory")
    labels = split.labels.index_select(0, split.rows)
    labels = labels if labels.is_floating_point() else labels.long()
    orders = torch.stack([one.order for one in samples])
    is_augmented = samples[0].augment is not None
    normalised: Tensor | None = None
    if not is_augmented and len(split) * split.sample_bytes <= CHUNK_BYTES:
        normalised = split.normalisation(inputs.index_select(0, split.rows))

    def gather(part: slice, batch_size: int) -> StackedBatch:
        order = orders[:, part].reshape(len(samples), -1, batch_size).transpose(0, 1)
        places = order.flatten()
        if normalised is not None:
            found = normalised.index_select(0, places)
        elif not is_augmented:
            found = split.normalisation(inputs.index_select(0, split.rows[places]))
        else:
            found = _augmented(split, inputs, samples, part)
            found = found.view(len(samples), -1, batch_size, *found.shape[1:])
            return found.transpose(0, 1), labels[order]
        return found.view(*order.shape, *found.shape[1:]), labels[order]

    return gather


def _augmented(
    split: Split, inputs: Tensor, samples: Sequence[EpochSamples], part: slice
) -> Tensor:
    """Some places of every member's epoch, member after member, [N * n, ...]."""
    raw = [inputs.index_select(0, split.rows[one.order[part]]) for one in samples]
    changed = [
        share if one.augment is None else one.augment(share, one.draws[part])
        for one, share in zip(samples, raw, strict=True)
    ]
    return split.normalisation(torch.cat(changed))
