"""What a loop of the user's own tracked, as one safetensors file."""

import json
from typing import Any

from safetensors.torch import save

from bakeoff.components.metrics import scored_epoch
from bakeoff.records import as_plain, as_strict
from bakeoff.training.loop_state import LoopState
from bakeoff.training.own_state import encode
from bakeoff.training.weights import with_sorted_header
from bakeoff.training.weights_source import DESCRIPTION_KEY
from bakeoff.version import __version__


def tracked_file(state: LoopState) -> bytes | None:
    """The scored state of what the loop tracked; None if it tracked nothing.

    The name of a tensor is that of the tracked object, a dot, and that in its state. How a model is
    built is not known, so the file has no description of it.
    """
    held, own = encode(_flat(state.scored_state()))
    if not held and not own:
        return None
    tensors = {name: tensor.cpu().contiguous().clone() for name, tensor in held.items()}
    scored = scored_epoch(state.history, state.objective, state.config.score_rule)
    about = {
        "bakeoff": __version__,
        "loop": state.config.training.loop,
        "epoch": None if scored is None else scored.epoch,
        "validation_metrics": {} if scored is None else as_plain(scored.metrics),
        "configuration": as_plain(state.config),
        "own_state": own,
    }
    metadata = {"format": "pt", DESCRIPTION_KEY: json.dumps(as_strict(about))}
    return with_sorted_header(save(tensors, metadata))


def _flat(states: dict[str, Any]) -> dict[str, Any]:
    """`model.layer.weight` for the tensor of a module, and so on; other states keep their form."""
    found: dict[str, Any] = {}
    for name, stored in states.items():
        is_module = isinstance(stored, dict) and stored.keys() == {"state", "buffers"}
        parts = stored["state"] if is_module else stored
        if isinstance(parts, dict):
            found |= {f"{name}.{key}": value for key, value in parts.items()}
        else:
            found[name] = parts
    return found
