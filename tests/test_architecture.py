"""The rules of the architecture: layers, start-up cost, and where foreign files are opened."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from outside_pip import tracked_files
from structure import build_graph, cycles

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src").rglob("*.py"))


def test_the_import_contracts_hold():
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports")],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def modules_after(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return set(done.stdout.splitlines()[-1].split())  # what the command itself printed is above


RUN = "import sys\nfrom bakeoff.commands.cli import main\ntry: main({arguments})\nexcept SystemExit: pass\n"


HEAVY = {"torch", "optuna", "pandas", "plotly", "scipy"}


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_the_list_of_verbs_is_shown_without_importing_a_verb(arguments):
    imported = modules_after(RUN.format(arguments=arguments))
    assert not {name for name in imported if name.startswith("bakeoff.commands.verbs.")}
    assert not HEAVY & imported


def test_no_verb_needs_a_heavy_package_for_its_help():
    code = "from bakeoff.commands.cli import load_verb, verb_files\nfor name in verb_files(): load_verb(name)"
    assert not HEAVY & modules_after(code)


def test_a_worker_imports_nothing_heavy_but_torch():
    imported = modules_after(
        "import bakeoff.engines.worker, bakeoff.training.loop, bakeoff.training.weights"
    )
    heavy = {
        "torchmetrics",
        "torchvision",
        "scipy",
        "sklearn",
        "pandas",
        "optuna",
        "plotly",
        "sympy",
    }
    assert "torch" in imported
    assert not heavy & imported


@pytest.mark.parametrize(
    "arguments",
    [
        ["optimizers"],
        ["validate", str(ROOT / "studies/digits.toml")],
        ["schema"],
        ["report", "none", "--output", "/nowhere"],
    ],
)
def test_a_command_that_trains_nothing_never_imports_torch(arguments):
    assert "torch" not in modules_after(RUN.format(arguments=arguments))


@pytest.mark.parametrize(
    "module",
    [
        "bakeoff.session", "bakeoff.driver", "bakeoff.storage", "bakeoff.production.run",
        "bakeoff.production.gate",
        "bakeoff.production.export", "bakeoff.production.machine_profile",
        "bakeoff.tracking.tensorboard_writer", "bakeoff.tracking.wandb_client",
        "bakeoff.tracking.mlflow_client",
    ],
)  # fmt: skip
def test_the_driver_never_imports_torch(module):
    assert "torch" not in modules_after(f"import {module}")


@pytest.mark.parametrize("module", ["bakeoff.analysis.comparison", "bakeoff.report"])
def test_analysis_and_report_import_neither_torch_nor_optuna(module):
    assert not {"torch", "optuna"} & modules_after(f"import {module}")


def calls_in(path: Path) -> list[tuple[str, ast.Call]]:
    tree = ast.parse(path.read_text())
    return [
        (f"{node.func.value.id}.{node.func.attr}", node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
    ]


def test_every_torch_load_is_safe_and_in_a_file_that_is_known():
    loads = [
        (path.name, call)
        for path in SOURCES
        for name, call in calls_in(path)
        if name == "torch.load"
    ]
    assert {name for name, _ in loads} == {"checkpoint.py", "pretrained.py"}
    for _, call in loads:
        assert any(
            word.arg == "weights_only" and getattr(word.value, "value", None) is True
            for word in call.keywords
        )


def test_nothing_unpickles_or_evaluates():
    forbidden = {"pickle.load", "pickle.loads", "torch.hub", "yaml.load", "builtins.eval"}
    found = {name for path in SOURCES for name, _ in calls_in(path)}
    names = {
        node.func.id
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert not forbidden & found
    assert not {"eval", "exec"} & names


def test_the_top_level_holds_only_what_belongs_there():
    top = {path.split("/")[0] for path in tracked_files() if not path.startswith(".")}
    assert top == {
        "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff",
        "src", "studies", "tests", "results",
    }  # fmt: skip


def test_no_modules_import_each_other():
    assert not cycles(build_graph(ROOT))
