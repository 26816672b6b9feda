"""The page and the study files of `tests/benchmarks/study.py`."""

import shutil
import sys
from pathlib import Path

import pytest

from bakeoff.ranges import FloatRange
from bakeoff.studyfile import load_study_file

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(name="benchmark", scope="module")
def _benchmark():
    sys.path.insert(0, str(BENCHMARKS))
    import study_table
    import study_workloads

    yield study_table, study_workloads
    sys.path.remove(str(BENCHMARKS))


def row(contender, seed, seconds, trace, test_scores, cores_elsewhere=0.0):
    return {
        "workload": "digits", "contender": contender, "seed": seed, "commit": "abc",
        "versions": "torch 2", "cores_elsewhere": cores_elsewhere, "seconds": seconds,
        "epochs": 40, "score": trace[-1][1], "trace": trace, "test_scores": test_scores,
        "precision": "fp32",
    }  # fmt: skip


def test_the_page_says_where_we_win_and_where_we_lose(benchmark, tmp_path):
    table, _ = benchmark
    rows = [
        row("bakeoff", 0, 10.0, [[2.0, 0.8], [6.0, 0.9]], [0.90, 0.92]),
        row("optuna", 0, 25.0, [[20.0, 0.9]], [0.91, 0.93]),
        row("ray tune, asha", 0, 40.0, [[10.0, 0.95]], [0.80, 0.80]),
    ]
    table.write_rows(tmp_path / "peers.json", rows)
    assert table.read_rows(tmp_path / "peers.json") == rows
    text = (tmp_path / "peers.md").read_text()
    assert "| optuna | 1 | 25.0 | 40 | 0.9000 | 0.9200 | 0.30 |" in text  # 6 of 20 seconds
    assert "| ray tune, asha | 1 | 40.0 | 40 | 0.9500 | 0.8000 | never |" in text
    assert (
        "Wall time: 0.40 of the quicker peer's (optuna): we are quicker; the goal of 0.6 is met"
        in text
    )
    assert "Quality: 0.0100 worse than the best peer's choice (optuna)" in text
    assert "no worse by 0.005, is **not met**" in text
    assert "not quiet" not in text
    assert "measure before a study: fp32 in 1 study. The peers train in fp32." in text

    slower = [row("bakeoff", 0, 30.0, [[6.0, 0.9]], [0.92], cores_elsewhere=1.5), *rows[1:]]
    text = table.page(slower)
    assert "Wall time: 1.20 of the quicker peer's (optuna): **we lose**" in text
    assert "at most 1.5; the machine was not quiet" in text


@pytest.mark.parametrize("name", ["cnn", "digits", "tabular"])
def test_every_contender_searches_the_same(benchmark, name, tmp_path):
    _, workloads = benchmark
    workload = workloads.WORKLOADS[name]
    shutil.copy(BENCHMARKS / "peers" / "networks.py", tmp_path)
    file = tmp_path / "study.toml"
    file.write_text(workload.study_file(tmp_path / "data.npz", 3))
    config, task = load_study_file(file), workload.task(tmp_path / "data.npz")
    assert config.seed == 3
    assert (config.confirm.seeds, config.search.defaults) == (0, False)
    assert (config.training.epochs, config.training.batch_size) == (
        task["epochs"],
        task["batch_size"],
    )
    assert config.search.trials_per_arm * len(config.search.optimizers) == task["trials"]
    for optimizer, ranges in task["ranges"].items():
        for key, (low, high) in ranges.items():
            found = config.space[f"{optimizer}.{key}"]
            assert isinstance(found, FloatRange)
            assert (found.low, found.high, found.log) == (low, high, True)


def test_a_peer_with_fewer_study_seeds_is_compared_on_these(benchmark):
    table, _ = benchmark
    ours = [
        row("bakeoff", seed, 10.0, [[2.0, 0.9]], [score]) for seed, score in enumerate((0.8, 0.9))
    ]
    theirs = [row("ray tune, asha", 1, 40.0, [[10.0, 0.95]], [0.91])]
    assert table.loss_against(theirs, ours) == pytest.approx(0.01)
