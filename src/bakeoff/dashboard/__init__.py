"""optuna-dashboard on the stored studies, behind guards, with what bakeoff found beside them."""

from bakeoff.dashboard.publishing import publish, publish_progress
from bakeoff.dashboard.server import build_server, serve_dashboard

__all__ = ["build_server", "publish", "publish_progress", "serve_dashboard"]
