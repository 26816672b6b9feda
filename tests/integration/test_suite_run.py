"""`study suite` in real processes: two workloads, a kill in between, and the rest of them."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tomli_w
from typer.testing import CliRunner

from bakeoff.commands.cli import app
from bakeoff.errors import UsageError
from bakeoff.storage import Storage
from study_examples import call_study, study_document

SUITE = {
    "suite": {"name": "toy", "question": "Is Adam better than SGD?", "repeats": 2},
    "workloads": {"narrow": {"study": "narrow.toml"}, "wide": {"study": "wide.toml"}},
    "contrasts": {"adam": {"a": ["adam"]}},
    "rules": {
        "adam": {"says": "Use Adam.", "workloads": ["narrow", "wide"], "contrast": "adam"},
        "gpu": {"says": "A GPU is quicker.", "not_tested": "it needs a GPU"},
    },
}
PLACE = ("--workers", "1", "--threads", "1", "--device", "cpu")
PATIENCE_SECONDS = 200


@pytest.fixture(name="folder", scope="module")
def _folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("suite")
    for name, width in (("narrow", 16), ("wide", 24)):
        document = study_document(
            study={"name": name},
            data={"train_samples": 200},
            model={"width": width},
            training={"epochs": 1},
            search={"trials_per_arm": 20, "schedulers": ["constant"], "defaults": False},
            confirm={"seeds": 2, "repeat_seeds": 2, "shortlist": 2, "shortlist_seeds": 1},
        )
        (folder / f"{name}.toml").write_text(tomli_w.dumps(document))
    (folder / "toy.toml").write_text(tomli_w.dumps(SUITE))
    return folder


def num_runs(folder: Path, study: str) -> int:
    """Runs of a study that have ended."""
    url = f"sqlite:///{folder / 'results' / 'toy' / 'studies.db'}"
    try:
        record = Storage(url).load_record(study)
    except Exception:  # noqa: BLE001 - it is not there yet
        return 0
    return sum(run.outcome != "running" for run in (*record.trials, *record.confirmations))


def call(folder, monkeypatch, *arguments):
    """Run the verb in this process."""
    monkeypatch.chdir(folder)
    return CliRunner().invoke(app, ["suite", "toy.toml", *PLACE, *arguments])


@pytest.mark.timeout(900)
def test_a_killed_suite_continues_and_runs_no_finished_study_again(folder, monkeypatch):
    process = subprocess.Popen(
        [sys.executable, "-m", "bakeoff", "suite", "toy.toml", *PLACE],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + PATIENCE_SECONDS
    while num_runs(folder, "wide") < 5 and time.monotonic() < deadline:
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    narrow, wide = num_runs(folder, "narrow"), num_runs(folder, "wide")
    assert narrow == 96  # 2 repeats of 2 arms with 20 trials, 2 runs of a shortlist, 2 seeds
    assert 5 <= wide < 96

    waiting = call(folder, monkeypatch, "--output", "results", "--report", "--json")
    facts = json.loads(waiting.stdout)
    assert (facts["finished"], facts["left"]) == (False, ["wide"])
    assert facts["rules"][0]["verdict"] == "not_tested"

    done = call_study(folder, "suite", "toy.toml", *PLACE)
    assert done.returncode == 0, done.stderr
    assert "narrow is finished" in done.stderr
    assert num_runs(folder, "wide") == 96
    assert "every study of the suite is finished" in done.stdout
    assert "Use Adam. Not shown: adam scored" in done.stdout
    assert "so few units cannot decide a rule of a suite of 1; it takes 6" in done.stdout
    report = (folder / "results" / "toy" / "report.md").read_text()
    assert "# Is Adam better than SGD?" in report
    assert (folder / "results" / "toy" / "narrow" / "report.md").exists()


def test_a_suite_that_must_pause_at_once_says_what_is_left(folder, monkeypatch):
    before = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]
    done = call(folder, monkeypatch, "--output", "other", "--stop-after", "0.001s")
    assert done.exit_code == 0, done.output
    assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)] == before
    assert "2 parts to go: narrow, wide; the same command continues" in done.stdout


def test_the_plan_sums_what_is_left(folder, monkeypatch):
    done = call(folder, monkeypatch, "--output", "other", "--plan", "--json", "--only", "wide")
    assert done.exit_code == 0, done.output
    plan = json.loads(done.stdout)
    (row,) = plan["rows"]
    assert (row["workload"], row["runs"]) == ("wide", 96)
    assert 0 < plan["expected_hours"] <= plan["max_hours"] < 1


def test_a_workload_that_is_not_there_is_refused(folder, monkeypatch):
    done = call(folder, monkeypatch, "--only", "widr")
    assert isinstance(done.exception, UsageError)
    assert "--only: unknown workload 'widr'; did you mean 'wide'" in str(done.exception)
