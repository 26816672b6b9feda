from bakeoff.commands import options
from bakeoff.commands.output import print_rows


def schedulers(as_json: options.Json = False) -> None:
    """List the learning-rate schedules with their default ranges.

    Example: study schedulers
    """
    from bakeoff.commands.catalog import parameter_rows
    from bakeoff.components.schedulers import SCHEDULERS

    rows = [
        row
        for spec in SCHEDULERS
        for row in parameter_rows(
            {"scheduler": spec.name, "description": spec.description}, spec.parameters
        )
    ]
    print_rows(rows, as_json=as_json)
