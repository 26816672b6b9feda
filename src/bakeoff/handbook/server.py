"""Serves the pages on this machine, for browsers that may not read the files of a package."""

import posixpath
import sys
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

from bakeoff.errors import UsageError

KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
POLICY = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""A page loads its own style and scripts, and nothing else."""


class _Server(ThreadingHTTPServer):
    """Prints nothing where a browser leaves before it has its answer."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def build_server(site: Mapping[str, str], port: int) -> ThreadingHTTPServer:
    """A server of the pages on 127.0.0.1, which answers while `serve_forever` runs.

    Raises:
        UsageError: The port is taken or may not be used.
    """
    contents = {f"/{path}": text.encode() for path, text in site.items()}

    class Handler(BaseHTTPRequestHandler):
        """Answers with a page, or says that there is none."""

        def do_GET(self) -> None:
            """Answer a request for a page."""
            path = unquote(urlsplit(self.path).path)
            path += "index.html" * path.endswith("/")
            body = contents.get(path)
            kind = "text/plain" if body is None else KINDS[posixpath.splitext(path)[1]]
            self.send_response(404 if body is None else 200)
            answer = b"there is no such page\n" if body is None else body
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(answer)))
            self.send_header("Content-Security-Policy", POLICY)
            self.send_header("X-Content-Type-Options", "nosniff")
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Requests are not logged."""

    try:
        return _Server(("127.0.0.1", port), Handler)
    except OSError as error:
        raise UsageError(f"--port {port}: {error.strerror}; choose another one") from None
