"""optuna-dashboard on the stored studies, behind guards, with what bakeoff found beside them."""

from bakeoff.dashboard.publishing import note_verdict, publish, publish_figures
from bakeoff.dashboard.server import build_server, serve_dashboard

__all__ = ["build_server", "note_verdict", "publish", "publish_figures", "serve_dashboard"]
