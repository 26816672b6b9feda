import contextlib
import json
import os
import re
import shutil
import socket
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import optuna
import optuna_dashboard
import pytest
from optuna.artifacts.exceptions import ArtifactNotFound

from bakeoff.analysis.comparison import compare
from bakeoff.dashboard import (
    build_server,
    connections,
    publish,
    publish_progress,
    saving,
    server as dashboard_server,
)
from bakeoff.dashboard.access import Access, read_token
from bakeoff.dashboard.artifacts import StudyArtifacts, confusion_svg, curve_svg
from bakeoff.dashboard.either_scheme import EITHER
from bakeoff.dashboard.publishing import CARD_HEIGHT
from bakeoff.dashboard.reports import index_page
from bakeoff.dashboard.server import build_app
from bakeoff.dashboard.study_list import with_verdicts
from bakeoff.errors import StorageError, UsageError
from bakeoff.records import EpochResult, MetricInfo, TrialPlan, TrialRecord
from bakeoff.report.figures.style import ARM_COLORS
from bakeoff.session.refresh import RefreshingObserver
from bakeoff.storage import Storage
from bakeoff.studyfile import resolve_study
from contrast import contrast
from study_examples import study_document, study_facts

LARGE = b"0123456789abcdef" * 65536
"""1 MiB: more than a connection buffers."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An output folder with a stored study and its report."""
    folder = tmp_path_factory.mktemp("output")
    config = resolve_study(study_document())
    Storage(f"sqlite:///{folder / 'studies.db'}", create=True).create(config, study_facts())
    report = folder / "toy"
    report.mkdir()
    (report / "index.html").write_text("<!doctype html><title>toy</title>the report")
    (report / "checkpoints").mkdir()
    (report / "checkpoints" / "weights.pt").write_bytes(b"weights")
    (folder / "secret.txt").write_text("secret")
    (report / "link.txt").symlink_to(folder / "secret.txt")
    run = report / "train" / "run"
    (run / "checkpoints").mkdir(parents=True)
    (run / "checkpoints" / "x.pt").write_text("secret")
    (run / "weights.safetensors").write_text("secret")
    (run / "index.html").write_text("the curves")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "index.html").write_text("secret")
    (run.parent / "linked").symlink_to(elsewhere)
    (folder / "linked").symlink_to(elsewhere)
    (report / "tables" / "folder.csv").mkdir(parents=True)
    os.mkfifo(report / "tables" / "pipe.csv")
    (report / "tables" / "T1.csv").write_bytes(LARGE)
    (report / "tables" / "T2.csv").touch()
    os.truncate(report / "tables" / "T2.csv", 64 * len(LARGE))
    return folder


@pytest.fixture(scope="module")
def server(folder):
    with served(folder, Access()) as server:
        yield server


@contextlib.contextmanager
def served(folder, access):
    server = build_server(
        output=folder, storage_url=f"sqlite:///{folder / 'studies.db'}", port=0, access=access
    )
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def answer(server, path, method="GET", host=None, headers=None):
    connection = HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    connection.putrequest(method, path, skip_host=True)
    connection.putheader("Host", host or f"127.0.0.1:{server.server_port}")
    for name, value in (headers or {}).items():
        connection.putheader(name, value)
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
    assert '"toy' in body


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
    assert '"toy' in answer(server, "/api/studies")[1]


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
        "/reports/toy/train/run/checkpoints/x.pt",
        "/reports/toy/train/run/weights.safetensors",
        "/reports/toy/train/linked/index.html",
        "/reports/toy/tables/pipe.csv",
        "/reports/toy/tables/folder.csv",
        "/reports/toy/tables/.hidden/x.csv",
        "/reports/linked/index.html",
        "/reports/linked",
    ],
)
def test_files_outside_reports_are_not_served(server, path):
    status, body, _ = answer(server, path)
    assert status == 404
    assert "secret" not in body


def test_pages_of_study_folders_have_an_origin_of_their_own_and_other_files_no_scripts(server):
    for page in ("index.html", "train/run/index.html"):
        policy = answer(server, f"/reports/toy/{page}")[2]["Content-Security-Policy"]
        granted = set(policy.partition(";")[0].split())
        assert granted == {"sandbox", "allow-scripts", "allow-downloads", "allow-popups"}
    policy = answer(server, "/reports/toy/tables/T1.csv")[2]["Content-Security-Policy"]
    assert policy.startswith("sandbox; default-src 'none';")


def test_a_file_is_sent_in_chunks_and_as_a_whole(server, folder):
    status, body, headers = answer(server, "/reports/toy/tables/T1.csv")
    assert (status, body.encode()) == (200, LARGE)
    assert headers["Content-Length"] == str(len(LARGE))
    app = build_app(None, folder, Access())
    environment = {
        "PATH_INFO": "/reports/toy/tables/T1.csv",
        "HTTP_HOST": "localhost",
        "REQUEST_METHOD": "GET",
    }
    chunks: Any = app(environment, lambda *_: None)
    assert max(map(len, chunks)) <= connections.CHUNK
    chunks.close()


@pytest.fixture
def impatient(folder, monkeypatch):
    """A server that answers two connections at a time and waits half a second."""
    monkeypatch.setattr(connections, "REQUEST_SECONDS", 0.5)
    monkeypatch.setattr(connections, "CHUNK_SECONDS", 0.5)
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 2)
    with served(folder, Access()) as server:
        yield server


def connected(server):
    return socket.create_connection(("127.0.0.1", server.server_port), timeout=10)


def test_a_request_that_arrives_slowly_is_ended_and_a_connection_too_many_is_closed(
    impatient, capfd
):
    with connected(impatient) as slow, connected(impatient) as silent:
        slow.sendall(b"G")
        time.sleep(0.1)
        with connected(impatient) as third:
            assert third.recv(1) == b""
        began = time.monotonic()
        with contextlib.suppress(OSError):
            while time.monotonic() - began < 60:
                slow.sendall(b"E")  # a byte now and then, and never the end of a line
                time.sleep(0.1)
        assert time.monotonic() - began < 30
        assert silent.recv(1) == b""
    assert answer(impatient, "/api/studies")[0] == 200
    assert capfd.readouterr().err == ""


def test_a_client_that_takes_no_answer_is_left(impatient, capfd):
    before = threading.active_count()
    with connected(impatient) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        request = "GET /reports/toy/tables/T2.csv HTTP/1.0\r\nHost: localhost\r\n\r\n"
        client.sendall(request.encode())
        assert wait_until(lambda: threading.active_count() > before)
        assert wait_until(lambda: threading.active_count() == before)
    assert capfd.readouterr().err == ""


def wait_until(condition):
    """Whether the condition came true within five seconds."""
    end = time.monotonic() + 5
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


def test_a_page_that_fails_is_said_once_and_its_traceback_is_kept(
    folder, tmp_path, monkeypatch, capfd
):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    for file in folder.glob("studies.db*"):
        shutil.copy(file, tmp_path)
    with sqlite3.connect(tmp_path / "studies.db") as database:
        database.execute("UPDATE study_system_attributes SET value_json = 'odd'")
    with served(tmp_path, Access()) as server:
        for _ in range(2):
            assert answer(server, "/api/studies")[0] == 500
    [line] = capfd.readouterr().err.splitlines()
    log = Path(line.rpartition("the traceback is in ")[2])
    assert line.startswith("dashboard: Exception: Expecting value")
    assert "raw_decode" in log.read_text()
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_a_report_without_a_file_name_is_redirected_to_its_page(server):
    status, _, headers = answer(server, "/reports/toy")
    assert (status, headers["Location"]) == (302, "/reports/toy/index.html")


def test_a_taken_port_is_a_usage_error(server, folder):
    with pytest.raises(UsageError, match="--port"):
        build_server(
            output=folder,
            storage_url=f"sqlite:///{folder / 'studies.db'}",
            port=server.server_port,
        )


def test_the_pages_of_optuna_dashboard_have_security_headers(server):
    status, _, headers = answer(server, "/dashboard/")
    assert status == 200
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_a_study_is_shown_with_its_verdict_and_a_link_to_its_report(server, folder):
    url = f"sqlite:///{folder / 'studies.db'}"
    comparison = compare(Storage(url).load_record("toy"))
    publish_progress(url, comparison, has_report=False)
    assert "The study is running." in note_of(server, "toy")
    verdict = replace(comparison.verdict, headline="a_b wins [here](http://evil.example).")
    publish_progress(url, replace(comparison, verdict=verdict), has_report=True)
    note = note_of(server, "toy")
    assert note.startswith(r"**a_b wins \[here\](http://evil.example).**")
    titles = [title for _, title in listed(server)]
    assert titles == ["toy: a_b wins [here](http://evil.example)."]  # no study of confirmation runs
    report, _, runs = note.splitlines()[-1].partition(" ")[2].partition(") ")
    assert report == "report](/reports/toy/index.html"
    number = re.fullmatch(r"\[Shortlist and confirmation runs\]\(/dashboard/studies/(\d+)\)", runs)
    details = json.loads(answer(server, f"/api/studies/{number[1]}")[1])
    assert details["name"] == "toy:confirm"
    assert "runs of study **toy**" in details["note"]["body"]


def test_a_list_of_studies_that_is_not_understood_is_left_as_it_is():
    listed = b'{"study_summaries": [{"study_name": "a:confirm", "user_attrs": []}]}'
    assert json.loads(with_verdicts(listed)) == json.loads(listed)  # it belongs to no other study
    for odd in (b"", b"[]", b'{"study_summaries": [1]}', b'{"study_summaries": [{}]}'):
        assert with_verdicts(odd) == odd


def listed(server):
    """The number and the title of each study in the dashboard's list."""
    studies = json.loads(answer(server, "/api/studies")[1])["study_summaries"]
    return [(one["study_id"], one["study_name"]) for one in studies]


def note_of(server, name):
    (study_id,) = [number for number, title in listed(server) if title.partition(": ")[0] == name]
    return json.loads(answer(server, f"/api/studies/{study_id}")[1])["note"]["body"]


@pytest.mark.parametrize(
    ("summary", "said"),
    [
        ('{"study": {"question": "<b>?"}, "level": "L1", "verdict": {"headline": "a & b lead"}}',
         ["&lt;b&gt;?</a>", "a &amp; b lead", "toy · L1"]),
        ('{"level": "L3", "headline": "a ranks above b"}', ["toy</a>", "a ranks above b", ">L3<"]),
        ("[]", ["toy</a>"]),
        ("{", ["toy</a>"]),
    ],
    ids=["study", "several studies", "odd", "damaged"],
)  # fmt: skip
def test_the_index_shows_the_answer_of_each_report(tmp_path, summary, said):
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "index.html").write_text("")
    (tmp_path / "toy" / "summary.json").write_text(summary)
    page = index_page(tmp_path)
    assert all(text in page for text in said)


# ---------------------------------------------------------------- access

TOKEN = "a-token-of-some-length"  # noqa: S105 - of a test


def test_with_a_token_only_requests_that_carry_it_are_answered(folder):
    with served(folder, Access(token=TOKEN)) as guarded:
        assert answer(guarded, "/api/studies")[0] == 403
        assert answer(guarded, "/api/studies?token=wrong")[0] == 403
        assert answer(guarded, "/reports/toy/index.html")[0] == 403
        status, _, headers = answer(guarded, f"/dashboard/?a=1&token={TOKEN}")
        assert (status, headers["Location"]) == (302, "/dashboard/?a=1")
        assert {"HttpOnly", "SameSite=Lax"} <= set(headers["Set-Cookie"].split("; "))
        cookie = {"Cookie": headers["Set-Cookie"].split(";")[0]}
        assert answer(guarded, "/api/studies", headers=cookie)[0] == 200
        assert answer(guarded, "/api/studies", headers={"Cookie": "bakeoff-token=x"})[0] == 403
        assert answer(guarded, f"//evil.example/?token={TOKEN}")[2]["Location"] == "/evil.example/"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"host": "0.0.0.0"}, "--host 0.0.0.0: other machines need --token-file"),  # noqa: S104
        ({"token": "short"}, "a token has at least 16"),
        ({"token": "with spaces and; more"}, "a token has at least 16"),
    ],
)
def test_access_from_other_machines_needs_a_long_token(settings, message):
    with pytest.raises(UsageError, match=message):
        Access(**settings)


def test_a_token_is_read_from_a_file_of_its_owner_or_from_the_environment(tmp_path, monkeypatch):
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    file.chmod(0o640)
    with pytest.raises(UsageError, match="other users can open it"):
        read_token(file)
    file.chmod(0o600)
    monkeypatch.setenv("BAKEOFF_TOKEN", "another-token-of-some-length")
    assert read_token(file) == TOKEN
    assert read_token(None) == "another-token-of-some-length"
    with pytest.raises(UsageError, match="No such file"):
        read_token(tmp_path / "none")


def test_an_address_of_another_machine_cannot_be_served(folder):
    with pytest.raises(UsageError, match=r"--host 192\.0\.2\.1"):
        build_server(
            output=folder, storage_url=f"sqlite:///{folder / 'studies.db'}", port=0,
            access=Access(host="192.0.2.1", token=TOKEN),
        )  # fmt: skip


def test_writes_are_allowed_from_the_dashboards_own_pages_only(folder, tmp_path):
    for file in folder.glob("studies.db*"):
        shutil.copy(file, tmp_path)
    with served(tmp_path, Access(allow_writes=True)) as open_server:
        own = f"http://127.0.0.1:{open_server.server_port}"
        foreign = {"Origin": "http://evil.example"}
        assert answer(open_server, "/api/studies/1", "DELETE", headers=foreign)[0] == 403
        assert '"toy' in answer(open_server, "/api/studies")[1]
        for number in (1, 2):
            deleted = answer(
                open_server, f"/api/studies/{number}", "DELETE", headers={"Origin": own}
            )
            assert deleted[0] == 204
        assert '"toy' not in answer(open_server, "/api/studies")[1]


def test_a_browser_is_opened_if_there_is_a_display_and_it_is_wanted(tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    stopped = SimpleNamespace(server_port=1, serve_forever=lambda: None, server_close=lambda: None)
    monkeypatch.setattr(dashboard_server, "build_server", lambda **_: stopped)
    monkeypatch.setattr("sys.platform", "linux")
    for display in ("", ":0"):
        monkeypatch.setenv("DISPLAY", display)
        monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
        for wanted, token in ((True, None), (False, None), (True, TOKEN)):
            dashboard_server.serve_dashboard(
                output=tmp_path, storage_url=None, port=0, access=Access(token=token),
                open_browser=wanted,
            )  # fmt: skip
    assert opened == ["http://127.0.0.1:1"]  # never with a token, which `ps` would show


# ---------------------------------------------------------------- notes, figures and artifacts

HISTORY = tuple(
    EpochResult(
        epoch=epoch,
        metrics={"accuracy": 0.5 + 0.1 * epoch},
        confusion=((3, 1), (0, 0)) if epoch == 3 else (),
    )
    for epoch in (1, 2, 3)
)
CONTENT = {
    "confusion-matrix.svg": 'fill-opacity="0.750"',
    "confusion-matrix.csv": "class,predicted 0,predicted 1,recall\n0,3,1,0.75\n1,0,0,\n",
    "learning-curve.csv": "epoch,accuracy,train_loss,learning_rate\n1,0.6,",
    "learning-curve.svg": "validation accuracy by epoch",
}
ACCURACY = MetricInfo(name="accuracy", direction="maximize", low=0.0, high=1.0)


@pytest.fixture(scope="module")
def published(server, folder):
    """The same server after a trial has been stored and published, twice."""
    config = resolve_study(study_document())
    url = f"sqlite:///{folder / 'studies.db'}"
    storage = Storage(url, create=True)
    plan = TrialPlan(
        arm="sgd", seed=1, phase="random",
        params={"optimizer": "sgd", "scheduler": "constant", "sgd.learning_rate": 0.01},
    )  # fmt: skip
    _, trial_id = storage.begin(config, plan)
    storage.finish(
        trial_id,
        TrialRecord(
            number=0, arm="sgd", params=plan.params, outcome="complete", score=0.8,
            history=HISTORY, epochs_planned=3,
        ),
    )  # fmt: skip
    for _ in range(2):
        publish(url, compare(storage.load_record("toy")), folder)
    wait_for_trials(server)
    return server


def wait_for_trials(server):
    """Wait until the dashboard reads the trials again; it caches them for ten seconds."""
    deadline = time.monotonic() + 60
    while not study_details(server)[1]["trials"]:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def study_details(server):
    studies = json.loads(answer(server, "/api/studies")[1])["study_summaries"]
    (study,) = [one for one in studies if one["study_name"].startswith("toy: ")]
    return study, json.loads(answer(server, f"/api/studies/{study['study_id']}")[1])


def test_the_dashboard_shows_the_key_figures(published):
    _, details = study_details(published)
    shown = {
        plot["id"]: json.loads(plot["graph_object"]) for plot in details["plotly_graph_objects"]
    }
    assert {"F4-search-progress", "F6-learning-rates"} <= set(shown)
    for name, plot in shown.items():
        assert f">{name[:2]}. " in plot["layout"]["title"]["text"]
        assert plot["layout"]["height"] == CARD_HEIGHT


CARDS = ("#ffffff", "#1e1e1e")
"""The backgrounds on which optuna-dashboard draws figures, light and dark."""


def test_figures_keep_their_colours_apart_from_light_and_dark_cards():
    colors = [EITHER.get(light, light) for light, _ in ARM_COLORS]
    assert len(set(colors)) == len(ARM_COLORS)
    assert all(contrast(color, card) >= 3 for color in colors for card in CARDS)


def test_the_chosen_trials_files_are_attached_once_and_only_downloaded(published):
    study, details = study_details(published)
    (trial,) = details["trials"]
    names = [artifact["filename"] for artifact in trial["artifacts"]]
    assert sorted(names) == sorted(CONTENT)
    for artifact in trial["artifacts"]:
        path = f"/artifacts/{study['study_id']}/{trial['trial_id']}/{artifact['artifact_id']}"
        status, body, headers = answer(published, path)
        assert status == 200
        assert headers["Content-Disposition"] == "attachment"
        assert headers["Content-Security-Policy"].startswith("sandbox")
        assert CONTENT[artifact["filename"]] in body


def test_metrics_are_named_and_attributes_are_numbers(published):
    _, details = study_details(published)
    assert details["objective_names"] == ["accuracy"]
    facts = {fact["key"]: fact["value"] for fact in details["trials"][0]["user_attrs"]}
    assert float(facts["epochs"]) == 3
    assert float(facts["train_seconds"]) == 0


@pytest.mark.parametrize("name", ["../../secret.txt", "*", "none", "0" * 36])
def test_only_artifacts_can_be_read(name, tmp_path):
    (tmp_path / "secret.txt").write_text("secret")
    with pytest.raises(Exception, match="no artifact"):
        StudyArtifacts(tmp_path).open_reader(name)


@pytest.mark.parametrize("linked", ["toy", "toy/artifacts", "toy/artifacts/0123456789abcdef"])
def test_an_artifact_behind_a_link_is_not_served(tmp_path, linked):
    outside = tmp_path / "outside" / "toy" / "artifacts" / "0123456789abcdef"
    outside.parent.mkdir(parents=True)
    outside.write_text("secret")
    link = tmp_path / "output" / linked
    link.parent.mkdir(parents=True)
    link.symlink_to(tmp_path / "outside" / linked)
    with pytest.raises(ArtifactNotFound):
        StudyArtifacts(tmp_path / "output").open_reader(outside.name)


@pytest.mark.parametrize(
    "history",
    [(), HISTORY[:1], HISTORY, (replace(HISTORY[0], metrics={"accuracy": float("nan")}),)],
    ids=["none", "one", "three", "nan"],
)
def test_a_curve_is_drawn_from_any_history(history):
    hostile = replace(ACCURACY, title="<script>&")
    drawn = ET.fromstring(curve_svg(history, hostile))  # noqa: S314 - our own text
    assert len(drawn.findall("{*}circle")) == sum(
        one.metrics["accuracy"] == one.metrics["accuracy"] for one in history
    )


@pytest.mark.parametrize(("classes", "numbers"), [(1, 1), (3, 5), (40, 0)])
def test_a_confusion_matrix_has_a_cell_for_each_pair_of_classes(classes, numbers):
    counts = np.diag(range(1, classes + 1)) + np.eye(classes, k=1, dtype=int)
    drawn = ET.fromstring(confusion_svg(counts.tolist()))  # noqa: S314 - our own text
    assert len(drawn.findall("{*}rect")) == classes**2 + 1
    shown = [text for text in drawn.findall("{*}text") if text.get("dominant-baseline")]
    assert len(shown) == numbers


# ---------------------------------------------------------------- while a study runs


class RecordingObserver:
    """An observer that records the runs and notes it receives."""

    began = epoch = paused = None  # never called here

    def __init__(self):
        self.notes = []

    def ended(self, run, plan, record, *, restored):
        self.notes.append(run)

    def note(self, text):
        self.notes.append(text)


def test_figures_are_refreshed_seldom_enough_to_cost_little_time():
    now, refreshed = [0.0], []

    def refresh():
        refreshed.append(now[0])
        now[0] += 1.0

    observer = RefreshingObserver(RecordingObserver(), refresh, clock=lambda: now[0])
    for _ in range(200):
        observer.ended("search-0", None, None, restored=False)
        now[0] += 1.0
    # after 20 seconds; a refresh that takes one second may be repeated after fifty
    assert refreshed == [20.0, 71.0, 122.0, 173.0]


def test_a_refresh_that_fails_is_reported_once_and_not_repeated():
    def fail():
        raise StorageError("gone")

    now, recorder = [0.0], RecordingObserver()
    observer = RefreshingObserver(recorder, fail, clock=lambda: now[0])
    for _ in range(10):
        now[0] += 100.0
        observer.ended("search-0", None, None, restored=False)
    assert sum("no longer refreshed: gone" in note for note in recorder.notes) == 1


def test_what_a_refresh_imports_is_imported_in_a_thread_before_it_or_when_no_run_is_left_to_begin():
    def observed(prepare):
        recorder = RecordingObserver()
        recorder.began = lambda run, _plan, num_left: began.append((run, num_left))
        return RefreshingObserver(
            recorder, lambda: refreshed.append(1), prepare, clock=lambda: 100.0 * now[0]
        )

    now, began, refreshed, imported = [0], [], [], threading.Event()
    observer = observed(imported.wait)
    now[0] = 1
    observer.ended("search-0", None, None, restored=False)
    assert not refreshed  # the imports have begun
    imported.set()
    for _ in range(1000):
        observer.ended("search-1", None, None, restored=False)
        if refreshed:
            break
        time.sleep(0.01)
    assert refreshed == [1]

    prepared = threading.Event()
    observer = observed(prepared.set)
    observer.began("search-0", None, 1)
    assert not prepared.wait(0.05)
    observer.began("search-1", None, 0)
    assert prepared.wait(60)
    assert began == [("search-0", 1), ("search-1", 0)]


def test_notes_and_figures_are_saved_without_the_dashboards_server(tmp_path):
    code = (
        "import sys, optuna\n"
        "import plotly.graph_objects as go\n"
        "from bakeoff.dashboard.publishing import publish\n"
        "from bakeoff.dashboard.saving import save_figure, save_note\n"
        "study = optuna.create_study(storage=sys.argv[1], study_name='one')\n"
        "save_note(study, 'a note')\n"
        "save_figure(study, go.Figure(), 'F1')\n"
        "assert not {'sklearn', 'optuna_dashboard'} & sys.modules.keys()\n"
    )
    url = f"sqlite:///{tmp_path / 'studies.db'}"
    subprocess.run([sys.executable, "-c", code, url], check=True)
    stored = optuna.load_study(study_name="one", storage=url)
    assert optuna_dashboard.get_note(stored) == "a note"
    key = "dashboard:plot_data:F1:"
    with contextlib.closing(sqlite3.connect(tmp_path / "studies.db")) as database:
        rows = database.execute("SELECT key, value_json FROM study_system_attributes").fetchall()
    parts = {name.removeprefix(key): json.loads(text) for name, text in rows if key in name}
    figure = json.loads("".join(parts[place] for place in sorted(parts, key=int)))
    assert figure["data"] == []


def test_a_release_whose_notes_need_its_other_modules_is_imported_whole(tmp_path, monkeypatch):
    package = tmp_path / "later_dashboard"
    package.mkdir()
    (package / "__init__.py").write_text("from later_dashboard._note import save_note\n")
    (package / "_sizes.py").write_text("LONGEST = 3\n")
    (package / "_note.py").write_text(
        "from ._sizes import LONGEST\n"
        "def save_note(study, text):\n"
        "    study.append(text[:LONGEST])\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(saving, "PACKAGE", "later_dashboard")
    monkeypatch.delitem(sys.modules, f"{saving.__name__}.{saving.NOTES}", raising=False)
    notes = []
    saving.save_note(notes, "a note")
    assert notes == ["a n"]


def test_restored_runs_cause_no_refresh():
    now, refreshed = [0.0], []
    observer = RefreshingObserver(
        RecordingObserver(), lambda: refreshed.append(1), clock=lambda: now[0]
    )
    now[0] = 100.0
    observer.ended("search-0", None, None, restored=True)
    assert not refreshed
