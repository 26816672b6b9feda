"""The shape of a study file, as pydantic models: sections, keys, types and simple limits."""

import json
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

from bakeoff.components.metrics import METRIC_NAMES
from bakeoff.components.objectives import COSTS
from bakeoff.components.optimizers import OPTIMIZERS
from bakeoff.components.package_optimizers import PACKAGE_PREFIX
from bakeoff.components.pruners import PRUNERS
from bakeoff.components.samplers import SAMPLERS
from bakeoff.components.schedulers import SCHEDULERS
from bakeoff.records import ClassWeights, Sampling
from bakeoff.registry import Registry
from bakeoff.seeding import MAX_SEED

PositiveInt = Annotated[int, Field(ge=1, le=1_000_000)]


def _one_of(registry: Registry[Any]) -> FieldInfo:
    """A name in a registry, with the names that it has when the JSON schema is written."""
    return cast(
        "FieldInfo", Field(json_schema_extra=lambda schema: schema.update(enum=[*registry.names]))
    )


PrunerName = Annotated[str, _one_of(PRUNERS)]
MetricName = Annotated[str, Field(json_schema_extra={"enum": [*METRIC_NAMES]})]
ObjectiveName = Annotated[str, Field(json_schema_extra={"enum": [*METRIC_NAMES, *COSTS.names]})]
MAX_OBJECTIVES = 3
"""Beyond that nearly every trial is on the front."""
Fraction = Annotated[float, Field(gt=0, lt=1)]


def _describe_optimizer_names(schema: dict[str, Any]) -> None:
    pattern = f"^{PACKAGE_PREFIX}[A-Za-z]\\w*$"
    schema["anyOf"] = [{"enum": [*OPTIMIZERS.names]}, {"pattern": pattern}]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class RangeTable(_Section):
    """`{ low = 1e-4, high = 1e-1, log = true }` or `{ choices = [32, 64] }`."""

    low: float | int | None = None
    high: float | int | None = None
    log: bool = False
    step: int | None = None
    choices: list[float | int | bool | str] | None = None


Number = int | float | RangeTable


class StudySection(_Section):
    """What the study asks."""

    name: str
    question: str = ""
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] = 0
    objective: (
        MetricName
        | Annotated[
            list[ObjectiveName],
            Field(json_schema_extra={"minItems": 1, "maxItems": MAX_OBJECTIVES}),
        ]
        | None
    ) = None
    score: Literal["best_epoch", "last_epoch"] = "best_epoch"
    compare: list[Literal["optimizer", "scheduler"]] = ["optimizer"]
    delta: Annotated[float, Field(gt=0)] | None = None
    reference: str | None = None


class DataSection(_Section):
    """Which data, and how it is split."""

    dataset: str
    task: Literal["classification", "regression", "language"] | None = None
    validation_fraction: Fraction = 0.2
    train_samples: PositiveInt | None = None
    imbalance: Annotated[float, Field(ge=1, le=1_000_000)] | None = None
    image_size: Annotated[int, Field(ge=1, le=4096)] | None = None
    target: Annotated[str, Field(min_length=1)] | None = None
    sequence_length: Annotated[int, Field(ge=1, le=65_536)] | None = None
    augment: list[str] = []


class ModelSection(BaseModel):
    """The model by name; every other key is one of its parameters, as a value or a range."""

    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)

    __pydantic_extra__: dict[str, int | float | bool | str | RangeTable] = Field(init=False)
    model: str


class TrainingSection(_Section):
    """How every run trains."""

    epochs: Annotated[int, Field(ge=1, le=100_000)]
    batch_size: PositiveInt | RangeTable = 128
    precision: Literal["fp32", "bf16", "fp16", "auto"] = "auto"
    loss: Literal["cross_entropy", "mse", "l1", "huber"] | None = None
    clip_grad_norm: Annotated[float, Field(gt=0)] | RangeTable | None = None
    clip_grad_value: Annotated[float, Field(gt=0)] | RangeTable | None = None
    accumulation_steps: PositiveInt | RangeTable = 1
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] | RangeTable = 0.0
    class_weights: ClassWeights = "none"
    sampling: Sampling = "shuffled"
    focal_gamma: Annotated[float, Field(ge=0, le=10)] | RangeTable = 0.0
    mixup_alpha: Annotated[float, Field(ge=0, le=100)] | RangeTable = 0.0
    cutmix_alpha: Annotated[float, Field(ge=0, le=100)] | RangeTable = 0.0
    ema_decay: Annotated[float, Field(ge=0, lt=1)] | RangeTable = 0.0
    early_stopping_patience: PositiveInt | None = None
    threads: Annotated[int, Field(ge=1, le=1024)] | None = None


def _describe_pruners(schema: dict[str, Any]) -> None:
    """Add the settings of all pruners to the JSON schema of `PrunerTable`."""
    for spec in PRUNERS:
        for name, one in spec.parameters.items():
            schema["properties"][name] = one.json_schema(spec.name)
    schema["additionalProperties"] = False


class PrunerTable(BaseModel):
    """`{ name = "percentile", percentile = 25 }`: a pruner with settings of its own."""

    model_config = ConfigDict(
        extra="allow", strict=True, allow_inf_nan=False, json_schema_extra=_describe_pruners
    )

    __pydantic_extra__: dict[str, int | float] = Field(init=False)
    name: PrunerName


class SearchSection(_Section):
    """What is searched, with which budget."""

    optimizers: Annotated[
        list[Annotated[str, Field(json_schema_extra=_describe_optimizer_names)]],
        Field(min_length=1),
    ]
    schedulers: Annotated[
        list[Annotated[str, _one_of(SCHEDULERS)]],
        Field(min_length=1),
    ] = ["constant"]
    trials_per_arm: PositiveInt | None = None
    epochs_per_arm: PositiveInt | None = None
    seconds_per_arm: Annotated[float, Field(gt=0, le=1e9)] | None = None
    sampler: Annotated[str, _one_of(SAMPLERS)] = "tpe"
    pruner: PrunerName | PrunerTable = "halving"
    audit: Annotated[float, Field(ge=0, le=1)] = 0.1
    grid_points: Annotated[int, Field(ge=1, le=1000)] = 3
    startup_trials: PositiveInt | None = None
    pruner_startup_trials: PositiveInt = 3
    repeatable: bool = False
    lag: Annotated[int, Field(ge=1, le=1000)] | None = None
    defaults: bool = True


class ConfirmSection(_Section):
    """How the configurations found are confirmed."""

    seeds: Annotated[int, Field(ge=0, le=1000)] | Literal["auto"] = "auto"
    shortlist: PositiveInt = 3
    shortlist_seeds: PositiveInt = 3


class TrackingSection(_Section):
    """Where else runs are shown; nowhere unless asked."""

    tensorboard: bool = False
    wandb: Annotated[str, Field(pattern=r"^[^/\\#?%:]{1,128}$")] | None = None


class StudyFile(_Section):
    """A study file, as written."""

    study: StudySection
    data: DataSection
    model: ModelSection
    training: TrainingSection
    search: SearchSection
    space: dict[str, dict[str, int | float | bool | str | RangeTable]] = {}
    confirm: ConfirmSection = ConfirmSection()
    tracking: TrackingSection = TrackingSection()


def study_schema() -> str:
    """The JSON Schema of study files, for editors."""
    schema = StudyFile.model_json_schema()
    return json.dumps(
        {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}, indent=2
    )
