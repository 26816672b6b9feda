"""`study optimizers`, `schedulers`, `models`, `datasets`: what can be named in a study file."""

from collections.abc import Mapping

from bakeoff.commands.output import print_json, print_table
from bakeoff.components.datasets import DATASETS
from bakeoff.components.models import MODELS
from bakeoff.components.optimizers import OPTIMIZERS
from bakeoff.components.parameters import ParameterSpec
from bakeoff.components.schedulers import SCHEDULERS
from bakeoff.ranges import describe_range
from bakeoff.records import as_plain

Row = dict[str, object]

YOUR_MODEL = """
your own: model = "package.module:function", called with input_shape= and num_classes="""
YOUR_DATA = """
your own: dataset = "npz:PATH" with arrays x, y or x_train, y_train, x_test, y_test,
or dataset = "package.module:function" that returns such arrays by these names"""


def list_optimizers(*, as_json: bool) -> None:
    """Print the optimizers, a line per parameter."""
    rows = [
        row
        for spec in OPTIMIZERS
        for row in _parameter_rows(
            {"optimizer": spec.name, "weight decay": spec.weight_decay}, spec.parameters
        )
    ]
    _print(rows, as_json=as_json)


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
    """Print the models, a line per parameter."""
    rows = [
        row
        for spec in MODELS
        for row in _parameter_rows(
            {"model": spec.name, "description": spec.description}, spec.parameters or {}
        )
    ]
    _print(rows, as_json=as_json)
    if not as_json:
        print(YOUR_MODEL)


def list_datasets(*, as_json: bool) -> None:
    """Print the data sets."""
    rows: list[Row] = [
        {
            "dataset": spec.name,
            "classes": len(spec.class_names),
            "description": spec.description,
            "source": spec.source,
            "licence": spec.licence,
        }
        for spec in DATASETS
    ]
    _print(rows, as_json=as_json)
    if not as_json:
        print(YOUR_DATA)


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
