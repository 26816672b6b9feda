"""Stores what bakeoff found where optuna-dashboard shows it: note, figures, learning curves."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import optuna
from sqlalchemy.exc import SQLAlchemyError

from bakeoff.dashboard.artifacts import FOLDER, attach_curves
from bakeoff.dashboard.either_scheme import for_either_scheme
from bakeoff.dashboard.saving import save_figure, save_note
from bakeoff.errors import StorageError
from bakeoff.records import Comparison
from bakeoff.report.answer import build_answer
from bakeoff.report.figures import FigureSpec, figures_of
from bakeoff.report.figures.style import Figure
from bakeoff.report.markdown import escape, markdown_table
from bakeoff.report.page import build_figure, glance_table
from bakeoff.report.verdict_tables import LEVELS
from bakeoff.storage import Storage
from bakeoff.storage.connection import OnWait
from bakeoff.storage.overview import VERDICT_KEY
from bakeoff.storage.studies import CONFIRM_SUFFIX

MAX_CHARACTERS = 400_000
"""A figure with longer JSON is left out: the database would store it in hundreds of rows."""
CARD_HEIGHT = 450
"""Height in pixels that optuna-dashboard gives a figure; a higher one would hide the next."""
MAX_SQUEEZE = 2.5
"""A figure that would have to be shrunk by more than this factor in height is left out."""


def publish(
    storage_url: str, comparison: Comparison, output: Path, on_wait: OnWait = lambda _: None
) -> None:
    """Store verdict, figures and the chosen trials' learning curves in the study.

    `on_wait` is that of `Storage`.

    Raises:
        BakeoffError: The storage cannot be written.
    """
    name = comparison.study.name
    publish_progress(storage_url, comparison, has_report=True, on_wait=on_wait)
    storage = Storage(storage_url, create=True, on_wait=on_wait, is_known=True)
    chosen = {arm.chosen_trial for arm in comparison.arms}
    stored = {run.number: trial_id for trial_id, run in storage.load_runs(name, "search")}
    metric, folder = comparison.study.objective, output / name / FOLDER

    def attach() -> None:
        study_id = storage.optuna_storage.get_study_id_from_name(name)
        for run in comparison.study.trials:
            if run.number in chosen and run.number in stored and run.history:
                trial_id = stored[run.number]
                attach_curves(storage.optuna_storage, study_id, trial_id, run, metric, folder)

    with _writing(storage):
        storage.connection.call(attach)  # which may be repeated, because it replaces what is there


def publish_progress(
    storage_url: str,
    comparison: Comparison,
    *,
    has_report: bool,
    on_wait: OnWait = lambda _: None,
) -> None:
    """Store the verdict so far as the study's note, and the figures so far.

    Args:
        storage_url: The storage of the study.
        comparison: The comparison of the runs so far.
        has_report: Whether there is a report to which the note may link.
        on_wait: See `Storage`.

    Raises:
        BakeoffError: The storage cannot be written.
    """
    storage = Storage(storage_url, create=True, on_wait=on_wait, is_known=True)
    name = comparison.study.name

    def store() -> None:
        load = partial(optuna.load_study, storage=storage.optuna_storage)
        study = load(study_name=name)
        study.set_user_attr(VERDICT_KEY, comparison.verdict.headline)
        runs = storage.optuna_storage.get_study_id_from_name(name + CONFIRM_SUFFIX)
        note = note_text(comparison, has_report=has_report, confirmations=runs)
        save_note(study, note)
        save_note(
            load(study_name=name + CONFIRM_SUFFIX),
            f"Shortlist and confirmation runs of study **{escape(name)}**, which has the verdict."
            " Values are validation scores; the test scores are in the report.",
        )
        for spec in figures_of(comparison):
            if spec.on_dashboard and (figure := _figure(spec, comparison)) is not None:
                identity = f"{spec.id}-{spec.slug}"
                save_figure(study, figure, identity)

    with _writing(storage):
        storage.connection.call(store)


def note_text(comparison: Comparison, *, has_report: bool, confirmations: int) -> str:
    """Write the answer and the arms as Markdown that contains no links but our own.

    Args:
        comparison: What was found.
        has_report: Whether there is a report to which the note may link.
        confirmations: The storage's id of the study that holds the confirmation runs.
    """
    name = comparison.study.name
    answer = build_answer(comparison)
    shown = (*answer.leading, *answer.good_defaults)
    limits = [one for one in (*answer.weakened_by, answer.next_step) if one]
    report = f"[The report](/reports/{name}/index.html)" if has_report else "The study is running."
    runs = f"[Shortlist and confirmation runs](/dashboard/studies/{confirmations})"
    parts = [
        f"**{escape(answer.headline)}**",
        f"Evidence level {comparison.level}, {escape(LEVELS[comparison.level])}.",
        "\n".join(f"- {escape(sentence)}" for sentence in limits),
        "\n".join(f"- **{escape(one.name)}**: {escape(one.own_settings)}" for one in shown),
        markdown_table(glance_table(comparison)),
        f"{report} {runs}",
    ]
    return "\n\n".join(filter(None, parts))


def _figure(spec: FigureSpec[Comparison], comparison: Comparison) -> "Figure | None":
    """Draw a figure for a card; None if there is nothing to draw or it does not fit."""
    drawn, _ = build_figure(spec, comparison).drawn(comparison)
    if drawn is None or drawn.layout.height > MAX_SQUEEZE * CARD_HEIGHT:
        return None
    drawn.update_yaxes(title_font_size=11)
    drawn.update_layout(
        height=CARD_HEIGHT,
        margin={"t": 80},
        title={"text": f"{spec.id}. {spec.question}", "x": 0.01, "y": 0.97, "font": {"size": 13}},
    )
    figure = for_either_scheme(drawn)
    return figure if len(figure.to_json()) <= MAX_CHARACTERS else None


@contextmanager
def _writing(storage: Storage) -> Iterator[None]:
    try:
        yield
    except (KeyError, SQLAlchemyError, OSError, optuna.exceptions.OptunaError) as error:
        raise StorageError(f"the dashboard of {storage} cannot be filled: {error}") from None
