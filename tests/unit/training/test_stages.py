"""The head of a model and its stages, in the models of packages and in the user's own."""

import pytest
import torch
from torch import nn

from bakeoff.errors import UsageError
from bakeoff.networks.packages import build_timm, build_torchvision
from bakeoff.training.stages import find_parts, stage_of_weights

NUM_OUTPUTS = 7


def stage_names(model: nn.Module) -> list[str]:
    names = {id(module): name for name, module in model.named_modules()}
    parts = find_parts(model, NUM_OUTPUTS)
    stages = ["+".join(names[id(one)] for one in stage) for stage in parts.stages]
    return [*stages, parts.head_name]


@pytest.mark.parametrize(
    ("architecture", "expected"),
    [
        ("resnet18", ["conv1+bn1", "layer1", "layer2", "layer3", "layer4", "fc"]),
        ("shufflenet_v2_x0_5", ["conv1", "stage2", "stage3", "stage4", "conv5", "fc"]),
        ("convnext_tiny", [*(f"features.{n}" for n in range(7)), "features.7+classifier.0",
                           "classifier.2"]),
        ("mobilenet_v3_small", [*(f"features.{n}" for n in range(13)), "classifier.0",
                                "classifier.3"]),
        ("densenet121", ["features.conv0+features.norm0", "features.denseblock1",
                         "features.transition1", "features.denseblock2", "features.transition2",
                         "features.denseblock3", "features.transition3",
                         "features.denseblock4+features.norm5", "classifier"]),
        ("vit_b_32", ["conv_proj", *(f"encoder.layers.encoder_layer_{n}" for n in range(11)),
                      "encoder.layers.encoder_layer_11+encoder.ln", "heads.head"]),
        ("squeezenet1_1", [*(f"features.{n}" for n in (0, 3, 4, 6, 7, 9, 10, 11, 12)),
                           "classifier.1"]),
    ],
)  # fmt: skip
def test_stages_of_torchvisions_models_are_those_of_their_papers(
    architecture: str, expected: list[str]
) -> None:
    with torch.device("meta"):
        model = build_torchvision(architecture, (3, 224, 224), NUM_OUTPUTS)
    assert stage_names(model) == expected


@pytest.mark.parametrize(
    ("architecture", "expected"),
    [
        ("resnet10t", ["conv1+bn1", "layer1", "layer2", "layer3", "layer4", "fc"]),
        ("convnext_atto", ["stem", "stages.0", "stages.1", "stages.2", "stages.3+head.norm",
                           "head.fc"]),
        ("vit_tiny_patch16_224", ["patch_embed", *(f"blocks.{n}" for n in range(11)),
                                  "blocks.11+norm", "head"]),
        ("efficientnet_b0", ["conv_stem+bn1", *(f"blocks.{n}" for n in range(7)), "conv_head+bn2",
                             "classifier"]),
    ],
)  # fmt: skip
def test_stages_of_timms_models_are_those_of_their_papers(
    architecture: str, expected: list[str]
) -> None:
    pytest.importorskip("timm")
    model = build_timm(architecture, (3, 224, 224), NUM_OUTPUTS)
    assert stage_names(model) == expected


class Own(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(4))
        self.blocks = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)])
        self.out = nn.Linear(4, NUM_OUTPUTS)
        self.extra = nn.Dropout()


def test_a_list_of_modules_holds_a_stage_in_each() -> None:
    assert stage_names(Own()) == ["blocks.0", "blocks.1", "out"]


def test_every_weight_has_a_stage_and_loose_ones_have_the_first() -> None:
    model = Own()
    found = stage_of_weights(model, find_parts(model, NUM_OUTPUTS))
    assert [found[id(weights)] for weights in model.parameters()] == [0, 0, 0, 1, 1, 2, 2]


def test_weights_that_two_parts_share_belong_to_the_first() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, NUM_OUTPUTS))
    model[1].weight = model[0].weight
    found = stage_of_weights(model, find_parts(model, NUM_OUTPUTS))
    assert [found[id(weights)] for weights in model.parameters()] == [0, 0, 1, 2, 2]


def test_a_model_without_an_output_layer_is_refused() -> None:
    with pytest.raises(UsageError, match="no linear or convolutional layer with 7 outputs"):
        find_parts(nn.Sequential(nn.Linear(4, 4)), NUM_OUTPUTS)
