"""The pruners that a study file may name: what each does, its settings, and the code it runs.

Adding a pruner means adding an entry here. If `build` names one of Optuna's pruner classes and the
parameters have the names of its arguments, nothing else is needed.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bakeoff.components.parameters import ANY_NUMBER, Limits
from bakeoff.ranges import Params
from bakeoff.registry import Registry

FIRST_DECISION = 2
"""The first epoch after which a trial may be stopped or paused; one evaluation decides nothing."""


@dataclass(frozen=True, kw_only=True)
class PrunerParameter:
    """One setting of a pruner."""

    description: str
    default: float | None
    """None leaves the setting out."""
    limits: Limits = ANY_NUMBER
    is_whole: bool = False
    """Whether the value must be a whole number."""

    def json_schema(self, pruner: str) -> dict[str, Any]:
        """The JSON schema of the setting, for editors."""
        limits = self.limits
        default = "no limit" if self.default is None else json.dumps(self.default)
        numbers = {
            "default": self.default,
            "minimum" if limits.includes_low else "exclusiveMinimum": limits.low,
            "maximum" if limits.includes_high else "exclusiveMaximum": limits.high,
        }
        return {
            "type": "integer" if self.is_whole else "number",
            "description": f"{pruner}: {self.description}. Default: {default}.",
        } | {key: one for key, one in numbers.items() if one is not None and math.isfinite(one)}


@dataclass(frozen=True, kw_only=True)
class PrunerSettings:
    """What a pruner is built from."""

    startup_trials: int
    """Complete trials that a cohort needs before one of its trials may be stopped."""
    epochs: int
    """Planned epochs of every trial."""
    params: Params = field(default_factory=dict)
    """The pruner's own settings by name."""
    looks_back: bool = False
    """Whether a trial is compared only with trials that had ended when it began, so that decisions
    do not depend on the order of events."""
    num_runs: int | None = None
    """Trials or whole runs that the budget of an arm pays for; None if that is not known."""


@dataclass(frozen=True, kw_only=True)
class PrunerSpec:
    """One pruner."""

    name: str
    description: str
    build: str | None
    """Reference to an Optuna pruner class, or to a function that returns a pruner. If `pauses`,
    reference to a class of `bakeoff.search.cohorts.Cohorts`. None stops no trial."""
    parameters: Mapping[str, PrunerParameter] = field(default_factory=dict)
    arguments: Callable[[PrunerSettings], Mapping[str, Any]] = lambda settings: settings.params
    """The keyword arguments of `build`."""
    find_problem: Callable[[Params], str | None] = lambda _: None
    """Says what is wrong with settings that are each allowed; None if nothing is."""
    compares_trials: bool = True
    """Whether a trial's end depends on other trials, so that trials are not independent."""
    pauses: bool = False
    """Whether a trial pauses at a decision epoch and may continue later."""
    remembers: bool = False
    """Whether the pruner keeps what it saw at each decision, so that it must see every decision
    again after a restart."""


def compares_trials(pruner: str) -> bool:
    """Whether a pruner, perhaps one of another program, ends trials by comparing them."""
    return pruner not in PRUNERS or PRUNERS[pruner].compares_trials


def _find_threshold_problem(params: Params) -> str | None:
    if not params:
        return (
            'needs lower or upper, in units of the objective: { name = "threshold", lower = 0.2 }'
        )
    if len(params) > 1 and float(params["lower"]) >= float(params["upper"]):
        return f"lower = {params['lower']} must be below upper = {params['upper']}"
    return None


PRUNERS: Registry[PrunerSpec] = Registry(
    "pruner",
    (
        PrunerSpec(
            name="none",
            description="every trial runs to the end",
            build=None,
            compares_trials=False,
        ),
        PrunerSpec(
            name="cautious",
            description="as halving, with as many promotions at a rung as its trials have shown to"
            " be safe; with a small budget one rung, halfway",
            build="bakeoff.search.cautious:CautiousCohorts",
            pauses=True,
        ),
        PrunerSpec(
            name="halving",
            description="pause a trial at 1/27, 1/9 and 1/3 of its schedule, until it is in its"
            " cohort's best quarter",
            build="bakeoff.search.halved_cohorts:HalvedCohorts",
            pauses=True,
        ),
        PrunerSpec(
            name="median",
            description="stop a trial whose best value is below its cohort's median at that epoch",
            build="optuna.pruners:MedianPruner",
            arguments=lambda settings: {"n_startup_trials": settings.startup_trials},
        ),
        PrunerSpec(
            name="percentile",
            description="stop a trial whose best value is not in its cohort's best `percentile` %"
            " at that epoch",
            build="optuna.pruners:PercentilePruner",
            parameters={
                "percentile": PrunerParameter(
                    description="share of a cohort's trials that continue, in percent",
                    default=25.0,
                    limits=Limits(low=0, high=100, includes_low=False, includes_high=False),
                )
            },
            arguments=lambda settings: {
                **settings.params,
                "n_startup_trials": settings.startup_trials,
            },
        ),
        PrunerSpec(
            name="hyperband",
            description="successive halving by `reduction` without promotion, in brackets that"
            " begin later and later",
            build="optuna.pruners:HyperbandPruner",
            parameters={
                "reduction": PrunerParameter(
                    description="one in so many trials of a rung continues",
                    default=3,
                    limits=Limits(low=2, high=100),
                    is_whole=True,
                )
            },
            arguments=lambda settings: {
                "min_resource": FIRST_DECISION,
                "max_resource": max(FIRST_DECISION, settings.epochs),
                "reduction_factor": settings.params["reduction"],
            },
            remembers=True,
        ),
        PrunerSpec(
            name="patient",
            description="as median, once a trial has not improved by `min_delta` for `patience`"
            " epochs",
            build="bakeoff.search.pruners:build_patient",
            parameters={
                "patience": PrunerParameter(
                    description="epochs without improvement before a trial may be stopped",
                    default=3,
                    limits=Limits(low=1, high=1_000_000),
                    is_whole=True,
                ),
                "min_delta": PrunerParameter(
                    description="smallest improvement that counts, in units of the objective",
                    default=0.0,
                    limits=Limits(low=0, high=math.inf),
                ),
            },
            arguments=lambda settings: {
                **settings.params,
                "startup_trials": settings.startup_trials,
            },
        ),
        PrunerSpec(
            name="threshold",
            description="stop a trial that is below `lower` or above `upper`; trials stay"
            " independent of each other",
            build="optuna.pruners:ThresholdPruner",
            parameters={
                "lower": PrunerParameter(
                    description="smallest value, in units of the objective", default=None
                ),
                "upper": PrunerParameter(
                    description="largest value, in units of the objective", default=None
                ),
            },
            find_problem=_find_threshold_problem,
            compares_trials=False,
        ),
    ),
)

REFUSED_PRUNERS: Mapping[str, str] = {
    "wilcoxon": "is for trials that report scores of the same independent instances (folds,"
    " problems); the epochs of one training run depend on each other, so its test says nothing"
    ' here; "median" compares trials epoch by epoch'
}
"""Optuna's pruners that cannot be used here, and why."""
