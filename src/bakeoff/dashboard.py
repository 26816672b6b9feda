"""`study dashboard`: optuna-dashboard on the same storage, and the reports under `/reports/`.

optuna-dashboard has no login, and a page elsewhere may send requests to a server on this machine.
So it is bound to the loopback address, answers only requests addressed to that name, and lets
nobody change anything.
"""

import html
import mimetypes
import re
import socketserver
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import optuna
import optuna_dashboard
import typer
from sqlalchemy.exc import SQLAlchemyError

from bakeoff.database import choose_storage_url
from bakeoff.errors import StorageError, UsageError
from bakeoff.storage import Storage
from bakeoff.studyfile import STUDY_NAME

HOST = "127.0.0.1"
OWN_HOST = re.compile(r"(127\.0\.0\.1|localhost)(:\d+)?")
READING = ("GET", "HEAD")
REPORT_PATH = re.compile(r"/reports/(?P<name>[^/]+)(?:/(?P<file>.*))?")
REPORT_POLICY = "frame-ancestors 'none'"

StartResponse = Callable[..., Any]
App = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the parent's name
        """Requests are not worth a line each."""


def serve_dashboard(*, output: Path, storage_url: str | None, port: int) -> None:
    """Serve until Ctrl-C.

    Raises:
        UsageError: The port is taken.
        BakeoffError: The storage cannot be read.
    """
    server = build_server(output=output, storage_url=storage_url, port=port)
    address = f"http://{HOST}:{server.server_port}"
    typer.echo(f"dashboard: {address}/\nreports:   {address}/reports/\nCtrl-C ends it")
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        server.server_close()


def build_server(*, output: Path, storage_url: str | None, port: int) -> WSGIServer:
    """A server on the loopback address; port 0 takes a free one.

    Raises:
        UsageError: The port is taken.
        BakeoffError: The storage cannot be read.
    """
    storage = Storage(choose_storage_url(storage_url, output))
    app = build_app(optuna_dashboard.wsgi(storage.optuna_storage), output)
    try:
        return make_server(HOST, port, app, server_class=_Server, handler_class=_QuietHandler)
    except OSError as error:
        raise UsageError(f"--port {port}: {error.strerror}; choose another, or 0") from None


def note_verdict(storage_url: str, name: str, headline: str) -> None:
    """Make the verdict and a link to the report the note that the dashboard shows of a study.

    Raises:
        BakeoffError: The storage cannot be written.
    """
    storage = Storage(storage_url, create=True)
    try:
        study = optuna.load_study(study_name=name, storage=storage.optuna_storage)
        optuna_dashboard.save_note(study, f"{headline}\n\n[The report](/reports/{name}/index.html)")
    except (KeyError, SQLAlchemyError, optuna.exceptions.OptunaError) as error:
        raise StorageError(f"the verdict cannot be noted in {storage}: {error}") from None


def build_app(dashboard: App, output: Path) -> App:
    """The dashboard with its guards, and the reports beside it."""

    def app(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        if not OWN_HOST.fullmatch(environ.get("HTTP_HOST", "")):
            return _answer(start_response, "403 Forbidden", "this server answers localhost only")
        if environ["REQUEST_METHOD"] not in READING:
            return _answer(start_response, "403 Forbidden", "this dashboard is read-only")
        path = environ.get("PATH_INFO", "/")
        if path in ("/reports", "/reports/"):
            return _answer(start_response, "200 OK", _index(output), "text/html; charset=utf-8")
        found = REPORT_PATH.fullmatch(path)
        if found and found["file"] is None and found["name"] in report_names(output):
            start_response("302 Found", [("Location", f"/reports/{found['name']}/index.html")])
            return []
        if found:
            return _serve_report(output, found["name"], found["file"] or "", start_response)
        return dashboard(environ, _with_guards(start_response))

    return app


def _with_guards(start_response: StartResponse) -> StartResponse:
    """No page of another origin may read or frame what is served here."""

    def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
        kept = [item for item in headers if item[0].lower() != "access-control-allow-origin"]
        kept.append(("X-Content-Type-Options", "nosniff"))
        kept.append(("X-Frame-Options", "DENY"))
        return start_response(status, kept, *rest)

    return start


def _answer(
    start_response: StartResponse, status: str, body: str, kind: str = "text/plain; charset=utf-8"
) -> list[bytes]:
    content = body.encode()
    start_response(
        status,
        [
            ("Content-Type", kind),
            ("Content-Length", str(len(content))),
            ("X-Content-Type-Options", "nosniff"),
        ],
    )
    return [content]


def report_names(output: Path) -> list[str]:
    """Names of the studies that have a report in this folder."""
    return sorted(
        page.parent.name
        for page in output.glob("*/index.html")
        if STUDY_NAME.fullmatch(page.parent.name)
    )


def _index(output: Path) -> str:
    items = "".join(
        f'<li><a href="/reports/{html.escape(name)}/index.html">{html.escape(name)}</a></li>'
        for name in report_names(output)
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Reports</title>'
        "<style>:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;"
        "max-width:40rem;margin:3rem auto;padding:0 1rem}</style></head><body><h1>Reports</h1>"
        f"<ul>{items or '<li>none yet: <code>study report NAME</code> writes one</li>'}</ul>"
        '<p><a href="/dashboard">optuna-dashboard</a></p></body></html>'
    )


def _read_report(output: Path, name: str, file: str) -> bytes | None:
    if name not in report_names(output):
        return None
    try:
        folder = (output / name).resolve()
        path = (folder / file).resolve()
        is_ours = path.is_relative_to(folder) and path.relative_to(folder).parts[0] != "checkpoints"
        return path.read_bytes() if is_ours and path.is_file() else None
    except (OSError, ValueError, RuntimeError, IndexError):
        return None  # no file can have such a name


def _serve_report(
    output: Path, name: str, file: str, start_response: StartResponse
) -> Iterable[bytes]:
    """A file of a report; nothing outside the report's folder, whatever the path says."""
    content = _read_report(output, name, file or "index.html")
    if content is None:
        return _answer(start_response, "404 Not Found", "no such report")
    kind = mimetypes.guess_type(file or "index.html")[0] or "application/octet-stream"
    start_response(
        "200 OK",
        [
            ("Content-Type", f"{kind}; charset=utf-8" if kind.startswith("text/") else kind),
            ("Content-Length", str(len(content))),
            ("X-Content-Type-Options", "nosniff"),
            ("Content-Security-Policy", REPORT_POLICY),
        ],
    )
    return [content]
