import typer


def schema() -> None:
    """Print the JSON Schema of study files, which editors use for help and checks.

    Example: study schema > study.schema.json
    """
    from bakeoff.studyfile import study_schema

    typer.echo(study_schema())
