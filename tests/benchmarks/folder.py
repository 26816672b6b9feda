"""How long `folder:PATH` takes when it decodes, and when it finds everything decoded.

    python tests/benchmarks/folder.py [--size 224] [--images 5000]

Fashion-MNIST is written out as PNG files, by default all 70,000 as they are, with `--size` as colour
images of that many pixels per side, which are then brought to 64. Each round decodes into an empty
cache and opens it again; one JSON line with the medians is printed. Every page is read
from memory in both, so the figures compare work, not disks.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

from bakeoff.child_process import num_cores
from bakeoff.data.datasets import load_dataset
from bakeoff.data.image_decoding import MAX_PROCESSES
from bakeoff.records import DataConfig

ROUNDS = 3
RESIZED = 64


def write_pictures(root: Path, num_images: int, size: int | None) -> None:
    """`num_images` of the training and test pictures, in folders by class."""
    dataset = load_dataset(DataConfig(dataset="fashion-mnist"))
    parts = {
        "test": (dataset.test_inputs, dataset.test_labels, num_images // 7),
        "train": (dataset.train_inputs, dataset.train_labels, num_images - num_images // 7),
    }
    for part, (inputs, labels, count) in parts.items():
        for label, name in enumerate(dataset.class_names):
            folder = root / part / name.replace("/", " ")
            folder.mkdir(parents=True)
            for row in np.flatnonzero(labels[:count] == label):
                image = Image.fromarray(np.asarray(inputs[row, 0]))
                if size is not None:
                    image = image.convert("RGB").resize((size, size))
                image.save(folder / f"{row:05}.png")


def measure(root: Path, config: DataConfig) -> tuple[float, float]:
    """Seconds of the first start and of the second one."""
    times = []
    with tempfile.TemporaryDirectory() as cache:
        os.environ["BAKEOFF_DATA"] = cache
        for _ in range(2):
            started = time.perf_counter()
            load_dataset(config)
            times.append(time.perf_counter() - started)
    return times[0], times[1]


def main() -> None:
    """Print one JSON line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int)
    parser.add_argument("--images", type=int, default=70_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "fashion"
        write_pictures(root, given.images, given.size)
        config = DataConfig(
            dataset=f"folder:{root}", image_size=None if given.size is None else RESIZED
        )
        rounds = [measure(root, config) for _ in range(ROUNDS)]
    first, second = (median(times) for times in zip(*rounds, strict=True))
    row = {
        "benchmark": "folder, second start / first decode",
        "images": given.images,
        "pixels per side": given.size or 28,
        "processes": min(MAX_PROCESSES, num_cores()),
        "first_seconds": round(first, 3),
        "second_seconds": round(second, 3),
        "ratio": round(second / first, 4),
        "target": 0.05,
    }
    print(json.dumps(row))


if __name__ == "__main__":
    main()
