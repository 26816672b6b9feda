"""A stored study: everything that analysis and report may read."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import isfinite, nan

from bakeoff.ranges import Range
from bakeoff.records.runs import TrialRecord
from bakeoff.records.study_config import Budget, ConfirmConfig, Direction, ScoreRule

ROUNDING = 1e-6
"""A value of a metric may exceed its bounds by this share of itself."""


@dataclass(frozen=True, kw_only=True)
class MetricInfo:
    """The meaning of a metric."""

    name: str
    direction: Direction
    low: float
    high: float
    title: str = ""
    unit: str = ""
    is_mean_over_samples: bool = False
    """Whether it is a mean of a yes/no per sample, so that its standard error is known."""

    @property
    def sign(self) -> int:
        """+1 where higher is better, -1 where lower is."""
        return 1 if self.direction == "maximize" else -1

    def allows(self, value: float) -> bool:
        """Whether a value lies within the bounds, up to rounding; one that is not finite does."""
        allowed = ROUNDING * max(1.0, abs(value))
        return not isfinite(value) or self.low - allowed <= value <= self.high + allowed


@dataclass(frozen=True, kw_only=True)
class ArmRecord:
    """One arm of the comparison, with its search space."""

    name: str
    space: Mapping[str, Range | float | int | bool | str]
    """Range or fixed value by full parameter name, in the order of sampling."""
    contains: tuple[str, ...] = ()
    """Arms that are special cases of this one."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Its values of the settings in which the named arms of a study differ, as text by key; empty
    if the arms are optimizers or schedules."""


@dataclass(frozen=True, kw_only=True)
class StudyRecord:
    """The record of a study: everything that analysis and report may read."""

    name: str
    question: str
    objective: MetricInfo
    """The objective by which runs are scored and confirmed; the first of several objectives."""
    score_rule: ScoreRule
    epochs: int
    """Planned epochs of every run."""
    arms: tuple[ArmRecord, ...]
    trials: tuple[TrialRecord, ...]
    """Search trials of all arms, by number."""
    confirmations: tuple[TrialRecord, ...]
    """Shortlist and confirmation runs, by number."""
    trials_per_arm: int | None
    """The budget of every arm in trials, and below in epochs and seconds; None means no limit."""
    sampler: str
    pruner: str
    confirm: ConfirmConfig
    further_objectives: tuple[MetricInfo, ...] = ()
    """The other objectives of the search."""
    epochs_per_arm: int | None = None
    seconds_per_arm: float | None = None
    startup_trials: int = 0
    delta: float | None = None
    reference: str | None = None
    num_train: int | None = None
    """Samples that a run trains on."""
    num_validation: int | None = None
    num_test: int | None = None
    test_is_reserved: bool = False
    """Whether the test set was drawn from samples that came without one. A study that splits its
    data anew then draws it anew for every repeat."""
    shared_sampler: bool = False
    """Whether one model-based sampler proposed for all arms together (flag W01)."""
    protocol: Mapping[str, str] = field(default_factory=dict)
    """Other settings fixed before the run, as printable text: data, model, training, seeds."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Versions, machine, threads and precision."""
    config_hash: str = ""
    study_file: str = ""
    """The study file with every default filled in; empty if there was no study file."""
    arithmetic: str = "plain"
    """`stacked` if the confirmation trained many runs at once, so that their seconds are shares of
    common ones; otherwise `plain`."""
    search_arithmetic: str = "plain"
    """The same for the trials of the search."""
    chance_score: float = nan
    """The objective of an untrained model, which diverged runs get; NaN if it is not known."""
    finished: bool = False
    notes: tuple[str, ...] = ()
    """Events that a reader should know: pruning was switched off, or the search was extended or
    ended by a timeout."""
    changed_after_results: tuple[str, ...] = ()
    """Settings that changed after confirmation runs were read, as `key: before -> after`."""
    foreign: bool = False
    """Whether another program made it, so that its arms had no promised budget."""
    repeats: int = 1
    """Independent searches of every arm; the record holds the trials of all of them."""
    read_at_seeds: tuple[int, ...] = ()
    """Numbers of confirmation seeds at which results had been read before seeds were added. Looks
    that were declared (`confirm.looks`) are not among them."""
    read_at_repeats: tuple[int, ...] = ()
    """Numbers of confirmed repeats at which results had been read before repeats were added, where
    that many repeats could already show a difference between arms."""
    caveats: tuple[str, ...] = ()
    """Sentences about its origin that are shown next to the verdict."""

    @property
    def has_epochs(self) -> bool:
        """Whether epochs of runs are known; another program need not have reported any."""
        return not self.foreign or self.epochs > 0

    @property
    def first_search(self) -> "StudyRecord":
        """The study as it would be without repeats."""
        return replace(
            self,
            repeats=1,
            trials=tuple(run for run in self.trials if run.repeat == 0),
            confirmations=tuple(run for run in self.confirmations if run.repeat == 0),
        )

    @property
    def objectives(self) -> tuple[MetricInfo, ...]:
        """All objectives of the search; the leading one comes first."""
        return self.objective, *self.further_objectives

    @property
    def budget(self) -> Budget:
        """The budget of every arm; it is meaningless in a study of another program."""
        return Budget(
            trials=self.trials_per_arm, epochs=self.epochs_per_arm, seconds=self.seconds_per_arm
        )
