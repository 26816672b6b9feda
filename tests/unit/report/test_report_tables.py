import csv
import io
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from types import SimpleNamespace

import pytest
from hypothesis import given, strategies as st

from bakeoff.analysis.comparison import compare
from bakeoff.records import BoundaryMark, Comparison
from bakeoff.report.html import render_html
from bakeoff.report.markdown import escape, markdown_table
from bakeoff.report.numbers import (
    duration_text,
    interval_text,
    median_half_width,
    number_text,
    p_text,
)
from bakeoff.report.page import build_page, build_tables
from bakeoff.report.study_tables import trials_table
from bakeoff.report.table import CellValue, Column, Table, csv_text, interval, of_part
from bakeoff.report.verdict_tables import delta_text, results_table
from record_examples import as_error_rate, example_record, unconfirmed

NUMBER = re.compile(r"-?\d+\.?\d*(?:e[+-]?\d+)?")
UNITS = re.compile(r"\d+ (?:min|s|h)\b")


@pytest.fixture(name="comparison", scope="module")
def _comparison() -> Comparison:
    return compare(example_record())


def table(comparison: Comparison, identity: str) -> Table:
    return next(table for table in build_tables(comparison) if table.id == identity)


def test_tables_come_in_the_order_of_the_report(comparison: Comparison) -> None:
    ids = [table.id for table in build_tables(comparison)]
    assert ids == ["T1", "T2", "T3", "T4", "T5", "T6", "T7", "T8", "T9", "T10", "T11"]


# ---------------------------------------------------------------- the texts and the CSV agree


def numbers_without_stored_value(shown: Table) -> Iterator[str]:
    """Numbers in a table's texts that rounding no value of the same CSV row gives."""
    stored = list(csv.reader(io.StringIO(shown.csv())))[1:]
    for row, fields in zip(shown.rows, stored, strict=True):
        values = [float(field) for field in fields if is_number(field)]
        for cell, column in zip(row, shown.columns, strict=True):
            if column.numeric and not UNITS.search(cell.text):
                yield from (text for text in NUMBER.findall(cell.text) if not known(text, values))


def is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def known(text: str, values: list[float]) -> bool:
    decimals = len(text.partition("e")[0].partition(".")[2])
    tolerance = 0.5 * 10.0**-decimals * (1 + 1e-9)
    scale = 10.0 ** int(text.partition("e")[2] or 0)
    return any(abs(float(text) - value) <= tolerance * scale for value in values) or (
        text == "0.001"  # the floor of p values
    )


@pytest.mark.parametrize("identity", ["T2", "T3", "T4", "T5", "T6", "T8"])
@pytest.mark.parametrize(
    "record",
    [
        example_record(),
        unconfirmed(example_record()),
        as_error_rate(example_record()),
        example_record(diverged_seeds={"sgd": 2}),
        example_record(sampler="random", pruner="none", trials_per_arm=30),
    ],
    ids=["full", "unconfirmed", "error rate", "diverged", "random search"],
)
def test_every_number_people_see_is_a_rounded_number_of_the_csv(record, identity: str) -> None:
    assert list(numbers_without_stored_value(table(compare(record), identity))) == []


def test_a_wrong_text_would_be_noticed(comparison: Comparison) -> None:
    results = table(comparison, "T2")
    first = results.records[0]
    columns = list(results.columns)
    columns[3] = replace(columns[3], show=lambda _: "0.9999")
    changed = replace(results, columns=tuple(columns), records=(first,))
    assert list(numbers_without_stored_value(changed)) == ["0.9999"]


@pytest.mark.parametrize("identity", ["T2", "T3", "T6", "T8"])
def test_html_and_markdown_show_the_same_cells(comparison: Comparison, identity: str) -> None:
    shown = table(comparison, identity).shown()
    page = render_html(build_page(comparison, generated_at="now"))
    text = unescape(re.sub(r"<[^>]+>", "", page[page.index("<main>") : page.index("</main>")]))
    markdown = markdown_table(shown)
    texts = [cell.text for row in shown.rows for cell in row]
    assert [shown_text for shown_text in texts if shown_text not in text] == []
    assert [text for text in texts if escape(text) not in markdown] == []


# ---------------------------------------------------------------- content of single tables


def test_page_shows_known_budget_estimates_and_counts_those_withheld(
    comparison: Comparison,
) -> None:
    page = build_page(comparison, generated_at="now")
    known = [found for found in comparison.budget if found.estimate is not None]
    assert len(page.table("T4").where("note", "").rows) == len(known)
    withheld = len(comparison.budget) - len(known)
    assert withheld > 0
    assert f"Of {len(comparison.budget)} estimates, {withheld} are" in page.table("T4").note


def test_robustness_gives_both_counts_where_pruning_leaves_them_open() -> None:
    record = example_record(sampler="random", pruner="halving", trials_per_arm=40)
    record = replace(record, score_rule="best_epoch")
    row = table(compare(record), "T6").rows[0]
    keys = [column.key for column in table(compare(record), "T6").columns]
    cells = dict(zip(keys, row, strict=True))
    low, high = cells["own_at_least"].value, cells["own_at_most"].value
    assert f"{low} to {high}" == cells["own_at_least"].text


def test_results_have_the_leading_arm_first_and_say_who_leads(comparison: Comparison) -> None:
    results = table(comparison, "T2")
    leading = [row[0].value for row in results.rows if row[1].value == "yes"]
    assert leading == list(comparison.verdict.leading)
    assert results.rows[0][0].value == comparison.arms[0].arm


def test_results_before_confirmation_have_search_scores_only() -> None:
    results = table(compare(unconfirmed(example_record())), "T2")
    row = dict(zip([column.key for column in results.columns], results.rows[0], strict=True))
    assert (row["test_mean"].text, row["selection_gap"].text) == ("\u2013", "\u2013")
    assert isinstance(row["search_best"].value, float)


def test_reference_arm_has_ratio_one_and_others_are_relative_to_it() -> None:
    comparison = compare(replace(example_record(), reference="sgd"))
    effort = table(comparison, "T5").shown("arm", "median_seconds", "seconds_ratio")
    seconds = {row[0].value: row[1].value for row in effort.rows}
    ratios = {row[0].value: row[2].value for row in effort.rows}
    assert ratios["sgd"] == 1.0
    assert ratios["adamw"] == pytest.approx(seconds["adamw"] / seconds["sgd"])


def test_chosen_value_at_the_edge_is_marked() -> None:
    comparison = compare(example_record())
    first = comparison.arms[0]
    parameter = f"{first.arm}.learning_rate"
    mark = BoundaryMark(parameter=parameter, value=0.09, side="high", bound=0.1, raises_flag=True)
    marked = replace(comparison, arms=(replace(first, boundaries=(mark,)), *comparison.arms[1:]))
    rows = {
        row[2].value: row[5].text for row in table(marked, "T8").rows if row[0].value == first.arm
    }
    assert rows[parameter] == "high end (0.1), widen it"


def test_protocol_prints_every_space_with_its_bounds(comparison: Comparison) -> None:
    spaces = table(comparison, "T7").where("section", "space")
    assert len(spaces.rows) == sum(len(arm.space) for arm in comparison.study.arms)
    assert ("sgd.learning_rate", "0.001 to 1, log scale") in {
        (row[2].text, row[3].text) for row in spaces.rows
    }


@pytest.mark.parametrize(
    ("arithmetic", "named", "expected"),
    [
        ("plain", "auto", ["plain: runs train one by one"]),
        ("plain", "plain", ["plain: runs train one by one, as the study file says"]),
        ("stacked", "auto", ["stacked: runs train many at once"]),
        ("stacked", "stacked", ["stacked: runs train many at once, as the study file says"]),
    ],
)
def test_protocol_says_how_the_runs_of_the_confirmation_train(
    comparison: Comparison, arithmetic: str, named: str, expected: list[str]
) -> None:
    confirm = replace(comparison.study.confirm, arithmetic=named)
    study = replace(comparison.study, arithmetic=arithmetic, confirm=confirm)
    assert arithmetic_rows(replace(comparison, study=study)) == expected


def test_protocol_says_nothing_of_a_confirmation_that_there_is_not(comparison: Comparison) -> None:
    study = comparison.study
    without = replace(study, confirm=replace(study.confirm, seeds=0))
    assert arithmetic_rows(replace(comparison, study=without)) == []
    foreign = replace(comparison, study=replace(study, foreign=True))
    assert arithmetic_rows(foreign) == []


def arithmetic_rows(comparison: Comparison) -> list[str]:
    rows = table(comparison, "T7").rows
    return [row[3].text for row in rows if row[2].text == "arithmetic of the confirmation"]


def test_trials_table_has_one_row_per_run(comparison: Comparison) -> None:
    study = comparison.study
    rows = list(csv.DictReader(io.StringIO(trials_table(study).csv())))
    assert len(rows) == len(study.trials) + len(study.confirmations)
    first = study.trials[0]
    assert float(rows[0]["params_sgd.learning_rate"]) == first.params["sgd.learning_rate"]
    assert rows[0]["params_adam.learning_rate"] == ""


# ---------------------------------------------------------------- CSV and numbers


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, ""),
        (math.nan, ""),
        (math.inf, "inf"),
        (-math.inf, "-inf"),
        (0.1 + 0.2, "0.30000000000000004"),
        (-3, "-3"),
        (True, "true"),
        ("adamw", "adamw"),
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-cmd|' /C calc'!A0", "'-cmd|' /C calc'!A0"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("  =1+1", "'  =1+1"),
        ("\t=1+1", "' =1+1"),
        ("\uff1d1+1", "'\uff1d1+1"),
        ("a=b", "a=b"),
        ("two\nlines", "two lines"),
    ],
)
def test_csv_field(value: CellValue, expected: str) -> None:
    rows = list(csv.reader(io.StringIO(csv_text(["name"], [[value]]))))
    assert rows == [["name"], [expected]]


@given(st.text(), st.text())
def test_no_text_becomes_a_formula_and_no_row_breaks(name: str, text: str) -> None:
    rows = list(csv.reader(io.StringIO(csv_text([name, "b"], [[text, 1.5]]))))
    assert [len(row) for row in rows] == [2, 2]
    assert not any(field.lstrip().startswith(("=", "+", "-", "@")) for row in rows for field in row)


@given(st.floats(allow_nan=False))
def test_csv_keeps_full_precision(value: float) -> None:
    assert float(list(csv.reader(io.StringIO(csv_text(["x"], [[value]]))))[1][0]) == value


@pytest.mark.parametrize(
    ("value", "half_width", "expected"),
    [
        (0.92857, 0.0012, "0.9286"),
        (0.92857, 0.012, "0.929"),
        (12345.6, 250.0, "12346"),
        (0.92857, None, "0.9286"),
        (0.92857, 0.0, "0.9286"),
        (0.92857, math.inf, "0.9286"),
        (None, 0.1, "\u2013"),
        (math.nan, 0.1, "\u2013"),
        (math.inf, 0.1, "\u221e"),
    ],
)
def test_number_has_two_digits_of_the_half_width(
    value: float | None, half_width: float | None, expected: str
) -> None:
    assert number_text(value, half_width) == expected


def test_column_is_rounded_by_the_median_half_width() -> None:
    intervals = [(0.0, 0.2), (1.0, 1.02), (5.0, 5.0), (0.0, math.inf), (0.0, 0.04)]
    assert median_half_width(intervals) == pytest.approx(0.02)
    assert median_half_width([(1.0, 1.0)]) is None


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.91, 0.93, "[0.910, 0.930]"),
        (-math.inf, math.inf, "[-\u221e, \u221e]"),
        (math.nan, 0.93, "\u2013"),
    ],
)
def test_interval_text(low: float | None, high: float | None, expected: str) -> None:
    assert interval_text((low, high), 0.01) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.01234, "0.0123 s"), (59.4, "59.4 s"), (250, "4 min 10 s"), (9000, "2.5 h"),
     (math.inf, "\u221e"), (math.nan, "\u2013"), (None, "\u2013")],
)  # fmt: skip
def test_duration_text(seconds: float | None, expected: str) -> None:
    assert duration_text(seconds) == expected


@pytest.mark.parametrize(("p", "expected"), [(0.0421, "0.042"), (0.0002, "< 0.001"), (1.0, "1")])
def test_p_text(p: float, expected: str) -> None:
    assert p_text(p) == expected


def test_columns_without_heading_are_only_in_the_csv() -> None:
    columns = (
        Column("low"),
        Column("interval", "Interval", label=lambda row: f"[{row.low:g}, 2]", stored=False),
    )
    made = Table(id="T0", title="", columns=columns, records=(SimpleNamespace(low=1.0),))
    assert made.csv() == "low\n1.0\n"
    assert [cell.text for cell in made.shown().rows[0]] == ["[1, 2]"]


def test_a_column_about_a_missing_part_is_empty() -> None:
    columns = of_part("confirmed.scores", Column("mean", "Mean"), *interval("ci", "CI"))
    rows = tuple(
        SimpleNamespace(confirmed=SimpleNamespace(scores=scores))
        for scores in (None, SimpleNamespace(mean=0.5, ci=(0.25, 0.75)))
    )
    made = Table(id="T0", title="", columns=columns, records=rows)
    assert made.csv() == "mean,ci_low,ci_high\n,,\n0.5,0.25,0.75\n"
    assert [[cell.text for cell in row] for row in made.shown().rows] == [
        ["\u2013", "\u2013"], ["0.5", "[0.25, 0.75]"]
    ]  # fmt: skip


# ---------------------------------------------------------------- the ledger


def values_where(shown: Table, **wanted: str) -> list[dict[str, CellValue]]:
    keys = [column.key for column in shown.columns]
    rows = [dict(zip(keys, (cell.value for cell in row), strict=True)) for row in shown.rows]
    return [row for row in rows if wanted.items() <= row.items()]


def test_the_ledger_splits_what_the_search_cost_by_outcome(comparison: Comparison) -> None:
    ledger = table(comparison, "T11")
    for arm in comparison.arms:
        rows = values_where(ledger, arm=arm.arm, part="search")
        assert {row["outcome"]: row["num_runs"] for row in rows} == arm.num_by_outcome
        assert len(rows) > 1
        assert sum(row["epochs"] for row in rows) == arm.epochs
        assert sum(row["train_seconds"] for row in rows) == pytest.approx(arm.train_seconds)
        assert sum(row["evaluate_seconds"] for row in rows) == pytest.approx(arm.evaluate_seconds)


def test_the_ledger_ends_each_arm_with_every_run_of_the_study(comparison: Comparison) -> None:
    study = comparison.study
    runs = [*study.trials, *study.confirmations]
    assert {run.purpose for run in runs} >= {"search", "confirm"}
    for arm in comparison.arms:
        *parts, total = values_where(table(comparison, "T11"), arm=arm.arm)
        assert total["part"] == "in all"
        assert total["num_runs"] == sum(run.arm == arm.arm for run in runs)
        for key in ("num_runs", "epochs", "train_seconds", "evaluate_seconds"):
            assert total[key] == pytest.approx(sum(row[key] for row in parts))


def test_the_ledger_keeps_the_default_apart_from_the_search(comparison: Comparison) -> None:
    study, arm = comparison.study, comparison.arms[0].arm
    first = next(run for run in study.trials if run.arm == arm)
    trials = [replace(run, phase="default") if run is first else run for run in study.trials]
    found = compare(replace(study, trials=tuple(trials)))
    (row,) = values_where(table(found, "T11"), arm=arm, part="library default")
    assert (row["num_runs"], row["epochs"]) == (1, first.epochs_run)


def test_columns_without_a_value_are_not_shown_but_stored() -> None:
    table = results_table(compare(unconfirmed(example_record(num_arms=2, defaults=False))))
    assert [column.heading for column in table.shown().columns] == [
        "Arm", "Seeds K", "Search best"
    ]  # fmt: skip
    assert "test_mean" in table.csv().splitlines()[0]
    empty = replace(table, records=())
    assert len(empty.shown().columns) > 3


def test_an_unknown_delta_is_called_unknown() -> None:
    unknown = compare(replace(unconfirmed(example_record()), delta=None))
    assert delta_text(unknown) == "delta (unknown before confirmation)"
    known = compare(replace(example_record(), delta=0.01))
    assert delta_text(known) == "delta = 0.01 (set in the study file)"
