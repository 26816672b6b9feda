"""Prints what a study file can name, with the parameters of each."""

from collections.abc import Mapping, Sequence

from bakeoff.commands.output import print_json, print_rows
from bakeoff.components.parameters import ParameterSpec
from bakeoff.ranges import describe_range

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


def print_with_parameters(
    rows: Sequence[Row],
    parameters: Sequence[Mapping[str, ParameterSpec] | None],
    about: str,
    *,
    as_json: bool,
) -> None:
    """Print rows, a text and the parameters of every row; as JSON a row holds its parameters.

    Args:
        rows: The first key says what a row describes; it is repeated in the table of parameters.
        parameters: The parameters of each row, by name.
        about: Text between the two tables.
        as_json: Whether to print JSON, without the text.
    """
    described = list(zip(rows, parameters, strict=True))
    if as_json:
        print_json([{**row, "parameters": parameter_rows({}, own)} for row, own in described])
        return
    print_rows(rows)
    print(about)
    key = next(iter(rows[0]))
    print_rows([one for row, own in described for one in parameter_rows({key: row[key]}, own)])
