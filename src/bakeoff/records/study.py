"""A study as it is stored: all that analysis and report may read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from bakeoff.ranges import Range
from bakeoff.records.runs import TrialRecord
from bakeoff.records.study_config import Budget, ConfirmConfig, ScoreRule

Direction = Literal["maximize", "minimize"]


@dataclass(frozen=True, kw_only=True)
class MetricInfo:
    """What a metric means."""

    name: str
    direction: Direction
    low: float
    high: float
    title: str = ""
    unit: str = ""
    is_mean_over_samples: bool = False
    """Whether it is an average of a yes/no per sample, so that its standard error is known."""

    @property
    def sign(self) -> int:
        """+1 where higher is better, -1 where lower is."""
        return 1 if self.direction == "maximize" else -1


@dataclass(frozen=True, kw_only=True)
class ArmRecord:
    """One arm: what is compared, with the space it was searched in."""

    name: str
    space: Mapping[str, Range | float | int | bool | str]
    """Range or fixed value by full parameter name, in the order they are sampled."""
    contains: tuple[str, ...] = ()
    """Arms that are special cases of this one."""


@dataclass(frozen=True, kw_only=True)
class StudyRecord:
    """What is known of a study: all that analysis and report may read."""

    name: str
    question: str
    objective: MetricInfo
    """What runs are scored and confirmed by; the first of several objectives."""
    score_rule: ScoreRule
    epochs: int
    """Planned epochs H of every run."""
    arms: tuple[ArmRecord, ...]
    trials: tuple[TrialRecord, ...]
    """Search trials of all arms, by number."""
    confirmations: tuple[TrialRecord, ...]
    """Shortlist and confirmation runs, by number."""
    trials_per_arm: int | None
    """What every arm was promised, and below in epochs and seconds; None is no limit."""
    sampler: str
    pruner: str
    confirm: ConfirmConfig
    further_objectives: tuple[MetricInfo, ...] = ()
    """What else the search sought."""
    epochs_per_arm: int | None = None
    seconds_per_arm: float | None = None
    startup_trials: int = 0
    delta: float | None = None
    reference: str | None = None
    num_validation: int | None = None
    num_test: int | None = None
    shared_sampler: bool = False
    """Whether one model-based sampler proposed for all arms together (flag W01)."""
    protocol: Mapping[str, str] = field(default_factory=dict)
    """What else was fixed before the run, as printable text: data, model, training, seeds."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Versions, machine, threads and precision."""
    config_hash: str = ""
    study_file: str = ""
    """The study file with every default written out; empty where there was none."""
    finished: bool = False
    notes: tuple[str, ...] = ()
    """What happened on the way that a reader should know: pruning switched off, a search extended
    or ended by a timeout."""
    changed_after_results: tuple[str, ...] = ()
    """Settings changed when confirmation runs had been read, as `key: before -> after`."""
    foreign: bool = False
    """Whether another program made it; no budget was promised to its arms then."""
    caveats: tuple[str, ...] = ()
    """What a reader must know of how it came about, as sentences beside the verdict."""

    @property
    def objectives(self) -> tuple[MetricInfo, ...]:
        """All that the search sought, the objective first."""
        return self.objective, *self.further_objectives

    @property
    def budget(self) -> Budget:
        """What every arm was promised; means nothing in a study of another program."""
        return Budget(
            trials=self.trials_per_arm, epochs=self.epochs_per_arm, seconds=self.seconds_per_arm
        )
