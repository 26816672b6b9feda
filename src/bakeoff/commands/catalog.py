"""Prints what a study file can name: optimizers, schedules, models, ... and their parameters."""

from collections.abc import Mapping

from bakeoff.commands.output import print_json, print_table
from bakeoff.components.parameters import ParameterSpec
from bakeoff.ranges import describe_range
from bakeoff.records import as_plain

Row = dict[str, object]


def parameter_rows(head: Row, parameters: Mapping[str, ParameterSpec] | None) -> list[Row]:
    """A row per parameter, which begins with `head`."""
    return [
        {
            **head,
            "parameter": name,
            "range": describe_range(spec.range),
            "default": spec.default,
            "searched": "yes" if spec.searched else "if asked",
            "source": spec.source,
        }
        for name, spec in (parameters or {}).items()
    ]


def print_rows(rows: list[Row], *, as_json: bool = False) -> None:
    """Print rows that all have the same keys, as a table or as JSON."""
    if as_json:
        print_json(as_plain(rows))
    else:
        print_table(list(rows[0]), [list(row.values()) for row in rows])


def print_with_parameters(
    rows: list[Row],
    parameters: list[Mapping[str, ParameterSpec] | None],
    about: str,
    *,
    as_json: bool,
) -> None:
    """Print rows, a text and the parameters of every row; as JSON a row holds its parameters.

    Args:
        rows: The first key names what a row is; it is repeated in the table of parameters.
        parameters: The parameters of each row, by name.
        about: Printed between the two tables.
        as_json: Whether to print JSON, without the text.
    """
    if as_json:
        found = zip(rows, parameters, strict=True)
        print_json(as_plain([{**row, "parameters": parameter_rows({}, own)} for row, own in found]))
        return
    print_rows(rows)
    print(about)
    key = next(iter(rows[0]))
    named = zip(rows, parameters, strict=True)
    print_rows([one for row, own in named for one in parameter_rows({key: row[key]}, own)])
