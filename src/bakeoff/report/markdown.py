"""Reports as Markdown: the same sentences, tables and numbers as the HTML."""

import re
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from bakeoff.report.figures.style import printable
from bakeoff.report.glossary import COMMAND
from bakeoff.report.numbers import MISSING
from bakeoff.report.page import Page
from bakeoff.report.table import Table

SPECIAL = re.compile(
    r"[\\`*\[\]<>|~$&]|(?<![^\W_])_|_(?![^\W_])|^[#=]|^[+-](?=[\s-]|$)|(?<=^\d)[.)](?=\s|$)"
)
"""What Markdown obeys: these characters, underscores that are not inside a word, and the starts of
headings, lists and rules."""


class Verbatim(str):
    """Text that is Markdown already."""

    __slots__ = ()


def render_markdown(page: Page[Any]) -> str:
    """The whole report; every text in it is escaped unless it is `Verbatim`."""
    environment = Environment(  # noqa: S701 - not HTML: finalize escapes for Markdown
        loader=PackageLoader("bakeoff.report"),
        undefined=StrictUndefined,
        finalize=lambda value: value if isinstance(value, Verbatim) else escape(str(value)),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"markdown_table": markdown_table, "code_block": code_block}
    return environment.get_template(f"{page.template}.md.j2").render(page=page)


def escape(text: str) -> str:
    """`text` on one line, escaped so that Markdown shows it literally, and commands as code."""
    shown, parts, end = printable(text), [], 0
    for found in COMMAND.finditer(shown):
        parts += [_literal(shown[end : found.start()]), found[0]]
        end = found.end()
    return "".join([*parts, _literal(shown[end:])])


def _literal(text: str) -> str:
    return SPECIAL.sub(r"\\\g<0>", text)


def markdown_table(table: Table) -> Verbatim:
    """The columns that people see, as a Markdown table; a dash if it has no rows."""
    if not table.rows:
        return Verbatim(MISSING)
    shown = table.shown()
    lines = [
        [escape(column.heading) for column in shown.columns],
        ["---:" if column.numeric else "---" for column in shown.columns],
        *([escape(cell.text) for cell in row] for row in shown.rows),
    ]
    return Verbatim("\n".join("| " + " | ".join(line) + " |" for line in lines))


def code_block(text: str, language: str) -> Verbatim:
    """A fenced code block; the fence is longer than any run of backticks inside."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    lines = "\n".join(printable(line) for line in text.strip().split("\n"))
    return Verbatim(f"{fence}{language}\n{lines}\n{fence}")
