"""Compare optimizers and schedules for a PyTorch model: equal budgets, an honest verdict.

`Study`, `run` and `train` run studies from Python (`bakeoff.api`); `load_study` and
`load_optuna_study` open stored ones (`bakeoff.notebook`). They are imported when they are first
used, so that `import bakeoff` is quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from bakeoff.version import __version__

if TYPE_CHECKING:
    from bakeoff.api import Study, run, train
    from bakeoff.notebook import LoadedStudy, load_optuna_study, load_study

__all__ = [
    "LoadedStudy",
    "Study",
    "__version__",
    "load_optuna_study",
    "load_study",
    "run",
    "train",
]
_API = frozenset({"Study", "run", "train"})


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("bakeoff.api" if name in _API else "bakeoff.notebook"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
