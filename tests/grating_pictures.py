"""Small pictures of gratings whose class is their direction, and weights that know such pictures."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from bakeoff.networks.packages import build_torchvision

SIDE = 32
ARCHITECTURE = "shufflenet_v2_x0_5"
"""The smallest network of torchvision with batch normalisation."""


def gratings(
    num: int, directions: list[float], seed: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Pictures [num, 3, 32, 32] in noise, and the number of the direction (degrees) of each."""
    draws = np.random.default_rng(seed)
    labels = np.arange(num) % len(directions)
    angles = np.deg2rad(np.asarray(directions)[labels] + draws.uniform(-4, 4, num))
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    along = np.cos(angles)[:, None, None] * x + np.sin(angles)[:, None, None] * y
    frequency, phase = (draws.uniform(*one, (num, 1, 1)) for one in ((3, 6), (0, 2 * np.pi)))
    waves = np.sin(2 * np.pi * frequency * along + phase)
    colours = draws.uniform(0.3, 1, (num, 3, 1, 1)) * draws.choice([-1, 1], (num, 1, 1, 1))
    noise = draws.normal(0, 0.5, (num, 3, SIDE, SIDE))
    pictures = 128 + 50 * (colours * waves[:, None] + noise)
    return pictures.clip(0, 255).astype(np.uint8), labels


def draw_folder(folder: Path, num: int, seed: int = 1) -> Path:
    """A folder of `num` pictures in three classes."""
    pictures, labels = gratings(num, [15, 75, 135], seed)
    for number, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
        place = folder / ("flat", "steep", "falling")[label] / f"{number:03}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture.transpose(1, 2, 0)).save(place)
    return folder


def pretrain(path: Path, epochs: int = 3) -> Path:
    """Train a network on six other directions, and save its state dictionary."""
    pictures, labels = gratings(900, [0, 30, 60, 90, 120, 150], seed=7)
    mean, deviation = (
        torch.tensor(one)[:, None, None] for one in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    inputs = (torch.from_numpy(pictures) / 255 - mean) / deviation
    targets = torch.from_numpy(labels)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = build_torchvision(ARCHITECTURE, (3, SIDE, SIDE), 6)
        optimizer = torch.optim.AdamW(model.parameters(), 5e-3)
        for _ in range(epochs):
            for rows in torch.randperm(len(inputs)).split(50):
                loss = nn.functional.cross_entropy(model(inputs[rows]), targets[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    torch.save(model.state_dict(), path)
    return path
