"""A training run as plain values and tensors, and back: the content of a checkpoint."""

import logging
import platform
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from bakeoff.errors import CheckpointError
from bakeoff.records import EpochResult, as_plain
from bakeoff.training.own_state import plain_state
from bakeoff.training.randomness import capture_generators, restore_generators
from bakeoff.training.state import TrainingState
from bakeoff.training.totals import EpochTotals

logger = logging.getLogger(__name__)


def snapshot(state: TrainingState) -> dict[str, Any]:
    """Everything that changes during training; `torch.load(weights_only=True)` can read it.

    Of other ranks it holds what `RankCheckpoints.save` has collected.
    """
    return {
        "model": plain_state(state.model),
        # Buffers that are not persistent are missing from the state dictionary.
        "buffers": dict(state.model.named_buffers()),
        "optimizer": state.optimizer.state_dict(),
        "schedule": state.schedule.state_dict(),
        "scaler": state.scaler.state_dict(),
        "average": None if state.average is None else state.average.state_dict(),
        "history": [as_plain(result) for result in state.history],
        "totals": None if state.totals is None else state.totals.state_dict(),
        "best_weights": state.best_weights,
        "epochs_without_improvement": state.epochs_without_improvement,
        "data": state.splits.fingerprint,
        "environment": describe_environment(state.device),
        "generators": capture_generators(state.device),
        "generators_of_ranks": state.generators_of_ranks,
    }


def restore(state: TrainingState, payload: Mapping[str, Any]) -> None:
    """Continue from a snapshot of the same run, bit for bit where the environment is the same.

    Raises:
        CheckpointError: The data or the model is not the one the snapshot was made with.
    """
    if payload["data"] != state.splits.fingerprint:
        raise CheckpointError(
            f"the data changed since the checkpoint: fingerprint {payload['data']} "
            f"became {state.splits.fingerprint}"
        )
    _load_model(state, payload)
    state.optimizer.load_state_dict(payload["optimizer"])
    state.schedule.load_state_dict(payload["schedule"])
    state.scaler.load_state_dict(payload["scaler"])
    if state.average is not None:
        state.average.load_state_dict(payload["average"])
    state.history = [EpochResult(**result) for result in payload["history"]]
    state.best_weights = payload["best_weights"]
    state.epochs_without_improvement = payload["epochs_without_improvement"]
    state.totals = None
    if payload.get("totals") is not None:  # it was taken within an epoch
        state.totals = EpochTotals()
        state.totals.load_state_dict(payload["totals"])
    state.note_save()
    state.resume_differences = compare_environment(payload["environment"], state.device)
    # Last, because anything above may draw random numbers.
    generators = [payload["generators"], *payload.get("generators_of_ranks", ())]
    restore_generators(generators[state.ranks.rank], state.device)


def compare_environment(before: Mapping[str, str], device: torch.device) -> tuple[str, ...]:
    """Differences from the environment of a checkpoint, which are logged; none if it is the same.

    Args:
        before: What `describe_environment` returned when the checkpoint was written.
        device: Where the run trains now.
    """
    now = describe_environment(device)
    differences = tuple(
        f"{name} was {before.get(name)}, is {now.get(name)}"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    )
    if differences:
        logger.warning("resumed, not bit-identical: %s", "; ".join(differences))
    return differences


def describe_environment(device: torch.device) -> dict[str, str]:
    """What the bits of a run depend on besides its configuration."""
    on_gpu = device.type == "cuda"
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": str(torch.__version__),
        "machine": f"{platform.system()} {platform.machine()}",
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "threads": str(torch.get_num_threads()),
        "device": torch.cuda.get_device_name(device) if on_gpu else device.type,
    }


def _load_model(state: TrainingState, payload: Mapping[str, Any]) -> None:
    try:
        state.model.load_state_dict(payload["model"])
        with torch.no_grad():
            for name, buffer in state.model.named_buffers():
                buffer.copy_(payload["buffers"][name])
    except (RuntimeError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(f"the checkpoint is of another model: {reason}") from None
