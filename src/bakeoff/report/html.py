"""Reports as single HTML files that load nothing and run only their own scripts."""

import base64
import hashlib
import json
from functools import partial
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from bakeoff.analysis.wording import plural, promised
from bakeoff.records import OUTCOMES, ArmSummary, Outcome, StudyRecord
from bakeoff.report.answer import DEFAULTS_SUFFIX
from bakeoff.report.configurations import FOLDER
from bakeoff.report.figures.style import ARM_COLORS, DARK, color_number, printable
from bakeoff.report.glossary import explained, explanation
from bakeoff.report.numbers import MISSING, number_text
from bakeoff.report.page import Page, ReportFigure
from bakeoff.report.table import CellValue, Column, Table

MAX_INLINE_ROWS = 150
"""A figure's data is shown in the page up to this many rows; longer data is only in its CSV."""

JSON_ESCAPES = str.maketrans(
    {"<": r"\u003c", ">": r"\u003e", "&": r"\u0026", "\u2028": r"\u2028", "\u2029": r"\u2029"}
)
"""Inside a script element, no character of JSON may look like markup or end a line."""


def render_html(page: Page[Any]) -> str:
    """The whole page, with its figures drawn and its scripts inlined."""
    drawn = {figure.spec.id: figure.drawn(page.subject) for figure in page.figures}
    drawings = {
        identity: embedded_json(drawing.to_json()) if drawing else None
        for identity, (drawing, _) in drawn.items()
    }
    return render_template(
        f"{page.template}.html.j2",
        has_drawings=any(drawings.values()),
        page=page,
        drawings=drawings,
        failures={identity: failure for identity, (_, failure) in drawn.items()},
        figure_tables={figure.spec.id: _figure_table(figure) for figure in page.figures},
        arm_class=partial(_arm_class, page.study),
    )


def _arm_class(study: StudyRecord | None, arm: str) -> str:
    """The style of an arm's name, which its library defaults share; others have no colour."""
    if study is None:
        return "no-arm"
    known = {one.name for one in study.arms}
    name = arm if arm in known else arm.removesuffix(DEFAULTS_SUFFIX)
    return f"arm-{color_number(study, name)}" if name in known else "no-arm"


def render_template(template: str, *, has_drawings: bool, **words: object) -> str:
    """A template with style and scripts inlined and every other value escaped, on one line.

    Args:
        template: Its name.
        has_drawings: Whether plotly is needed.
        **words: What the template shows.
    """
    scripts = [template_text("report.js")]
    fold = template_text("fold.js")
    if has_drawings:
        from plotly.offline import get_plotlyjs

        scripts.insert(0, get_plotlyjs())
    environment = Environment(
        loader=PackageLoader("bakeoff.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "code": _code, "lead_in": _lead_in, "outcomes": _outcomes, "promised": promised,
        "explained": explained, "explanation": explanation, "plural": plural,
        "in_folder": lambda name: f"{FOLDER}/{name}",
        "train_command": lambda name: f"study train {FOLDER}/{name}.toml",
    }  # fmt: skip
    return environment.get_template(template).render(
        policy=content_security_policy([fold, *scripts]),
        fold_script=Markup(fold),  # noqa: S704 - our own code, hashed above
        scripts=[Markup(script) for script in scripts],  # noqa: S704 - our own code, hashed above
        dark_colors=embedded_json(json.dumps(dict(DARK))),
        style=Markup(template_text("report.css")),  # noqa: S704 - our own style sheet
        arm_colors=ARM_COLORS,
        **words,
    )


def content_security_policy(scripts: list[str]) -> str:
    """A policy that allows exactly these inline scripts, inline styles and generated images.

    Plotly draws with inline styles, and its download as PNG is a `blob:` image.
    """
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in scripts
    )
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline';"
        " img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def embedded_json(text: str) -> Markup:
    """JSON that is safe inside a script element."""
    return Markup(text.translate(JSON_ESCAPES))  # noqa: S704 - every < is escaped


def _figure_table(figure: ReportFigure) -> Table | None:
    """The figure's rows as a table for people who cannot see the figure; None if it is too long."""
    if not 0 < len(figure.rows) <= MAX_INLINE_ROWS:
        return None

    columns = (
        Column(name, name.replace("_", " "), show=_figure_text, numeric=False)
        for name in figure.spec.columns
    )
    title = figure.spec.question
    identity = f"{figure.spec.id}-data"
    return Table(id=identity, title=title, columns=tuple(columns), records=figure.rows)


def _figure_text(value: CellValue) -> str:
    if isinstance(value, float):
        return number_text(value)
    return (None if value is None else str(value)) or MISSING


def _outcomes(arm: ArmSummary) -> list[tuple[Outcome, int]]:
    """How many trials ended with each outcome that occurred, in the order of `OUTCOMES`."""
    counts = ((outcome, arm.num_by_outcome.get(outcome, 0)) for outcome in OUTCOMES)
    return [(outcome, count) for outcome, count in counts if count]


def _shown(value: object) -> object:
    """What a template prints: plain text on one line; markup as it is."""
    is_plain = isinstance(value, str) and not isinstance(value, Markup)
    return printable(str(value)) if is_plain else value


def _lead_in(sentence: str) -> Markup:
    """A sentence in which the part before the first colon, if there is one, is strong."""
    before, colon, after = printable(sentence).partition(": ")
    return (
        Markup("<strong>{}</strong>{}{}").format(before, colon, after) if colon else escape(before)
    )


def _code(text: str) -> Markup:
    """Code with its line ends, every line escaped."""
    return Markup("\n").join(printable(line) for line in text.strip().split("\n"))


def template_text(name: str) -> str:
    """A file from the folder of templates: the style sheet or the script."""
    return files("bakeoff.report").joinpath("templates", name).read_text(encoding="utf-8")
