"""What remedies do for rare classes: macro F1 on a long-tailed Fashion-MNIST.

    python tests/benchmarks/imbalance.py [--seeds 5]

Trains the small network on Fashion-MNIST with `imbalance = 50`, with each remedy and the same
seeds, in turns. Prints one JSON line per run and one per remedy: the mean of macro F1 on the
untouched test set, its standard deviation over seeds, and the mean paired difference from training
without a remedy with its 95 % t interval.
"""

import argparse
import json
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from scipy import stats

from bakeoff.records import DataConfig, TrainingConfig, TrialConfig
from bakeoff.training import loop

RUN = TrialConfig(
    optimizer="adamw",
    optimizer_params={"learning_rate": 3e-3, "weight_decay": 0.01},
    scheduler="one_cycle",
    scheduler_params={},
    model="cnn",
    model_params={},
    data=DataConfig(
        dataset="fashion-mnist",
        validation_fraction=0.1,
        imbalance=50,
        augment=("flip", "translate"),
    ),
    training=TrainingConfig(epochs=8, batch_size=64, precision="fp32"),
    objective="macro_f1",
    score_rule="best_epoch",
    seed=0,
    split_seed=0,
)
REMEDIES: dict[str, dict[str, Any]] = {
    "none": {},
    'class_weights = "balanced"': {"class_weights": "balanced"},
    'sampling = "weighted"': {"sampling": "weighted"},
    "focal_gamma = 2": {"focal_gamma": 2.0},
}


def main() -> None:
    """Train all and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=5)
    num_seeds = parser.parse_args().seeds
    torch.set_num_threads(1)
    scores: dict[str, list[float]] = {name: [] for name in REMEDIES}
    for seed in range(num_seeds):
        for name, settings in REMEDIES.items():
            metrics = train_once(settings, seed)
            scores[name].append(metrics["macro_f1"])
            print(json.dumps({"remedy": name, "seed": seed, **metrics}), flush=True)
    for name in REMEDIES:
        print(json.dumps({"remedy": name, **summarise(scores[name], scores["none"])}), flush=True)


def train_once(settings: dict[str, Any], seed: int) -> dict[str, float]:
    """Test metrics of one run, at the epoch with the best validation macro F1."""
    state = loop.prepare(replace(RUN, seed=seed, training=replace(RUN.training, **settings)), "cpu")
    for _ in loop.train(state):
        pass
    return {name: round(value, 5) for name, value in loop.test(state).items()}


def summarise(scores: list[float], without: list[float]) -> dict[str, Any]:
    """Mean and deviation, and the paired difference from training without a remedy."""
    found = {
        "mean": round(float(np.mean(scores)), 4),
        "sd": round(float(np.std(scores, ddof=1)), 4),
        "seeds": len(scores),
    }
    if scores is without:
        return found
    differences = np.subtract(scores, without)
    low, high = stats.t.interval(
        0.95, len(scores) - 1, loc=differences.mean(), scale=stats.sem(differences)
    )
    interval = [round(float(low), 4), round(float(high), 4)]
    return {**found, "difference": round(float(differences.mean()), 4), "interval": interval}


if __name__ == "__main__":
    main()
