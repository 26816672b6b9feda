"""Several studies together: what they may say, and their report."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bakeoff.analysis.comparison import compare
from bakeoff.analysis.workloads import MIN_WORKLOADS, AcrossWorkloads, compare_workloads
from bakeoff.records import Comparison
from bakeoff.report import write_workloads_report
from bakeoff.report.figures.workload_ranks import ACROSS_FIGURES
from bakeoff.report.page import build_across_page
from record_examples import as_error_rate, example_record

MEANS = {"sgd": 0.90, "adam": 0.90, "adamw": 0.91}
"""True test means of the arms."""
HOSTILE = "</script><img src=x onerror=alert(1)>"


def study(number: int) -> Comparison:
    rng = np.random.default_rng(number)
    scores = {arm: rng.normal(mean, 0.002, size=8).tolist() for arm, mean in MEANS.items()}
    record = example_record(num_arms=3, trials_per_arm=5, seed=number, test_scores=scores)
    return compare(replace(record, name=f"study-{number}", config_hash=f"{number:064x}"))


@pytest.fixture(name="studies", scope="module")
def _studies() -> list[Comparison]:
    return [study(number) for number in range(MIN_WORKLOADS + 1)]


@pytest.fixture(name="found", scope="module")
def _found(studies: list[Comparison]) -> AcrossWorkloads:
    return compare_workloads(studies)


def test_seven_workloads_show_the_better_arm(found: AcrossWorkloads) -> None:
    assert found.level == "L3"
    assert found.arms[0].arm == "adamw"
    assert found.arms[0].wins == len(found.counted) == MIN_WORKLOADS + 1
    assert found.test is not None
    assert found.test.p < 0.05
    assert "adamw ranks above" in found.headline
    assert found.headline.endswith("on these 7 workloads.")


def test_below_six_workloads_nothing_is_tested(studies: list[Comparison]) -> None:
    few = compare_workloads(studies[: MIN_WORKLOADS - 1])
    assert few.test is None
    assert few.level == "L1"
    assert few.headline.startswith("No verdict across workloads: 5 of at least 6")
    assert not any(pair.shown for pair in few.pairs)
    assert all(pair.sentence.startswith("Observed") for pair in few.pairs)


def test_a_study_without_confirmation_does_not_count(studies: list[Comparison]) -> None:
    loose = compare(replace(example_record(num_arms=3, num_seeds=0), name="loose"))
    found = compare_workloads([*studies, loose])
    assert len(found.counted) == len(studies)
    assert any("are not counted" in note and "loose" in note for note in found.notes)


def test_only_common_arms_are_compared(studies: list[Comparison]) -> None:
    two = compare(replace(example_record(num_arms=2, num_seeds=8), name="two"))
    found = compare_workloads([*studies, two])
    assert found.arm_names == ("sgd", "adam")
    assert found.test is None or found.test.method == "Wilcoxon signed-rank"


def test_no_common_arm_is_no_comparison(studies: list[Comparison]) -> None:
    other = studies[0].study
    renamed = replace(
        other,
        arms=tuple(replace(arm, name=f"x-{arm.name}") for arm in other.arms),
        trials=tuple(replace(run, arm=f"x-{run.arm}") for run in other.trials),
        confirmations=(),
    )
    found = compare_workloads([studies[0], compare(renamed)])
    assert found.headline.startswith("No comparison")
    assert found.level == "L0"
    assert found.pairs == ()


def test_a_metric_to_be_minimised_ranks_the_lowest_first(studies: list[Comparison]) -> None:
    found = compare_workloads([compare(as_error_rate(one.study)) for one in studies])
    assert found.arms[0].arm == "adamw"


def test_equal_settings_are_noticed(studies: list[Comparison]) -> None:
    found = compare_workloads([studies[0], studies[0]])
    assert any("same settings" in note for note in found.notes)


def test_the_report_says_the_same_everywhere(found: AcrossWorkloads, tmp_path: Path) -> None:
    page = write_workloads_report(found, tmp_path / "across", generated_at="now")
    markdown = (tmp_path / "across" / "report.md").read_text()
    for text in (page.read_text(), markdown):
        assert found.headline in text
        assert "F11a" in text
    summary = json.loads((tmp_path / "across" / "summary.json").read_text())
    assert summary["headline"] == found.headline
    with (tmp_path / "across" / "tables" / "A1-arms.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["arm"] for row in rows] == [arm.arm for arm in found.arms]
    assert float(rows[0]["mean_rank"]) == found.arms[0].mean_rank


def test_figures_are_drawn_from_what_there_is(
    found: AcrossWorkloads, studies: list[Comparison]
) -> None:
    for subject in (found, compare_workloads(studies[:2]), compare_workloads(studies[:3])):
        for figure in build_across_page(subject, generated_at="now").figures:
            drawn = figure.spec.draw(figure.rows, subject) if figure.rows else None
            assert bool(figure.rows) == (drawn is not None and len(drawn.data) > 0)
    assert build_across_page(found, generated_at="now").figures[0].rows
    assert {spec.id for spec in ACROSS_FIGURES} == {"F11a", "F11b"}


def test_hostile_names_stay_text(studies: list[Comparison], tmp_path: Path) -> None:
    hostile = [replace(one, study=replace(one.study, name=HOSTILE)) for one in studies[:3]]
    page = write_workloads_report(compare_workloads(hostile), tmp_path, generated_at=HOSTILE)
    assert "<img" not in page.read_text()
    assert "<img" not in (tmp_path / "report.md").read_text().replace("\\<img", "")
