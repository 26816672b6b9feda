"""Serves optuna-dashboard for a storage, and the reports under `/reports/`."""

import os
import webbrowser
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import parse_qsl, urlencode
from wsgiref.simple_server import WSGIServer, make_server

import optuna_dashboard
import typer

from bakeoff.dashboard.access import Access
from bakeoff.dashboard.access_log import AccessLog, with_access_log
from bakeoff.dashboard.artifacts import StudyArtifacts
from bakeoff.dashboard.connections import CHUNK, RequestHandler, Server
from bakeoff.dashboard.reports import (
    INDEX_POLICY,
    PLACE,
    index_page,
    open_report_file,
    report_names,
)
from bakeoff.dashboard.study_list import with_study_list
from bakeoff.errors import UsageError
from bakeoff.storage import Storage
from bakeoff.storage.database import choose_storage_url
from bakeoff.terminal import has_display

REPORT_POLICY = "sandbox allow-scripts allow-downloads allow-popups; frame-ancestors 'none'"
"""A page in a study's folder gets an origin of its own. Whoever wrote it, its scripts can neither
read the dashboard nor change it."""
FILE_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
"""The same for other files, without scripts: an image may be an SVG that has some."""
ARTIFACTS = "/artifacts/"

StartResponse = Callable[..., Any]
App = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]


def serve_dashboard(
    *,
    output: Path,
    storage_url: str | None,
    port: int,
    access: Access,
    log: AccessLog | None = None,
    open_browser: bool,
) -> None:
    """Serve until Ctrl-C; for the errors, see `build_server`."""
    server = build_server(output=output, storage_url=storage_url, port=port, access=access, log=log)
    address = f"http://{access.host}:{server.server_port}"
    token = "" if access.token is None else f"?token={access.token}"
    typer.echo(
        f"dashboard: {address}/{token}\nreports:   {address}/reports/{token}\nCtrl-C stops it"
    )
    if log is not None:
        typer.echo(f"access log: {log.file}")
    if open_browser and not access.needs_token and has_display():
        webbrowser.open(address)  # an address with the token would be shown in `ps`
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        server.server_close()


def build_server(
    *,
    output: Path,
    storage_url: str | None,
    port: int,
    access: Access | None = None,
    log: AccessLog | None = None,
) -> WSGIServer:
    """Build a server on the address of `access`, by default loopback; port 0 takes a free port.

    Raises:
        UsageError: The port is taken, or the address does not belong to this machine.
        BakeoffError: The storage cannot be read.
    """
    access = access or Access()
    url = choose_storage_url(storage_url, output)
    if access.allow_writes:
        Storage(url)  # raises if the storage does not exist, instead of creating it
    storage = Storage(url, create=access.allow_writes).optuna_storage
    dashboard = optuna_dashboard.wsgi(storage, artifact_store=StudyArtifacts(output))
    app = build_app(dashboard, output, access)
    if log is not None:
        app = with_access_log(app, log, access.person)
    try:
        return make_server(
            access.host, port, app, server_class=Server, handler_class=RequestHandler
        )
    except OSError as error:
        raise UsageError(
            f"--host {access.host} --port {port}: {error.strerror or error}; choose another"
        ) from None


def build_app(dashboard: App, output: Path, access: Access) -> App:
    """Combine the dashboard, behind its access checks, with the reports."""

    def app(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        refusal = access.refusal(environ)
        if refusal is not None:
            return _answer(start_response, "403 Forbidden", refusal.encode())
        path = environ.get("PATH_INFO", "/")
        cookie = access.cookie_for(environ)
        if cookie is not None:
            place = "/" + path.lstrip("/") + _without_token(environ.get("QUERY_STRING", ""))
            start_response("302 Found", [("Location", place), ("Set-Cookie", cookie)])
            return []
        if path in ("/reports", "/reports/"):
            page = index_page(output).encode()
            return _answer(start_response, "200 OK", page, "text/html", INDEX_POLICY)
        found = PLACE.fullmatch(path)
        if found and found["file"] is None and found["name"] in report_names(output):
            start_response("302 Found", [("Location", f"/reports/{found['name']}/index.html")])
            return []
        if found:
            file = found["file"] or "index.html"
            is_head = environ["REQUEST_METHOD"] == "HEAD"
            return _serve_report(output, found["name"], file, start_response, is_head=is_head)
        return with_study_list(dashboard)(environ, _with_guards(start_response, path))

    return app


def _without_token(query: str) -> str:
    kept = [(key, value) for key, value in parse_qsl(query) if key != "token"]
    return f"?{urlencode(kept)}" if kept else ""


def _with_guards(start_response: StartResponse, path: str) -> StartResponse:
    """Let no page of another origin read or frame a response, and no browser open an artifact."""

    def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
        kept = [item for item in headers if item[0].lower() != "access-control-allow-origin"]
        kept.append(("X-Content-Type-Options", "nosniff"))
        kept.append(("X-Frame-Options", "DENY"))
        if path.startswith(ARTIFACTS):
            kept.append(("Content-Disposition", "attachment"))
            kept.append(("Content-Security-Policy", "sandbox; default-src 'none'"))
        return start_response(status, kept, *rest)

    return start


def _serve_report(
    output: Path, name: str, file: str, start_response: StartResponse, *, is_head: bool
) -> Iterable[bytes]:
    """Answer with a file of a report, but with nothing else in the study's folder or outside."""
    found = open_report_file(output, name, file)
    if found is None:
        return _answer(start_response, "404 Not Found", b"no such report")
    content, kind = found
    size = os.fstat(content.fileno()).st_size
    policy = REPORT_POLICY if kind == "text/html" else FILE_POLICY
    start_response("200 OK", _headers(size, kind, policy))
    if is_head:
        content.close()
        return []
    return _Chunks(content, size)


class _Chunks:
    """The first `size` bytes of a file, in chunks. The server closes it."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.close = file.close
        self._file, self._left = file, size

    def __iter__(self) -> Iterator[bytes]:
        while self._left > 0 and (chunk := self._file.read(min(CHUNK, self._left))):
            self._left -= len(chunk)
            yield chunk


def _answer(
    start_response: StartResponse, status: str, content: bytes, kind: str = "text/plain",
    policy: str = "",
) -> list[bytes]:  # fmt: skip
    start_response(status, _headers(len(content), kind, policy))
    return [content]


def _headers(size: int, kind: str, policy: str) -> list[tuple[str, str]]:
    headers = [
        ("Content-Type", f"{kind}; charset=utf-8" if kind.startswith("text/") else kind),
        ("Content-Length", str(size)),
        ("X-Content-Type-Options", "nosniff"),
    ]
    return headers + ([("Content-Security-Policy", policy)] if policy else [])
