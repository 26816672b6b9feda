from pathlib import Path
from typing import Annotated

import typer

from bakeoff.commands import options
from bakeoff.errors import UsageError


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

    if token is not None:
        raise UsageError(
            "--token: every user of this machine sees it in `ps`; write it into a file of mode 600"
            " and give --token-file, or set BAKEOFF_TOKEN"
        )
    serve_dashboard(
        output=output,
        storage_url=storage,
        port=port,
        access=Access(host=host, token=read_token(token_file), allow_writes=allow_writes),
        open_browser=not no_browser,
    )
