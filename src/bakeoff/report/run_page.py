"""The page on one training run: metrics, learning curves and what the curves suggest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bakeoff.analysis.diagnosis import diagnose_runs
from bakeoff.records import Diagnosis, EpochResult, MetricInfo
from bakeoff.report.figures.run_curves import compute_run_curves, draw_run_curves
from bakeoff.report.html import embedded_json, render_template
from bakeoff.report.page import DIAGNOSES


@dataclass(frozen=True, kw_only=True)
class RunPage:
    """Everything that the page on a run shows."""

    study: str
    run: str
    objective: MetricInfo
    outcome: str
    history: Sequence[EpochResult]
    scored_epoch: int | None
    validation_metrics: Mapping[str, float]
    """Metrics of the scored epoch."""
    test_metrics: Mapping[str, float]
    settings: Mapping[str, object]
    note: str = ""

    @property
    def title(self) -> str:
        """Run and study."""
        return f"{self.run}, {self.study}"

    @property
    def diagnoses(self) -> list[tuple[str, Diagnosis]]:
        """What the curves show, each with its name."""
        found = diagnose_runs([self.history], self.objective)
        return [(DIAGNOSES[one.kind], one) for one in found]

    @property
    def scores(self) -> list[tuple[str, str, str]]:
        """Metric, validation and test, the objective first; empty where nothing was measured."""
        names = dict.fromkeys([self.objective.name, *self.validation_metrics])
        return [
            (name, _score(self.validation_metrics, name), _score(self.test_metrics, name))
            for name in names
        ]


def _score(metrics: Mapping[str, float], name: str) -> str:
    value = metrics.get(name)
    return f"{value:.6g}" if isinstance(value, (int, float)) else ""


def render_run_page(page: RunPage) -> str:
    """The whole page as one file."""
    rows = compute_run_curves(page.history, page.objective)
    drawing = embedded_json(draw_run_curves(rows, page.scored_epoch).to_json()) if rows else None
    return render_template("run.html.j2", has_drawings=True, page=page, drawing=drawing)
