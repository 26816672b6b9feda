"""The report in a real browser, from a file, without a network."""

from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from bakeoff.analysis.comparison import compare
from bakeoff.records import Flag
from bakeoff.report import write_report
from bakeoff.report.figures import FIGURES
from bakeoff.report.figures.style import ARM_COLORS
from page_visits import ATTACK, DESKTOP, PHONE, Visit, open_page
from record_examples import audited, example_record


@pytest.fixture(name="report", scope="module")
def _report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("report")
    record = audited(example_record(sampler="random", pruner="none", trials_per_arm=30))
    return write_report(compare(record), directory, generated_at="now").html


@pytest.fixture(name="hostile_report", scope="module")
def _hostile_report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    study = audited(example_record(num_arms=2, pruner="none"))
    names = {arm.name: f"{ATTACK}{arm.name}" for arm in study.arms}
    record = replace(
        study,
        name=ATTACK,
        question=ATTACK,
        objective=replace(study.objective, title=ATTACK, unit=ATTACK),
        protocol={ATTACK: ATTACK},
        environment={ATTACK: ATTACK},
        arms=tuple(replace(arm, name=names[arm.name]) for arm in study.arms),
        trials=tuple(replace(run, arm=names[run.arm]) for run in study.trials),
        confirmations=tuple(replace(run, arm=names[run.arm]) for run in study.confirmations),
    )
    flag = Flag(id="W99", title=ATTACK, detail=ATTACK, advice=ATTACK, severity="note")
    comparison = replace(compare(record), flags=(flag,))
    return write_report(comparison, tmp_path_factory.mktemp("hostile"), generated_at=ATTACK).html


def visit(
    browser: Browser, html: Path, *, scheme: str = "light", viewport: dict[str, int] | None = None
) -> Visit:
    seen = open_page(browser, scheme=scheme, viewport=viewport)
    seen.page.goto(html.as_uri())
    seen.unfold()
    return seen


@pytest.mark.parametrize("name", ["report", "hostile_report"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_figure_is_drawn_and_nothing_else_happens(
    browser: Browser, request: pytest.FixtureRequest, name: str, scheme: str
) -> None:
    html = request.getfixturevalue(name)
    seen = visit(browser, html, scheme=scheme)
    assert seen.plots() == len(FIGURES)
    assert seen.complaints == []
    assert seen.requests == [html.as_uri()]
    assert seen.dialogs == []
    seen.page.close()


def test_hostile_names_are_shown_as_text_in_page_and_figures(
    browser: Browser, hostile_report: Path
) -> None:
    page = visit(browser, hostile_report).page
    assert page.locator("h1").inner_text() == ATTACK.replace("\u2028", " ")
    assert page.locator("main img, main b, main a[href^=javascript]").count() == 0
    assert page.locator(".plot svg a").count() == 0
    labels = page.locator("#F1-plot .xtick text").all_text_contents()
    assert labels[0].startswith("</script><img src=x")  # a long name has its middle left out
    assert labels[0].endswith("sgd")
    page.close()


def test_figures_follow_a_change_of_the_colour_scheme(browser: Browser, report: Path) -> None:
    page = visit(browser, report, scheme="light").page
    line = page.locator("#F4-plot .js-line").first
    light, dark = (f"rgb({', '.join(map(str, bytes.fromhex(c[1:])))})" for c in ARM_COLORS[0])
    expect(line).to_have_css("stroke", light)
    page.emulate_media(color_scheme="dark")
    expect(line).to_have_css("stroke", dark)
    expect(page.locator("body")).to_have_css("background-color", "rgb(21, 24, 29)")
    page.close()


def test_page_is_printed_in_light_colours_also_from_a_dark_screen(
    browser: Browser, report: Path
) -> None:
    page = visit(browser, report, scheme="dark").page
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    expect(page.locator("body")).to_have_css("color", "rgb(31, 35, 40)")
    expect(page.locator("#F4-plot .xtick text").first).to_have_css("fill", "rgb(31, 35, 40)")
    page.close()


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("name", ["report", "hostile_report"])
def test_nothing_is_wider_than_the_screen(
    browser: Browser, request: pytest.FixtureRequest, name: str, viewport: dict[str, int]
) -> None:
    page = visit(browser, request.getfixturevalue(name), viewport=viewport).page
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    page.close()


def test_table_is_sorted_by_its_headings_with_the_keyboard(browser: Browser, report: Path) -> None:
    page = visit(browser, report).page
    table = page.locator("#answer table").first
    button = table.get_by_role("button", name="Test mean")
    values = table.locator("tbody tr td:nth-child(3)")
    descending = values.all_text_contents()
    button.focus()
    page.keyboard.press("Enter")
    assert values.all_text_contents() == sorted(descending)
    assert table.locator("th[aria-sort=ascending]").count() == 1
    page.keyboard.press("Enter")
    assert values.all_text_contents() == sorted(descending, reverse=True)
    page.close()


def test_every_figure_has_a_caption_and_its_data(browser: Browser, report: Path) -> None:
    page = visit(browser, report).page
    described = page.locator(".plot[role=img][aria-labelledby][aria-describedby]")
    assert described.count() == len(FIGURES)
    links = page.locator("figcaption a").evaluate_all(
        "links => links.map(a => a.getAttribute('href'))"
    )
    assert [(report.parent / link).is_file() for link in links] == [True] * len(FIGURES)
    page.close()


def test_tables_and_code_are_copied_as_they_are_shown(browser: Browser, report: Path) -> None:
    context = browser.new_context()
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto(report.as_uri())
    page.locator("#answer caption").get_by_role("button", name="Copy the table").click()
    lines = page.evaluate("navigator.clipboard.readText()").split("\n")
    assert lines[0].split("\t")[:3] == ["Arm", "Seeds K", "Test mean"]
    assert len(lines) == 5
    for card in page.locator(".use").all():
        if not card.is_visible():
            continue
        arm = card.locator("h4").first.inner_text().splitlines()[0]
        button = card.get_by_role("button", name=f"Copy the PyTorch code of {arm}")
        button.click()
        expect(button).to_have_text("Copied")
        code = page.evaluate("navigator.clipboard.readText()")
        assert code == card.locator("pre").first.text_content()
        assert "torch.optim." in code
    context.close()


def test_the_page_is_at_most_six_screens_long_until_something_is_unfolded(
    browser: Browser, report: Path
) -> None:
    seen = open_page(browser, viewport={"width": 1280, "height": 900})
    seen.page.goto(report.as_uri())
    seen.page.locator("#F1-plot .main-svg").first.wait_for(state="attached")
    assert seen.page.evaluate("document.documentElement.scrollHeight") <= 6 * 900
    first = seen.page.locator(".use .settings").first
    assert "learning rate" in first.inner_text()
    box = first.bounding_box()
    assert box is not None
    assert box["y"] + box["height"] < 900  # on the first screen
    seen.page.close()


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ("F8", "#F8-plot .main-svg"),
        ("fairness", "#fairness table"),
        ("table-T6", "#table-T6"),
        ("diagnosis", "#diagnosis .findings"),
        ("flag-0", "#flag-0"),
    ],
)
def test_a_link_to_something_folded_unfolds_it(
    browser: Browser, report: Path, target: str, shown: str
) -> None:
    seen = open_page(browser)
    seen.page.goto(report.as_uri())
    seen.page.locator("#F1-plot .main-svg").first.wait_for(state="attached")
    expect(seen.page.locator(shown).first).not_to_be_visible()
    seen.page.goto(f"{report.as_uri()}#{target}")
    expect(seen.page.locator(shown).first).to_be_visible()
    assert seen.complaints == []
    seen.page.close()


def test_without_scripts_nothing_is_folded(browser: Browser, report: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(report.as_uri())
    assert page.locator("details").count() > 10
    assert page.locator("details:not([open])").count() == 0
    context.close()


def test_a_touch_screen_shows_no_tool_bar_and_a_tap_explains_a_word(
    browser: Browser, report: Path
) -> None:
    context = browser.new_context(has_touch=True, is_mobile=True, viewport=PHONE)
    page = context.new_page()
    page.goto(report.as_uri())
    page.locator("#F1-plot .main-svg").first.wait_for(state="attached")
    assert page.locator(".modebar:visible").count() == 0
    word = page.locator(".badge abbr")
    word.tap()
    shown = word.evaluate("one => getComputedStyle(one, '::after').content")
    assert "trained again on fresh seeds" in shown
    context.close()


def test_on_paper_every_configuration_is_open_and_figures_have_its_width(
    browser: Browser, report: Path
) -> None:
    seen = open_page(browser)
    page = seen.page
    page.goto(report.as_uri())
    page.locator("#F1-plot .main-svg").first.wait_for(state="attached")
    assert page.locator("details:not([open])").count() > 10
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == 0
    assert seen.plots() == len(FIGURES)
    expect(page.locator(".copy").first).to_be_hidden()
    widths = page.locator(".plot .main-svg:first-child").evaluate_all(
        "all => all.map(one => one.getBoundingClientRect().width)"
    )
    assert max(widths) <= 680
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details:not([open])").count() > 0
    page.close()
