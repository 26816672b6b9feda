"""Decides which requests the dashboard answers.

optuna-dashboard has no login, and any web page may send requests to a server on this machine. So
without a token, the server answers only requests addressed to the loopback names. A request that
changes something must also be allowed and come from the dashboard's own pages.
"""

import hmac
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from bakeoff.dashboard.tokens import OF_OTHERS, TokenFile
from bakeoff.errors import UsageError

LOOPBACK = ("127.0.0.1", "localhost")
OWN_HOST = re.compile(r"(127\.0\.0\.1|localhost)(:\d+)?")
READING = ("GET", "HEAD")
COOKIE = "bakeoff-token"
SHORTEST_TOKEN = 16
LONGEST_TOKEN = 1000
TOKEN = re.compile(r"[A-Za-z0-9._~-]+")
FROM_ENVIRONMENT = "BAKEOFF_TOKEN"


def read_token(file: Path | None) -> str | None:
    """Return the token in a file, or else that of the environment; None if there is neither.

    Raises:
        UsageError: The file cannot be read, or other users can read it.
    """
    if file is None:
        return os.environ.get(FROM_ENVIRONMENT) or None
    try:
        with file.open(encoding="utf-8") as opened:
            if os.fstat(opened.fileno()).st_mode & OF_OTHERS:
                raise UsageError(
                    f"--token-file {file}: other users can open it; `chmod 600 {file}` keeps it"
                )
            return opened.read(LONGEST_TOKEN).strip()
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise UsageError(f"--token-file {file}: {reason}") from None


@dataclass(frozen=True, kw_only=True)
class Access:
    """The rules by which requests are answered or refused."""

    host: str = LOOPBACK[0]
    """Address on which the server listens."""
    token: str | None = None
    """A browser must send it once. Without it and `tokens`, everybody on this machine is answered.
    """
    tokens: TokenFile | None = None
    """The tokens of several people, one of which a browser must send once."""
    allow_writes: bool = False

    def __post_init__(self) -> None:
        if self.token is not None and not (
            len(self.token) >= SHORTEST_TOKEN and TOKEN.fullmatch(self.token)
        ):
            raise UsageError(
                f"a token has at least {SHORTEST_TOKEN} letters, digits or any of . _ ~ -"
            )
        if self.token is not None and self.tokens is not None:
            raise UsageError("--tokens: each person has a token there; leave out the single one")
        if self.host not in LOOPBACK and not self.needs_token:
            raise UsageError(f"--host {self.host}: other machines need --token-file or --tokens")

    @property
    def needs_token(self) -> bool:
        """Whether only requests with a token are answered."""
        return self.token is not None or self.tokens is not None

    def refusal(self, request: Mapping[str, Any]) -> str | None:
        """Return why a request is refused; None if it is answered.

        Args:
            request: The WSGI environment of the request.
        """
        addressed_to = request.get("HTTP_HOST", "")
        if self.host in LOOPBACK and not OWN_HOST.fullmatch(addressed_to):
            return "this server answers localhost only"
        if self.needs_token and self.person(request) is None:
            return "open the address with ?token=... and a token that is valid"
        if request["REQUEST_METHOD"] in READING:
            return None
        if not self.allow_writes:
            return "this dashboard is read-only"
        origin = request.get("HTTP_ORIGIN")
        if origin is not None and urlsplit(origin).netloc != addressed_to:
            return "changes are made from this dashboard's own pages only"
        return None

    def person(self, request: Mapping[str, Any]) -> str | None:
        """Return who sent the token in the address or the cookie; None if it is nobody's.

        With a single token for everybody, the name is `token`.
        """
        return self._owner(_token_in_address(request)) or self._owner(_token_in_cookie(request))

    def cookie_for(self, request: Mapping[str, Any]) -> str | None:
        """Return the cookie to set if the address contains a token; None if it does not.

        The page is then loaded again without the token, to keep it out of the browser's history.
        """
        token = _token_in_address(request)
        if self._owner(token) is None:
            return None
        return f"{COOKIE}={token}; Path=/; HttpOnly; SameSite=Lax"

    def _owner(self, shown: str) -> str | None:
        if not TOKEN.fullmatch(shown):
            return None
        if self.tokens is not None:
            return self.tokens.person(shown)
        if self.token is not None and hmac.compare_digest(shown.encode(), self.token.encode()):
            return "token"
        return None


def _token_in_address(request: Mapping[str, Any]) -> str:
    query: str = request.get("QUERY_STRING", "")
    return parse_qs(query).get("token", [""])[0]


def _token_in_cookie(request: Mapping[str, Any]) -> str:
    try:
        cookies = SimpleCookie(request.get("HTTP_COOKIE", ""))
    except CookieError:
        return ""
    return cookies[COOKIE].value if COOKIE in cookies else ""
