"""Reads Optuna studies of other programs as a `StudyRecord`, without changing them."""

from bakeoff.foreign.conversion import ForeignStudy, load_foreign_study

__all__ = ["ForeignStudy", "load_foreign_study"]
