"""Reads the files of the written reports, and makes an index with the answer of each."""

import html
import json
import re
from pathlib import Path

from bakeoff.studyfile import STUDY_NAME

PLACE = re.compile(r"/reports/(?P<name>[^/]+)(?:/(?P<file>.*))?")
"""The paths of a report's files."""
INDEX_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
STYLE = """
:root{color-scheme:light dark;--soft:light-dark(#5d646d,#a3a9b1);--line:light-dark(#dedcd4,#33383f)}
body{font:17px/1.5 system-ui,sans-serif;max-width:46rem;margin:3rem auto;padding:0 1rem;
background:light-dark(#fbfaf7,#15181d);color:light-dark(#1f2328,#e6e4df);overflow-wrap:anywhere}
a{color:light-dark(#0072b2,#6bbcf0)}ul{list-style:none;padding:0}
li{padding:1rem 0;border-top:1px solid var(--line)}li a{font-weight:600}
p{margin:.25rem 0}.soft{color:var(--soft);font-size:.9em}
"""


def report_names(output: Path) -> list[str]:
    """List the names of the studies that have a report in this folder."""
    return sorted(
        page.parent.name
        for page in output.glob("*/index.html")
        if STUDY_NAME.fullmatch(page.parent.name)
    )


def index_page(output: Path) -> str:
    """Make a page that lists all reports of a folder, with the question and the answer of each."""
    items = "".join(_item(output, name) for name in report_names(output))
    nothing = "<p>There are none yet: <code>study report NAME</code> writes one.</p>"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Reports</title><style>{STYLE}</style></head><body><h1>Reports</h1>"
        f"{f'<ul>{items}</ul>' if items else nothing}"
        '<p class="soft"><a href="/dashboard/">All trials in optuna-dashboard</a></p></body></html>'
    )


def _item(output: Path, name: str) -> str:
    """List one report, by its name only if `summary.json` is missing or damaged."""
    try:
        found = json.loads((output / name / "summary.json").read_text(encoding="utf-8"))
        question = found.get("study", {}).get("question", "")
        headline, level = found.get("verdict", found).get("headline", ""), found.get("level", "")
    except (OSError, ValueError, AttributeError):
        question = headline = level = ""
    name, question, headline, level = (
        html.escape(str(text)) for text in (name, question, headline, level)
    )
    facts = " · ".join(filter(None, [question and name, level]))
    answer = f"<p>{headline}</p>" if headline else ""
    soft = f'<p class="soft">{facts}</p>' if facts else ""
    return f'<li><a href="/reports/{name}/index.html">{question or name}</a>{answer}{soft}</li>'


def read_file(output: Path, name: str, file: str) -> bytes | None:
    """Read a report's file; None for a path that is not inside a report's folder."""
    if name not in report_names(output):
        return None
    try:
        folder = (output / name).resolve()
        path = (folder / file).resolve()
        is_ours = path.is_relative_to(folder) and path.relative_to(folder).parts[0] != "checkpoints"
        return path.read_bytes() if is_ours and path.is_file() else None
    except (OSError, ValueError, RuntimeError, IndexError):
        return None  # no file can have such a name
