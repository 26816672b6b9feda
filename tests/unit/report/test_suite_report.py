"""The report of a suite: the same verdicts in every format."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

from bakeoff.analysis.comparison import compare
from bakeoff.analysis.rules import judge_suite
from bakeoff.records import Contrast, Rule, Suite, Timing, Workload
from bakeoff.report import write_suite_report
from bakeoff.report.markdown import render_markdown
from bakeoff.report.suite_page import build_suite_page
from record_examples import example_record, repeated

HOSTILE = "</script><img src=x onerror=alert(1)>"


def comparison(number):
    parts = [
        example_record(num_arms=2, trials_per_arm=20, num_seeds=3, seed=3 * number + repeat)
        for repeat in range(2)
    ]
    return compare(replace(repeated(parts), name=f"study-{number}"))


@pytest.fixture(name="comparisons", scope="module")
def _comparisons():
    return {f"w{number}": comparison(number) for number in range(3)}


@pytest.fixture(name="suite", scope="module")
def _suite():
    contrast = Contrast(name="adam", a=("adam",))
    half = Contrast(name="half", a=("bf16",), b=("fp32",))
    return Suite(
        name="toy",
        question=f"Do they hold? {HOSTILE}",
        repeats=2,
        workloads=tuple(Workload(name=f"w{one}", file=Path("one.toml")) for one in range(3)),
        rules=(
            Rule(name="adam", says="Use Adam.", workloads=("w0", "w1", "w2"), contrast=contrast),
            Rule(name="gpu", says=HOSTILE, not_tested="it needs a GPU", remark=HOSTILE),
            Rule(
                name="half", says="Half is quick.", workloads=("w0",), measure="precision",
                contrast=half, confirmed_above=1.4, refuted_below=1.4,
            ),
        ),
    )  # fmt: skip


@pytest.fixture(name="found", scope="module")
def _found(suite, comparisons):
    timing = Timing(
        workload="w0", measure="precision", a="bf16", b="fp32",
        a_seconds=(1.0, 1.1, 1.0, 0.9, 1.0, 1.1, 1.0), b_seconds=(2.0, 2.1, 2.2, 1.9, 2.0, 2.2, 2.0),
    )  # fmt: skip
    return judge_suite(suite, comparisons, [timing], commit="abc123")


def test_the_report_says_the_same_everywhere(found, comparisons, tmp_path):
    page = write_suite_report(found, comparisons, tmp_path, generated_at="now")
    html, markdown = page.read_text(), (tmp_path / "report.md").read_text()
    summary = json.loads((tmp_path / "summary.json").read_text())
    with (tmp_path / "tables" / "S1-rules.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert found.headline == "Of 3 rules, 1 confirmed, 1 not shown and 1 not tested."
    assert found.headline in html
    assert found.headline in markdown
    assert summary["headline"] == found.headline
    assert [row["verdict"] for row in rows] == [one.word for one in found.rules]
    assert [row["sentence"] for row in rows] == [one.sentence for one in found.rules]
    assert float(rows[2]["effect"]) == found.rules[2].effect == pytest.approx(2.03, abs=0.05)
    assert summary["rules"][0]["p_holm"] == found.rules[0].p_holm
    assert "commit abc123" in html
    assert "commit abc123" in markdown


def test_hostile_text_stays_text(found, comparisons, tmp_path):
    page = write_suite_report(found, comparisons, tmp_path, generated_at=HOSTILE)
    assert "<img" not in page.read_text()
    assert "<img" not in (tmp_path / "report.md").read_text().replace("\\<img", "")


def test_figures_show_every_rule_that_has_an_effect(found, comparisons):
    figures = build_suite_page(found, comparisons, generated_at="now").figures
    scores, ratios, shares = figures
    assert [(row.rule, row.workload) for row in scores.rows] == [
        ("adam", ""), ("adam", "w0"), ("adam", "w1"), ("adam", "w2"),
    ]  # fmt: skip
    assert scores.rows[0].estimate == found.rules[0].effect
    assert [row.rule for row in ratios.rows] == ["half", "half"]
    assert not shares.rows
    for figure in (scores, ratios):
        drawn, failure = figure.drawn(found)
        assert failure == ""
        assert len(drawn.data) == len(figure.rows)


def test_with_images_the_markdown_shows_them(found, comparisons):
    page = build_suite_page(found, comparisons, generated_at="now", image_formats=("svg",))
    text = render_markdown(page)
    assert "(figures/F12a-score-effects.svg)" in text
    assert "index.html" not in text


def test_a_report_is_written_before_every_study_has_begun(suite, comparisons, tmp_path):
    begun = {"w0": comparisons["w0"]}
    found = judge_suite(suite, begun)
    write_suite_report(found, begun, tmp_path, generated_at="now")
    text = (tmp_path / "report.md").read_text()
    assert "w1 and w2 (not finished)" in text
    assert found.rules[0].verdict == "not_tested"
