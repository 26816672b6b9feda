"""A network for tables of numbers and codes. It is imported only if it is built.

This module imports nothing of bakeoff: an export carries this source, so that its weights can be
used without bakeoff.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

MAX_EMBEDDING = 50
"""Greatest length of an embedding. Source: fast.ai's course of 2018, lesson 3"""


def build_tabular_mlp(
    input_shape: Sequence[int],
    num_outputs: int,
    width: int,
    depth: int,
    dropout: float,
    categories: Sequence[Sequence[int]] = (),
) -> nn.Module:
    """Build embeddings and `depth` hidden layers of `width` units: [N, F] -> [N, num_outputs].

    Args:
        input_shape: (F,).
        num_outputs: Classes, labels or targets.
        width: Units of a hidden layer.
        depth: Hidden layers.
        dropout: Probability with which a hidden unit is dropped.
        categories: The place of each code among the F numbers, and the number of its codes.
    """
    embeddings = CodeEmbeddings(input_shape[0], categories)
    layers: list[nn.Module] = [embeddings]
    num_inputs = embeddings.num_outputs
    for _ in range(depth):
        layers += [nn.Linear(num_inputs, width), nn.ReLU()]
        layers += [nn.Dropout(dropout)] if dropout > 0 else []
        num_inputs = width
    return nn.Sequential(*layers, nn.Linear(num_inputs, num_outputs))


class CodeEmbeddings(nn.Module):
    """Replaces each code by a vector that is learned: [N, F] -> [N, numbers + lengths].

    A vector for C codes has min(50, (C + 1) // 2) numbers. The code 0 stands for texts that were
    never seen, so its vector stays 0.
    """

    def __init__(self, num_features: int, categories: Sequence[Sequence[int]]) -> None:
        super().__init__()
        self.places = [place for place, _ in categories]
        self.numbers = [place for place in range(num_features) if place not in self.places]
        counts = [count for _, count in categories]
        lengths = [min(MAX_EMBEDDING, (count + 1) // 2) for count in counts]
        self.embeddings = nn.ModuleList(
            nn.Embedding(count, length, padding_idx=0)
            for count, length in zip(counts, lengths, strict=True)
        )
        self.num_outputs = len(self.numbers) + sum(lengths)

    def forward(self, inputs: Tensor) -> Tensor:
        """[N, F] -> [N, numbers + lengths]."""
        vectors = [
            embedding(inputs[:, place].long())
            for place, embedding in zip(self.places, self.embeddings, strict=True)
        ]
        return torch.cat([inputs[:, self.numbers], *vectors], dim=1)
