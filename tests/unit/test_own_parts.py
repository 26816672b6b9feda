"""A study of the user's own parts is checked, searched and reported without importing them."""

import json
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from bakeoff import Study
from bakeoff.analysis.comparison import compare
from bakeoff.commands.cli import main
from bakeoff.errors import StudyFileError, UsageError
from bakeoff.own_source import CODE, look_in
from bakeoff.production.one_configuration import Chosen, fix_settings, params_of
from bakeoff.ranges import FloatRange, owned_params, split_name
from bakeoff.records import OwnMetric, StudyConfig
from bakeoff.report import write_report
from bakeoff.session.checks import check_packages
from bakeoff.session.measuring import _blame
from bakeoff.space import build_arms, build_trial_config, default_params
from bakeoff.storage import Storage
from bakeoff.studyfile import format_study, load_study_file, resolve_study
from bakeoff.studyfile.own_parts import own_parts
from driven_study import drive
from study_examples import SimulatedEngine, study_document

LION, CYCLIC = "unread_kit.opt:Lion", "unread_kit.sched:cyclic"
FILES = {
    "unread_kit/__init__.py": "",
    "unread_kit/opt.py": (
        "import torch\n"
        "class Lion(torch.optim.Optimizer):\n"
        "    def __init__(self, params, lr=0.003, betas=(0.9, 0.99), weight_decay=0.0): ...\n"
    ),
    "unread_kit/sched.py": "def cyclic(progress, num_cycles=2, low=0.1): ...\n",
    "unread_parts.py": (
        "def top2(outputs, labels): ...\n"
        "def jitter(images, generator): ...\n"
        "def focal(outputs, labels): ...\n"
    ),
}


def own_document(**changes: dict[str, Any]) -> dict[str, Any]:
    """A study in which every part that can be the user's own is."""
    sections: dict[str, dict[str, Any]] = {
        "data": {"augment": ["flip", "unread_parts:jitter"]},
        "training": {"loss": "unread_parts:focal", "metrics": ["unread_parts:top2"]},
        "search": {"optimizers": [LION, "sgd"], "schedulers": ["constant", CYCLIC]},
        "space": {
            LION: {"beta1": {"low": 0.8, "high": 0.95}},
            CYCLIC: {"num_cycles": {"low": 1, "high": 3}},
        },
        "metrics": {"unread_parts:top2": {"high": 1.0}},
    }
    for section, keys in changes.items():
        sections[section] = {**sections.get(section, {}), **keys}
    return study_document(**sections)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The study file's folder, with modules that must not be imported."""
    inner = tmp_path / "studies"
    for name, text in FILES.items():
        file = inner / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}raise RuntimeError('imported')\n")
    monkeypatch.chdir(tmp_path)
    yield inner
    look_in("")
    assert not [name for name in sys.modules if name.startswith("unread_")]


def load(folder: Path, **changes: dict[str, Any]) -> StudyConfig:
    file = folder / "toy.toml"
    file.write_text(tomli_w.dumps(own_document(**changes)))
    return load_study_file(file)


def test_owner_of_a_parameter_is_everything_before_the_last_dot() -> None:
    assert split_name("pkg.mod:Lion.learning_rate") == ("pkg.mod:Lion", "learning_rate")
    assert split_name("scheduler") == ("", "scheduler")
    params = {"a.b:C.lr": 1, "a.b:C.D.lr": 2, "a.b": 3}
    assert owned_params(params, "a.b:C") == {"lr": 1}
    assert owned_params(params, "a") == {"b": 3}


def test_study_of_own_parts_is_stored_and_read_as_it_is(folder: Path) -> None:
    config = load(folder)
    assert resolve_study(tomllib.loads(format_study(config))) == config
    assert dict(own_parts(config)) == {
        "training.loss": "unread_parts:focal",
        "search.optimizers": LION,
        "search.schedulers": CYCLIC,
        "training.metrics": "unread_parts:top2",
        "data.augment": "unread_parts:jitter",
    }
    assert config.metrics == {"unread_parts:top2": OwnMetric(high=1.0)}
    check_packages(config)


def test_space_of_an_own_optimizer_has_what_it_takes_and_what_the_file_lists(folder: Path) -> None:
    arm = build_arms(load(folder))[0]
    assert [*arm.space][:2] == ["optimizer", "scheduler"]
    assert arm.space[f"{LION}.learning_rate"] == FloatRange(low=1e-5, high=1.0, log=True)
    assert arm.space[f"{LION}.beta1"] == FloatRange(low=0.8, high=0.95)
    assert f"{CYCLIC}.num_cycles" in arm.space
    assert f"{LION}.beta2" not in arm.space
    params = default_params(arm, "mlp")
    assert params[f"{LION}.learning_rate"] == 0.003
    trial = build_trial_config(load(folder), {**params, "scheduler": CYCLIC}, seed=1)
    assert trial.optimizer_params == {"learning_rate": 0.003, "weight_decay": 0.0, "beta1": 0.9}


def test_settings_of_one_run_name_parameters_by_reference(folder: Path) -> None:
    others = (f"{LION}.beta1=0.85", f"{CYCLIC}.num_cycles=3", "model.width=8")
    config = fix_settings(load(folder), Chosen(optimizer=LION, scheduler=CYCLIC, others=others))
    assert params_of(config) == {
        "optimizer": LION, "scheduler": CYCLIC, f"{LION}.learning_rate": 0.003,
        f"{LION}.weight_decay": 0.0, f"{LION}.beta1": 0.85, f"{CYCLIC}.num_cycles": 3,
    }  # fmt: skip
    assert config.folder == str(folder)
    with pytest.raises(UsageError, match=r"Lion\.beta: unknown parameter 'beta'; did you mean 'be"):
        fix_settings(load(folder), Chosen(optimizer=LION, others=(f"{LION}.beta=0.85",)))


def test_settings_of_a_command_reach_names_with_dots(folder: Path) -> None:
    load(folder, metrics={"unread_parts:top2": {"low": 0.0, "direction": "maximize"}})
    settings = [f'space."{LION}".beta1=0.85', 'metrics."unread_parts:top2".high=2.0']
    config = load_study_file(folder / "toy.toml", settings)
    assert config.space[f"{LION}.beta1"] == 0.85
    expected = OwnMetric(direction="maximize", low=0.0, high=2.0)
    assert config.metrics == {"unread_parts:top2": expected}


def test_stored_study_is_reported_and_shown_after_its_modules_are_gone(
    folder: Path, storage_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = load(folder, search={"trials_per_arm": 3, "startup_trials": 1, "schedulers": [CYCLIC]})
    record = drive(config, SimulatedEngine(), storage_url, tmp_path)
    for file in folder.rglob("*.py"):
        file.unlink()
    report = write_report(compare(record), tmp_path / "report")
    assert LION in report.html.read_text()
    found = sorted(one for one in (tmp_path / "report" / "configurations").glob("*Lion.*"))
    code, document = (one.read_text() for one in sorted(found))
    assert f'schedulers = ["{CYCLIC}"]' in document
    assert "unread_kit.sched.cyclic(step / total_steps, num_cycles=" in code
    assert f'[space."{LION}"]\nlearning_rate = ' in document
    assert "    optimizer = unread_kit.opt.Lion(" in code
    for verb in (["status", "toy"], ["show", "toy", "0"]):
        with pytest.raises(SystemExit) as ended:
            main([*verb, "--storage", storage_url])
        assert ended.value.code == 0
        assert LION in capsys.readouterr().out


def test_stored_study_means_the_same_after_its_code_changed(
    folder: Path, storage_url: str, tmp_path: Path
) -> None:
    config = load(folder, search={"trials_per_arm": 3, "startup_trials": 1})
    drive(config, SimulatedEngine(), storage_url, tmp_path)
    other = FILES["unread_kit/opt.py"].replace("lr=0.003", "lr=1, momentum=0").replace("betas", "b")
    (folder / "unread_kit" / "opt.py").write_text(other)
    stored = Storage(storage_url).load_config("toy")
    assert stored == config
    assert stored.space[f"{LION}.weight_decay"] == config.space[f"{LION}.weight_decay"]
    with pytest.raises(StudyFileError, match="unknown parameter 'beta1'"):
        load(folder)


def test_study_from_python_finds_modules_beside_its_file(folder: Path) -> None:
    load(folder)
    study = Study(folder / "toy.toml", settings={"search.trials_per_arm": 2})
    assert study.config.folder == str(folder)
    assert Study(study).config == study.config
    assert Study(study).config.folder == str(folder)
    with pytest.raises(StudyFileError, match=r"no module 'unread_parts' in .* or among the pack"):
        Study(own_document())


def test_a_file_of_results_finds_its_modules_from_any_folder(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = tmp_path / "far" / "results" / "mine"
    files = ", ".join(f"kit/{name} (0)" for name in FILES)
    facts = json.dumps({"environment": {CODE: files}})
    for name, text in {
        "environment.json": facts,
        "configurations/one.toml": tomli_w.dumps(own_document()),
        **{f"code/kit/{name}": text for name, text in FILES.items()},
    }.items():
        (results / name).parent.mkdir(parents=True, exist_ok=True)
        (results / name).write_text(text)
    monkeypatch.chdir(results / "configurations")
    found = load_study_file(Path("one.toml"))
    assert found.folder == str(results / "code" / "kit")
    (tmp_path / "there").mkdir()
    folder.rename(tmp_path / "there" / "kit")
    monkeypatch.chdir(tmp_path / "there")
    found = load_study_file(results / "configurations" / "one.toml")
    assert found.folder == str(tmp_path / "there" / "kit")


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        (
            "cannot import 'unread_parts' for 'unread_parts:focal': SystemExit: 2",
            "training.loss = 'unread_parts:focal': cannot import",
        ),
        ("ValueError: odd (opt.py:7)", f"search.optimizers = '{LION}': ValueError"),
        ("KeyError: 'x' (elsewhere.py:7)", "model.model = 'mlp': KeyError"),
        ("model 'mlp' gives [2] (unread_parts.py:1)", "model.model = 'mlp' gives [2]"),
        ("optimizer 'a:b': odd (opt.py:7)", "search.optimizers: optimizer 'a:b': odd"),
    ],
)
def test_a_failure_is_blamed_on_the_part_whose_file_raised_it(
    folder: Path, reason: str, message: str
) -> None:
    assert _blame(resolve_study(own_document()), reason).startswith(message)


def test_file_named_like_a_module_of_python_is_refused(folder: Path) -> None:
    (folder / "statistics.py").write_text("def loss(outputs, targets): ...\n")
    with pytest.raises(
        StudyFileError, match=r"Python takes a module of its own and not .*studies/"
    ):
        load(folder, training={"loss": "statistics:loss"})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"search": {"optimizers": ["unread_kit.opt:Lyon"]}, "space": {LION: {}}}, "space.unread_kit"),
        ({"space": {LION: {"beta9": 0.5}}}, "Lion.beta9: unknown parameter 'beta9'; did you mean 'be"),
        ({"space": {CYCLIC: {"cycles": 1}}}, r"cyclic\.cycles: unknown parameter 'cycles'; did you "),
        ({"data": {"augment": ["unread_parts:jiter"]}}, r"data\.augment = .*did you mean 'jitter'"),
        ({"training": {"metrics": ["accuracy"]}}, r"training\.metrics = .*write package\.module:name"),
        ({"study": {"objective": "unread_parts:top2"}}, "needs direction and untrained under .metric"),
        ({"study": {"objective": ["accuracy", "unread_parts:top2"]}}, "needs direction under .metric"),
        ({"metrics": {"unread_parts:top3": {}}}, "unknown metric of your own in this study .*top2'"),
        (
            {
                "study": {"objective": "unread_parts:top2"},
                "metrics": {
                    "unread_parts:top2": {"direction": "minimize", "untrained": 2.0, "high": 1.0}
                },
            },
            r"metrics\.unread_parts:top2\.untrained = 2: must be from low to high",
        ),
    ],
)  # fmt: skip
def test_study_of_own_parts_that_is_wrong_is_refused_with_its_key(
    folder: Path, changes: dict[str, dict[str, Any]], message: str
) -> None:
    with pytest.raises(StudyFileError, match=message):
        load(folder, **changes)


def test_study_without_own_metrics_is_stored_as_before(config: StudyConfig) -> None:
    document = tomllib.loads(format_study(config))
    assert "metrics" not in document
    assert "metrics" not in document["training"]
