"""What the user's code takes is read from its source, and nothing is imported."""

import sys
from pathlib import Path

import pytest

from bakeoff.components.optimizers import find_optimizer
from bakeoff.components.own_schedules import find_scheduler
from bakeoff.components.signatures import Signature, read_own_code, read_signature
from bakeoff.errors import UsageError
from bakeoff.own_source import look_in
from bakeoff.ranges import FloatRange

CODE = """
import torch
import torch.optim as optim
from torch.optim import Adam
from .inner import Deep as Renamed
raise RuntimeError("imported")

class Lion(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-4, betas=(0.9, 0.99), *, weight_decay=0.02, nesterov=False): ...
    def train(self): ...
    def eval(self): ...
class Child(Lion): ...
class OfAdam(Adam): ...
class OfRprop(optim.Rprop): ...
class OfDeep(Renamed): ...
class Endless(Endless): ...
def any_options(groups, lr, **options): ...
made = optim.SGD
def schedule(progress, num_cycles=2, low: float = 0.1, name="up"): ...
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    package = tmp_path / "read_only_code"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')\n")
    (package / "parts.py").write_text(CODE)
    (package / "inner.py").write_text("class Deep:\n    def __init__(self, params, rho=0.5): ...\n")
    look_in("")


def read(name: str) -> Signature:
    found = read_signature(f"read_only_code.parts:{name}")
    assert found is not None
    return found


def test_arguments_and_defaults_of_a_class_are_read_without_importing_it() -> None:
    found = read("Lion")
    assert found.names == ("lr", "betas", "weight_decay", "nesterov")
    assert found.defaults == {
        "lr": 1e-4, "betas": (0.9, 0.99), "weight_decay": 0.02, "nesterov": False
    }  # fmt: skip
    assert not found.takes_any
    assert "read_only_code" not in sys.modules


@pytest.mark.parametrize(
    ("name", "defaults"),
    [
        ("Child", {"lr": 1e-4, "weight_decay": 0.02}),
        ("OfAdam", {"lr": 1e-3, "betas": (0.9, 0.999)}),
        ("OfRprop", {"lr": 1e-2, "etas": (0.5, 1.2)}),
        ("OfDeep", {"rho": 0.5}),
    ],
)
def test_class_takes_what_its_base_class_takes(name: str, defaults: dict[str, object]) -> None:
    assert defaults.items() <= read(name).defaults.items()


@pytest.mark.parametrize("name", ["made", "Endless", "missing"])
def test_signature_is_unknown_where_the_source_does_not_tell(name: str) -> None:
    assert read_signature(f"read_only_code.parts:{name}") is None
    assert read_own_code(f"read_only_code.parts:{name}").known is None


def test_optimizer_of_the_users_is_searched_in_what_it_takes_from_its_own_defaults() -> None:
    spec = find_optimizer("read_only_code.parts:Lion")
    searched = {name: one.default for name, one in spec.parameters.items() if one.searched}
    assert searched == {"learning_rate": 1e-4, "weight_decay": 0.02}
    fixed = {name: one.default for name, one in spec.parameters.items() if not one.searched}
    assert fixed == {"beta1": 0.9, "beta2": 0.99, "nesterov": False}
    assert spec.parameters["learning_rate"].range == FloatRange(low=1e-5, high=1.0, log=True)
    assert spec.averages  # it has methods train and eval
    assert [*find_optimizer("torch.optim:Rprop").parameters] == [
        "learning_rate", "capturable", "maximize", "differentiable"
    ]  # fmt: skip


def test_betas_are_passed_together_and_other_parameters_only_where_they_are_listed() -> None:
    spec = find_optimizer("read_only_code.parts:Lion")
    given = spec.complete({"learning_rate": 0.1, "beta1": 0.5})
    assert spec.arguments(given) == {"lr": 0.1, "betas": (0.5, 0.99)}
    assert spec.arguments(spec.complete({"learning_rate": 0.1})) == {"lr": 0.1}


def test_optimizer_that_takes_anything_may_list_anything() -> None:
    spec = find_optimizer("read_only_code.parts:any_options")
    assert spec.own is not None
    assert spec.own.known is None
    assert [*spec.parameters] == ["learning_rate"]


def test_schedule_of_the_users_has_the_defaults_of_its_signature() -> None:
    spec = find_scheduler("read_only_code.parts:schedule")
    defaults = {name: one.default for name, one in spec.parameters.items()}
    assert defaults == {"num_cycles": 2, "low": 0.1, "name": "up"}
    assert spec.has_own_warmup
    assert not any(one.searched for one in spec.parameters.values())


def test_unknown_names_are_refused_with_the_way_to_name_ones_own() -> None:
    with pytest.raises(
        UsageError, match=r"'adma'; did you mean 'adamax'.* your own as package\.mod"
    ):
        find_optimizer("adma")
    with pytest.raises(
        UsageError, match=r"'cosin'; did you mean 'cosine'.* your own as package\.m"
    ):
        find_scheduler("cosin")
