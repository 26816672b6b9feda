"""Compare optimizers and schedules for a PyTorch model: equal budgets, an honest verdict.

`load_study` and `load_optuna_study` open stored studies in Python, for instance in a notebook; see
`bakeoff.notebook`. They are imported when they are first used, so that `import bakeoff` is quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from bakeoff.version import __version__

if TYPE_CHECKING:
    from bakeoff.notebook import LoadedStudy, load_optuna_study, load_study

__all__ = ["LoadedStudy", "__version__", "load_optuna_study", "load_study"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("bakeoff.notebook"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
