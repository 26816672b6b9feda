import pytest

from bakeoff.components.models import find_model
from bakeoff.errors import UsageError


def test_registered_model_is_found() -> None:
    assert find_model("cnn").inputs == ("image",)


def test_own_function_is_taken_by_reference_without_importing_it() -> None:
    spec = find_model("no_such_package.models:build")
    assert (spec.build, spec.parameters) == ("no_such_package.models:build", None)


@pytest.mark.parametrize("name", ["mpl", "", "a b:c", "resnet18"])
def test_anything_else_is_refused_listing_the_known(name: str) -> None:
    with pytest.raises(
        UsageError,
        match=r"allowed: mlp, cnn, .*, torchvision:NAME, timm:NAME, hf:NAME, or a function",
    ):
        find_model(name)
