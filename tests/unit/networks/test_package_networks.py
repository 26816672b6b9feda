"""Models of torchvision and timm: named without importing them, built with fresh weights."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from bakeoff.components import package_models
from bakeoff.components.models import find_model
from bakeoff.errors import MissingDependencyError, UsageError
from bakeoff.training.build import build_model


@pytest.mark.parametrize("package", ["torchvision", "timm"])
def test_names_are_those_that_the_package_itself_lists(package: str) -> None:
    listing = {
        "torchvision": "from torchvision import models; print(*models.list_models(models))",
        "timm": "import timm; print(*timm.list_models())",
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", listing[package]],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert package_models.package_models(package) == tuple(sorted(done.stdout.split()))


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("torchvision:resnet18", (1, 28, 28)),
        ("torchvision:mobilenet_v3_small", (3, 32, 32)),
        ("torchvision:vit_b_32", (1, 32, 32)),
        ("torchvision:googlenet", (4, 32, 32)),
        ("timm:resnet10t", (1, 28, 28)),
        ("timm:vit_tiny_patch16_224", (2, 32, 32)),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_model_takes_these_images_and_trains(name: str, shape: tuple[int, ...]) -> None:
    model = build_model(name, {}, input_shape=shape, num_outputs=7).train()
    outputs = model(torch.randn(2, *shape))
    outputs.square().sum().backward()  # type: ignore[no-untyped-call]
    assert outputs.shape == (2, 7)
    assert all(weights.grad is not None for weights in model.parameters())


def test_first_convolution_keeps_everything_except_its_input_channels() -> None:
    model = build_model("torchvision:resnet18", {}, input_shape=(1, 28, 28), num_outputs=7)
    first = next(one for one in model.modules() if isinstance(one, nn.Conv2d))
    assert (first.in_channels, first.out_channels, first.kernel_size, first.stride) == (
        1, 64, (7, 7), (2, 2),
    )  # fmt: skip
    assert first.bias is None


def test_parameters_of_the_package_are_passed_on() -> None:
    params = {"dropout": 0.4}
    name = "torchvision:mobilenet_v3_small"
    model = build_model(name, params, input_shape=(3, 32, 32), num_outputs=7)
    assert 0.4 in [one.p for one in model.modules() if isinstance(one, nn.Dropout)]


@pytest.mark.parametrize(
    ("name", "params", "shape", "message"),
    [
        (
            "torchvision:resnet18",
            {"weights": "DEFAULT"},
            (3, 32, 32),
            "model.weights: .* fresh weights",
        ),
        ("timm:resnet10t", {"pretrained": True}, (3, 32, 32), "model.pretrained: .* fresh weights"),
        ("torchvision:resnet18", {"depht": 3}, (3, 32, 32), "unexpected keyword argument 'depht'"),
        (
            "torchvision:alexnet",
            {},
            (3, 8, 8),
            r"'torchvision:alexnet' does not take inputs of shape \[2, 3, 8, 8\]",
        ),
        ("torchvision:resnet18", {}, (64,), "cannot take features"),
    ],
)
def test_model_that_cannot_be_built_is_refused(
    name: str, params: dict[str, object], shape: tuple[int, ...], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        build_model(name, params, input_shape=shape, num_outputs=7)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("torchvision:resnet19", "unknown torchvision model 'resnet19'; did you mean 'resnet1"),
        ("timm:resnet10tt", "unknown timm model 'resnet10tt'; did you mean 'resnet10t'"),
        ("torchvision:", "unknown torchvision model ''"),
        ("torchvision:fasterrcnn_resnet50_fpn", "unknown torchvision model"),
    ],
)
def test_message_about_an_unknown_name_gives_only_the_nearest_one(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        find_model(name)
    assert len(str(caught.value)) < 120


def test_missing_package_names_the_extra_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package_models, "find_spec", lambda _: None)
    package_models.package_models.cache_clear()
    try:
        assert find_model("timm:resnet10t").parameters is None
        with pytest.raises(MissingDependencyError, match=r"pip install 'bakeoff\[timm\]'"):
            package_models.check_model_installed("timm:resnet10t")
    finally:
        package_models.package_models.cache_clear()
