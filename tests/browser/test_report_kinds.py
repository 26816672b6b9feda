"""Reports of every kind of study in a real browser: they open without errors and run no stored text."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from playwright.sync_api import Browser

from bakeoff.analysis.comparison import compare
from bakeoff.analysis.workloads import compare_workloads
from bakeoff.foreign import ForeignStudy, load_foreign_study
from bakeoff.ranges import Choice
from bakeoff.records import StudyRecord, TrialRecord
from bakeoff.report import write_report, write_workloads_report
from page_visits import ATTACK, MARKDOWN_ATTACK, PHONE, open_page
from record_examples import all_outcomes, damaged, example_record, map_scores, unconfirmed

HOSTILE = f"{ATTACK} {MARKDOWN_ATTACK}"


def hostile_parameters() -> StudyRecord:
    """Hostile names and choices of parameters, reasons, notes and caveats."""
    study = example_record(num_arms=2, pruner="none")

    def change(run: TrialRecord) -> TrialRecord:
        params = {**run.params, HOSTILE: HOSTILE, f"model.{HOSTILE}": 0.5, "model.width": HOSTILE}
        return replace(run, params=params, stop_reason=HOSTILE)

    space = {
        HOSTILE: Choice(choices=(HOSTILE, "plain")),
        "model.width": Choice(choices=(HOSTILE, 1)),
    }
    return replace(
        study,
        sampler=HOSTILE,
        pruner=HOSTILE,
        notes=(HOSTILE,),
        caveats=(HOSTILE,),
        reference=study.arms[0].name,
        arms=tuple(replace(arm, space={**arm.space, **space}) for arm in study.arms),
        trials=tuple(map(change, study.trials)),
        confirmations=tuple(map(change, study.confirmations)),
    )


def odd_studies() -> dict[str, Callable[[], StudyRecord]]:
    """What a study may look like, by a name for it."""
    study = example_record(num_arms=3)
    return {
        "search only": lambda: unconfirmed(study),
        "no trial": lambda: replace(study, trials=(), confirmations=(), finished=False),
        "one trial": lambda: replace(study, trials=study.trials[3:4], confirmations=()),
        "one arm": lambda: example_record(num_arms=1),
        "one seed": lambda: example_record(num_arms=2, num_seeds=1),
        "all pruned": lambda: all_outcomes(study, "pruned"),
        "all diverged": lambda: all_outcomes(study, "diverged"),
        "NaN": lambda: map_scores(study, lambda _: float("nan")),
        "damaged": lambda: damaged(study, 4),
        "eight arms with long names": lambda: renamed(example_record(num_arms=6)),
        "hostile parameters": hostile_parameters,
    }


def renamed(study: StudyRecord) -> StudyRecord:
    """The study with names that are longer than any table's column."""
    names = {arm.name: f"my_package.optimizers:{arm.name}_with_lookahead + one_cycle" * 2
             for arm in study.arms}  # fmt: skip
    return replace(
        study,
        arms=tuple(replace(arm, name=names[arm.name]) for arm in study.arms),
        trials=tuple(replace(run, arm=names[run.arm]) for run in study.trials),
        confirmations=tuple(replace(run, arm=names[run.arm]) for run in study.confirmations),
    )


@pytest.mark.parametrize("kind", list(odd_studies()))
def test_a_report_of_any_study_opens_quietly(browser: Browser, tmp_path: Path, kind: str) -> None:
    html = write_report(compare(odd_studies()[kind]()), tmp_path, generated_at="now").html
    check_page(browser, html)


def test_a_report_of_a_hostile_study_of_another_program_opens_quietly(
    browser: Browser, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'other.db'}"
    study = optuna.create_study(study_name=HOSTILE, storage=url)
    study.set_user_attr(HOSTILE, HOSTILE)
    choice = optuna.distributions.CategoricalDistribution([HOSTILE, "plain"])
    number = optuna.distributions.FloatDistribution(0.0, 3.0)
    for index in range(12):
        study.add_trial(
            optuna.create_trial(
                value=index / 12,
                params={HOSTILE: (HOSTILE, "plain")[index % 2], f"x {HOSTILE}": index / 4},
                distributions={HOSTILE: choice, f"x {HOSTILE}": number},
                intermediate_values={1: index / 12},
                user_attrs={HOSTILE: HOSTILE},
            )
        )
    wanted = ForeignStudy(location=url, arms=(HOSTILE,), metric_name=HOSTILE)
    html = write_report(compare(load_foreign_study(wanted)), tmp_path, generated_at="now").html
    check_page(browser, html)


@pytest.mark.parametrize("title", ["plain", HOSTILE], ids=["plain", "hostile"])
def test_a_report_across_studies_opens_quietly(
    browser: Browser, tmp_path: Path, title: str
) -> None:
    studies = [
        compare(replace(example_record(num_arms=3, seed=number), name=f"{title} {number}"))
        for number in range(6)
    ]
    check_page(browser, write_workloads_report(compare_workloads(studies), tmp_path / "all"))


def check_page(browser: Browser, html: Path) -> None:
    """Open a report on a narrow screen, draw all of it, and see that nothing else happens."""
    seen = open_page(browser, viewport=PHONE)
    page = seen.page
    page.goto(html.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    seen.unfold()
    assert (seen.complaints, seen.dialogs) == ([], [])
    assert seen.requests == [html.as_uri()]
    assert page.locator("main img, main a[href^=javascript], .plot svg a").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page.close()
