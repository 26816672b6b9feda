"""The global random generators that a run draws from, as plain values and tensors."""

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

CPU = torch.device("cpu")


def capture_generators(device: torch.device = CPU) -> dict[str, Any]:
    """The state of all global generators that a run on `device` draws from.

    A run on the CPU does not touch CUDA, so it also works where a GPU is busy or broken.
    """
    legacy = np.random.get_state(legacy=False)
    state = {**legacy["state"], "key": torch.from_numpy(legacy["state"]["key"].astype(np.int64))}
    return {
        "python": random.getstate(),
        "numpy": {**legacy, "state": state},
        "torch": torch.get_rng_state(),
        "cuda": [torch.cuda.get_rng_state(device)] if device.type == "cuda" else [],
    }


def restore_generators(captured: Mapping[str, Any], device: torch.device = CPU) -> None:
    """Set the generators to a state from `capture_generators`.

    The state of a GPU is that of the run's own device, which may have another number now. Earlier
    releases saved the states of all GPUs; the first one is used then.
    """
    random.setstate(captured["python"])
    numpy_state = captured["numpy"]
    key = numpy_state["state"]["key"].numpy().astype(np.uint32)
    np.random.set_state({**numpy_state, "state": {**numpy_state["state"], "key": key}})
    torch.set_rng_state(captured["torch"])
    if captured["cuda"] and device.type == "cuda":
        torch.cuda.set_rng_state(captured["cuda"][0], device)
