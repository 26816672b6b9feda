"""The HTTP server: a thread per connection, with bounds on their number and on their time."""

import io
import logging
import socket
import socketserver
import sys
import threading
import time
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from bakeoff.errors import one_line
from bakeoff.failure_log import keep_text, keep_traceback, redacted

MAX_CONNECTIONS = 64
"""A further connection is closed at once."""
REQUEST_SECONDS = 20.0
"""Time for a whole request to arrive, however slowly it is sent."""
CHUNK_SECONDS = 20.0
"""Time for a client to take one chunk of a response."""
CHUNK = 64 * 1024
DASHBOARD_LOGGER = logging.getLogger("optuna_dashboard")
GONE = (ConnectionError, TimeoutError)
"""The client left, or was too slow."""

_serving = threading.local()
"""The server for which a thread works."""


class _Incoming(io.RawIOBase):
    """Reads from a connection until a deadline."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._end = time.monotonic() + REQUEST_SECONDS

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("the request took too long")
        self._connection.settimeout(left)
        return self._connection.recv_into(buffer)


class _Outgoing(io.RawIOBase):
    """Writes to a connection in chunks, each of which has to be taken in time."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._connection.settimeout(CHUNK_SECONDS)
        with memoryview(data).cast("B") as view:
            for start in range(0, len(view), CHUNK):
                try:
                    self._connection.sendall(view[start : start + CHUNK])
                except TimeoutError:  # for wsgiref, the client left
                    raise ConnectionAbortedError("the client is too slow") from None
            return len(view)


class RequestHandler(WSGIRequestHandler):
    """Serves one request and closes the connection."""

    def setup(self) -> None:
        """Limit the time for reading and writing."""
        super().setup()
        self.errors = io.StringIO()
        self.rfile = io.BufferedReader(_Incoming(self.connection))
        self.wfile = _Outgoing(self.connection)  # type: ignore[assignment]

    def get_stderr(self) -> io.StringIO:
        """Where the application writes tracebacks."""
        return self.errors

    def finish(self) -> None:
        """Say what went wrong, if something did."""
        super().finish()
        if text := self.errors.getvalue():
            last = text.strip().rpartition("\n")[2].strip()
            self.server.report_failure(f"{self.path.partition('?')[0]}: {last}", text)  # type: ignore[attr-defined]

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the parent's name
        """Log nothing: a line per request would hide the address."""


class _FailureHandler(logging.Handler):
    """Passes on what optuna-dashboard logs: the traceback of a page that it cannot show."""

    def __init__(self, server: "Server") -> None:
        super().__init__(logging.WARNING)
        self._server = server

    def emit(self, record: logging.LogRecord) -> None:
        if getattr(_serving, "server", None) is self._server:
            text = record.getMessage()
            self._server.report_failure(text.partition("\n")[0], text)


class Server(socketserver.ThreadingMixIn, WSGIServer):
    """Answers each connection in a thread of its own."""

    daemon_threads = True
    request_queue_size = MAX_CONNECTIONS

    def __init__(self, *args: Any, **settings: Any) -> None:
        self._free = threading.BoundedSemaphore(MAX_CONNECTIONS)
        self._reported = set[str]()
        self._handler = _FailureHandler(self)
        DASHBOARD_LOGGER.addHandler(self._handler)
        super().__init__(*args, **settings)

    def server_close(self) -> None:
        """Free the port."""
        DASHBOARD_LOGGER.removeHandler(self._handler)
        super().server_close()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start a thread for a connection, or close it if there are too many."""
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._free.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection."""
        _serving.server = self
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        """Say what went wrong; nothing if the client left."""
        error = sys.exception() if hasattr(sys, "exception") else sys.exc_info()[1]
        if error is not None and not isinstance(error, GONE):
            self._say(f"{type(error).__name__}: {error}", keep_traceback(error, ["dashboard"]))

    def report_failure(self, what: str, text: str) -> None:
        """Say once that a page cannot be shown; `text`, which has the traceback, goes to a file."""
        if what not in self._reported:
            self._reported.add(what)
            self._say(what, keep_text(text))

    def _say(self, what: str, log: object) -> None:
        where = "" if log is None else f"; the traceback is in {log}"
        print(f"dashboard: {one_line(redacted(what))}{where}", file=sys.stderr, flush=True)
