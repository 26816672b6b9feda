"""An entry that a test adds to a table works everywhere, without another edit."""

import importlib.util
import json
import math
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

from bakeoff.analysis.comparison import compare
from bakeoff.commands.verbs.optimizers import optimizers as list_optimizers
from bakeoff.commands.verbs.schedulers import schedulers as list_schedulers
from bakeoff.components.optimizers import OPTIMIZERS, OptimizerSpec
from bakeoff.components.parameters import Limits, ParameterSpec
from bakeoff.components.pruners import PRUNERS, PrunerParameter, PrunerSpec
from bakeoff.components.schedulers import SCHEDULERS, SchedulerSpec
from bakeoff.errors import StudyFileError
from bakeoff.ranges import FloatRange
from bakeoff.records import StudyConfig, StudyRecord
from bakeoff.report import write_report
from bakeoff.report.configurations import pastable_configurations
from bakeoff.report.pytorch_code import pytorch_code
from bakeoff.studyfile import resolve_study
from bakeoff.studyfile.schema import study_schema
from bakeoff.training import loop
from driven_study import drive
from run_examples import small_run
from study_examples import SimulatedEngine, study_document

REGENERATE = Path(__file__).parents[1] / "golden" / "regenerate.py"

OPTIMIZER = OptimizerSpec(
    name="averaged_sgd",
    description="SGD with Polyak averaging",
    build="torch.optim:ASGD",
    parameters={
        "learning_rate": ParameterSpec(
            range=FloatRange(low=1e-4, high=1.0, log=True), default=1e-2, source="for this test"
        ),
        "lambd": ParameterSpec(
            range=FloatRange(low=1e-5, high=1e-2, log=True),
            default=1e-4,
            source="for this test",
            limits=Limits(low=0.0, high=1.0),
        ),
    },
    weight_decay="l2",
    state_bytes=4.0,
    fixed={"t0": 10.0},
)


def root_factor(progress: float, *, share: float) -> float:
    """Falls quickly at first."""
    fallen = share * math.sqrt(progress)
    return 1 - fallen


SCHEDULE = SchedulerSpec(
    name="square_root",
    description="Falls with the square root of progress",
    source="for this test",
    parameters={
        "warmup_fraction": SCHEDULERS["cosine"].parameters["warmup_fraction"],
        "share": ParameterSpec(
            range=FloatRange(low=0.5, high=1.0),
            default=0.75,
            source="for this test",
            limits=Limits(low=0.0, high=1.0),
        ),
    },
    factor=root_factor,
)

PRUNER = PrunerSpec(
    name="asha",
    description="Optuna's successive halving",
    build="optuna.pruners:SuccessiveHalvingPruner",
    parameters={
        "min_resource": PrunerParameter(
            description="first epoch", default=2, limits=Limits(low=1, high=100), is_whole=True
        ),
        "reduction_factor": PrunerParameter(
            description="one in so many continues",
            default=2,
            limits=Limits(low=2, high=10),
            is_whole=True,
        ),
    },
    remembers=True,
)
PAUSING = PrunerSpec(
    name="own_halving",
    description="a second name of halving",
    build="bakeoff.search.halved_cohorts:HalvedCohorts",
    pauses=True,
)


@pytest.fixture(name="regenerate", scope="module")
def _regenerate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("regenerate", REGENERATE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(name="optimizer")
def _optimizer() -> Iterator[str]:
    with OPTIMIZERS.with_entry(OPTIMIZER):
        yield OPTIMIZER.name


@pytest.fixture(name="schedule")
def _schedule() -> Iterator[str]:
    with SCHEDULERS.with_entry(SCHEDULE):
        yield SCHEDULE.name


@pytest.fixture(name="pruner", params=[PRUNER, PAUSING], ids=lambda spec: spec.name)
def _pruner(request: pytest.FixtureRequest) -> Iterator[PrunerSpec]:
    with PRUNERS.with_entry(request.param):
        yield request.param


def searched(config: StudyConfig, folder: Path) -> StudyRecord:
    """The study after a search and a confirmation whose runs are simulated."""
    return drive(config, SimulatedEngine(2), f"sqlite:///{folder / 'studies.db'}", folder)


def schema_of_search() -> dict[str, Any]:
    definitions: dict[str, Any] = json.loads(study_schema())["$defs"]
    return definitions


def report_of(record: StudyRecord, folder: Path) -> str:
    return write_report(compare(record), folder / "report").markdown.read_text()


def run_program(code: str) -> dict[str, Any]:
    """Run a whole program of a report; the names that it defines."""
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(code, names)  # noqa: S102 - running what users paste is the point
    return names


def run_pasted(code: str) -> dict[str, Any]:
    """Train a model for a few steps with the code of a report; the names that the code defines."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    names: dict[str, Any] = {"torch": torch, "math": math, "model": model, "total_steps": 20}
    exec(code, names)  # noqa: S102 - running what users paste is the point
    for _ in range(20):
        names["optimizer"].zero_grad()
        model(torch.randn(16, 4)).square().mean().backward()
        names["optimizer"].step()
        if "scheduler" in names:
            names["scheduler"].step()
    return names


# ---------------------------------------------------------------- an optimizer


def study_with(optimizer: str, **changes: Any) -> dict[str, Any]:
    return study_document(search={"optimizers": [optimizer, "adam"]}, **changes)


def test_a_study_may_name_a_new_optimizer(optimizer: str) -> None:
    config = resolve_study(study_with(optimizer, space={optimizer: {"lambd": 0.5}}))
    assert config.space[f"{optimizer}.lambd"] == 0.5
    names = schema_of_search()["SearchSection"]["properties"]["optimizers"]["items"]
    assert optimizer in names["anyOf"][0]["enum"]


def test_limits_of_a_new_optimizer_are_checked(optimizer: str) -> None:
    with pytest.raises(StudyFileError, match="must be at least 0 and at most 1"):
        resolve_study(study_with(optimizer, space={optimizer: {"lambd": 2.0}}))


def test_a_name_is_unknown_once_its_entry_is_gone() -> None:
    with pytest.raises(StudyFileError, match="unknown optimizer 'averaged_sgd'"):
        resolve_study(study_with("averaged_sgd"))


def test_a_new_optimizer_trains(optimizer: str) -> None:
    results = list(loop.train(loop.prepare(small_run(optimizer=optimizer), "cpu")))
    assert results[-1].status == "finished"
    assert results[-1].train_loss < results[0].train_loss


def test_a_new_optimizer_is_searched_reported_and_can_be_pasted(
    optimizer: str, tmp_path: Path
) -> None:
    record = searched(resolve_study(study_with(optimizer)), tmp_path)
    trials = [trial for trial in record.trials if trial.arm == optimizer]
    assert len(trials) == 7
    assert all(f"{optimizer}.lambd" in trial.params for trial in trials)
    assert f"| {optimizer} |" in report_of(record, tmp_path)
    offered = pastable_configurations(compare(record))
    [pasted] = [one for one in offered if one.arm == optimizer and not one.is_default]
    arm = next(arm for arm in compare(record).arms if arm.arm == optimizer)
    names = run_pasted(pytorch_code(arm.chosen_params, record))
    assert type(names["optimizer"]) is torch.optim.ASGD
    assert "lambd=" in pasted.code
    assert isinstance(run_program(pasted.code)["model"], nn.Module)
    assert resolve_study(tomllib.loads(pasted.toml)).search.optimizers == (optimizer,)


def test_a_new_optimizer_is_listed(
    optimizer: str, regenerate: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert f"| `{optimizer}` | SGD with Polyak" in regenerate.generated_parts()["optimizers"]
    list_optimizers(as_json=True)
    assert optimizer in [row["optimizer"] for row in json.loads(capsys.readouterr().out)]


# ---------------------------------------------------------------- a schedule


def scheduled(schedule: str, **changes: Any) -> dict[str, Any]:
    return study_document(search={"schedulers": [schedule]}, **changes)


def test_a_study_may_name_a_new_schedule(schedule: str) -> None:
    assert resolve_study(scheduled(schedule)).search.schedulers == (schedule,)
    names = schema_of_search()["SearchSection"]["properties"]["schedulers"]["items"]
    assert schedule in names["anyOf"][0]["enum"]


def test_a_new_schedule_trains(schedule: str) -> None:
    results = list(loop.train(loop.prepare(small_run(scheduler=schedule), "cpu")))
    assert [result.learning_rate for result in results] == sorted(
        (result.learning_rate for result in results), reverse=True
    )


def test_a_new_schedule_is_searched_reported_and_can_be_pasted(
    schedule: str, tmp_path: Path
) -> None:
    record = searched(resolve_study(scheduled(schedule)), tmp_path)
    assert all(f"{schedule}.share" in trial.params for trial in record.trials)
    assert schedule in report_of(record, tmp_path)
    for pasted in (one for one in pastable_configurations(compare(record)) if not one.is_default):
        params = next(arm for arm in compare(record).arms if arm.arm == pasted.arm).chosen_params
        assert isinstance(run_program(pasted.code)["model"], nn.Module)
        factor = run_pasted(pytorch_code(params, record))["factor"]
        warmup = float(params[f"{schedule}.warmup_fraction"])
        expected = root_factor((0.5 - warmup) / (1 - warmup), share=params[f"{schedule}.share"])  # type: ignore[arg-type]
        assert factor(10) == pytest.approx(expected)
        assert resolve_study(tomllib.loads(pasted.toml)).search.schedulers == (schedule,)


def test_a_new_schedule_is_listed(
    schedule: str, regenerate: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert f"| `{schedule}` | Falls with the square" in regenerate.generated_parts()["schedulers"]
    list_schedulers(as_json=True)
    assert schedule in capsys.readouterr().out


def test_an_averaging_optimizer_is_not_offered_a_new_schedule(schedule: str) -> None:
    with pytest.raises(StudyFileError, match="cannot train with scheduler 'square_root'"):
        resolve_study(
            scheduled(schedule)
            | {"search": {"optimizers": ["schedule_free_sgd"], "schedulers": [schedule]}}
        )


# ---------------------------------------------------------------- a pruner


def test_a_study_may_name_a_new_pruner(pruner: PrunerSpec) -> None:
    config = resolve_study(study_document(search={"pruner": pruner.name}))
    defaults = {name: one.default for name, one in pruner.parameters.items()}
    assert (config.search.pruner, config.search.pruner_params) == (pruner.name, defaults)
    table = schema_of_search()["PrunerTable"]["properties"]
    assert pruner.name in table["name"]["enum"]
    assert pruner.parameters.keys() <= table.keys()


@pytest.mark.parametrize("pruner", [PRUNER], indirect=True, ids=["asha"])
def test_settings_of_a_new_pruner_are_checked(pruner: PrunerSpec) -> None:
    table = {"name": pruner.name, "min_resource": 2.5}
    with pytest.raises(StudyFileError, match=r"min_resource = 2\.5: must be a whole number"):
        resolve_study(study_document(search={"pruner": table}))


@pytest.mark.parametrize("is_repeatable", [False, True], ids=["free", "repeatable"])
def test_a_new_pruner_prunes_and_is_reported(
    pruner: PrunerSpec, tmp_path: Path, is_repeatable: bool
) -> None:
    search = {
        "pruner": pruner.name, "trials_per_arm": 16, "repeatable": is_repeatable, "audit": 0.0
    }  # fmt: skip
    config = resolve_study(study_document(search=search, training={"epochs": 9}))
    record = searched(config, tmp_path)
    assert any(trial.outcome == "pruned" for trial in record.trials)
    assert "W02" in [flag.id for flag in compare(record).flags]
    assert pruner.name in report_of(record, tmp_path)


def test_a_pruner_that_compares_no_trials_is_not_flagged(tmp_path: Path) -> None:
    spec = PrunerSpec(
        name="floor",
        description="stop a trial below one half",
        build="optuna.pruners:ThresholdPruner",
        arguments=lambda _: {"lower": 0.5},
        compares_trials=False,
    )
    with PRUNERS.with_entry(spec):
        config = resolve_study(study_document(search={"pruner": "floor", "audit": 0.0}))
        record = searched(config, tmp_path)
        assert any(trial.outcome == "pruned" for trial in record.trials)
        assert "W02" not in [flag.id for flag in compare(record).flags]
