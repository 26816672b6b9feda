"""Curves and confusion matrix of the chosen trials, as files that the dashboard shows beside them.

They stand in `<output>/<study>/artifacts`, so that they go when the study is deleted.
"""

import csv
import io
import json
import math
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import BinaryIO
from uuid import NAMESPACE_URL, uuid5

from optuna.artifacts.exceptions import ArtifactNotFound
from optuna.storages import BaseStorage

from bakeoff.files import write_atomically
from bakeoff.records import EpochResult, MetricInfo, TrialRecord

FOLDER = "artifacts"
ARTIFACT_ID = re.compile(r"[0-9a-fA-F-]{8,64}")
WIDTH, HEIGHT, MARGIN = 480, 300, 54
SIDE = 480
"""Width and height of the confusion matrix; its cells share what the margins leave."""
MOST_LABELLED = 20
"""With more classes, the cells are too small for numbers."""


class StudyArtifacts:
    """Optuna's artifact store over the artifacts of all studies of an output folder; read only."""

    def __init__(self, output: Path) -> None:
        self._output = output

    def open_reader(self, artifact_id: str) -> BinaryIO:
        """The artifact's content.

        Raises:
            ArtifactNotFound: There is no such artifact.
        """
        found = (
            next(self._output.glob(f"*/{FOLDER}/{artifact_id}"), None)
            if ARTIFACT_ID.fullmatch(artifact_id)
            else None
        )
        if found is None or not found.is_file():
            raise ArtifactNotFound(f"no artifact {artifact_id!r}")
        return found.open("rb")

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        """Nothing is uploaded through the dashboard."""
        content_body.close()
        raise PermissionError(f"artifact {artifact_id!r} is not stored: they are read only")

    def remove(self, artifact_id: str) -> None:
        """Nothing is removed through the dashboard."""
        raise PermissionError(f"artifact {artifact_id!r} stays: they are read only")


def attach_curves(
    storage: BaseStorage, study_id: int, trial_id: int, run: TrialRecord, metric: MetricInfo,
    folder: Path,
) -> None:  # fmt: skip
    """Attach a run's learning curves, as a picture and a table, and its confusion matrix.

    Again, it replaces them. Optuna lets nobody add attributes to a trial that has ended, so they
    are listed where optuna-dashboard keeps those of its own: among the study's attributes.

    Args:
        storage: Where the trial is stored; it is written to.
        study_id: The storage's id of the study.
        trial_id: The storage's id of the trial.
        run: The trial as a record.
        metric: The objective.
        folder: The study's folder of artifacts; made if it does not exist.
    """
    files = {
        "learning-curve.svg": (curve_svg(run.history, metric), "image/svg+xml"),
        "learning-curve.csv": (curve_csv(run.history), "text/csv"),
    }
    counts = next((one.confusion for one in reversed(run.history) if one.confusion), ())
    if counts:
        files["confusion-matrix.csv"] = (confusion_csv(counts), "text/csv")
        files["confusion-matrix.svg"] = (confusion_svg(counts), "image/svg+xml")
    for name, (content, kind) in files.items():
        identity = str(uuid5(NAMESPACE_URL, f"bakeoff/{folder.parent.name}/{run.number}/{name}"))
        write_atomically(folder / identity, content)
        listed = {"artifact_id": identity, "filename": name, "mimetype": kind, "encoding": None}
        storage.set_study_system_attr(
            study_id, f"dashboard:artifacts:{trial_id}:{identity}", json.dumps(listed)
        )


def curve_csv(history: Sequence[EpochResult]) -> str:
    """A row for each epoch: every metric, training loss and learning rate."""
    names = list(dict.fromkeys(name for result in history for name in result.metrics))
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["epoch", *names, "train_loss", "learning_rate"])
    for result in history:
        values = (result.metrics.get(name, math.nan) for name in names)
        writer.writerow([result.epoch, *values, result.train_loss, result.learning_rate])
    return file.getvalue()


def confusion_csv(counts: Sequence[Sequence[int]]) -> str:
    """Validation samples by class (rows) and predicted class (columns), with each class's recall.

    The recall of a class without samples is empty.
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["class", *(f"predicted {label}" for label in range(len(counts))), "recall"])
    for label, row in enumerate(counts):
        recall = f"{row[label] / sum(row):.4g}" if any(row) else ""
        writer.writerow([label, *row, recall])
    return file.getvalue()


def curve_svg(history: Sequence[EpochResult], metric: MetricInfo) -> str:
    """The objective by epoch as a line; epochs without a finite value are left out."""
    points = [
        (result.epoch, result.metrics[metric.name])
        for result in history
        if math.isfinite(result.metrics.get(metric.name, math.nan))
    ]
    title = escape(f"validation {metric.title or metric.name} by epoch")
    return _svg(WIDTH, HEIGHT, title, _line(points) if points else "")


def confusion_svg(counts: Sequence[Sequence[int]]) -> str:
    """The confusion matrix as a picture: a cell is the darker, the more of its row it holds."""
    size = (SIDE - 1.5 * MARGIN) / len(counts)
    cells = "".join(
        _cell(count, sum(row), MARGIN + column * size, MARGIN + line * size, size, len(counts))
        for line, row in enumerate(counts)
        for column, count in enumerate(row)
    )
    step = 1 + (len(counts) - 1) // MOST_LABELLED
    labels = "".join(
        f'<text x="{MARGIN - 8}" y="{middle + 4:.1f}" text-anchor="end">{label}</text>'
        f'<text x="{middle:.1f}" y="{SIDE - 0.5 * MARGIN + 16}" text-anchor="middle">{label}</text>'
        for label in range(0, len(counts), step)
        for middle in [MARGIN + (label + 0.5) * size]
    )
    return _svg(SIDE, SIDE + 20, "class (rows) and predicted class (columns)", cells + labels)


def _cell(count: int, total: int, x: float, y: float, size: float, num_classes: int) -> str:
    share = count / total if total else 0.0
    square = (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{size:.1f}" height="{size:.1f}"'
        f' fill="#0072b2" fill-opacity="{share:.3f}" stroke="#dedcd4" stroke-width="0.5"/>'
    )
    if not count or num_classes > MOST_LABELLED:
        return square
    ink = "#fff" if share > 0.5 else "#1f2328"  # noqa: PLR2004 - half way to the darkest
    return (
        f'{square}<text x="{x + size / 2:.1f}" y="{y + size / 2:.1f}" fill="{ink}"'
        f' text-anchor="middle" dominant-baseline="central" font-size="{min(13, size / 3):.1f}">'
        f"{count}</text>"
    )


def _svg(width: int, height: int, title: str, body: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
        f' font-family="sans-serif" font-size="13"><rect width="100%" height="100%" fill="#fff"/>'
        f'<text x="{MARGIN}" y="24" font-weight="bold">{title}</text>{body}</svg>\n'
    )


def _line(points: Sequence[tuple[int, float]]) -> str:
    first, last = points[0][0], points[-1][0]
    low, high = min(value for _, value in points), max(value for _, value in points)
    wide, tall = max(last - first, 1), (high - low) or 1.0
    placed = [
        (
            MARGIN + (epoch - first) / wide * (WIDTH - 1.5 * MARGIN),
            HEIGHT - MARGIN - (value - low) / tall * (HEIGHT - 2 * MARGIN),
        )
        for epoch, value in points
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="#0072b2"/>' for x, y in placed)
    bottom, right = HEIGHT - MARGIN, WIDTH - 0.5 * MARGIN
    return (
        f'<polyline points="{line}" fill="none" stroke="#0072b2" stroke-width="2"/>{dots}'
        f'<path d="M{MARGIN} {MARGIN}V{bottom}H{right}" fill="none" stroke="#5d646d"/>'
        f'<text x="{MARGIN - 6}" y="{bottom}" text-anchor="end">{low:.4g}</text>'
        f'<text x="{MARGIN - 6}" y="{MARGIN + 4}" text-anchor="end">{high:.4g}</text>'
        f'<text x="{MARGIN}" y="{bottom + 18}">epoch {first}</text>'
        f'<text x="{right}" y="{bottom + 18}" text-anchor="end">{last}</text>'
    )
