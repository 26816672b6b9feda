"""The six frozen value types that carry everything from the study file to the report.

    StudyConfig   what the user asked for
    TrialConfig   everything that determines one training run
    EpochResult   what one epoch of a run measured
    TrialRecord   what is known of one run
    StudyRecord   what is known of a study: all that analysis and report may read
    Comparison    what analysis computed: all that the report may say

The smaller types here are their parts. All are plain data: they pickle, and `as_plain` turns them
into JSON and TOML. Scores are stored as measured; `MetricInfo.sign` turns them into "higher is
better".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, Literal

from bakeoff.ranges import Params, Range

Task = Literal["classification", "regression", "language"]
"""A class per sample, a number per sample, or the next token after every token."""
Loss = Literal["cross_entropy", "mse", "l1", "huber"]
"""The last three are for regression, and the first is for everything else."""
Direction = Literal["maximize", "minimize"]
Phase = Literal["random", "design", "model", "default", "user"]
Purpose = Literal["search", "shortlist", "confirm"]
Outcome = Literal["running", "complete", "pruned", "diverged", "infeasible", "failed"]
ScoreRule = Literal["best_epoch", "last_epoch"]
Precision = Literal["fp32", "bf16", "fp16", "auto"]
ClassWeights = Literal["none", "balanced"]
Sampling = Literal["shuffled", "weighted"]
EpochStatus = Literal["running", "finished", "early_stopped", "diverged"]
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

OUTCOMES: tuple[Outcome, ...] = (
    "complete", "pruned", "diverged", "infeasible", "failed", "running"
)  # fmt: skip
CHARGED_OUTCOMES: tuple[Outcome, ...] = ("complete", "pruned", "diverged", "infeasible")


# ---------------------------------------------------------------- what the user asked for


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


@dataclass(frozen=True, kw_only=True)
class SearchConfig:
    """What is searched, with which budget."""

    optimizers: tuple[str, ...]
    schedulers: tuple[str, ...]
    trials_per_arm: int
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
    defaults: bool = True
    """Run each arm's library defaults once, outside the budget."""


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


# ---------------------------------------------------------------- one run


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
    spared_at: int | None = None
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


# ---------------------------------------------------------------- a study, as stored


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
    score_rule: ScoreRule
    epochs: int
    """Planned epochs H of every run."""
    arms: tuple[ArmRecord, ...]
    trials: tuple[TrialRecord, ...]
    """Search trials of all arms, by number."""
    confirmations: tuple[TrialRecord, ...]
    """Shortlist and confirmation runs, by number."""
    trials_per_arm: int
    sampler: str
    pruner: str
    confirm: ConfirmConfig
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
    finished: bool = False
    notes: tuple[str, ...] = ()
    """What happened on the way that a reader should know: pruning switched off, a search extended
    or ended by a timeout."""
    foreign: bool = False
    """Whether another program made it; no budget was promised to its arms then."""
    caveats: tuple[str, ...] = ()
    """What a reader must know of how it came about, as sentences beside the verdict."""


# ---------------------------------------------------------------- what analysis found


@dataclass(frozen=True, kw_only=True)
class ConfirmedScores:
    """Confirmation runs of one arm's chosen configuration; scores in the objective's units."""

    seeds: tuple[int, ...]
    test_scores: tuple[float, ...]
    """By seed, in the order of `seeds`; an untrained model's score where the run diverged."""
    num_diverged: int
    test_mean: float
    test_ci: tuple[float, float]
    """95 % t interval of the mean over seeds; infinite with fewer than two."""
    test_sd: float
    worst: float
    worst_seed: int
    validation_mean: float
    selection_gap: float
    """Search score minus `validation_mean`, positive where the search was too optimistic."""


@dataclass(frozen=True, kw_only=True)
class BoundaryMark:
    """A chosen value close to a bound that somebody chose."""

    parameter: str
    value: float
    side: Literal["low", "high"]
    bound: float
    raises_flag: bool
    """Whether W10 is raised: at the bound, or most of the arm's top five crowd there too."""


@dataclass(frozen=True, kw_only=True)
class TimeToTarget:
    """How soon confirmation runs reach the target, for runs planned for H epochs."""

    target: float
    reached: int
    num_runs: int
    median_epochs: float
    """Infinite if fewer than half reached it."""
    median_seconds: float
    search_cost_epochs: float
    """Expected epochs of search per trial that reaches the target (ERT); infinite if none."""


@dataclass(frozen=True, kw_only=True)
class Share:
    """How many of an arm's random trials have a property."""

    at_least: int
    at_most: int
    """Differs from `at_least` where the unknown final scores of pruned trials leave it open."""
    of: int
    ci: tuple[float, float]
    """Wilson, 95 %, from the smaller count's lower side to the larger one's upper side."""


@dataclass(frozen=True, kw_only=True)
class NearBest:
    """Random trials whose score is at most delta below a reference."""

    reference: float
    share: Share
    trials_needed: float
    """Trials that find one with probability 0.95; infinite if none was found."""
    trials_ci: tuple[float, float]
    """From the interval of the share."""


@dataclass(frozen=True, kw_only=True)
class RateRobustness:
    """How the score depends on the learning rate, one decade to each side of the best one."""

    sensitivity: float | None
    """Mean shortfall from the best half decade, in units of the objective."""
    tolerance_decades: float | None
    """Decades within delta of the best half decade."""
    best_of: int | None
    """Each half decade is represented by the expected best of this many of its trials."""
    note: str
    """Why there is no number; empty if there is one."""


@dataclass(frozen=True, kw_only=True)
class Robustness:
    """What a careless choice costs, from the random trials of an arm."""

    near_own: NearBest | None
    """Reference: the arm's confirmed validation mean, without one its best search score."""
    near_best: NearBest | None
    """Reference: the best confirmed validation mean of all arms."""
    diverged: Share
    learning_rate: RateRobustness


@dataclass(frozen=True, kw_only=True)
class BudgetEstimate:
    """One number about the best of k random trials, in units of the objective or a probability."""

    arm: str
    other: str
    """The arm it is compared with; empty if none."""
    quantity: BudgetQuantity
    k: int
    estimate: float | None
    """None where the unknown final scores of pruned trials could change it."""
    bounds: tuple[float, float]
    """Between which the estimate lies whatever those scores are; equal where it is known."""
    ci: tuple[float, float]
    """95 %, pointwise; infinite where unbounded, NaN where withheld."""
    method: str
    n: int
    """Random trials it rests on, of the arm that has fewer."""


@dataclass(frozen=True, kw_only=True)
class Importance:
    """How much one parameter mattered among the search trials of an arm, in the searched ranges."""

    arm: str
    parameter: str
    whole: tuple[float, float, float]
    """Share in what moves the score over the whole space: median, least and greatest of five
    random forests."""
    top: tuple[float, float, float] | None
    """Share in what leads to the best tenth of the trials; None with fewer than 50."""
    n: int
    """Trials with a known score."""
    n_with: int
    """Of those, the ones that have the parameter at all."""


@dataclass(frozen=True, kw_only=True)
class ArmSummary:
    """All that is said of one arm."""

    arm: str
    num_by_outcome: Mapping[Outcome, int]
    """Search trials within the budget; the default configuration is not among them."""
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
        """Trials charged to the arm's budget, whatever became of them."""
        return sum(self.num_by_outcome.get(outcome, 0) for outcome in CHARGED_OUTCOMES)


@dataclass(frozen=True, kw_only=True)
class PairResult:
    """Arm `a` against arm `b` over paired seeds; differences are positive where `a` is better."""

    a: str
    b: str
    num_pairs: int
    status: Status
    mean: float
    ci: tuple[float, float]
    """Simultaneous over all pairs: level 1 - 0.05/m. NaN where a run diverged."""
    p: float
    """Exact sign-flip test, two-sided."""
    p_holm: float
    win_share: float
    """Share of seeds on which `a` is better; ties count one half."""
    win_ci: tuple[float, float]
    """Wilson, 95 %."""
    detectable: float
    """Difference found with probability 0.8 by this many seeds at this spread."""
    equality_p: float
    """TOST against +/- delta, Holm over all pairs."""
    sentence: str
    seeds_to_decide: int | None = None
    """Estimated confirmation seeds at which this mean difference would be shown."""


@dataclass(frozen=True, kw_only=True)
class Flag:
    """A threat to the comparison, with what to do about it (`W01` to `W15`)."""

    id: str
    title: str
    detail: str
    advice: str
    severity: Severity
    arms: tuple[str, ...] = ()
    """Arms it concerns; empty means all."""


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """What the curves of an arm show, and one thing to try; a hint, no part of the verdict."""

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
    """Arms no other arm was shown to beat, best mean first; empty below L1."""
    tie_breakers: tuple[str, ...] = ()
    scope: str = ""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What analysis computed: all that the report may say."""

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
    """Seeds below which no verdict is given for this many arms."""
    test_standard_error: float | None
    diagnoses: tuple[Diagnosis, ...] = ()
    """In the order of the arms."""
    budget: tuple[BudgetEstimate, ...] = ()
    """What k trials may be expected to find; arms first, then pairs."""
    effort: tuple[str, ...] = ()
    """Which of two arms the search favours at which budget, a sentence for each pair."""
    importances: tuple[Importance, ...] = ()
    """Of the searched parameters, arm by arm; none for arms with fewer than 30 scored trials."""


def as_plain(value: Any) -> Any:
    """`value` as dictionaries, lists, text and numbers; dataclasses become dictionaries."""
    if is_dataclass(value) and not isinstance(value, type):
        return {part.name: as_plain(getattr(value, part.name)) for part in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): as_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_plain(item) for item in value]
    return value
