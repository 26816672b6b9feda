"""What was measured before a study is kept, and used again only where nothing has changed."""

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bakeoff.data.array_cache import data_folder
from bakeoff.driver import StopRequest
from bakeoff.engines.protocol import Event, Job, Probe, Probed
from bakeoff.records import StudyConfig
from bakeoff.session.kept_probes import MOST_DAYS, MOST_KEPT, KeptProbes
from bakeoff.session.measuring import probe
from bakeoff.studyfile import resolve_study
from study_examples import SimulatedEngine, study_document

MACHINE = {"processor": "one", "torch": "2.10"}
KEPT = KeptProbes(data="f00d", machine=MACHINE)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BAKEOFF_DATA", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "cache" / "probes"


class CountingEngine(SimulatedEngine):
    """Answers probes with fixed measurements and counts them."""

    def __init__(self, **answers: Any) -> None:
        super().__init__()
        self.num_probes = 0
        self._answers = answers

    def submit(self, job: Job | Probe) -> None:
        assert isinstance(job, Probe)
        self.num_probes += 1

    def events(self, timeout: float) -> Sequence[Event]:
        measured = {"fp32": 0.002, "bf16": 0.001}
        known: dict[str, Any] = {
            "precision": "bf16", "seconds_per_step": measured, "reason": "bf16 saves 50 %",
        }  # fmt: skip
        return [Probed(run="probe", **known | self._answers)]


def config(**changes: Any) -> StudyConfig:
    return resolve_study(study_document(**changes))


def tried(study: StudyConfig, kept: KeptProbes | None = KEPT, **answers: Any) -> tuple[int, Probed]:
    """How many probes were trained, and what came of it."""
    engine = CountingEngine(**answers)
    found = probe(study, engine, StopRequest(), kept)
    return engine.num_probes, found


def test_the_same_model_data_and_machine_are_measured_once() -> None:
    automatic = config(training={"precision": "auto"})
    first, again = tried(automatic), tried(automatic)
    assert (first[0], again[0]) == (1, 0)
    assert again[1] == replace(first[1], reason="bf16 saves 50 %; measured earlier")
    assert again[1].seconds_per_step == {"fp32": 0.002, "bf16": 0.001}


def test_the_gain_of_stacks_says_that_it_was_measured_earlier() -> None:
    tried(config(), stack_gain=2.5, stack_reason="4 runs take 2.5 times as long")
    again = tried(config())[1]
    assert again.stack_reason == "4 runs take 2.5 times as long; measured earlier"


def test_a_reason_against_stacks_is_no_measurement() -> None:
    tried(config(), stack_reason="the runs cannot train as one")
    assert tried(config())[1].stack_reason == "the runs cannot train as one"


def test_what_was_measured_is_the_same_for_every_seed() -> None:
    tried(config())
    assert tried(replace(config(), seed=77))[0] == 0


@pytest.mark.parametrize(
    ("study", "kept"),
    [
        (config(training={"batch_size": 16}), KEPT),
        (config(search={"optimizers": ["adam"]}), KEPT),
        (config(), replace(KEPT, data="beef")),
        (config(), replace(KEPT, machine=MACHINE | {"torch": "2.11"})),
        (config(), None),
    ],
    ids=["batch size", "optimizers", "data", "versions", "nothing is kept"],
)
def test_anything_else_is_measured(study: StudyConfig, kept: KeptProbes | None) -> None:
    tried(config())
    assert tried(study, kept)[0] == 1


def test_changed_code_of_the_users_is_tried_again(tmp_path: Path) -> None:
    import hashlib

    file = tmp_path / "mine.py"
    file.write_text("WIDTH = 8\n")
    code = {"mine.py": hashlib.sha256(file.read_bytes()).hexdigest()}
    tried(config(), code=code)
    assert tried(config(), code=code)[0] == 0
    file.write_text("WIDTH = 9\n")
    assert tried(config(), code=code)[0] == 1


def test_a_model_with_pretrained_weights_is_always_tried() -> None:
    for _ in range(2):
        assert tried(config(), weights={"pretrained weights, SHA-256": "ab"})[0] == 1


@pytest.mark.parametrize("content", ["", "{", "[]", '{"run": "probe"}', '{"other": 1}'])
def test_a_damaged_file_is_measured_again(own_cache: Path, content: str) -> None:
    tried(config())
    (file,) = own_cache.iterdir()
    file.write_text(content)
    assert tried(config())[0] == 1
    assert tried(config())[0] == 0


def test_an_old_measurement_is_made_again(own_cache: Path) -> None:
    tried(config())
    (file,) = own_cache.iterdir()
    long_ago = time.time() - (MOST_DAYS + 1) * 24 * 3600
    os.utime(file, (long_ago, long_ago))
    assert tried(config())[0] == 1


def test_only_the_newest_are_kept(own_cache: Path) -> None:
    own_cache.mkdir(parents=True)
    for number in range(MOST_KEPT):
        (own_cache / f"{number}.json").write_text("{}")
        os.utime(own_cache / f"{number}.json", (number, number))
    tried(config())
    names = {file.name for file in own_cache.iterdir()}
    assert len(names) == MOST_KEPT
    assert "0.json" not in names
    assert tried(config())[0] == 0


def test_a_folder_that_cannot_be_written_keeps_nothing(own_cache: Path) -> None:
    data_folder().mkdir()
    own_cache.write_text("a file")
    assert [tried(config())[0] for _ in range(2)] == [1, 1]
