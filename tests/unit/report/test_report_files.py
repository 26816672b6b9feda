import base64
import hashlib
import json
import math
import os
import re
import time
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from bakeoff.analysis.comparison import compare
from bakeoff.analysis.wording import SCOPE
from bakeoff.files import write_atomically
from bakeoff.records import Comparison, Diagnosis, Flag, StudyRecord, json_text
from bakeoff.report import write_report
from bakeoff.report.figures import FIGURES
from bakeoff.report.html import embedded_json, render_html
from bakeoff.report.markdown import code_block, escape
from bakeoff.report.page import build_page
from record_examples import all_outcomes, example_record, shuffled, unconfirmed

NOW = "2030-01-01 12:00 UTC"
HOSTILE = "</script><img src=x onerror=alert(1)>\u2028[a](javascript:alert(2))=1+1"


@pytest.fixture(name="comparison", scope="module")
def _comparison() -> Comparison:
    return compare(example_record())


def hostile_comparison() -> Comparison:
    """Every text that comes from users or storage is an attack."""
    study = example_record(num_arms=2)
    hostile = {"x": HOSTILE, HOSTILE: HOSTILE}
    record = replace(
        study, name=HOSTILE, question=HOSTILE, sampler=HOSTILE, pruner=HOSTILE,
        protocol=hostile, environment=hostile, config_hash=HOSTILE, reference=HOSTILE,
        arms=tuple(replace(arm, name=arm.name + HOSTILE) for arm in study.arms),
        trials=tuple(
            replace(
                run, arm=run.arm + HOSTILE, stop_reason=HOSTILE, params={**run.params, **hostile}
            )
            for run in study.trials
        ),
        confirmations=tuple(
            replace(run, arm=run.arm + HOSTILE, params={**run.params, **hostile})
            for run in study.confirmations
        ),
    )  # fmt: skip
    comparison = compare(record)
    flag = Flag(id="W99", title=HOSTILE, detail=HOSTILE, advice=HOSTILE, severity="note")
    return replace(comparison, flags=(*comparison.flags, flag), delta_source=HOSTILE)


def contents(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


# ---------------------------------------------------------------- the folder


def test_report_has_every_file(comparison: Comparison, tmp_path: Path) -> None:
    paths = write_report(comparison, tmp_path / "new" / "folder", generated_at=NOW)
    expected = {
        "index.html", "report.md", "summary.json", "environment.json",
        "tables/T1-verdict.csv", "tables/T2-results.csv", "tables/T3-pairs.csv",
        "tables/T4-budget.csv", "tables/T5-effort.csv", "tables/T6-robustness.csv",
        "tables/T7-protocol.csv", "tables/T8-configurations.csv", "tables/T9-importances.csv",
        "tables/T10-pruning.csv", "tables/T11-ledger.csv",
        "tables/answer.csv", "tables/fairness.csv", "tables/trials.csv",
        "figures/F1-confirmed-scores.csv", "figures/F2-pair-differences.csv",
        "figures/F3-best-of-k.csv", "figures/F4-search-progress.csv", "figures/F5-best-arm.csv",
        "figures/F6-learning-rates.csv", "figures/F7-score-distribution.csv",
        "figures/F8-learning-curves.csv", "figures/F9-parameters.csv", "figures/F10-pruning-audit.csv",
    }  # fmt: skip
    arms = {arm.arm for arm in comparison.arms if arm.chosen_params}
    files = {f"configurations/{arm}.{kind}" for arm in arms for kind in ("py", "toml")}
    assert len(files) == 8
    assert set(contents(tmp_path / "new" / "folder")) == expected | files
    assert paths.html.is_file()
    assert len(paths.figures) == len(FIGURES)


def test_equal_comparisons_give_equal_bytes(tmp_path: Path) -> None:
    write_report(compare(example_record()), tmp_path / "a", generated_at=NOW)
    write_report(compare(example_record()), tmp_path / "b", generated_at=NOW)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_time_is_only_in_html_and_markdown(comparison: Comparison, tmp_path: Path) -> None:
    write_report(comparison, tmp_path / "a", generated_at=NOW)
    write_report(comparison, tmp_path / "b", generated_at="later")
    before, after = contents(tmp_path / "a"), contents(tmp_path / "b")
    assert {name for name in before if before[name] != after[name]} == {"index.html", "report.md"}
    assert before["index.html"].replace(NOW.encode(), b"later") == after["index.html"]


def test_stale_tables_and_figures_are_removed_and_other_files_are_kept(
    comparison: Comparison, tmp_path: Path
) -> None:
    kept = (tmp_path / "model.safetensors", tmp_path / "figures" / "mine.png")
    stale = (tmp_path / "figures" / "F3-old.csv", tmp_path / "tables" / "T4-old.csv")
    for path in (*kept, *stale):
        path.parent.mkdir(exist_ok=True)
        path.write_text("old")
    write_report(comparison, tmp_path, generated_at=NOW)
    assert [path.exists() for path in (*kept, *stale)] == [True, True, False, False]


def test_failed_write_keeps_the_old_file_and_leaves_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "report.md"
    write_atomically(path, "old")

    def fail(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, "new")
    assert contents(tmp_path) == {"report.md": b"old"}


@pytest.mark.parametrize(
    "record",
    [
        replace(example_record(), trials=(), confirmations=()),
        replace(example_record(), arms=(), trials=(), confirmations=()),
        unconfirmed(example_record()),
        example_record(num_arms=1),
        example_record(num_seeds=1, defaults=False),
        all_outcomes(example_record(), "pruned"),
        all_outcomes(example_record(), "diverged"),
        all_outcomes(example_record(), "running"),
    ],
    ids=["no trial", "no arm", "L0", "one arm", "one seed", "pruned", "diverged", "running"],
)
def test_report_is_written_whatever_happened(record: StudyRecord, tmp_path: Path) -> None:
    comparison = compare(record)
    paths = write_report(comparison, tmp_path, generated_at=NOW)
    summary = json.loads(paths.summary.read_text())
    assert summary["verdict"]["headline"] == comparison.verdict.headline
    assert escape(comparison.verdict.headline) in paths.markdown.read_text()


@pytest.mark.slow
def test_ten_thousand_trials_are_reported_within_twenty_seconds(tmp_path: Path) -> None:
    """In seconds of one core, since the machine may be shared."""
    record = example_record(trials_per_arm=2500, sampler="random", pruner="none")
    began = time.process_time()
    paths = write_report(compare(record), tmp_path, generated_at=NOW)
    assert time.process_time() - began < 20
    assert paths.html.stat().st_size < 8e6


def test_summary_has_the_same_parts_in_every_release(
    comparison: Comparison, tmp_path: Path
) -> None:
    summary = json.loads(write_report(comparison, tmp_path).summary.read_text())
    assert list(summary) == [
        "study", "level", "verdict", "arms", "pairs", "flags", "delta", "delta_source", "min_seeds",
        "test_standard_error", "diagnoses", "budget", "effort", "importances",
    ]  # fmt: skip


def test_json_is_strict() -> None:
    text = json_text({"a": math.nan, "b": [math.inf, -math.inf, 1.5], "c": None})
    assert json.loads(text) == {"a": None, "b": ["inf", "-inf", 1.5], "c": None}


def test_summary_does_not_depend_on_the_order_of_the_runs(tmp_path: Path) -> None:
    first = write_report(compare(example_record()), tmp_path / "a", generated_at=NOW)
    second = write_report(compare(shuffled(example_record())), tmp_path / "b", generated_at=NOW)
    assert first.summary.read_bytes() == second.summary.read_bytes()


# ---------------------------------------------------------------- HTML


class Outline(HTMLParser):
    """Tags, identities, links and script texts of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.events: list[str] = []
        self.scripts: list[str] = []
        self.policy = ""
        self._in_script = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        self.ids += [found["id"]] if "id" in found else []
        self.links += [found[name] for name in ("href", "src") if name in found]
        self.events += [name for name in found if name.startswith("on")]
        self._in_script = tag == "script" and "type" not in found
        if found.get("http-equiv") == "Content-Security-Policy":
            self.policy = found["content"]

    def handle_data(self, data: str) -> None:
        if self._in_script:
            self.scripts.append(data)
            self._in_script = False


@pytest.fixture(name="outline", scope="module")
def _outline(comparison: Comparison) -> Outline:
    return Outline(render_html(build_page(comparison, generated_at=NOW)))


def test_policy_allows_exactly_the_three_inline_scripts(outline: Outline) -> None:
    hashes = [
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in outline.scripts
    ]
    assert len(hashes) == 3
    allowed = re.search(r"default-src 'none'; script-src ([^;]*);", outline.policy)
    assert allowed is not None
    assert sorted(allowed[1].split()) == sorted(hashes)


def test_page_links_only_to_itself_and_to_files_of_the_report(
    outline: Outline, comparison: Comparison, tmp_path: Path
) -> None:
    write_report(comparison, tmp_path, generated_at=NOW)
    anchors = {link[1:] for link in outline.links if link.startswith("#")}
    others = {link for link in outline.links if not link.startswith("#")}
    assert anchors <= set(outline.ids)
    assert {link for link in others if not (tmp_path / link).is_file()} == set()
    assert len(others) >= len(FIGURES)


def test_every_identity_is_unique(outline: Outline) -> None:
    assert sorted(set(outline.ids)) == sorted(outline.ids)


def test_page_has_landmarks_and_one_main_heading(outline: Outline) -> None:
    counts = {tag: outline.tags.count(tag) for tag in ("header", "nav", "main", "footer", "h1")}
    assert counts == dict.fromkeys(counts, 1)


def test_page_without_figures_needs_no_plotly() -> None:
    comparison = compare(replace(example_record(), trials=(), confirmations=()))
    page = render_html(build_page(comparison, generated_at=NOW))
    assert len(page) < 100_000
    assert "plotly.js v" not in page


def test_hostile_names_add_no_tag_and_no_event() -> None:
    page = render_html(build_page(hostile_comparison(), generated_at=HOSTILE))
    outline = Outline(page)
    assert outline.tags.count("img") == 0
    assert outline.events == []
    assert [link for link in outline.links if "javascript" in link] == []
    assert len(outline.scripts) == 3


def test_json_in_a_script_cannot_end_it() -> None:
    text = embedded_json(json.dumps({HOSTILE: "\u2028\u2029&<!--"}, ensure_ascii=False))
    assert re.search(r"[<>&\u2028\u2029]", text) is None
    assert json.loads(text) == {HOSTILE: "\u2028\u2029&<!--"}


# ---------------------------------------------------------------- Markdown


def test_markdown_has_the_sentences_of_the_verdict(comparison: Comparison, tmp_path: Path) -> None:
    markdown = write_report(comparison, tmp_path, generated_at=NOW).markdown.read_text()
    scope = comparison.verdict.scope
    for one in comparison.verdict.sentences:
        shown = one.replace(f"; this applies to {scope}", "").replace(f", {SCOPE}", "")
        assert f"- {escape(shown)}" in markdown
    assert markdown.count(escape(scope)) == 1  # once for all claims
    assert markdown.count(SCOPE) <= 2  # there and in the headline
    assert markdown.rstrip().endswith(f"Generated at: {escape(NOW)}")


def test_hostile_names_are_no_markdown(tmp_path: Path) -> None:
    comparison = hostile_comparison()
    markdown = write_report(comparison, tmp_path, generated_at=NOW).markdown.read_text()
    outside_code = re.sub(r"```.*?```", "", markdown, flags=re.DOTALL)
    assert re.search(r"(?<!\\)<", outside_code) is None
    assert re.search(r"(?<!\\)\[a", outside_code) is None
    assert "\u2028" not in markdown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("one_cycle is better", "one_cycle is better"),
        ("_x_ and *y*", r"\_x\_ and \*y\*"),
        ("a|b", r"a\|b"),
        ("`code` ~~no~~", r"\`code\` \~\~no\~\~"),
        ("<b> & [x](y)", r"\<b\> \& \[x\](y)"),
        ("# no heading", r"\# no heading"),
        ("- no item", r"\- no item"),
        ("1. no item", r"1\. no item"),
        ("--- no rule", r"\--- no rule"),
        ("-0.0001", "-0.0001"),
        ("0.93 [0.92, 0.94]", r"0.93 \[0.92, 0.94\]"),
        ("two\nlines", "two lines"),
    ],
)
def test_markdown_text_is_shown_as_it_is(text: str, expected: str) -> None:
    assert escape(text) == expected


def test_code_cannot_leave_its_block() -> None:
    block = code_block("a = '''\n```\n# out\n'''", "python")
    assert block.splitlines()[0] == "````python"
    assert block.splitlines()[-1] == "````"


def test_diagnoses_are_in_html_markdown_and_json(tmp_path: Path) -> None:
    evidence = "the loss rose from 0.2 to 0.4."
    found = Diagnosis(arm="sgd", kind="overfitting", evidence=evidence, advice="Stop early.")
    comparison = replace(compare(example_record()), diagnoses=(found,))
    paths = write_report(comparison, tmp_path, generated_at=NOW)
    html = paths.html.read_text()
    assert "<strong>Overfitting</strong> (" in html
    assert evidence in html
    assert f"- sgd, Overfitting: {evidence} To try: Stop early." in paths.markdown.read_text()
    stored = json.loads(paths.summary.read_text())["diagnoses"]
    assert [("sgd", "overfitting", evidence)] == [
        (each["arm"], each["kind"], each["evidence"]) for each in stored
    ]
