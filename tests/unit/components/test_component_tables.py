import subprocess
import sys

import pytest

from bakeoff.components.augmentations import AUGMENTATIONS
from bakeoff.components.metrics import METRICS, recorded_metrics
from bakeoff.components.models import MODELS
from bakeoff.components.optimizers import OPTIMIZERS
from bakeoff.components.parameters import LIMITS, ParameterSpec, complete_params
from bakeoff.components.schedulers import SCHEDULERS
from bakeoff.data.dataset_table import DATASETS
from bakeoff.errors import UsageError
from bakeoff.ranges import Choice, FloatRange
from bakeoff.registry import resolve

TABLES = (
    "components.augmentations", "components.metrics", "components.models",
    "components.optimizers", "components.pruners", "components.samplers",
    "components.schedulers", "data.datasets",
)  # fmt: skip

OWNERS = {
    **{f"optimizer {spec.name}": spec.parameters for spec in OPTIMIZERS},
    **{f"scheduler {spec.name}": spec.parameters for spec in SCHEDULERS},
    **{f"model {spec.name}": spec.parameters or {} for spec in MODELS},
}
PARAMETERS = [
    pytest.param(spec, id=f"{owner}.{name}")
    for owner, parameters in OWNERS.items()
    for name, spec in parameters.items()
]
LEARNING_RATES = [
    pytest.param(spec.parameters["learning_rate"], id=spec.name) for spec in OPTIMIZERS
]
REFERENCES = [
    *(spec.build for spec in OPTIMIZERS),
    *(spec.build for spec in MODELS),
    *dict.fromkeys(spec.compute for specs in METRICS.values() for spec in specs),
    *(spec.apply for spec in AUGMENTATIONS),
]


@pytest.mark.parametrize("table", TABLES)
def test_table_is_imported_without_torch(table: str) -> None:
    code = (
        f"import sys, bakeoff.{table}; "
        "print(sorted({'torch', 'torchmetrics', 'sklearn', 'optuna'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("reference", REFERENCES)
def test_reference_leads_to_something_callable(reference: str) -> None:
    assert callable(resolve(reference))


@pytest.mark.parametrize("spec", PARAMETERS)
def test_default_lies_in_the_range_or_switches_the_parameter_off(spec: ParameterSpec) -> None:
    assert spec.default in spec.range or spec.default == 0.0


@pytest.mark.parametrize("spec", PARAMETERS)
def test_range_says_where_it_comes_from(spec: ParameterSpec) -> None:
    assert len(spec.source.split()) >= 2


@pytest.mark.parametrize(
    ("name", "spec"),
    [(name, spec) for parameters in OWNERS.values() for name, spec in parameters.items()],
)
def test_range_lies_within_what_the_parameter_can_have(name: str, spec: ParameterSpec) -> None:
    limits = spec.limits or LIMITS[name]
    assert not isinstance(spec.range, Choice)
    assert all(value in limits for value in (spec.range.low, spec.range.high, float(spec.default)))


@pytest.mark.parametrize("spec", LEARNING_RATES)
def test_learning_rate_is_searched_over_three_decades_or_more(spec: ParameterSpec) -> None:
    assert isinstance(spec.range, FloatRange)
    assert spec.range.log
    assert spec.range.high / spec.range.low >= 1e3
    assert spec.searched


@pytest.mark.parametrize("spec", OPTIMIZERS, ids=lambda spec: spec.name)
def test_every_optimizer_searches_the_same_number_of_parameters(spec: object) -> None:
    searched = [one for one in spec.parameters.values() if one.searched]  # type: ignore[attr-defined]
    assert len(searched) == 3


def test_registries_hold_what_the_documentation_lists() -> None:
    assert OPTIMIZERS.names == (
        "sgd", "nesterov", "adam", "adamw", "rmsprop", "nadam", "radam", "adamax", "adagrad",
        "adadelta", "adafactor", "muon", "schedule_free_sgd", "schedule_free_adamw",
    )  # fmt: skip
    assert SCHEDULERS.names == (
        "constant", "linear", "step", "multi_step", "exponential", "polynomial", "cosine",
        "cosine_restarts", "one_cycle", "warmup_stable_decay", "plateau",
    )  # fmt: skip
    assert MODELS.names == (
        "mlp", "cnn", "resnet8", "unet", "lstm", "gru", "transformer", "tabular_mlp",
    )  # fmt: skip
    assert DATASETS.names == (
        "digits", "fashion-mnist", "fashion-rows", "jargon", "mnist", "cifar10", "cifar100", "svhn",
        "emnist",
    )  # fmt: skip
    assert {task: specs.names for task, specs in METRICS.items()} == {
        "classification": (
            "accuracy", "top5_accuracy", "balanced_accuracy", "loss", "macro_f1", "auroc",
            "calibration_error",
        ),
        "multilabel": (
            "macro_f1", "micro_f1", "exact_match", "hamming_accuracy", "mean_average_precision",
            "auroc", "loss",
        ),
        "segmentation": ("mean_iou", "pixel_accuracy", "loss"),
        "regression": ("rmse", "mae", "r2", "loss"),
        "language": ("loss", "perplexity", "token_accuracy"),
    }  # fmt: skip
    assert AUGMENTATIONS.names == ("flip", "translate", "crop", "cutout")


def test_missing_parameters_take_their_defaults_in_declared_order() -> None:
    complete = complete_params("optimizer 'sgd'", OPTIMIZERS["sgd"].parameters, {"momentum": 0.5})
    assert list(complete.items()) == [
        ("learning_rate", 1e-3),
        ("momentum", 0.5),
        ("weight_decay", 0.0),
    ]


def test_undeclared_parameter_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UsageError, match="did you mean 'learning_rate'"):
        complete_params("optimizer 'sgd'", OPTIMIZERS["sgd"].parameters, {"learning_rte": 0.1})


def test_a_metric_that_needs_more_classes_is_not_recorded() -> None:
    names = [
        [spec.name for spec in recorded_metrics("classification", num_classes, objective)]
        for num_classes, objective in ((5, "loss"), (6, "loss"), (5, "top5_accuracy"))
    ]
    assert ["top5_accuracy" in recorded for recorded in names] == [False, True, True]
    assert set(names[1]) - set(names[0]) == {"top5_accuracy"}
