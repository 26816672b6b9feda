from pathlib import Path
from typing import Annotated

import typer

from bakeoff.commands import options
from bakeoff.errors import UsageError

Tokens = Annotated[
    Path | None,
    typer.Option(
        "--tokens",
        help="File of mode 600 with a token for each person, instead of one for all.",
        envvar="BAKEOFF_TOKENS",
    ),
]
Add = Annotated[
    str | None,
    typer.Option(
        "--add-token",
        metavar="NAME",
        help="Add a person to the file of --tokens, print the token once, and end.",
    ),
]
Revoke = Annotated[
    str | None,
    typer.Option(
        "--revoke-token",
        metavar="NAME",
        help="Remove a person from the file of --tokens, and end.",
    ),
]
Log = Annotated[
    Path | None,
    typer.Option(
        "--access-log",
        help="File that gets a line for every request: time, person, address, request, status;"
        " default with --tokens: its file with .log appended.",
    ),
]


def dashboard(
    output: options.Output = options.RESULTS,
    storage: options.StorageUrl = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 chooses a free one.")] = 8080,
    host: Annotated[
        str, typer.Option(help="Address to listen on; other machines need a token.")
    ] = "127.0.0.1",
    token_file: Annotated[
        Path | None,
        typer.Option(
            help="File, readable by you alone, with a secret that a browser must send once, as"
            " ?token=... in the address; or BAKEOFF_TOKEN holds it.",
        ),
    ] = None,
    token: Annotated[str | None, typer.Option(hidden=True)] = None,
    tokens: Tokens = None,
    add: Add = None,
    revoke: Revoke = None,
    access_log: Log = None,
    allow_writes: Annotated[
        bool, typer.Option("--allow-writes", help="Let the pages change notes and delete studies.")
    ] = False,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Do not open a browser.")
    ] = False,
) -> None:
    """Serve optuna-dashboard and the reports on this machine.

    Example: study dashboard --port 8080
    """
    from bakeoff.dashboard import serve_dashboard
    from bakeoff.dashboard.access import Access, read_token
    from bakeoff.dashboard.access_log import AccessLog
    from bakeoff.dashboard.tokens import TokenFile

    _refuse_on_command_line(token)
    if add is not None or revoke is not None:
        _change_tokens(tokens, add, revoke)
        return
    access = Access(
        host=host,
        token=read_token(token_file) if tokens is None or token_file else None,
        tokens=None if tokens is None else TokenFile(tokens),
        allow_writes=allow_writes,
    )
    if access_log is None and tokens is not None:
        access_log = tokens.with_name(f"{tokens.name}.log")
    serve_dashboard(
        output=output,
        storage_url=storage,
        port=port,
        access=access,
        log=None if access_log is None else AccessLog(access_log),
        open_browser=not no_browser,
    )


def _refuse_on_command_line(token: str | None) -> None:
    if token is not None:
        raise UsageError(
            "--token: every user of this machine sees it in `ps`; write it into a file of mode 600"
            " and give --token-file, or set BAKEOFF_TOKEN"
        )


def _change_tokens(file: Path | None, added: str | None, revoked: str | None) -> None:
    from bakeoff.dashboard.tokens import add_token, revoke_token

    if file is None:
        raise UsageError("--add-token and --revoke-token: name the file with --tokens FILE")
    if revoked is not None:
        revoke_token(file, revoked)
        typer.echo(f"the token of {revoked} is no longer valid")
    if added is not None:
        token = add_token(file, added)
        typer.echo(f"the token of {added}, which is shown only now:", err=True)
        typer.echo(token)
