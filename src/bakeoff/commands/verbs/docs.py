import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from bakeoff.terminal import has_display


def docs(
    page: Annotated[
        str,
        typer.Argument(
            help="The page to open, such as commands, study-file or reading-a-report.",
            metavar="[PAGE]",
        ),
    ] = "start",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Folder into which the pages are written, instead of serving them.",
            metavar="FOLDER",
        ),
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 chooses a free one.")] = 0,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Do not open a browser.")
    ] = False,
) -> None:
    """Open the documentation of this release in a browser; it needs no network.

    Example: study docs

    Example: study docs commands

    Example: study docs --output handbook
    """
    from bakeoff.handbook import build_server, build_site, find_page, read_contents, write_site

    path = find_page(read_contents(), page).html
    if output is not None:
        write_site(output)
        typer.echo(f"documentation: {output / path}")
        return
    with build_server(build_site(), port) as server:
        address = f"http://127.0.0.1:{server.server_port}/{path}"
        typer.echo(f"documentation: {address}\nCtrl-C stops it")
        if not no_browser and has_display():
            webbrowser.open(address)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return
