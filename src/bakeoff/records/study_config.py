"""What the user asked for: `StudyConfig` and its parts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from bakeoff.ranges import Params, Range

Task = Literal["classification", "regression", "language"]
"""A class per sample, a number per sample, or the next token after every token."""
Loss = Literal["cross_entropy", "mse", "l1", "huber"]
"""The last three are for regression, and the first is for everything else."""
ScoreRule = Literal["best_epoch", "last_epoch"]
Precision = Literal["fp32", "bf16", "fp16", "auto"]
ClassWeights = Literal["none", "balanced"]
Sampling = Literal["shuffled", "weighted"]


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which data, and how it is split."""

    dataset: str
    task: Task = "classification"
    validation_fraction: float = 0.2
    """Share of the training samples held out for validation: stratified by class, of text the
    last part."""
    train_samples: int | None = None
    """Use only this many training samples (stratified by class); None uses all."""
    imbalance: float | None = None
    """Make the training samples long-tailed: those of the largest class to those of the smallest.

    None leaves them as they are. `train_samples` counts what is left then."""
    image_size: int | None = None
    """Pixels per side that images of a folder are brought to; None takes them as they are."""
    target: str | None = None
    """Column of a table to predict; None takes the last one."""
    sequence_length: int | None = None
    """Tokens in a sample of text; None where there is no text."""
    augment: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How every run trains; equal for all arms."""

    epochs: int
    batch_size: int = 128
    precision: Precision = "auto"
    loss: Loss = "cross_entropy"
    """Between standardised targets and predictions in regression."""
    clip_grad_norm: float | None = None
    """Largest norm of the whole gradient; None does not clip."""
    clip_grad_value: float | None = None
    """Largest absolute value in the gradient, after its norm was clipped; None does not clip."""
    accumulation_steps: int = 1
    """Batches whose gradients make one optimizer step; batch normalisation sees each alone."""
    label_smoothing: float = 0.0
    class_weights: ClassWeights = "none"
    """`balanced`: a sample counts in the loss by how rare its class is."""
    sampling: Sampling = "shuffled"
    """`weighted`: every class is drawn equally often, with replacement."""
    focal_gamma: float = 0.0
    """Exponent of the focal loss; 0 is cross-entropy."""
    mixup_alpha: float = 0.0
    """Batches are mixed with themselves, in shares drawn from Beta(alpha, alpha); 0 does not."""
    cutmix_alpha: float = 0.0
    """A rectangle of each image comes from another one, its share drawn likewise; 0: none does."""
    ema_decay: float = 0.0
    """An exponential moving average of the weights is evaluated and kept; 0 keeps none."""
    early_stopping_patience: int | None = None
    """Stop after this many epochs without a better validation objective; None never stops."""
    threads: int | None = None
    """Of each worker, which change bits; None leaves them to the machine and `--threads`."""


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What every arm may spend in each unit, whichever comes first; None is no limit."""

    trials: int | None = None
    epochs: int | None = None
    seconds: float | None = None
    """Of training and evaluation, on the worker's clock."""

    @property
    def limits(self) -> dict[str, float]:
        """The limit by unit; units without one are absent."""
        given = {"trials": self.trials, "epochs": self.epochs, "seconds": self.seconds}
        return {unit: limit for unit, limit in given.items() if limit is not None}

    def num_whole_runs(self, run_epochs: int) -> int | None:
        """How many whole runs of so many epochs it pays for; None where only time is limited."""
        counts = [self.trials, None if self.epochs is None else self.epochs // run_epochs]
        return min((count for count in counts if count is not None), default=None)


@dataclass(frozen=True, kw_only=True)
class SearchConfig:
    """What is searched, with which budget."""

    optimizers: tuple[str, ...]
    schedulers: tuple[str, ...]
    trials_per_arm: int | None
    """What each arm may spend in trials, and below in epochs and in seconds of its workers; None is
    no limit."""
    sampler: str
    pruner: str
    startup_trials: int
    """The first trials of an arm, drawn at random and independently."""
    pruner_startup_trials: int
    """Complete trials a cohort needs before one of its trials may be pruned."""
    pruner_params: Params = field(default_factory=dict)
    """The pruner's own settings."""
    audit: float = 0.1
    """Share of an arm's trials, at least one, that is never pruned; 0 is none."""
    grid_points: int = 3
    """Values per range of the grid sampler."""
    lag: int | None = None
    """Of a repeatable search, how many trials are dealt before the first of them must have been
    told: what a proposal knows is then the same with any number of workers. None otherwise."""
    defaults: bool = True
    """Run each arm's library defaults once, outside the budget."""
    epochs_per_arm: int | None = None
    seconds_per_arm: float | None = None

    @property
    def budget(self) -> Budget:
        """What each arm may spend."""
        return Budget(
            trials=self.trials_per_arm, epochs=self.epochs_per_arm, seconds=self.seconds_per_arm
        )


@dataclass(frozen=True, kw_only=True)
class ConfirmConfig:
    """How the configurations found are confirmed; 0 seeds means not at all."""

    seeds: int
    shortlist: int
    shortlist_seeds: int


@dataclass(frozen=True, kw_only=True)
class TrackingConfig:
    """Where else runs are shown."""

    tensorboard: bool = False
    wandb: str | None = None
    """Project of Weights & Biases; None is not told."""


@dataclass(frozen=True, kw_only=True)
class StudyConfig:
    """A study file, checked and with every default written out."""

    name: str
    question: str
    seed: int
    objective: str
    """A metric; the first one where there are several objectives."""
    score_rule: ScoreRule
    compare: tuple[str, ...]
    delta: float | None
    """Smallest difference that matters, in units of the objective; None derives it."""
    reference: str | None
    """Arm declared as the reference before the run."""
    data: DataConfig
    model: str
    model_params: Params
    training: TrainingConfig
    search: SearchConfig
    space: Mapping[str, Range | float | int | bool | str]
    """Range or fixed value by full parameter name: `adamw.learning_rate`, `model.dropout`."""
    confirm: ConfirmConfig
    tracking: TrackingConfig = TrackingConfig()
    further_objectives: tuple[str, ...] = ()
    """What is sought beside the objective: metrics, or costs of a run."""
