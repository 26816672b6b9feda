"""Keeps the weights of the best confirmation run of each choice, so that they can be exported."""

from collections.abc import Callable, Iterable
from pathlib import Path

from bakeoff.errors import StorageError
from bakeoff.records import MetricInfo, Purpose, TrialPlan, TrialRecord

TakeWeights = Callable[[Path], bool]
"""Moves the weights of a run to a path; returns whether there are any. See `RunStores`."""


class KeptWeights:
    """A folder with one weights file per confirmed configuration, of its run with the best score.

    An arm has one such configuration in each repeat, and a new one where an extension chose again.

    Args:
        directory: Created when the first weights are taken; None keeps none.
        metric: Metric by which runs are compared, on the validation set.
    """

    def __init__(self, directory: Path | None, metric: MetricInfo) -> None:
        self._directory = directory
        self._metric = metric
        self._best: dict[tuple[str, int | None], TrialRecord] = {}
        """The best run of each arm and configuration."""

    def keeps(self, purpose: Purpose) -> bool:
        """Whether runs of this purpose store their weights."""
        return self._directory is not None and purpose == "confirm"

    def best_score(self, plan: TrialPlan) -> float | None:
        """The best score so far of a run of the same configuration; None before the first."""
        best = self._best.get((plan.arm, plan.configuration))
        return None if best is None else best.score

    def ended(self, record: TrialRecord, take: TakeWeights) -> str:
        """Take the weights of this run if it is its configuration's best so far.

        Those of the best one before are removed then. Return why its weights are lost, or an empty
        text.

        Raises:
            StorageError: The store or the folder does not answer; the same command tries again.
        """
        if self._directory is None or not self.keeps(record.purpose):
            return ""
        key = record.arm, record.configuration
        before = self._best.get(key)
        runs = [record] if before is None else [before, record]
        best = best_run(runs, self._metric)
        lost = _take(weights_path(self._directory, record), take) if best is record else ""
        for run in runs:
            if run is not best:
                weights_path(self._directory, run).unlink(missing_ok=True)
        if best is not None:
            self._best[key] = best
        return lost


def _take(path: Path, take: TakeWeights) -> str:
    """Take weights that are not there yet; return why they are lost, or an empty text."""
    try:
        if not path.exists():
            take(path)
    except ValueError as error:
        return f"the weights of {path.stem} are damaged and not kept ({error})"
    except OSError as error:
        reason = error.strerror or str(error)
        raise StorageError(
            f"{path}: the weights cannot be taken over ({reason}); the same command tries again"
        ) from error
    return ""


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
