"""One browser for all pages of a test module; an open browser keeps a core busy."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from outside_pip import need_browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chrome or Chromium; a test that asks for it is skipped where none is installed."""
    executable = need_browser()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable, args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()
