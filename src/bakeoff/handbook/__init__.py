"""The documentation as HTML pages, made from the Markdown that comes with the package."""

from bakeoff.handbook.contents import Chapter, PageSource, find_page, read_contents
from bakeoff.handbook.links import outside_links_as_urls
from bakeoff.handbook.server import build_server
from bakeoff.handbook.site import build_site, write_site

__all__ = [
    "Chapter",
    "PageSource",
    "build_server",
    "build_site",
    "find_page",
    "outside_links_as_urls",
    "read_contents",
    "write_site",
]
