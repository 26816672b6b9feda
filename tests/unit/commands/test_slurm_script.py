"""Tests the batch script for SLURM by running it with a driver and a scheduler that take notes."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tomli_w

from bakeoff.commands.cli import load_verb
from bakeoff.commands.slurm_script import (
    SlurmJob,
    build_script,
    limit_seconds,
    parse_directives,
)
from bakeoff.errors import UsageError
from study_examples import study_document

ODD = """a b'c"d$e`f&g;h"""
DRIVER = """
import json, os, signal, sys, time
folder = os.environ["NOTES"]

def note(name, value):
    with open(f"{folder}/{name}.part", "w") as file:
        json.dump(value, file)
    os.rename(f"{folder}/{name}.part", f"{folder}/{name}")

def stopped(signum, _):
    note("signal", signum)
    sys.exit(int(os.environ["CODE"]))

for one in (signal.SIGINT, signal.SIGTERM):
    signal.signal(one, stopped)
note("started", {"arguments": sys.argv[1:], "folder": os.getcwd(),
     "workers": os.environ.get("BAKEOFF_WORKERS")})
if os.environ["WAITS"] == "yes":
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and not os.path.exists(f"{folder}/end"):
        time.sleep(0.01)
sys.exit(int(os.environ["CODE"]))
"""


class Batch:
    """A script as SLURM would run it."""

    def __init__(self, root: Path, *, code: int, waits: bool, command: list[str]) -> None:
        self.notes, self.folder = root / "notes", root / ODD
        programs = root / "programs"
        for one in (self.notes, self.folder, programs):
            one.mkdir()
        (root / "driver.py").write_text(DRIVER)
        python = root / f"python {ODD}"
        python.write_text(
            f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -S {root}/driver.py "$@"\n'
        )
        (programs / "scontrol").write_text(
            f'#!/bin/sh\necho "$@" >> {self.notes}/scontrol\nexit 1\n'
        )
        for one in (python, programs / "scontrol"):
            one.chmod(0o755)
        text = build_script("toy", command, SlurmJob(), folder=self.folder, python=str(python))
        (root / "toy.sbatch").write_text(text)
        self.process = subprocess.Popen(
            ["bash", root / "toy.sbatch"],
            env={
                "PATH": f"{programs}:{os.environ['PATH']}", "NOTES": str(self.notes),
                "CODE": str(code), "WAITS": "yes" if waits else "no", "SLURM_JOB_ID": "17",
                "SLURM_CPUS_ON_NODE": "6",
            },
        )  # fmt: skip

    def noted(self, name: str) -> object:
        """What was noted, as soon as it is."""
        file, deadline = self.notes / name, time.monotonic() + 30
        while not file.exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return json.loads(file.read_text())

    @property
    def requeued(self) -> str:
        file = self.notes / "scontrol"
        return file.read_text() if file.exists() else ""


@pytest.fixture
def run(tmp_path):
    """Starts a script; it is ended with the test."""
    started = []

    def start(*, code: int = 0, waits: bool = False, command=("study.toml",)) -> Batch:
        started.append(Batch(tmp_path, code=code, waits=waits, command=list(command)))
        return started[-1]

    yield start
    for one in started:
        (one.notes / "end").touch()
        one.process.wait(30)


def test_the_driver_gets_its_arguments_as_they_were_given(run):
    command = [f"{ODD}/study.toml", "--notify", "sh -c 'cat > \"x y\"'", "--set", "a.b=[1, 2]"]
    batch = run(command=command)
    started = batch.noted("started")
    assert started["arguments"] == ["-m", "bakeoff", "run", *command]
    assert started["folder"] == str(batch.folder)
    assert started["workers"] == "6"


@pytest.mark.parametrize("code", [0, 3])
def test_the_job_ends_with_the_drivers_exit_code(run, code):
    batch = run(code=code)
    assert batch.process.wait(30) == code
    assert batch.requeued == ""


@pytest.mark.parametrize(
    ("code", "requeued"), [(130, "requeue 17\n"), (143, "requeue 17\n"), (0, ""), (1, "")]
)
def test_before_the_time_limit_the_study_pauses_and_the_job_returns_to_the_queue(
    run, code, requeued
):
    batch = run(code=code, waits=True)
    batch.noted("started")
    batch.process.send_signal(signal.SIGUSR1)
    assert batch.process.wait(30) == code
    assert batch.noted("signal") == signal.SIGINT
    assert batch.requeued == requeued


def test_a_cancelled_job_waits_for_its_driver_and_does_not_return_to_the_queue(run):
    batch = run(code=143, waits=True)
    batch.noted("started")
    batch.process.send_signal(signal.SIGTERM)
    time.sleep(0.2)
    assert batch.process.poll() is None
    assert not (batch.notes / "signal").exists()  # SLURM signals the driver itself
    (batch.notes / "end").touch()
    assert batch.process.wait(30) == 143
    assert batch.requeued == ""


def is_bash(text: str) -> bool:
    return subprocess.run(["bash", "-n"], input=text, text=True, check=False).returncode == 0


def built(job: SlurmJob, *command: str) -> str:
    return build_script("toy", command, job, folder=Path(f"/{ODD}"), python=f"/{ODD}/python")


def test_several_nodes_run_ray_with_a_token_of_their_own():
    text = built(SlurmJob(nodes=3, gpus_per_node=4), "study.toml")
    assert is_bash(text)
    assert "#SBATCH --nodes=3\n" in text
    assert "#SBATCH --gpus-per-node=4\n" in text
    assert "export RAY_AUTH_MODE=token" in text
    assert "--num-gpus=4 --block" in text
    assert 'run study.toml --engine "ray:$address:$port")' in text
    assert "BAKEOFF_WORKERS" not in text


def test_the_directives_come_first_and_those_of_the_user_replace_the_defaults():
    directives = parse_directives(["--partition=gpu", "output=a b/%j.log", "exclusive"])
    job = SlurmJob(
        time_limit="1-12:00:00", cpus_per_node=8, pause_seconds=120, directives=directives
    )
    text = built(job, "study.toml")
    assert is_bash(text)
    head = text.split("\n\n")[0].splitlines()
    assert head[0] == "#!/bin/bash"
    assert head[2:] == [
        "#SBATCH --job-name=study-toy",
        '#SBATCH --output="a b/%j.log"',
        "#SBATCH --open-mode=append",
        "#SBATCH --nodes=1",
        "#SBATCH --ntasks-per-node=1",
        "#SBATCH --cpus-per-task=8",
        "#SBATCH --time=1-12:00:00",
        "#SBATCH --requeue",
        "#SBATCH --signal=B:USR1@120",
        "#SBATCH --partition=gpu",
        "#SBATCH --exclusive",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nodes=3", "use --nodes"),
        ("time=5", "use --time-limit"),
        ("x=a\n#SBATCH --y", "write OPTION=VALUE"),
        ('x="', "write OPTION=VALUE"),
        ("-p gpu", "write OPTION=VALUE"),
    ],
)
def test_a_directive_that_cannot_be_written_is_refused(text, message):
    with pytest.raises(UsageError, match=message):
        parse_directives([text])


@pytest.mark.parametrize("limit", ["2h", "12:00:00:00", "", "1-"])
def test_a_time_limit_that_slurm_would_refuse_is_refused(limit):
    with pytest.raises(UsageError, match="SLURM takes minutes"):
        SlurmJob(time_limit=limit)


def test_a_pause_that_is_too_short_to_return_to_the_queue_is_refused():
    with pytest.raises(UsageError, match="at least 90 s"):
        SlurmJob(pause_seconds=89)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 5400),
        ("2:30", 150),
        ("1:02:03", 3723),
        ("2-3", 183_600),
        ("2-3:04", 183_840),
        ("2-3:04:05", 183_845),
        ("0", 0),
    ],
)
def test_a_time_limit_is_read_as_slurm_reads_it(text, seconds):
    assert limit_seconds(text) == seconds


@pytest.mark.parametrize("limit", ["5", "6", "6:00", "0:00:30"])
def test_a_time_limit_that_ends_before_the_pause_is_refused_with_both_names(limit):
    with pytest.raises(UsageError, match=rf"^--time-limit {limit}: .*--pause-before 300s"):
        SlurmJob(time_limit=limit)


@pytest.mark.parametrize("limit", ["0", "6:01", "0-1", None])
def test_a_time_limit_that_leaves_time_to_train_or_is_none_is_taken(limit):
    assert SlurmJob(time_limit=limit).time_limit == limit


def call(*words: str) -> None:
    load_verb("cluster").main(list(words), standalone_mode=False)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with a study file."""
    (tmp_path / "a study.toml").write_text(tomli_w.dumps(study_document()))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_verb_writes_the_options_of_study_run_in_their_order(folder, capsys):
    call(
        "slurm", "--nodes", "2", "--timeout", "2h", "a study.toml", "-o", "out put", "--as", "Anna"
    )
    assert "`sbatch toy.sbatch` submits it" in capsys.readouterr().out
    text = (folder / "toy.sbatch").read_text()
    assert is_bash(text)
    assert "run --timeout 2h 'a study.toml' -o 'out put' --as Anna --engine " in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a study.toml", "--tiemout", "2h"], "No such option"),
        (["a study.toml", "--workers", "many"], "valid integer"),
        (["a study.toml", "--storage", "postgresql://me:canary@host/db"], "in `ps`"),
        (["none.toml"], "none.toml"),
        (["a study.toml", "--workers-per-device", "0"], "--workers-per-device = 0: allowed are"),
        (["a study.toml", "--workers", "2", "--workers-per-device", "2"], "name only one of them"),
        (["a study.toml", "--threads", "0"], "--threads = 0: allowed are 1"),
        (["a study.toml", "--checkpoints", "s3://"], "names no bucket or folder"),
        (["a study.toml", "--checkpoints", "s4://bucket"], "--checkpoints: unknown protocol 's4'"),
        (["a study.toml", "--as", " "], "--as ' ': a name has"),
        (["a study.toml", "--device", "gpu"], "--device 'gpu': allowed are"),
        (["a study.toml", "--timeout", "soon"], "--timeout 'soon' is not a duration"),
        (["a study.toml", "--hang-timeout", "soon"], "--hang-timeout 'soon' is not a duration"),
        (["a study.toml", "--notify", "no-such-command"], "--notify 'no-such-command'"),
        (["a study.toml", "--gpus-per-trial", "0.5"], "--gpus-per-trial: only a cluster has it"),
        (["a study.toml", "--engine", "dask"], "--engine dask: allowed are"),
        (["a study.toml", "--set", "search.trials=5"], "search.trials"),
    ],
)
def test_what_study_run_would_refuse_is_refused_before_it_waits_in_a_queue(folder, words, message):
    with pytest.raises(Exception, match=message) as caught:
        call("slurm", *words)
    assert "canary" not in str(caught.value)
    assert not list(folder.glob("*.sbatch"))


def test_a_sqlite_file_on_a_file_system_of_several_machines_is_refused(folder, monkeypatch):
    monkeypatch.setattr("bakeoff.storage.database.filesystem_type", lambda _: "nfs4")
    with pytest.raises(UsageError, match="is on nfs4, where SQLite loses data"):
        call("slurm", "a study.toml")


def test_on_gpus_of_several_nodes_the_script_names_the_device_that_a_driver_cannot_find(folder):
    call("slurm", "--nodes", "2", "--gpus-per-node", "4", "a study.toml")
    assert "run 'a study.toml' --device cuda --engine " in (folder / "toy.sbatch").read_text()


def test_a_number_of_workers_per_device_replaces_that_of_workers_in_the_script(folder):
    call("slurm", "a study.toml", "--workers-per-device", "2")
    assert "BAKEOFF_WORKERS" not in (folder / "toy.sbatch").read_text()


def test_runs_on_several_devices_take_as_many_gpus_of_their_nodes(folder):
    several = ["a study.toml", "--set", "training.devices_per_trial=2"]
    call("slurm", "--nodes", "2", "--gpus-per-node", "4", *several)
    assert "devices_per_trial=2 --device cuda" in (folder / "toy.sbatch").read_text()
    with pytest.raises(UsageError, match=r"training\.devices_per_trial = 2 takes as many GPUs"):
        call("slurm", "--nodes", "2", *several, "--device", "cuda", "--gpus-per-trial", "1")
