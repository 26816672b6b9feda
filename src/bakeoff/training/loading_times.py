"""Times one epoch of a torch data set with different numbers of loader processes.

    python -m bakeoff.training.loading_times REFERENCE FOLDER BATCH_SIZE REPEATS A B

It runs in a process of its own, prints one JSON object with the seconds of each epoch by number of
processes, and trains nothing.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from time import perf_counter

import torch

from bakeoff.data.sample_source import SampleSource, open_source
from bakeoff.own_source import look_in
from bakeoff.training.loading import BatchLoader, Request, WorkerTuning


def time_epochs(
    source: SampleSource, batch_size: int, repeats: int, processes: Sequence[int]
) -> Mapping[str, list[float]]:
    """Seconds of each of `repeats` epochs, by number of processes; the numbers take turns.

    The processes are kept from epoch to epoch, and a first epoch, in which they start, is left out.
    """
    num_samples = len(source.parts["train"])
    requests = [
        Request(
            part="train", rows=tuple(range(start, min(start + batch_size, num_samples))), seed=0
        )
        for start in range(0, num_samples, batch_size)
    ]
    loaders = [
        BatchLoader(source, WorkerTuning(limit=number, best=number, candidate=None))
        for number in processes
    ]
    rounds = [[_seconds(loader, requests) for loader in loaders] for _ in range(repeats + 1)]
    return {
        str(number): [times[place] for times in rounds[1:]]
        for place, number in enumerate(processes)
    }


def _seconds(loader: BatchLoader, requests: Sequence[Request]) -> float:
    started = perf_counter()
    for _ in loader.fetch(requests):
        pass
    return perf_counter() - started


def main(arguments: Sequence[str]) -> None:
    """Print the seconds of each epoch."""
    reference, folder, batch_size, repeats, *processes = arguments
    torch.set_num_threads(1)
    look_in(folder)
    times = time_epochs(
        open_source(reference), int(batch_size), int(repeats), [int(one) for one in processes]
    )
    print(json.dumps(times))


if __name__ == "__main__":
    main(sys.argv[1:])
