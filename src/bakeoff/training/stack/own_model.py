"""Tries whether a stack computes what a model of the user's computes alone.

The forward pass of such a model may do anything: branch on `self.training` or on its dropout rate,
count its calls, draw random numbers, change gradients by hooks. A stack computes its layers only.
"""

from collections.abc import Mapping, Sized
from typing import Any

import torch
from torch import Tensor, nn

from bakeoff.records import TrialConfig
from bakeoff.registry import is_reference
from bakeoff.training.epoch_batches import training_batches
from bakeoff.training.randomness import capture_generators, restore_generators
from bakeoff.training.stack.layers import NotStackableError
from bakeoff.training.stack.losses import losses_of
from bakeoff.training.stack.member import Member, prepare_member
from bakeoff.training.stack.network import StackedNetwork

TOLERANCE = 1e-3
"""Greatest norm of a difference from the model alone, relative to the norm of what that computes.
Measured: 1e-6; a model that is stacked wrongly differs by about 1."""
SMALL = 1e-6
"""Gradients whose norm is this share of all gradients' are rounding."""
OUTSIDE_STACK = RuntimeError, TypeError, ValueError, IndexError
"""What torch raises where a stacked calculation is not possible."""


def check_own_model(config: TrialConfig, device: str, beside: nn.Module | None = None) -> None:
    """Make sure that a stack trains a run's model as it trains alone; those of the library do.

    A new model makes one step and one evaluation in both ways. It is compared in the second row
    of a stack, whose first row decides what is calculated. Whether a run passes with no companion
    depends on its settings alone. The global random generators are reseeded.

    Args:
        config: The run.
        device: Where it trains.
        beside: The model of the first member of the stack that it shall join, which is only read;
            None for a stack of its own.

    Raises:
        NotStackableError: It cannot be stacked, or computes something else.
        DataError: As `prepare_member`.
        UsageError: As there.
    """
    if not is_reference(config.model):
        return
    member = prepare_member(config, device)
    if not isinstance(member.state.splits.train.inputs, Tensor):
        raise NotStackableError("the samples are not in the device's memory")
    model, before = member.state.model, _own_values(member.state.model)
    generator = torch.Generator(member.state.device)
    generator.set_state(member.generator.get_state())
    pair = (model if beside is None else beside, model)
    network = StackedNetwork(pair, [torch.Generator(member.state.device), generator])
    _compare_a_step(member, network, generator)
    if _own_values(model) != before:
        raise NotStackableError("changes itself as it computes")
    _compare_an_evaluation(member, network)


def _compare_a_step(member: Member, network: StackedNetwork, generator: torch.Generator) -> None:
    """Compare outputs, gradients, and the random numbers drawn, of a batch of training."""
    state, held = member.state, member.captured
    inputs, labels = next(iter(training_batches(state)))
    restore_generators(held, state.device)
    alone = state.model(inputs)
    state.criterion(alone, labels).backward()
    drawn = capture_generators(state.device)
    try:
        with torch.no_grad():
            together = network(_twice(inputs), training=True)
            network.backward(losses_of(state.criterion, together, _twice(labels))[1])
    except OUTSIDE_STACK as error:
        raise NotStackableError(f"cannot be computed in a stack ({error})") from error
    _compare(together[1], alone, "in training")
    if not torch.equal(_stream(drawn), generator.get_state()) or _others(drawn) != _others(held):
        raise NotStackableError("draws random numbers besides its dropout")
    _compare_gradients(state.model, network)


def _compare_gradients(model: nn.Module, network: StackedNetwork) -> None:
    weights = dict(model.named_parameters())
    found = {name: torch.zeros_like(one) for name, one in weights.items()}
    network.weights.store(network.weights.gradients[1], found)
    wanted = {
        name: torch.zeros_like(one) if one.grad is None else one.grad
        for name, one in weights.items()
    }
    total = torch.stack([one.norm() for one in wanted.values()]).norm()
    for name, gradient in wanted.items():
        _compare(found[name], gradient, f"in the gradient of {name}", SMALL * total)


def _compare_an_evaluation(member: Member, network: StackedNetwork) -> None:
    """Compare outputs of a batch, after the step has changed the buffers."""
    model, (inputs, _) = member.state.model, next(iter(training_batches(member.state)))
    model.eval()
    with torch.no_grad():
        _compare(network(_twice(inputs), training=False)[1], model(inputs), "in evaluation")


def _twice(values: Tensor) -> Tensor:
    return torch.stack([values, values])


def _compare(found: Tensor, wanted: Any, where: str, small: Tensor | float = 0.0) -> None:
    """Raise an error unless the values are equal but for rounding."""
    is_alike = isinstance(wanted, Tensor) and found.shape == wanted.shape
    if not is_alike or not (found - wanted).norm() <= TOLERANCE * wanted.norm() + small:
        raise NotStackableError(f"a stack computes something else than the model {where}")


def _stream(captured: Mapping[str, Any]) -> Tensor:
    """The state of the generator that dropout draws from."""
    state: Tensor = captured["cuda"][0] if captured["cuda"] else captured["torch"]
    return state


def _others(captured: Mapping[str, Any]) -> list[Any]:
    """The states of the generators that dropout does not draw from."""
    numpy = captured["numpy"]["state"]
    on_host = captured["torch"].tolist() if captured["cuda"] else []
    return [captured["python"], numpy["pos"], numpy["key"].tolist(), on_host]


def _own_values(model: nn.Module) -> list[Mapping[str, Any]]:
    """What the modules keep in plain attributes: numbers and texts, and the sizes of containers."""
    plain = (int, float, str, bool, type(None))
    return [
        {
            name: len(one) if isinstance(one, Sized) and not isinstance(one, plain) else one
            for name, one in vars(module).items()
            if isinstance(one, (*plain, list, tuple, dict, set))
        }
        for module in model.modules()
    ]
