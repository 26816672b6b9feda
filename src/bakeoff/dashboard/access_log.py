"""A line for every request: when, who, from where, what, and how it was answered."""

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bakeoff.errors import UsageError, one_line

LONGEST_PATH = 200
NOBODY = "-"

App = Callable[..., Iterable[bytes]]


class AccessLog:
    """Appends lines to a file that only its owner can read."""

    def __init__(self, file: Path) -> None:
        """Check that the file can be written.

        Raises:
            UsageError: It cannot.
        """
        self.file = file
        self._has_failed = False
        try:
            self._append("")
        except OSError as error:
            raise UsageError(f"--access-log {file}: {error.strerror}") from None

    def write(self, request: Mapping[str, Any], person: str | None, status: str) -> None:
        """Log a request without what follows `?`, which may be a token.

        Args:
            request: The WSGI environment of the request.
            person: Who sent it; None if nobody is known.
            status: The answer's status, such as `200 OK`.
        """
        time = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        path = quote(request.get("PATH_INFO", "")[:LONGEST_PATH])  # a blank would begin a column
        address, method = request.get("REMOTE_ADDR", ""), one_line(request["REQUEST_METHOD"])
        line = f"{time} {person or NOBODY} {address} {method} {path} {status.partition(' ')[0]}\n"
        try:
            self._append(line)
        except OSError as error:
            if not self._has_failed:
                self._has_failed = True
                text = f"dashboard: the access log {self.file} cannot be written: {error.strerror}"
                print(one_line(text), file=sys.stderr, flush=True)

    def _append(self, line: str) -> None:
        """Open the file for each line, so that it may be renamed while the dashboard runs."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        handle = os.open(self.file, flags, 0o600)
        try:
            os.write(handle, line.encode("utf-8", errors="backslashreplace"))
        finally:
            os.close(handle)


def with_access_log(
    app: App, log: AccessLog, person: Callable[[Mapping[str, Any]], str | None]
) -> App:
    """The application with a line in `log` for every request.

    Args:
        app: A WSGI application.
        log: Where the lines go.
        person: Finds out who sent a request.
    """

    def logged(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            log.write(environ, person(environ), status)
            return start_response(status, headers, *rest)

        try:
            return app(environ, start)
        except Exception:  # the server answers it
            log.write(environ, person(environ), "500 Internal Server Error")
            raise

    return logged
