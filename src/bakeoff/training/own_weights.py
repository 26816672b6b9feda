"""What a loop of the user's own tracked, as one safetensors file."""

import json
from pathlib import Path
from typing import Any

from safetensors.torch import save

from bakeoff.components.metrics import scored_epoch
from bakeoff.errors import CheckpointWriteError
from bakeoff.files import write_durably
from bakeoff.records import as_plain, as_strict
from bakeoff.training.loop_state import LoopState
from bakeoff.training.own_state import encode
from bakeoff.training.weights import with_sorted_header
from bakeoff.training.weights_source import DESCRIPTION_KEY
from bakeoff.version import __version__


def write_tracked(state: LoopState, path: Path) -> None:
    """Write the scored state of what the loop tracked; nothing if it tracked nothing.

    The name of a tensor is that of the tracked object, a dot, and that in its state. How a model is
    built is not known, so the file has no description of it.

    Raises:
        CheckpointWriteError: The file cannot be written.
    """
    held, own = encode(_flat(state.scored_state()))
    if not held and not own:
        return
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
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_durably(path, with_sorted_header(save(tensors, metadata)))
    except OSError as error:
        raise CheckpointWriteError(f"{path} cannot be written ({error.strerror})") from error


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
