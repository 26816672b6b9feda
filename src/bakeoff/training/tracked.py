"""State that a loop of the user's own asks to be saved, as plain values, and back.

A checkpoint is read with `weights_only=True`, which unpickles tensors and plain values only. Arrays
of NumPy are stored as tensors. Everything else is refused before it is saved.
"""

from collections.abc import Mapping
from typing import Any, Protocol, TypeGuard

import numpy as np
import torch
from torch import Tensor, nn

from bakeoff.errors import CheckpointError, UsageError, describe_error
from bakeoff.training.own_state import PLAIN, PLAIN_TYPES

ARRAY, SCALAR = "__array__", "__scalar__"
"""Keys of the dictionaries as which arrays and numbers of NumPy are stored."""
ALLOWED = PLAIN.replace("tensors, ", "tensors, arrays, ")


class Stateful(Protocol):
    """Anything whose state can be saved and loaded, as modules and optimizers of torch can."""

    def state_dict(self) -> Any:
        """The state, made of tensors, arrays and plain values."""

    def load_state_dict(self, state: Any) -> Any:
        """Set the state."""


Tracked = Stateful | torch.Generator


def is_trackable(thing: object) -> TypeGuard[Tracked]:
    """Whether the state of `thing` can be saved and loaded."""
    names = ("state_dict", "load_state_dict")
    has_both = all(callable(getattr(thing, name, None)) for name in names)
    return has_both or isinstance(thing, torch.Generator)


def state_of(name: str, thing: Tracked, *, copies: bool = False) -> Any:
    """The state of `thing` as tensors and plain values; of a module with all of its buffers.

    Args:
        name: Its name, for messages.
        thing: What is saved.
        copies: Whether tensors are copied; otherwise they are those of `thing`.

    Raises:
        UsageError: A part of the state cannot be saved.
    """
    if isinstance(thing, torch.Generator):
        return thing.get_state()
    state = encode(thing.state_dict(), name, copies=copies)
    if not isinstance(thing, nn.Module):
        return state
    # Buffers that are not persistent are missing from the state dictionary.
    left_out = {key: one for key, one in thing.named_buffers() if key not in state}
    return {"state": state, "buffers": encode(left_out, name, copies=copies)}


def load_into(name: str, thing: Tracked, stored: Any) -> None:
    """Set the state of `thing` to what `state_of` returned.

    Raises:
        CheckpointError: `thing` does not take it.
    """
    try:
        if isinstance(thing, torch.Generator):
            thing.set_state(stored)
        elif isinstance(thing, nn.Module):
            thing.load_state_dict(decode(stored["state"]))
            buffers = dict(thing.named_buffers())
            with torch.no_grad():
                for key, value in stored["buffers"].items():
                    buffers[key].copy_(value)
        else:
            thing.load_state_dict(decode(stored))
    except Exception as error:  # the user's object may raise anything
        raise CheckpointError(
            f"the checkpoint does not fit {name!r}: {describe_error(error)}"
        ) from error


def encode(value: Any, name: str, *, copies: bool = False) -> Any:
    """`value` as tensors and plain values; arrays become tensors.

    Raises:
        UsageError: It is made of something else; the message begins with `name`.
    """
    if isinstance(value, Tensor):
        return value.detach().clone() if copies else value.detach()
    if type(value) in PLAIN_TYPES:
        return value
    if isinstance(value, (np.ndarray, np.generic)):
        return {SCALAR if isinstance(value, np.generic) else ARRAY: _as_tensor(value, name)}
    if type(value) in (list, tuple):
        parts = (encode(one, f"{name}[{at}]", copies=copies) for at, one in enumerate(value))
        return type(value)(parts)
    if isinstance(value, Mapping) and all(type(key) in (str, int) for key in value):
        return {key: encode(one, f"{name}[{key!r}]", copies=copies) for key, one in value.items()}
    raise _refused(name, type(value).__name__)


def decode(value: Any) -> Any:
    """What `encode` was given, with dictionaries for other mappings."""
    if isinstance(value, (list, tuple)):
        return type(value)(decode(one) for one in value)
    if not isinstance(value, dict):
        return value
    if value.keys() == {ARRAY}:
        return value[ARRAY].numpy().copy()
    if value.keys() == {SCALAR}:
        return value[SCALAR].numpy()[()]
    return {key: decode(one) for key, one in value.items()}


def _as_tensor(value: np.ndarray[Any, Any] | np.generic, name: str) -> Tensor:
    array = np.asarray(value)
    try:
        return torch.from_numpy(np.array(array, order="C"))  # a copy, which can be written to
    except TypeError:
        hint = "; a list of texts can" if array.dtype.kind in "US" else ""
        raise _refused(name, f"an array of {array.dtype}", hint) from None


def _refused(name: str, kind: str, hint: str = "") -> UsageError:
    return UsageError(
        f"the state {name!r} is {kind}, which cannot be saved{hint}; allowed: {ALLOWED}"
    )


def num_weight_bytes(thing: Tracked) -> int:
    """Bytes of the weights that `thing` trains; 0 unless it is a module."""
    if not isinstance(thing, nn.Module):
        return 0
    return sum(one.nbytes for one in thing.parameters() if one.requires_grad)
