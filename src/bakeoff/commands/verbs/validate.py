import typer

from bakeoff.commands import options


def validate(file: options.StudyFile, changes: options.Changes = None) -> None:
    """Check a study file without running or importing anything that it refers to.

    Example: study validate studies/digits.toml
    """
    from bakeoff.studyfile import load_study_file

    typer.echo(f"{file}: study {load_study_file(file, changes or ()).name!r} is valid")
