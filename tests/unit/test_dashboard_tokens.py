"""Tests the tokens of several people, and the log of what they did."""

import re
import stat
from pathlib import Path
from typing import Any

import pytest

from bakeoff.commands.cli import load_verb
from bakeoff.dashboard.access import Access
from bakeoff.dashboard.access_log import AccessLog, with_access_log
from bakeoff.dashboard.server import build_app
from bakeoff.dashboard.tokens import TokenFile, add_token, read_people, revoke_token
from bakeoff.errors import UsageError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tokens.json"


def request(path: str = "/", query: str = "", *, method: str = "GET", **others: str) -> dict:
    return {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "HTTP_HOST": "127.0.0.1:8080",
        "REMOTE_ADDR": "192.0.2.7",
        **others,
    }


def answer(app: Any, asked: dict) -> tuple[str, dict[str, str]]:
    answered: list[Any] = []
    list(app(asked, lambda status, headers, *_: answered.append((status, dict(headers)))))
    [(status, headers)] = answered
    return status, headers


def dashboard_app(environ, start_response):
    """Stands for optuna-dashboard."""
    start_response("200 OK", [])
    return [b"studies"]


def test_each_person_is_known_by_the_token_that_was_shown_once(file):
    tokens = {name: add_token(file, name) for name in ("anna", "ben")}
    known = TokenFile(file)
    assert {name: known.person(token) for name, token in tokens.items()} == {
        "anna": "anna",
        "ben": "ben",
    }
    assert known.person("x" * 43) is None
    assert known.person("") is None
    assert not any(token in file.read_text() for token in tokens.values())
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_revoked_token_is_refused_by_a_dashboard_that_runs(file):
    tokens = {name: add_token(file, name) for name in ("anna", "ben")}
    known = TokenFile(file)
    assert known.person(tokens["ben"]) == "ben"
    revoke_token(file, "ben")
    assert known.person(tokens["ben"]) is None
    assert known.person(tokens["anna"]) == "anna"
    dora = add_token(file, "dora")
    assert known.person(dora) == "dora"


def test_without_a_usable_file_nobody_is_known_any_more(file):
    token = add_token(file, "anna")
    known = TokenFile(file)
    file.chmod(0o644)
    assert known.person(token) is None
    file.chmod(0o600)
    assert known.person(token) == "anna"
    file.unlink()
    assert known.person(token) is None


@pytest.mark.parametrize(
    ("content", "mode", "message"),
    [
        (None, 0, "No such file"),
        ('{"people": {}}', 0o644, "other users can open it"),
        ('{"people": {}}', 0o600, "nobody has a token"),
        ("[]", 0o600, "not a file of --add-token"),
        ('{"people": {"anna": {"sha256": "no hash"}}}', 0o600, "not a file of --add-token"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(file, content, mode, message):
    if content is not None:
        file.write_text(content)
        file.chmod(mode)
    with pytest.raises(UsageError, match=message):
        TokenFile(file)


@pytest.mark.parametrize("name", ["", "a b", "a\nb", "a" * 65])
def test_a_name_that_a_log_cannot_show_is_refused(file, name):
    with pytest.raises(UsageError, match="visible characters"):
        add_token(file, name)


def test_a_person_has_one_token(file):
    add_token(file, "anna")
    before = file.read_bytes()
    with pytest.raises(UsageError, match="revoke it first"):
        add_token(file, "anna")
    with pytest.raises(UsageError, match="unknown person 'ana'; did you mean 'anna'"):
        revoke_token(file, "ana")
    assert file.read_bytes() == before
    assert list(read_people(file)) == ["anna"]


def test_one_token_for_all_and_one_for_each_exclude_each_other(file):
    add_token(file, "anna")
    with pytest.raises(UsageError, match="leave out the single one"):
        Access(token="a-token-of-some-length", tokens=TokenFile(file))  # noqa: S106
    assert Access(host="0.0.0.0", tokens=TokenFile(file)).needs_token  # noqa: S104


def test_who_did_what_is_logged_without_tokens(file, tmp_path):
    token = add_token(file, "anna")
    access = Access(tokens=TokenFile(file))
    log = AccessLog(tmp_path / "access.log")
    app = with_access_log(build_app(dashboard_app, tmp_path, access), log, access.person)
    status, headers = answer(app, request("/dashboard/", f"token={token}"))
    assert (status, headers["Location"]) == ("302 Found", "/dashboard/")
    kept, *attributes = headers["Set-Cookie"].split("; ")
    assert {"HttpOnly", "SameSite=Lax"} <= {*attributes}
    assert answer(app, request("/x\n2026 ben", "a=1", HTTP_COOKIE=kept))[0] == "200 OK"
    assert answer(app, request("/api", "token=guess"))[0] == "403 Forbidden"
    assert answer(app, request("/api", HTTP_COOKIE=kept, method="DELETE"))[0] == "403 Forbidden"
    text = log.file.read_text()
    assert [line.split(" ", 1)[1] for line in text.splitlines()] == [
        "anna 192.0.2.7 GET /dashboard/ 302",
        "anna 192.0.2.7 GET /x%0A2026%20ben 200",
        "- 192.0.2.7 GET /api 403",
        "anna 192.0.2.7 DELETE /api 403",
    ]
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ ", line) for line in text.splitlines())
    assert token not in text
    assert stat.S_IMODE(log.file.stat().st_mode) == 0o600


def test_a_request_that_fails_is_logged_and_a_renamed_log_begins_anew(tmp_path):
    log = AccessLog(tmp_path / "access.log")

    def broken(environ, start_response):
        raise LookupError("a bug")

    app = with_access_log(broken, log, lambda _: None)
    for _ in range(2):
        with pytest.raises(LookupError):
            app(request("/api"), print)
        log.file.rename(tmp_path / "old.log")
    assert not log.file.exists()
    assert (tmp_path / "old.log").read_text().endswith("- 192.0.2.7 GET /api 500\n")


def test_a_log_that_cannot_be_written_is_said_once(tmp_path, capsys):
    with pytest.raises(UsageError, match="--access-log"):
        AccessLog(tmp_path / "none" / "access.log")
    folder = tmp_path / "logs"
    folder.mkdir()
    log = AccessLog(folder / "access.log")
    log.file.unlink()
    folder.rmdir()
    for _ in range(3):
        log.write(request(), None, "200 OK")
    assert capsys.readouterr().err.count("cannot be written: No such file") == 1


def run_verb(*arguments: str) -> None:
    load_verb("dashboard").main(list(arguments), standalone_mode=False)


def test_tokens_are_made_and_revoked_by_the_command(file, capsys):
    run_verb("--tokens", str(file), "--add-token", "anna")
    token = capsys.readouterr().out.strip()
    assert TokenFile(file).person(token) == "anna"
    run_verb("--tokens", str(file), "--revoke-token", "anna")
    assert read_people(file) == {}
    with pytest.raises(UsageError, match="name the file with --tokens"):
        run_verb("--add-token", "anna")
