"""What bakeoff found, put where optuna-dashboard shows it: note, figures, learning curves."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
import optuna_dashboard
from sqlalchemy.exc import SQLAlchemyError

from bakeoff.analysis.figures import figures_of
from bakeoff.dashboard.artifacts import FOLDER, attach_curves
from bakeoff.errors import StorageError
from bakeoff.records import Comparison
from bakeoff.storage import Storage

SHOWN_FIGURES = ("F1", "F3", "F4", "F6", "F12")
"""Of the report, those that say most beside optuna-dashboard's own plots."""
MAX_CHARACTERS = 400_000
"""A figure whose JSON is longer is left out: it would be stored in hundreds of rows."""
PAPER = "#ffffff"


def publish(storage_url: str, comparison: Comparison, output: Path) -> None:
    """Put verdict, figures and the chosen trials' learning curves into the stored study.

    Raises:
        BakeoffError: The storage cannot be written.
    """
    name = comparison.study.name
    note_verdict(storage_url, name, comparison.verdict.headline)
    publish_figures(storage_url, comparison)
    storage = Storage(storage_url, create=True)
    chosen = {arm.chosen_trial for arm in comparison.arms}
    stored = {run.number: trial_id for trial_id, run in storage.load_runs(name, "search")}
    with _writing(storage):
        study_id = storage.optuna_storage.get_study_id_from_name(name)
        for run in comparison.study.trials:
            if run.number in chosen and run.number in stored and run.history:
                attach_curves(
                    storage.optuna_storage, study_id, stored[run.number], run,
                    comparison.study.objective, output / name / FOLDER,
                )  # fmt: skip


def note_verdict(storage_url: str, name: str, headline: str) -> None:
    """Make the verdict and a link to the report the note that the dashboard shows of a study.

    Raises:
        BakeoffError: The storage cannot be written.
    """
    storage = Storage(storage_url, create=True)
    with _writing(storage):
        text = f"{headline}\n\n[The report](/reports/{name}/index.html)"
        optuna_dashboard.save_note(_load(storage, name), text)


def publish_figures(storage_url: str, comparison: Comparison) -> None:
    """Put the key figures into the stored study; each replaces the one of the same name.

    Raises:
        BakeoffError: The storage cannot be written.
    """
    storage = Storage(storage_url, create=True)
    with _writing(storage):
        study = _load(storage, comparison.study.name)
        for spec in figures_of(comparison):
            rows = spec.compute(comparison) if spec.id in SHOWN_FIGURES else ()
            if not rows:
                continue
            figure = spec.draw(rows, comparison)
            # the dashboard has a dark mode that these colours were not made for
            figure.update_layout(
                paper_bgcolor=PAPER, plot_bgcolor=PAPER, margin={"t": 90},
                title={"text": f"{spec.id}. {spec.question}", "x": 0.01, "font": {"size": 12}},
            )  # fmt: skip
            if len(figure.to_json()) <= MAX_CHARACTERS:
                identity = f"{spec.id}-{spec.slug}"
                optuna_dashboard.save_plotly_graph_object(study, figure, graph_object_id=identity)


def _load(storage: Storage, name: str) -> optuna.Study:
    return optuna.load_study(study_name=name, storage=storage.optuna_storage)


@contextmanager
def _writing(storage: Storage) -> Iterator[None]:
    try:
        yield
    except (KeyError, SQLAlchemyError, OSError, optuna.exceptions.OptunaError) as error:
        raise StorageError(f"the dashboard of {storage} cannot be filled: {error}") from None
