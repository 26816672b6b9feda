"""What checkpoints cost a run: python tests/benchmarks/checkpoint_cost.py [STUDY FILE] [EPOCHS]

One JSON line: seconds of an epoch and of a save, epochs and saves, and the share of the training
time that went into saves.
"""

import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from statistics import median
from time import perf_counter

import torch

from bakeoff.production.one_configuration import Chosen, fix_settings, params_of
from bakeoff.records import TrialConfig
from bakeoff.space import build_trial_config
from bakeoff.studyfile import load_study_file
from bakeoff.training.checkpoint import Checkpoints
from bakeoff.training.loop import prepare, train

ROOT = Path(__file__).parents[2]


def trial_of(file: Path, epochs: int) -> TrialConfig:
    """The file's first optimizer with its defaults, in fp32."""
    config = fix_settings(load_study_file(file), Chosen(epochs=epochs))
    trial = build_trial_config(config, params_of(config), seed=0)
    return replace(trial, training=replace(trial.training, precision="fp32"))


def measure(trial: TrialConfig, folder: Path) -> dict[str, object]:
    """Train once, timing every save from outside."""
    state, checkpoints, saves = prepare(trial, "cpu"), Checkpoints(folder, "run"), []
    save = checkpoints.save

    def timed_save(*args: object) -> None:
        started = perf_counter()
        save(*args)
        saves.append(perf_counter() - started)

    checkpoints.save = timed_save
    results = list(train(state, checkpoints))
    train_seconds = [result.train_seconds for result in results]
    return {
        "model": trial.model,
        "epochs": len(results),
        "epoch_seconds": round(median(train_seconds), 4),
        "saves": len(saves),
        "save_seconds": round(median(saves), 4) if saves else None,
        "share": round(sum(saves) / sum(train_seconds), 5),
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    study = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "studies" / "fashion-cnn.toml"
    epochs = int(sys.argv[2]) if len(sys.argv) > 2 else 4
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(trial_of(study, epochs), Path(folder))))
