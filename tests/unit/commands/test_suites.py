"""What a suite does besides running studies, which `tests/integration` shows."""

from pathlib import Path

import pytest
import tomli_w

from bakeoff.commands.suites import SuitePlace, load_timings, run_suite, unfinished
from bakeoff.records import Suite
from bakeoff.studyfile.suite_file import load_suite
from study_examples import study_document

RULE = {"says": "?", "measure": "precision", "contrast": "half"}
LOADING = {"says": "?", "measure": "loading", "contrast": "two", "workloads": ["digits"]}
SUITE = {
    "suite": {"name": "toy", "question": "Is it quick?", "repeats": 1},
    "workloads": {"lost": {"study": "lost.toml"}, "digits": {"study": "digits.toml"}},
    "contrasts": {"half": {"a": ["bf16"], "b": ["fp32"]}, "two": {"a": ["2"], "b": ["0"]}},
    "rules": {"half": RULE | {"workloads": ["lost"]}, "two": LOADING, "again": LOADING},
}


@pytest.fixture(name="suite")
def _suite(tmp_path: Path) -> Suite:
    """A suite that only times: a workload without data, and one that two rules time."""
    for name, dataset in (("lost", f"npz:{tmp_path}/lost.npz"), ("digits", "digits")):
        document = study_document(study={"name": name}, data={"dataset": dataset})
        (tmp_path / f"{name}.toml").write_text(tomli_w.dumps(document))
    (tmp_path / "toy.toml").write_text(tomli_w.dumps(SUITE))
    return load_suite(tmp_path / "toy.toml")


def test_a_workload_without_data_does_not_keep_others_from_being_timed(
    suite: Suite, tmp_path: Path
) -> None:
    said: list[str] = []
    place = SuitePlace(
        folder=tmp_path / "results" / "toy", device="cpu", workers=1, threads=1, say=said.append
    )
    (problem,) = run_suite(suite, place)
    assert problem.startswith("lost, precision: ")
    assert "lost.npz" in problem
    assert said[-1] == "timing digits: loading"
    (timing,) = load_timings(place.folder)  # once for both rules
    assert (timing.workload, timing.measure) == ("digits", "loading")
    assert unfinished(suite, place) == ["precision of lost"]
    run_suite(suite, place)
    assert load_timings(place.folder) == (timing,)
