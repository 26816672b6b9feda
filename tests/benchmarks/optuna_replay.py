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
    study, unused, cost = _study(table, seed, pruner), UnusedRows(table), 0
    while len(unused):
        spent, has_succeeded = _run(study, table, _next_row(study, unused, table), table.target)
        cost += spent
        if has_succeeded:
            return cost, True
    return cost, False


def choose(table: LookupTable, seed: int, pruner: str, num_trials: int) -> tuple[float, int]:
    """Run so many trials and choose the best complete one; see `bakeoff_replay.choose`."""
    study, unused, cost = _study(table, seed, pruner), UnusedRows(table), 0
    complete: dict[int, float] = {}
    for _ in range(num_trials):
        row = _next_row(study, unused, table)
        cost += _run(study, table, row)[0]
        trial = study.trials[-1]
        if trial.state == TrialState.COMPLETE and not np.isnan(table.losses[row]).any():
            complete[row] = float(table.losses[row].min())
    return table.share_better(complete), cost


def _study(table: LookupTable, seed: int, pruner: str) -> optuna.Study:
    return optuna.create_study(
        direction="minimize",
        sampler=optuna.samplers.TPESampler(seed=seed),
        pruner=build_pruner(pruner, table.num_evaluations),
    )


def _next_row(study: optuna.Study, unused: UnusedRows, table: LookupTable) -> int:
    """The row nearest to a proposal; it is the next trial of the study."""
    row = unused.take_nearest(_propose(study, table))
    study.enqueue_trial(dict(zip(table.parameters, table.values[row].tolist(), strict=True)))
    return row


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
    study: optuna.Study, table: LookupTable, row: int, target: float = -np.inf
) -> tuple[int, bool]:
    """Train a row until the end, the pruner's stop, divergence or success."""
    trial = study.ask()
    _suggest(trial, table)
    for epoch, loss in enumerate(table.losses[row].tolist(), start=1):
        if loss <= target:
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
