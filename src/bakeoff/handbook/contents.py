"""Which pages there are, and in which order: the lists of `docs/README.md`."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bakeoff.errors import UsageError, describe_unknown

FOLDER = Path(__file__).parents[1] / "docs"
START = "README.md"
CHAPTER = re.compile(r"^## (?P<title>.+)$", re.MULTILINE)
ENTRY = re.compile(r"^\* \[(?P<title>[^]]+)\]\((?P<path>[^)]+\.md)\)", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class PageSource:
    """A page of the documentation.

    Attributes:
        title: How the lists name it.
        path: Its Markdown file, relative to the folder of the documentation.
    """

    title: str
    path: str

    @property
    def name(self) -> str:
        """The name by which `study docs NAME` opens it."""
        stem, _, folder = self.path.removesuffix(".md").rpartition("/")[::-1]
        return folder or "start" if stem == "README" else stem

    @property
    def html(self) -> str:
        """The file of its HTML, relative to the first page."""
        return re.sub(r"README\.md$", "index.md", self.path).removesuffix(".md") + ".html"

    def read(self) -> str:
        """Its Markdown."""
        return (FOLDER / self.path).read_text(encoding="utf-8")


@dataclass(frozen=True, kw_only=True)
class Chapter:
    """Pages under one heading."""

    title: str
    pages: tuple[PageSource, ...]


def read_contents() -> tuple[Chapter, ...]:
    """All pages in reading order; the first chapter is the page that lists the others."""
    text = (FOLDER / START).read_text(encoding="utf-8")
    start = Chapter(title="", pages=(PageSource(title="Documentation", path=START),))
    titles, bodies = CHAPTER.findall(text), CHAPTER.split(text)[2::2]
    return (start, *map(_read_chapter, titles, bodies))


def _read_chapter(title: str, body: str) -> Chapter:
    pages = (PageSource(**entry.groupdict()) for entry in ENTRY.finditer(body))
    return Chapter(title=title, pages=tuple(pages))


def find_page(chapters: Sequence[Chapter], name: str) -> PageSource:
    """The page that a user names.

    Raises:
        UsageError: There is none of that name; the nearest one is named.
    """
    pages = {page.name: page for chapter in chapters for page in chapter.pages}
    if name not in pages:
        raise UsageError(describe_unknown("page", name, pages))
    return pages[name]
