"""Which weights a run trains, and with which factors."""

import sys
from collections.abc import Iterator

import pytest
import torch
from torch import nn

from bakeoff.errors import UsageError
from bakeoff.records import FinetuneConfig
from bakeoff.training.averaging import find_batch_norms
from bakeoff.training.build import build_optimizer
from bakeoff.training.weight_roles import Freezing, find_roles, find_still_norms

NUM_OUTPUTS = 3
GROUPS = """
from torch import nn


def slow_start(model):
    return [
        {"params": model[0].parameters(), "learning_rate": 0.1, "weight_decay": 0},
        {"params": model[1].weight, "frozen": True},
    ]


def mild(model):
    return [{"params": model[0].parameters(), "learning_rate": 0.1}]


def typed(model):
    return [{"params": model[0].parameters(), "lr": 0.1}]


def twice(model):
    return [{"params": model.parameters()}, {"params": [model[4].bias]}]


def foreign(model):
    return [{"params": [nn.Linear(2, 2).weight]}]


def zero(model):
    return [{"params": [model[0].weight], "learning_rate": 0}]


def negative(model):
    return [{"params": [model[0].weight], "weight_decay": -1}]


def nothing(model):
    return None


def named(model):
    return [{"params": ["0.weight"]}]


def empty(model):
    return [{"params": []}]


def unsure(model):
    return [{"params": [model[0].weight], "frozen": 1}]


def everything(model):
    return [{"params": model.parameters(), "frozen": True}]


def failing(model, depth):
    return []


not_a_function = 3
"""


def network() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3), nn.Flatten(), nn.Linear(64, 3)
    )


def by_name(model: nn.Module, finetune: FinetuneConfig) -> dict[str, tuple[float, float, bool]]:
    roles = find_roles(model, finetune, NUM_OUTPUTS)
    return {
        name: tuple(roles[id(one)]) for name, one in model.named_parameters() if id(one) in roles
    }


@pytest.fixture(scope="module")
def own_groups(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("groups")
    (folder / "weight_groups.py").write_text(GROUPS)
    sys.path.append(str(folder))
    yield "weight_groups"
    sys.path.remove(str(folder))


def test_without_settings_no_weight_has_a_role() -> None:
    assert find_roles(network(), FinetuneConfig(pretrained=True), NUM_OUTPUTS) == {}


def test_factors_fall_from_the_head_to_the_input() -> None:
    found = by_name(network(), FinetuneConfig(layer_decay=0.5, head_factor=10.0))
    assert {name: role[0] for name, role in found.items() if name.endswith("weight")} == {
        "0.weight": 0.25, "1.weight": 0.25, "2.weight": 0.5, "4.weight": 10.0
    }  # fmt: skip
    assert {role[1:] for role in found.values()} == {(1.0, False)}


@pytest.mark.parametrize(
    ("freeze", "trained"),
    [("backbone", ["4.weight", "4.bias"]),
     ("all but 1 stage", ["2.weight", "2.bias", "4.weight", "4.bias"])],
)  # fmt: skip
def test_the_first_stages_are_frozen(freeze: str, trained: list[str]) -> None:
    found = by_name(network(), FinetuneConfig(freeze=freeze))
    assert [name for name, role in found.items() if not role[2]] == trained


def test_freezing_no_stage_is_refused() -> None:
    with pytest.raises(UsageError, match="freezes nothing, because the model has 2 stages"):
        find_roles(network(), FinetuneConfig(freeze="all but 2 stages"), NUM_OUTPUTS)


def test_a_function_gives_factors_and_freezes(own_groups: str) -> None:
    config = FinetuneConfig(parameter_groups=f"{own_groups}:slow_start")
    assert by_name(network(), config) == {
        "0.weight": (0.1, 0.0, False),
        "0.bias": (0.1, 0.0, False),
        "1.weight": (1.0, 1.0, True),
    }


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "typed",
            "group 0: unknown key 'lr'; did you mean 'learning_rate'.*frozen",
        ),
        ("twice", "group 1: '4.bias' is in a group before it as well"),
        ("foreign", "group 0: holds a tensor that is no weight of the model"),
        (
            "zero",
            r"group 0: expected a factor above 0 \(or frozen = True\) as 'learning_rate', found 0",
        ),
        ("negative", "group 0: expected a factor of 0 or above as 'weight_decay', found -1"),
        ("nothing", "expected a list of groups such as .* found NoneType"),
        ("named", "group 0: expected weights of the model as 'params', found '0.weight'"),
        ("empty", "group 0: has no weights"),
        ("unsure", "group 0: expected True or False as 'frozen', found 1"),
        ("everything", "finetune.freeze: nothing is left to train"),
        ("failing", "expected a call with the model; TypeError: .*depth"),
        ("not_a_function", "is int, not a function"),
    ],
)
def test_a_function_that_returns_something_else_is_refused(
    own_groups: str, name: str, message: str
) -> None:
    config = FinetuneConfig(parameter_groups=f"{own_groups}:{name}")
    with pytest.raises(UsageError, match=message):
        find_roles(network(), config, NUM_OUTPUTS)


def test_nothing_to_thaw_is_refused(own_groups: str) -> None:
    config = FinetuneConfig(parameter_groups=f"{own_groups}:mild", unfreeze_epoch=2)
    with pytest.raises(UsageError, match=r"unfreeze_epoch = 2: .*:mild' freezes nothing"):
        find_roles(network(), config, NUM_OUTPUTS)


def frozen(unfreeze_epoch: int | None = None) -> tuple[nn.Sequential, Freezing]:
    model = network()
    roles = find_roles(model, FinetuneConfig(freeze="backbone"), NUM_OUTPUTS)
    return model, Freezing(model, roles, unfreeze_epoch)


def test_statistics_of_a_frozen_norm_keep_still() -> None:
    model, freezing = frozen()
    freezing.begin(1)
    before = {name: one.clone() for name, one in model.named_buffers()}
    for _ in range(3):
        model(torch.randn(8, 1, 8, 8)).sum().backward()
    assert all(torch.equal(before[name], one) for name, one in model.named_buffers())
    assert [name for name, one in model.named_parameters() if one.grad is not None] == [
        "4.weight", "4.bias"
    ]  # fmt: skip


def test_everything_is_trained_from_the_named_epoch_on() -> None:
    model, freezing = frozen(unfreeze_epoch=3)
    seen = []
    for epoch in (1, 2, 3, 4):
        freezing.begin(epoch)
        seen.append((model[1].training, model[0].weight.requires_grad, freezing.is_frozen))
    assert seen == [(False, False, True)] * 2 + [(True, True, False)] * 2


def test_what_the_user_froze_stays_frozen() -> None:
    model = network()
    model[2].weight.requires_grad_(False)
    roles = find_roles(model, FinetuneConfig(freeze="backbone"), NUM_OUTPUTS)
    Freezing(model, roles, 2).begin(2)
    assert not model[2].weight.requires_grad
    assert model[0].weight.requires_grad


def test_norms_of_frozen_modules_are_not_measured_again() -> None:
    model, freezing = frozen(unfreeze_epoch=2)
    freezing.begin(1)
    assert freezing.without_frozen(find_batch_norms(model)) == []
    freezing.begin(2)
    assert freezing.without_frozen(find_batch_norms(model)) == [model[1]]


@pytest.mark.parametrize(("still", "expected"), [([0, 1], True), ([0], False), ([], False)])
def test_a_norm_without_weights_keeps_still_with_the_module_around_it(
    still: list[int], expected: bool
) -> None:
    block = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2, affine=False))
    weights = list(block.parameters())
    found = find_still_norms(nn.Sequential(block, nn.Linear(2, 2)), {id(weights[n]) for n in still})
    assert bool(found) == expected


def test_frozen_weights_are_not_in_the_optimizer_unless_they_thaw() -> None:
    sizes = []
    for epoch in (None, 2):
        model, freezing = frozen(epoch)
        if freezing.is_forever:
            freezing.begin(1)
        optimizer = build_optimizer("adam", model, {}, torch.device("cpu"))
        sizes.append(sum(len(group["params"]) for group in optimizer.param_groups))
    assert sizes == [2, 8]
