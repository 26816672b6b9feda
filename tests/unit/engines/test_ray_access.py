import json
import subprocess

import pytest

from bakeoff.engines import ray_access
from bakeoff.engines.ray_access import create_token, find_cluster, ray_environment
from bakeoff.engines.ray_settings import RaySettings
from bakeoff.errors import UsageError, WorkersLostError

NODES = {"answer": "nodes", "address": "10.0.0.1:6379", "slots": 6, "is_loopback": False}
REFUSED = {"answer": "refused", "address": "10.0.0.1:6379", "reason": "InvalidAuthToken"}


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def looks(monkeypatch):
    """What `ray_look` prints without a token, and with it."""

    def answer(without, with_token):
        def run(command, *, env, **_):
            found = with_token if env["RAY_AUTH_MODE"] == "token" else without
            return subprocess.CompletedProcess(
                command, 0, f"a line of Ray\n{json.dumps(found)}\n", ""
            )

        monkeypatch.setattr(ray_access.subprocess, "run", run)

    return answer


def test_a_cluster_that_wants_the_token_is_used_with_it(looks):
    looks(REFUSED, NODES)
    found = find_cluster(RaySettings(), 1)
    assert (found.num_slots, found.settings.address) == (6, "10.0.0.1:6379")
    assert ray_environment(found.settings)["RAY_AUTH_MODE"] == "token"


def test_a_cluster_that_answers_without_a_token_is_refused_unless_it_may(looks):
    looks(NODES, NODES)
    with pytest.raises(UsageError) as caught:
        find_cluster(RaySettings(), 1)
    assert str(caught.value) == (
        "the Ray cluster at 10.0.0.1:6379 answers without a token, so everyone who reaches it can"
        " run code on its nodes; start it with RAY_AUTH_MODE=token, or add --insecure-cluster"
    )
    found = find_cluster(RaySettings(accepts_open=True), 1)
    assert ray_environment(found.settings)["RAY_AUTH_MODE"] == "disabled"


def test_permission_for_an_open_cluster_does_not_leave_out_the_token_of_a_closed_one(looks):
    looks(REFUSED, NODES)
    found = find_cluster(RaySettings(accepts_open=True), 1)
    assert ray_environment(found.settings)["RAY_AUTH_MODE"] == "token"


def test_a_wrong_token_is_said_in_one_line(looks):
    looks(REFUSED, REFUSED)
    with pytest.raises(
        UsageError, match=r"^the Ray cluster at 10\.0\.0\.1:6379 refuses the token;"
    ):
        find_cluster(RaySettings(), 1)


def test_an_address_where_nothing_listens_is_said_in_one_line():
    with pytest.raises(WorkersLostError, match=r"^no Ray cluster answers at 127\.0\.0\.1:9$"):
        find_cluster(RaySettings(address="127.0.0.1:9"), 1)


def test_without_a_cluster_one_is_started_with_a_token_that_only_its_owner_reads(looks, home):
    looks({"answer": "none"}, {"answer": "none"})
    found = find_cluster(RaySettings(accepts_open=True), 1)
    token = home / ".ray" / "auth_token"
    assert found.settings.starts_cluster
    assert ray_environment(found.settings)["RAY_AUTH_MODE"] == "token"
    assert token.stat().st_mode & 0o777 == 0o600
    secret = token.read_text()
    assert len(secret) == 64
    create_token()
    assert token.read_text() == secret


def test_a_token_that_others_can_read_is_refused(looks, home):
    looks(REFUSED, NODES)
    create_token()
    (home / ".ray" / "auth_token").chmod(0o644)
    with pytest.raises(UsageError, match=r"auth_token: other users of this machine can read"):
        find_cluster(RaySettings(), 1)
