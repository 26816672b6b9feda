"""Studies from Python."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import tomli_w

import bakeoff
from bakeoff.child_process import without_main_module
from bakeoff.commands.stored_studies import load_named_study
from bakeoff.engines.stopping import StopRequest
from bakeoff.errors import StudyFileError, UsageError
from bakeoff.storage import Storage
from bakeoff.studyfile import load_study_file
from study_examples import study_document, study_facts

TINY = {
    "study": {"name": "tiny"},
    "data": {"dataset": "digits", "train_samples": 200},
    "model": {"model": "mlp", "width": 8},
    "training": {"epochs": 1, "precision": "fp32"},
    "search": {"optimizers": ["sgd", "adam"], "schedulers": ["constant"], "trials_per_arm": 2,
               "defaults": False},
    "confirm": {"seeds": 0},
}  # fmt: skip


def test_a_file_a_dictionary_and_sections_describe_the_same_study(tmp_path):
    document = study_document()
    file = tmp_path / "a.toml"
    file.write_text(bakeoff.Study(document).to_toml(), encoding="utf-8")
    first, second, third = bakeoff.Study(file), bakeoff.Study(document), bakeoff.Study(**document)
    assert first.config == second.config == third.config == load_study_file(file)


def test_sections_and_settings_replace_what_the_source_says():
    study = bakeoff.Study(
        study_document(),
        settings={
            "search.trials_per_arm": 5,
            "space.adam.learning_rate": 0.5,
            "space.sgd.momentum": {"choices": [0.0, 0.9]},
        },
        training={"epochs": 3},
    )
    assert study.config.space["sgd.momentum"].choices == (0.0, 0.9)
    assert study.config.search.trials_per_arm == 5
    assert study.config.training.epochs == 3
    assert study.config.space["adam.learning_rate"] == 0.5


def test_a_study_prints_what_it_is():
    assert repr(bakeoff.Study(TINY)) == (
        "<Study tiny: mlp on digits; sgd, adam; 2 trials per arm; 0 seeds>"
    )


def test_mistakes_have_the_messages_of_the_command():
    with pytest.raises(StudyFileError, match=r"search\.trials: unknown key 'trials'"):
        bakeoff.Study(TINY, settings={"search.trials": 5})
    with pytest.raises(UsageError, match=r"write section\.key=value"):
        bakeoff.Study(TINY, settings={"epochs": 5})
    with pytest.raises(StudyFileError, match="no such file"):
        bakeoff.Study("missing.toml")


def test_the_package_lists_what_it_offers():
    assert {"Study", "run", "train", "load_study", "load_optuna_study"} <= set(dir(bakeoff))


def test_a_base_is_changed_key_by_key_and_ranges_are_replaced(tmp_path):
    (tmp_path / "shared").mkdir()
    rate = {"low": 1e-4, "high": 1e-1, "log": True}
    base = tomli_w.dumps(TINY | {"space": {"adam": {"learning_rate": rate}}})
    (tmp_path / "shared" / "base.toml").write_text(base, encoding="utf-8")
    (tmp_path / "middle.toml").write_text('[study]\nbase = "shared/base.toml"\n', encoding="utf-8")
    file = tmp_path / "top.toml"
    file.write_text(
        '[study]\nbase = "middle.toml"\nname = "top"\n[training]\nepochs = 4\n'
        "[space.adam]\nlearning_rate = {choices = [0.1, 0.2]}\n",
        encoding="utf-8",
    )
    config = load_study_file(file)
    assert (config.name, config.training.epochs, config.model) == ("top", 4, "mlp")
    assert config.space["adam.learning_rate"].choices == (0.1, 0.2)
    assert "base" not in bakeoff.Study(file).to_toml()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[study]\nbase = "gone.toml"\n', r"a\.toml: study\.base = \"gone\.toml\": no such file"),
        ('[study]\nbase = "a.toml"\n', "more than 8 bases"),
    ],
)
def test_a_base_that_cannot_be_used_is_named(tmp_path, text, message):
    (tmp_path / "a.toml").write_text(text, encoding="utf-8")
    with pytest.raises(StudyFileError, match=message):
        load_study_file(tmp_path / "a.toml")


def test_a_name_is_looked_for_among_the_studies(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("studies").mkdir()
    Path("studies/tiny.toml").write_text(bakeoff.Study(TINY).to_toml(), encoding="utf-8")
    assert bakeoff.Study("tiny").config == bakeoff.Study(TINY).config


def test_settings_of_the_command_replace_those_of_the_file(tmp_path):
    file = tmp_path / "tiny.toml"
    file.write_text(tomli_w.dumps(TINY), encoding="utf-8")
    changes = ["training.epochs=3", "study.question=Which one?", "search.optimizers=['adam']"]
    config = load_study_file(file, changes)
    assert config.training.epochs == 3
    assert config.question == "Which one?"
    assert config.search.optimizers == ("adam",)
    with pytest.raises(StudyFileError, match=r"training\.epochs = \"3\\nseed"):
        load_study_file(file, ["training.epochs=3\nseed = 1"])
    for wrong in ("epochs=3", "training.epochs"):
        with pytest.raises(UsageError, match="--set"):
            load_study_file(file, [wrong])


def test_a_name_without_a_file_is_the_stored_study_of_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = bakeoff.Study(TINY).config
    Storage("sqlite:///studies.db", create=True).create(config, study_facts())
    assert load_named_study(Path("tiny"), (), "sqlite:///studies.db", Path("out")) == config
    changed = load_named_study(
        Path("tiny"), ["search.trials_per_arm=9"], "sqlite:///studies.db", Path("out")
    )
    assert changed.search.trials_per_arm == 9
    with pytest.raises(StudyFileError, match="no such file"):
        load_named_study(Path("other"), (), "sqlite:///studies.db", Path("out"))


SCRIPT = f"""
import bakeoff

result = bakeoff.run({TINY!r}, output="out", workers=1, progress=False)
print(len(result.to_frame()))
print(result.answer)
trained = bakeoff.train({TINY!r}, optimizer="adam", params={{"adam.learning_rate": 0.01}},
                        output="out", progress=False)
print(trained.result.outcome, trained.folder.weights.exists())
"""


@pytest.mark.timeout(600)
def test_a_script_without_a_main_guard_runs_studies(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, timeout=500,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows, *answer, trained = done.stdout.splitlines()
    assert rows == "4"
    assert answer[0].startswith("No verdict")
    assert any(line.startswith("adam: ") for line in answer)
    assert trained == "complete True"
    assert (tmp_path / "out" / "tiny" / "index.html").exists()
    assert done.stderr == ""


def test_the_main_module_is_back_after_a_process_was_started():
    before = sys.modules["__main__"]
    with without_main_module():
        assert not hasattr(sys.modules["__main__"], "__file__")
    assert sys.modules["__main__"] is before


def test_a_stop_in_a_function_gives_signals_back_to_the_program():
    before = signal.getsignal(signal.SIGINT)
    with StopRequest(ends_process=False).listening() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
    assert stop.count == 2
    assert signal.getsignal(signal.SIGINT) is before


def test_a_pause_after_which_the_program_continues_gives_signals_back():
    before = signal.getsignal(signal.SIGINT)
    with StopRequest().listening() as stop:
        stop.ends_process = False
        stop.ask(signal.SIGINT, None)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_function_in_a_thread_listens_to_no_signal():
    found = []

    def listen():
        with StopRequest(ends_process=False).listening() as stop:
            found.append(stop.count)

    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()
    assert found == [0]
