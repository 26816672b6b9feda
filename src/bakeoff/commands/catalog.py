"""`study optimizers`, `schedulers`, `models`, ...: what can be named in a study file."""

import math
from collections.abc import Mapping

from bakeoff.commands.output import print_json, print_table
from bakeoff.components.compatibility import allowed_schedulers
from bakeoff.components.metrics import DEFAULT_OBJECTIVES, METRICS, MetricSpec
from bakeoff.components.models import MODELS
from bakeoff.components.optimizers import OPTIMIZERS, OptimizerSpec
from bakeoff.components.package_optimizers import EXTRA, PACKAGE_PREFIX
from bakeoff.components.parameters import ParameterSpec
from bakeoff.components.schedulers import SCHEDULERS
from bakeoff.data.dataset_table import DATASETS, FORMS
from bakeoff.data.inputs import describe_kinds
from bakeoff.ranges import describe_range
from bakeoff.records import as_plain

Row = dict[str, object]

YOUR_OPTIMIZER = f"""
State is counted for fp32 weights of large matrices, with momentum where it can be set; weight decay
leaves norms and biases alone. Also: any optimizer of the package pytorch_optimizer, as
"{PACKAGE_PREFIX}Name". Its package and schedulefree come with: pip install 'bakeoff[{EXTRA}]'
"""
YOUR_MODEL = """
Tokens are what language models read. Also: "torchvision:NAME" and "timm:NAME", classifiers of these
packages with fresh weights, whose own parameters may be given too (timm comes with: pip install
'bakeoff[timm]'); and your own, "package.module:function", called with input_shape= and num_outputs=
"""
ABOUT_METRICS = """
All metrics of the task are recorded after every epoch; objective = "NAME" under [study] says by
which one the runs are judged. [data] task = "NAME" says what the labels are; where the data set
does not tell, it is classification."""
YOUR_FUNCTION = (
    "a function of yours that returns arrays by the names of npz:PATH, or a torch Dataset, a pair "
    "of them or a mapping with the keys train and test"
)


def list_optimizers(*, as_json: bool) -> None:
    """Print the optimizers, and under them a line per parameter."""
    if as_json:
        rows = [
            {**_optimizer_row(spec), "parameters": _parameter_rows({}, spec.parameters)}
            for spec in OPTIMIZERS
        ]
        print_json(as_plain(rows))
        return
    _print([_optimizer_row(spec) for spec in OPTIMIZERS], as_json=False)
    print(YOUR_OPTIMIZER)
    parameters = [
        row
        for spec in OPTIMIZERS
        for row in _parameter_rows({"optimizer": spec.name}, spec.parameters)
    ]
    _print(parameters, as_json=False)


def _optimizer_row(spec: OptimizerSpec) -> Row:
    schedulers = allowed_schedulers(spec.name)
    return {
        "optimizer": spec.name,
        "description": spec.description,
        "weight decay": spec.weight_decay,
        "state bytes per weight": spec.state_bytes,
        "schedules": "all" if schedulers == SCHEDULERS.names else ", ".join(schedulers),
        "package": spec.package,
    }


def list_schedulers(*, as_json: bool) -> None:
    """Print the schedules, a line per parameter."""
    rows = [
        row
        for spec in SCHEDULERS
        for row in _parameter_rows(
            {"scheduler": spec.name, "description": spec.description}, spec.parameters
        )
    ]
    _print(rows, as_json=as_json)


def list_models(*, as_json: bool) -> None:
    """Print the models with what they take, and under them a line per parameter."""
    rows: list[Row] = [
        {
            "model": spec.name,
            "takes": describe_kinds(spec.inputs),
            "description": spec.description,
        }
        for spec in MODELS
    ]
    if as_json:
        parameters = [_parameter_rows({}, spec.parameters or {}) for spec in MODELS]
        print_json(
            as_plain(
                [{**row, "parameters": own} for row, own in zip(rows, parameters, strict=True)]
            )
        )
        return
    _print(rows, as_json=False)
    print(YOUR_MODEL)
    _print(
        [
            row
            for spec in MODELS
            for row in _parameter_rows({"model": spec.name}, spec.parameters or {})
        ],
        as_json=False,
    )


def list_metrics(*, as_json: bool) -> None:
    """Print the metrics of each task, its default objective marked."""
    rows: list[Row] = [
        {
            "task": task,
            "metric": spec.name,
            "title": spec.info.title,
            "better": "higher" if spec.info.sign > 0 else "lower",
            "range": _metric_range(spec),
            "default": "yes" if DEFAULT_OBJECTIVES[task] == spec.name else "",
            "computed as": spec.source,
        }
        for task, specs in METRICS.items()
        for spec in specs
    ]
    _print(rows, as_json=as_json)
    if not as_json:
        print(ABOUT_METRICS)


def _metric_range(spec: MetricSpec) -> str:
    info = spec.info
    low = "" if info.low == -math.inf else f"from {info.low:g}"
    high = "" if info.high == math.inf else f"to {info.high:g}"
    return " ".join(filter(None, (low, high, info.unit)))


def list_datasets(*, as_json: bool) -> None:
    """Print the registered data sets, and the forms that your own can have."""
    rows: list[Row] = [
        {
            "dataset": spec.name,
            "task": spec.tasks[0],
            "classes": len(spec.class_names) or None,
            "description": spec.description,
            "source": spec.source,
            "licence": spec.licence,
        }
        for spec in DATASETS
    ]
    rows += [
        _own_data_row(f"{form.name}:PATH", ", ".join(form.tasks), form.description)
        for form in FORMS
    ]
    rows.append(_own_data_row("package.module:function", "any", YOUR_FUNCTION))
    _print(rows, as_json=as_json)


def _own_data_row(name: str, task: str, description: str) -> Row:
    return {
        "dataset": name,
        "task": task,
        "classes": None,
        "description": description,
        "source": "your own",
        "licence": "your own",
    }


def _parameter_rows(head: Row, parameters: Mapping[str, ParameterSpec]) -> list[Row]:
    return [
        {
            **head,
            "parameter": name,
            "range": describe_range(spec.range),
            "default": spec.default,
            "searched": "yes" if spec.searched else "if asked",
            "source": spec.source,
        }
        for name, spec in parameters.items()
    ]


def _print(rows: list[Row], *, as_json: bool) -> None:
    if as_json:
        print_json(as_plain(rows))
    else:
        print_table(list(rows[0]), [list(row.values()) for row in rows])
