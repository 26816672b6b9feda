"""What a suite does besides running studies, which `tests/integration` shows."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from typer.testing import CliRunner

from bakeoff.commands.cli import app
from bakeoff.commands.suite_timings import load_timings, store_timing
from bakeoff.commands.suites import SuitePlace, plan_suite, run_suite, unfinished, write_report
from bakeoff.driver import Driver, StopRequest
from bakeoff.errors import DataError, SpaceChangedError
from bakeoff.records import StudyConfig, Suite, Timing
from bakeoff.search.arms import Search
from bakeoff.space import build_arms
from bakeoff.storage import Storage
from bakeoff.studyfile.suite_file import load_suite, load_workload
from study_examples import SilentObserver, SimulatedEngine, study_document, study_facts

RULE = {"says": "?", "measure": "precision", "contrast": "half"}
LOADING = {"says": "?", "measure": "loading", "contrast": "two", "workloads": ["digits"]}
SUITE: dict[str, Any] = {
    "suite": {"name": "toy", "question": "Is it quick?", "repeats": 1},
    "workloads": {"lost": {"study": "lost.toml"}, "digits": {"study": "digits.toml"}},
    "contrasts": {"half": {"a": ["bf16"], "b": ["fp32"]}, "two": {"a": ["2"], "b": ["0"]}},
    "rules": {"half": RULE | {"workloads": ["lost"]}, "two": LOADING, "again": LOADING},
}
ADAM: dict[str, Any] = {
    "suite": {"name": "toy", "question": "Is Adam better?", "repeats": 1},
    "workloads": {"digits": {"study": "digits.toml"}},
    "contrasts": {"adam": {"a": ["adam"]}},
    "rules": {"adam": {"says": "?", "workloads": ["digits"], "contrast": "adam"}},
}
TIMING = Timing(
    workload="digits", measure="loading", a="2", b="0", a_seconds=(1.0,) * 3, b_seconds=(2.0,) * 3,
    environment={"processor": "a processor"},
)  # fmt: skip
FAILED = replace(TIMING, a_seconds=(), b_seconds=(), why_not="it took too long")


def change(folder: Path, name: str = "digits", **sections: dict[str, Any]) -> None:
    """Write a study file of a few trials, with these sections on top."""
    search = {"trials_per_arm": 3, "schedulers": ["constant"]} | sections.pop("search", {})
    document = study_document(study={"name": name}, search=search, **sections)
    (folder / f"{name}.toml").write_text(tomli_w.dumps(document))


def write(folder: Path, suite: dict[str, Any]) -> Suite:
    """A suite file with its study files: one has no data."""
    for name, dataset in (("lost", f"npz:{folder}/lost.npz"), ("digits", "digits")):
        change(folder, name, data={"dataset": dataset})
    (folder / "toy.toml").write_text(tomli_w.dumps(suite))
    return load_suite(folder / "toy.toml")


@pytest.fixture(name="suite")
def _suite(tmp_path: Path) -> Suite:
    """A suite that only times: a workload without data, and one that two rules time."""
    return write(tmp_path, SUITE)


@pytest.fixture(name="said")
def _said() -> list[str]:
    return []


@pytest.fixture(name="place")
def _place(tmp_path: Path, said: list[str]) -> SuitePlace:
    return SuitePlace(
        folder=tmp_path / "results" / "toy", device="cpu", workers=1, threads=1, say=said.append
    )


@pytest.fixture(name="begin")
def _begin(tmp_path: Path, place: SuitePlace) -> Callable[..., Suite]:
    """Search with simulated runs, as an earlier call did; the suite of its study."""

    def begin(**trouble: Any) -> Suite:
        suite = write(tmp_path, ADAM)
        config: StudyConfig = load_workload(suite.workloads[0], suite.repeats)
        place.folder.mkdir(parents=True)
        storage = Storage(f"sqlite:///{place.folder}/studies.db", create=True)
        storage.create(config, study_facts())
        driver = Driver(
            config=config,
            facts=study_facts(),
            storage=storage,
            engine=SimulatedEngine(1, **trouble),
            observer=SilentObserver(),
            stop=StopRequest(),
            checkpoints=tmp_path / "checkpoints",
        )
        driver.drive(Search(config, build_arms(config), "maximize"), "search")
        storage.mark_finished(config.name)
        return suite

    return begin


def test_a_workload_without_data_does_not_keep_others_from_being_timed(
    suite: Suite, place: SuitePlace, said: list[str]
) -> None:
    (problem,) = run_suite(suite, place)
    assert problem.startswith("lost, precision: ")
    assert "lost.npz" in problem
    assert said[-2] == "timing digits: loading"
    assert said[-1].startswith("not measured: its data is in memory")
    (timing,) = load_timings(suite, place.folder)  # once for both rules
    assert (timing.workload, timing.measure) == ("digits", "loading")
    assert unfinished(suite, place) == ["precision of lost"]


def test_what_failed_to_be_timed_is_timed_again(
    suite: Suite, place: SuitePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def measure(part: object, *_: object) -> Timing:
        calls.append(str(part))
        return TIMING

    monkeypatch.setattr("bakeoff.commands.suites.measure", measure)
    store_timing(suite, place.folder, FAILED)
    assert unfinished(suite, place) == ["precision of lost"]
    for _ in range(2):
        run_suite(suite, place, ["digits"])
    assert calls == ["loading of digits"]
    assert load_timings(suite, place.folder)[0].a_seconds == TIMING.a_seconds


def test_what_was_timed_with_other_settings_is_timed_again(
    suite: Suite, place: SuitePlace, tmp_path: Path
) -> None:
    store_timing(suite, place.folder, TIMING)
    assert unfinished(suite, place) == ["precision of lost"]
    change(tmp_path, training={"batch_size": 16})
    assert load_timings(suite, place.folder) == ()
    assert unfinished(suite, place) == ["precision of lost", "loading of digits"]


def test_a_suite_that_only_times_has_a_report(suite: Suite, place: SuitePlace) -> None:
    assert write_report(suite, place)[1] is None
    store_timing(suite, place.folder, TIMING)
    _, page = write_report(suite, place)
    assert page == place.folder / "index.html"
    assert "Made of repeated measurements; processor a processor" in page.read_text()
    assert "| two | digits | 2 |" in (place.folder / "report.md").read_text()


def test_a_study_that_was_begun_with_other_settings_is_refused_in_one_line(
    begin: Callable[..., Suite], place: SuitePlace, tmp_path: Path
) -> None:
    suite = begin()
    assert write_report(suite, place)[1] is not None
    change(tmp_path, training={"epochs": 5})
    for act in (run_suite, write_report, plan_suite):
        with pytest.raises(SpaceChangedError) as found:
            act(suite, place)
        assert str(found.value) == (
            "workload digits: study 'digits' was begun with other settings (training.epochs: 4 ->"
            " 5); restore them, or delete what was begun with `study delete digits --output"
            f" {place.folder}`"
        )


def test_a_rule_about_an_arm_that_a_stored_study_lacks_is_refused(
    begin: Callable[..., Suite], place: SuitePlace, tmp_path: Path
) -> None:
    begin()
    change(tmp_path, search={"optimizers": ["sgd", "adamw"]})
    contrasts = {"adam": {"a": ["adamw"]}}
    (tmp_path / "toy.toml").write_text(tomli_w.dumps(ADAM | {"contrasts": contrasts}))
    with pytest.raises(SpaceChangedError, match=r"search\.optimizers: .*adam.* -> .*adamw"):
        write_report(load_suite(tmp_path / "toy.toml"), place)


def test_a_study_without_a_complete_trial_is_left_out_by_every_call(
    begin: Callable[..., Suite], place: SuitePlace, tmp_path: Path
) -> None:
    begin(diverges=lambda _: True)
    for _ in range(2):
        done = CliRunner().invoke(
            app, ["suite", str(tmp_path / "toy.toml"), "--output", str(tmp_path / "results")]
        )
        assert isinstance(done.exception, DataError)
        assert "left out: digits: study 'digits' finished, but no trial completed" in str(
            done.exception
        )
        assert "every study of the suite is finished" in done.stdout


def test_a_finished_suite_is_finished_in_every_call(
    begin: Callable[..., Suite], place: SuitePlace, tmp_path: Path
) -> None:
    begin()
    for _ in range(2):
        done = CliRunner().invoke(
            app, ["suite", str(tmp_path / "toy.toml"), "--output", str(tmp_path / "results")]
        )
        assert done.exit_code == 0, done.exception
        assert "digits is finished" in done.stderr
