"""What to use: the same settings, scores and costs on the page, in Markdown and on the terminal."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from bakeoff.analysis.comparison import compare
from bakeoff.commands.reporting import (
    print_comparison,
    print_diagnoses,
    print_report,
    report_facts,
)
from bakeoff.ranges import Params
from bakeoff.records import ConfirmedScores, DefaultResult, StudyRecord, json_text
from bakeoff.report import write_report
from bakeoff.report.answer import build_answer, settings_line
from bakeoff.report.figures import FIGURES
from bakeoff.report.figures.style import ARM_COLORS, arm_color, arm_symbol
from bakeoff.report.glossary import explained, used_words
from record_examples import as_error_rate, example_record, unconfirmed


@pytest.mark.parametrize(
    ("params", "line"),
    [
        (
            {"optimizer": "adamw", "scheduler": "cosine", "adamw.beta1": 0.9,
             "adamw.weight_decay": 0.0123456, "adamw.learning_rate": 0.00312345,
             "cosine.warmup_fraction": 0.12, "model.dropout": 0.25, "training.batch_size": 64},
            ("adamw, learning rate 0.00312, cosine schedule (12 % warm-up), weight decay 0.0123, "
            "beta1 0.9, dropout 0.25, batch size 64"),
        ),
        (
            {"optimizer": "sgd", "scheduler": "constant", "sgd.learning_rate": 0.1,
             "constant.warmup_fraction": 0.0},
            "sgd, learning rate 0.1, constant rate",
        ),
        (
            {"optimizer": "sgd", "scheduler": "step", "step.gamma": 0.1, "step.num_drops": 2},
            "sgd, step schedule (gamma 0.1, num drops 2)",
        ),
        ({}, ""),
    ],
)  # fmt: skip
def test_a_configuration_is_one_line_that_begins_with_what_matters(
    params: Params, line: str
) -> None:
    assert settings_line(params) == line


def test_settings_of_another_program_keep_their_names() -> None:
    assert settings_line({"lr": 0.1, "opt\nimizer": "x"}, is_foreign=True) == (
        "lr = 0.1, opt imizer = x"
    )


def test_every_arm_is_in_the_answer_once_and_leading_arms_come_first() -> None:
    comparison = compare(example_record())
    answer = build_answer(comparison)
    assert tuple(one.arm for one in answer.leading) == comparison.verdict.leading
    shown = [one.arm for one in (*answer.leading, *answer.others)]
    assert sorted(shown) == sorted(arm.arm for arm in comparison.arms)
    best = comparison.arms[0]
    assert best.confirmed is not None
    assert answer.leading[0].score.startswith(f"{best.confirmed.test_mean:.4f} [")
    assert answer.leading[0].score.endswith("(8 seeds)")
    assert re.search(r"one run: 8 epochs, .* s; search: 12 trials, ", answer.leading[0].cost)


def test_before_confirmation_no_arm_leads_and_scores_are_said_to_be_observed() -> None:
    answer = build_answer(compare(unconfirmed(example_record())))
    assert not answer.has_leader
    assert "observed in the search" in answer.expects
    assert all("[" not in one.score for one in answer.leading)


DEFAULTS = {"sgd": 0.99, "adam": -0.5}
"""How far the library defaults of an arm are above what the search found for it."""


def with_defaults(record: StudyRecord) -> StudyRecord:
    """The study with the library defaults of two arms confirmed on the same seeds."""
    extra = []
    for arm, gain in DEFAULTS.items():
        default = next(run for run in record.trials if (run.arm, run.phase) == (arm, "default"))
        extra += [
            replace(
                run, purpose="default", params=default.params, configuration=default.number,
                number=1000 + len(extra) + place,
                test_metrics={"accuracy": run.test_metrics["accuracy"] + 0.01 * gain},
            )
            for place, run in enumerate(
                run for run in record.confirmations if (run.arm, run.purpose) == (arm, "confirm")
            )
        ]  # fmt: skip
    return replace(record, confirmations=(*record.confirmations, *extra))


def test_defaults_that_beat_what_was_found_are_shown_with_the_leading_arms(tmp_path: Path) -> None:
    comparison = compare(with_defaults(example_record()))
    answer = build_answer(comparison)
    assert [one.name for one in answer.good_defaults] == ["sgd, defaults"]
    [good] = answer.good_defaults
    assert "library defaults of sgd beat" in good.remark
    assert good.settings.startswith("sgd, learning rate 0.00")
    assert "adam, defaults" in answer.rest_names
    paths = write_report(comparison, tmp_path, generated_at="now")
    page, markdown = paths.html.read_text(), paths.markdown.read_text()
    before_fold = page[page.index('id="use"') : page.index('id="others"')]
    assert good.score in before_fold
    assert "library defaults" in before_fold
    assert f"**sgd, defaults**: {good.own_settings}" in markdown
    assert "sgd, defaults" in (tmp_path / "tables" / "T2-results.csv").read_text()
    assert (tmp_path / "configurations" / "sgd-defaults.toml").is_file()


def scores(mean: float) -> ConfirmedScores:
    return ConfirmedScores(
        seeds=(1, 2), test_scores=(mean, mean), num_diverged=0, test_mean=mean,
        test_ci=(mean, mean), test_sd=0.0, worst=mean, worst_seed=1, validation_mean=mean,
        selection_gap=0.0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("status", "mean", "found_by", "is_good"),
    [
        ("practically_equal", 0.001, "leader", True),
        ("no_difference_shown", 0.01, "leader", True),
        ("clearly_better", 0.1, "leader", False),
        ("better", -0.1, "own", True),
        ("no_difference_shown", 0.01, "own", False),
        ("not_enough_data", 0.0, "leader", False),
    ],
)
def test_defaults_are_good_if_they_win_or_are_not_shown_worse_than_the_leader(
    status, mean: float, found_by: str, is_good: bool
) -> None:
    comparison = compare(example_record())
    leader, last = comparison.verdict.leading[0], comparison.arms[-1]
    result = DefaultResult(
        defaults_of=last.arm, found_by=leader if found_by == "leader" else last.arm, num_pairs=8,
        status=status, mean=mean, ci=(mean, mean), p=1.0, sentence="words",
    )  # fmt: skip
    arms = (*comparison.arms[:-1], replace(last, default_confirmed=scores(0.9)))
    answer = build_answer(replace(comparison, arms=arms, defaults=(result,)))
    assert [one.is_good for one in answer.defaults] == [is_good]


def test_the_terminal_shows_the_answer_of_four_arms_in_25_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    comparison = compare(with_defaults(example_record()))
    paths = write_report(comparison, tmp_path, generated_at="now")
    print_comparison(comparison)
    print_diagnoses(comparison)
    print_report(paths)
    text = capsys.readouterr().out
    assert len(text.splitlines()) <= 25
    assert "\x1b" not in text
    assert not re.search(r"\b1 (trials|seeds|epochs|runs|flags)\b", text)
    for one in build_answer(comparison).leading:
        assert f"  {one.name}: {one.own_settings}\n" in text
    assert "sgd, defaults" in text
    assert f"report: {paths.html}\n" in text
    assert "\nflags: " in text


def test_programs_get_every_arm_and_its_library_defaults(tmp_path: Path) -> None:
    comparison = compare(with_defaults(example_record()))
    paths = write_report(comparison, tmp_path, generated_at="now")

    facts = json.loads(json_text(report_facts(comparison, paths)))

    answer = build_answer(comparison)
    assert facts["headline"] == answer.headline
    arms = {(one["arm"], one["library_defaults"]): one for one in facts["arms"]}
    leading = {key for key, one in arms.items() if one["leads"]}
    assert leading == {(one.arm, one.is_default) for one in answer.leading}
    for arm in comparison.arms:
        chosen = arms[arm.arm, False]
        assert chosen["params"] == arm.chosen_params
        assert chosen["best_in_search"] == arm.search_best
        for is_default, scores in ((False, arm.confirmed), (True, arm.default_confirmed)):
            found = arms.get((arm.arm, is_default))
            assert (found and found["test_mean"]) == (scores and scores.test_mean)
    defaults = arms["sgd", True]
    assert defaults["params"]["optimizer"] == "sgd"
    assert defaults["best_in_search"] is None
    assert defaults["run_seconds"] > 0


@pytest.mark.parametrize("columns", [40, 80])
def test_a_narrow_terminal_breaks_between_words(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(columns))
    comparison = compare(example_record())
    print_comparison(comparison)
    text = re.sub(r"\x1b\[\d*m", "", capsys.readouterr().out)
    before_table = "\n\n".join(text.split("\n\n")[:2])
    assert max(map(len, before_table.splitlines())) <= columns
    words = " ".join(before_table.split())
    assert " ".join(comparison.verdict.headline.split()) in words


def test_a_figure_that_cannot_be_drawn_says_so_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("an odd <study>")

    broken = next(spec for spec in FIGURES if spec.id == "F8")
    unread = next(spec for spec in FIGURES if spec.id == "F7")
    monkeypatch.setattr(
        "bakeoff.report.page.figures_of",
        lambda _: [
            replace(spec, draw=fail) if spec is broken
            else replace(spec, compute=fail) if spec is unread else spec for spec in FIGURES
        ],
    )  # fmt: skip
    comparison = compare(example_record())
    paths = write_report(comparison, tmp_path, generated_at="now")
    page = paths.html.read_text()
    assert page.count("drawing it failed: ZeroDivisionError: an odd &lt;study&gt;") == 2
    with_rows = [spec for spec in FIGURES if spec is not unread and broken is not spec
                 and spec.compute(comparison)]  # fmt: skip
    assert page.count('class="plot"') == len(with_rows) > 3
    assert (tmp_path / "figures" / "F8-learning-curves.csv").read_text().count("\n") > 10
    assert "ZeroDivisionError" in paths.markdown.read_text()


# ---------------------------------------------------------------- colours


def named(*arms: str) -> StudyRecord:
    record = example_record(num_arms=1)
    return replace(record, arms=tuple(replace(record.arms[0], name=arm) for arm in arms))


def test_an_optimizer_has_one_colour_in_every_study() -> None:
    studies = [named("sgd", "adamw"), named("adamw", "lion", "sgd"), named("x", "y", "adamw")]
    assert {arm_color(study, "adamw") for study in studies} == {ARM_COLORS[3][0]}
    assert arm_color(named("adamw+cosine", "sgd+cosine"), "adamw+cosine") == ARM_COLORS[3][0]


def test_twenty_arms_have_twenty_colours_and_more_differ_by_symbol() -> None:
    arms = [f"adam+schedule {number}" for number in range(len(ARM_COLORS))]
    assert len({arm_color(named(*arms), arm) for arm in arms}) == len(ARM_COLORS) == 20
    many = [f"arm {number}" for number in range(30)]
    study = named(*many)
    looks = {(arm_color(study, arm), arm_symbol(study, arm)) for arm in many}
    assert len(looks) == len(many)


# ---------------------------------------------------------------- words


def test_a_known_word_is_explained_once_and_the_text_stays_escaped() -> None:
    marked = explained("K = 8 <b>; K, Kelvin and p-values; delta = 1")
    assert marked.count("<abbr ") == 2
    assert marked.startswith('<abbr tabindex="0" title="The number of confirmation runs')
    assert "&lt;b&gt;; K, Kelvin and p-values; <abbr" in marked


def test_the_markdown_explains_the_words_that_it_uses(tmp_path: Path) -> None:
    comparison = compare(as_error_rate(example_record()))
    markdown = write_report(comparison, tmp_path, generated_at="now").markdown.read_text()
    words = markdown[markdown.index("## Words") :]
    for word in ("L1", "K", "delta", "Holm", "selection gap", "SD"):
        assert f"- **{word}**: " in words
    assert "**L0**" not in words
    assert dict(used_words("no such thing")) == {}
