"""Text and tables agree: every number of the HTML and the Markdown is in a CSV."""

import csv
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from bakeoff.analysis.comparison import compare
from bakeoff.report import ReportPaths, write_report
from record_examples import example_record, unconfirmed, with_seconds

NUMBER = re.compile(r"(?<![\w.#-])-?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?(?![\w]|\.\d)")
SPLIT_DURATION = re.compile(r"\b(\d+) min (\d+) s\b")
SKIPPED_TAGS = {"script", "style", "pre", "code", "title", "summary"}
CONSTANTS = {
    "0", "1", "2", "3", "5", "10", "20", "30", "50", "95", "100", "0.8", "0.95", "5,000", "2024", "250", "2002",
    "4", "60", "29", "0.75",
}  # fmt: skip
"""Of the notes that explain a table: levels, counts of resamples, years of sources."""
SCALES = (1.0, 100.0, 1 / 60, 1 / 3600)
"""A CSV holds shares and seconds; people read percents, minutes and hours too."""


class VisibleText(HTMLParser):
    """Collects what a reader sees, without code and scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._skipping = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._skipping += tag in SKIPPED_TAGS

    def handle_endtag(self, tag: str) -> None:
        self._skipping -= tag in SKIPPED_TAGS
        self.parts.append(" ")

    def handle_data(self, data: str) -> None:
        if not self._skipping:
            self.parts.append(data)


def visible_text(paths: ReportPaths) -> Iterator[str]:
    parser = VisibleText()
    parser.feed(paths.html.read_text())
    yield "".join(parser.parts)
    without_code = re.sub(r"```.*?```", "", paths.markdown.read_text(), flags=re.DOTALL)
    yield re.sub(r"\]\([^)]*\)", "]", without_code).replace("\\", "")


def tokens(text: str) -> set[str]:
    """Numbers as they are written, durations of two units as seconds."""
    merged = SPLIT_DURATION.sub(lambda m: f"{60 * int(m[1]) + int(m[2])} s", text)
    return set(NUMBER.findall(merged))


def csv_numbers(paths: ReportPaths) -> np.ndarray:
    """Every number of every cell, also those inside a text."""
    found: list[float] = []
    for path in (*paths.tables, *paths.figures):
        with path.open(newline="") as file:
            for row in csv.reader(file):
                for cell in row:
                    found += [float(one.replace(",", "")) for one in NUMBER.findall(cell)]
    values = np.array([value for value in found if math.isfinite(value)])
    return np.unique(np.concatenate([scale * np.abs(values) for scale in SCALES]))


def half_digit(token: str) -> float:
    """Half a unit of the last digit that is written."""
    mantissa, _, exponent = token.replace(",", "").partition("e")
    decimals = len(mantissa.partition(".")[2])
    return 0.5 * 10.0 ** (int(exponent or 0) - decimals)


def unmatched(paths: ReportPaths) -> list[str]:
    known = csv_numbers(paths)
    return [
        token
        for text in visible_text(paths)
        for token in sorted(tokens(text) - CONSTANTS)
        if np.min(np.abs(known - abs(float(token.replace(",", ""))))) > half_digit(token) * 1.001
    ]


@pytest.fixture(name="paths", scope="module")
def _paths(tmp_path_factory: pytest.TempPathFactory) -> ReportPaths:
    record = example_record(num_arms=3, sampler="random", pruner="none", trials_per_arm=32)
    return write_report(compare(record), tmp_path_factory.mktemp("report"), generated_at="now")


def test_every_number_of_a_whole_report_is_in_a_csv(paths: ReportPaths) -> None:
    assert all(len(tokens(text)) > 200 for text in visible_text(paths))
    assert unmatched(paths) == []


def test_every_number_of_a_report_on_several_objectives_is_in_a_csv(tmp_path: Path) -> None:
    record = with_seconds(example_record(num_arms=2, sampler="random", pruner="none"))
    paths = write_report(compare(record), tmp_path, generated_at="now")
    assert all("front of all arms" in text for text in visible_text(paths))
    assert unmatched(paths) == []


@pytest.mark.parametrize("kind", ["pruned", "unconfirmed"])
def test_every_number_of_a_smaller_report_is_in_a_csv(kind: str, tmp_path: Path) -> None:
    record = example_record(num_arms=2)
    comparison = compare(unconfirmed(record) if kind == "unconfirmed" else record)
    assert unmatched(write_report(comparison, tmp_path, generated_at="now")) == []


def test_what_was_noted_while_the_study_ran_is_shown_and_is_in_a_csv(tmp_path: Path) -> None:
    notes = ("sgd: pruning switched off after 8717 audited trials", "timeout of 41.5 s, extended")
    record = replace(example_record(num_arms=2), notes=notes)
    paths = write_report(compare(record), tmp_path, generated_at="now")
    for text in visible_text(paths):
        assert "This was noted while the study ran" in text
        assert all(f"{note}." in text for note in notes)
        assert {"8717", "41.5"} <= tokens(text)
    assert unmatched(paths) == []


def test_a_number_that_is_in_no_csv_is_found(paths: ReportPaths) -> None:
    """The check itself: one digit changed in the Markdown is noticed."""
    text = paths.markdown.read_text()
    paths.markdown.write_text(text + "\nmean 0.123456\n")
    try:
        assert unmatched(paths) == ["0.123456"]
    finally:
        paths.markdown.write_text(text)
