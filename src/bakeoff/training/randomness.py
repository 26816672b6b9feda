"""The global random generators: seeded for a run, saved in its checkpoints."""

import random
from typing import Any

import numpy as np
import torch

from bakeoff.seeding import derive_seed


def seed_everything(*path: int | str) -> None:
    """Seed Python, NumPy and torch (all devices) from `path`, each with a seed of its own."""
    random.seed(derive_seed(*path, "python"))
    np.random.seed(derive_seed(*path, "numpy"))
    torch.manual_seed(derive_seed(*path, "torch"))


def capture_generators() -> dict[str, Any]:
    """The state of all global generators, as plain values and tensors."""
    legacy = np.random.get_state(legacy=False)
    state = {**legacy["state"], "key": torch.from_numpy(legacy["state"]["key"].astype(np.int64))}
    return {
        "python": random.getstate(),
        "numpy": {**legacy, "state": state},
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def restore_generators(captured: dict[str, Any]) -> None:
    """Put all global generators back to a state from `capture_generators`."""
    random.setstate(captured["python"])
    numpy_state = captured["numpy"]
    key = numpy_state["state"]["key"].numpy().astype(np.uint32)
    np.random.set_state({**numpy_state, "state": {**numpy_state["state"], "key": key}})
    torch.set_rng_state(captured["torch"])
    if captured["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(captured["cuda"])
