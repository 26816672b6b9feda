"""A checked study file as plain values: `StudyConfig` and its parts."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from bakeoff.ranges import Params, Range

Task = Literal["classification", "multilabel", "segmentation", "regression", "language"]
"""A class per sample, several labels per sample that each apply or not, a class per pixel, a number
or several per sample, or the next token after every token."""
Loss = str
"""`mse`, `l1` and `huber` for regression, `bce` for several labels per sample, `cross_entropy` for
everything else, or the user's own as `package.module:name`."""
ScoreRule = Literal["best_epoch", "last_epoch"]
Precision = Literal["fp32", "tf32", "bf16", "fp16", "auto"]
ClassWeights = Literal["none", "balanced"]
Sampling = Literal["shuffled", "weighted"]
Direction = Literal["maximize", "minimize"]
Arithmetic = Literal["auto", "plain", "stacked"]
Normalize = Literal["data", "imagenet", "none", "weights"]
"""By the training samples, by the mean and deviation of ImageNet, not at all, or as the pretrained
weights ask."""


MIN_DEVICE_SAMPLES = 2
"""Samples of each batch that every device of a run must have. Batch normalisation needs two."""


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which data, and how it is split."""

    dataset: str
    """Empty if the study has a loop of the user's own that brings its data."""
    task: Task = "classification"
    validation_fraction: float = 0.2
    """Share of the training samples held out for validation. It is stratified by class; for text it
    is the last part."""
    validation: str | None = None
    """Data of their own to validate on, such as `csv:PATH`; None if the data itself tells."""
    train_samples: int | None = None
    """Use only this many training samples (stratified by class); None uses all."""
    imbalance: float | None = None
    """Samples of the largest class over samples of the smallest, made by removing samples.

    None removes none. `train_samples` counts the samples that remain."""
    image_size: int | None = None
    """Pixels per side to which images of a folder are resized; None does not resize them."""
    target: str | tuple[str, ...] | None = None
    """Column of a table to predict, or several of them; None means the last column."""
    categories: Literal["codes"] | None = None
    """`codes` reads each text column of a table as one column of integers; None makes a feature of
    0 and 1 for each of its texts."""
    sequence_length: int | None = None
    """Tokens in a sample of text; None for other data."""
    text: str | None = None
    """Column of a table that holds texts, the samples; None if every column is a feature."""
    tokenizer: str | None = None
    """The model `hf:...` whose tokenizer turns these texts into tokens, `words` or `characters`."""
    augment: tuple[str, ...] = ()
    normalize: Normalize | None = None
    """How inputs are normalised; None does it by the training samples, as `data` does."""

    @property
    def is_given(self) -> bool:
        """Whether the study names any data."""
        return bool(self.dataset)


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig:
    """Which weights a run begins with, which of them it trains, and with which learning rates."""

    pretrained: bool | str = False
    """The package's own weights, one of them by name, or a file; False draws fresh weights."""
    freeze: str = "none"
    """`none`, `backbone` (all but the head), or `all but N stages` (the last ones and the head)."""
    unfreeze_epoch: int | None = None
    """The first epoch, counted from 1, in which everything is trained; None keeps it frozen."""
    layer_decay: float = 1.0
    """Factor of the learning rate from each stage to the one before it; the head has 1."""
    head_factor: float = 1.0
    """Factor of the head's learning rate."""
    parameter_groups: str | None = None
    """A function of the user's, `module:function`, that says the same for each weight; None if
    there is none."""

    @property
    def scales_rates(self) -> bool:
        """Whether weights may have different learning rates."""
        return (self.layer_decay, self.head_factor, self.parameter_groups) != (1.0, 1.0, None)


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How every run trains. It is the same for all arms."""

    epochs: int
    batch_size: int = 128
    precision: Precision = "auto"
    loss: Loss = "cross_entropy"
    """In regression, the loss between standardised targets and predictions."""
    clip_grad_norm: float | None = None
    """Largest norm of the whole gradient; None does not clip."""
    clip_grad_value: float | None = None
    """Largest absolute value in the gradient, after its norm was clipped; None does not clip."""
    accumulation_steps: int = 1
    """Batches per optimizer step. Batch normalisation sees each batch separately."""
    label_smoothing: float = 0.0
    class_weights: ClassWeights = "none"
    """`balanced` weighs a sample in the loss by the inverse frequency of its class; with several
    labels per sample, those that have a label weigh as much as those that do not."""
    sampling: Sampling = "shuffled"
    """`weighted` draws every class equally often, with replacement."""
    focal_gamma: float = 0.0
    """Exponent of the focal loss; 0 is cross-entropy."""
    mixup_alpha: float = 0.0
    """Batches are mixed with themselves, in shares drawn from Beta(alpha, alpha); 0 is off."""
    cutmix_alpha: float = 0.0
    """A rectangle of each image comes from another image, with a share drawn likewise; 0 is off."""
    ema_decay: float = 0.0
    """Decay of the moving average of the weights that is evaluated and kept; 0 is off."""
    early_stopping_patience: int | None = None
    """Stop after this many epochs without a better validation objective; None never stops."""
    threads: int | None = None
    """Threads of each worker, which change rounding; None leaves them to `--threads`."""
    devices_per_trial: int = 1
    """Devices, or on the CPU processes, that train a run together; each has a part of a batch."""
    metrics: tuple[str, ...] = ()
    """Metrics of the user's own that are recorded besides those of the task."""
    loop: str | None = None
    """The user's own loop as `package.module:name`; None trains with the built-in one."""


@dataclass(frozen=True, kw_only=True)
class Budget:
    """The budget of every arm. The first limit that is reached counts; None means no limit."""

    trials: int | None = None
    epochs: int | None = None
    seconds: float | None = None
    """Seconds of training and evaluation, on the worker's clock."""

    @property
    def limits(self) -> dict[str, float]:
        """The limits by unit, without the units that have no limit."""
        given = {"trials": self.trials, "epochs": self.epochs, "seconds": self.seconds}
        return {unit: limit for unit, limit in given.items() if limit is not None}

    def num_whole_runs(self, run_epochs: int) -> int | None:
        """The number of whole runs that it pays for; None if only time is limited."""
        counts = [self.trials, None if self.epochs is None else self.epochs // run_epochs]
        return min((count for count in counts if count is not None), default=None)


@dataclass(frozen=True, kw_only=True)
class SearchConfig:
    """What is searched, with which budget."""

    optimizers: tuple[str, ...]
    schedulers: tuple[str, ...]
    trials_per_arm: int | None
    """The budget of each arm in trials; None means no limit. Below it is given in epochs and in
    seconds."""
    sampler: str
    pruner: str
    startup_trials: int
    """The first trials of an arm, which are independent random draws."""
    pruner_startup_trials: int
    """Complete trials that a cohort needs before one of its trials may be pruned."""
    pruner_params: Params = field(default_factory=dict)
    """The pruner's own settings."""
    audit: float = 0.1
    """Share of an arm's trials that is exempt from pruning; 0 exempts none."""
    grid_points: int = 3
    """Values per range of the grid sampler."""
    lag: int | None = None
    """In a repeatable search, the number of trials that may be unfinished when the next one is
    proposed. A proposal then knows the same trials with any number of workers. None otherwise."""
    defaults: bool = True
    """Train each arm's library defaults, outside the budget: once on a seed of the search, and on
    the seeds of the confirmation."""
    epochs_per_arm: int | None = None
    seconds_per_arm: float | None = None
    repeats: int = 1
    """Independent searches of every arm, each with its own seeds and the whole budget."""
    arithmetic: Arithmetic = "auto"
    """Whether trials train one by one (`plain`) or some at once (`stacked`), which rounds
    differently. `auto` takes what is faster on this machine, and `plain` in a repeatable study."""

    @property
    def budget(self) -> Budget:
        """What each arm may spend in one search."""
        return Budget(
            trials=self.trials_per_arm, epochs=self.epochs_per_arm, seconds=self.seconds_per_arm
        )


@dataclass(frozen=True, kw_only=True)
class ConfirmConfig:
    """How the chosen configurations are confirmed. 0 seeds means that they are not."""

    seeds: int
    shortlist: int
    shortlist_seeds: int
    repeat_seeds: int = 3
    """Confirmation seeds of every repeat after the first one, which has `seeds`."""
    looks: tuple[int, ...] = ()
    """Numbers of seeds at which the results are looked at, declared before the study began. The
    last one is `seeds`; empty means a single look at all seeds. Only the first repeat is looked at
    in between."""
    resplit: bool = False
    """Each repeat draws its own split, and each confirmation seed draws training and validation
    samples anew. A test set that came with the data stays the same."""
    arithmetic: Arithmetic = "auto"
    """Whether these runs train one by one (`plain`) or many at once (`stacked`), which rounds
    differently. `auto` takes what is faster on this machine, and `plain` in a repeatable study."""

    def seeds_of(self, repeat: int) -> int:
        """The number of confirmation seeds of a repeat, if its last look is taken."""
        return self.repeat_seeds if repeat else self.seeds

    def looks_of(self, repeat: int) -> tuple[int, ...]:
        """The numbers of seeds after which the confirmation of a repeat may end, rising."""
        return self.looks if self.looks and not repeat else (self.seeds_of(repeat),)


@dataclass(frozen=True, kw_only=True)
class OwnMetric:
    """What a study file says about a metric of the user's own; None where it does not say."""

    direction: Direction | None = None
    low: float | None = None
    """The smallest value; None if there is none."""
    high: float | None = None
    untrained: float | None = None
    """The score of an untrained model, which diverged runs get."""


@dataclass(frozen=True, kw_only=True)
class TrackingConfig:
    """Other programs that show the runs."""

    tensorboard: bool = False
    wandb: str | None = None
    """Project of Weights & Biases; None does not use it."""
    mlflow: str | None = None
    """Experiment of MLflow; None does not use it."""
    callback: str | None = None
    """Function of the user's that is called with every event, as `package.module:name`."""


@dataclass(frozen=True, kw_only=True)
class NamedArm:
    """What a named arm may have of its own.

    The epochs, precision, threads and recorded metrics of its training are those of the study.
    """

    augment: tuple[str, ...]
    normalize: Normalize | None
    model: str
    model_params: Params
    finetune: FinetuneConfig
    training: TrainingConfig
    optimizers: tuple[str, ...]
    schedulers: tuple[str, ...]
    space: Mapping[str, Range | float | int | bool | str]


@dataclass(frozen=True, kw_only=True)
class StudyConfig:
    """A study file that has been checked, with every default filled in."""

    name: str
    question: str
    seed: int
    objective: str
    """The metric that runs are scored by; the first one if there are several objectives."""
    score_rule: ScoreRule
    compare: tuple[str, ...]
    """What the arms are; empty if the study file names them (`arms`)."""
    delta: float | None
    """Smallest difference that matters, in units of the objective; None derives it from data."""
    reference: str | None
    """The arm that was declared as the reference before the run."""
    data: DataConfig
    model: str
    """Empty if the study has a loop of the user's own that builds its model."""
    model_params: Params
    training: TrainingConfig
    search: SearchConfig
    space: Mapping[str, Range | float | int | bool | str]
    """Range or fixed value by full parameter name: `adamw.learning_rate`, `model.dropout`."""
    confirm: ConfirmConfig
    tracking: TrackingConfig = TrackingConfig()
    further_objectives: tuple[str, ...] = ()
    """The other objectives: metrics, or costs of a run."""
    metrics: Mapping[str, OwnMetric] = field(default_factory=dict)
    """Every metric of the user's own that the study names, by its reference, or by the name that a
    loop of theirs gives it."""
    folder: str = field(default="", compare=False)
    """The folder of the study file on this machine, where its own modules are looked for; empty for
    a study without a file. It is no setting, and is not stored."""
    finetune: FinetuneConfig = FinetuneConfig()
    arms: Mapping[str, NamedArm] = field(default_factory=dict)
    """The arms that the study file names; empty if the arms are optimizers or schedules."""

    def of_arm(self, name: str) -> "StudyConfig":
        """The study with what a named arm has of its own; itself if no arms are named."""
        if not self.arms:
            return self
        arm, ours = self.arms[name], self.training
        return replace(
            self,
            arms={},
            compare=("optimizer",),
            reference=None,
            data=replace(self.data, augment=arm.augment, normalize=arm.normalize),
            model=arm.model,
            model_params=arm.model_params,
            finetune=arm.finetune,
            training=replace(
                arm.training,
                epochs=ours.epochs,
                precision=ours.precision,
                threads=ours.threads,
                devices_per_trial=ours.devices_per_trial,
                metrics=ours.metrics,
            ),
            search=replace(self.search, optimizers=arm.optimizers, schedulers=arm.schedulers),
            space=arm.space,
        )

    @property
    def variants(self) -> Mapping[str, "StudyConfig"]:
        """The study of each named arm by its name; the study itself as `""` if none is named."""
        return {name: self.of_arm(name) for name in self.arms} or {"": self}

    @property
    def subject(self) -> str:
        """What is trained: the model on its data, or the loop of the user's own that has them."""
        models = {arm.model for arm in self.variants.values()}
        model = self.model if models == {self.model} else ""  # several have no common name
        loop, known = self.training.loop, [one for one in (model, self.data.dataset) if one]
        return " on ".join(known) if loop is None else " on ".join([loop, *known[-1:]])
