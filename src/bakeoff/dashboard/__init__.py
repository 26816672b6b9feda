"""Serves optuna-dashboard behind access checks, with the reports and figures of bakeoff."""

from bakeoff.dashboard.publishing import publish, publish_progress
from bakeoff.dashboard.server import build_server, serve_dashboard

__all__ = ["build_server", "publish", "publish_progress", "serve_dashboard"]
