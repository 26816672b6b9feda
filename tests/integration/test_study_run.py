"""The command `study run` in real processes: complete, repeated, killed, interrupted, continued."""

import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import pytest
import tomli_w

from bakeoff.storage import Storage
from study_examples import study_document

STUDY = [sys.executable, "-m", "bakeoff"]
DOCUMENT = study_document(
    training={"epochs": 12, "batch_size": 32, "clip_grad_norm": 1.0},
    model={"width": 32, "dropout": {"low": 0.0, "high": 0.5}},
    search={"schedulers": ["constant", "one_cycle", "plateau"], "trials_per_arm": 6},
    confirm={"seeds": 3, "shortlist": 2, "shortlist_seeds": 1},
)
NUM_TRIALS, NUM_CONFIRMATIONS = 2 * (6 + 1), 2 * (2 + 3 + 3)  # with library defaults
PATIENCE_SECONDS = 60


@pytest.fixture(scope="module")
def study_file(tmp_path_factory):
    file = tmp_path_factory.mktemp("studies") / "toy.toml"
    file.write_text(tomli_w.dumps(DOCUMENT))
    return file


def start(file: Path, output: Path, workers: int = 1) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*STUDY, "run", str(file), "--output", str(output), "--workers", str(workers)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def run(file: Path, output: Path, workers: int = 1) -> tuple[int, str, str]:
    return finish(start(file, output, workers))


def load(output: Path):
    return Storage(f"sqlite:///{output / 'studies.db'}").load_record("toy")


def results_of(output: Path):
    """All that must not depend on interruptions: everything but the seconds.

    Runs of the confirmation train together, so how many have begun when a worker is lost depends on
    the time, and so do their numbers.
    """
    record = load(output)
    confirmations = sorted(
        (replace(one, number=0) for one in record.confirmations),
        key=lambda one: (one.purpose, one.arm, one.seed, sorted(one.params.items(), key=str)),
    )
    return [
        (
            trial.purpose,
            trial.number,
            trial.arm,
            trial.params,
            trial.outcome,
            trial.score,
            trial.seed,
            trial.test_metrics,
            [(epoch.metrics, epoch.train_loss, epoch.grad_norm) for epoch in trial.history],
        )
        for trial in (*record.trials, *confirmations)
    ]


def wait_for_trials(output: Path, count: int) -> int:
    """Until so many runs have been stored, by a file that other processes read too; how many.

    They are counted in the database itself, because to load the study takes as long as some runs.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        num_runs = 0
        with suppress(sqlite3.Error):  # the file is still being made, or being written
            place = f"file:{output / 'studies.db'}?mode=ro"
            with closing(sqlite3.connect(place, uri=True)) as connection:
                (num_runs,) = connection.execute("SELECT COUNT(*) FROM trials").fetchone()
        if num_runs >= count:
            return num_runs
        time.sleep(0.01)
    pytest.fail(f"no {count} runs within {PATIENCE_SECONDS} s")


def children_of(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    names = {int(task): Path(f"/proc/{task}/cmdline").read_text() for task in tasks}
    return [child for child, name in names.items() if "spawn_main" in name]


def is_alive(pid: int) -> bool:
    try:
        return "(zombie)" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


@pytest.fixture(scope="module")
def calm(study_file, tmp_path_factory):
    """An uninterrupted run with one worker."""
    output = tmp_path_factory.mktemp("calm")
    code, out, err = run(study_file, output)
    assert code == 0, err
    return output, out


@pytest.fixture(scope="module")
def pair(study_file, tmp_path_factory):
    """An uninterrupted run with two workers."""
    output = tmp_path_factory.mktemp("pair")
    code, out, err = run(study_file, output, workers=2)
    assert code == 0, err
    return output, out


def test_a_study_ends_with_verdict_arms_and_the_path_of_its_report(calm):
    output, out = calm
    verdict, arms, report = (out.find(text) for text in ("No verdict yet: ", "\narm ", "report: "))
    assert -1 < verdict < arms < report
    assert out[report:].splitlines()[0].endswith(str(output / "toy" / "index.html"))


@pytest.mark.parametrize(
    "name",
    ["index.html", "report.md", "summary.json", "environment.json", "study.toml",
     "tables/T1-verdict.csv", "tables/T2-results.csv", "tables/T3-pairs.csv",
     "tables/T5-effort.csv", "tables/T7-protocol.csv", "tables/T8-configurations.csv",
     "figures/F1-confirmed-scores.csv", "figures/F2-pair-differences.csv",
     "figures/F6-learning-rates.csv", "figures/F8-learning-curves.csv"],
)  # fmt: skip
def test_a_finished_study_has_every_file_of_its_report(calm, name):
    assert (calm[0] / "toy" / name).stat().st_size > 0


@pytest.mark.parametrize("session", ["calm", "pair"])
def test_every_arm_is_charged_the_same_number_of_trials(session, request):
    output, _ = request.getfixturevalue(session)
    record = load(output)
    charged = Counter(trial.arm for trial in record.trials if trial.phase != "default")
    assert charged == {"sgd": 6, "adam": 6}
    assert len(record.trials) == NUM_TRIALS
    assert len(record.confirmations) == NUM_CONFIRMATIONS
    assert {trial.outcome for trial in record.trials} <= {"complete", "pruned", "diverged"}


def test_two_fresh_folders_hold_identical_trials_values_and_report_numbers(
    study_file, calm, tmp_path
):
    code, _, err = run(study_file, tmp_path)
    assert code == 0, err
    assert results_of(tmp_path) == results_of(calm[0])
    tables = ["T2-results.csv", "T3-pairs.csv", "T8-configurations.csv"]
    for name in tables:
        assert (tmp_path / "toy/tables" / name).read_text() == (
            calm[0] / "toy/tables" / name
        ).read_text()


def without_time(text: str) -> str:
    return re.sub(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?", "TIME", text)


def test_the_report_written_again_has_the_same_bytes(calm):
    folder = calm[0] / "toy"
    files = [file for file in folder.rglob("*") if file.is_file() and file.suffix != ".safetensors"]
    before = {file: without_time(file.read_text()) for file in files}
    done = subprocess.run(
        [*STUDY, "report", "toy", "--output", str(calm[0])], capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert {file: without_time(file.read_text()) for file in files} == before


def test_a_complete_study_run_again_trains_nothing_and_says_so(study_file, calm):
    before = results_of(calm[0])
    code, out, _ = run(study_file, calm[0])
    assert code == 0
    assert out.startswith(
        f"nothing to train: all {NUM_TRIALS} trials and {NUM_CONFIRMATIONS} confirmation runs"
    )
    assert results_of(calm[0]) == before


@pytest.mark.parametrize(
    "num_kills",
    [2, pytest.param(10, marks=[pytest.mark.slow, pytest.mark.timeout(1200)])],
)
def test_a_killed_driver_is_continued_to_the_same_results_and_leaves_no_worker(
    study_file, calm, tmp_path, num_kills
):
    rng, num_workers = random.Random(20), 0
    for count in sorted(rng.sample(range(1, NUM_TRIALS + NUM_CONFIRMATIONS - 2), num_kills)):
        process = start(study_file, tmp_path)
        wait_for_trials(tmp_path, count)
        time.sleep(rng.random() * 0.2)
        workers = children_of(process.pid)
        process.kill()
        process.wait()
        process.communicate()
        deadline = time.monotonic() + 60
        while any(map(is_alive, workers)) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not any(map(is_alive, workers))
        num_workers += len(workers)
    assert num_workers
    code, _, err = run(study_file, tmp_path)
    assert code == 0, err
    assert results_of(tmp_path) == results_of(calm[0])


@pytest.mark.parametrize(
    "counts",
    [
        pytest.param((3, 9), id="2 kills"),
        pytest.param(
            tuple(range(1, 11)), id="10 kills", marks=[pytest.mark.slow, pytest.mark.timeout(1200)]
        ),
    ],
)
def test_a_killed_worker_is_replaced_and_its_trial_continued(study_file, calm, tmp_path, counts):
    process, num_runs = start(study_file, tmp_path), 0
    for count in counts:
        if num_runs >= NUM_TRIALS + NUM_CONFIRMATIONS - 1:
            break  # a busy machine saw several at once
        # a new run each time: one whose worker dies again and again is given up
        num_runs = wait_for_trials(tmp_path, max(count, num_runs + 1))
        for worker in children_of(process.pid):
            os.kill(worker, signal.SIGKILL)
    code, _, err = finish(process)
    assert code == 0, err
    assert "worker ended by SIGKILL" in err
    assert results_of(tmp_path) == results_of(calm[0])


def test_an_interrupted_study_says_how_to_continue_and_does(study_file, calm, tmp_path):
    stops = [
        (2, [signal.SIGINT], 130),
        (7, [signal.SIGTERM], 143),
        (12, [signal.SIGINT, signal.SIGINT], 130),
    ]
    num_stored = 0
    for count, signals, expected in stops:
        process = start(study_file, tmp_path)
        wait_for_trials(tmp_path, max(count, num_stored + 1))  # so that it is under way
        for signum in signals:
            os.killpg(process.pid, signum)
        code, _, err = finish(process)
        assert code == expected
        assert err.splitlines()[-1] == "study: stopped; run the same command again to continue"
        record = load(tmp_path)
        num_stored = len(record.trials) + len(record.confirmations)
        assert len(record.confirmations) < NUM_CONFIRMATIONS
    code, _, err = run(study_file, tmp_path)
    assert code == 0, err
    assert results_of(tmp_path) == results_of(calm[0])


def test_a_second_driver_is_refused_with_the_name_of_the_first(tmp_path):
    file = tmp_path / "toy.toml"  # it must not end before the second driver looks
    file.write_text(
        tomli_w.dumps({**DOCUMENT, "search": {**DOCUMENT["search"], "trials_per_arm": 500}})
    )
    first = start(file, tmp_path)
    wait_for_trials(tmp_path, 1)
    code, _, err = run(file, tmp_path)
    first.kill()
    first.communicate()
    assert code == 2
    assert f"'toy' is already being run by process {first.pid} on " in err


def test_a_changed_study_file_is_refused_with_the_difference(calm, tmp_path):
    file = tmp_path / "toy.toml"
    changed = {**DOCUMENT, "training": {**DOCUMENT["training"], "epochs": 9}}
    file.write_text(tomli_w.dumps(changed))
    code, _, err = run(file, calm[0])
    assert code == 2
    assert "training.epochs: 12 -> 9" in err


def test_status_shows_each_arms_budget(calm):
    done = subprocess.run(
        [*STUDY, "status", "toy", "--output", str(calm[0]), "--json"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    status = json.loads(done.stdout)
    assert status["finished"] is True
    assert [(arm["arm"], arm["budget in trials"], arm["charged"]) for arm in status["arms"]] == [
        ("sgd", 6, 6),
        ("adam", 6, 6),
    ]


def test_a_continued_study_prints_its_answer_as_json_and_passes_it_on(calm, study_file, tmp_path):
    kept = tmp_path / "message.json"
    done = subprocess.run(
        [
            *STUDY, "run", str(study_file), "--output", str(calm[0]), "--workers", "1",
            "--json", "--notify", f"tee {kept}",
        ],
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    facts = json.loads(done.stdout)
    assert facts["study"] == "toy"
    assert facts["finished"] is True
    assert {arm["arm"] for arm in facts["arms"]} == {"sgd", "adam"}
    assert Path(facts["report"]).is_file()
    assert "nothing to train" in done.stderr
    message = json.loads(kept.read_text())
    assert message["event"] == "finished"
    assert {**message, **facts} == message


def test_a_model_that_cannot_be_built_is_refused_before_anything_is_stored(tmp_path):
    file = tmp_path / "toy.toml"
    file.write_text(tomli_w.dumps({**DOCUMENT, "model": {"model": "no_such_package.models:build"}}))
    output = tmp_path / "results"
    code, _, err = run(file, output)
    assert code == 2
    assert "no module 'no_such_package.models' in " in err.splitlines()[-1]
    assert not output.exists()


def test_a_study_whose_model_is_gone_is_refused_and_loses_no_trial(tmp_path):
    module = tmp_path / "my_models.py"
    module.write_text(
        "import torch, time\n"
        "def build(input_shape, num_outputs):\n"
        "    size = torch.Size(input_shape).numel()\n"
        "    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(size, num_outputs))\n"
    )
    (tmp_path / "toy.toml").write_text(
        tomli_w.dumps({**DOCUMENT, "model": {"model": "my_models:build"}})
    )
    command = [*STUDY, "run", "toy.toml", "--workers", "1"]
    first = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_for_trials(tmp_path / "results", 3)
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=60)
    module.rename(tmp_path / "moved.py")
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert again.returncode == 2
    assert "no module 'my_models' in " in again.stderr
    outcomes = {trial.outcome for trial in load(tmp_path / "results").trials}
    assert outcomes <= {"complete", "pruned", "running"}


def test_a_stop_is_obeyed_while_the_model_is_first_tried(tmp_path):
    (tmp_path / "my_models.py").write_text(
        "import time\ndef build(input_shape, num_outputs):\n    time.sleep(120)\n"
    )
    (tmp_path / "toy.toml").write_text(
        tomli_w.dumps({**DOCUMENT, "model": {"model": "my_models:build"}})
    )
    process = subprocess.Popen(
        [*STUDY, "run", "toy.toml"], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not children_of(process.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=100)
    assert process.returncode == 143, err
    assert not (tmp_path / "results").exists()


def test_the_installed_command_finds_modules_of_the_current_folder(tmp_path):
    (tmp_path / "my_data.py").write_text("def build():\n    raise RuntimeError('no data today')\n")
    (tmp_path / "toy.toml").write_text(
        tomli_w.dumps({**DOCUMENT, "data": {"dataset": "my_data:build"}})
    )
    done = subprocess.run(
        [Path(sys.executable).with_name("study"), "run", "toy.toml"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 4
    assert done.stderr == "study: my_data:build: RuntimeError: no data today (my_data.py:2)\n"


def test_a_study_in_which_every_trial_fails_is_exit_3_with_a_report(tmp_path):
    (tmp_path / "my_models.py").write_text(
        "import torch\n"
        "def build(input_shape, num_outputs):\n"
        "    class Model(torch.nn.Linear):\n"
        "        def forward(self, inputs):\n"
        "            if len(inputs) > 100: raise EOFError('no evaluation today')\n"
        "            return super().forward(inputs.flatten(1))\n"
        "    size = torch.Size(input_shape).numel()\n"
        "    return Model(size, num_outputs)\n"
    )
    document = {**DOCUMENT, "model": {"model": "my_models:build"}}
    document["search"] = {**DOCUMENT["search"], "trials_per_arm": 2}
    (tmp_path / "toy.toml").write_text(tomli_w.dumps(document))
    process = subprocess.run(
        [*STUDY, "run", "toy.toml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert process.returncode == 3, process.stderr
    assert "no trial completed" in process.stderr.splitlines()[-1]
    assert (tmp_path / "results" / "toy" / "index.html").exists()
    reasons = {trial.stop_reason for trial in load(tmp_path / "results").trials}
    assert reasons == {"EOFError: no evaluation today (my_models.py:5)"}
