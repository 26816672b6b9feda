"""Logs to MLflow: one run per training run, in an experiment that the study file names."""

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from time import time

from mlflow.entities import Metric, Param, RunTag
from mlflow.tracking import MlflowClient

from bakeoff.records import EpochResult, Outcome
from bakeoff.tracking.tracker import Values, run_identity, scalars_of

IDENTITY_TAG = "bakeoff.run"
"""The tag by which a run is found again; it differs between studies of one name."""
GROUP_TAG = "bakeoff.study"
MAX_TEXT = 6000
"""Characters that MLflow takes for the value of a parameter."""
LAST_STEP = "train/loss"
"""The metric that every epoch has, whose last step is the last epoch that was logged."""


class MlflowTracker:
    """Logs the runs of one study to one experiment.

    Args:
        directory: Folder of the study's results. Without MLFLOW_TRACKING_URI, runs go to the SQLite
            file `mlflow.db` in it.
        experiment: Name of the experiment, which is created if it is missing.
        group: Name of the study.
    """

    name = "MLflow"

    def __init__(self, directory: Path, experiment: str, group: str) -> None:
        self._directory = directory
        self._experiment = experiment
        self._group = group
        given = os.environ.get("MLFLOW_TRACKING_URI")
        self._uri = given or f"sqlite:///{directory / 'mlflow.db'}"
        self._connected: MlflowClient | None = None
        self._experiment_id = ""
        self._runs: dict[str, str] = {}
        self._last_epochs: dict[str, int] = {}
        self.place = (
            f"mlflow ui --backend-store-uri {self._uri}"
            if given is None
            else f"experiment {experiment} at MLFLOW_TRACKING_URI"
        )
        logging.getLogger("mlflow").setLevel(logging.WARNING)

    def has(self, run: str) -> bool:
        """See `Tracker`."""
        return self._find(run) is not None

    def begin(self, run: str, values: Values) -> None:
        """See `Tracker`. A run that an earlier session logged is continued."""
        client, found, last_epoch = self._client(), self._find(run), 0
        if found is None:
            identity = run_identity(self._directory, run)
            tags = {IDENTITY_TAG: identity, GROUP_TAG: self._group}
            made = client.create_run(self._experiment_id, tags=tags, run_name=run)
            found = made.info.run_id
            params = [Param(name, str(value)[:MAX_TEXT]) for name, value in values.items()]
            client.log_batch(found, params=params)
        else:
            client.update_run(found, status="RUNNING")
            history = client.get_metric_history(found, LAST_STEP)
            last_epoch = max((one.step for one in history), default=0)
        self._runs[run], self._last_epochs[run] = found, last_epoch

    def epoch(self, run: str, result: EpochResult) -> None:
        """See `Tracker`. Epochs that an earlier session logged are not logged again."""
        if result.epoch > self._last_epochs[run]:
            self._log(self._runs[run], scalars_of(result), result.epoch)
            self._last_epochs[run] = result.epoch

    def pause(self, run: str) -> None:
        """See `Tracker`."""
        found = self._runs.pop(run, None)
        if found is not None:
            self._client().update_run(found, status="SCHEDULED")

    def end(self, run: str, outcome: Outcome, scores: Mapping[str, float]) -> None:
        """See `Tracker`. The run may be paused."""
        found, client = self._runs.pop(run, None) or self._find(run), self._client()
        if found is None:
            return
        self._log(found, scores, self._last_epochs.get(run, 0))
        client.log_batch(found, tags=[RunTag("bakeoff.outcome", outcome)])
        is_failure = outcome in ("failed", "infeasible", "diverged")
        client.set_terminated(found, "FAILED" if is_failure else "FINISHED")

    def close(self) -> None:
        """See `Tracker`."""
        for run in list(self._runs):
            self.pause(run)

    def _log(self, found: str, scalars: Mapping[str, float], step: int) -> None:
        now = int(1000 * time())
        metrics = [Metric(name, float(value), now, step) for name, value in scalars.items()]
        self._client().log_batch(found, metrics=metrics)

    def _find(self, run: str) -> str | None:
        """MLflow's id of a run that was logged."""
        identity = run_identity(self._directory, run)
        query = f"tags.`{IDENTITY_TAG}` = '{identity}'"
        client = self._client()
        found = client.search_runs([self._experiment_id], query, max_results=1)
        return str(found[0].info.run_id) if found else None

    def _client(self) -> MlflowClient:
        """The client, with the experiment's id; both are made when something is logged first."""
        if self._connected is None:
            self._directory.mkdir(parents=True, exist_ok=True)
            client = MlflowClient(tracking_uri=self._uri)
            experiment = client.get_experiment_by_name(self._experiment)
            self._experiment_id = str(
                experiment.experiment_id
                if experiment
                else client.create_experiment(self._experiment)
            )
            self._connected = client
        return self._connected
