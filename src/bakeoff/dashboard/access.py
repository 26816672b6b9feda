"""Who may ask the dashboard for what.

optuna-dashboard has no login, and a page elsewhere may send requests to a server on this machine.
So without a token only requests addressed to this machine's own names are answered, and whatever
changes something must be allowed and come from the dashboard's own pages.
"""

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

from bakeoff.errors import UsageError

LOOPBACK = ("127.0.0.1", "localhost")
OWN_HOST = re.compile(r"(127\.0\.0\.1|localhost)(:\d+)?")
READING = ("GET", "HEAD")
COOKIE = "bakeoff-token"
SHORTEST_TOKEN = 16
TOKEN = re.compile(r"[A-Za-z0-9._~-]+")


@dataclass(frozen=True, kw_only=True)
class Access:
    """What the server answers."""

    host: str = LOOPBACK[0]
    """Address it listens on."""
    token: str | None = None
    """What a browser must show once; None answers everybody on this machine."""
    allow_writes: bool = False

    def __post_init__(self) -> None:
        if self.token is not None and not (
            len(self.token) >= SHORTEST_TOKEN and TOKEN.fullmatch(self.token)
        ):
            raise UsageError(
                f"--token: give at least {SHORTEST_TOKEN} letters, digits or any of . _ ~ -"
            )
        if self.host not in LOOPBACK and self.token is None:
            raise UsageError(f"--host {self.host}: other machines are answered only with --token")

    def refusal(self, request: Mapping[str, Any]) -> str | None:
        """Why a request is refused; None if it is answered.

        Args:
            request: Its WSGI environment.
        """
        addressed_to = request.get("HTTP_HOST", "")
        if self.host in LOOPBACK and not OWN_HOST.fullmatch(addressed_to):
            return "this server answers localhost only"
        if self.token is not None and not (self._shown_now(request) or self._shown_before(request)):
            return "open the address with ?token=... that `study dashboard` printed"
        if request["REQUEST_METHOD"] in READING:
            return None
        if not self.allow_writes:
            return "this dashboard is read-only"
        origin = request.get("HTTP_ORIGIN")
        if origin is not None and urlsplit(origin).netloc != addressed_to:
            return "changes are made from this dashboard's own pages only"
        return None

    def cookie_for(self, request: Mapping[str, Any]) -> str | None:
        """The cookie to set, where the token was shown in the address.

        The page is then loaded again without it, so that it stays out of the history.
        """
        if self.token is None or not self._shown_now(request):
            return None
        return f"{COOKIE}={self.token}; Path=/; HttpOnly; SameSite=Strict"

    def _shown_now(self, request: Mapping[str, Any]) -> bool:
        shown = parse_qs(request.get("QUERY_STRING", "")).get("token", [""])[0]
        return self._is_token(shown)

    def _shown_before(self, request: Mapping[str, Any]) -> bool:
        try:
            cookies = SimpleCookie(request.get("HTTP_COOKIE", ""))
        except CookieError:
            return False
        return COOKIE in cookies and self._is_token(cookies[COOKIE].value)

    def _is_token(self, shown: str) -> bool:
        return self.token is not None and hmac.compare_digest(shown.encode(), self.token.encode())
