"""The command `study`: finds its verbs in the folder `verbs` and imports the one that is called.

Options say where to run and how much to spend; the study file says what to run. Results go to
stdout, progress and errors to stderr.
"""

import ast
import errno
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from bakeoff.child_process import EndedBySignal, ending_on_signals
from bakeoff.commands import verbs
from bakeoff.errors import BakeoffError, UsageError, describe_error, one_line, visible
from bakeoff.failure_log import keep_traceback, redacted
from bakeoff.garbage import keep_until_exit
from bakeoff.terminal import plain_streams
from bakeoff.version import __version__

ORDER = (
    "run", "plan", "status", "list", "show", "report", "dashboard", "optimizers", "schedulers",
    "models", "metrics", "datasets", "schema", "init", "validate", "delete", "doctor", "docs",
    "train", "gate", "suite", "export", "profile", "verify-resume",
)  # fmt: skip
"""The order of `study --help` and of the reference; any other verb follows these."""

SETTINGS = {
    "trials": "search.trials_per_arm=20",
    "n_trials": "search.trials_per_arm=20",
    "num_trials": "search.trials_per_arm=20",
    "epochs": "training.epochs=10",
    "max_epochs": "training.epochs=10",
    "batch_size": "training.batch_size=64",
    "seed": "study.seed=1",
    "repeats": "search.repeats=7",
    "optimizer": """'search.optimizers=["sgd", "adamw"]'""",
    "optimizers": """'search.optimizers=["sgd", "adamw"]'""",
    "scheduler": """'search.schedulers=["cosine"]'""",
    "sampler": "search.sampler=random",
    "pruner": "search.pruner=none",
    "precision": "training.precision=bf16",
    "model": "model.model=mlp",
    "dataset": "data.dataset=digits",
    "name": "study.name=my-study",
}
"""What an option that a verb does not have is as a setting of the study file."""

MACHINE_ERRORS = {
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE,
    errno.ENOMEM,
}  # fmt: skip
"""What the machine lacks is said by its own message."""


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
    context = getattr(module, "CONTEXT_SETTINGS", None)
    single.command(name, cls=VerbCommand, context_settings=context)(getattr(module, file.stem))
    return typer.main.get_command(single)


class VerbCommand(TyperCommand):
    """A verb that answers options of other programs with the setting that they mean."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """See `click.Command`."""
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            # `NoSuchOption`: its class is click's, or typer's own copy of it.
            option = str(getattr(error, "option_name", "")).lstrip("-").replace("-", "_")
            if option in SETTINGS and any("--set" in one.opts for one in self.params):
                vars(error)["possibilities"] = [f"--set {SETTINGS[option]}"]
            raise


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
    """Run the command line; exit with the code that `errors` gives each kind of failure.

    Whatever goes wrong is said in one line on stderr. The traceback of an error that nobody foresaw
    is in a file, which the line names.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    with plain_streams() as (stdout, _), ending_on_signals(), _complaining_of_threads(given):
        code = _run(given)
        stdout.flush()
        failure = stdout.failure
        if failure is not None and failure.errno != errno.EPIPE:  # not a reader that had enough
            reason = failure.strerror or failure
            typer.echo(f"study: stdout cannot be written ({reason}); the output is lost", err=True)
            code = code or 1
    keep_until_exit()
    sys.exit(code)


def _run(arguments: Sequence[str]) -> int:
    """Run the command line, and say in one line what went wrong; return the exit code."""
    try:
        app(args=arguments, prog_name="study")
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else int(done.code is not None)
    except BakeoffError as error:
        _complain(one_line(error))
        return error.exit_code
    except EndedBySignal as ended:
        _complain(f"ended by {ended.name}")
        return ended.exit_code
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # noqa: BLE001 - the last place that can say what happened
        if isinstance(error, UnicodeError) and sys.getfilesystemencoding() == "ascii":
            _complain("names that are not ASCII need another locale; set PYTHONUTF8=1")
            return UsageError.exit_code
        _complain(_describe_unforeseen(error, arguments))
    return 1


@contextmanager
def _complaining_of_threads(arguments: Sequence[str]) -> Iterator[None]:
    """Say also in one line what a thread raises, which does not end the command."""

    def complain(raised: threading.ExceptHookArgs) -> None:
        if isinstance(raised.exc_value, Exception):
            _complain(_describe_unforeseen(raised.exc_value, arguments))

    before, threading.excepthook = threading.excepthook, complain
    try:
        yield
    finally:
        threading.excepthook = before


def _complain(text: str) -> None:
    typer.echo(f"study: {text}", err=True)


def _describe_unforeseen(error: Exception, arguments: Sequence[str]) -> str:
    """Say what was raised, and where the traceback is."""
    described = redacted(describe_error(error, names_own=True))
    if isinstance(error, OSError) and error.errno in MACHINE_ERRORS:
        place = f": {visible(error.filename)}" if error.filename else ""
        described = f"{error.strerror}{place}"
    log = keep_traceback(error, arguments)
    where = "" if log is None else f"; the traceback is in {log}"
    return f"{described}{where}"
