"""`repeatable = true` in real processes: one, two and four workers, killed drivers and workers."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest
import tomli_w

from bakeoff.storage import Storage
from study_examples import study_document

DOCUMENT = study_document(
    training={"epochs": 9, "batch_size": 64},
    model={"width": 32, "dropout": {"low": 0.0, "high": 0.5}},
    search={"pruner": "cautious", "trials_per_arm": 6, "repeatable": True, "lag": 4},
    confirm={"seeds": 2, "shortlist": 2, "shortlist_seeds": 1},
)
STACKED = {
    **DOCUMENT,
    "search": {**DOCUMENT["search"], "arithmetic": "stacked"},
    "confirm": {**DOCUMENT["confirm"], "arithmetic": "stacked"},
}
"""The same study, whose search pauses, promotes and prunes runs within stacks."""
PATIENCE_SECONDS = 150


def start(folder: Path, workers: int, document=DOCUMENT) -> subprocess.Popen[str]:
    folder.mkdir(exist_ok=True)
    (folder / "toy.toml").write_text(tomli_w.dumps(document))
    command = [sys.executable, "-m", "bakeoff", "run", str(folder / "toy.toml")]
    return subprocess.Popen(
        [*command, "--output", str(folder), "--workers", str(workers)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def load(folder: Path):
    return Storage(f"sqlite:///{folder / 'studies.db'}").load_record("toy")


def bits_of(folder: Path):
    """All that was measured, in full precision; only times may differ."""
    record = load(folder)
    return [
        (run.purpose, run.number, run.arm, dict(run.params), run.outcome, run.score, run.seed,
         dict(run.test_metrics),
         [(one.metrics, one.train_loss, one.grad_norm) for one in run.history])
        for run in (*record.trials, *record.confirmations)
    ]  # fmt: skip


def workers_of(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    named = {int(one): Path(f"/proc/{one}/cmdline").read_text() for one in children}
    return [child for child, name in named.items() if "spawn_main" in name]


def run_with_kills(folder: Path, workers: int, seed: int, *, num_kills: int, document=DOCUMENT):
    """To the end, its driver or all its workers killed at random moments."""
    rng = random.Random(seed)
    for _ in range(num_kills):
        process = start(folder, workers, document)
        time.sleep(1.5 + 2.5 * rng.random())
        if process.poll() is None and rng.random() < 0.4:
            with suppress(FileNotFoundError, ProcessLookupError):  # it may end at this moment
                for worker in workers_of(process.pid):
                    os.kill(worker, signal.SIGKILL)
            time.sleep(rng.random())
        process.kill()
        process.communicate()
    process = start(folder, workers, document)
    _, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, err
    return bits_of(folder)


def test_one_and_two_workers_with_kills_measure_the_same_bits(tmp_path):
    alone = run_with_kills(tmp_path / "one", 1, seed=0, num_kills=0)
    assert {row[4] for row in alone} == {"complete", "pruned"}
    assert run_with_kills(tmp_path / "two", 2, seed=1, num_kills=2) == alone


def test_stacks_measure_the_same_bits_with_one_and_two_workers_and_kills(tmp_path):
    alone = run_with_kills(tmp_path / "one", 1, seed=0, num_kills=0, document=STACKED)
    assert {row[4] for row in alone} == {"complete", "pruned"}
    record = load(tmp_path / "one")
    assert (record.search_arithmetic, record.arithmetic) == ("stacked", "stacked")
    killed = run_with_kills(tmp_path / "two", 2, seed=1, num_kills=2, document=STACKED)
    assert killed[: len(record.trials)] == alone[: len(record.trials)]
    measured = [row[:1] + row[2:] for row in killed]  # a kill changes the order of confirmations
    assert all(row[:1] + row[2:] in measured for row in alone)
    assert len(killed) == len(alone)


@pytest.mark.slow
def test_ledgers_are_equal_and_exact_with_1_2_and_4_workers_and_random_kills(tmp_path):
    """Not repeatable: the trials differ, the budget does not."""
    search = {**DOCUMENT["search"], "repeatable": False, "trials_per_arm": 6}
    del search["lag"]
    document = {**DOCUMENT, "search": search}
    for workers in (1, 2, 4):
        folder = tmp_path / str(workers)
        run_with_kills(folder, workers, seed=workers, num_kills=2, document=document)
        trials = [one for one in load(folder).trials if one.phase != "default"]
        charged = Counter(one.arm for one in trials)
        attempts = sum(one.attempts - 1 for one in trials)
        print(f"{workers} workers: {dict(charged)}, {attempts} workers lost")
        assert charged == {"sgd": 6, "adam": 6}
        assert {one.outcome for one in trials} <= {"complete", "pruned", "diverged"}


@pytest.mark.slow
def test_four_workers_measure_the_same_bits_as_one(tmp_path):
    alone = run_with_kills(tmp_path / "one", 1, seed=0, num_kills=0)
    assert run_with_kills(tmp_path / "four", 4, seed=4, num_kills=3) == alone
