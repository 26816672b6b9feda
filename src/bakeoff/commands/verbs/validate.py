import json

import typer

from bakeoff.commands import options
from bakeoff.commands.output import print_json


def validate(
    file: options.StudyFile, changes: options.Changes = None, as_json: options.Json = False
) -> None:
    """Check a study file without running or importing anything that it refers to.

    Example: study validate studies/digits.toml
    """
    from bakeoff.studyfile import describe_settings, load_study_file

    config = load_study_file(file, changes or ())
    if "stacked" in (config.search.arithmetic, config.confirm.arithmetic):
        from bakeoff.session.stacking import check_arithmetic  # it imports optuna

        check_arithmetic(config)
    if as_json:
        settings = {key: json.loads(value) for key, value in describe_settings(config)}
        print_json({"study": config.name, "settings": settings})
        return
    typer.echo(f"{file}: study {config.name!r} is valid")
