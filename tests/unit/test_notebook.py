"""A stored study as Python objects."""

import doctest
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import plotly.graph_objects as go
import pytest

import bakeoff
from bakeoff import notebook
from bakeoff.errors import UsageError
from bakeoff.notebook import LoadedStudy
from bakeoff.records import EpochResult, TrialPlan, TrialRecord
from bakeoff.storage import Storage
from bakeoff.studyfile import resolve_study
from record_examples import example_record
from study_examples import study_document, study_facts

NUM_SEEDS = 6
SCORES = {"sgd": 0.8, "adam": 0.9}
HOSTILE = "</td><script>alert(1)</script>"


def store_study(folder: Path) -> None:
    """A finished study `digits` of two arms in `folder`/results, one search trial each."""
    config = resolve_study(study_document(study={"name": "digits"}))
    storage = Storage(f"sqlite:///{folder / 'results' / 'studies.db'}", create=True)
    storage.create(config, study_facts())
    for number, (arm, score) in enumerate(SCORES.items()):
        plan = TrialPlan(
            arm=arm,
            params={"optimizer": arm, "scheduler": "constant", f"{arm}.learning_rate": 0.01},
            seed=1,
            phase="random",
        )
        _store(storage, config, plan, number, score)
        for seed in range(NUM_SEEDS):
            fresh = replace(plan, purpose="confirm", configuration=number, seed=100 + seed)
            _store(storage, config, fresh, seed, score + 0.001 * seed)
    storage.mark_finished("digits")


def _store(storage: Storage, config, plan: TrialPlan, number: int, score: float) -> None:
    _, trial_id = storage.begin(config, plan)
    storage.finish(
        trial_id,
        TrialRecord(
            number=number, arm=plan.arm, params=plan.params, outcome="complete", score=score,
            history=(EpochResult(epoch=1, metrics={"accuracy": score}, train_seconds=0.1),),
            epochs_planned=1,
            test_metrics={"accuracy": score} if plan.purpose == "confirm" else {},
        ),
    )  # fmt: skip


@pytest.fixture(name="folder", scope="module")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("notebook")
    store_study(folder)
    return folder


@pytest.fixture(name="loaded", scope="module")
def _loaded(folder: Path) -> LoadedStudy:
    return bakeoff.load_study("digits", output=folder / "results")


def test_the_documented_example_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example in `bakeoff.notebook` gives the documented output for a stored study."""
    monkeypatch.chdir(folder)
    result = doctest.testmod(notebook)
    assert (result.attempted, result.failed) == (5, 0)


def test_the_comparison_is_that_of_the_report(loaded: LoadedStudy, tmp_path: Path) -> None:
    assert loaded.comparison.verdict.leading == ("adam",)
    paths = loaded.write_report(tmp_path / "report")
    assert loaded.comparison.verdict.headline in paths.markdown.read_text()


def test_runs_and_tables_are_data_frames(loaded: LoadedStudy) -> None:
    frame = loaded.to_frame()
    assert isinstance(frame, pd.DataFrame)
    confirmed = frame[frame.purpose == "confirm"].groupby("arm").test_accuracy.mean()
    results = loaded.tables["T2"].set_index("arm").test_mean
    assert results.to_dict() == pytest.approx(confirmed.to_dict())


def test_figures_are_looked_up_by_id(loaded: LoadedStudy) -> None:
    assert "F1" in loaded.figures
    assert list(loaded.figures)[:2] == ["F1", "F2"]
    assert all(isinstance(figure, go.Figure) for figure in loaded.figures.values())
    assert repr(loaded.figures).startswith("F1  Which tuned arm is better")


def test_a_missing_figure_raises_an_error_with_the_reason(loaded: LoadedStudy) -> None:
    with pytest.raises(
        KeyError, match="F5 is not drawn: every arm needs at least five random trials"
    ):
        loaded.figures["F5"]
    with pytest.raises(KeyError, match="did you mean 'F1'"):
        loaded.figures["f1"]


def test_text_in_a_notebook_is_escaped() -> None:
    study = example_record(num_arms=2)
    names = {arm.name: arm.name + HOSTILE for arm in study.arms}
    record = replace(
        study, name=HOSTILE,
        arms=tuple(replace(arm, name=names[arm.name]) for arm in study.arms),
        trials=tuple(replace(run, arm=names[run.arm]) for run in study.trials),
        confirmations=tuple(replace(run, arm=names[run.arm]) for run in study.confirmations),
    )  # fmt: skip
    shown = LoadedStudy(record)._repr_html_()
    assert "<script" not in shown
    assert "&lt;script&gt;" in shown


def test_a_study_without_runs_is_shown() -> None:
    empty = LoadedStudy(replace(example_record(), trials=(), confirmations=()))
    assert "No verdict yet" in empty._repr_html_()
    assert "No verdict yet" in repr(empty)
    assert len(empty.figures) == 0
    assert len(empty.to_frame()) == 0


def test_an_unknown_study_lists_the_known_ones(folder: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'digits'"):
        bakeoff.load_study("digit", output=folder / "results")


def test_importing_bakeoff_imports_nothing_heavy() -> None:
    code = "import sys, bakeoff; print(*sorted(m for m in sys.modules if m.startswith('bakeoff')))"
    heavy = "print({'torch', 'optuna', 'pandas', 'numpy', 'plotly'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; {heavy}"], capture_output=True, text=True, check=True
    )
    assert done.stdout.split("\n")[:2] == ["bakeoff bakeoff.version", "set()"]


def test_an_unknown_attribute_of_bakeoff_is_an_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'load_studies'"):
        _ = bakeoff.load_studies
