"""One run: what determines it, what each epoch measured, what is known of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from bakeoff.ranges import Params
from bakeoff.records.study_config import DataConfig, ScoreRule, TrainingConfig

Phase = Literal["random", "design", "model", "default", "user"]
Purpose = Literal["search", "shortlist", "confirm"]
Outcome = Literal["running", "complete", "pruned", "diverged", "infeasible", "failed"]
EpochStatus = Literal["running", "finished", "early_stopped", "diverged"]
OUTCOMES: tuple[Outcome, ...] = (
    "complete", "pruned", "diverged", "infeasible", "failed", "running"
)  # fmt: skip
CHARGED_OUTCOMES: tuple[Outcome, ...] = ("complete", "pruned", "diverged", "infeasible")


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
    """Weights, batch order, dropout and augmentation all follow from it."""
    split_seed: int
    """Decides which training samples are held out; the same for every run of a study."""


@dataclass(frozen=True, kw_only=True)
class EpochResult:
    """What one epoch measured."""

    epoch: int
    """Completed epochs, counted from 1."""
    metrics: Mapping[str, float]
    """Validation metrics by name."""
    train_loss: float = float("nan")
    """Mean over the epoch's samples, with augmentation and dropout."""
    learning_rate: float = float("nan")
    """At the epoch's last step."""
    grad_norm: float = float("nan")
    """Mean over the epoch's steps, before clipping."""
    steps: int = 0
    skipped_steps: int = 0
    """Steps that the gradient scaler skipped."""
    train_seconds: float = 0.0
    data_seconds: float = 0.0
    """Of `train_seconds`, those that the steps waited for their batches; 0 if not measured."""
    evaluate_seconds: float = 0.0
    status: EpochStatus = "running"
    confusion: tuple[tuple[int, ...], ...] = ()
    """Validation samples by class and predicted class, [C, C]; of the scored epoch, where there
    are at most 100 classes, and empty otherwise."""

    def __post_init__(self) -> None:
        # Read back from JSON the rows are lists.
        object.__setattr__(self, "confusion", tuple(map(tuple, self.confusion)))

    @property
    def class_recall(self) -> tuple[float, ...]:
        """Share of each class that was recognised, [C]; NaN of a class without samples."""
        return tuple(
            row[label] / sum(row) if any(row) else float("nan")
            for label, row in enumerate(self.confusion)
        )


def keep_last_confusion(history: Sequence[EpochResult]) -> tuple[EpochResult, ...]:
    """`history` with one confusion matrix at most: the latest, which is the scored epoch's."""
    last = max((place for place, result in enumerate(history) if result.confusion), default=-1)
    return tuple(
        replace(result, confusion=()) if result.confusion and place < last else result
        for place, result in enumerate(history)
    )


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """What is known of one run."""

    number: int
    """Within its purpose group: search trials count from 0, and so do confirmation runs."""
    arm: str
    params: Params
    """By full parameter name, as Optuna stores them."""
    outcome: Outcome
    score: float | None
    """By the score rule; best so far if pruned, an untrained model's if diverged."""
    further_scores: Mapping[str, float] = field(default_factory=dict)
    """By further objective, in their order; NaN unless the run is complete, empty without any."""
    seed: int | None = None
    phase: Phase = "random"
    purpose: Purpose = "search"
    configuration: int | None = None
    """Number of the search trial whose configuration a confirmation run repeats."""
    history: tuple[EpochResult, ...] = ()
    epochs_planned: int = 0
    test_metrics: Mapping[str, float] = field(default_factory=dict)
    """Read once, at the scored epoch, in confirmation runs only."""
    stop_reason: str = ""
    attempts: int = 1
    """One more than the workers it has lost; bounded, however often the study is continued."""
    is_paused: bool = False
    """Running, but waiting at a rung with its checkpoint; it continues if it is promoted."""
    audited: bool = False
    """Never pruned, whatever its values: chosen before it began, to see what pruning is worth."""
    exempted_at: int | None = None
    """Epoch after which pruning would have ended it, had it not been audited (or off)."""
    decision_epochs: tuple[int, ...] = ()
    """Epochs after which it may have been stopped; the first is its first rung."""

    @property
    def epochs_run(self) -> int:
        """Epochs trained, counted once each however often the run was interrupted."""
        return self.history[-1].epoch if self.history else 0

    @property
    def train_seconds(self) -> float:
        """Seconds spent in training steps."""
        return sum(result.train_seconds for result in self.history)

    @property
    def evaluate_seconds(self) -> float:
        """Seconds spent in evaluation."""
        return sum(result.evaluate_seconds for result in self.history)

    def values(self, metric: str) -> tuple[float, ...]:
        """The metric after each epoch; NaN where it was not measured."""
        return tuple(result.metrics.get(metric, float("nan")) for result in self.history)
