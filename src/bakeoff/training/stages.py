"""The head of a model and its stages, from the input to the output.

The head is the output layer. A stage is a part of the model that lies between its input and its
head: a stage of a residual network, or a block of a transformer. Parts are taken in the order in
which the model registers them.
"""

from collections.abc import Iterator
from typing import NamedTuple

from torch import nn

from bakeoff.errors import UsageError
from bakeoff.training.weight_kinds import NORMS

LAYERS = (nn.Linear, nn.modules.conv._ConvNd)  # noqa: SLF001 - all convolutions
OUTPUTS = ("out_features", "out_channels")
DOMINANT = 0.8
"""A part with this share of the weights before the head is not one stage, but holds the stages."""
FEW_PARTS = 2
"""So few parts at the top of a model hold the stages, as `features` and `classifier` do."""


class Parts(NamedTuple):
    """A model from its input to its output."""

    stages: tuple[tuple[nn.Module, ...], ...]
    """The modules of each stage. Weights that are in no module of a stage belong to the first."""
    head: nn.Module
    head_name: str


def find_parts(model: nn.Module, num_outputs: int) -> Parts:
    """The head, and the stages before it.

    Modules without weights belong to no stage, and norms to the stage before them. A part that
    holds nearly all weights, a list of modules, and a sequence of sequences are taken apart.

    Raises:
        UsageError: The model has no layer with `num_outputs` outputs.
    """
    head_name, head = _find_head(model, num_outputs)
    ends = {id(one) for one in head.modules()}
    total = sum(one.numel() for one in model.parameters()) - _size(head, set())
    stages: list[tuple[nn.Module, ...]] = []
    for part in _take_apart(model, ends, total, is_top=True):
        is_norm = all(isinstance(one, NORMS) for one in part.modules() if _holds_weights(one))
        if is_norm and stages:
            stages[-1] = (*stages[-1], part)
        else:
            stages.append((part,))
    return Parts(tuple(stages), head, head_name)


def stage_of_weights(model: nn.Module, parts: Parts) -> dict[int, int]:
    """The number of the stage of each weight, by its id; that of the head is the number of stages.

    Weights that two parts share belong to the first of them.
    """
    ends = {id(one) for one in parts.head.modules()}
    found: dict[int, int] = {}
    for number, stage in enumerate(parts.stages):
        owners = (owner for module in stage for owner in _outside(module, ends))
        for owner in owners:
            for weights in owner.parameters(recurse=False):
                found.setdefault(id(weights), number)
    for weights in parts.head.parameters():
        found.setdefault(id(weights), len(parts.stages))
    return {id(weights): found.get(id(weights), 0) for weights in model.parameters()}


def _find_head(model: nn.Module, num_outputs: int) -> tuple[str, nn.Module]:
    """The layer that was registered last of those with this number of outputs."""
    found = None
    for name, module in model.named_modules():
        if isinstance(module, LAYERS):
            outputs = next(getattr(module, one) for one in OUTPUTS if hasattr(module, one))
            found = (name, module) if outputs == num_outputs else found
    if found is None:
        raise UsageError(
            f"the model has no linear or convolutional layer with {num_outputs} outputs, which"
            " would be its head"
        )
    return found


def _take_apart(
    module: nn.Module, ends: set[int], total: int, *, is_top: bool = False
) -> Iterator[nn.Module]:
    """The parts of a module that are stages, in their order, without the head."""
    parts = [one for one in module.children() if id(one) not in ends and _size(one, ends)]
    for part in parts:
        inner = [one for one in part.children() if id(one) not in ends and _size(one, ends)]
        holds_lists = isinstance(part, nn.ModuleList) or (
            isinstance(part, nn.Sequential)
            and all(isinstance(one, (nn.Sequential, nn.ModuleList)) for one in inner)
        )
        is_split = is_top and len(parts) <= FEW_PARTS and isinstance(part, nn.Sequential)
        has_head = any(id(one) in ends for one in part.modules())
        holds_stages = (
            len(parts) == 1
            or (len(inner) == 1 and isinstance(inner[0], nn.ModuleList))
            or holds_lists
            or is_split
            or has_head
            or _size(part, ends) >= DOMINANT * total
        )
        if inner and holds_stages:
            yield from _take_apart(part, ends, total)
        else:
            yield part


def _holds_weights(module: nn.Module) -> bool:
    return next(module.parameters(recurse=False), None) is not None


def _outside(module: nn.Module, ends: set[int]) -> Iterator[nn.Module]:
    """The modules in `module` that are not part of the head."""
    return (one for one in module.modules() if id(one) not in ends)


def _size(module: nn.Module, ends: set[int]) -> int:
    """Numbers in the weights of a module, without those of the head."""
    return sum(
        weights.numel()
        for one in _outside(module, ends)
        for weights in one.parameters(recurse=False)
    )
