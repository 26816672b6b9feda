"""Checks the section `[search]`: the sampler, the pruner with its settings, the budget."""

import json
from collections.abc import Sequence
from dataclasses import replace

from bakeoff.components.pruners import PRUNERS, REFUSED_PRUNERS, PrunerSpec
from bakeoff.components.samplers import SAMPLERS
from bakeoff.errors import StudyFileError, UsageError
from bakeoff.ranges import ParamValue
from bakeoff.records import Budget, SearchConfig, StudyConfig
from bakeoff.studyfile.arm_parameters import arm_space
from bakeoff.studyfile.grid import Grid
from bakeoff.studyfile.repeatable import lag_of
from bakeoff.studyfile.schema import PrunerTable, SearchSection

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
        repeats=section.repeats,
        arithmetic=section.arithmetic,
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
    if not SAMPLERS[section.sampler].learns and budget.trials is not None:
        return budget.trials
    num_runs = budget.num_whole_runs(run_epochs)
    return section.startup_trials or (10 if num_runs is None else min(10, max(1, num_runs // 2)))


def _resolve_pruner(given: str | PrunerTable) -> tuple[str, dict[str, ParamValue]]:
    table = given if isinstance(given, PrunerTable) else PrunerTable.model_validate({"name": given})
    if table.name in REFUSED_PRUNERS:
        raise StudyFileError(f'search.pruner = "{table.name}": {REFUSED_PRUNERS[table.name]}')
    try:
        spec = PRUNERS[table.name]
    except UsageError as error:
        raise StudyFileError(f"search.pruner: {error}") from None
    params: dict[str, ParamValue] = {
        key: one.default for key, one in spec.parameters.items() if one.default is not None
    }
    for key, value in (table.__pydantic_extra__ or {}).items():
        params[key] = _pruner_value(spec, key, value)
    problem = spec.find_problem(params)
    if problem is not None:
        raise StudyFileError(f'search.pruner = "{spec.name}": {problem}')
    return spec.name, params


def _pruner_value(spec: PrunerSpec, key: str, value: float) -> float:
    shown = f"search.pruner.{key} = {json.dumps(value)}"
    if key not in spec.parameters:
        allowed = ", ".join(spec.parameters) or "none"
        raise StudyFileError(f"{shown}: not a setting of {spec.name!r}; allowed: {allowed}")
    parameter = spec.parameters[key]
    if parameter.is_whole and not isinstance(value, int):
        raise StudyFileError(f"{shown}: must be a whole number")
    if value not in parameter.limits:
        raise StudyFileError(f"{shown}: must be {parameter.limits}")
    return value if parameter.is_whole else float(value)


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
