"""The results of analysis: `Comparison`, everything that a report may say, and its parts."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from bakeoff.ranges import Params
from bakeoff.records.runs import CHARGED_OUTCOMES, Outcome, TrialRecord
from bakeoff.records.significance import ALPHA
from bakeoff.records.study import StudyRecord

Level = Literal["L0", "L1"]
Status = Literal[
    "not_enough_data", "clearly_better", "better", "practically_equal", "no_difference_shown"
]
Severity = Literal["blocks", "provisional", "withholds", "note"]
BudgetQuantity = Literal["median_best", "expected_best", "probability_better"]
DiagnosisKind = Literal[
    "overfitting", "underfitting", "still_improving", "unstable", "diverging_above",
    "slow_to_converge", "plateaued_early", "waiting_for_data",
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ConfirmedScores:
    """Confirmation runs of one arm's chosen configuration; scores in the objective's units."""

    seeds: tuple[int, ...]
    test_scores: tuple[float, ...]
    """In the order of `seeds`; a run that diverged has the score of an untrained model."""
    num_diverged: int
    test_mean: float
    test_ci: tuple[float, float]
    """95 % interval of the mean, over seeds and test samples, within the metric's bounds. NaN with
    fewer than four runs, or if a run diverged."""
    test_sd: float
    worst: float
    worst_seed: int
    validation_mean: float
    selection_gap: float
    """Search score minus `validation_mean`; positive if the search was too optimistic."""
    num_collapsed: int = 0
    """Runs that ended, with a test score far below the others of the arm."""
    example_error: float = math.nan
    """Standard error of `test_mean` over test samples, without the part that the spread over seeds
    holds already; NaN if it is not known."""


@dataclass(frozen=True, kw_only=True)
class BoundaryMark:
    """A chosen value close to a bound of its range, where the bound was chosen by a person."""

    parameter: str
    value: float
    side: Literal["low", "high"]
    bound: float
    raises_flag: bool
    """Whether flag W10 is raised: the value is at the bound, or most of the arm's top five are
    close to it too."""


@dataclass(frozen=True, kw_only=True)
class TimeToTarget:
    """How soon confirmation runs reach the target score."""

    target: float
    reached: int
    num_runs: int
    median_epochs: float
    """Infinite if fewer than half of the runs reached the target."""
    median_seconds: float
    epochs: tuple[float, ...]
    """Epoch at which each run reached the target; infinite for the others."""
    search_cost_epochs: float
    """Expected epochs of search per trial that reaches the target (ERT); infinite without such."""


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
class ArmSummary:
    """The results of one arm."""

    arm: str
    num_by_outcome: Mapping[Outcome, int]
    """Search trials within the budget, without the default configuration."""
    epochs: int
    train_seconds: float
    evaluate_seconds: float
    seconds_per_epoch: float
    """Median over all epochs of search trials, training only."""
    search_best: float | None
    search_best_trial: int | None
    default_score: float | None
    default_outcome: Outcome | None
    chosen_trial: int | None
    chosen_params: Params
    confirmed: ConfirmedScores | None
    time_to_target: TimeToTarget | None
    boundaries: tuple[BoundaryMark, ...] = ()
    robustness: Robustness | None = None

    @property
    def num_trials(self) -> int:
        """Trials charged to the arm's budget, whatever their outcome."""
        return sum(self.num_by_outcome.get(outcome, 0) for outcome in CHARGED_OUTCOMES)

    @property
    def num_seeds(self) -> int:
        """Confirmation runs of the chosen configuration, each with its own seed."""
        return len(self.confirmed.seeds) if self.confirmed else 0


@dataclass(frozen=True, kw_only=True)
class PairResult:
    """Arm `a` against arm `b` over paired seeds; differences are positive if `a` is better."""

    a: str
    b: str
    num_pairs: int
    status: Status
    mean: float
    ci: tuple[float, float]
    """Simultaneous over all m pairs: level 1 - 0.05/m. NaN if a run diverged."""
    p: float
    """Exact sign-flip test, two-sided."""
    p_holm: float
    win_share: float
    """Share of seeds on which `a` is better; ties count one half."""
    win_ci: tuple[float, float]
    """Wilson, 95 %."""
    detectable: float
    """Difference that this number of seeds shows with probability 0.8, given this spread."""
    num_units: tuple[int, int] = (0, 0)
    """Units (seeds, or searches) of `a` and `b` that were compared."""
    alpha: float = ALPHA
    """Error rate that the claims on all pairs share at this number of seeds; it is below 0.05 where
    several looks were declared. The level of `ci` is `1 - alpha / m`."""
    unit_error: float = math.nan
    """Standard error of `mean` over units (seeds, or searches)."""
    example_error: float = math.nan
    """Standard error of `mean` over test samples, without the part that the spread over units
    holds already. NaN if the runs have no scores without groups of test samples, or if each unit
    has its own test set: `ci` is then over units alone."""
    failed: tuple[int, int] = (0, 0)
    """Units of `a` and `b` with a run that diverged or collapsed (a score far below the others of
    the arm). With any of them no equality is claimed."""
    failure_limit: float = math.nan
    """Upper 95 % limit of the share of runs that fail, for an arm none of whose runs failed:
    `1 - 0.05**(1/K)`. NaN if runs of both arms failed."""
    failure_p: float = math.nan
    """Boschloo's test of the shares that failed, Holm over all pairs; 1 without failures."""
    new_since_reading: bool = False
    """Whether the status claims something that it did not claim at the fewest seeds whose results
    had been read before seeds were added without having been declared."""
    equality_p: float
    """TOST (two one-sided tests) against +/- delta, Holm over all pairs."""
    sentence: str
    seeds_to_decide: int | None = None
    """Estimated confirmation seeds at which this mean difference would be shown."""
    arrival_p: float = math.nan
    """Log-rank test of the epochs until the target is reached, Holm over all pairs."""


@dataclass(frozen=True, kw_only=True)
class Flag:
    """A threat to the comparison and what to do about it (`W01` to `W15`)."""

    id: str
    title: str
    detail: str
    advice: str
    severity: Severity
    arms: tuple[str, ...] = ()
    """The arms it is about; empty means all arms."""


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """A hint from the learning curves of an arm and one thing to try; not part of the verdict."""

    arm: str
    kind: DiagnosisKind
    evidence: str
    advice: str


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


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The answer, as sentences built from statuses."""

    headline: str
    sentences: tuple[str, ...]
    leading: tuple[str, ...]
    """Arms that no other arm was shown to beat, best mean first; empty below level L1."""
    tie_breakers: tuple[str, ...] = ()
    scope: str = ""
    next_step: str = ""
    """How to get a verdict; empty if there is a verdict, or if more runs would not give one."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Everything that analysis computed and that a report may say."""

    study: StudyRecord
    level: Level
    arms: tuple[ArmSummary, ...]
    """Best confirmed mean first; without confirmation, best search score first."""
    pairs: tuple[PairResult, ...]
    flags: tuple[Flag, ...]
    verdict: Verdict
    delta: float
    delta_source: str
    min_seeds: int
    """Fewest confirmation seeds that can give a verdict for this number of arms."""
    test_standard_error: float | None
    diagnoses: tuple[Diagnosis, ...] = ()
    """In the order of the arms."""
    budget: tuple[BudgetEstimate, ...] = ()
    """What k trials can be expected to find; arms first, then pairs."""
    effort: tuple[str, ...] = ()
    """One sentence for each pair: which arm the search favours at which budget."""
    importances: tuple[Importance, ...] = ()
    """Arm by arm, for each searched parameter; empty for arms with fewer than 30 scored trials."""
    pruning: tuple[PruningRegret, ...] = ()
    """One for each arm with audited trials, then one for all arms together."""
    fronts: tuple[ArmFront, ...] = ()
    """One for each arm; empty for a study with one objective."""
