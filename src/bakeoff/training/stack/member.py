"""One run of a stack: its own state, checkpoints and random numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from bakeoff.records import EpochResult, TrialConfig
from bakeoff.training.checkpoint import Checkpoints
from bakeoff.training.randomness import capture_generators, restore_generators
from bakeoff.training.snapshot import restore
from bakeoff.training.state import TrainingState, prepare


@dataclass(kw_only=True, eq=False)
class Member:
    """A run that trains in a stack. `state` is as a run alone has it whenever the stack stores it.

    So its checkpoints are ordinary ones: any stack can resume them, and so can a run alone, with
    other rounding from there on.
    """

    state: TrainingState
    generator: torch.Generator
    """Its dropout draws from it, as a run alone draws from torch's global generator."""
    checkpoints: Checkpoints | None = None
    captured: Mapping[str, Any]
    """The global generators when it was prepared; only torch's is used while it trains."""
    unreported: list[EpochResult]
    """Epochs of a resumed run that have not been reported again."""

    def save(self) -> None:
        """Write a checkpoint of `state`. The stack must have stored it.

        Raises:
            OSError: It cannot be written.
        """
        if self.checkpoints is None:
            return
        device = self.state.device
        held = {**self.captured, **_of_torch(self.generator.get_state(), device)}
        restore_generators(held, device)
        self.checkpoints.save(self.state)

    @property
    def has_diverged(self) -> bool:
        """Whether its last epoch ended it because something was not finite."""
        return bool(self.state.history) and self.state.history[-1].status == "diverged"

    @property
    def is_save_due(self) -> bool:
        """Whether an epoch that has just ended should be saved now."""
        seconds = self.state.seconds_since_save
        return self.checkpoints is not None and self.checkpoints.is_due(seconds)


def prepare_member(
    config: TrialConfig,
    device: str,
    checkpoints: Checkpoints | None = None,
) -> Member:
    """Prepare a run, and resume it if there is a checkpoint.

    Args:
        config: The run.
        device: Where it trains.
        checkpoints: Its own; None saves nothing.

    Raises:
        DataError: As `prepare`.
        UsageError: As there.
        CheckpointError: The checkpoint belongs to another run, other data or another model.
    """
    state = prepare(config, device)
    payload = None if checkpoints is None else checkpoints.load()
    if payload is not None:
        restore(state, payload)
    captured = capture_generators(state.device)
    generator = torch.Generator(state.device)
    is_cpu = state.device.type == "cpu"
    generator.set_state(captured["torch"] if is_cpu else captured["cuda"][0])
    return Member(
        state=state,
        generator=generator,
        checkpoints=checkpoints,
        captured=captured,
        unreported=list(state.history),
    )


def _of_torch(generator: Tensor, device: torch.device) -> dict[str, Any]:
    return {"torch": generator} if device.type == "cpu" else {"cuda": [generator]}
