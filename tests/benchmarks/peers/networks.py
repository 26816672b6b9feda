"""The networks of the study benchmark, for every contender the same."""

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor, nn


class SmallCnn(nn.Module):
    """Two convolutions with batch norm and pooling, then a linear head, for images [C, H, W]."""

    def __init__(self, input_shape: Sequence[int], num_outputs: int, dropout: float = 0.0) -> None:
        super().__init__()
        channels, height, width = input_shape
        self.features = nn.Sequential(
            nn.Conv2d(channels, 16, 3, padding=1),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.head = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(32 * (height // 4) * (width // 4), num_outputs)
        )

    def forward(self, images: Tensor) -> Tensor:
        """Scores of the classes, [N, C]."""
        return self.head(torch.flatten(self.features(images), 1))


class Mlp(nn.Module):
    """Two hidden layers of 64 units, for samples of any shape."""

    def __init__(self, input_shape: Sequence[int], num_outputs: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(prod(input_shape), 64),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(64, 64),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(64, num_outputs),
        )

    def forward(self, samples: Tensor) -> Tensor:
        """Scores of the classes, [N, C]."""
        return self.layers(samples)
