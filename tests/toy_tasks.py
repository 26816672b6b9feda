"""Small data sets of each task whose best possible scores are known, and a model for tokens."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

Arrays = dict[str, NDArray[Any]]

NOISE = 2.0
"""Deviation of what no model can know of a regression target."""
OFFSET = 1000.0
"""Targets lie far from 0, as prices and temperatures in kelvin do."""
NUM_TOKENS, LENGTH = 6, 16
STAY = 0.8
"""Probability that the next token is the one after this; else it is any token."""


def regression(num_samples: int = 600) -> Arrays:
    """Features [N, 5]; the target is linear in three of them, plus noise."""
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(num_samples, 5)).astype(np.float32)
    noise = NOISE * generator.normal(size=num_samples)
    targets = OFFSET + inputs @ np.array([8.0, -4.0, 2.0, 0.0, 0.0]) + noise
    return {"x": inputs, "y": targets}


def targets(num_samples: int = 600) -> Arrays:
    """Features [N, 5] and targets [N, 2] of very different sizes, linear but for noise."""
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(num_samples, 5)).astype(np.float32)
    known = inputs @ generator.normal(size=(5, 2))
    noise = 0.2 * generator.normal(size=known.shape)
    return {"x": inputs, "y": (known + noise) * [1000.0, 0.1] + [0.0, OFFSET]}


FLIPPED = 0.05
"""Share of labels that are the opposite of what the features say."""


def multilabel(num_samples: int = 600) -> Arrays:
    """Features [N, 6] and labels [N, 3], each the sign of one feature but for flipped ones.

    The last label is rare: one sample in five has it.
    """
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(num_samples, 6)).astype(np.float32)
    labels = inputs[:, :3] > np.array([0.0, 0.5, 1.0])
    return {"x": inputs, "y": (labels ^ (generator.random(labels.shape) < FLIPPED)).astype(int)}


SIDE = 16
"""Height of a picture; it is two pixels wider."""


def pictures(num_samples: int = 60) -> Arrays:
    """Grey pictures [N, 16, 18] and masks of 0 outside, 1 in a disc and 2 in a square.

    The square is darker than the disc. The last row of every mask is ignored.
    """
    generator = np.random.default_rng(0)
    rows, columns = np.mgrid[:SIDE, : SIDE + 2]
    images, masks = [], []
    for number in range(num_samples):
        centre = generator.integers(4, SIDE - 4, size=2)
        down, right = rows - centre[0], columns - centre[1]
        is_disc = number % 2 == 0
        inside = down**2 + right**2 <= 9 if is_disc else np.maximum(abs(down), abs(right)) <= 2
        picture = np.where(inside, 220 if is_disc else 120, 30)
        images.append((picture + generator.integers(-20, 20, size=picture.shape)).astype(np.uint8))
        masks.append(np.where(inside, 1 if is_disc else 2, 0))
    labels = np.stack(masks)
    labels[:, -1] = 255
    return {"x": np.stack(images), "y": labels}


def language(num_blocks: int = 300) -> Arrays:
    """A Markov chain cut into blocks [N, L] of tokens and next tokens."""
    generator = np.random.default_rng(0)
    length = num_blocks * LENGTH + 1
    jumps = generator.random(length) >= STAY
    anywhere = generator.integers(NUM_TOKENS, size=length)
    chain = [0]
    for jump, token in zip(jumps[1:], anywhere[1:], strict=True):
        chain.append(int(token) if jump else (chain[-1] + 1) % NUM_TOKENS)
    tokens = np.array(chain)
    return {"x": tokens[:-1].reshape(-1, LENGTH), "y": tokens[1:].reshape(-1, LENGTH)}


def best_loss(tokens: NDArray[Any], following: NDArray[Any]) -> float:
    """Mean cross-entropy of the probabilities that the chain was drawn with, in nats."""
    other = (1 - STAY) / NUM_TOKENS
    likely = (tokens + 1) % NUM_TOKENS == following
    return float(-np.log(np.where(likely, STAY + other, other)).mean())


def rows(num_samples: int = 400) -> Arrays:
    """Rows [N, 7, 3]; the class is whether the first feature rises or falls."""
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(num_samples, 7, 3)).astype(np.float32)
    labels = np.arange(num_samples) % 2
    inputs[:, :, 0] += np.linspace(-1, 1, 7) * np.where(labels, 1.5, -1.5)[:, None]
    return {"x": inputs, "y": labels}


class Bigrams(nn.Module):
    """Logits of the next token, a row for each token."""

    def __init__(self, num_tokens: int) -> None:
        super().__init__()
        self.table = nn.Embedding(num_tokens, num_tokens)

    def forward(self, tokens: Tensor) -> Tensor:
        """[N, L] -> [N, L, V]."""
        return self.table(tokens)


def build_bigrams(input_shape: tuple[int, ...], num_outputs: int) -> nn.Module:
    """A model as a user writes one."""
    return Bigrams(num_outputs)
