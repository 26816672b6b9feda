"""The page of one run in a real browser: it draws, asks for nothing, and lets nothing in."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from bakeoff.records import EpochResult, MetricInfo
from bakeoff.report.run_page import RunPage, render_run_page
from page_visits import ATTACK, open_page

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
def test_it_draws_three_panels_and_nothing_else_happens(
    browser: Browser, tmp_path: Path, text: str
) -> None:
    file = tmp_path / "index.html"
    file.write_text(render_run_page(page_with(text)))
    seen = open_page(browser)
    seen.page.goto(file.as_uri())
    seen.page.wait_for_selector(".plot .main-svg")
    shown = seen.page.locator("main").inner_text()
    assert seen.page.locator(".plot .cartesianlayer .subplot").count() == 3
    assert seen.page.locator("img").count() == 0
    assert (seen.complaints, seen.dialogs) == ([], [])
    assert seen.requests == [file.as_uri()]
    assert "Overfitting" in shown
    assert "0.89" in shown
    seen.page.close()


def test_equal_pages_are_equal_bytes() -> None:
    assert render_run_page(page_with("a")) == render_run_page(page_with("a"))
