"""Fetching samples that are not in memory, with as many loader processes as help.

A sample is the same whichever process fetches it (see `bakeoff.data.sample_source`). The number of
processes can therefore be tuned while a run trains: 0 first, then 2, 4, 8, ... as long as the time
per batch clearly falls.
"""

import logging
import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import lru_cache, partial
from time import perf_counter
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from bakeoff.child_process import ignore_interrupts, num_cores
from bakeoff.data.sample_source import Part, SampleInputs, SampleSource, as_labels
from bakeoff.errors import DataError
from bakeoff.training.device import to_device
from bakeoff.training.placement import on_host

logger = logging.getLogger(__name__)

LOADER_SECONDS = 600.0
"""Time after which a batch from loader processes counts as failed."""
MEASURED_BATCHES = 8
"""Batches on which a number of processes is timed, after the batches that it fetches ahead."""
PREFETCHED = 2
"""Batches that each process fetches ahead."""
MIN_GAIN = 0.10
"""Smallest share of the time per batch that more processes must save."""
START_SECONDS = 3.0
"""Approximate time to start processes. An epoch must spend this long waiting to be worth it."""


class Request(NamedTuple):
    """The samples of one batch, and the seed of their random numbers."""

    part: Part
    rows: tuple[int, ...]
    seed: int
    repeats: tuple[int, ...] = ()
    """For each row, how many times it came earlier in the epoch; empty if no row did."""


class Fetched(NamedTuple):
    """The samples of one batch, as the data set returned them."""

    inputs: NDArray[Any]
    labels: tuple[Any, ...]


class RequestedBatches(Dataset[Fetched | DataError]):
    """A data set whose index is a whole request; loader processes run it."""

    def __init__(self, source: SampleSource) -> None:
        self._source = source

    def __getitem__(self, request: Request) -> Fetched | DataError:
        """Fetch the batch, or return the error: a DataLoader would wrap a raised one's message."""
        try:
            inputs, labels = self._source.fetch(
                request.part, request.rows, request.seed, request.repeats
            )
        except DataError as error:
            return DataError(str(error))
        return Fetched(inputs, tuple(labels))


@dataclass(kw_only=True)
class WorkerTuning:
    """Finds the number of loader processes that fetches fastest, by timing them during training."""

    limit: int
    """Largest number of processes."""
    best: int = 0
    candidate: int | None = 0
    """The next number to time; None when the search is over."""
    seconds_per_batch: dict[int, float] = field(default_factory=dict)
    """Time per batch, training step included, by number of processes."""

    def record(self, seconds: float, fetching: float, num_batches: int) -> None:
        """Record the candidate's time and choose the next candidate.

        Args:
            seconds: Time per batch.
            fetching: Share of that time spent waiting for the batch.
            num_batches: Batches in an epoch.
        """
        tried = cast("int", self.candidate)
        self.seconds_per_batch[tried] = seconds
        if tried and seconds > (1 - MIN_GAIN) * self.seconds_per_batch[self.best]:
            self.candidate = None
        else:
            self.best = tried
            waits = fetching > MIN_GAIN and num_batches * fetching * seconds > START_SECONDS
            # A single process saves little more time than it takes to start.
            following = 2 * tried or min(2, self.limit)
            self.candidate = following if waits and following <= self.limit else None
        if self.candidate is None:
            logger.info("%s", self.describe())

    def describe(self) -> str:
        """`2 loader processes (0: 40 ms, 2: 22 ms, 4: 21 ms per batch)`."""
        times = ", ".join(f"{n}: {1e3 * s:.3g} ms" for n, s in self.seconds_per_batch.items())
        return f"{self.best} loader processes ({times or 'nothing timed'} per batch)"


class BatchLoader:
    """Fetches batches in order, and ahead of their use where loader processes help.

    The processes are kept from epoch to epoch and from run to run. They are spawned, never forked,
    and end when this process ends.
    """

    def __init__(self, source: SampleSource, tuning: WorkerTuning) -> None:
        self.tuning = tuning
        self._batches = RequestedBatches(source)
        self._requests: list[Request] = []
        self._loader: DataLoader[Fetched | DataError] | None = None
        self._num_workers = 0

    def fetch(self, requests: Sequence[Request], *, tune: bool = False) -> Iterator[Fetched]:
        """The requested batches, in the order of the requests.

        Args:
            requests: One for each batch.
            tune: Whether to time numbers of processes on these batches, which training does.

        Raises:
            DataError: A sample cannot be fetched, or a loader process died or hangs.
        """
        done = 0
        while tune and self.tuning.candidate is not None:
            num_workers = self.tuning.candidate
            num_ahead = max(1, PREFETCHED * num_workers)
            segment = requests[done : done + num_ahead + MEASURED_BATCHES]
            if len(segment) < num_ahead + MEASURED_BATCHES:
                break
            yield from self._time(num_workers, segment, num_ahead, len(requests))
            done += len(segment)
        yield from self._run(self.tuning.best, requests[done:])

    def _time(
        self, num_workers: int, segment: Sequence[Request], num_ahead: int, num_batches: int
    ) -> Iterator[Fetched]:
        """Fetch a segment and record the time from one batch to the next."""
        waited, started = 0.0, 0.0
        with closing(self._run(num_workers, segment)) as batches:
            for number in range(len(segment)):
                if number == num_ahead:
                    waited, started = 0.0, perf_counter()
                asked = perf_counter()
                batch = next(batches)
                waited += perf_counter() - asked
                yield batch
            elapsed = perf_counter() - started
            next(batches, None)  # ends the iterator; closing it early would end its processes
        self.tuning.record(elapsed / MEASURED_BATCHES, waited / elapsed, num_batches)

    def _run(self, num_workers: int, requests: Sequence[Request]) -> Generator[Fetched, None, None]:
        if not requests:
            return
        if num_workers == 0:
            yield from map(_raise_error, map(self._batches.__getitem__, requests))
            return
        self._requests[:] = requests
        try:
            yield from map(_raise_error, self._open(num_workers))
        except RuntimeError as error:  # torch raises it if a process died or is too slow
            self._loader = None
            if "DataLoader" not in str(error):
                raise
            raise DataError(f"a loader process failed: {' '.join(str(error).split())}") from None
        except BaseException:
            self._loader = None  # nobody will use the batches it fetched ahead
            raise

    def _open(self, num_workers: int) -> "DataLoader[Fetched | DataError]":
        if self._loader is None or self._num_workers != num_workers:
            self._loader, self._num_workers = None, num_workers  # the old processes end first
            self._loader = DataLoader(
                self._batches,
                batch_size=None,
                sampler=self._requests,  # the index of this data set is a request
                num_workers=num_workers,
                collate_fn=_keep_arrays,
                timeout=LOADER_SECONDS,
                multiprocessing_context="spawn",
                worker_init_fn=partial(_set_up_worker, os.getpid()),
                # A separate generator, so that starting draws nothing from the run's generator.
                generator=torch.Generator(),
                prefetch_factor=PREFETCHED,
                persistent_workers=True,
            )
        return self._loader


class LoadedInputs:
    """Inputs of one part of a data set, fetched when they are used.

    Args:
        inputs: The samples of this part.
        loader: The loader that fetches them.
        device: The device to put batches on.
    """

    def __init__(self, inputs: SampleInputs, loader: BatchLoader, device: torch.device) -> None:
        self._inputs = inputs
        self.loader = loader
        self._device = device

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of an array of all inputs, [N, ...]."""
        return self._inputs.shape

    @property
    def dtype(self) -> torch.dtype:
        """The type of the inputs, as the data set returns them."""
        return torch.uint8 if self._inputs.dtype == np.uint8 else torch.float32

    def fetch(
        self, chunks: Sequence[Tensor], seed: int, *, tune: bool, skip: int = 0
    ) -> Iterator[Tensor]:
        """Inputs [n, ...] of each chunk of rows, as the data set returns them.

        Args:
            chunks: For each batch its rows [n].
            seed: Each sample's random numbers depend on this seed, the sample, and how many times
                it came earlier in these chunks.
            tune: As in `BatchLoader.fetch`.
            skip: Number of chunks at the beginning that are not fetched.

        Raises:
            DataError: As there; or a batch differs in shape from the first sample.
        """
        indices = [rows.numpy() for rows in on_host(chunks)]
        requests = [
            Request(
                part=self._inputs.part,
                rows=tuple(self._inputs.rows[index].tolist()),
                seed=seed,
                repeats=tuple(earlier.tolist()),
            )
            for index, earlier in zip(indices, count_repeats(indices), strict=True)
        ][skip:]
        batches = self.loader.fetch(requests, tune=tune)
        for request, index, fetched in zip(requests, indices[skip:], batches, strict=True):
            self._check(request, self._inputs.labels[index], fetched)
            yield to_device(torch.from_numpy(fetched.inputs), self._device)

    def _check(self, request: Request, labels: NDArray[Any], fetched: Fetched) -> None:
        """Make sure that labels, shape and type are those that were first read."""
        known, where = self._inputs, f"{self._inputs.source.reference}: {request.part} sample"
        shape, dtype = fetched.inputs.shape[1:], fetched.inputs.dtype
        if (shape, dtype) != (known.sample_shape, known.dtype):
            raise DataError(
                f"{where} {request.rows[0]} is {dtype} {list(shape)}, the first one is "
                f"{known.dtype} {list(known.sample_shape)}; all must be of one shape and type"
            )
        got = as_labels(fetched.labels, where)
        if not np.array_equal(got.astype(labels.dtype), labels):
            differs = got.astype(labels.dtype) != labels
            place = int(np.argmax(differs.reshape(len(labels), -1).any(axis=1)))
            found, first = f"the label {got[place]}", f"{labels[place]}"
            if labels.ndim > 2:  # noqa: PLR2004 - [n, H, W], too long to show
                found, first = "another mask", "the one before"
            raise DataError(
                f"{where} {request.rows[place]} has {found}, but was first "
                f"read as {first}; labels must be those of its `targets` and never change"
            )


def describe_loading(inputs: object) -> str:
    """With how many processes the inputs of a split are fetched; empty before this is known.

    It names no times, so that the runs of all workers say the same if they found the same.
    """
    tuning = inputs.loader.tuning if isinstance(inputs, LoadedInputs) else None
    if tuning is None or tuning.candidate is not None:
        return ""
    timed = ", ".join(map(str, tuning.seconds_per_batch))
    return f"a worker fetches samples with {tuning.best} loader processes (timed: {timed})"


def count_repeats(chunks: Sequence[NDArray[np.int64]]) -> list[NDArray[np.int64]]:
    """For each row of each chunk, how many times it occurs earlier."""
    rows = np.concatenate(chunks) if chunks else np.empty(0, dtype=np.int64)
    order = np.argsort(rows, kind="stable")
    places = np.arange(len(rows))
    is_first = np.diff(rows[order], prepend=-1) != 0
    repeats = np.empty_like(places)
    repeats[order] = places - np.maximum.accumulate(np.where(is_first, places, 0))
    return np.split(repeats, np.cumsum([len(chunk) for chunk in chunks])[:-1])


@lru_cache(maxsize=1)
def open_loader(source: SampleSource, fingerprint: str) -> BatchLoader:  # noqa: ARG001 - the key
    """The loader of a data set, with its processes and the timings of their number.

    The last loader is kept, because successive runs in a process use the same data.

    Args:
        source: The data set.
        fingerprint: The fingerprint of the data; changed data gets a new loader.
    """
    return BatchLoader(source, WorkerTuning(limit=num_cores()))


def _raise_error(fetched: Fetched | DataError) -> Fetched:
    if isinstance(fetched, DataError):
        raise fetched
    return fetched


def _keep_arrays(fetched: Any) -> Any:
    """Return arrays as they are: they travel through a pipe, tensors would need shared memory."""
    return fetched


def _set_up_worker(parent: int, _: int) -> None:
    ignore_interrupts(parent)
