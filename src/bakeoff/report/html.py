"""The report as one HTML file that needs nothing else and lets nothing run but its own scripts."""

import base64
import hashlib
import json
from collections.abc import Sequence
from importlib.resources import files
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from bakeoff.analysis.wording import promised
from bakeoff.records import OUTCOMES, ArmSummary, Outcome, StudyRecord
from bakeoff.report.figures.style import ARM_COLORS, DARK, arm_position, printable
from bakeoff.report.page import Page, ReportFigure
from bakeoff.report.table import Cell, CellValue, Column, Table, number_cell, text_cell

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from bakeoff.report.workloads import AcrossPage

MAX_INLINE_ROWS = 150
"""A figure's data stands in the page up to this many rows; beyond, only in its CSV."""

JSON_ESCAPES = str.maketrans(
    {"<": r"\u003c", ">": r"\u003e", "&": r"\u0026", "\u2028": r"\u2028", "\u2029": r"\u2029"}
)
"""Inside a script element, no character of JSON may look like markup or end a line."""


def render_html(page: Page) -> str:
    """The whole page. Scripts other than the two inlined here are refused by its own policy."""
    study = page.comparison.study
    return _render(
        "report.html.j2",
        page.figures,
        study,
        page.comparison,
        page=page,
        comparison=page.comparison,
        study=study,
        verdict=page.comparison.verdict,
    )


def render_workloads_html(page: "AcrossPage") -> str:
    """The page on several studies, with the same policy; colours are those of the first study."""
    found = page.found
    return _render(
        "workloads.html.j2", page.figures, found.comparisons[0].study, found, page=page, found=found
    )


def _render(
    template: str,
    figures: Sequence[ReportFigure],
    colored_by: StudyRecord,
    subject: object,
    **words: object,
) -> str:
    """A template with its figures drawn, its scripts inlined and everything escaped.

    Args:
        template: Its name.
        figures: All figures of the page.
        colored_by: The study whose order of arms decides their colours.
        subject: What the figures are about.
        **words: What else the template shows.
    """
    scripts = [template_text("report.js")]
    drawings = {figure.spec.id: _drawing(figure, subject) for figure in figures if figure.rows}
    if drawings:
        from plotly.offline import get_plotlyjs

        scripts.insert(0, get_plotlyjs())
    environment = html_environment()
    environment.filters["code"] = _code
    environment.filters["lead_in"] = _lead_in
    environment.filters["outcomes"] = _outcomes
    environment.filters["promised"] = promised
    environment.filters["arm_class"] = lambda arm: _arm_class(colored_by, arm)
    return environment.get_template(template).render(
        policy=content_security_policy(scripts),
        scripts=[Markup(script) for script in scripts],  # noqa: S704 - our own code, hashed above
        drawings=drawings,
        figure_tables={figure.spec.id: _figure_table(figure) for figure in figures},
        dark_colors=embedded_json(dict(DARK)),
        style=Markup(template_text("report.css")),  # noqa: S704 - our own style sheet
        arm_colors=ARM_COLORS,
        **words,
    )


def html_environment() -> Environment:
    """Templates whose every value is escaped and shown on one line."""
    return Environment(
        loader=PackageLoader("bakeoff.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def content_security_policy(scripts: list[str]) -> str:
    """A policy that allows exactly these inline scripts, inline styles and generated images.

    Inline styles are what plotly draws with; `blob:` images are its download as PNG.
    """
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in scripts
    )
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline';"
        " img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def embedded_json(value: object) -> Markup:
    """`value` as JSON that is safe inside a script element."""
    return Markup(json.dumps(value).translate(JSON_ESCAPES))  # noqa: S704 - every < is escaped


def embedded_figure(figure: "go.Figure") -> Markup:
    """A plotly figure as JSON that is safe inside a script element."""
    return Markup(figure.to_json().translate(JSON_ESCAPES))  # noqa: S704 - every < is escaped


def _drawing(figure: ReportFigure, subject: object) -> Markup:
    return embedded_figure(figure.spec.draw(figure.rows, subject))


def _figure_table(figure: ReportFigure) -> Table | None:
    """The figure's rows as a table for those who cannot see it; None where it is too long."""
    if not 0 < len(figure.rows) <= MAX_INLINE_ROWS:
        return None
    columns = tuple(
        Column(key=name, heading=name.replace("_", " ")) for name in figure.spec.columns
    )
    rows = tuple(tuple(_figure_cell(value) for value in row) for row in figure.rows)
    return Table(
        id=f"{figure.spec.id}-data", slug="", title=figure.spec.question, columns=columns, rows=rows
    )


def _figure_cell(value: CellValue) -> Cell:
    if isinstance(value, float):
        return number_cell(value)
    return text_cell(None if value is None else str(value))


def _arm_class(study: StudyRecord, arm: str) -> str:
    return f"arm-{arm_position(study, arm) % len(ARM_COLORS)}"


def _outcomes(arm: ArmSummary) -> list[tuple[Outcome, int]]:
    """How many trials ended how, in the order of `OUTCOMES`, without those that never did."""
    counts = ((outcome, arm.num_by_outcome.get(outcome, 0)) for outcome in OUTCOMES)
    return [(outcome, count) for outcome, count in counts if count]


def _shown(value: object) -> object:
    """What a template prints: plain text on one line; markup as it is."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return printable(value)
    return value


def _lead_in(sentence: str) -> Markup:
    """A sentence whose part before the first colon, if there is one, stands out."""
    before, colon, after = printable(sentence).partition(": ")
    return (
        Markup("<strong>{}</strong>{}{}").format(before, colon, after) if colon else escape(before)
    )


def _code(text: str) -> Markup:
    """Code with its line ends, every line escaped."""
    return Markup("\n").join(printable(line) for line in text.strip().split("\n"))


def template_text(name: str) -> str:
    """A file that stands beside the templates: the style sheet or the script."""
    return files("bakeoff.report").joinpath("templates", name).read_text(encoding="utf-8")
