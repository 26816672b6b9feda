"""Fetching samples that do not stand in memory, by as many loader processes as help.

Bits do not depend on who fetches a sample (see `bakeoff.data.sample_source`), so the number
of processes is found while a run trains: none first, then 2, 4, 8, ... while a batch comes clearly
sooner.
"""

import logging
import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import lru_cache, partial
from time import perf_counter
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from bakeoff.child_process import ignore_interrupts, num_cores
from bakeoff.data.sample_source import Part, SampleInputs, SampleSource, as_labels
from bakeoff.errors import DataError

logger = logging.getLogger(__name__)

LOADER_SECONDS = 600.0
"""A batch that takes loader processes longer is given up."""
MEASURED_BATCHES = 8
"""Batches that one number of processes is timed on, after those that it fetches ahead."""
PREFETCHED = 2
"""Batches that each process fetches ahead."""
MIN_GAIN = 0.10
"""Share of the time of a batch that more processes must save."""
NOTHING: NDArray[Any] = np.empty(0)
START_SECONDS = 3.0
"""What it takes to start processes, about: an epoch must spend this long fetching."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """Samples of one batch, and what their random numbers are drawn from."""

    part: Part
    rows: tuple[int, ...]
    seed: int
    repeats: tuple[int, ...] = ()
    """For each row, how often it came before in the epoch; empty if none did."""


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """A batch, or why there is none."""

    inputs: NDArray[Any]
    labels: tuple[Any, ...] = ()
    problem: str = ""


class RequestedBatches(Dataset[Fetched]):
    """A data set whose index is a whole request: what a loader process serves."""

    def __init__(self, source: SampleSource) -> None:
        self._source = source

    def __getitem__(self, request: Request) -> Fetched:
        """Fetch the batch; an error is returned, because raising it here would wrap its message."""
        try:
            inputs, labels = self._source.fetch(
                request.part, request.rows, request.seed, request.repeats
            )
        except DataError as error:
            return Fetched(inputs=NOTHING, problem=str(error))
        return Fetched(inputs=inputs, labels=tuple(labels))


@dataclass(kw_only=True)
class WorkerTuning:
    """Finds how many loader processes fetch fastest, by timing them in use."""

    limit: int
    """At most this many."""
    best: int = 0
    candidate: int | None = 0
    """To be timed next; None when the search is over."""
    seconds_per_batch: dict[int, float] = field(default_factory=dict)
    """By number of processes, training steps included."""

    def record(self, seconds: float, fetching: float, num_batches: int) -> None:
        """Take note of the candidate's time and choose the next one.

        Args:
            seconds: Time per batch.
            fetching: Share of it that was spent waiting for the batch.
            num_batches: Batches in an epoch.
        """
        tried = cast("int", self.candidate)
        self.seconds_per_batch[tried] = seconds
        if tried and seconds > (1 - MIN_GAIN) * self.seconds_per_batch[self.best]:
            self.candidate = None
        else:
            self.best = tried
            waits = fetching > MIN_GAIN and num_batches * fetching * seconds > START_SECONDS
            # One process alone gains little more than its start costs.
            following = 2 * tried or min(2, self.limit)
            self.candidate = following if waits and following <= self.limit else None
        if self.candidate is None:
            logger.info("%s", self.describe())

    def describe(self) -> str:
        """`2 loader processes (0: 40 ms, 2: 22 ms, 4: 21 ms per batch)`."""
        times = ", ".join(f"{n}: {1e3 * s:.3g} ms" for n, s in self.seconds_per_batch.items())
        return f"{self.best} loader processes ({times or 'nothing timed'} per batch)"


class BatchLoader:
    """Fetches batches in order, ahead of their use where processes help.

    The processes are kept from epoch to epoch and from run to run; they are spawned, never forked,
    and end with this one.
    """

    def __init__(self, source: SampleSource, tuning: WorkerTuning) -> None:
        self.tuning = tuning
        self._batches = RequestedBatches(source)
        self._requests: list[Request] = []
        self._loader: DataLoader[Fetched] | None = None
        self._num_workers = 0

    def fetch(self, requests: Sequence[Request], *, tunes: bool = False) -> Iterator[Fetched]:
        """The batches that are asked for.

        Args:
            requests: In the order they are wanted.
            tunes: Whether these are batches of training, on which processes are timed.

        Raises:
            DataError: A sample cannot be fetched, or a loader process died or hangs.
        """
        done = 0
        while tunes and self.tuning.candidate is not None:
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
        """Fetch a segment and record how long a batch took, from one to the next."""
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
            next(batches, None)  # to its end: one that is broken off ends its processes
        self.tuning.record(elapsed / MEASURED_BATCHES, waited / elapsed, num_batches)

    def _run(self, num_workers: int, requests: Sequence[Request]) -> Generator[Fetched, None, None]:
        if not requests:
            return
        if num_workers == 0:
            yield from map(_checked, map(self._batches.__getitem__, requests))
            return
        self._requests[:] = requests
        try:
            yield from map(_checked, self._open(num_workers))
        except RuntimeError as error:  # torch says so where a process died or is too slow
            self._loader = None
            if "DataLoader" not in str(error):
                raise
            raise DataError(f"a loader process failed: {' '.join(str(error).split())}") from None
        except BaseException:
            self._loader = None  # what it has fetched ahead is nobody's
            raise

    def _open(self, num_workers: int) -> "DataLoader[Fetched]":
        if self._loader is None or self._num_workers != num_workers:
            self._loader, self._num_workers = None, num_workers  # the old processes end first
            self._loader = DataLoader(
                self._batches,
                batch_size=None,
                sampler=self._requests,  # an index is a request here
                num_workers=num_workers,
                collate_fn=_as_it_is,
                timeout=LOADER_SECONDS,
                multiprocessing_context="spawn",
                worker_init_fn=partial(_set_up_worker, os.getpid()),
                # Its own, so that starting draws nothing from the run's generator.
                generator=torch.Generator(),
                prefetch_factor=PREFETCHED,
                persistent_workers=True,
            )
        return self._loader


class LoadedInputs:
    """Inputs of one part of a data set, fetched when they are wanted.

    Args:
        inputs: Which samples these are.
        loader: What fetches them.
        device: Where batches are put.
    """

    def __init__(self, inputs: SampleInputs, loader: BatchLoader, device: torch.device) -> None:
        self._inputs = inputs
        self.loader = loader
        self._device = device

    @property
    def shape(self) -> tuple[int, ...]:
        """Of an array of all of them, [N, ...]."""
        return self._inputs.shape

    @property
    def dtype(self) -> torch.dtype:
        """Of the inputs, as the data set gives them."""
        return torch.uint8 if self._inputs.dtype == np.uint8 else torch.float32

    def fetch(self, chunks: Sequence[Tensor], seed: int, *, tunes: bool) -> Iterator[Tensor]:
        """Inputs [n, ...] of each chunk of rows, as the data set gives them.

        Args:
            chunks: Rows [n] of a batch each.
            seed: Each sample's random numbers follow from it, the sample, and how often it came
                before in these chunks.
            tunes: As in `BatchLoader.fetch`.

        Raises:
            DataError: As there; or a batch has another shape than the first sample had.
        """
        indices = [chunk.cpu().numpy() for chunk in chunks]
        requests = [
            Request(
                part=self._inputs.part,
                rows=tuple(self._inputs.rows[index].tolist()),
                seed=seed,
                repeats=tuple(earlier.tolist()),
            )
            for index, earlier in zip(indices, count_repeats(indices), strict=True)
        ]
        batches = self.loader.fetch(requests, tunes=tunes)
        for request, index, fetched in zip(requests, indices, batches, strict=True):
            self._check(request, self._inputs.labels[index], fetched)
            yield torch.from_numpy(fetched.inputs).to(self._device)

    def _check(self, request: Request, labels: NDArray[Any], fetched: Fetched) -> None:
        """The batch must be as the data set was when its labels and its first sample were read."""
        known, where = self._inputs, f"{self._inputs.source.reference}: {request.part} sample"
        shape, dtype = fetched.inputs.shape[1:], fetched.inputs.dtype
        if (shape, dtype) != (known.sample_shape, known.dtype):
            raise DataError(
                f"{where} {request.rows[0]} is {dtype} {list(shape)}, the first one is "
                f"{known.dtype} {list(known.sample_shape)}; all must be of one shape and type"
            )
        got = as_labels(fetched.labels, where)
        if not np.array_equal(got.astype(labels.dtype), labels):
            place = int(np.argmax(got.astype(labels.dtype) != labels))
            raise DataError(
                f"{where} {request.rows[place]} has the label {got[place]}, which was read as "
                f"{labels[place]}; labels must be those of its `targets`, and never change"
            )


def count_repeats(chunks: Sequence[NDArray[np.int64]]) -> list[NDArray[np.int64]]:
    """For each row of each chunk, how often it stands before that place."""
    rows = np.concatenate(chunks) if chunks else np.empty(0, dtype=np.int64)
    order = np.argsort(rows, kind="stable")
    places = np.arange(len(rows))
    is_first = np.diff(rows[order], prepend=-1) != 0
    repeats = np.empty_like(places)
    repeats[order] = places - np.maximum.accumulate(np.where(is_first, places, 0))
    return np.split(repeats, np.cumsum([len(chunk) for chunk in chunks])[:-1])


@lru_cache(maxsize=1)
def open_loader(source: SampleSource, fingerprint: str) -> BatchLoader:  # noqa: ARG001 - the key
    """The loader of a data set, with its processes and what it knows of their best number.

    One is kept in each process, because runs that follow each other use the same data.

    Args:
        source: The data set.
        fingerprint: Of the data; what has changed gets another loader.
    """
    return BatchLoader(source, WorkerTuning(limit=num_cores()))


def _checked(fetched: Fetched) -> Fetched:
    if fetched.problem:
        raise DataError(fetched.problem)
    return fetched


def _as_it_is(fetched: Any) -> Any:
    """Leave arrays arrays, which travel through a pipe; tensors would need shared memory."""
    return fetched


def _set_up_worker(parent: int, _: int) -> None:
    ignore_interrupts(parent)
