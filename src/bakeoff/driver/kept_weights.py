"""Keeps the weights of the best confirmation run of each choice, so that they can be exported."""

from collections.abc import Iterable
from pathlib import Path

from bakeoff.records import MetricInfo, Purpose, TrialRecord


class KeptWeights:
    """A folder with one weights file per confirmed configuration, of its run with the best score.

    An arm has one such configuration in each repeat, and a new one where an extension chose again.

    Args:
        directory: Created by the first run that writes its weights.
        metric: Metric by which runs are compared, on the validation set.
    """

    def __init__(self, directory: Path, metric: MetricInfo) -> None:
        self._directory = directory
        self._metric = metric
        self._best: dict[tuple[str, int | None], TrialRecord] = {}
        """The best run of each arm and configuration."""

    def path_of(self, run: str, purpose: Purpose) -> str:
        """Where the run writes its weights; empty unless it is a confirmation run."""
        return str(self._directory / f"{run}.safetensors") if purpose == "confirm" else ""

    def ended(self, record: TrialRecord) -> None:
        """Keep the weights of this run if it is its configuration's best so far, or remove them."""
        if record.purpose != "confirm":
            return
        key = record.arm, record.configuration
        before = self._best.get(key)
        runs = [record] if before is None else [before, record]
        best = best_run(runs, self._metric)
        for run in runs:
            if run is not best:
                weights_path(self._directory, run).unlink(missing_ok=True)
        if best is not None:
            self._best[key] = best


def best_run(runs: Iterable[TrialRecord], metric: MetricInfo) -> TrialRecord | None:
    """The complete run with the best validation score, the earlier one on ties.

    None if no run is complete.
    """
    complete = [run for run in runs if run.outcome == "complete" and run.score is not None]
    return min(
        complete, key=lambda run: (-metric.sign * (run.score or 0.0), run.number), default=None
    )


def weights_path(directory: Path, run: TrialRecord) -> Path:
    """Where the weights of a confirmation run are stored, if they are kept."""
    return directory / f"confirm-{run.number}.safetensors"
