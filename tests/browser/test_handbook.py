"""The documentation in a real browser: light, dark and on a narrow screen."""

import pytest
from playwright.sync_api import Browser

from bakeoff.handbook import write_site


@pytest.fixture(scope="module", name="site")
def _site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("handbook")
    write_site(folder)
    return folder


def opened(browser: Browser, site, path, *, scheme="light", width=1280):
    page = browser.new_page(color_scheme=scheme, viewport={"width": width, "height": 800})
    page.set_default_timeout(20_000)
    complaints = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda request: complaints.append(request.url))
    page.goto((site / path).as_uri())
    return page, complaints


def is_dark(page):
    color = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return sum(int(part) for part in color.removeprefix("rgb(").removesuffix(")").split(",")) < 384


@pytest.mark.parametrize(
    "path", ["index.html", "reference/commands.html", "reference/study-file.html"]
)
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("dark", 390)])
def test_a_page_fits_its_window_in_the_colours_of_the_system(browser, site, path, scheme, width):
    page, complaints = opened(browser, site, path, scheme=scheme, width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert is_dark(page) == (scheme == "dark")
    assert complaints == []
    page.close()


def test_the_search_leads_to_a_part_of_a_page(browser, site):
    page, complaints = opened(browser, site, "guides/study-files.html")
    page.keyboard.press("/")
    page.keyboard.type("verify-resume kills")
    page.locator("#found a", has_text="Commands: study verify-resume").click()
    page.wait_for_url("**/reference/commands.html#study-verify-resume")
    assert page.locator("#study-verify-resume").is_visible()
    assert complaints == []
    page.close()


def test_a_search_without_a_result_says_so(browser, site):
    page, _ = opened(browser, site, "index.html")
    page.fill("#search", "zebra crossing")
    assert page.locator("#found").inner_text() == "Nothing was found."
    page.close()


def test_what_a_search_finds_fits_a_narrow_screen(browser, site):
    page, _ = opened(browser, site, "index.html", width=390)
    page.fill("#search", "learning rate")
    place = page.locator("#found").bounding_box()
    assert place["x"] >= 0
    assert place["x"] + place["width"] <= 390
    page.close()


def test_the_list_of_pages_opens_on_a_narrow_screen(browser, site):
    page, _ = opened(browser, site, "index.html", width=390)
    link = page.locator("#pages a", has_text="Fine-tuning")
    assert not link.is_visible()
    page.click("#menu")
    link.click()
    page.wait_for_url("**/guides/fine-tuning.html")
    page.close()
