"""A run that can be killed at any step: `python killable_run.py FOLDER` trains it to its end.

It writes a line after every batch, and at the end a digest of all that it trained.
"""

import hashlib
import sys
from pathlib import Path

from torch import Tensor, nn

from bakeoff.records import DataConfig, TrainingConfig, TrialConfig
from bakeoff.training import loop
from bakeoff.training.checkpoint import Checkpoints
from bakeoff.training.own_state import copy_state
from bakeoff.training.state import TrainingState

RUN = TrialConfig(
    optimizer="adamw",
    optimizer_params={},
    scheduler="one_cycle",
    scheduler_params={},
    model="mlp",
    model_params={"width": 32, "depth": 1, "dropout": 0.3},
    data=DataConfig(dataset="digits", augment=("translate", "cutout")),
    training=TrainingConfig(
        epochs=4,
        batch_size=32,
        precision="fp32",
        accumulation_steps=3,
        sampling="weighted",
        mixup_alpha=0.4,
        ema_decay=0.95,
    ),
    objective="accuracy",
    score_rule="best_epoch",
    seed=3,
    split_seed=0,
)


class Told(nn.Module):
    """A loss that says when it was asked for."""

    def __init__(self, criterion: nn.Module) -> None:
        super().__init__()
        self.criterion = criterion

    def forward(self, outputs: Tensor, labels: Tensor) -> Tensor:
        print("batch", flush=True)
        loss: Tensor = self.criterion(outputs, labels)
        return loss


def train_to_the_end(folder: Path) -> TrainingState:
    """Train from the last checkpoint, saving one after every epoch."""
    state = loop.prepare(RUN, "cpu")
    state.criterion = Told(state.criterion)
    checkpoints = Checkpoints(folder, "run")
    for _ in loop.train(state, checkpoints):
        checkpoints.save(state)
    return state


def digest(state: TrainingState) -> str:
    """Of weights, best weights and measurements."""
    found = hashlib.sha256()
    for weights in (copy_state(state.model), state.best_weights or {}):
        for tensor in weights.values():
            found.update(tensor.numpy().tobytes())
    found.update(repr([(one.train_loss, one.metrics) for one in state.history]).encode())
    return found.hexdigest()


if __name__ == "__main__":
    print("digest", digest(train_to_the_end(Path(sys.argv[1]))))
