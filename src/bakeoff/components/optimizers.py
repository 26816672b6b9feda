"""The optimizers that can be compared, with the ranges they are searched in.

Ranges are logarithmic and at least three decades wide for learning rates, contain the library's
default, and are meant to hold every value that practice recommends. Which parameters are searched
by default follows the rule of thumb for 10 to 25 trials: learning rate and beta1, here with weight
decay; beta2 and epsilon need many more.

Source: Godbole et al., Deep Learning Tuning Playbook (2023), "How should Adam's hyperparameters
be tuned?", https://github.com/google-research/tuning_playbook
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from bakeoff.components.parameters import ParameterSpec
from bakeoff.ranges import FloatRange, ParamValue
from bakeoff.registry import Registry

WeightDecay = Literal["decoupled", "l2", "none"]

ALGOPERF = "AlgoPerf paper baselines (Dahl et al. 2023, arXiv:2306.07179)"
CROWDED_VALLEY = "Schmidt et al. 2021, arXiv:2007.01547"
INCLUSIONS = "Choi et al. 2019, arXiv:1910.05446"


@dataclass(frozen=True, kw_only=True)
class OptimizerSpec:
    """One optimizer: how it is built, and what may be varied."""

    name: str
    description: str
    build: str
    """Reference to the class, called with torch's argument names."""
    parameters: Mapping[str, ParameterSpec]
    weight_decay: WeightDecay
    """How its weight decay acts; `l2` adds to the gradient and so is rescaled by adaptive steps."""
    fixed: Mapping[str, ParamValue] = field(default_factory=dict)
    """Arguments, by torch's names, that differ from torch's defaults and are not varied."""
    contains: tuple[str, ...] = ()
    """Optimizers whose every setting lies in this one's default space. Limits do not count: Adam
    becomes momentum only as epsilon grows without bound, far outside the ranges here."""
    fused: bool = False
    """Whether torch has a fused implementation."""


def _learning_rate(low: float, high: float, default: float, source: str) -> ParameterSpec:
    return ParameterSpec(
        range=FloatRange(low=low, high=high, log=True), default=default, source=source
    )


_L2_WEIGHT_DECAY = ParameterSpec(
    range=FloatRange(low=1e-6, high=1e-2, log=True, natural_low=True),  # as good as none
    default=0.0,
    source=f"{ALGOPERF}, Nesterov: 1e-7 to 5e-5, raised to hold the 1e-4 and 5e-4 usual for images",
)
_DECOUPLED_WEIGHT_DECAY = ParameterSpec(
    range=FloatRange(low=1e-4, high=1.0, log=True, natural_low=True),  # as good as none
    default=0.01,
    source=f"{ALGOPERF}, AdamW and NAdamW: 5e-3 to 1, lowered below torch's default of 0.01",
)
_MOMENTUM = ParameterSpec(
    range=FloatRange(low=0.0, high=0.99, natural_low=True),
    default=0.0,
    source=f"from none to the 0.99 of long averages; {CROWDED_VALLEY} searches up to 0.999",
)
_BETA1 = ParameterSpec(
    range=FloatRange(low=0.8, high=0.99),
    default=0.9,
    source=f"{ALGOPERF}, NAdamW: 0.9 to 0.996, lowered to hold the default in the middle",
)
_BETA2 = ParameterSpec(
    range=FloatRange(low=0.9, high=0.9999),
    default=0.999,
    source=f"{CROWDED_VALLEY} searches 0.8 to 0.999; worth it with many more than 25 trials",
    searched=False,
)
_ALPHA = ParameterSpec(
    range=FloatRange(low=0.9, high=0.999),
    default=0.99,
    source="around torch's default",
    searched=False,
)
_EPSILON = ParameterSpec(
    range=FloatRange(low=1e-10, high=1.0, log=True),
    default=1e-8,
    source=f"{INCLUSIONS}: large values can matter; worth it with 25 trials or more",
    searched=False,
)

_ADAM_RATE = f"{ALGOPERF}, AdamW and NAdamW: 1e-4 to 1e-2, one decade more on each side"


def _adam_parameters(
    learning_rate: float, weight_decay: ParameterSpec
) -> Mapping[str, ParameterSpec]:
    return {
        "learning_rate": _learning_rate(1e-5, 1e-1, learning_rate, _ADAM_RATE),
        "weight_decay": weight_decay,
        "beta1": _BETA1,
        "beta2": _BETA2,
        "epsilon": _EPSILON,
    }


OPTIMIZERS: Registry[OptimizerSpec] = Registry(
    "optimizer",
    (
        OptimizerSpec(
            name="sgd",
            description="Stochastic gradient descent, with momentum where it helps",
            build="torch.optim:SGD",
            parameters={
                "learning_rate": _learning_rate(
                    1e-4, 1.0, 1e-3, f"{CROWDED_VALLEY}: 1e-4 to 1 for every optimizer"
                ),
                "momentum": _MOMENTUM,
                "weight_decay": _L2_WEIGHT_DECAY,
            },
            weight_decay="l2",
            fused=True,
        ),
        OptimizerSpec(
            name="adam",
            description="Adam: steps scaled by running moments of the gradient",
            build="torch.optim:Adam",
            parameters=_adam_parameters(1e-3, _L2_WEIGHT_DECAY),
            weight_decay="l2",
            fused=True,
        ),
        OptimizerSpec(
            name="adamw",
            description="Adam with decoupled weight decay",
            build="torch.optim:AdamW",
            parameters=_adam_parameters(1e-3, _DECOUPLED_WEIGHT_DECAY),
            weight_decay="decoupled",
            fused=True,
        ),
        OptimizerSpec(
            name="rmsprop",
            description="RMSprop: steps scaled by the root of a running mean square",
            build="torch.optim:RMSprop",
            parameters={
                "learning_rate": _learning_rate(1e-5, 1e-1, 1e-2, _ADAM_RATE),
                "momentum": _MOMENTUM,
                "weight_decay": _L2_WEIGHT_DECAY,
                "alpha": _ALPHA,
                "epsilon": _EPSILON,
            },
            weight_decay="l2",
        ),
        OptimizerSpec(
            name="nadam",
            description="Adam with Nesterov momentum",
            build="torch.optim:NAdam",
            parameters=_adam_parameters(2e-3, _L2_WEIGHT_DECAY),
            weight_decay="l2",
        ),
    ),
)
