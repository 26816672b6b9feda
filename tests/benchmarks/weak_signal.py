"""Made-up tables in which early epochs say little about the end of a run.

Three families. In each, a configuration's final loss is its distance from a hidden optimum, with
weights of its own per parameter, and a little noise. They differ in what the first epochs show:

    crossing   the distance from another optimum, until a third of the run is over
    slow       how fast a run learns; good configurations learn slowly
    noisy      the final loss, under noise that raises it and dies away

A table belongs to its family if the rank correlation between the first rung of a halved search and
the end is at most `MOST_CORRELATION`; a family consists of the first such tables, by seed.
"""

from collections.abc import Callable, Iterator

import numpy as np
from lookup_table import RANK_OF_SUCCESS, Array, LookupTable

from bakeoff.search.pruning_audit import rank_correlation

NUM_ROWS = 1000
NUM_PARAMETERS = 6
NUM_EPOCHS = 27
FIRST_RUNG = 2
MOST_CORRELATION = 0.3
FIRST_SEED = 20_240_607
"""Fixed before any setting of the search was tried on these tables."""
Rng = np.random.Generator


def distances(points: Array, rng: Rng) -> Array:
    """Weighted distances of points [N, P] from an optimum drawn in the middle, [N]."""
    optimum = rng.uniform(0.2, 0.8, points.shape[1])
    weights = rng.lognormal(0.0, 0.7, points.shape[1])
    return np.asarray(np.sqrt((weights * (points - optimum) ** 2).sum(axis=1)))


def crossing_curves(points: Array, rng: Rng) -> Array:
    """Losses [N, E] that follow one optimum first and another one later."""
    first, last = distances(points, rng), distances(points, rng)
    part = np.linspace(0, 1, NUM_EPOCHS)
    switched = 1 / (1 + np.exp(-(part - rng.uniform(0.25, 0.45)) / 0.08))
    return first[:, None] * (1 - switched) + last[:, None] * switched + 2 * (1 - part) ** 2


def slow_curves(points: Array, rng: Rng) -> Array:
    """Losses [N, E] that fall from one level, the slower the better they end."""
    last = distances(points, rng)
    place = last.argsort().argsort() / len(last)
    rate = 0.1 * 6 ** np.clip(place + 0.35 * rng.standard_normal(len(last)), 0, 1)
    left = np.exp(-rate[:, None] * np.arange(1, NUM_EPOCHS + 1))
    return last[:, None] + (2.5 - last)[:, None] * left


def noisy_curves(points: Array, rng: Rng) -> Array:
    """Losses [N, E] with noise that only raises them, and dies away."""
    last = distances(points, rng)
    epochs = np.arange(1, NUM_EPOCHS + 1)
    size = rng.uniform(5, 10) * last.std() * np.exp(-epochs / 6)
    noise = np.abs(rng.standard_normal((len(last), NUM_EPOCHS)))
    curves: Array = last[:, None] + size * noise + 2 * np.exp(-epochs / 4)
    return curves


FAMILIES: dict[str, Callable[[Array, Rng], Array]] = {
    "crossing": crossing_curves,
    "slow": slow_curves,
    "noisy": noisy_curves,
}


def make_table(family: str, seed: int) -> LookupTable:
    """One table; its parameters lie between 0.001 and 1, in the logarithm."""
    rng = np.random.default_rng([FIRST_SEED + seed, *family.encode()])
    points = rng.random((NUM_ROWS, NUM_PARAMETERS))
    losses = FAMILIES[family](points, rng)
    losses = losses + 0.01 * losses[:, -1].std() * rng.standard_normal(losses.shape)
    return LookupTable(
        name=f"{family}_{seed}",
        parameters=tuple(f"p{index}" for index in range(NUM_PARAMETERS)),
        values=10 ** (3 * points - 3),
        losses=losses,
        untrained=np.full(NUM_ROWS, losses[:, 0].max()),
        target=float(np.sort(losses[:, -1])[RANK_OF_SUCCESS - 1]),
    )


def first_correlation(table: LookupTable) -> float:
    """Rank correlation between the loss at the first rung and the final loss."""
    return rank_correlation(table.losses[:, FIRST_RUNG - 1].tolist(), table.losses[:, -1].tolist())


def family_tables(family: str) -> Iterator[LookupTable]:
    """The tables of a family, without end: those whose first rung says little."""
    seed = 0
    while True:
        table = make_table(family, seed)
        if first_correlation(table) <= MOST_CORRELATION:
            yield table
        seed += 1
