"""The results of analysis: `Comparison`, everything that a report may say, and its parts."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bakeoff.ranges import Params
from bakeoff.records.runs import CHARGED_OUTCOMES, Outcome
from bakeoff.records.search_findings import (
    ArmFront,
    BudgetEstimate,
    Importance,
    PruningRegret,
    Robustness,
)
from bakeoff.records.significance import ALPHA
from bakeoff.records.study import StudyRecord

Level = Literal["L0", "L1", "L2"]
"""What the evidence speaks of: L0 of observations, L1 of the configurations that one search per arm
found, L2 of the arms, from repeated searches of each."""
Status = Literal[
    "not_enough_data", "clearly_better", "better", "practically_equal", "no_difference_shown"
]
Qualifier = Literal["by_less", "size_unknown", "under_tuned", "finishing_runs", "provisional"]
"""What limits the status of a pair: the gain is below delta, or its size is not known because runs
diverged; the loser contains the winner as a special case; it was stated for runs that finish; a
flag weakens it."""
SHOWN: frozenset[Status] = frozenset({"better", "clearly_better"})
"""Statuses that say one arm is better than the other."""
Severity = Literal["blocks", "provisional", "withholds", "note"]
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
    example_error: float = math.nan
    """Standard error of `test_mean` over test samples, without the part that the spread over seeds
    holds already; NaN if it is not known."""


@dataclass(frozen=True, kw_only=True)
class SearchResult:
    """One search of an arm (a repeat) and the confirmation of the configuration it found."""

    repeat: int
    """The number of the search, from 0."""
    num_trials: int
    """Trials charged to its budget."""
    chosen_trial: int | None
    chosen_params: Params
    search_score: float | None
    """Validation score of the chosen trial in the search."""
    confirmed: ConfirmedScores | None
    counts: bool
    """Whether it has the trials and confirmation seeds that level L2 asks of a search."""
    why_not: str = ""
    """Why it does not count; empty if it counts."""


@dataclass(frozen=True, kw_only=True)
class SearchedScores:
    """What searches of one arm find at this budget: one score per search that counts, R of them.

    The score of a search is the mean test score of its configuration over its confirmation seeds.
    """

    repeats: tuple[int, ...]
    scores: tuple[float, ...]
    """[R], in the order of `repeats`."""
    mean: float
    ci: tuple[float, float]
    """95 % interval of the mean over searches."""
    sd: float


@dataclass(frozen=True, kw_only=True)
class DefaultResult:
    """An arm's library defaults against a configuration that was found, on the same seeds.

    A positive difference says that the configuration found is better. These tests are not among
    those that Holm's correction shares a level with: each has a level of its own.
    """

    defaults_of: str
    """The arm whose library defaults were trained."""
    found_by: str
    """The arm whose chosen configuration they are compared with: the same arm, or the leader."""
    num_pairs: int
    """Seeds (at level L2: searches) on which both were trained; 0 where they share none."""
    status: Status
    mean: float
    ci: tuple[float, float]
    """95 %, for this difference alone."""
    p: float
    sentence: str

    @property
    def defaults_win(self) -> bool:
        """Whether the defaults were shown to be better than the configuration found."""
        return self.status in SHOWN and self.mean < 0

    def hold_their_own(self, leading: Sequence[str]) -> bool:
        """Whether the defaults win, or were not shown to be worse than what a leading arm found."""
        if self.status == "not_enough_data":
            return False
        return self.defaults_win or (self.found_by in leading and self.status not in SHOWN)


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
    wider_bound: float | None = None
    """The bound of the wider range to search next; see `bakeoff.analysis.widening`."""


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
class ArmSummary:
    """The results of one arm."""

    arm: str
    num_by_outcome: Mapping[Outcome, int]
    """Search trials within the budget, without the default configuration."""
    epochs: int | None
    """Epochs of all search trials; None if another program reported none."""
    train_seconds: float
    evaluate_seconds: float
    """Seconds of all search trials; NaN where another program did not store them."""
    seconds_per_epoch: float
    """Median over all epochs of search trials, training only."""
    search_best: float | None
    search_best_trial: int | None
    default_score: float | None
    default_outcome: Outcome | None
    chosen_trial: int | None
    """The trial whose configuration is recommended. With repeated searches at level L2 it is that
    of the search with the best mean validation score in confirmation; below, that of the repeat
    whose configurations are compared."""
    chosen_params: Params
    confirmed: ConfirmedScores | None
    """The confirmation of the recommended configuration."""
    time_to_target: TimeToTarget | None
    default_confirmed: ConfirmedScores | None = None
    """The library defaults on the confirmation seeds (of all repeats); `selection_gap` compares
    them with their single run in the search."""
    searches: tuple[SearchResult, ...] = ()
    """The searches of the arm, by repeat; one where searches were not repeated."""
    over_searches: SearchedScores | None = None
    """What the arm is compared by at level L2; None below."""
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
    """Arm `a` against arm `b`; differences are positive if `a` is better.

    The units are confirmation seeds of the configurations found (level L1) or, at level L2,
    searches; `Comparison.unit` says which.
    """

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
    """Share of units on which `a` is better; ties count one half."""
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
    qualifiers: tuple[Qualifier, ...] = ()
    """What limits the status; sentences, headline and `word` say it alike."""
    word: str = ""
    """Status and qualifiers in a few words, for tables and figures: `adam better, by less than
    0.016 (provisional)`."""

    @property
    def winner(self) -> str | None:
        """The arm that was shown to be better; None if neither was."""
        if self.status not in SHOWN:
            return None
        return self.a if self.mean > 0 else self.b

    @property
    def loser(self) -> str | None:
        """The arm that was shown to be worse; None if neither was."""
        if self.winner is None:
            return None
        return self.b if self.winner == self.a else self.a


@dataclass(frozen=True, kw_only=True)
class Flag:
    """A threat to the comparison and what to do about it (`W01` to `W17`)."""

    id: str
    title: str
    detail: str
    advice: str
    severity: Severity
    arms: tuple[str, ...] = ()
    """The arms it is about; empty means all arms."""
    pairs: tuple[tuple[str, str], ...] = ()
    """The pairs of arms it is about; empty means every pair with one of `arms`."""


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """A hint from the learning curves of an arm and one thing to try; not part of the verdict."""

    arm: str
    kind: DiagnosisKind
    evidence: str
    advice: str


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The answer, as sentences built from statuses."""

    headline: str
    sentences: tuple[str, ...]
    leading: tuple[str, ...]
    """Arms that no other arm was shown to beat, best mean first; empty below level L1."""
    weakened_by: tuple[str, ...] = ()
    """What makes the headline provisional or limits it, each as a sentence."""
    tie_breakers: tuple[str, ...] = ()
    scope: str = ""
    next_step: str = ""
    """How to get a verdict, or after one search per arm a verdict on the arms themselves; empty if
    more runs would not give one."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Everything that analysis computed and that a report may say."""

    study: StudyRecord
    level: Level
    arms: tuple[ArmSummary, ...]
    """Best confirmed mean first (at level L2, best mean over searches); without confirmation, best
    search score first."""
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
    """One sentence for each pair: which arm the search favours at which budget. Where searches were
    random and not pruned, another one says which arm is better at n / 5 trials, on validation."""
    importances: tuple[Importance, ...] = ()
    """Arm by arm, for each searched parameter; empty for arms with fewer than 30 scored trials."""
    pruning: tuple[PruningRegret, ...] = ()
    """One for each arm with audited trials, then one for all arms together."""
    fronts: tuple[ArmFront, ...] = ()
    """One for each arm; empty for a study with one objective."""
    defaults: tuple[DefaultResult, ...] = ()
    """For each arm with confirmed defaults: against its own configuration and against the
    leader's."""
    repeats_counted: int = 0
    """Repeats in which the searches of all arms count."""
    min_repeats: int = 0
    """Repeats from which arms are compared instead of configurations (level L2)."""

    @property
    def unit(self) -> Literal["seed", "search"]:
        """What the tests and intervals of pairs count."""
        return "search" if self.level == "L2" else "seed"
