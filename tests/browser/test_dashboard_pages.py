"""Every page of `study dashboard` in a real browser, with hostile names in all that is stored."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace

import optuna
import pytest
from playwright.sync_api import Browser, expect

from bakeoff.analysis.comparison import compare
from bakeoff.dashboard import build_server, publish
from bakeoff.records import EpochResult, StudyRecord, TrialPlan, TrialRecord
from bakeoff.report import write_report
from bakeoff.storage import Storage
from bakeoff.studyfile import resolve_study
from page_visits import ATTACK, MARKDOWN_ATTACK, Visit, open_page
from study_examples import study_document, study_facts

HOSTILE = f"{ATTACK} {MARKDOWN_ATTACK}"
TEXT = {"light": "rgba(0, 0, 0, 0.87)", "dark": "rgb(255, 255, 255)"}
"""Colour of text on a card of optuna-dashboard."""


@dataclass(frozen=True)
class Served:
    """A running dashboard."""

    address: str
    toy: int
    """Number of our own study."""
    foreign: int
    """Number of a study that another program stored."""
    chosen_trial: int


@pytest.fixture(name="served", scope="module")
def _served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("output")
    url = f"sqlite:///{folder / 'studies.db'}"
    storage = Storage(url, create=True)
    comparison = compare(hostile(store_toy(storage)))
    verdict = replace(comparison.verdict, headline=HOSTILE)
    comparison = replace(comparison, verdict=verdict)
    write_report(comparison, folder / "toy", generated_at="now")
    publish(url, comparison, folder)
    store_foreign(storage)
    server = build_server(output=folder, storage_url=url, port=0)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield Served(
        address=f"http://127.0.0.1:{server.server_port}",
        toy=storage.optuna_storage.get_study_id_from_name("toy"),
        foreign=storage.optuna_storage.get_study_id_from_name(HOSTILE),
        chosen_trial=next(
            arm.chosen_trial for arm in comparison.arms if arm.chosen_trial is not None
        ),
    )
    server.shutdown()
    thread.join()
    server.server_close()


def store_toy(storage: Storage) -> StudyRecord:
    """A study of ours with eight trials of two arms."""
    config = resolve_study(study_document())
    storage.create(config, study_facts())
    for index in range(8):
        arm = ("sgd", "adam")[index % 2]
        plan = TrialPlan(
            arm=arm, seed=index, phase="random",
            params={
                "optimizer": arm, "scheduler": "constant",
                f"{arm}.learning_rate": 0.001 * 1.5**index,
            },
        )  # fmt: skip
        _, trial_id = storage.begin(config, plan)
        history = tuple(
            EpochResult(
                epoch=epoch, metrics={"accuracy": 0.5 + 0.1 * epoch + 0.01 * index},
                confusion=((30, 1), (4, 15)) if epoch == 4 else (),
            )
            for epoch in range(1, 5)
        )  # fmt: skip
        run = TrialRecord(
            number=index, arm=arm, params=plan.params, outcome="complete",
            score=history[-1].metrics["accuracy"], history=history, epochs_planned=4,
            stop_reason=HOSTILE,
        )  # fmt: skip
        storage.finish(trial_id, run)
    return storage.load_record("toy")


def hostile(record: StudyRecord) -> StudyRecord:
    """The record with hostile names of arms and metric, as they reach figures, note and files."""
    names = {arm.name: f"{HOSTILE}{arm.name}" for arm in record.arms}
    return replace(
        record,
        question=HOSTILE,
        objective=replace(record.objective, title=HOSTILE, unit=HOSTILE),
        arms=tuple(replace(arm, name=names[arm.name]) for arm in record.arms),
        trials=tuple(replace(run, arm=names[run.arm]) for run in record.trials),
    )


def store_foreign(storage: Storage) -> None:
    """A study of another program in the same storage; every name in it is hostile."""
    study = optuna.create_study(
        study_name=HOSTILE, storage=storage.optuna_storage, direction="minimize"
    )
    with pytest.warns(optuna.exceptions.ExperimentalWarning):
        study.set_metric_names([HOSTILE])
    study.set_user_attr(HOSTILE, HOSTILE)
    choices = optuna.distributions.CategoricalDistribution([HOSTILE, "plain"])
    for value in (1.0, 2.0):
        study.add_trial(
            optuna.create_trial(
                value=value, params={HOSTILE: HOSTILE, "x": value},
                distributions={
                    HOSTILE: choices, "x": optuna.distributions.FloatDistribution(0.0, 3.0)
                },
                intermediate_values={1: value}, user_attrs={HOSTILE: HOSTILE, "count": value},
            )
        )  # fmt: skip


PAGES = {
    "studies": ("/dashboard/", ". toy: </script>"),
    "history": ("/dashboard/studies/{toy}", "Study User Attributes"),
    "analytics": ("/dashboard/studies/{toy}/analytics", "Empirical Distribution"),
    "trials": ("/dashboard/studies/{toy}/trials", "Intermediate Values"),
    "chosen trial": ("/dashboard/studies/{toy}/trials?numbers={chosen}", "learning-curve.svg"),
    "trial table": ("/dashboard/studies/{toy}/smartSelection", "UserAttribute epochs"),
    "note": ("/dashboard/studies/{toy}/note", "Evidence level"),
    "foreign history": ("/dashboard/studies/{foreign}", "Study User Attributes"),
    "foreign analytics": ("/dashboard/studies/{foreign}/analytics", "Empirical Distribution"),
    "foreign trial": ("/dashboard/studies/{foreign}/trials", "Intermediate Values"),
    "foreign table": ("/dashboard/studies/{foreign}/smartSelection", "UserAttribute count"),
    "compared": ("/dashboard/compare-studies?ids={toy}&ids={foreign}", "History"),
    "reports": ("/reports/", "Reports"),
    "report": ("/reports/toy/index.html", "Was the comparison fair?"),
}


def visit(browser: Browser, served: Served, name: str, scheme: str) -> Visit:
    path, shown = PAGES[name]
    seen = open_page(browser, scheme=scheme)
    place = path.format(toy=served.toy, foreign=served.foreign, chosen=served.chosen_trial)
    seen.page.goto(served.address + place)
    expect(seen.page.get_by_text(shown).first).to_be_visible(timeout=15_000)
    seen.page.wait_for_load_state("networkidle")
    return seen


@pytest.mark.parametrize("name", PAGES)
def test_a_page_opens_quietly_and_obeys_nothing_stored(
    browser: Browser, served: Served, name: str
) -> None:
    seen = visit(browser, served, name, "light")
    assert not [text for text in seen.complaints if "GL Driver Message" not in text]
    assert [url for url in seen.requests if not url.startswith(served.address)] == []
    assert seen.dialogs == []
    assert seen.page.locator("img[src=x], img[src*='192.0.2.1'], a[href^=javascript]").count() == 0
    seen.page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_our_figures_take_the_dashboards_colours_and_stay_on_their_cards(
    browser: Browser, served: Served, scheme: str
) -> None:
    page = visit(browser, served, "history", scheme).page
    figure = page.locator("[id='user-defined-plot:F6-learning-rates']")
    for text in (".xtick tspan", ".xtitle tspan", ".gtitle tspan"):
        expect(figure.locator(text).first).to_have_css("fill", TEXT[scheme])
    assert figure.locator(".main-svg").first.bounding_box()["height"] <= 450
    page.close()


def test_a_trials_curve_and_confusion_matrix_are_pictures(browser: Browser, served: Served) -> None:
    page = visit(browser, served, "chosen trial", "light").page
    pictures = page.locator("img[src*='/artifacts/']")
    widths = pictures.evaluate_all("all => all.map(one => one.naturalWidth)")
    assert len(widths) == 2
    assert all(widths)
    page.close()


def test_the_note_shows_the_verdict_as_text_and_links_to_the_report(
    browser: Browser, served: Served
) -> None:
    page = visit(browser, served, "note", "light").page
    expect(page.get_by_text("![i](http://192.0.2.1/i.png)").first).to_be_visible()
    page.get_by_role("link", name="The report").click()
    expect(page.locator("#answer")).to_be_visible()
    page.close()
