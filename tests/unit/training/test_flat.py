"""Steps on buffers are those of torch's optimizers, and nobody else notices the buffers."""

import sys
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bakeoff.components.optimizers import OPTIMIZERS
from bakeoff.records import TrialConfig
from bakeoff.training import loop
from bakeoff.training.averaging import WeightAverage
from bakeoff.training.build import build_optimizer
from bakeoff.training.checkpoint import Checkpoints
from bakeoff.training.flat import MAX_MEAN_SIZE, FlatStep, find_flat_step
from bakeoff.training.optimizer_rules import RULES
from bakeoff.training.state import TrainingState

MakeConfig = Callable[..., TrialConfig]
CPU = torch.device("cpu")
SETTINGS = [
    ("sgd", {"learning_rate": 0.1}),
    ("sgd", {"learning_rate": 0.01, "momentum": 0.9, "weight_decay": 1e-2}),
    ("nesterov", {"learning_rate": 0.01}),
    ("adam", {"weight_decay": 1e-2}),
    ("adamw", {}),
    ("rmsprop", {"learning_rate": 1e-3}),
    ("rmsprop", {"learning_rate": 1e-3, "momentum": 0.9, "weight_decay": 1e-2}),
    ("nadam", {"weight_decay": 1e-2}),
    ("radam", {"weight_decay": 1e-2}),
    ("adamax", {}),
    ("adagrad", {"initial_accumulator_value": 0.1}),
    ("adadelta", {"weight_decay": 1e-2}),
]
CASES = [pytest.param(*one, id=f"{one[0]}-{len(one[1])}") for one in SETTINGS]


def small_model(seed: int = 0) -> nn.Module:
    """Weights of many shapes, one of them stored channels last."""
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Conv2d(2, 5, 3), nn.BatchNorm2d(5), nn.ReLU(), nn.Flatten(), nn.Linear(20, 7)
    )
    return model.to(memory_format=torch.channels_last)


def flat_of(name: str, model: nn.Module, params: dict[str, Any] | None = None) -> FlatStep:
    """The step on buffers of a model that has one, begun."""
    optimizer = build_optimizer(name, model, params or {}, CPU)
    flat = find_flat_step(name, model, optimizer)
    assert flat is not None
    flat.begin()
    return flat


def draw_gradients(model: nn.Module, step: int, missing: tuple[int, ...] = ()) -> None:
    """Give the weights the gradients of this step, except some."""
    generator = torch.Generator().manual_seed(step)
    for number, weights in enumerate(model.parameters()):
        drawn = torch.randn(weights.shape, generator=generator)
        weights.grad = torch.empty_like(weights).copy_(drawn).detach()  # with the same strides
        if number in missing:
            weights.grad = None


def weights_of(model: nn.Module) -> list[Tensor]:
    return [one.detach().clone() for one in model.parameters()]


def assert_close(found: list[Tensor], expected: list[Tensor]) -> None:
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


MISSING = [(), (1,), (), (0, 3), (5,), (5,), ()]
"""Which weights have no gradient, step by step."""


# ---------------------------------------------------------------- steps


def test_every_rule_is_tried() -> None:
    tried = {OPTIMIZERS[name].build for name, _ in SETTINGS}
    assert {f"torch.optim:{one.__name__}" for one in RULES} == tried


@pytest.mark.parametrize("missing", [[()], MISSING], ids=["all", "some"])
@pytest.mark.parametrize(("name", "params"), CASES)
def test_steps_and_state_are_those_of_torch(
    name: str, params: dict[str, Any], missing: list[tuple[int, ...]]
) -> None:
    model = small_model()
    plain = deepcopy(model)
    torchs = build_optimizer(name, plain, params, CPU)
    optimizer = build_optimizer(name, model, params, CPU)
    flat = find_flat_step(name, model, optimizer)
    assert flat is not None
    flat.begin()
    for step in range(21):
        for one in (model, plain):
            draw_gradients(one, step, missing[step % len(missing)])
        norm = flat.collect()
        expected = [one.grad for one in plain.parameters() if one.grad is not None]
        torch.testing.assert_close(norm, nn.utils.get_total_norm(expected))
        flat.step()
        torchs.step()
    assert_close(weights_of(model), weights_of(plain))
    found, stored = optimizer.state_dict()["state"], torchs.state_dict()["state"]
    assert found.keys() == stored.keys()
    for number, kept in stored.items():
        held = {key: value for key, value in kept.items() if value is not None}
        assert found[number].keys() == held.keys()
        for key, value in held.items():
            torch.testing.assert_close(found[number][key], value, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("name", "params"), CASES)
def test_bits_do_not_depend_on_which_others_have_a_gradient(
    name: str, params: dict[str, Any]
) -> None:
    always, sometimes = small_model(), small_model()
    for model, missing in ((always, [()]), (sometimes, MISSING)):
        flat = flat_of(name, model, params)
        for step in range(14):
            draw_gradients(model, step, missing[step % len(missing)])
            flat.collect()
            flat.step()
    *_, number = [at for at in range(6) if all(at not in one for one in MISSING)]
    assert torch.equal(weights_of(always)[number], weights_of(sometimes)[number])


@pytest.mark.parametrize(("name", "params"), CASES)
def test_states_of_torch_and_of_buffers_continue_each_other(
    name: str, params: dict[str, Any]
) -> None:
    model = small_model()
    plain, again = deepcopy(model), deepcopy(model)
    torchs = build_optimizer(name, plain, params, CPU)

    def make_steps(trained: nn.Module, numbers: range, flat: FlatStep | None) -> None:
        for step in numbers:
            draw_gradients(trained, step)
            if flat is None:
                torchs.step()
            else:
                flat.collect()
                flat.step()

    make_steps(plain, range(3), None)
    optimizer = build_optimizer(name, model, params, CPU)
    flat = find_flat_step(name, model, optimizer)
    assert flat is not None
    flat.begin()
    make_steps(model, range(10, 12), flat)  # another state, which is replaced
    model.load_state_dict(plain.state_dict())
    optimizer.load_state_dict(deepcopy(torchs.state_dict()))
    flat.begin()
    make_steps(model, range(3, 6), flat)
    torchs = build_optimizer(name, again, params, CPU)
    again.load_state_dict(model.state_dict())
    torchs.load_state_dict(deepcopy(optimizer.state_dict()))
    make_steps(again, range(6, 9), None)
    torchs = build_optimizer(name, plain := small_model(), params, CPU)
    make_steps(plain, range(9), None)
    assert_close(weights_of(again), weights_of(plain))


# ---------------------------------------------------------------- weights


def test_weights_keep_their_strides_and_share_the_buffer() -> None:
    model = small_model()
    before = [(one.shape, one.stride(), one.detach().clone()) for one in model.parameters()]
    flat = flat_of("adamw", model)
    for one, (shape, stride, values) in zip(model.parameters(), before, strict=True):
        assert (one.shape, one.stride()) == (shape, stride)
        assert torch.equal(one, values)
        assert one.data_ptr() % 64 == 0
    flat.values.fill_(2.0)
    assert all(bool((one == 2).all()) for one in model.parameters())


def test_a_weight_that_two_layers_use_is_stepped_once() -> None:
    def tied() -> nn.Module:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
        model[1].weight = model[0].weight
        return model

    model, plain = tied(), tied()
    flat = flat_of("adamw", model)
    torchs = build_optimizer("adamw", plain, {}, CPU)
    for step in range(5):
        inputs = torch.randn(3, 4, generator=torch.Generator().manual_seed(step))
        for one in (model, plain):
            one.zero_grad()
            one(inputs).square().mean().backward()
        flat.collect()
        flat.step()
        torchs.step()
    assert model[1].weight is model[0].weight  # type: ignore[index]
    assert_close(weights_of(model), weights_of(plain))


def test_weights_that_the_model_replaces_are_taken_over() -> None:
    model, plain = small_model(), small_model()
    flat = flat_of("adamw", model)
    torchs = build_optimizer("adamw", plain, {}, CPU)
    for step in range(5):
        for one in (model, plain):
            for weights in one.parameters():
                weights.data = weights.data.clamp(-0.05, 0.05)
            draw_gradients(one, step)
        flat.collect()
        flat.step()
        torchs.step()
    assert_close(weights_of(model), weights_of(plain))


def test_a_graph_of_weights_before_a_step_is_refused() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    flat = flat_of("sgd", model)
    loss = model(torch.ones(1, 3)).square().sum()
    loss.backward(retain_graph=True)
    flat.collect()
    flat.step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


class _Aliased(nn.Module):
    """Two layers of the same numbers, in different parameters or unknown to the module."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)
        if kind == "weight":
            self.second.weight.data = self.first.weight.data
        elif kind == "buffer":
            self.register_buffer("same", self.first.weight.detach())
        else:
            self.same = self.first.weight.detach().numpy()


@pytest.mark.parametrize("kind", ["weight", "buffer", "array"])
def test_weights_that_share_memory_are_stepped_one_by_one(kind: str) -> None:
    model = _Aliased(kind)
    assert find_flat_step("sgd", model, build_optimizer("sgd", model, {}, CPU)) is None


def many_weights(size: int, dtype: torch.dtype = torch.float32) -> nn.Module:
    model = nn.Linear(size, 2, bias=False)
    model.more = nn.Linear(1, 1, bias=False, dtype=dtype)
    return model


@pytest.mark.parametrize(
    ("name", "model", "is_flat"),
    [
        ("adamw", many_weights(8), True),
        ("adamw", many_weights(MAX_MEAN_SIZE + 1), False),
        ("adamw", many_weights(8, torch.float64), False),
        ("adamw", many_weights(8, torch.bfloat16), False),
        ("adamw", nn.LSTM(4, 4), True),
        ("adafactor", many_weights(8), False),
        ("schedule_free_adamw", many_weights(8), False),
    ],
)
def test_only_what_gains_and_is_known_is_flat(name: str, model: nn.Module, is_flat: bool) -> None:
    optimizer = build_optimizer(name, model, {}, CPU)
    assert (find_flat_step(name, model, optimizer) is not None) == is_flat


def test_the_users_own_optimizer_is_stepped_by_itself() -> None:
    model = small_model()
    name = "torch.optim:AdamW"
    assert find_flat_step(name, model, build_optimizer(name, model, {}, CPU)) is None


# ---------------------------------------------------------------- averages


def test_average_in_a_buffer_has_the_bits_of_one_tensor_by_tensor() -> None:
    model, plain = small_model(), small_model()
    flat = flat_of("adamw", model)
    averages = WeightAverage(model, 0.9), WeightAverage(plain, 0.9)
    for epoch in range(2):
        averages[0].begin(flat)
        averages[1].begin(None)
        for step in range(3):
            for one, average in zip((model, plain), averages, strict=True):
                generator = torch.Generator().manual_seed(10 * epoch + step)
                with torch.no_grad():
                    for weights in one.parameters():
                        weights.add_(torch.randn(weights.shape, generator=generator))
                    one[1].running_mean += 1  # type: ignore[index]
                average.update()
        for average in averages:
            average.swap_in()
        for found, expected in zip(
            model.state_dict().values(), plain.state_dict().values(), strict=True
        ):
            assert torch.equal(found, expected)


# ---------------------------------------------------------------- runs


def trained(config: TrialConfig, *, may_be_flat: bool = True) -> TrainingState:
    state = loop.prepare(config, "cpu")
    state.may_be_flat = may_be_flat
    list(loop.train(state))
    return state


@pytest.mark.parametrize(
    ("changed", "is_flat"),
    [
        ({}, True),
        ({"accumulation_steps": 3, "clip_grad_norm": 0.5}, True),
        ({"clip_grad_value": 0.01}, True),
        ({"precision": "bf16"}, True),
        ({"precision": "fp16"}, False),
        ({"ema_decay": 0.9, "model": "cnn", "model_params": {"width": 8}}, True),
        ({"optimizer": "muon"}, False),
        ({"optimizer": "sgd", "scheduler": "one_cycle"}, True),
    ],
)
def test_runs_train_as_without_buffers(
    make_config: MakeConfig, changed: dict[str, Any], is_flat: bool
) -> None:
    config = make_config(epochs=2, **changed)
    found = trained(config)
    assert (found.flat is not None) == is_flat
    expected = trained(config, may_be_flat=False)
    for one, other in zip(found.history, expected.history, strict=True):
        assert one.train_loss == pytest.approx(other.train_loss, rel=1e-4)
        assert one.grad_norm == pytest.approx(other.grad_norm, rel=1e-3)
    for a, b in zip(found.model.parameters(), expected.model.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-2, atol=1e-4)


@pytest.mark.parametrize("was_flat", [True, False])
def test_checkpoints_with_and_without_buffers_continue_each_other(
    make_config: MakeConfig, tmp_path: Path, was_flat: bool
) -> None:
    config = make_config(epochs=4, optimizer="nadam", ema_decay=0.9)
    expected = trained(config)
    state, checkpoints = loop.prepare(config, "cpu"), Checkpoints(tmp_path, "run")
    state.may_be_flat = was_flat
    for result in loop.train(state, checkpoints):
        checkpoints.save(state)
        if result.epoch == 2:
            break
    assert (state.flat is not None) == was_flat
    resumed = loop.prepare(config, "cpu")
    resumed.may_be_flat = not was_flat
    list(loop.train(resumed, Checkpoints(tmp_path, "run")))
    assert (resumed.flat is None) == was_flat
    assert [one.epoch for one in resumed.history] == [1, 2, 3, 4]
    for a, b in zip(resumed.model.parameters(), expected.model.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)


OWN_NETWORKS = '''
import torch
from torch import nn


class Choosing(nn.Module):
    """Uses one of two layers, depending on the batch, and never a third."""

    def __init__(self, input_shape, num_outputs):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(64, num_outputs) for _ in range(3))

    def forward(self, inputs):
        number = int(inputs.sum() > 0)
        return self.layers[number](inputs.flatten(1))


def build(input_shape, num_outputs):
    return Choosing(input_shape, num_outputs)
'''


def test_weights_without_a_gradient_stay_as_they_are_and_runs_resume(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "choosing_networks.py").write_text(OWN_NETWORKS)
    monkeypatch.syspath_prepend(tmp_path)
    config = make_config(epochs=3, model="choosing_networks:build", model_params={})
    expected = trained(config)
    assert expected.flat is not None
    fresh = loop.prepare(config, "cpu").model
    for name, one in fresh.named_parameters():
        has_changed = not torch.equal(one, expected.model.get_parameter(name))
        assert has_changed == (not name.startswith("layers.2"))
    state, checkpoints = loop.prepare(config, "cpu"), Checkpoints(tmp_path, "run")
    next(loop.train(state))
    checkpoints.save(state)
    resumed = loop.prepare(config, "cpu")
    list(loop.train(resumed, Checkpoints(tmp_path, "run")))
    for a, b in zip(resumed.model.parameters(), expected.model.parameters(), strict=True):
        assert torch.equal(a, b)
    sys.modules.pop("choosing_networks", None)


def test_weights_that_are_frozen_at_first_are_stepped_when_they_are_not(
    make_config: MakeConfig,
) -> None:
    config = make_config(epochs=3, optimizer="adamw")
    config = replace(config, finetune=replace(config.finetune, freeze="backbone", unfreeze_epoch=3))
    state = loop.prepare(config, "cpu")
    first = next(state.model.parameters())
    seen = [first.detach().clone(), *(first.detach().clone() for _ in loop.train(state))]
    assert state.flat is not None
    assert torch.equal(seen[0], seen[2])
    assert not torch.equal(seen[2], seen[3])
    steps = [float(one["step"]) for one in state.optimizer.state_dict()["state"].values()]
    assert sorted({*steps}) == [steps_of(state, 3), 3 * steps_of(state, 3)]


def steps_of(state: TrainingState, epoch: int) -> int:
    return state.history[epoch - 1].steps
