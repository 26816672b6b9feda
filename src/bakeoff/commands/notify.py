"""Tells a URL or a command that a study finished, paused or failed."""

import os
import re
import shlex
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from urllib.parse import urlsplit

import typer

from bakeoff.child_process import EndedBySignal
from bakeoff.engines.stopping import InterruptedStudyError
from bakeoff.errors import BakeoffError, UsageError, describe_error, one_line
from bakeoff.records import json_text

ATTEMPTS = 3
SECONDS = 10.0
"""How long one attempt to reach a URL may take; a command may take `COMMAND_SECONDS`."""
COMMAND_SECONDS = 60.0
URL_START = ("http://", "https://")
NOT_IN_URL = re.compile(r"[\x00-\x20\x7f]")


class Notifier:
    """Sends one message per session of a study.

    The message is a JSON object: `event` (finished, paused or failed), `study`, `text` (a sentence,
    which chat services show), and for a finished study the facts that `study run --json` prints.

    Args:
        target: A URL that is sent the message by POST, or a command that gets it on stdin.
        study: Name of the study.

    Raises:
        UsageError: It is neither, the URL is wrong, or there is no such command.
    """

    def __init__(self, target: str, study: str) -> None:
        self.study = study
        self.facts: dict[str, object] = {}
        """What a message about a finished study has besides its text."""
        self._url, self._command = "", list[str]()
        if target.lower().startswith(URL_START):
            self._url = target
            self.shown = f"--notify {_host_of(target)}"
            return
        try:
            self._command = shlex.split(target)
        except ValueError as error:
            raise UsageError(f"--notify {target!r}: {error}") from None
        if not self._command or shutil.which(self._command[0]) is None:
            raise UsageError(f"--notify {target!r}: is neither http://, https:// nor a command")
        self.shown = f"--notify {self._command[0]}"

    def send(self, event: str, text: str) -> None:
        """Send a message. A failure is said on stderr and changes nothing else."""
        message = {**self.facts, "event": event, "study": self.study, "text": text}
        body = json_text(message).encode()
        try:
            if self._url:
                self._post(body)
            else:
                self._call(event, body)
        except (OSError, ValueError, HTTPException, subprocess.SubprocessError) as error:
            reason = "no answer" if isinstance(error, subprocess.TimeoutExpired) else error
            typer.echo(f"{self.shown}: {one_line(reason)[:200]}", err=True)

    def _post(self, body: bytes) -> None:
        headers = {"Content-Type": "application/json", "User-Agent": "bakeoff"}
        request = urllib.request.Request(self._url, body, headers)  # noqa: S310 - http or https
        for attempt in range(ATTEMPTS):
            try:
                with urllib.request.urlopen(request, timeout=SECONDS):  # noqa: S310
                    return
            except urllib.error.HTTPError as error:
                error.close()
                if attempt == ATTEMPTS - 1 or error.code < 500:  # noqa: PLR2004 - a client's error
                    raise
            except OSError:
                if attempt == ATTEMPTS - 1:
                    raise
            time.sleep(2.0**attempt)

    def _call(self, event: str, body: bytes) -> None:
        named = {"BAKEOFF_EVENT": event, "BAKEOFF_STUDY": self.study}
        done = subprocess.run(  # noqa: S603 - the user's own command
            self._command,
            input=body,
            env=os.environ | named,
            timeout=COMMAND_SECONDS,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            check=False,
        )
        if done.returncode:
            said = done.stderr.decode(errors="replace")
            raise ValueError(f"exit code {done.returncode} {said}")


def _host_of(url: str) -> str:
    """The host of a URL, the only part that is shown, because the rest may hold a secret.

    Raises:
        UsageError: There is none, or nothing could be sent to this URL.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port  # the port is parsed when it is read
    except ValueError:
        host = None
    if host is None or NOT_IN_URL.search(url):
        raise UsageError("--notify: the URL is wrong; write https://HOST/PATH without spaces")
    return host


@contextmanager
def notifying(target: str | None, study: str) -> Iterator[dict[str, object]]:
    """Send how the block ended; the dictionary takes the facts of a finished study.

    Raises:
        UsageError: The target is neither a URL nor a command; the block was not entered.
    """
    if target is None:
        yield {}
        return
    notifier = Notifier(target, study)
    try:
        yield notifier.facts
    except (InterruptedStudyError, EndedBySignal, KeyboardInterrupt):
        notifier.send("paused", f"Study {study} is paused; the same command continues it.")
        raise
    except BaseException as error:
        is_ours = isinstance(error, BakeoffError)
        reason = one_line(error) if is_ours else describe_error(error)
        notifier.send("failed", f"Study {study} failed: {reason}")
        raise
    headline = notifier.facts.get("headline", "")
    notifier.send("finished", f"Study {study} finished. {headline}")
