"""The shape of a study file, as pydantic models: sections, keys, types, limits and help texts.

The text below a key is its description in the JSON Schema, where editors show it. A default value
is added to it; only what a missing value (None) means is written there by hand, after "Default:".
"""

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from bakeoff.components.pruners import PRUNERS
from bakeoff.records import (
    Arithmetic,
    ClassWeights,
    Direction,
    Normalize,
    Precision,
    Sampling,
    ScoreRule,
    Task,
)
from bakeoff.seeding import MAX_SEED
from bakeoff.studyfile.value_types import (
    FREEZE,
    MAX_OBJECTIVES,
    ArmName,
    Fraction,
    MetricName,
    ObjectiveName,
    OptimizerName,
    OwnFunction,
    OwnMetricName,
    PositiveInt,
    PrunerName,
    SamplerName,
    SchedulerName,
)

SCHEMA_ID = "urn:bakeoff:study-file"


def _add_defaults(schema: dict[str, Any], section: type[BaseModel]) -> None:
    """Add to the description of every key of a section whether it is required, or its default."""
    for name, field in section.model_fields.items():
        is_section = isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
        text = " ".join(str(field.annotation.__doc__ if is_section else field.description).split())
        if field.is_required():
            text += " Required."
        elif is_section:
            text += " Default: the defaults of its keys."
        elif "Default: " not in text:
            text += f" Default: {json.dumps(field.default)}."
        schema["properties"][name]["description"] = text


SETTINGS = ConfigDict(
    strict=True,
    allow_inf_nan=False,
    use_attribute_docstrings=True,
    json_schema_extra=_add_defaults,
)


class _Section(BaseModel):
    model_config = SETTINGS | ConfigDict(extra="forbid")


class RangeTable(_Section):
    """`{ low = 1e-4, high = 1e-1, log = true }` or `{ choices = [32, 64] }`."""

    low: float | int | None = None
    """Smallest value, in the unit of the key that has the range. Default: none; a range needs low
    and high, or choices."""
    high: float | int | None = None
    """Largest value, in the unit of the key that has the range. Default: none; see low."""
    log: bool = False
    """Whether to search the logarithm of the value; low must then be above 0."""
    log_from_one: bool = False
    """Whether to search the logarithm of 1 - value, for a momentum: of 0 to 0.99, half of the
    search is then above 0.9. High must be below 1."""
    step: int | None = None
    """Distance between whole numbers of the range. Default: 1."""
    choices: list[float | int | bool | str] | None = None
    """Values to choose from, instead of low and high. Default: none."""


class StudySection(_Section):
    """What the study asks."""

    name: str
    """Name of the study and of its folder of results: 1 to 100 letters, digits and . _ -"""
    base: str | None = None
    """Study file whose settings this one takes over and changes, relative to this file. Default:
    none."""
    question: str = ""
    """The question as the report shows it. Default: made of what is compared, model and data."""
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] = 0
    """Every random number of the study depends on this whole number."""
    objective: (
        MetricName
        | Annotated[
            list[ObjectiveName],
            Field(json_schema_extra={"minItems": 1, "maxItems": MAX_OBJECTIVES}),
        ]
        | None
    ) = None
    """Metric by which runs are scored (`study metrics` lists them), or your own as
    package.module:name or as your loop names it; or up to 3 objectives, of which the first is that
    metric. Default: accuracy for classification, macro_f1 for multilabel, mean_iou for
    segmentation, rmse for regression, loss for language."""
    score: ScoreRule = "best_epoch"
    """The epoch whose validation objective is the score of a run."""
    compare: list[Literal["optimizer", "scheduler"]] = ["optimizer"]
    """What the arms of the study are: optimizers, schedules, or every pair of both."""
    delta: Annotated[float, Field(gt=0)] | None = None
    """Smallest difference that matters to you, in units of the objective. Default: derived from the
    size of the test set, or else from the spread of the confirmation runs."""
    reference: str | None = None
    """Arm whose score is the target that the report measures times to. Default: none; the leading
    arms set the target."""


class DataSection(_Section):
    """Which data to use, and how to split it."""

    dataset: str = ""
    """Name of a data set (`study datasets` lists them), or your own as folder:PATH, csv:PATH,
    text:PATH, npz:PATH or package.module:function; a PATH may be a URL such as s3://bucket/file.
    Default: none, with a loop of your own."""
    task: Task | None = None
    """What is predicted: a class, several labels of 0 and 1, the class of every pixel, a number, or
    the next token. Default: the task of the data set, or classification if it has none."""
    validation_fraction: Fraction = 0.2
    """Share of the training samples held out for validation, between 0 and 1."""
    validation: Annotated[str, Field(min_length=1)] | None = None
    """A table or text to validate on, as csv:PATH or text:PATH. Default: the validation set in the
    data (x_val, the folder val), or else a share of the training samples."""
    train_samples: PositiveInt | None = None
    """Number of training samples to use. Default: all samples."""
    imbalance: Annotated[float, Field(ge=1, le=1_000_000)] | None = None
    """Makes the training samples long-tailed: ratio of samples in the largest class to samples in
    the smallest. Default: the samples stay as they are."""
    image_size: Annotated[int, Field(ge=1, le=4096)] | None = None
    """Pixels per side to which images of a folder are resized. Default: they keep their size."""
    target: Annotated[str, Field(min_length=1)] | list[str] | None = None
    """Column of a table to predict, or a list: columns of 0 and 1 for several labels, or columns of
    numbers for several targets. Default: the last column."""
    categories: Literal["one_hot", "codes"] | None = None
    """How text columns of a table are read: one_hot (a feature of 0 and 1 for each text) or codes
    (one column of integers, for models with embeddings). Default: one_hot."""
    sequence_length: Annotated[int, Field(ge=1, le=65_536)] | None = None
    """Tokens in a sample of text. Default: 64 tokens."""
    text: Annotated[str, Field(min_length=1)] | None = None
    """Column of a table that holds texts to classify. Default: none; every column is a feature."""
    tokenizer: Annotated[str, Field(pattern="^(hf:.+|words|characters)$")] | None = None
    """What turns the texts into tokens: words, characters, or the model hf:NAME or hf:./FOLDER.
    Default: the study's model if it is one, otherwise words."""
    augment: list[str] = []
    """Random changes of each image in every epoch: flip, crop, cutout, translate, or your own as
    package.module:name, a function of images and a generator or a transform of torchvision."""
    normalize: Normalize | None = None
    """How inputs are normalised: data (mean 0 and deviation 1 over the training samples), imagenet
    (images, by the mean and deviation of ImageNet), weights (as the pretrained weights ask), or
    none (bytes become 0 to 1, other numbers stay). Default: weights if the model is pretrained,
    otherwise data."""


class ModelSection(BaseModel):
    """The model by name; every other key is one of its parameters, as a value or a range."""

    model_config = SETTINGS | ConfigDict(extra="allow")

    __pydantic_extra__: dict[str, int | float | bool | str | RangeTable] = Field(init=False)
    model: str = ""
    """Name of a model (`study models` lists them), or your own as package.module:function. Default:
    none, with a loop of your own."""
    parameter_groups: Annotated[str, Field(min_length=1)] | None = None
    """A function of yours, package.module:function, that is called with the model and returns which
    weights have which factors of learning rate and decay, and which are frozen. Default: none."""


class FinetuneSection(_Section):
    """Which weights a run begins with, and which of them it trains."""

    pretrained: bool | Annotated[str, Field(min_length=1)] = False
    """true: the default weights of torchvision:NAME, timm:NAME or hf:NAME; or the name of others,
    such as IMAGENET1K_V2; or a file of weights (.safetensors, or a state dictionary of torch). The
    head is always new."""
    freeze: Annotated[str, Field(pattern=FREEZE)] = "none"
    """Weights that are not trained: none, backbone (all but the head), or all but N stages, such as
    "all but 2 stages" (the head and the last two stages are trained)."""
    unfreeze_epoch: Annotated[int, Field(ge=2, le=100_000)] | None = None
    """First epoch, counted from 1, in which frozen weights are trained as well. Default: never."""
    layer_decay: Annotated[float, Field(gt=0, le=1)] | RangeTable = 1.0
    """Factor of the learning rate from each stage to the one before it, above 0 and up to 1."""
    head_factor: Annotated[float, Field(gt=0)] | RangeTable = 1.0
    """Factor of the head's learning rate, above 0."""


class TrainingSection(_Section):
    """How every run trains."""

    epochs: Annotated[int, Field(ge=1, le=100_000)]
    """Epochs of a whole run."""
    batch_size: PositiveInt | RangeTable = 128
    """Samples per batch."""
    precision: Precision = "auto"
    """Number format of the computation; auto measures which is fastest on this machine. tf32 is
    for NVIDIA's GPUs: float32 whose products are rounded."""
    loss: Annotated[str, Field(min_length=1)] | None = None
    """The training loss: cross_entropy, for multilabel bce, for regression mse, l1 or huber, or
    your own as package.module:name, called with outputs and targets. Default: mse for regression,
    bce for multilabel, otherwise cross_entropy."""
    clip_grad_norm: Annotated[float, Field(gt=0)] | RangeTable | None = None
    """Largest norm of the whole gradient. Default: no clipping."""
    clip_grad_value: Annotated[float, Field(gt=0)] | RangeTable | None = None
    """Largest absolute value in the gradient. Default: no clipping."""
    accumulation_steps: PositiveInt | RangeTable = 1
    """Batches whose gradients make one optimizer step."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] | RangeTable = 0.0
    """Share of the target that is spread over all classes, from 0 (off) to below 1."""
    class_weights: ClassWeights = "none"
    """balanced: samples of rare classes, or with rare labels, weigh more in the loss."""
    sampling: Sampling = "shuffled"
    """weighted: every class is drawn equally often, with replacement."""
    focal_gamma: Annotated[float, Field(ge=0, le=10)] | RangeTable = 0.0
    """Exponent of the focal loss; 0 is cross-entropy."""
    mixup_alpha: Annotated[float, Field(ge=0, le=100)] | RangeTable = 0.0
    """Mixes pairs of samples in shares drawn from Beta(alpha, alpha); 0 is off."""
    cutmix_alpha: Annotated[float, Field(ge=0, le=100)] | RangeTable = 0.0
    """Replaces a rectangle of each image by another image's, with an area share drawn from
    Beta(alpha, alpha); 0 is off."""
    ema_decay: Annotated[float, Field(ge=0, lt=1)] | RangeTable = 0.0
    """Decay per optimizer step of the moving average of the weights, which is then evaluated and
    kept; 0 is off."""
    early_stopping_patience: PositiveInt | None = None
    """Epochs without a better validation objective after which a run stops. Default: never."""
    threads: Annotated[int, Field(ge=1, le=1024)] | None = None
    """CPU threads of each worker; their number changes bits of the results. Default: the machine
    and `--threads` decide; 1 thread if the study is repeatable."""
    devices_per_trial: Annotated[int, Field(ge=1, le=64)] = 1
    """Devices of one machine that train each run together, or on the CPU processes; each has a part
    of every batch, and their number changes results."""
    metrics: list[str] = []
    """Metrics of your own, as package.module:name, that are recorded besides those of the task."""
    loop: Annotated[str, Field(min_length=1)] | None = None
    """Your own training loop as package.module:name, a function of one argument that yields the
    metrics of each epoch or reports them. Default: the built-in loop."""


class MetricTable(_Section):
    """What a metric of your own means: its direction, bounds, and value without training."""

    direction: Direction | None = None
    """Whether more or less is better. Default: none; an objective needs it."""
    low: float | None = None
    """Smallest value, in the unit of the metric. Default: no bound."""
    high: float | None = None
    """Largest value, in the unit of the metric. Default: no bound."""
    untrained: float | None = None
    """Score without training, which diverged runs get. Default: none; the objective needs it."""


def _describe_pruners(schema: dict[str, Any], section: type[BaseModel]) -> None:
    """Add the settings of all pruners to the JSON schema of `PrunerTable`."""
    _add_defaults(schema, section)
    for spec in PRUNERS:
        for name, one in spec.parameters.items():
            schema["properties"][name] = one.json_schema(spec.name)
    schema["additionalProperties"] = False


class PrunerTable(BaseModel):
    """`{ name = "percentile", percentile = 25 }`: a pruner with settings of its own."""

    model_config = SETTINGS | ConfigDict(extra="allow", json_schema_extra=_describe_pruners)

    __pydantic_extra__: dict[str, int | float] = Field(init=False)
    name: PrunerName
    """The pruner that these settings are for."""


class SearchSection(_Section):
    """What is searched, with which budget."""

    optimizers: Annotated[list[OptimizerName], Field(min_length=1)]
    """The optimizers to compare (`study optimizers` lists them), or your own as
    package.module:Name."""
    schedulers: Annotated[list[SchedulerName], Field(min_length=1)] = ["constant"]
    """The learning-rate schedules to search or compare (`study schedulers` lists them), or your own
    as package.module:function, called with progress."""
    trials_per_arm: PositiveInt | None = None
    """Budget of each arm in trials. Default: 20 trials, or no limit if epochs_per_arm or
    seconds_per_arm is given; with the grid sampler, as many as the smallest grid has."""
    epochs_per_arm: PositiveInt | None = None
    """Budget of each arm in epochs. Default: no limit."""
    seconds_per_arm: Annotated[float, Field(gt=0, le=1e9)] | None = None
    """Budget of each arm in seconds of training and evaluation. Default: no limit."""
    sampler: SamplerName = "tpe"
    """What proposes the hyperparameters of a trial."""
    pruner: PrunerName | PrunerTable = "cautious"
    """What stops bad trials early: a name, or a table with its settings."""
    audit: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Share of an arm's trials that is never pruned, so that the effect of pruning can be measured.
    0 audits none, and 0.1 none of an arm of up to 4 trials."""
    grid_points: Annotated[int, Field(ge=1, le=1000)] = 3
    """Values per range of the grid sampler."""
    startup_trials: PositiveInt | None = None
    """First trials of an arm, which are drawn independently at random. Default: 10 trials, or half
    of the runs that the budget allows if that is less; all trials of random, sobol and grid."""
    pruner_startup_trials: PositiveInt = 3
    """Complete trials that a group of trials needs before one of its trials may be pruned."""
    repeatable: bool = False
    """Whether the search must give the same trials with any number of workers."""
    lag: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Trials of an arm that a repeatable search may have open at one time. Default: 8 trials if the
    study is repeatable, otherwise no limit."""
    defaults: bool = True
    """Whether each arm also trains its library defaults, outside the budget: once in the search,
    and on the confirmation seeds."""
    repeats: Annotated[int, Field(ge=1, le=100)] = 1
    """Independent searches of every arm, each with its own seeds and the whole budget: 20 or more
    trials per arm. A study with enough of them can say which optimizer is better, not only which
    configuration; `study plan` says how many that takes."""
    arithmetic: Arithmetic = "auto"
    """How trials train: plain, one by one; stacked, some small trials at once, which is faster and
    rounds differently; auto: what is faster on this machine, but plain in a repeatable study."""


class ConfirmSection(_Section):
    """How the configurations found are confirmed."""

    seeds: Annotated[int, Field(ge=0, le=1000)] | Literal["auto"] = "auto"
    """Training seeds of each arm's confirmation runs; auto: the last of `looks`, or the fewest that
    usually show a difference of 2 standard deviations (10 for four arms); 0: no confirmation."""
    repeat_seeds: Annotated[int, Field(ge=0, le=1000)] | None = None
    """Training seeds of the confirmation runs in every repeat after the first. Default: 3 seeds, or
    as many as the first repeat has if that is fewer."""
    shortlist: PositiveInt = 3
    """Best configurations of each arm from which one is chosen for confirmation."""
    shortlist_seeds: PositiveInt = 3
    """Training seeds with which each configuration of the shortlist is trained."""
    looks: list[PositiveInt] | None = None
    """Numbers of seeds at which the results are looked at, rising, for example [10, 20]: the
    confirmation ends at the first look that decides every pair. Default: one look, at `seeds`."""
    resplit: bool = False
    """Whether each repeat draws its own split of the data before its search, and each confirmation
    seed draws training and validation samples anew. A test set that came with the data stays."""
    arithmetic: Arithmetic = "auto"
    """How the runs of the confirmation train: plain, one by one; stacked, many small runs at once,
    which is several times faster and rounds differently; auto: what is faster on this machine, but
    plain in a repeatable study."""


class TrackingSection(_Section):
    """Where else runs are shown."""

    tensorboard: bool = False
    """Whether to write every run for TensorBoard."""
    wandb: Annotated[str, Field(pattern=r"^[^/\\#?%:]{1,128}$")] | None = None
    """Project of Weights & Biases that gets every run. Default: none."""
    mlflow: Annotated[str, Field(min_length=1, max_length=250)] | None = None
    """Experiment of MLflow that gets every run, at MLFLOW_TRACKING_URI or in mlflow.db in the
    study's folder of results. Default: none."""
    callback: OwnFunction | None = None
    """Function of yours, as package.module:function, that is called with every event (begin, epoch,
    pause, end) in a process of its own. Default: none."""


class StudyFile(_Section):
    """A study file, as written."""

    study: StudySection
    data: DataSection = DataSection()
    model: ModelSection = ModelSection()
    finetune: FinetuneSection = FinetuneSection()
    training: TrainingSection
    search: SearchSection
    space: dict[str, dict[str, int | float | bool | str | RangeTable]] = {}
    """Values or ranges by optimizer or schedule, where they differ from the library's: [space.sgd]
    learning_rate = { low = 1e-3, high = 1.0, log = true }. Default: the library's ranges."""
    metrics: dict[OwnMetricName, MetricTable] = {}
    """What metrics of your own mean, by their references or by the names that your loop gives them:
    [metrics."my_metrics:top2"] direction = "maximize". Default: none."""
    confirm: ConfirmSection = ConfirmSection()
    tracking: TrackingSection = TrackingSection()
    arms: dict[ArmName, dict[str, dict[str, Any]]] = {}
    """Named arms, in place of study.compare, each with the settings that it has of its own: keys of
    [model], [finetune], [training], [space], of [data] augment and normalize, and of [search]
    optimizers and schedulers; [arms.focal] training.loss = "my_losses:focal". An arm without
    settings is the study as it stands. Default: none."""


def study_schema() -> str:
    """The JSON Schema of study files, for editors."""
    schema = StudyFile.model_json_schema() | {"title": "Study file of bakeoff"}
    draft = "https://json-schema.org/draft/2020-12/schema"
    return json.dumps({"$schema": draft, "$id": SCHEMA_ID, **schema}, indent=2)
