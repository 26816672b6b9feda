"""Finds out which sampler drew the trials of a study.

Optuna does not store the sampler, but most samplers leave attributes. A sampler without any, such
as random search, is unknown unless the user declares it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from optuna.trial import FrozenTrial

from bakeoff.foreign.opening import StoredStudy
from bakeoff.records import Phase

TRACES: Mapping[str, str] = {
    "cma:": "cmaes",
    "tpe:": "tpe",
    "gp:": "gp",
    "grid_id": "grid",
    "nsga": "nsga",
    "NSGA": "nsga",
}
"""The sampler by the prefix of the keys that it leaves among a trial's system attributes."""
FIXED_PLANS: frozenset[str] = frozenset({"random", "grid", "qmc"})
"""Samplers that ignore results, so that they cannot favor an arm."""
DESIGNS: frozenset[str] = frozenset({"grid", "qmc"})
"""Samplers whose trials follow a plan and are not independent draws."""
STARTUP: Mapping[str, int] = {"tpe": 10, "gp": 10}
"""Number of trials that a sampler of Optuna draws at random before it learns, by default."""


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How the trials of a study were drawn, as far as it is known."""

    sampler: str
    """random, tpe, gp, cmaes, nsga, grid, qmc or unknown."""
    evidence: str
    """A sentence that says how the sampler is known."""

    @property
    def learns(self) -> bool:
        """Whether earlier results may have decided which arms and values came next."""
        return self.sampler not in FIXED_PLANS

    def phase(self, trial: FrozenTrial) -> Phase:
        """Whether `trial` was an independent random draw, as far as the sampler is known."""
        if "fixed_params" in trial.system_attrs:
            return "user"
        if self.sampler in DESIGNS:
            return "design"
        if not self.learns or trial.number < STARTUP.get(self.sampler, 0):
            return "random"
        return "model"


def find_sampling(study: StoredStudy, declared: str | None) -> Sampling:
    """The sampler as the user declared it, else by its traces, else unknown."""
    if declared is not None:
        return Sampling(sampler=declared, evidence=f"The sampler was declared: {declared}.")
    keys = {key for trial in study.trials for key in trial.system_attrs}
    traced = [name for prefix, name in TRACES.items() if any(k.startswith(prefix) for k in keys)]
    if any(key.startswith("qmc:") for key in study.system_attrs):
        traced.append("qmc")
    if traced:
        evidence = f"The trials have attributes that Optuna's {traced[0]} sampler leaves."
        return Sampling(sampler=traced[0], evidence=evidence)
    silent = (
        "A CSV file does not say what chose the configurations"
        if study.is_table
        else "Optuna does not store the sampler, and this one left no attributes"
    )
    return Sampling(
        sampler="unknown",
        evidence=f"{silent}, so it may have learned from the results of all arms. If you know it,"
        " declare it with `--sampler`.",
    )
