"""The model, the table and the study file of the README run as they are printed there."""

import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from study_examples import call_study

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
SMALL = (
    "--set", "search.trials_per_arm=2", "--set", "training.epochs=2",
    "--set", "search.defaults=false", "--set", "confirm.seeds=2", "--set", "training.precision=fp32",
)  # fmt: skip


def block(language):
    (found,) = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    return found


@pytest.fixture(name="folder")
def _folder(tmp_path):
    (tmp_path / "my_models.py").write_text(block("python"))
    (tmp_path / "flowers.toml").write_text(block("toml"))
    (command,) = re.findall(r'^python -c "(.*)"$', README, re.MULTILINE)
    subprocess.run([sys.executable, "-c", command], cwd=tmp_path, check=True)
    return tmp_path


def test_the_example_of_the_readme_runs_to_its_answer_and_its_export(folder):
    checked = call_study(folder, "validate", "flowers.toml")
    assert checked.stdout == "flowers.toml: study 'flowers' is valid\n"
    done = call_study(folder, "run", "flowers.toml", "--workers", "1", *SMALL)
    assert done.returncode == 0, done.stderr
    assert "report: results/flowers/index.html" in done.stdout
    runs = pd.read_csv(folder / "results" / "flowers" / "tables" / "trials.csv")
    assert set(runs["arm"]) == {"sgd", "adamw"}
    exported = call_study(folder, "export", "flowers", "-o", "model.safetensors")
    assert exported.returncode == 0, exported.stderr
    assert (folder / "model.safetensors").is_file()
