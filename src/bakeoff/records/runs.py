"""One training run: its settings, the results of its epochs, and its record."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from bakeoff.ranges import Params
from bakeoff.records.study_config import (
    DataConfig,
    FinetuneConfig,
    OwnMetric,
    ScoreRule,
    TrainingConfig,
)

Phase = Literal["random", "design", "model", "default", "user"]
Purpose = Literal["search", "shortlist", "confirm", "default"]
"""`default` trains an arm's library defaults on the seeds of the confirmation. It reads the test
set, as `confirm` does."""
READS_TEST: tuple[Purpose, ...] = ("confirm", "default")
"""The purposes of the runs that read the test set, once, at their end."""
Outcome = Literal["running", "complete", "pruned", "diverged", "infeasible", "failed"]
EpochStatus = Literal["running", "finished", "early_stopped", "diverged"]
OUTCOMES: tuple[Outcome, ...] = (
    "complete", "pruned", "diverged", "infeasible", "failed", "running"
)  # fmt: skip
CHARGED_OUTCOMES: tuple[Outcome, ...] = ("complete", "pruned", "diverged", "infeasible")
WEIGHTS_HASH = "pretrained weights, SHA-256"
"""Heading, in the environment of a study or run, of the hash of its pretrained weights."""
CONFIG_HASH = "model configuration, SHA-256"
"""Heading of the hash of the configuration of a model of the Hugging Face hub."""


def of_named_arm(heading: str, arm: str) -> str:
    """The heading, in an environment, of what concerns one of the arms that a study names."""
    return f"{heading} (arm {arm})"


class Losses(NamedTuple):
    """The workers that a run has lost."""

    workers: int = 0
    """Those since its last new epoch that did not end with their machine."""
    epoch: int = -1
    """Its newest epoch when it last lost one of them."""
    nodes: int = 0
    """Those that ended with their machine."""


NO_LOSSES = Losses()


@dataclass(frozen=True, kw_only=True)
class TrialConfig:
    """Everything that determines one training run."""

    optimizer: str
    optimizer_params: Params
    scheduler: str
    scheduler_params: Params
    model: str
    model_params: Params
    data: DataConfig
    training: TrainingConfig
    objective: str
    score_rule: ScoreRule
    seed: int
    """It decides weights, batch order, dropout and augmentation."""
    split_seed: int
    """It decides which training samples are held out. It is the same for every run of a study,
    unless the study splits anew (`ConfirmConfig.resplit`)."""
    test_seed: int | None = None
    """It draws the test set, if the data came without one. None takes the test set that every study
    of the data has."""
    metrics: Mapping[str, OwnMetric] = field(default_factory=dict)
    """Metrics of the user's own that are recorded, by their references."""
    finetune: FinetuneConfig = field(default_factory=FinetuneConfig)
    weights_sha256: str = ""
    """Of the pretrained weights, where a study has stored it; a worker refuses other weights."""
    data_fingerprint: str = ""
    """Of the data, where a study has stored it; a worker trains on no other data."""


@dataclass(frozen=True, kw_only=True)
class EpochResult:
    """The results of one epoch."""

    epoch: int
    """Completed epochs, counted from 1."""
    metrics: Mapping[str, float]
    """Validation metrics by name."""
    train_loss: float = float("nan")
    """Mean loss over the epoch's samples, with augmentation and dropout."""
    learning_rate: float = float("nan")
    """The learning rate at the epoch's last step."""
    grad_norm: float = float("nan")
    """Mean gradient norm over the epoch's steps, before clipping."""
    steps: int = 0
    skipped_steps: int = 0
    """Steps that the gradient scaler skipped."""
    train_seconds: float = 0.0
    data_seconds: float = 0.0
    """The part of `train_seconds` spent waiting for batches; 0 if it was not measured."""
    evaluate_seconds: float = 0.0
    status: EpochStatus = "running"
    confusion: tuple[tuple[int, ...], ...] = ()
    """Validation samples by class and predicted class, [C, C]. Only the scored epoch has it, and
    only if there are at most 100 classes."""

    def __post_init__(self) -> None:
        # Rows that were read from JSON are lists.
        object.__setattr__(self, "confusion", tuple(map(tuple, self.confusion)))

    @property
    def class_recall(self) -> tuple[float, ...]:
        """Recall of each class, [C]; NaN for a class without samples."""
        return tuple(
            row[label] / sum(row) if any(row) else float("nan")
            for label, row in enumerate(self.confusion)
        )


def keep_last_confusion(history: Sequence[EpochResult]) -> tuple[EpochResult, ...]:
    """`history` with only its latest confusion matrix, which belongs to the scored epoch."""
    last = max((place for place, result in enumerate(history) if result.confusion), default=-1)
    return tuple(
        replace(result, confusion=()) if result.confusion and place < last else result
        for place, result in enumerate(history)
    )


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """The record of one run."""

    number: int
    """Search trials count from 0, and confirmation runs count from 0 separately."""
    arm: str
    params: Params
    """By full parameter name, as Optuna stores them."""
    outcome: Outcome
    score: float | None
    """The score by the score rule: the best so far if pruned, an untrained model's if diverged."""
    further_scores: Mapping[str, float] = field(default_factory=dict)
    """Values of the further objectives; NaN unless the run is complete."""
    seed: int | None = None
    phase: Phase = "random"
    purpose: Purpose = "search"
    configuration: int | None = None
    """For a confirmation run, the number of the search trial whose configuration it repeats."""
    history: tuple[EpochResult, ...] = ()
    epochs_planned: int = 0
    test_metrics: Mapping[str, float] = field(default_factory=dict)
    """Test metrics of the scored epoch, which only confirmation runs have."""
    stop_reason: str = ""
    attempts: int = 1
    """One more than the number of workers it has lost."""
    losses: Losses = NO_LOSSES
    """Only known while it runs."""
    lost_drivers: int = 0
    """Drivers that ended while it ran. Their workers may live on where nobody reaches them."""
    is_paused: bool = False
    """Whether it waits at a rung with its checkpoint; its outcome is then `running`."""
    place: str = ""
    """The node or device that has it, while it runs; empty for the driver's own CPU."""
    audited: bool = False
    """Whether it is exempt from pruning. Audited trials are chosen before they begin."""
    spared_at: int | None = None
    """The epoch after which it would have been pruned if it were not exempt from pruning."""
    decision_epochs: tuple[int, ...] = ()
    """Epochs after which it could be stopped or paused; the first one is its first rung."""
    other_seconds: float = 0.0
    """Seconds that belong to no epoch of `history`, because another program stored only how long
    the run took."""
    repeat: int = 0
    """The search it belongs to, counted from 0; its confirmation runs have the same number."""
    test_without: tuple[float, ...] = ()
    """The objective on the test set without each of G groups of test samples, [G]. Sample i is in
    group i % G. Empty where the test set was not read or the values were not stored."""

    @property
    def newest_attempt(self) -> int:
        """The number of its newest start, by which its files are found."""
        return self.attempts + self.lost_drivers

    @property
    def epochs_run(self) -> int:
        """Epochs trained; an interrupted and repeated epoch counts once."""
        return self.history[-1].epoch if self.history else 0

    @property
    def train_seconds(self) -> float:
        """Seconds spent in training steps; in a study of another program, of the whole run."""
        return self.other_seconds + sum(result.train_seconds for result in self.history)

    @property
    def evaluate_seconds(self) -> float:
        """Seconds spent in evaluation."""
        return sum(result.evaluate_seconds for result in self.history)

    def values(self, metric: str) -> tuple[float, ...]:
        """The metric after each epoch; NaN if it was not measured."""
        return tuple(result.metrics.get(metric, float("nan")) for result in self.history)
