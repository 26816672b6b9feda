"""State of a model that is no weight: what `get_extra_state` of its modules returns.

It is copied, saved and exported with the weights. A checkpoint that is safe to load and a file of
weights can hold plain values only, so everything else is refused before anything trains.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from math import isfinite
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from bakeoff.errors import UsageError, describe_error

PLAIN = "tensors, numbers, texts, None, and lists, tuples and dictionaries of these"
PLAIN_TYPES = (bool, int, float, str, type(None))


def copy_state(model: nn.Module) -> dict[str, Any]:
    """A copy of the state dictionary of `model`: weights, buffers and the modules' own state.

    Raises:
        UsageError: A module's own state is not made of plain values.
    """
    return {name: copy_plain(value, name) for name, value in model.state_dict().items()}


def plain_state(model: nn.Module) -> dict[str, Any]:
    """The state dictionary itself, with copies of the modules' own state only.

    Raises:
        UsageError: As `copy_state`.
    """
    return {
        name: value if isinstance(value, Tensor) else copy_plain(value, name)
        for name, value in model.state_dict().items()
    }


def copy_plain(value: Any, name: str) -> Any:
    """A copy of `value` that shares no tensor with it; every mapping becomes a `dict`.

    Raises:
        UsageError: It is not made of plain values; the message begins with `name`.
    """
    if isinstance(value, Tensor):
        return value.detach().clone()
    if type(value) in PLAIN_TYPES:
        return value
    if type(value) in (list, tuple):
        return type(value)(copy_plain(one, f"{name}[{at}]") for at, one in enumerate(value))
    if isinstance(value, Mapping) and all(type(key) in (str, int) for key in value):
        return {key: copy_plain(one, f"{name}[{key!r}]") for key, one in value.items()}
    raise UsageError(
        f"the state {name!r} is {type(value).__name__}, which cannot be saved; allowed are {PLAIN}"
        " (an array becomes a tensor by torch.from_numpy)"
    )


def check_state(model: nn.Module) -> None:
    """Make sure that checkpoints and files of weights can hold the state of `model`.

    Raises:
        UsageError: A tensor has a type that they cannot hold, or a module's own state is not made
            of plain values, or cannot be set again.
    """
    state = plain_state(model)
    for name, tensor in _tensors(state, ""):
        if not _can_be_stored(tensor):
            kind = f"{tensor.dtype}".removeprefix("torch.")
            layout = "" if tensor.layout is torch.strided else f" {tensor.layout}"
            raise UsageError(
                f"the state {name!r} is a tensor of {kind}{layout}, which a file of weights cannot"
                " hold"
            )
    if all(isinstance(value, Tensor) for value in state.values()):
        return
    try:
        model.load_state_dict(state)
    except Exception as error:  # the user's modules may raise anything
        raise UsageError(
            f"its own state cannot be set again as get_extra_state gave it: {describe_error(error)}"
        ) from error


def encode(state: Mapping[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Separate a state dictionary into its tensors and what is left, as JSON.

    In the JSON a tensor is `{"tensor": name}`, a tuple `{"tuple": [...]}`, a dictionary `{"dict":
    [[key, value], ...]}` and a number that is not finite `{"float": "nan"}`. The module that an
    export writes reads it back.
    """
    tensors = {name: value for name, value in state.items() if isinstance(value, Tensor)}
    own = {
        name: _encode(value, name, tensors)
        for name, value in state.items()
        if not isinstance(value, Tensor)
    }
    return tensors, own


def _encode(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, Tensor):
        place = f"{name}/{len(tensors)}"
        tensors[place] = value
        return {"tensor": place}
    if isinstance(value, float) and not isfinite(value):
        return {"float": repr(value)}
    if isinstance(value, tuple):
        return {"tuple": [_encode(one, name, tensors) for one in value]}
    if isinstance(value, list):
        return [_encode(one, name, tensors) for one in value]
    if isinstance(value, dict):
        return {"dict": [[key, _encode(one, name, tensors)] for key, one in value.items()]}
    return value


def _tensors(value: Any, name: str) -> Iterator[tuple[str, Tensor]]:
    """Every tensor in plain values, with its place."""
    if isinstance(value, Tensor):
        yield name, value
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from _tensors(one, f"{name}[{key!r}]" if name else str(key))
    elif isinstance(value, (list, tuple)):
        for at, one in enumerate(value):
            yield from _tensors(one, f"{name}[{at}]")


def _can_be_stored(tensor: Tensor) -> bool:
    if tensor.layout is not torch.strided or tensor.is_quantized:
        return False
    return _is_known_type(tensor.dtype)


@cache
def _is_known_type(dtype: torch.dtype) -> bool:
    """Whether a file of weights knows numbers of this type."""
    try:
        save({"tensor": torch.empty(0, dtype=dtype)})
    except (KeyError, ValueError, RuntimeError):
        return False
    return True
