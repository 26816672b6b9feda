"""Samples per second of a torch data set: fetched by bakeoff, and by torch's DataLoader as usual.

    python tests/benchmarks/loading.py

The data set decodes a PNG file and flips and crops it at random, as an image folder with transforms
does. One JSON line per number of processes, 0 to 2; the two take turns, their processes are kept
running, and medians over the epochs after the first are compared. Nothing is trained, so this is the
price of random numbers that depend on seed, epoch and sample alone.
"""

import io
import json
import time
from collections.abc import Iterable
from statistics import median
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from bakeoff.data.sample_source import open_source
from bakeoff.training.loading import BatchLoader, Request, WorkerTuning

NUM_SAMPLES = 4096
BATCH_SIZE = 64
PIXELS = 96
NUM_EPOCHS = 6


class Pictures(Dataset[Any]):
    """PNG files in memory, of noise that no decoder can skip."""

    def __init__(self) -> None:
        generator = np.random.default_rng(0)
        self.files = [_png(generator) for _ in range(64)]
        self.targets = [row % 10 for row in range(NUM_SAMPLES)]
        self.transform = v2.Compose(
            [v2.PILToTensor(), v2.RandomHorizontalFlip(), v2.RandomCrop(PIXELS, padding=8)]
        )

    def __len__(self) -> int:
        return NUM_SAMPLES

    def __getitem__(self, row: int) -> tuple[Any, int]:
        with Image.open(io.BytesIO(self.files[row % len(self.files)])) as image:
            return self.transform(image), self.targets[row]


def _png(generator: np.random.Generator) -> bytes:
    file = io.BytesIO()
    pixels = generator.integers(0, 256, (PIXELS, PIXELS, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def build() -> Pictures:
    """What a study file would name as `loading:build`."""
    return Pictures()


def seconds(batches: Iterable[Any]) -> float:
    """How long it takes to go through all of them."""
    started = time.perf_counter()
    for _ in batches:
        pass
    return time.perf_counter() - started


def measure(num_workers: int) -> dict[str, Any]:
    """One row: both ways with this many processes."""
    ours = BatchLoader(
        open_source("loading:build"), WorkerTuning(limit=2, best=num_workers, candidate=None)
    )
    usual: DataLoader[Any] = DataLoader(
        build(),
        batch_size=BATCH_SIZE,
        num_workers=num_workers,
        persistent_workers=num_workers > 0,
        multiprocessing_context="spawn" if num_workers else None,
    )
    requests = [
        Request(part="train", rows=tuple(range(start, start + BATCH_SIZE)), seed=0)
        for start in range(0, NUM_SAMPLES, BATCH_SIZE)
    ]
    rounds = [(seconds(ours.fetch(requests)), seconds(usual)) for _ in range(NUM_EPOCHS)]
    our_seconds, usual_seconds = (median(times) for times in zip(*rounds[1:], strict=True))
    return {
        "benchmark": "torch data set, samples per second, bakeoff / DataLoader",
        "processes": num_workers,
        "bakeoff": round(NUM_SAMPLES / our_seconds),
        "dataloader": round(NUM_SAMPLES / usual_seconds),
        "ratio": round(usual_seconds / our_seconds, 3),
    }


def main() -> None:
    """Print a JSON line for each number of processes."""
    torch.set_num_threads(1)
    for num_workers in range(3):
        print(json.dumps(measure(num_workers)), flush=True)


if __name__ == "__main__":
    main()
