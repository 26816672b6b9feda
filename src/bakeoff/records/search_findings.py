"""What analysis computes from the trials of the search: parts of `Comparison`."""

from dataclasses import dataclass
from typing import Literal

from bakeoff.records.runs import TrialRecord

BudgetQuantity = Literal["median_best", "expected_best", "probability_better"]


@dataclass(frozen=True, kw_only=True)
class Share:
    """How many of an arm's random trials have a property."""

    at_least: int
    at_most: int
    """Differs from `at_least` where the unknown final scores of pruned trials could count."""
    of: int
    ci: tuple[float, float]
    """Wilson, 95 %: lower end for the smaller count, upper end for the larger count."""


@dataclass(frozen=True, kw_only=True)
class NearBest:
    """The random trials whose score is at most delta below a reference."""

    reference: float
    share: Share
    trials_needed: float
    """Trials that find at least one with probability 0.95; infinite if no trial was near."""
    trials_ci: tuple[float, float]
    """From the interval of the share."""


@dataclass(frozen=True, kw_only=True)
class RateRobustness:
    """How the score depends on the learning rate, one decade to each side of the best one."""

    sensitivity: float | None = None
    """Mean shortfall from the best half decade, in units of the objective."""
    tolerance_decades: float | None = None
    """Width in decades of the learning rates within delta of the best half decade."""
    best_of: int | None = None
    """Each half decade counts with the expected best of this many of its trials."""
    note: str = ""
    """Why `sensitivity` is missing; empty if it is not."""


@dataclass(frozen=True, kw_only=True)
class Robustness:
    """What a careless choice of hyperparameters costs, from the random trials of an arm."""

    near_own: NearBest | None
    """The reference is the arm's confirmed validation mean, or else its best search score."""
    near_best: NearBest | None
    """The reference is the best confirmed validation mean of all arms."""
    diverged: Share
    learning_rate: RateRobustness


@dataclass(frozen=True, kw_only=True)
class BudgetEstimate:
    """One number about the best of k random trials, in units of the objective or a probability."""

    arm: str
    other: str
    """The arm it is compared with; empty if it is about one arm."""
    quantity: BudgetQuantity
    k: int
    estimate: float | None
    """None if the unknown final scores of pruned trials could change it."""
    bounds: tuple[float, float]
    """The estimate lies between these, whatever those scores are; equal if it is known."""
    ci: tuple[float, float]
    """95 %, for this k alone; infinite where unbounded, NaN where the estimate is None."""
    method: str
    n: int
    """Random trials that were used; for a pair, those of the arm with fewer."""


@dataclass(frozen=True, kw_only=True)
class Importance:
    """How much one parameter mattered for an arm's search trials, within the searched ranges."""

    arm: str
    parameter: str
    whole: tuple[float, float, float]
    """Share in the variation of the score over the whole space: median, least and greatest of
    five random forests."""
    top: tuple[float, float, float] | None
    """Share in reaching the best tenth of the trials; None with fewer than 50 trials."""
    n: int
    """Trials with a known score."""
    n_with: int
    """How many of them have the parameter."""


@dataclass(frozen=True, kw_only=True)
class PruningRegret:
    """How many audited trials pruning would have ended, among all and among the best."""

    arm: str
    """An arm's name, or "all arms"."""
    n: int
    """Audited trials that completed with a score."""
    would_end: int
    top: int
    """The best tenth by final score, at least one trial."""
    top_would_end: int
    regret: float
    """`top_would_end` / `top`."""
    ci: tuple[float, float]
    """Wilson interval, 95 %."""


@dataclass(frozen=True, kw_only=True)
class ArmFront:
    """The Pareto front of one arm among its search trials, each of which ran on one seed."""

    arm: str
    complete: tuple[TrialRecord, ...]
    """Search trials with a value of every objective, without the library default."""
    front: tuple[TrialRecord, ...]
    """Those that no other trial of the arm dominates, by number."""
    front_of_all: tuple[TrialRecord, ...]
    """Those that no trial of any arm dominates, by number."""
    covered: float
    """Hypervolume of the front, as a share of the box between the worst and the best value of
    every objective among the trials of all arms; NaN where that box has no volume."""
    confirmed: tuple[float, ...]
    """Mean of every objective over the arm's complete confirmation runs, on validation data; NaN
    without such runs."""
    num_confirmed: int
