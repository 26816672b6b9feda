"""Chooses how the progress of a study is shown."""

from collections.abc import Sequence
from typing import Any

from bakeoff import terminal
from bakeoff.records import MetricInfo, StudyConfig
from bakeoff.session.notebook_progress import NotebookProgress, in_notebook
from bakeoff.session.progress import LiveProgress, PlainProgress


def build_progress(
    config: StudyConfig, arms: Sequence[str], metric: MetricInfo, num_workers: int
) -> PlainProgress | LiveProgress:
    """The display that suits stderr, or the notebook."""
    trials, repeats = config.search.trials_per_arm, config.search.repeats
    console = terminal.console(stderr=True)
    common: dict[str, Any] = {
        "arms": arms,
        "metric": metric,
        "epochs": config.training.epochs,
        "num_workers": num_workers,
        "trials_per_arm": None if trials is None else trials * repeats,
        "repeats": repeats,
    }
    if in_notebook():
        return NotebookProgress(**common)
    return (
        LiveProgress(**common, console=console) if console.is_terminal else PlainProgress(**common)
    )
