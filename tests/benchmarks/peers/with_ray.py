"""The study with Ray Tune: random configurations under ASHA, one core per trial."""

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import ray
import torch
from plain_training import OPTIMIZERS, Task, load, read_task, train
from ray import tune
from ray.tune.schedulers import ASHAScheduler


def search_space(task: Task) -> dict[str, Any]:
    """The optimizer, learning rates and weight decays of each, and dropout."""
    space: dict[str, Any] = {"optimizer": tune.choice(OPTIMIZERS)}
    for name in OPTIMIZERS:
        for key in ("learning_rate", "weight_decay"):
            space[f"{name}_{key}"] = tune.loguniform(*task.ranges[name][key])
    return {**space, "dropout": tune.uniform(*task.dropout)}


def chosen(config: dict[str, Any]) -> dict[str, Any]:
    """The values in use, by the names of the trainer."""
    name = config["optimizer"]
    rates = {key: config[f"{name}_{key}"] for key in ("learning_rate", "weight_decay")}
    return {"optimizer": name, "dropout": config["dropout"], **rates}


def run_trial(config: dict[str, Any], path: Path, epochs: Path, seed: int) -> None:
    """Train one trial, in a process of Ray's."""
    torch.set_num_threads(1)
    task = read_task(path)
    params = chosen(config)
    for epoch, (score, _) in enumerate(train(task, load(task), params, seed)):
        with epochs.open("a") as file:
            file.write(json.dumps({"time": time.time(), "score": score, "params": params}) + "\n")
        tune.report({"score": score, "epoch": epoch + 1})


def main() -> None:
    """Run the study and write down what it found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--seed", type=int, required=True)
    arguments = parser.parse_args()
    task = read_task(arguments.task.resolve())
    epochs = arguments.output.resolve() / "epochs.jsonl"
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    ray.init(
        address="local",
        num_cpus=os.cpu_count(),
        include_dashboard=False,
        runtime_env={"env_vars": {"PYTHONPATH": path}},
    )
    tuner = tune.Tuner(
        tune.with_parameters(
            run_trial, path=arguments.task.resolve(), epochs=epochs, seed=arguments.seed
        ),
        param_space=search_space(task),
        tune_config=tune.TuneConfig(
            metric="score",
            mode="max",
            num_samples=task.trials,
            scheduler=ASHAScheduler(time_attr="epoch", max_t=task.epochs, grace_period=1),
            search_alg=tune.search.BasicVariantGenerator(random_state=arguments.seed),
        ),
        run_config=tune.RunConfig(storage_path=str(arguments.output.resolve() / "ray"), verbose=0),
    )
    results = tuner.fit()
    rows = [json.loads(line) for line in epochs.read_text().splitlines()]
    best = max(rows, key=lambda one: one["score"])
    found = {
        "params": best["params"],
        "score": best["score"],
        "trials": len(results),
        "epochs": len(rows),
    }
    (arguments.output / "found.json").write_text(json.dumps(found))
    ray.shutdown()


if __name__ == "__main__":
    main()
