"""Hooks of the site: its pages are those of the handbook, in the same order."""

from typing import Any

from bakeoff.handbook import outside_links_as_urls, read_contents


def on_config(config: Any) -> Any:
    """Set the navigation."""
    start, *chapters = read_contents()
    config.nav = [
        {page.title: page.path for page in start.pages},
        *({one.title: [{page.title: page.path} for page in one.pages]} for one in chapters),
    ]
    return config


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Link to files outside the documentation by their addresses."""
    return outside_links_as_urls(markdown, page.file.src_uri)
