"""Optuna's own samplers and pruners on a table, in the way its tutorials use them."""

import numpy as np
import optuna
from lookup_table import LookupTable, UnusedRows
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, SuccessiveHalvingPruner
from optuna.trial import TrialState


def build_pruner(name: str, num_evaluations: int) -> BasePruner:
    """Optuna's defaults; hyperband is told how long a run is."""
    if name == "hyperband":
        return HyperbandPruner(max_resource=num_evaluations)
    if name == "median":
        return MedianPruner()
    return SuccessiveHalvingPruner()


def replay(table: LookupTable, seed: int, pruner: str) -> tuple[int, bool]:
    """Search until success; see `bakeoff_replay.replay`."""
    study = optuna.create_study(
        direction="minimize",
        sampler=optuna.samplers.TPESampler(seed=seed),
        pruner=build_pruner(pruner, table.num_evaluations),
    )
    unused, cost = UnusedRows(table), 0
    while len(unused):
        row = unused.take_nearest(_propose(study, table))
        study.enqueue_trial(dict(zip(table.parameters, table.values[row].tolist(), strict=True)))
        trial = study.ask()
        _suggest(trial, table)
        spent, has_succeeded = _run(study, trial, table, row)
        cost += spent
        if has_succeeded:
            return cost, True
    return cost, False


def _propose(study: optuna.Study, table: LookupTable) -> np.ndarray:
    """A proposal; its trial fails at once, because the nearest row is run in its place."""
    trial = study.ask()
    values = _suggest(trial, table)
    study.tell(trial, state=TrialState.FAIL)
    return values


def _suggest(trial: optuna.Trial, table: LookupTable) -> np.ndarray:
    return np.array(
        [
            trial.suggest_float(name, low, high, log=True)
            for name, low, high in zip(table.parameters, *table.bounds, strict=True)
        ]
    )


def _run(
    study: optuna.Study, trial: optuna.Trial, table: LookupTable, row: int
) -> tuple[int, bool]:
    """Train until the end, the pruner's stop, divergence or success."""
    for epoch, loss in enumerate(table.losses[row].tolist(), start=1):
        if loss <= table.target:
            return epoch, True
        if np.isnan(loss):
            study.tell(trial, float(table.untrained[row]))
            return epoch, False
        trial.report(loss, epoch)
        if trial.should_prune():
            study.tell(trial, state=TrialState.PRUNED)
            return epoch, False
    study.tell(trial, loss)
    return epoch, False
