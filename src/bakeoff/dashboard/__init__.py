"""Serves optuna-dashboard behind access checks, with the reports and figures of bakeoff.

The server is imported when it is first used: it imports optuna-dashboard, and with it scikit-learn.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from bakeoff.dashboard.publishing import publish, publish_progress

if TYPE_CHECKING:
    from bakeoff.dashboard.server import build_server, serve_dashboard

__all__ = ["build_server", "publish", "publish_progress", "serve_dashboard"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("bakeoff.dashboard.server"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
