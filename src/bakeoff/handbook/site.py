"""All pages as HTML files that load nothing from the web."""

import json
import posixpath
import re
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

from bakeoff.files import replace_files
from bakeoff.handbook.contents import Chapter, PageSource, read_contents
from bakeoff.handbook.links import heading_slug, is_url, outside_links_as_urls, resolve
from bakeoff.version import __version__

COMMENT = re.compile(r"<!--.*?-->\n?", re.DOTALL)
ASSETS = {"handbook.css", "handbook.js"}
INDEX = "search-index.js"


def build_site() -> dict[str, str]:
    """Every file of the site by its path: the pages, their style, the script and its index."""
    chapters = read_contents()
    parsed = [(page, _parse(page)) for chapter in chapters for page in chapter.pages]
    site = {page.html: _render_page(page, tokens, chapters) for page, tokens in parsed}
    site |= {name: _asset(name) for name in sorted(ASSETS)}
    entries = [entry for page, tokens in parsed for entry in _search_entries(page, tokens)]
    site[INDEX] = f"const SEARCH_INDEX = {json.dumps(entries, ensure_ascii=False)};\n"
    return site


def write_site(folder: Path) -> None:
    """Write all files into a folder.

    Raises:
        OutputError: A file cannot be written.
    """
    replace_files({folder / path: text for path, text in build_site().items()})


def _render_page(page: PageSource, tokens: Sequence[Token], chapters: Sequence[Chapter]) -> str:
    return (
        _environment()
        .get_template("handbook.html.j2")
        .render(
            page=page,
            chapters=chapters,
            body=Markup(_markdown().renderer.render(tokens, _markdown().options, {})),  # noqa: S704
            sections=list(_sections(tokens)),
            root=posixpath.relpath(".", posixpath.dirname(page.html) or "."),
            version=__version__,
        )
    )


def _parse(page: PageSource) -> list[Token]:
    """The tokens of a page, with anchors at its headings and links to HTML files."""
    markdown = COMMENT.sub("", outside_links_as_urls(page.read(), page.path))
    tokens = _markdown().parse(markdown)
    for heading, text in pairwise(tokens):
        if heading.type == "heading_open":
            heading.attrSet("id", heading_slug(_plain(text)))
    for token in tokens:
        for child in token.children or ():
            if child.type == "link_open":
                child.attrSet("href", _html_link(str(child.attrGet("href")), page))
    _label_cells(tokens)
    return tokens


def _label_cells(tokens: Sequence[Token]) -> None:
    """Give every cell the heading of its column, which narrow screens show beside it."""
    headings, column = list[str](), 0
    for token, text in pairwise(tokens):
        if token.type == "thead_open":
            headings = []
        elif token.type == "th_open":
            headings.append(_plain(text))
        elif token.type == "tr_open":
            column = 0
        elif token.type == "td_open":
            token.attrSet("data-label", headings[column])
            column += 1


def _html_link(target: str, page: PageSource) -> str:
    """A link of the Markdown as a link between HTML files."""
    if is_url(target) or target.startswith("#"):
        return target
    path, fragment, _ = resolve(target, page.path)
    html = PageSource(title="", path=path).html
    return posixpath.relpath(html, posixpath.dirname(page.html) or ".") + fragment


def _sections(tokens: Sequence[Token]) -> Iterator[tuple[str, str]]:
    """Fragment and text of every heading of the second level."""
    for heading, text in pairwise(tokens):
        if heading.type == "heading_open" and heading.tag == "h2":
            yield str(heading.attrGet("id")), _plain(text)


def _search_entries(page: PageSource, tokens: Sequence[Token]) -> Iterator[dict[str, str]]:
    """What the search finds of a page: each part below a heading, with its words."""
    title, place, words = page.title, page.html, list[str]()
    for before, token in zip([None, *tokens], tokens, strict=False):
        if before is not None and before.type == "heading_open" and before.tag != "h1":
            yield {"title": title, "url": place, "text": " ".join(words)}
            title, words = f"{page.title}: {_plain(token)}", []
            place = f"{page.html}#{before.attrGet('id')}"
        elif token.type in {"inline", "fence"}:
            words.append(_plain(token))
    yield {"title": title, "url": place, "text": " ".join(words)}


def _plain(token: Token) -> str:
    """The text of a token without its markup."""
    if not token.children:
        return token.content
    return "".join(one.content or " " * ("break" in one.type) for one in token.children)


@cache
def _markdown() -> MarkdownIt:
    """CommonMark with tables, as GitHub shows it; HTML in a page is shown as text."""
    markdown = MarkdownIt("commonmark", {"html": False, "highlight": _highlight}).enable("table")
    markdown.add_render_rule("table_open", lambda *_: '<div class="wide" tabindex="0"><table>\n')
    markdown.add_render_rule("table_close", lambda *_: "</table></div>\n")
    return markdown


def _highlight(code: str, language: str, _: str) -> str:
    """A block of code with its parts marked; without a language, or an unknown one, as it is."""
    try:
        lexer = get_lexer_by_name(language) if language else None
    except ClassNotFound:
        lexer = None
    return "" if lexer is None else str(highlight(code, lexer, HtmlFormatter(nowrap=True)))


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("bakeoff.handbook", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _asset(name: str) -> str:
    return (files("bakeoff.handbook") / "templates" / name).read_text(encoding="utf-8")
