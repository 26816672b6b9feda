"""Pretrained weights: found, fetched, and loaded into a model whose head is new."""

import json
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from bakeoff.errors import DataError, UsageError
from bakeoff.networks.packages import build_timm, build_torchvision
from bakeoff.training import weights_source
from bakeoff.training.normalisation import given_normalisation
from bakeoff.training.pretrained import load_pretrained
from bakeoff.training.weights_source import (
    InputScale,
    WeightsSource,
    describe_source,
    fetch_weights,
    find_weights,
)

CPU = torch.device("cpu")
SMALLEST = "shufflenet_v2_x0_5"
NAMED = f"torchvision:{SMALLEST}"


def source(path: Path) -> WeightsSource:
    return WeightsSource(title="mine", path=path)


def network(num_outputs: int = 3, channels: int = 3) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, num_outputs)
    )


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Downloads of this machine are not seen, and nothing is downloaded."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("BAKEOFF_DATA", str(tmp_path / "data"))

    def refuse(*_: object, **__: object) -> None:
        raise OSError("no network here")

    monkeypatch.setattr("torch.hub.download_url_to_file", refuse)


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
@pytest.mark.parametrize("wrap", [dict, lambda state: {"state_dict": state, "epoch": 3},
                                  lambda state: {f"module.{k}": v for k, v in state.items()}])  # fmt: skip
def test_everything_but_the_head_is_loaded(tmp_path: Path, suffix: str, wrap: Any) -> None:
    given = network(num_outputs=5)
    nn.init.uniform_(given[1].running_mean)
    path = tmp_path / f"weights{suffix}"
    state = given.state_dict() if suffix == ".safetensors" else wrap(given.state_dict())
    save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
    model = network()
    head = model[3].weight.clone()
    load_pretrained(model, source(path), 3)
    for name, expected in given.state_dict().items():
        if not name.startswith("3."):
            assert torch.equal(model.state_dict()[name], expected)
    assert torch.equal(model[3].weight, head)


@pytest.mark.parametrize("channels", [1, 4])
def test_filters_for_colours_are_adapted_to_other_channels(tmp_path: Path, channels: int) -> None:
    given = network()
    torch.save(given.state_dict(), tmp_path / "weights.pt")
    model = network(channels=channels)
    load_pretrained(model, source(tmp_path / "weights.pt"), 3)
    grey = torch.rand(2, 1, 4, 4)
    expected = given[0](grey.expand(-1, 3, -1, -1)) - given[0].bias[:, None, None]
    found = model[0](grey.expand(-1, channels, -1, -1)) - model[0].bias[:, None, None]
    if channels == 1:
        torch.testing.assert_close(found, expected)
    else:  # the first channel counts twice
        torch.testing.assert_close(model[0].weight[:, 3], model[0].weight[:, 0])
        torch.testing.assert_close(model[0].weight[:, :3], given[0].weight * 3 / 4)


@pytest.mark.parametrize("package", ["torchvision", "timm"])
def test_positions_are_interpolated_to_the_size_of_the_images(tmp_path: Path, package: str) -> None:
    name = {"torchvision": "encoder.pos_embedding", "timm": "pos_embed"}[package]
    build = {
        "torchvision": lambda side: build_torchvision("vit_b_32", (3, side, side), 5),
        "timm": lambda side: build_timm("vit_tiny_patch16_224", (3, side, side), 5),
    }[package]
    given, model = build(96), build(64)
    state = given.state_dict()
    state[name][:, 1:] = 2.5  # the same for every patch, so that it is the same in between
    torch.save(state, tmp_path / "weights.pt")
    load_pretrained(model, source(tmp_path / "weights.pt"), 5)
    found = model.state_dict()[name]
    assert torch.equal(found[:, 0], state[name][:, 0])
    torch.testing.assert_close(found[:, 1:], torch.full_like(found[:, 1:], 2.5))


def test_a_model_that_asks_for_the_version_of_its_state_is_loaded(tmp_path: Path) -> None:
    given = build_torchvision("mnasnet0_5", (3, 32, 32), 9)
    torch.save(given.state_dict(), tmp_path / "weights.pt")
    model = build_torchvision("mnasnet0_5", (3, 32, 32), 5)
    load_pretrained(model, source(tmp_path / "weights.pt"), 5)
    assert torch.equal(model.layers[0].weight, given.layers[0].weight)
    assert model.classifier[1].out_features == 5


def test_positions_that_are_no_square_of_patches_are_refused(tmp_path: Path) -> None:
    def positions(num: int) -> nn.Module:
        model = nn.Sequential(nn.Linear(4, 3))
        model.register_parameter("pos_embed", nn.Parameter(torch.zeros(1, num, 4)))
        return model

    torch.save(positions(3).state_dict(), tmp_path / "weights.pt")
    with pytest.raises(
        UsageError, match=r"'pos_embed' of shape \[1, 3, 4\], .* needs \[1, 17, 4\]"
    ):
        load_pretrained(positions(17), source(tmp_path / "weights.pt"), 3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"0.weight": torch.zeros(4, 3, 3, 3)},
         r"lacks 5 of the 7 tensors of the model before its head '3' \(0.bias, 1.weight, 1.bias, ...\)"),
        ({**network().state_dict(), "0.weight": torch.zeros(4, 3, 5, 5)},
         r"has '0.weight' of shape \[4, 3, 5, 5\], and the model needs \[4, 3, 3, 3\]"),
        ({"epoch": 3}, "holds no state dictionary"),
        ([1, 2], "holds no state dictionary"),
    ],
)  # fmt: skip
def test_a_file_that_does_not_fit_is_refused(tmp_path: Path, content: object, message: str) -> None:
    torch.save(content, tmp_path / "weights.pt")
    with pytest.raises((UsageError, DataError), match=message):
        load_pretrained(network(), source(tmp_path / "weights.pt"), 3)


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("executed"),))


def test_code_in_a_file_of_weights_does_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"0.weight": Evil()}, tmp_path / "weights.pt")
    with pytest.raises(DataError, match=r"weights\.pt cannot be read as weights"):
        load_pretrained(network(), source(tmp_path / "weights.pt"), 3)
    assert not Path("executed").exists()


def test_a_damaged_file_of_safetensors_is_refused(tmp_path: Path) -> None:
    (tmp_path / "weights.safetensors").write_bytes(b"not safetensors")
    with pytest.raises(DataError, match="cannot be read as weights"):
        load_pretrained(network(), source(tmp_path / "weights.safetensors"), 3)


@pytest.mark.parametrize(
    ("model", "pretrained", "url", "place"),
    [
        (NAMED, True, "https://download.pytorch.org/models/shufflenetv2_x0.5-f707e7126e.pth",
         "torch/hub/checkpoints/shufflenetv2_x0.5-f707e7126e.pth"),
        ("torchvision:resnet50", "IMAGENET1K_V1", "resnet50-0676ba61.pth",
         "checkpoints/resnet50-0676ba61.pth"),
        ("timm:resnet18", "tv_in1k",
         "https://huggingface.co/timm/resnet18.tv_in1k/resolve/main/model.safetensors",
         "data/weights/timm-resnet18.tv_in1k.safetensors"),
    ],
)  # fmt: skip
def test_missing_weights_say_how_to_get_them_and_where_to_put_them(
    model: str, pretrained: bool | str, url: str, place: str
) -> None:
    for find in (find_weights, fetch_weights):
        with pytest.raises(DataError) as caught:
            find(model, pretrained)
        text = str(caught.value)
        assert url in text
        assert text.endswith(place)
        assert "\n" not in text
    assert "the download failed (OSError: no network here)" in text


@pytest.mark.parametrize(
    ("model", "pretrained", "message"),
    [
        (NAMED, "IMAGENET1K_V7", f"unknown weights of {SMALLEST} 'IMAGENET1K_V7'; .*IMAGENET1K_V1"),
        ("timm:resnet18", "tv", "unknown weights of resnet18 'tv'; .*tv_in1k"),
        ("timm:test_vit4", True, "timm has no weights of 'test_vit4'"),
        ("mlp", True, "the model 'mlp' has no published weights"),
    ],
)
def test_unknown_weights_are_refused(model: str, pretrained: bool | str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        find_weights(model, pretrained)


def test_weights_of_a_package_are_read_from_where_the_package_keeps_them(tmp_path: Path) -> None:
    folder = tmp_path / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    given = build_torchvision(SMALLEST, (3, 32, 32), 1000)
    torch.save(given.state_dict(), folder / "shufflenetv2_x0.5-f707e7126e.pth")
    found = find_weights(NAMED, True)
    model = build_torchvision(SMALLEST, (3, 32, 32), 3)
    load_pretrained(model, found, 3)
    assert torch.equal(model.conv1[0].weight, given.conv1[0].weight)
    assert found.scale == InputScale(mean=(0.485, 0.456, 0.406), deviation=(0.229, 0.224, 0.225))
    about = describe_source(NAMED, True)
    assert about["pretrained weights"] == f"{NAMED} IMAGENET1K_V1"
    assert about["pretrained weights, licence"] == "not stated"
    assert about["pretrained weights, SHA-256"] == found.sha256
    assert len(found.sha256) == 64


def test_the_licence_is_the_one_that_the_package_states() -> None:
    source = weights_source._of_timm("resnet10t", None)  # noqa: SLF001 - it is not on this machine
    assert (source.licence, source.title) == ("apache-2.0", "timm:resnet10t.c3_in1k")
    swag = weights_source._of_torchvision("vit_b_16", "IMAGENET1K_SWAG_E2E_V1")  # noqa: SLF001
    assert swag.licence.endswith("SWAG/blob/main/LICENSE")


def test_weights_that_this_package_wrote_say_how_their_inputs_were_normalised(
    tmp_path: Path,
) -> None:
    inputs = {"dtype": "uint8", "mean": [[[51.0]], [[102.0]]], "scale": [[[0.02]], [[0.01]]]}
    path = tmp_path / "weights.safetensors"
    save_file({"a": torch.zeros(1)}, path, {"bakeoff": json.dumps({"inputs": inputs})})
    scale = find_weights("mlp", str(path)).scale
    assert scale is not None
    np.testing.assert_allclose(scale.mean, (0.2, 0.4))
    np.testing.assert_allclose(scale.deviation, (50 / 255, 100 / 255))


IMAGES = np.array([[[[0, 255]]] * 3], dtype=np.uint8)


@pytest.mark.parametrize(
    ("normalize", "inputs", "expected"),
    [
        ("imagenet", IMAGES, [[-0.485 / 0.229, 0.515 / 0.229], [-0.456 / 0.224, 0.544 / 0.224],
                              [-0.406 / 0.225, 0.594 / 0.225]]),
        ("imagenet", (IMAGES / 255).astype(np.float32)[:, :1],
         [[-(0.485 + 0.456 + 0.406) / (0.229 + 0.224 + 0.225),
           (3 - 0.485 - 0.456 - 0.406) / (0.229 + 0.224 + 0.225)]]),
        ("none", IMAGES, [[0, 1]] * 3),
        ("none", IMAGES.astype(np.float32), [[0, 255]] * 3),
    ],
)  # fmt: skip
def test_inputs_are_normalised_as_the_study_says(
    normalize: Any, inputs: Any, expected: list[list[float]]
) -> None:
    found = given_normalisation(normalize, None, inputs, CPU)
    assert found is not None
    np.testing.assert_allclose(found(torch.from_numpy(inputs))[0, :, 0], expected, rtol=1e-4)


@pytest.mark.parametrize("normalize", [None, "data", "weights"])
def test_the_training_samples_decide_unless_something_else_is_stated(normalize: Any) -> None:
    assert given_normalisation(normalize, None, IMAGES, CPU) is None


TWO = InputScale(mean=(0.1, 0.2), deviation=(1.0, 1.0))


@pytest.mark.parametrize(
    ("normalize", "scale", "inputs", "message"),
    [
        ("imagenet", None, np.full((2, 3, 1, 2), -0.5, np.float32),
         'data.normalize = "imagenet": is for bytes, or numbers from 0 to 1, and the data has -0.5'),
        ("imagenet", None, np.zeros((2, 5), np.float32), "is for images"),
        ("imagenet", None, np.zeros((2, 4, 1, 1), np.uint8), "is for 3 channels or features"),
        ("weights", TWO, np.zeros((2, 5), np.float32), "is for 2 channels .* the data has 5"),
    ],
)  # fmt: skip
def test_inputs_that_cannot_be_normalised_so_are_refused(
    normalize: Any, scale: InputScale | None, inputs: Any, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        given_normalisation(normalize, scale, inputs, CPU)


def test_a_file_of_a_deeper_network_is_refused_and_a_longer_head_is_not(tmp_path: Path) -> None:
    def deep(depth: int, head: nn.Module) -> nn.Module:
        body = nn.Sequential(*(nn.Linear(4, 4) for _ in range(depth)))
        return nn.Sequential(OrderedDict(body=body, head=head))

    path = tmp_path / "deep.pt"
    torch.save(deep(3, nn.Linear(4, 9)).state_dict(), path)
    with pytest.raises(UsageError, match=r"is of another model: .* 2 tensors such as 'body\.2\.w"):
        load_pretrained(deep(2, nn.Linear(4, 3)), source(path), 3)
    torch.save(deep(2, nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 9))).state_dict(), path)
    assert not load_pretrained(deep(2, nn.Linear(4, 3)), source(path), 3)


def test_a_whole_model_in_a_file_is_refused_with_what_to_save(tmp_path: Path) -> None:
    path = tmp_path / "whole.pth"
    torch.save(network(), path)
    for damage in (b"", b"hello"):  # torch raises a KeyError at the second
        path.write_bytes(damage or path.read_bytes())
        with pytest.raises(DataError, match=r"more than tensors; expected what torch\.save\(model"):
            load_pretrained(network(), source(path), 3)
