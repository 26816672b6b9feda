import json
import threading
from http.client import HTTPConnection

import pytest

from bakeoff.dashboard import build_server, note_verdict
from bakeoff.errors import UsageError
from bakeoff.storage import Storage
from study_examples import study_facts


@pytest.fixture
def server(tmp_path, config):
    url = f"sqlite:///{tmp_path / 'studies.db'}"
    Storage(url, create=True).create(config, study_facts())
    report = tmp_path / "toy"
    report.mkdir()
    (report / "index.html").write_text("<!doctype html><title>toy</title>the report")
    (report / "checkpoints").mkdir()
    (report / "checkpoints" / "weights.pt").write_bytes(b"weights")
    (tmp_path / "secret.txt").write_text("secret")
    (report / "link.txt").symlink_to(tmp_path / "secret.txt")
    server = build_server(output=tmp_path, storage_url=url, port=0)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def answer(server, path, method="GET", host=None):
    connection = HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    connection.putrequest(method, path, skip_host=True)
    connection.putheader("Host", host or f"127.0.0.1:{server.server_port}")
    connection.endheaders()
    response = connection.getresponse()
    body = response.read().decode(errors="replace")
    connection.close()
    return response.status, body, response.headers


def test_the_server_listens_on_the_loopback_address_only(server):
    assert server.server_address[0] == "127.0.0.1"


def test_the_dashboard_shows_the_stored_studies(server):
    status, body, _ = answer(server, "/api/studies")
    assert status == 200
    assert '"toy"' in body


def test_the_reports_are_listed_and_served(server):
    status, body, _ = answer(server, "/reports/")
    assert status == 200
    assert 'href="/reports/toy/index.html"' in body
    status, body, headers = answer(server, "/reports/toy/index.html")
    assert status == 200
    assert "the report" in body
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:80",
        "127.0.0.1.evil.example",
        "localhost:80@evil.example",
        "127.0.0.1:evil.example",
    ],
)
def test_a_request_addressed_to_another_host_is_refused(server, host):
    assert answer(server, "/api/studies", host=host)[0] == 403


@pytest.mark.parametrize("host", ["localhost", "localhost:1234", "127.0.0.1"])
def test_the_loopback_names_are_answered(server, host):
    assert answer(server, "/api/studies", host=host)[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nothing_can_be_changed(server, method):
    assert answer(server, "/api/studies/1", method=method)[0] == 403
    assert '"toy"' in answer(server, "/api/studies")[1]


@pytest.mark.parametrize(
    "path",
    [
        "/reports/toy/../secret.txt",
        "/reports/../secret.txt",
        "/reports/toy/%2e%2e/secret.txt",
        "/reports/toy//etc/passwd",
        "/reports/toy/link.txt",
        "/reports/toy/checkpoints/weights.pt",
        "/reports/toy/missing.html",
        "/reports/none/index.html",
        "/reports/./studies.db",
        "/reports/toy/%00",
        "/reports/toy/" + "x" * 300,
    ],
)
def test_nothing_but_reports_is_served(server, path):
    status, body, _ = answer(server, path)
    assert status == 404
    assert "secret" not in body


def test_a_report_asked_for_without_its_page_is_redirected(server):
    status, _, headers = answer(server, "/reports/toy")
    assert (status, headers["Location"]) == (302, "/reports/toy/index.html")


def test_a_port_that_is_taken_is_said_so(server, tmp_path):
    with pytest.raises(UsageError, match="--port"):
        build_server(
            output=tmp_path,
            storage_url=f"sqlite:///{tmp_path / 'studies.db'}",
            port=server.server_port,
        )


def test_the_dashboards_own_pages_are_guarded_too(server):
    status, _, headers = answer(server, "/dashboard/")
    assert status == 200
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_a_study_is_shown_with_its_verdict_and_a_link_to_its_report(server, tmp_path):
    url = f"sqlite:///{tmp_path / 'studies.db'}"
    note_verdict(url, "toy", "adam wins here.")
    (study,) = [one for one in json.loads(answer(server, "/api/studies")[1])["study_summaries"]
                if one["study_name"] == "toy"]  # fmt: skip
    note = json.loads(answer(server, f"/api/studies/{study['study_id']}")[1])["note"]["body"]
    assert note == "adam wins here.\n\n[The report](/reports/toy/index.html)"
