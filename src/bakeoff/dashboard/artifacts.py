"""Stores curves and confusion matrices of the chosen trials as files for the dashboard.

They are stored in `<output>/<study>/artifacts`, so that they are deleted with the study.
optuna-dashboard has no curve of its own on a trial's page: it lists the intermediate values as
text there, and plots those of all trials together, only for studies with a single objective.
"""

import json
import math
import re
from collections.abc import Sequence
from contextlib import suppress
from html import escape
from pathlib import Path
from typing import BinaryIO
from uuid import NAMESPACE_URL, uuid5

import numpy as np
from optuna.artifacts.exceptions import ArtifactNotFound
from optuna.storages import BaseStorage

from bakeoff.files import open_below, replace_files
from bakeoff.records import EpochResult, MetricInfo, TrialRecord
from bakeoff.report.table import csv_text

FOLDER = "artifacts"
ARTIFACT_ID = re.compile(r"[0-9a-fA-F-]{8,64}")
WIDTH, HEIGHT, MARGIN = 480, 300, 54
SIDE = 480
"""Width and height of the confusion matrix, including its margins."""
MOST_LABELLED = 20
"""With more classes, the cells are too small for numbers."""


class StudyArtifacts:
    """Optuna's artifact store for the artifacts of all studies of an output folder; read only."""

    def __init__(self, output: Path) -> None:
        self._output = output

    def open_reader(self, artifact_id: str) -> BinaryIO:
        """Open the content of an artifact.

        Raises:
            ArtifactNotFound: There is no such artifact.
        """
        if ARTIFACT_ID.fullmatch(artifact_id):
            for found in self._output.glob(f"*/{FOLDER}/{artifact_id}"):
                with suppress(OSError):  # a link leads out of the folder
                    return open_below(self._output, found.parts[-3], FOLDER, artifact_id)
        raise ArtifactNotFound(f"no artifact {artifact_id!r}")

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        """Refuse to store an upload."""
        content_body.close()
        raise PermissionError(f"artifact {artifact_id!r} is not stored: artifacts are read only")

    def remove(self, artifact_id: str) -> None:
        """Refuse to remove an artifact."""
        raise PermissionError(f"artifact {artifact_id!r} is not removed: artifacts are read only")


def attach_curves(
    storage: BaseStorage, study_id: int, trial_id: int, run: TrialRecord, metric: MetricInfo,
    folder: Path,
) -> None:  # fmt: skip
    """Attach a run's learning curves, as a picture and a table, and its confusion matrix.

    Attaching them again replaces them. Optuna allows no new attributes on a trial that has ended,
    so the files are listed where optuna-dashboard lists its own: in attributes of the study.

    Args:
        storage: The storage of the trial; it is written to.
        study_id: The storage's id of the study.
        trial_id: The storage's id of the trial.
        run: The trial as a record.
        metric: The objective.
        folder: The study's folder of artifacts; created if it does not exist.
    """
    files = {
        "learning-curve.svg": curve_svg(run.history, metric),
        "learning-curve.csv": curve_csv(run.history),
    }
    counts = next((one.confusion for one in reversed(run.history) if one.confusion), ())
    if counts:
        files["confusion-matrix.csv"] = confusion_csv(counts)
        files["confusion-matrix.svg"] = confusion_svg(counts)
    identities = {
        name: str(uuid5(NAMESPACE_URL, f"bakeoff/{folder.parent.name}/{run.number}/{name}"))
        for name in files
    }
    replace_files({folder / identities[name]: content for name, content in files.items()})
    for name, identity in identities.items():
        kind = "text/csv" if name.endswith(".csv") else "image/svg+xml"
        listed = {"artifact_id": identity, "filename": name, "mimetype": kind, "encoding": None}
        key = f"dashboard:artifacts:{trial_id}:{identity}"
        storage.set_study_system_attr(study_id, key, json.dumps(listed))


def curve_csv(history: Sequence[EpochResult]) -> str:
    """Write a row for each epoch: every metric, training loss and learning rate."""
    names = list(dict.fromkeys(name for result in history for name in result.metrics))
    rows = (
        [one.epoch, *map(one.metrics.get, names), one.train_loss, one.learning_rate]
        for one in history
    )
    return csv_text(["epoch", *names, "train_loss", "learning_rate"], rows)


def confusion_csv(counts: Sequence[Sequence[int]]) -> str:
    """Write validation samples by class (rows) and predicted class (columns), with recalls.

    The recall of a class without samples is empty.
    """
    header = ["class", *(f"predicted {label}" for label in range(len(counts))), "recall"]
    recalls = (f"{row[at] / sum(row):.4g}" if any(row) else "" for at, row in enumerate(counts))
    rows = zip(counts, recalls, strict=True)
    return csv_text(header, ([at, *row, recall] for at, (row, recall) in enumerate(rows)))


def curve_svg(history: Sequence[EpochResult], metric: MetricInfo) -> str:
    """Draw the objective by epoch as a line, without epochs that have no finite value."""
    values = {one.epoch: one.metrics.get(metric.name, math.nan) for one in history}
    known = {epoch: value for epoch, value in values.items() if math.isfinite(value)}
    title = escape(f"validation {metric.title or metric.name} by epoch")
    return _svg(WIDTH, HEIGHT, title, _line(known) if known else "")


def _line(values: dict[int, float]) -> str:
    """Draw a line with dots through `values` by epoch, and axes labelled at their ends."""
    first, last = min(values), max(values)
    low, high = min(values.values()), max(values.values())
    right, bottom = WIDTH - 0.5 * MARGIN, HEIGHT - MARGIN
    xs = np.interp(list(values), [first, max(last, first + 1)], [MARGIN, right])
    ys = np.interp(list(values.values()), [low, high if high > low else low + 1], [bottom, MARGIN])
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(xs, ys, strict=True))
    dots = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="#0072b2"/>'
        for x, y in zip(xs, ys, strict=True)
    )
    return (
        f'<polyline points="{line}" fill="none" stroke="#0072b2" stroke-width="2"/>{dots}'
        f'<path d="M{MARGIN} {MARGIN}V{bottom}H{right}" fill="none" stroke="#5d646d"/>'
        f"{_text(MARGIN - 6, bottom, f'{low:.4g}', 'end')}"
        f"{_text(MARGIN - 6, MARGIN + 4, f'{high:.4g}', 'end')}"
        f"{_text(MARGIN, bottom + 18, f'epoch {first}', 'start')}"
        f"{_text(right, bottom + 18, str(last), 'end')}"
    )


def confusion_svg(counts: Sequence[Sequence[int]]) -> str:
    """Draw the confusion matrix; a cell is darker the more samples of its row it holds."""
    size = (SIDE - 1.5 * MARGIN) / len(counts)
    starts = [MARGIN + place * size for place in range(len(counts))]
    parts = [
        _cell(count, sum(row), x, y, size, is_labelled=len(counts) <= MOST_LABELLED)
        for y, row in zip(starts, counts, strict=True)
        for x, count in zip(starts, row, strict=True)
    ]
    for label in range(0, len(counts), 1 + (len(counts) - 1) // MOST_LABELLED):
        middle = starts[label] + size / 2
        parts.append(_text(MARGIN - 8, middle + 4, str(label), "end"))
        parts.append(_text(middle, SIDE - 0.5 * MARGIN + 16, str(label), "middle"))
    return _svg(SIDE, SIDE + 20, "class (rows) and predicted class (columns)", "".join(parts))


def _cell(count: int, total: int, x: float, y: float, size: float, *, is_labelled: bool) -> str:
    share = count / total if total else 0.0
    square = (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{size:.1f}" height="{size:.1f}"'
        f' fill="#0072b2" fill-opacity="{share:.3f}" stroke="#dedcd4" stroke-width="0.5"/>'
    )
    if not count or not is_labelled:
        return square
    ink = "#fff" if share > 0.5 else "#1f2328"  # noqa: PLR2004 - half way to the darkest
    look = f'fill="{ink}" dominant-baseline="central" font-size="{min(13, size / 3):.1f}"'
    return square + _text(x + size / 2, y + size / 2, str(count), "middle", look)


def _text(x: float, y: float, text: str, anchor: str, look: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {look}>{text}</text>'


def _svg(width: int, height: int, title: str, body: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
        f' font-family="sans-serif" font-size="13"><rect width="100%" height="100%" fill="#fff"/>'
        f'<text x="{MARGIN}" y="24" font-weight="bold">{title}</text>{body}</svg>\n'
    )
