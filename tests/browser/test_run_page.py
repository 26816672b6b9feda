"""The page of one run in a real browser: it draws, asks for nothing, and lets nothing in."""

import shutil
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from bakeoff.records import EpochResult, MetricInfo
from bakeoff.report.run_page import RunPage, render_run_page

ATTACK = "</script><img src=x onerror=alert(1)><b>bold</b>\u2028<a href='javascript:alert(2)'>a</a>"
HISTORY = [
    EpochResult(
        epoch=number, metrics={"accuracy": 0.9 - 0.4 / number, "loss": 0.5 + 0.1 * number},
        train_loss=1 / number, learning_rate=0.1,
    )
    for number in range(1, 13)
]  # fmt: skip


def page_with(text: str) -> RunPage:
    return RunPage(
        study=text,
        run=text,
        objective=MetricInfo(
            name="accuracy", direction="maximize", low=0.0, high=1.0, title=text, unit=text
        ),
        outcome="complete",
        history=HISTORY,
        scored_epoch=12,
        validation_metrics={"accuracy": 0.9, text: 0.5},
        test_metrics={"accuracy": 0.89},
        settings={text: text, "adamw.learning_rate": 0.1},
        note=text,
    )


@pytest.mark.parametrize("text", ["digits", ATTACK], ids=["plain", "hostile"])
def test_it_draws_three_panels_and_nothing_else_happens(tmp_path: Path, text: str) -> None:
    executable = shutil.which("chromium")
    if executable is None:
        pytest.skip("no chromium is installed")
    file = tmp_path / "index.html"
    file.write_text(render_run_page(page_with(text)))
    complaints: list[str] = []
    requests: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable, args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(file.as_uri())
        page.wait_for_selector(".plot .main-svg")
        drawn = page.locator(".plot .cartesianlayer .subplot").count()
        shown = page.locator("main").inner_text()
        images = page.locator("img").count()
        browser.close()
    assert (drawn, images) == (3, 0)
    assert complaints == []
    assert requests == [file.as_uri()]
    assert "Overfitting" in shown
    assert "0.89" in shown


def test_equal_pages_are_equal_bytes() -> None:
    assert render_run_page(page_with("a")) == render_run_page(page_with("a"))
