"""The study as a plain Optuna script: TPE, median pruner, SQLite.

With --processes 2 it runs twice at once on the same storage, as Optuna's documentation advises,
with one thread each; by default one process trains with torch's own number of threads.
"""

import argparse
import json
import multiprocessing
from pathlib import Path
from typing import Any

import optuna
import torch
from plain_training import OPTIMIZERS, Task, load, read_task, train

NAME = "peer"


def suggest(trial: optuna.Trial, task: Task) -> dict[str, Any]:
    """One configuration: the optimizer, and its learning rate and weight decay in its own ranges."""
    name = trial.suggest_categorical("optimizer", OPTIMIZERS)
    ranges = task.ranges[name]
    return {
        "optimizer": name,
        **{
            key: trial.suggest_float(f"{name}_{key}", *ranges[key], log=True)
            for key in ("learning_rate", "weight_decay")
        },
        "dropout": trial.suggest_float("dropout", *task.dropout),
    }


def search(path: Path, url: str, num_trials: int, seed: int, threads: int | None) -> None:
    """Run trials of the study until this process has run its share."""
    if threads is not None:
        torch.set_num_threads(threads)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    task = read_task(path)
    data = load(task)

    def objective(trial: optuna.Trial) -> float:
        params, best = suggest(trial, task), 0.0
        trial.set_user_attr("params", params)
        for epoch, (score, _) in enumerate(train(task, data, params, seed + trial.number)):
            best = max(best, score)
            trial.report(score, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
        return best

    study = optuna.create_study(
        study_name=NAME,
        storage=url,
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=seed),
        pruner=optuna.pruners.MedianPruner(),
        load_if_exists=True,
    )
    study.optimize(objective, num_trials)


def main() -> None:
    """Run the study and write down what it found."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("task", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--processes", type=int, default=1)
    arguments = parser.parse_args()
    url = f"sqlite:///{arguments.output / 'peer.db'}"
    task = read_task(arguments.task)
    if arguments.processes == 1:
        search(arguments.task, url, task.trials, arguments.seed, None)
    else:
        optuna.create_study(study_name=NAME, storage=url, direction="maximize")
        share = task.trials // arguments.processes
        context = multiprocessing.get_context("spawn")
        others = [
            context.Process(target=search, args=(arguments.task, url, share, place, 1))
            for place in range(arguments.seed * 100, arguments.seed * 100 + arguments.processes)
        ]
        for one in others:
            one.start()
        for one in others:
            one.join()
    study = optuna.load_study(study_name=NAME, storage=url)
    found = {
        "params": study.best_trial.user_attrs["params"],
        "score": study.best_value,
        "trials": len(study.trials),
        "epochs": sum(len(one.intermediate_values) for one in study.trials),
    }
    (arguments.output / "found.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main()
