"""The types of single values in a study file: names, numbers and their limits."""

from typing import Annotated, Any, cast

from pydantic import Field
from pydantic.fields import FieldInfo

from bakeoff.components.metrics import METRIC_NAMES
from bakeoff.components.objectives import COSTS
from bakeoff.components.optimizers import OPTIMIZERS
from bakeoff.components.pruners import PRUNERS
from bakeoff.components.samplers import SAMPLERS
from bakeoff.components.schedulers import SCHEDULERS
from bakeoff.registry import REFERENCE, Registry

FREEZE = r"^(none|backbone|all but [1-9][0-9]{0,2} stages?)$"
OWN_NAME = r"^[A-Za-z_][\w.:-]{0,99}$"  # references, or what a loop yields
OWN_CODE = f"^{REFERENCE.pattern}$"
MAX_OBJECTIVES = 3
"""With more, nearly every trial is on the Pareto front."""


def _one_of(registry: Registry[Any]) -> FieldInfo:
    """A name in a registry, with the names that it has when the JSON schema is written."""
    return cast(
        "FieldInfo", Field(json_schema_extra=lambda schema: schema.update(enum=[*registry.names]))
    )


def _one_of_or_own(registry: Registry[Any]) -> FieldInfo:
    """Such a name, or a reference to the user's own code."""

    def describe(schema: dict[str, Any]) -> None:
        schema["anyOf"] = [{"enum": [*registry.names]}, {"pattern": OWN_CODE}]

    return cast("FieldInfo", Field(json_schema_extra=describe))


def _one_of_names(*names: str) -> FieldInfo:
    """One of these names, or that of a metric of the user's own."""
    choices: list[Any] = [{"enum": [*names]}, {"pattern": OWN_NAME}]
    return cast("FieldInfo", Field(json_schema_extra={"anyOf": choices}))


PositiveInt = Annotated[int, Field(ge=1, le=1_000_000)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
PrunerName = Annotated[str, _one_of(PRUNERS)]
SamplerName = Annotated[str, _one_of(SAMPLERS)]
OptimizerName = Annotated[str, _one_of_or_own(OPTIMIZERS)]
SchedulerName = Annotated[str, _one_of_or_own(SCHEDULERS)]
MetricName = Annotated[str, _one_of_names(*METRIC_NAMES)]
ObjectiveName = Annotated[str, _one_of_names(*METRIC_NAMES, *COSTS.names)]
OwnMetricName = Annotated[str, Field(pattern=OWN_NAME)]
OwnFunction = Annotated[str, Field(pattern=OWN_CODE)]
ArmName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_+-]{0,59}$")]
