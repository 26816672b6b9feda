"""Loads pretrained weights into a model whose head is new."""

import pickle
from collections.abc import Mapping
from math import isqrt
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import interpolate

from bakeoff.errors import DataError, UsageError, one_line
from bakeoff.training.stages import find_parts
from bakeoff.training.weights_source import WeightsSource

WRAPPERS = ("state_dict", "model_state_dict", "model")
"""Keys under which training programs put a state dictionary."""
COUNTER = "num_batches_tracked"
"""A buffer of batch normalisation that old files lack."""
RGB = 3
IMAGE_NDIM = 4
POSITIONS = ("pos_embed", "position_embeddings")
"""Parts of the names of tables [1, N, D] with a row for each patch of an image."""
POSITIONS_NDIM = 3
MAX_PREFIX = 4
"""Tokens before the patches, such as those of the class and of registers."""
NUM_NAMED = 3
MOST_FRESH = 0.5
"""Share of the tensors that a file of the hub may lack; another file does not fit the model."""

READ_ERRORS = (SafetensorError, OSError, RuntimeError, EOFError)
UNPICKLING_ERRORS = (pickle.UnpicklingError, LookupError, ValueError, TypeError, AttributeError)
"""What torch raises at a file that is damaged, or holds other objects than tensors."""
NO_STATE = "damaged, or more than tensors; expected what torch.save(model.state_dict(), ...) wrote"


def load_pretrained(model: nn.Module, source: WeightsSource, num_outputs: int) -> frozenset[str]:
    """Load every weight and buffer of `model` from a file, except those of the head.

    Returns the names of what is fresh besides the head, which only a model of the hub may have: the
    layers of a task that the file was not trained for.

    A first convolution for another number of channels gets the sum (one channel) or a share of the
    filters for red, green and blue, and embeddings of positions are interpolated to another number
    of patches.

    Source: both are what timm does, https://github.com/huggingface/pytorch-image-models
    (`adapt_input_conv`, `resample_abs_pos_embed`)

    Raises:
        DataError: The file is damaged, or holds something else than weights.
        UsageError: Weights of the model are missing or have another shape, or the file has more
            layers than the model.
    """
    head = find_parts(model, num_outputs).head_name
    whole = model.state_dict()
    wanted = {
        name: value
        for name, value in whole.items()
        if isinstance(value, Tensor) and not name.startswith(f"{head}.")
    }
    state = read_state(source.path)
    if source.convert is not None and _missing(wanted, state):
        state = source.convert(state, wanted)
    missing = _missing(wanted, state)
    if missing and not (source.may_lack and len(missing) <= MOST_FRESH * len(wanted)):
        named = ", ".join(missing[:NUM_NAMED]) + (", ..." if missing[NUM_NAMED:] else "")
        raise UsageError(
            f"finetune.pretrained: {source.path} lacks {len(missing)} of the {len(wanted)} tensors"
            f" of the model before its head {head!r} ({named})"
        )
    surplus = [] if source.url or source.may_lack else _surplus(wanted, state, head)
    if surplus:
        raise UsageError(
            f"finetune.pretrained: {source.path} is of another model: it has layers that this one"
            f" lacks, {len(surplus)} tensors such as {surplus[0]!r}; leave them out of the file if"
            " that is meant"
        )
    fitted = {
        name: _fit(name, state[name], value, source.path)
        for name, value in wanted.items()
        if name in state
    }
    whole.update(fitted)  # it has the versions of its modules, without which some refuse a state
    model.load_state_dict(whole)
    return frozenset(missing)


def read_state(path: Path) -> dict[str, Any]:
    """The state dictionary in a file of safetensors or of torch; nothing in it is executed.

    Raises:
        DataError: The file is damaged, or holds something else.
    """
    try:
        if path.suffix == ".safetensors":
            content: Any = load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except READ_ERRORS as error:
        reason = one_line(error)[:160]
    except UNPICKLING_ERRORS:  # torch proposes to trust the file
        reason = NO_STATE
    else:
        reason = ""
    if reason:
        raise DataError(f"finetune.pretrained: {path} cannot be read as weights ({reason})")
    for wrapper in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping) or not any(
        isinstance(one, Tensor) for one in content.values()
    ):
        raise DataError(f"finetune.pretrained: {path} holds no state dictionary")
    prefix = "module."  # of a model that was trained in parallel
    is_parallel = all(str(name).startswith(prefix) for name in content)
    return {
        str(name).removeprefix(prefix if is_parallel else ""): content[name] for name in content
    }


def _missing(wanted: Mapping[str, Tensor], state: Mapping[str, Any]) -> list[str]:
    return [
        name
        for name in wanted
        if not isinstance(state.get(name), Tensor) and not name.endswith(COUNTER)
    ]


def _surplus(wanted: Mapping[str, Tensor], state: Mapping[str, Any], head: str) -> list[str]:
    """Tensors of numbered layers where the model has fewer: those of a deeper network's stages."""
    layers = {layer for name in wanted for layer in _numbered_layers(name)}
    containers = {layer.rpartition(".")[0] for layer in layers} - {head.rpartition(".")[0]}
    return [
        name
        for name in state
        if any(
            layer not in layers and layer.rpartition(".")[0] in containers
            for layer in _numbered_layers(name)
        )
    ]


def _numbered_layers(name: str) -> list[str]:
    """The layers of a tensor that have numbers: `layer1.0` of `layer1.0.conv1.weight`."""
    parts = name.split(".")
    return [".".join(parts[: at + 1]) for at, part in enumerate(parts) if part.isdecimal()]


def _fit(name: str, given: Tensor, wanted: Tensor, path: Path) -> Tensor:
    """A tensor of the file in the shape in which the model has it."""
    if given.shape == wanted.shape:
        return given.to(wanted.dtype)
    old, new = list(given.shape), list(wanted.shape)
    is_filter = len(old) == len(new) == IMAGE_NDIM and [old[0], *old[2:]] == [new[0], *new[2:]]
    if is_filter and old[1] == RGB:
        return _adapt_channels(given, new[1]).to(wanted.dtype)
    is_table = len(old) == len(new) == POSITIONS_NDIM and old[-1] == new[-1]
    if is_table and any(part in name for part in POSITIONS):
        resampled = _resample_positions(given, new[-2])
        if resampled is not None:
            return resampled.to(wanted.dtype)
    raise UsageError(
        f"finetune.pretrained: {path} has {name!r} of shape {old}, and the model needs {new}"
    )


def _adapt_channels(filters: Tensor, channels: int) -> Tensor:
    """Filters [O, 3, H, W] for another number of channels, so that sums stay about the same."""
    if channels == 1:
        return filters.sum(dim=1, keepdim=True)
    repeats = -(-channels // RGB)
    return filters.repeat(1, repeats, 1, 1)[:, :channels] * (RGB / channels)


def _resample_positions(table: Tensor, num_wanted: int) -> Tensor | None:
    """Embeddings [1, P + h * h, D] for another square of patches; None where there is no square."""
    num_given = table.shape[-2]
    for prefix in range(min(MAX_PREFIX + 1, num_given, num_wanted)):  # a patch is left at least
        old, new = isqrt(num_given - prefix), isqrt(num_wanted - prefix)
        if old * old == num_given - prefix and new * new == num_wanted - prefix:
            kept, grid = table[..., :prefix, :], table[..., prefix:, :]
            picture = grid.float().reshape(1, old, old, -1).permute(0, 3, 1, 2)
            resized = interpolate(
                picture, size=(new, new), mode="bicubic", align_corners=False, antialias=True
            )
            patches = resized.permute(0, 2, 3, 1).reshape(*grid.shape[:-2], new * new, -1)
            return torch.cat([kept.float(), patches], dim=-2)
    return None
