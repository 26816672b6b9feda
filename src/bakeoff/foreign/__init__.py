"""Optuna studies made by other programs: read without changing them, told as a `StudyRecord`."""

from bakeoff.foreign.conversion import ForeignStudy, load_foreign_study

__all__ = ["ForeignStudy", "load_foreign_study"]
