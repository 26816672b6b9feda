import inspect
import subprocess
import sys
from importlib.machinery import ModuleSpec

import pytest

from bakeoff.components.optimizers import OPTIMIZERS, find_optimizer
from bakeoff.components.package_optimizers import UNUSABLE, check_installed, package_optimizers
from bakeoff.errors import MissingDependencyError, UsageError


def test_optimizer_of_the_package_has_ranges_for_rate_and_weight_decay() -> None:
    spec = find_optimizer("pytorch_optimizer:AdaBelief")
    assert (spec.name, spec.package) == ("pytorch_optimizer:AdaBelief", "pytorch_optimizer")
    assert [name for name, one in spec.parameters.items() if one.searched] == [
        "learning_rate",
        "weight_decay",
    ]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("adamm", "did you mean 'adam'.*or one of the package as pytorch_optimizer:Name"),
        ("pytorch_optimizer:", "'' is not the name of a class"),
        ("pytorch_optimizer:a.b", r"'a\.b' is not the name of a class"),
        ("pytorch_optimizer:SAM", "cannot train here: its step needs a second pass"),
        ("pytorch_optimizer:Muon", "cannot train here: .* 'muon' marks them automatically"),
        ("torch.optim.SGD", "unknown optimizer 'torch.optim.SGD'"),
    ],
)
def test_unusable_name_is_refused_with_the_reason(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        find_optimizer(name)


@pytest.mark.parametrize("spec", OPTIMIZERS, ids=lambda spec: spec.name)
def test_every_registered_optimizers_package_is_found(spec: object) -> None:
    check_installed(spec.name, spec.package)  # type: ignore[attr-defined]


def test_missing_package_names_the_extra_that_installs_it() -> None:
    with pytest.raises(MissingDependencyError, match=r"pip install 'bakeoff\[optimizers\]'"):
        check_installed("schedule_free_sgd", "no_such_package")


def test_name_that_the_package_does_not_have_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="'Lio'; did you mean 'Lion'"):
        check_installed("pytorch_optimizer:Lio", "pytorch_optimizer")


def test_names_are_known_without_importing_the_package() -> None:
    code = (
        "import sys; from bakeoff.components.package_optimizers import check_installed;"
        "check_installed('pytorch_optimizer:Lion', 'pytorch_optimizer');"
        "print({'torch', 'pytorch_optimizer'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_offered_names_are_optimizers_of_the_package() -> None:
    import pytorch_optimizer
    import torch

    offered = package_optimizers()
    assert len(offered) >= 90
    assert not UNUSABLE.keys() & set(offered)
    assert all(
        issubclass(getattr(pytorch_optimizer, name), torch.optim.Optimizer) for name in offered
    )


@pytest.mark.parametrize("name", sorted(UNUSABLE))
def test_what_is_called_unusable_is_a_class_of_the_package(name: str) -> None:
    import pytorch_optimizer

    assert inspect.isclass(getattr(pytorch_optimizer, name))


@pytest.mark.parametrize("found", [None, ModuleSpec("pytorch_optimizer", None)], ids=["no", "odd"])
def test_without_the_list_of_the_package_nothing_is_offered(
    monkeypatch: pytest.MonkeyPatch, found: ModuleSpec | None
) -> None:
    monkeypatch.setattr("bakeoff.components.package_optimizers.find_spec", lambda _: found)
    assert package_optimizers() == ()
