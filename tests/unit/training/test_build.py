from typing import Any

import pytest
import torch
from torch import nn

from bakeoff.components.optimizers import OPTIMIZERS, OptimizerSpec
from bakeoff.errors import UsageError
from bakeoff.training.build import (
    build_augment,
    build_model,
    build_optimizer,
    check_augment,
    parameter_groups,
    torch_arguments,
)

CPU = torch.device("cpu")
EVERY_OPTIMIZER = pytest.mark.parametrize("spec", OPTIMIZERS, ids=lambda spec: spec.name)
DECLARED = [
    pytest.param(spec, name, id=f"{spec.name}.{name}")
    for spec in OPTIMIZERS
    for name in spec.parameters
]
OTHER_VALUES = {
    "learning_rate": 0.0123,
    "weight_decay": 0.0321,
    "momentum": 0.77,
    "beta1": 0.81,
    "beta2": 0.97,
    "epsilon": 1e-5,
    "alpha": 0.93,
}


def network() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10)
    )


def settings(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    return {key: value for key, value in optimizer.param_groups[0].items() if key != "params"}


# ---------------------------------------------------------------- optimizers


@EVERY_OPTIMIZER
def test_defaults_are_those_of_torch(spec: OptimizerSpec) -> None:
    theirs = getattr(torch.optim, spec.build.partition(":")[2])(network().parameters())
    ours = build_optimizer(spec.name, network(), {}, CPU)
    skipped = {"fused", "foreach"}
    expected = {key: value for key, value in settings(theirs).items() if key not in skipped}
    assert {key: settings(ours)[key] for key in expected} == expected


@pytest.mark.parametrize(("spec", "name"), DECLARED)
def test_declared_parameter_reaches_torch(spec: OptimizerSpec, name: str) -> None:
    value = OTHER_VALUES[name]
    built = settings(build_optimizer(spec.name, network(), {name: value}, CPU))
    expected = torch_arguments({"beta1": 0.9, "beta2": 0.999, name: value})
    if not name.startswith("beta"):
        del expected["betas"]
    assert {key: built[key] for key in expected} == expected


@EVERY_OPTIMIZER
def test_undeclared_parameter_is_refused(spec: OptimizerSpec) -> None:
    with pytest.raises(UsageError, match=f"parameter of optimizer '{spec.name}' 'nesterov'"):
        build_optimizer(spec.name, network(), {"nesterov": True}, CPU)


def test_value_that_torch_refuses_is_reported_in_one_line() -> None:
    with pytest.raises(UsageError, match="optimizer 'adam': Invalid learning rate: -1"):
        build_optimizer("adam", network(), {"learning_rate": -1.0}, CPU)


@EVERY_OPTIMIZER
def test_every_trainable_weight_is_in_exactly_one_group(spec: OptimizerSpec) -> None:
    model = network()
    model[0].weight.requires_grad_(False)
    optimizer = build_optimizer(spec.name, model, {}, CPU)
    grouped = [id(weights) for group in optimizer.param_groups for weights in group["params"]]
    trainable = [id(weights) for weights in model.parameters() if weights.requires_grad]
    assert sorted(grouped) == sorted(trainable)


@EVERY_OPTIMIZER
def test_norms_and_biases_never_decay(spec: OptimizerSpec) -> None:
    optimizer = build_optimizer(spec.name, network(), {"weight_decay": 0.1}, CPU)
    decays = {
        weights.ndim: group["weight_decay"]
        for group in optimizer.param_groups
        for weights in group["params"]
    }
    assert decays == {4: 0.1, 2: 0.1, 1: 0.0}


def test_group_without_weights_is_left_out() -> None:
    assert len(parameter_groups(nn.Linear(2, 2, bias=False), 0.1)) == 1


@EVERY_OPTIMIZER
def test_optimizer_is_fused_where_torch_offers_it(spec: OptimizerSpec) -> None:
    optimizer = build_optimizer(spec.name, network(), {}, CPU)
    assert bool(settings(optimizer).get("fused")) == spec.fused


@EVERY_OPTIMIZER
def test_loss_falls_on_a_quadratic(spec: OptimizerSpec) -> None:
    torch.manual_seed(0)
    model = nn.Linear(8, 8)
    inputs = torch.randn(64, 8)
    targets = inputs @ torch.randn(8, 8)
    learning_rate = spec.parameters["learning_rate"].range.high / 10  # type: ignore[union-attr]
    optimizer = build_optimizer(spec.name, model, {"learning_rate": learning_rate}, CPU)
    losses = []
    for _ in range(200):
        loss = nn.functional.mse_loss(model(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


# ---------------------------------------------------------------- models


@pytest.mark.parametrize(
    ("name", "shape"), [("mlp", (1, 8, 8)), ("mlp", (5,)), ("cnn", (1, 8, 8)), ("cnn", (3, 32, 20))]
)
def test_registered_model_gives_logits_and_every_weight_a_gradient(
    name: str, shape: tuple[int, ...]
) -> None:
    model = build_model(name, {}, input_shape=shape, num_classes=7)
    logits = model(torch.randn(4, *shape))
    logits.square().sum().backward()  # type: ignore[no-untyped-call]
    assert logits.shape == (4, 7)
    assert all(weights.grad is not None for weights in model.parameters())


@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_same_seed_gives_the_same_weights(name: str) -> None:
    models = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        models.append(build_model(name, {}, input_shape=(1, 8, 8), num_classes=10))
    first, again, other = (
        torch.cat([weights.flatten() for weights in model.parameters()]) for model in models
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_model_parameters_shape_the_network() -> None:
    params = {"width": 24, "depth": 3, "dropout": 0.25}
    model = build_model("mlp", params, input_shape=(64,), num_classes=10)
    widths = [layer.out_features for layer in model if isinstance(layer, nn.Linear)]  # type: ignore[attr-defined]
    drops = [layer.p for layer in model if isinstance(layer, nn.Dropout)]  # type: ignore[attr-defined]
    assert (widths, drops) == ([24, 24, 24, 10], [0.25] * 3)


def test_trying_a_model_leaves_its_statistics_alone() -> None:
    model = build_model("cnn", {}, input_shape=(1, 8, 8), num_classes=10)
    assert int(model[1].num_batches_tracked) == 0  # type: ignore[index,union-attr,arg-type]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("own_models:build_frozen", "has no trainable parameters"),
        ("own_models:build_wrong_shape", r"gives \[2, 11\], not logits of shape \[2, 10\]"),
        ("own_models:build_wrong_input", r"does not take inputs of shape \[2, 1, 8, 8\]"),
        ("own_models:build_number", "is int, not a torch.nn.Module"),
        ("own_models:build_failing", "KeyError: 'own fault'"),
        ("own_models:not_a_function", "is not a function"),
        ("own_models:build_nothing", "has no attribute 'build_nothing'"),
        ("no_such_models:build", "cannot import 'no_such_models'"),
    ],
)
def test_unusable_model_of_the_user_is_refused_by_name(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        build_model(name, {}, input_shape=(1, 8, 8), num_classes=10)
    assert name.partition(":")[0] in str(caught.value)


def test_parameter_that_the_users_function_does_not_take_is_refused() -> None:
    with pytest.raises(UsageError, match="unexpected keyword argument 'width'"):
        build_model("own_models:build_noisy", {"width": 3}, input_shape=(64,), num_classes=10)


def test_running_out_of_memory_is_not_taken_for_a_wrong_model() -> None:
    with pytest.raises(torch.OutOfMemoryError):
        build_model("own_models:build_out_of_memory", {}, input_shape=(64,), num_classes=10)


def test_model_for_images_refuses_rows() -> None:
    with pytest.raises(UsageError, match=r"'cnn' takes images of shape \[C, H, W\], not \[64\]"):
        build_model("cnn", {}, input_shape=(64,), num_classes=10)


# ---------------------------------------------------------------- augmentation


def augmented(positions: torch.Tensor, *, seed: int = 0, epoch: int = 1) -> torch.Tensor:
    images = torch.arange(50 * 64, dtype=torch.float32).reshape(50, 1, 8, 8)
    augment = build_augment(
        ("flip", "translate"), num_samples=50, seed=seed, epoch=epoch, device=CPU
    )
    assert augment is not None
    return augment(images[positions], positions)


def test_augmentation_depends_on_the_sample_not_on_its_batch() -> None:
    order = torch.randperm(50, generator=torch.Generator().manual_seed(3))
    assert torch.equal(augmented(torch.arange(50))[order], augmented(order))


@pytest.mark.parametrize("changed", [{"seed": 1}, {"epoch": 2}])
def test_augmentation_changes_with_seed_and_epoch(changed: dict[str, int]) -> None:
    positions = torch.arange(50)
    assert not torch.equal(augmented(positions), augmented(positions, **changed))


def test_no_augmentation_is_none() -> None:
    assert build_augment((), num_samples=5, seed=0, epoch=1, device=CPU) is None


def test_augmentation_of_rows_is_refused() -> None:
    with pytest.raises(UsageError, match=r"'flip' needs images of shape \[C, H, W\]"):
        check_augment(("flip",), (64,))
