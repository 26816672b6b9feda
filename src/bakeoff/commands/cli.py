"""The command `study`: finds its verbs in the folder `verbs` and imports the one that is called.

Options say where to run and how much to spend; the study file says what to run. Results go to
stdout, progress and errors to stderr.
"""

import ast
import sys
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from bakeoff.commands import verbs
from bakeoff.errors import BakeoffError, one_line
from bakeoff.version import __version__

ORDER = (
    "run", "plan", "status", "list", "show", "report", "dashboard", "optimizers", "schedulers",
    "models", "metrics", "datasets", "schema", "init", "validate", "delete", "doctor", "train",
    "export", "profile", "verify-resume",
)  # fmt: skip
"""The order of `study --help` and of the README; any other verb follows these."""


def verb_files() -> dict[str, Path]:
    """The file of each verb by the verb's name, in the order of `study --help`.

    A file without a function of its own name is not a verb. Of two files for one verb the one in
    the first folder counts.
    """
    folders = reversed(list(verbs.__path__))
    files = [file for folder in folders for file in sorted(Path(folder).glob("[a-z]*.py"))]
    found = {
        file.stem.rstrip("_").replace("_", "-"): file
        for file in files
        if _read_help(file) is not None
    }
    return {name: found[name] for name in dict.fromkeys((*ORDER, *found)) if name in found}


def load_verb(name: str) -> Any:
    """Import the module of a verb; return the verb's command, with its arguments and options.

    Raises:
        BakeoffError: The module cannot be imported.
    """
    file = verb_files()[name]
    try:
        module = import_module(f"{verbs.__name__}.{file.stem}")
    except (ImportError, SyntaxError) as error:
        raise BakeoffError(f"verb {name!r} cannot be loaded from {file}: {error}") from error
    single = typer.Typer(add_completion=False, rich_markup_mode=None)
    single.command(name)(getattr(module, file.stem))
    return typer.main.get_command(single)


class VerbGroup(TyperGroup):
    """Lists the verbs with the help that their files hold, and loads a verb when it is called."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        for name, file in verb_files().items():
            text = _read_help(file) or "It has no help."
            self.commands[name] = TyperCommand(name, help=text, short_help=text.splitlines()[0])

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[Any, Any, list[str]]:
        """Return the verb's own command instead of the one that only lists it."""
        name, listed, rest = super().resolve_command(ctx, args)
        return name, listed and load_verb(str(name)), rest


@cache
def _read_help(file: Path) -> str | None:
    """The docstring of a verb's function, without importing the file; None without a function."""
    try:
        nodes = ast.parse(file.read_text(encoding="utf-8")).body
    except SyntaxError as error:
        return f"It cannot be loaded: {error}"
    for node in nodes:
        if isinstance(node, ast.FunctionDef) and node.name == file.stem:
            return ast.get_docstring(node) or ""
    return None


app = typer.Typer(
    name="study",
    cls=VerbGroup,
    help="Which optimizer and schedule for my PyTorch model and my data, how sure are we, and what"
    " did it cost?",
    no_args_is_help=True,
    context_settings={"max_content_width": 120},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(value: bool) -> None:
    if value:
        typer.echo(f"bakeoff {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    pass


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; exit with the code that `errors` gives each kind of failure."""
    try:
        app(args=arguments, prog_name="study")
    except BakeoffError as error:
        typer.echo(f"study: {one_line(error)}", err=True)
        sys.exit(error.exit_code)
