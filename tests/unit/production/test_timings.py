"""What a suite times: precisions in a worker, loader processes in a process of their own."""

import pytest

from bakeoff.engines.open import EngineSettings
from bakeoff.production import timings
from bakeoff.studyfile import load_study, resolve_study
from study_examples import study_document

SETTINGS = EngineSettings(device="cpu", workers=1, threads=1)
CODE = """\
import numpy as np


class Numbers:
    targets = [0, 1] * 20

    def __len__(self):
        return 40

    def __getitem__(self, row):
        return np.full((1, 4, 4), row, dtype=np.float32), self.targets[row]


def build():
    return Numbers()
"""


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(timings, "REPEATS", 2)
    monkeypatch.setattr(timings, "STEP_SECONDS", 0.01)


def test_steps_in_two_precisions_are_timed_in_turns():
    config = resolve_study(study_document())
    found = timings.time_workload(config, "mlp", "precision", "bf16", "fp32", SETTINGS)
    assert (found.workload, found.a, found.b, found.why_not) == ("mlp", "bf16", "fp32", "")
    assert len(found.a_seconds) == len(found.b_seconds) == 2
    assert all(0 < seconds < 10 for seconds in (*found.a_seconds, *found.b_seconds))
    assert found.environment["device"] == "cpu"


@pytest.fixture(name="numbers")
def _numbers(tmp_path):
    """A study of a torch data set."""
    (tmp_path / "own_numbers.py").write_text(CODE)
    document = study_document(data={"dataset": "own_numbers:build"}, training={"batch_size": 8})
    return load_study(document, settings={}, folder=str(tmp_path))


def test_loading_is_timed_with_and_without_processes(numbers):
    found = timings.time_workload(numbers, "numbers", "loading", "1", "0", SETTINGS)
    assert len(found.a_seconds) == len(found.b_seconds) == 2
    assert min(found.a_seconds) > 0


def test_loading_that_takes_too_long_is_not_timed(numbers, monkeypatch):
    monkeypatch.setattr(timings, "LOADING_SECONDS", 0.01)
    found = timings.time_workload(numbers, "numbers", "loading", "1", "0", SETTINGS)
    assert (found.a_seconds, found.why_not) == ((), "loading took longer than 0.01 s")


def test_data_in_memory_has_no_loader_processes():
    config = resolve_study(study_document())
    found = timings.time_workload(config, "mlp", "loading", "2", "0", SETTINGS)
    assert (found.a_seconds, found.b_seconds) == ((), ())
    assert found.why_not.startswith("its data is in memory")
