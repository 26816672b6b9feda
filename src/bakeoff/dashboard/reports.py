"""Reads the files of the written reports, and makes an index with the answer of each."""

import html
import json
import re
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from bakeoff.files import open_below
from bakeoff.studyfile import STUDY_NAME

PLACE = re.compile(r"/reports/(?P<name>[^/]+)(?:/(?P<file>.*))?")
"""The paths of a report's files."""
FILES = re.compile(
    r"index\.html|report\.md|(summary|environment)\.json|tables/[^/]+\.csv"
    r"|figures/[^/]+\.(csv|png|svg)|configurations/[^/]+\.(py|toml)"
    r"|train/[^/]+/(index\.html|config\.toml)"
)
"""The files that a report, or the page on a run of `study train`, consists of."""
KINDS = {
    ".html": "text/html",
    ".md": "text/plain",
    ".csv": "text/csv",
    ".json": "application/json",
    ".py": "text/plain",
    ".toml": "text/plain",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}
LONGEST_SUMMARY = 4_000_000
"""Bytes of `summary.json` that are read; of a longer one, only the name is shown."""
LONGEST_TEXT = 1000
"""Characters of each text of the index."""
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
    """List the names of the studies that have a report in this folder; links are not followed."""
    return sorted(
        page.parent.name
        for page in output.glob("*/index.html")
        if STUDY_NAME.fullmatch(page.parent.name)
        and page.is_file()
        and not (page.is_symlink() or page.parent.is_symlink())
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
        with open_below(output, name, "summary.json") as file:
            found = json.loads(file.read(LONGEST_SUMMARY))
        question = found.get("study", {}).get("question", "")
        headline, level = found.get("verdict", found).get("headline", ""), found.get("level", "")
    except (OSError, ValueError, AttributeError, RecursionError):
        question = headline = level = ""
    name, question, headline, level = (
        html.escape(str(text)[:LONGEST_TEXT]) for text in (name, question, headline, level)
    )
    facts = " · ".join(filter(None, [question and name, level]))
    answer = f"<p>{headline}</p>" if headline else ""
    soft = f'<p class="soft">{facts}</p>' if facts else ""
    return f'<li><a href="/reports/{name}/index.html">{question or name}</a>{answer}{soft}</li>'


def open_report_file(output: Path, name: str, file: str) -> tuple[BinaryIO, str] | None:
    """Open a file that a report consists of.

    Everything else in a study's folder stays private: checkpoints, weights, logs. Links are not
    followed.

    Args:
        output: The folder of results.
        name: Name of a study.
        file: Path below the study's folder.

    Returns:
        The open file and its kind; None if there is no such file.
    """
    kind = KINDS.get(PurePosixPath(file).suffix)
    if kind is None or not (STUDY_NAME.fullmatch(name) and FILES.fullmatch(file)):
        return None
    try:
        return open_below(output, name, *file.split("/")), kind
    except OSError:
        return None
