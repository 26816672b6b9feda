"""`study run --notify` sends to a URL or a command how a study ended.

A message that cannot be sent is said on stderr and changes nothing else.
"""

import json
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from bakeoff.commands.notify import notifying
from bakeoff.engines.stopping import InterruptedStudyError
from bakeoff.errors import DataError, UsageError


class Receiver(HTTPServer):
    """Keeps what it is sent; answers with the statuses in `answers`, then with 200."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.received: list[dict[str, Any]] = []
        self.answers: list[int] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook"


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append(json.loads(body))
        self.send_response(self.server.answers.pop(0) if self.server.answers else 200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_url_gets_the_facts_of_a_finished_study(receiver: Receiver) -> None:
    with notifying(receiver.url, "digits") as facts:
        facts.update(headline="adamw wins.", level="L1", nothing=float("nan"))

    (message,) = receiver.received
    assert message["event"] == "finished"
    assert message["text"] == "Study digits finished. adamw wins."
    assert message["level"] == "L1"
    assert message["nothing"] is None


@pytest.mark.parametrize(
    ("raised", "event", "words"),
    [
        (InterruptedStudyError(130), "paused", "the same command continues it"),
        (KeyboardInterrupt(), "paused", "the same command continues it"),
        (DataError("cats: is empty"), "failed", "failed: cats: is empty"),
        (ZeroDivisionError("by zero"), "failed", "failed: ZeroDivisionError: by zero"),
    ],
)
def test_a_study_that_does_not_finish_says_why(
    receiver: Receiver, raised: BaseException, event: str, words: str
) -> None:
    with pytest.raises(type(raised)), notifying(receiver.url, "digits"):
        raise raised

    (message,) = receiver.received
    assert message["event"] == event
    assert words in message["text"]


def test_a_server_that_fails_is_tried_again(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bakeoff.commands.notify.time.sleep", lambda _: None)
    receiver.answers = [503, 502]

    with notifying(receiver.url, "digits"):
        pass

    assert len(receiver.received) == 3


def test_a_refused_message_is_said_without_the_secret_of_its_url(
    receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    receiver.answers = [404]

    with notifying(f"{receiver.url}?token=s3cret", "digits"):
        pass

    said = capsys.readouterr().err
    assert "--notify 127.0.0.1: HTTP Error 404" in said
    assert "s3cret" not in said
    assert len(receiver.received) == 1


def test_an_answer_that_is_no_http_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        answering = threading.Thread(target=answer_nonsense, args=(server,))
        answering.start()
        with notifying(f"http://127.0.0.1:{server.getsockname()[1]}/hook", "digits"):
            pass
        answering.join()

    assert "--notify 127.0.0.1: nonsense" in capsys.readouterr().err


def answer_nonsense(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(1 << 16)
        connection.sendall(b"nonsense\r\n\r\n")


def test_a_command_gets_the_message_on_stdin(tmp_path: Path) -> None:
    script = tmp_path / "keep.py"
    script.write_text(
        "import os, sys, pathlib\n"
        "pathlib.Path(sys.argv[1]).write_text(os.environ['BAKEOFF_EVENT'] + sys.stdin.read())\n"
    )
    target = f"{sys.executable} {script} '{tmp_path / 'with space'}'"

    with suppress(DataError), notifying(target, "digits"):
        raise DataError("cats: is empty")

    kept = (tmp_path / "with space").read_text()
    assert kept.startswith("failed{")
    assert json.loads(kept.removeprefix("failed"))["study"] == "digits"


def test_a_command_that_fails_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with notifying("false", "digits"):
        pass

    assert "--notify false: exit code 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    "target",
    [
        "", "no-such-command-anywhere --now", "ftp://host/x", "'open", "http://", "http://[host/x",
        "https://host:port/x", "https://host/a b",
    ],
)  # fmt: skip
def test_a_wrong_target_is_refused_before_the_study_begins(target: str) -> None:
    begun = []
    with pytest.raises(UsageError, match="--notify"), notifying(target, "digits"):
        begun.append(1)
    assert not begun


def test_without_a_target_nothing_is_sent() -> None:
    with notifying(None, "digits") as facts:
        facts["headline"] = "adamw wins."
