"""MLflow: runs in a SQLite file, as its own client reads them back."""

from pathlib import Path
from typing import Any

import pytest
from mlflow.tracking import MlflowClient

from bakeoff.records import EpochResult
from bakeoff.tracking.mlflow_client import MlflowTracker
from tracked_runs import RUN, begin_run, end_run, tracked_epoch

pytestmark = pytest.mark.filterwarnings(
    "ignore:The ``noload`` loader strategy:DeprecationWarning"  # MLflow's own tables
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of results whose database is made once."""
    return tmp_path_factory.mktemp("toy")


@pytest.fixture(autouse=True)
def _no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def stored(folder: Path, name: str) -> Any:
    client = MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("mine")
    (found,) = client.search_runs(
        [experiment.experiment_id], f"attributes.run_name = '{name}'", max_results=5
    )
    return found


def history(folder: Path, name: str, metric: str) -> list[tuple[int, float]]:
    client = MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}")
    points = client.get_metric_history(stored(folder, name).info.run_id, metric)
    return [(one.step, one.value) for one in points]


def test_a_continued_run_has_every_epoch_once_with_its_settings(folder: Path) -> None:
    first = MlflowTracker(folder, "mine", group="toy")
    begin_run(first)
    first.close()
    assert stored(folder, RUN).info.status == "SCHEDULED"

    end_run(MlflowTracker(folder, "mine", group="toy"))

    run = stored(folder, RUN)
    assert run.data.params == {"optimizer": "sgd", "sgd.learning_rate": "0.1"}
    assert run.info.status == "FINISHED"
    assert run.data.metrics["score"] == 0.2
    assert run.data.tags["bakeoff.study"] == "toy"
    assert history(folder, RUN, "validation/accuracy") == [(1, 0.1), (2, 0.2)]


def test_a_diverged_run_has_failed_and_keeps_its_outcome(folder: Path) -> None:
    tracker = MlflowTracker(folder, "mine", group="toy")
    tracker.begin("search-1", {})
    tracker.epoch("search-1", EpochResult(epoch=1, metrics={"accuracy": float("nan")}))
    tracker.end("search-1", "diverged", {})

    run = stored(folder, "search-1")
    assert run.info.status == "FAILED"
    assert run.data.tags["bakeoff.outcome"] == "diverged"


def test_a_run_that_is_pruned_while_it_is_paused_has_ended(folder: Path) -> None:
    tracker = MlflowTracker(folder, "mine", group="toy")
    tracker.begin("search-3", {})
    tracker.epoch("search-3", tracked_epoch(2))
    tracker.pause("search-3")
    tracker.end("search-3", "pruned", {"score": 0.2})
    tracker.end("search-4", "pruned", {})  # was never begun

    run = stored(folder, "search-3")
    assert run.info.status == "FINISHED"
    assert run.data.tags["bakeoff.outcome"] == "pruned"
    assert history(folder, "search-3", "score") == [(2, 0.2)]


def test_a_study_that_is_started_again_has_new_runs(folder: Path) -> None:
    MlflowTracker(folder, "mine", group="toy").begin("search-2", {})
    (folder / ".tracking").unlink()

    assert not MlflowTracker(folder, "mine", group="toy").has("search-2")


def test_a_server_is_named_without_its_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://me:s3cret@mlflow.example")

    place = MlflowTracker(tmp_path, "mine", group="toy").place

    assert place == "experiment mine at MLFLOW_TRACKING_URI"
