"""Compare optimizers and schedules for a PyTorch model: equal budgets, an honest verdict.

`Study`, `run` and `train` run studies from Python (`bakeoff.api`); `load_study` and
`load_optuna_study` open stored ones (`bakeoff.notebook`). `Run` is what a training loop of your own
is called with. They are imported when they are first
used, so that `import bakeoff` is quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from bakeoff.version import __version__

if TYPE_CHECKING:
    from bakeoff.api import Study, run, train
    from bakeoff.notebook import LoadedStudy, load_optuna_study, load_study
    from bakeoff.training.own_run import Run

__all__ = [
    "LoadedStudy",
    "Run",
    "Study",
    "__version__",
    "load_optuna_study",
    "load_study",
    "run",
    "train",
]
_HOMES = dict.fromkeys(("Study", "run", "train"), "bakeoff.api") | {
    "Run": "bakeoff.training.own_run"
}


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module(_HOMES.get(name, "bakeoff.notebook")), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
