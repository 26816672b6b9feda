"""Reports of studies about which little or nothing can be said: no crash, and no claim anywhere."""

import contextlib
import io
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from bakeoff.analysis.comparison import compare
from bakeoff.commands.reporting import print_comparison, print_diagnoses
from bakeoff.records import Comparison, StudyRecord
from bakeoff.report import write_report
from claims import CLAIMS, EQUALITY, banned_in, sentences_of
from record_examples import all_outcomes, damaged, example_record, map_scores, unconfirmed

MARKUP = "<b>x</b>&amp;\"'`*_[a](b)</script><img src=x onerror=alert(1)>"


def first_trials(count: int) -> StudyRecord:
    record = example_record(num_seeds=0, defaults=False)
    return replace(record, trials=record.trials[:count])


def with_scores(score: float) -> StudyRecord:
    """All runs, also the confirmed ones, have one score."""
    return map_scores(example_record(num_arms=3), lambda _: score)


def without_arm(record: StudyRecord, name: str) -> StudyRecord:
    """One arm was never run."""
    kept = [
        tuple(run for run in runs if run.arm != name)
        for runs in (record.trials, record.confirmations)
    ]
    return replace(record, trials=kept[0], confirmations=kept[1])


def with_markup(record: StudyRecord) -> StudyRecord:
    """Every name is full of markup."""

    def renamed(runs):
        return tuple(replace(run, arm=run.arm + MARKUP, stop_reason=MARKUP) for run in runs)

    return replace(
        record, name=MARKUP, question=MARKUP, notes=(MARKUP,),
        arms=tuple(replace(arm, name=arm.name + MARKUP) for arm in record.arms),
        trials=renamed(record.trials), confirmations=renamed(record.confirmations),
        protocol={MARKUP: MARKUP}, environment={MARKUP: MARKUP},
    )  # fmt: skip


UNDECIDABLE: Mapping[str, Callable[[], StudyRecord]] = {
    "no arm": lambda: replace(example_record(), arms=(), trials=(), confirmations=()),
    "no trial": lambda: first_trials(0),
    "one trial": lambda: first_trials(1),
    "two trials": lambda: first_trials(2),
    "all pruned": lambda: all_outcomes(example_record(), "pruned"),
    "all diverged": lambda: all_outcomes(example_record(), "diverged"),
    "all failed": lambda: all_outcomes(example_record(), "failed"),
    "all running": lambda: all_outcomes(example_record(), "running"),
    "unconfirmed": lambda: unconfirmed(example_record()),
    "unconfirmed, one arm missing": lambda: without_arm(unconfirmed(example_record()), "sgd"),
    "one arm": lambda: example_record(num_arms=1),
    "one seed": lambda: example_record(num_seeds=1, defaults=False),
    "too few seeds": lambda: example_record(num_seeds=5, arm_effects=(0.0, -0.1, -0.2, -0.3)),
    "equal scores": lambda: with_scores(0.9),
    "NaN metrics": lambda: with_scores(math.nan),
    "infinite metrics": lambda: with_scores(math.inf),
    "every confirmation diverged": lambda: example_record(
        num_arms=2, diverged_seeds={"sgd": 8, "adam": 8}
    ),
    "one sampler for all": lambda: replace(example_record(), shared_sampler=True),
    "names full of markup": lambda: with_markup(unconfirmed(example_record(num_arms=2))),
    "half of it lost": lambda: damaged(unconfirmed(example_record()), 3),
}
DECIDED_BY_A_TEST = {"equal scores", "every confirmation diverged"}
"""Where arms may be called equal, because all their scores are."""


class Text(HTMLParser):
    """What a reader of a page sees."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._hidden = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._hidden += tag in {"script", "style"}

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in {"script", "style"}

    def handle_data(self, data: str) -> None:
        self.parts += [] if self._hidden else [data]


def printed(comparison: Comparison) -> str:
    """What a person sees in the terminal."""
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        print_comparison(comparison)
        print_diagnoses(comparison)
    return shown.getvalue()


def everywhere(comparison: Comparison, folder: Path) -> dict[str, str]:
    """Each form of the report as text, one line."""
    paths = write_report(comparison, folder, generated_at="now")
    texts = {
        "html": " ".join(Text(paths.html.read_text()).parts),
        "markdown": paths.markdown.read_text().replace("\\", ""),
        "csv": " ".join(path.read_text() for path in (*paths.tables, *paths.figures)),
        "json": paths.summary.read_text(),
        "terminal": printed(comparison),
    }
    return {form: re.sub(r"\s+", " ", text) for form, text in texts.items()}


@pytest.fixture(name="report", scope="module", params=UNDECIDABLE)
def _report(request, tmp_path_factory) -> tuple[str, Comparison, dict[str, str]]:
    """A study's name, what was computed of it, and each form of its report."""
    comparison = compare(UNDECIDABLE[request.param]())
    return request.param, comparison, everywhere(comparison, tmp_path_factory.mktemp("odd"))


def test_nothing_is_claimed_where_nothing_can_be(report) -> None:
    name, comparison, texts = report
    allowed = {"not_enough_data", "no_difference_shown"}
    if name in DECIDED_BY_A_TEST:
        allowed = {"no_difference_shown", "practically_equal"}
    assert {pair.status for pair in comparison.pairs} <= allowed
    assert [form for form, text in texts.items() if CLAIMS.search(text)] == []
    called_equal = {form for form, text in texts.items() if EQUALITY.search(text)}
    assert name in DECIDED_BY_A_TEST or called_equal == set()


def test_every_form_of_a_report_has_the_headline(report) -> None:
    _, comparison, texts = report
    headline = comparison.verdict.headline
    equal = tuple(
        f"The configurations found for {arms} are equal"
        for arms in ("sgd, adam and adamw", "sgd and adam")
    )
    assert headline.startswith(("No ", *equal))
    written = texts | {"json": json.loads(texts["json"])["verdict"]["headline"]}
    assert [form for form, text in written.items() if headline not in text] == []


def test_no_sentence_has_a_banned_word(report) -> None:
    found = {text: banned_in(text) for text in sentences_of(report[1])}
    assert {text: words for text, words in found.items() if words} == {}


def test_a_claim_would_be_found_in_every_form(tmp_path: Path) -> None:
    won = compare(example_record(num_arms=2, pruner="none", arm_effects=(0.0, -0.02)))
    texts = everywhere(won, tmp_path)
    assert [form for form, text in texts.items() if not CLAIMS.search(text)] == []


def test_an_arm_that_is_missing_leaves_the_others_compared(tmp_path: Path) -> None:
    comparison = compare(without_arm(example_record(), "sgd"))
    markdown = everywhere(comparison, tmp_path)["markdown"]
    assert "sgd" not in comparison.verdict.leading
    assert "No configuration of sgd was run on fresh seeds" in markdown
    assert comparison.level == "L1"
    missing = {pair.status for pair in comparison.pairs if "sgd" in (pair.a, pair.b)}
    assert missing == {"not_enough_data"}


def test_markup_in_a_decided_study_changes_no_status(tmp_path: Path) -> None:
    record = example_record(num_arms=2, pruner="none", arm_effects=(0.0, -0.02))
    plain, hostile = compare(record), compare(with_markup(record))
    assert [p.status for p in plain.pairs] == [p.status for p in hostile.pairs]
    page = write_report(hostile, tmp_path, generated_at="now").html.read_text()
    assert "<img" not in page.partition("<body")[2]
