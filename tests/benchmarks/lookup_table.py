"""A table of recorded learning curves, looked up instead of trained.

A file holds `hyperparameters [N, P]`, `names [P]` and `valid [N, E + 1]`: N configurations, and the
validation loss of each after 0 (untrained) to E evaluations. A curve ends where it is not finite.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
RANK_OF_SUCCESS = 10
"""A search has succeeded when it observes a loss as good as the final one of the tenth best."""


@dataclass(frozen=True, kw_only=True)
class LookupTable:
    """Configurations with their curves, and what counts as success."""

    name: str
    parameters: tuple[str, ...]
    values: Array
    """[N, P], all positive: a beta stands as one minus itself, as TaskSet drew them."""
    losses: Array
    """[N, E], the untrained model left out; NaN from where a curve is not finite."""
    untrained: Array
    """[N]"""
    target: float

    @classmethod
    def load(cls, path: Path) -> "LookupTable":
        """Read one `.npz` file."""
        with np.load(path) as content:
            names = [str(name) for name in content["names"]]
            values = content["hyperparameters"].astype(np.float64)
            valid = content["valid"].astype(np.float64)
        is_beta = [name.startswith("beta") for name in names]
        values[:, is_beta] = 1 - values[:, is_beta]
        losses = np.where(np.cumsum(~np.isfinite(valid), axis=1) > 0, np.nan, valid)
        final = np.sort(np.nan_to_num(losses[:, -1], nan=np.inf))
        return cls(
            name=path.stem,
            parameters=tuple(
                f"one_minus_{name}" if beta else name
                for name, beta in zip(names, is_beta, strict=True)
            ),
            values=values,
            losses=losses[:, 1:],
            untrained=valid[:, 0],
            target=float(final[RANK_OF_SUCCESS - 1]),
        )

    def cut(self, num_evaluations: int) -> "LookupTable":
        """The same configurations, each trained for fewer evaluations."""
        losses = self.losses[:, :num_evaluations]
        final = np.sort(np.nan_to_num(losses[:, -1], nan=np.inf))
        return replace(
            self,
            name=f"{self.name}, {num_evaluations} evaluations",
            losses=losses,
            target=float(final[RANK_OF_SUCCESS - 1]),
        )

    @property
    def num_evaluations(self) -> int:
        """Evaluations E of a whole run."""
        return self.losses.shape[1]

    @property
    def bounds(self) -> tuple[Array, Array]:
        """Smallest and largest value of each parameter, [P] each."""
        return self.values.min(axis=0), self.values.max(axis=0)

    def in_cube(self, values: Array) -> Array:
        """Values [..., P] as points of the log-scaled unit cube."""
        low, high = (np.log(bound) for bound in self.bounds)
        return np.asarray((np.log(values) - low) / (high - low))

    def share_better(self, complete: Mapping[int, float]) -> float:
        """The share of all rows that end better than the best of some complete ones.

        Args:
            complete: The best loss of every complete row; 1.0 is returned if there is none.
        """
        if not complete:
            return 1.0
        chosen = min(complete, key=lambda row: (complete[row], row))
        final = np.nan_to_num(self.losses[:, -1], nan=np.inf)
        return float(np.mean(final < final[chosen]))

    def random_search_costs(self, num_orders: int, rng: np.random.Generator) -> Array:
        """Evaluations that random search spends until it succeeds, in each of several orders.

        Every run is trained to its end, which is the first loss that is not finite where there is
        one; the last run only until it succeeds.
        """
        ended = np.isnan(self.losses)
        lengths = np.where(ended.any(axis=1), ended.argmax(axis=1) + 1, self.num_evaluations)
        reached = self.losses <= self.target
        succeeds = reached.any(axis=1)
        lengths = np.where(succeeds, reached.argmax(axis=1) + 1, lengths)
        orders = rng.permuted(np.tile(np.arange(len(lengths)), (num_orders, 1)), axis=1)
        last = succeeds[orders].argmax(axis=1)
        spent = np.cumsum(lengths[orders], axis=1)
        return spent[np.arange(num_orders), last].astype(np.float64)


class UnusedRows:
    """The configurations of a table that have not been tried yet."""

    def __init__(self, table: LookupTable) -> None:
        self._table = table
        self._points = table.in_cube(table.values)
        self._is_unused = np.ones(len(table.values), dtype=bool)

    def __len__(self) -> int:
        return int(self._is_unused.sum())

    def take_nearest(self, values: Array) -> int:
        """The unused row nearest to `values` [P] in the log-scaled unit cube; now it is used."""
        distances = ((self._points - self._table.in_cube(values)) ** 2).sum(axis=1)
        row = int(np.where(self._is_unused, distances, np.inf).argmin())
        self._is_unused[row] = False
        return row
