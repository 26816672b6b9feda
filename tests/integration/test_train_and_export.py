"""`study train` and `study export` in real processes: finished, interrupted, killed, continued."""

import html
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tomli_w

from bakeoff.commands.cli import main
from study_examples import study_document

STUDY = [sys.executable, "-m", "bakeoff"]
DOCUMENT = study_document(
    data={"train_samples": 320},
    training={"epochs": 30, "batch_size": 8},
    model={"width": 16, "dropout": {"low": 0.0, "high": 0.5}},
)
CHOICES = ["--optimizer", "adamw", "--scheduler", "cosine", "--learning-rate", "1e-2"]
PATIENCE_SECONDS = 60


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    file = tmp_path_factory.mktemp("studies") / "toy.toml"
    file.write_text(tomli_w.dumps(DOCUMENT))
    return file


def start(file: Path, output: Path, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*STUDY, "train", str(file), *CHOICES, "--output", str(output), "--name", "mine",
         "--threads", "1", "--set", "model.dropout=0.25", *options],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def folder_in(output: Path) -> Path:
    return output / "toy" / "train" / "mine"


def lines_in(output: Path) -> list[dict]:
    path = folder_in(output) / "metrics.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def without_clock(output: Path) -> list[dict]:
    return [
        {key: value for key, value in line.items() if not key.endswith("_seconds")}
        for line in lines_in(output)
    ]


def wait_for_epochs(output: Path, count: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(lines_in(output)) < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture(scope="module")
def calm(file, tmp_path_factory):
    """Output folder and printed text of a run that was not interrupted."""
    output = tmp_path_factory.mktemp("calm")
    code, out, err = finish(start(file, output))
    assert code == 0, err
    return output, out


def result_of(output: Path) -> dict:
    return json.loads((folder_in(output) / "result.json").read_text())


def test_a_run_ends_with_weights_a_line_per_epoch_and_a_table(calm):
    output, out = calm
    assert [line["epoch"] for line in lines_in(output)] == list(range(1, 31))
    result = result_of(output)
    assert result["outcome"] == "complete"
    assert result["validation_metrics"]["accuracy"] > 0.8
    row = next(line.split() for line in out.splitlines() if line.startswith("accuracy"))
    assert float(row[1]) == pytest.approx(result["validation_metrics"]["accuracy"], abs=1e-4)
    assert float(row[2]) == pytest.approx(result["test_metrics"]["accuracy"], abs=1e-4)
    assert (folder_in(output) / "weights.safetensors").exists()
    assert not (folder_in(output) / "checkpoints").exists()


def test_the_page_lets_nothing_run_but_its_own_scripts(calm):
    page = (folder_in(calm[0]) / "index.html").read_text()
    assert "default-src 'none'; script-src 'sha256-" in html.unescape(page[:1000])
    outside = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    assert not re.search(r'(?:src|href)="(?:https?:)?//', outside)
    assert '"name":"validation loss"' in page
    assert "adamw.learning_rate" in page


def test_a_finished_run_says_so_and_changes_nothing(calm, capsys):
    output, _ = calm
    before = (folder_in(output) / "metrics.jsonl").read_bytes()
    config = folder_in(output) / "config.toml"  # the same run again, by its own configuration
    main_exits_0(["train", str(config), "--output", str(output), "--name", "mine"])
    assert capsys.readouterr().out.startswith("nothing to train: this run is finished")
    assert (folder_in(output) / "metrics.jsonl").read_bytes() == before


def test_interrupted_then_killed_it_ends_with_the_same_bits(file, calm, tmp_path):
    first = start(file, tmp_path)
    wait_for_epochs(tmp_path, 3, first)
    first.send_signal(signal.SIGINT)
    code, _, err = finish(first)
    assert code == 130, err
    second = start(file, tmp_path)
    wait_for_epochs(tmp_path, len(lines_in(tmp_path)) + 5, second)
    os.killpg(second.pid, signal.SIGKILL)
    second.communicate()
    with (folder_in(tmp_path) / "metrics.jsonl").open("a") as log:
        log.write('{"epoch": 4')  # the kill cut a line short
    code, _, err = finish(start(file, tmp_path))
    assert code == 0, err
    assert without_clock(tmp_path) == without_clock(calm[0])
    assert result_of(tmp_path) == result_of(calm[0])
    weights = [(folder_in(one) / "weights.safetensors").read_bytes() for one in (tmp_path, calm[0])]
    assert weights[0] == weights[1]


def main_exits_0(arguments):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code in (0, None)


def study(arguments, capsys):
    """Exit code and the lines on stderr of a command that fails."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    return caught.value.code, captured.err.splitlines()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--optimizer", "adamm"], "did you mean 'adam'"),
        (["--scheduler", "cosin"], "did you mean 'cosine'"),
        (["--learning-rate", "-1"], "space.sgd.learning_rate = -1.0: must be above 0"),
        (["--epochs", "0"], "training.epochs = 0"),
        (["--set", "width=3"], "--set width=3: write owner.parameter=value"),
        (["--set", "model.widht=3"], "did you mean 'width'"),
        (["--set", "adam.beta1=0.9"], "unknown optimizer or scheduler of this study 'adam'"),
        (["--seed", "-1"], "--seed = -1"),
        (["--threads", "0"], "--threads = 0: allowed are 1 to 1024"),
        (["--name", "../x"], "--name = '../x'"),
        (["--optimizer", "schedule_free_adamw", "--scheduler", "cosine"], "schedule_free_adamw"),
    ],
)
def test_a_wrong_choice_is_exit_2_and_one_line(file, tmp_path, capsys, options, message):
    output = tmp_path / "results"
    code, lines = study(["train", str(file), "--output", str(output), *options], capsys)
    assert (code, len(lines)) == (2, 1)
    assert message in lines[0]
    assert not output.exists()


def test_a_name_that_other_settings_have_is_refused_with_the_difference(file, calm, capsys):
    code, lines = study(
        ["train", str(file), "--output", str(calm[0]), "--name", "mine", "--epochs", "3"], capsys
    )
    assert code == 2
    assert "training.epochs: 30 -> 3" in lines[-1]


# ---------------------------------------------------------------- export

SCORE = """
import json, sys
import numpy as np, torch
sys.path.insert(0, sys.argv[1])
from load_model import load_model, prepare
from bakeoff.data.datasets import load_dataset
from bakeoff.records import DataConfig
data = load_dataset(DataConfig(dataset="digits"))
labels = torch.as_tensor(np.array(data.test_labels))
with torch.no_grad():
    logits = load_model()(prepare(np.array(data.test_inputs)))
loss = torch.nn.functional.cross_entropy(logits, labels)
print(json.dumps([float((logits.argmax(1) == labels).float().mean()), float(loss)]))
"""


def test_exported_weights_loaded_in_a_fresh_process_score_as_the_run_did(calm, tmp_path, capsys):
    main_exits_0(["export", "toy/mine", "--output", str(calm[0]),
                  "-o", str(tmp_path / "away" / "model.safetensors")])  # fmt: skip
    assert "example:" in capsys.readouterr().out
    assert {path.name for path in (tmp_path / "away").iterdir()} == {
        "model.safetensors", "model.json", "load_model.py", "use_model.py",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", SCORE, str(tmp_path / "away")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    expected = result_of(calm[0])["test_metrics"]
    assert json.loads(done.stdout) == pytest.approx([expected["accuracy"], expected["loss"]])


def test_the_loading_example_runs_as_it_stands(calm, tmp_path):
    main_exits_0(["export", str(folder_in(calm[0])), "-o", str(tmp_path / "m.safetensors")])
    done = subprocess.run(
        [sys.executable, str(tmp_path / "use_m.py")], capture_output=True, text=True, check=True
    )
    assert re.fullmatch(r"\['\d', '\d'\]\n", done.stdout)
    assert len((tmp_path / "use_m.py").read_text().splitlines()) <= 10


def test_a_run_without_weights_says_how_to_get_them(file, calm, tmp_path, capsys):
    run = tmp_path / "toy" / "train" / "half"
    run.mkdir(parents=True)
    for name in ("run.json", "config.toml"):
        (run / name).write_bytes((folder_in(calm[0]) / name).read_bytes())
    code, lines = study(["export", "toy/half", "--output", str(tmp_path)], capsys)
    assert code == 1
    assert "study train" in lines[-1]


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [("toy", 5, "runs of `study train`: toy/mine"), ("toy/mien", 2, "did you mean 'toy/mine'?")],
)
def test_an_unknown_name_is_answered_with_the_existing_runs(calm, capsys, name, code, message):
    answer, lines = study(["export", name, "--output", str(calm[0])], capsys)
    assert answer == code
    assert message in lines[-1]


def test_a_file_name_without_safetensors_suffix_is_refused(calm, capsys):
    code, lines = study(["export", "toy/mine", "--output", str(calm[0]), "-o", "model.pt"], capsys)
    assert code == 2
    assert "ends with .safetensors" in lines[-1]


@pytest.fixture(scope="module")
def confirmed(tmp_path_factory):
    """A small study with confirmation: its output folder."""
    folder = tmp_path_factory.mktemp("confirmed")
    document = study_document(
        training={"epochs": 2},
        search={"trials_per_arm": 1, "startup_trials": 1, "defaults": False, "pruner": "none"},
        confirm={"seeds": 3, "shortlist": 1, "shortlist_seeds": 1},
    )
    (folder / "toy.toml").write_text(tomli_w.dumps(document))
    subprocess.run(
        [*STUDY, "run", "toy.toml", "--workers", "1"], cwd=folder, check=True, capture_output=True
    )
    return folder / "results"


@pytest.mark.parametrize("arm", ["sgd", "adam"])
def test_an_arm_is_exported_with_the_weights_of_its_best_confirmation_run(
    confirmed, tmp_path, capsys, arm
):
    from bakeoff.storage import Storage

    record = Storage(f"sqlite:///{confirmed / 'studies.db'}").load_record("toy")
    runs = [one for one in record.confirmations if (one.arm, one.purpose) == (arm, "confirm")]
    best = max(runs, key=lambda run: run.score)
    target = tmp_path / "model.safetensors"
    main_exits_0(["export", "toy", "--arm", arm, "--output", str(confirmed), "-o", str(target)])
    assert capsys.readouterr().out.startswith(f"{arm}, confirm-{best.number} (seed")
    about = json.loads((tmp_path / "model.json").read_text())
    assert about["configuration"]["optimizer"] == arm
    assert about["configuration"]["seed"] == best.seed
    assert about["validation_metrics"]["accuracy"] == best.score
    assert about["class_names"] == list("0123456789")


def test_a_study_keeps_the_weights_of_one_run_per_arm(confirmed):
    assert len(list((confirmed / "toy" / "weights").iterdir())) == 2


def test_a_study_whose_weights_are_gone_says_how_to_get_them(confirmed, capsys, tmp_path):
    (tmp_path / "studies.db").write_bytes((confirmed / "studies.db").read_bytes())
    code, lines = study(["export", "toy", "--output", str(tmp_path)], capsys)
    assert code == 1
    assert "`study train`" in lines[-1]
