"""The batches of all members of a stack: each has samples, order and augmentation of its own.

Shapes: N members, B samples of a batch; inputs [N, B, ...], labels [N, B, ...].
"""

from collections.abc import Iterator, Sequence
from itertools import islice

import torch
from torch import Tensor

from bakeoff.training.batches import CHUNK_BYTES
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
    # Chunks begin at multiples of their size, as for a run alone, whatever is left out.
    first, left_out = divmod(skip, chunk // batch_size)
    for start in range(first * chunk, len(samples[0].order), chunk):
        inputs, labels = _gather(states, samples, slice(start, start + chunk))
        parts = (torch.split(one, batch_size, 1) for one in (inputs, labels))
        pairs = zip(*parts, strict=True)
        yield from islice(pairs, left_out, None)
        left_out = 0


def _gather(
    states: Sequence[TrainingState], samples: Sequence[EpochSamples], part: slice
) -> StackedBatch:
    """Some places of every member's epoch: normalised inputs [N, n, ...] and labels [N, n, ...]."""
    split = states[0].splits.train
    if not isinstance(split.inputs, Tensor):
        raise NotStackableError("the samples are not in the device's memory")
    rows = torch.cat([split.rows[one.order[part]] for one in samples])
    raw = split.inputs.index_select(0, rows)
    shares = raw.chunk(len(samples))
    if samples[0].augment is not None:
        raw = torch.cat(
            [
                share if one.augment is None else one.augment(share, one.draws[part])
                for one, share in zip(samples, shares, strict=True)
            ]
        )
    inputs = split.normalisation(raw)
    labels = split.labels.index_select(0, rows)
    if not labels.is_floating_point():
        labels = labels.long()
    num = len(samples)
    return (
        inputs.reshape(num, -1, *inputs.shape[1:]),
        labels.reshape(num, -1, *labels.shape[1:]),
    )
