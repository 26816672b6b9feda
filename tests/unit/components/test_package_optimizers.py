import inspect
from pathlib import Path

import pytest

from bakeoff.components.optimizers import OPTIMIZERS, find_optimizer
from bakeoff.components.package_optimizers import UNUSABLE, check_installed
from bakeoff.errors import MissingDependencyError, UsageError


def test_optimizer_of_the_package_has_ranges_for_rate_and_weight_decay() -> None:
    spec = find_optimizer("pytorch_optimizer:Lion")
    assert (spec.name, spec.package) == ("pytorch_optimizer:Lion", "pytorch_optimizer")
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
        ("pytorch_optimizer:Muon", "cannot train here: .* 'muon' does that by itself"),
        ("torch.optim:SGD", "unknown optimizer 'torch.optim:SGD'"),
    ],
)
def test_unusable_name_is_refused_with_the_reason(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        find_optimizer(name)


@pytest.mark.parametrize("spec", OPTIMIZERS, ids=lambda spec: spec.name)
def test_every_registered_optimizers_package_is_found(spec: object) -> None:
    check_installed(spec.name, spec.package)  # type: ignore[attr-defined]


def test_missing_package_names_the_extra_that_brings_it() -> None:
    with pytest.raises(MissingDependencyError, match=r"pip install 'bakeoff\[optimizers\]'"):
        check_installed("schedule_free_sgd", "no_such_package")


def test_name_that_the_package_does_not_have_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="'Lio'; did you mean 'Lion'"):
        check_installed("pytorch_optimizer:Lio", "pytorch_optimizer")


def test_names_are_known_without_importing_the_package(tmp_path: Path) -> None:
    import subprocess
    import sys

    code = (
        "import sys; from bakeoff.components.package_optimizers import check_installed;"
        "check_installed('pytorch_optimizer:Lion', 'pytorch_optimizer');"
        "print({'torch', 'pytorch_optimizer'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("name", sorted(UNUSABLE))
def test_what_is_called_unusable_is_an_optimizer_of_the_package(name: str) -> None:
    import pytorch_optimizer

    assert inspect.isclass(getattr(pytorch_optimizer, name))
