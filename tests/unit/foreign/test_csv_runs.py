"""Runs of a CSV file, as Weights & Biases, MLflow and people write them."""

from pathlib import Path

import pytest

from bakeoff.analysis.comparison import compare
from bakeoff.errors import StorageError, UsageError
from bakeoff.foreign import ForeignStudy, load_foreign_study
from bakeoff.records import StudyRecord

WANDB = """Name,State,Created,Runtime,optimizer,lr,seed,val/accuracy,val/loss
a,finished,2025-03-01T10:00:00.000Z,120,adam,0.001,1,0.91,0.4
b,finished,2025-03-01T11:00:00.000Z,60,sgd,0.1,1,0.87,0.5
c,crashed,2025-03-01T12:00:00.000Z,5,sgd,1,2,,
d,finished,2025-03-02T10:00:00.000Z,60,adam,0.01,2,NaN,NaN
e,running,2025-03-03T10:00:00.000Z,10,adam,0.01,3,0.5,0.9
f,preempted,2025-03-03T11:00:00.000Z,10,sgd,0.01,3,0.6,0.8
"""
MLFLOW = """Start Time,Duration,Run ID,Name,Status,metrics.score,metrics.loss,params.opt,params.lr
2025-03-01 10:00:00,1.5min,x1,n,FINISHED,3.5,1,lion,1e-4
2025-03-01 10:05:00,1.5min,x2,n,FINISHED,2.5,2,lamb,1e-3
"""


def read(tmp_path: Path, text: str, arm: str, **known: object) -> StudyRecord:
    path = tmp_path / "runs.csv"
    path.write_text(text)
    return load_foreign_study(ForeignStudy(location=f"csv:{path}", arms=(arm,), **known))  # type: ignore[arg-type]


def test_an_export_of_wandb_has_its_runs_by_arm(tmp_path: Path) -> None:
    record = read(tmp_path, WANDB, "optimizer", metric_name="val/accuracy")

    assert [arm.name for arm in record.arms] == ["adam", "sgd"]
    outcomes = [trial.outcome for trial in record.trials]
    assert outcomes == ["complete", "complete", "failed", "diverged", "running", "failed"]
    assert [trial.score for trial in record.trials] == [0.91, 0.87, None, None, None, None]
    assert record.trials[0].other_seconds == 120
    assert record.trials[0].params == {"optimizer": "adam", "lr": 0.001, "seed": 1}
    assert record.objective.direction == "maximize"
    assert not record.finished


@pytest.mark.parametrize("seconds", ["nan", "inf", "1e300"])
def test_a_duration_that_no_run_has_is_left_out(tmp_path: Path, seconds: str) -> None:
    rows = [f"2025-03-01,{seconds},{name},0.5" for name in "ab"]
    text = "\r".join(["created,runtime,opt,accuracy", *rows])  # the end of line of old spreadsheets

    assert [trial.other_seconds for trial in read(tmp_path, text, "opt").trials] == [0.0, 0.0]


def test_an_export_of_mlflow_is_read_without_its_prefixes(tmp_path: Path) -> None:
    record = read(tmp_path, MLFLOW, "opt", metric_name="score", direction="minimize")

    assert [trial.params for trial in record.trials] == [
        {"opt": "lion", "lr": 0.0001},
        {"opt": "lamb", "lr": 0.001},
    ]
    assert [trial.score for trial in record.trials] == [3.5, 2.5]
    assert record.objective.direction == "minimize"


def test_a_table_of_runs_never_gives_a_verdict(tmp_path: Path) -> None:
    rows = [f"{arm},{0.9 if arm == 'adam' else 0.1}" for arm in ("adam", "sgd") * 30]
    record = read(tmp_path, "\n".join(["optimizer,accuracy", *rows]), "optimizer")

    comparison = compare(record)

    assert comparison.level == "L0"
    assert comparison.verdict.headline.startswith("No verdict")
    assert any("CSV file does not say" in one for one in record.caveats)


def test_the_only_column_named_like_a_metric_is_taken(tmp_path: Path) -> None:
    record = read(tmp_path, "opt,test_loss\na,1\nb,2\n", "opt")

    assert record.objective.name == "test_loss"
    assert record.objective.direction == "minimize"


@pytest.mark.parametrize(
    ("text", "known", "words"),
    [
        (MLFLOW, {"metric_name": "score"}, "--direction: say whether score is better"),
        (MLFLOW, {"metric_name": "scores"}, "unknown column 'scores'; did you mean 'score'"),
        (WANDB, {}, "--metric: name the column"),
        ("opt,score\na,1\n", {"metric_name": "opt2"}, "--metric"),
        ("opt,accuracy\na,1\nb,\nc,high\n", {}, "accuracy is 'high' in row 4"),
    ],
)
def test_a_column_that_is_not_clear_is_asked_for(
    tmp_path: Path, text: str, known: dict[str, str], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        read(tmp_path, text, "opt", **known)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("opt,accuracy\n", "has no runs"),
        ("opt,opt,accuracy\na,b,1\n", "column 'opt' twice"),
        ("opt,accuracy\na,1\nb\n", "row 3 has 1 cells and the header 2"),
        ('opt,accuracy\n"a,1\n', "not a CSV file"),
    ],
)
def test_a_damaged_file_is_refused_in_one_line(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(StorageError, match=words) as raised:
        read(tmp_path, text, "opt", metric_name="accuracy")

    assert "\n" not in str(raised.value)


def test_a_file_that_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "runs.csv").write_bytes(b"opt,accuracy\n\xff\xfe,1\n")
    for name, words in (("runs.csv", "UTF-8"), ("absent.csv", "No such file")):
        with pytest.raises(StorageError, match=words):
            load_foreign_study(ForeignStudy(location=f"csv:{tmp_path / name}", arms=("opt",)))
