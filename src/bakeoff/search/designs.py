"""Designs: configurations that are fixed before the first trial and depend only on its index."""

import random
from collections.abc import Callable
from itertools import count
from math import gcd

import optuna
from optuna.samplers import QMCSampler
from optuna.trial import FixedTrial, TrialState, create_trial

from bakeoff.ranges import Params
from bakeoff.records import ArmRecord, SearchConfig
from bakeoff.search.experimental import experimental_accepted
from bakeoff.space import as_sampled, complete, suggest_jointly
from bakeoff.studyfile.grid import Grid

Design = Callable[[int], Params]
"""From the index of an arm's trial to its configuration."""


class SobolPoints:
    """The points of a scrambled Sobol sequence, from Optuna's sampler.

    A point has a coordinate for every parameter of the arm. Coordinates of optimizers and schedules
    that were not chosen are dropped, so the points of each schedule are evenly spread.
    """

    def __init__(self, arm: ArmRecord, seed: int, _: SearchConfig) -> None:
        self._arm = arm
        with experimental_accepted():
            sampler = QMCSampler(qmc_type="sobol", scramble=True, seed=seed)
        self._study = optuna.create_study(sampler=sampler)
        # Optuna takes the space from the first trial, which it would draw at random
        trial = FixedTrial(as_sampled(complete({}, arm), arm))
        suggest_jointly(trial, arm)
        self._study.add_trial(
            create_trial(params=trial.params, distributions=trial.distributions, value=0.0)
        )
        self._points: list[Params] = []

    def __call__(self, index: int) -> Params:
        """The point of the arm's trial `index`."""
        while len(self._points) <= index:
            trial = self._study.ask()
            self._points.append(suggest_jointly(trial, self._arm))
            self._study.tell(trial, state=TrialState.FAIL)
        return self._points[index]


class GridPoints:
    """The points of the arm's grid, in an order drawn from the seed, the same for any budget."""

    def __init__(self, arm: ArmRecord, seed: int, search: SearchConfig) -> None:
        self._grid = Grid(arm.space, search.grid_points)
        draws = random.Random(seed)  # noqa: S311 - an order, no secret
        size = self._grid.size
        self._first = draws.randrange(size)
        steps = (draws.randrange(1, size + 1) for _ in count())
        self._step = next(step for step in steps if gcd(step, size) == 1)
        """It has no common divisor with the size, so every point comes once before one repeats."""

    def __call__(self, index: int) -> Params:
        """The point of the arm's trial `index`; there are at most as many trials as points."""
        return self._grid[(self._first + index * self._step) % self._grid.size]
