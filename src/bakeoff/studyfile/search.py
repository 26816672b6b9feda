"""Checks the section `[search]`: the sampler, the pruner with its settings, the budget."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from bakeoff.errors import StudyFileError
from bakeoff.ranges import ParamValue
from bakeoff.records import Budget, SearchConfig, StudyConfig
from bakeoff.studyfile.arm_parameters import arm_space
from bakeoff.studyfile.grid import Grid
from bakeoff.studyfile.repeatable import lag_of
from bakeoff.studyfile.schema import PrunerTable, SearchSection

PRUNER_PARAMS: Mapping[str, Mapping[str, ParamValue | None]] = {
    "none": {},
    "halving": {},
    "median": {},
    "percentile": {"percentile": 25.0},
    "hyperband": {"reduction": 3},
    "patient": {"patience": 3, "min_delta": 0.0},
    "threshold": {"lower": None, "upper": None},
}
"""The settings of each pruner with their defaults; None means no limit."""
WILCOXON = (
    "is for trials that report scores of the same independent instances (folds, problems);"
    " the epochs of one training run depend on each other, so its test says nothing here;"
    ' "median" compares trials epoch by epoch'
)
DESIGNED = ("random", "sobol", "grid")
"""Samplers that do not learn from trials, so that all of their trials count as startup trials."""
DEFAULT_TRIALS = 20
"""Trials per arm if no budget is given."""


def resolve_search(section: SearchSection, run_epochs: int, *, prunes: bool = True) -> SearchConfig:
    """The section with every default written out.

    Args:
        section: The section as written in the file.
        run_epochs: Epochs of a whole run.
        prunes: Whether trials may be pruned at all; False with several objectives.

    Raises:
        StudyFileError: The pruner cannot be used or has no such setting, or the budget is too small
            for one run.
    """
    budget = _resolve_budget(section, run_epochs)
    pruner, pruner_params = _resolve_pruner(section.pruner if prunes else "none")
    return SearchConfig(
        optimizers=tuple(section.optimizers),
        schedulers=tuple(section.schedulers),
        trials_per_arm=budget.trials,
        epochs_per_arm=budget.epochs,
        seconds_per_arm=budget.seconds,
        sampler=section.sampler,
        pruner=pruner,
        startup_trials=_startup_trials(section, budget, run_epochs),
        pruner_startup_trials=section.pruner_startup_trials,
        pruner_params=pruner_params,
        audit=float(section.audit) if pruner != "none" else 0.0,
        grid_points=section.grid_points,
        lag=lag_of(section),
        defaults=section.defaults,
    )


def _resolve_budget(section: SearchSection, run_epochs: int) -> Budget:
    given = Budget(
        trials=section.trials_per_arm,
        epochs=section.epochs_per_arm,
        seconds=section.seconds_per_arm,
    )
    if given == Budget():
        return Budget(trials=DEFAULT_TRIALS)
    if given.epochs is not None and given.epochs < run_epochs:
        raise StudyFileError(
            f"search.epochs_per_arm = {given.epochs}: less than one run of {run_epochs} epochs;"
            f" allowed are {run_epochs} and more"
        )
    return given


def _startup_trials(section: SearchSection, budget: Budget, run_epochs: int) -> int:
    if section.sampler in DESIGNED and budget.trials is not None:
        return budget.trials
    num_runs = budget.num_whole_runs(run_epochs)
    return section.startup_trials or (10 if num_runs is None else min(10, max(1, num_runs // 2)))


def _resolve_pruner(given: str | PrunerTable) -> tuple[str, dict[str, ParamValue]]:
    table = given if isinstance(given, PrunerTable) else PrunerTable.model_validate({"name": given})
    if table.name == "wilcoxon":
        raise StudyFileError(f'search.pruner = "wilcoxon": {WILCOXON}')
    known = PRUNER_PARAMS[table.name]
    named = {key: getattr(table, key) for key in table.model_fields_set - {"name"}}
    for key, value in named.items():
        if key not in known:
            allowed = ", ".join(known) or "none"
            raise StudyFileError(
                f"search.pruner.{key} = {json.dumps(value)}: not a setting of {table.name!r};"
                f" allowed: {allowed}"
            )
    params = {key: value for key, value in {**known, **named}.items() if value is not None}
    if table.name == "threshold":
        _check_thresholds(params)
    return table.name, params


def _check_thresholds(params: Mapping[str, ParamValue]) -> None:
    if not params:
        raise StudyFileError(
            'search.pruner = "threshold": needs lower or upper, in units of the objective:'
            ' { name = "threshold", lower = 0.2 }'
        )
    if len(params) > 1 and float(params["lower"]) >= float(params["upper"]):
        raise StudyFileError(
            f"search.pruner.lower = {params['lower']}: must be below upper = {params['upper']}"
        )


def fit_to_grid(config: StudyConfig, arms: Sequence[str], *, is_budget_given: bool) -> StudyConfig:
    """The study with as many trials per arm as the smallest grid has points, or as many as given.

    Raises:
        StudyFileError: An arm's grid has fewer points than the arm has trials.
    """
    points = config.search.grid_points
    sizes = {arm: Grid(arm_space(arm, config), points).size for arm in arms}
    smallest = min(sizes, key=lambda arm: sizes[arm])
    given = config.search.trials_per_arm if is_budget_given else None
    trials = sizes[smallest] if given is None else given
    if trials > sizes[smallest]:
        raise StudyFileError(
            f"search.trials_per_arm = {trials}: the grid of {smallest!r} has {sizes[smallest]}"
            f" points ({points} per range); allowed are 1 to {sizes[smallest]}, or a larger"
            " search.grid_points"
        )
    search = replace(config.search, trials_per_arm=trials, startup_trials=trials)
    return replace(config, search=search)
