"""The optimizers that can be compared, and the ranges in which their parameters are searched.

Learning-rate ranges are logarithmic and at least three decades wide. Every range contains the
library's default and should contain every value that practice recommends. The parameters that are
searched by default follow the rule of thumb for 10 to 25 trials: learning rate, beta1, and here
weight decay. Searching beta2 and epsilon needs many more trials.

Source: Godbole et al., Deep Learning Tuning Playbook (2023), "How should Adam's hyperparameters
be tuned?", https://github.com/google-research/tuning_playbook
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from bakeoff.components.package_optimizers import PACKAGE_PREFIX, check_usable
from bakeoff.components.package_ranges import ENTRIES, OTHERS
from bakeoff.components.parameters import (
    POSITIVE_SHARE,
    ParameterSpec,
    complete_params,
    own_parameters,
)
from bakeoff.components.signatures import BETA_NAMES, OwnCode, read_own_code, torch_arguments
from bakeoff.errors import UsageError, describe_unknown
from bakeoff.ranges import FloatRange, Params, ParamValue
from bakeoff.registry import Registry, is_reference

WeightDecay = Literal["decoupled", "l2", "own"]

ALGOPERF = "AlgoPerf paper baselines (Dahl et al. 2023, arXiv:2306.07179)"
CROWDED_VALLEY = "Schmidt et al. 2021, arXiv:2007.01547"
INCLUSIONS = "Choi et al. 2019, arXiv:1910.05446"
SCHEDULE_FREE = "Defazio et al. 2024, arXiv:2405.15682, and the package's README"


@dataclass(frozen=True, kw_only=True)
class OptimizerSpec:
    """One optimizer: how it is built, and what may be varied."""

    name: str
    description: str
    build: str
    """Reference to the class. It is called with torch's argument names."""
    parameters: Mapping[str, ParameterSpec]
    weight_decay: WeightDecay = "l2"
    """How weight decay acts. `l2` is added to the gradient, so adaptive steps rescale it; `own` is
    whatever the package does."""
    state_bytes: float | None
    """Bytes of optimizer state per fp32 weight of a large matrix; None if unknown."""
    fixed: Mapping[str, ParamValue] = field(default_factory=dict)
    """Fixed arguments that differ from torch's defaults, by torch's names."""
    contains: tuple[str, ...] = ()
    """Optimizers that are special cases of this one within its default space. Limits do not count:
    Adam becomes momentum only as epsilon grows without bound, far outside the ranges here."""
    fused: bool = False
    """Whether torch has a fused implementation on every device."""
    on_cpu: Literal["fused", "foreach"] | None = None
    """torch's faster implementation on CPUs, which it does not choose by itself there."""
    needs_hidden_weights: bool = False
    """Whether it treats hidden matrices differently, so that its groups must be marked."""
    averages: bool = False
    """Whether it evaluates at an average of the weights instead of using a decaying schedule. Its
    methods `train` and `eval` then switch between the weights and their average."""
    own: OwnCode | None = None
    """The user's code, if it is an optimizer of theirs."""

    def complete(self, params: Params) -> dict[str, ParamValue]:
        """`params` with the defaults of the missing ones; of the user's own only all or no betas.

        Raises:
            UsageError: The optimizer has no parameter of a name in `params`.
        """
        if self.own is None:
            return complete_params(f"optimizer {self.name!r}", self.parameters, params)
        betas = {name: one.default for name, one in self.parameters.items() if name in BETA_NAMES}
        return {**(betas if betas.keys() & params.keys() else {}), **params}

    def arguments(self, params: Params) -> dict[str, Any]:
        """`params` by the names of the arguments with which it is called."""
        return torch_arguments(params, () if self.own is None else self.own.kept)

    @property
    def package(self) -> str:
        """The installed package that contains its code."""
        return self.build.partition(":")[0].partition(".")[0]


def _learning_rate(low: float, high: float, default: float, source: str) -> ParameterSpec:
    return ParameterSpec(
        range=FloatRange(low=low, high=high, log=True), default=default, source=source
    )


_SGD_RATE = _learning_rate(
    1e-4, 5.0, 1e-3, f"{CROWDED_VALLEY}: from 1e-4; {ALGOPERF}, Nesterov: up to 5"
)
_L2_WEIGHT_DECAY = ParameterSpec(
    range=FloatRange(low=1e-6, high=1e-2, log=True, natural_low=True),  # practically no decay
    default=0.0,
    source=f"{ALGOPERF}, Nesterov: 1e-7 to 5e-5, raised to hold the 1e-4 and 5e-4 usual for images",
)
_DECOUPLED_WEIGHT_DECAY = ParameterSpec(
    range=FloatRange(low=1e-4, high=1.0, log=True, natural_low=True),  # practically no decay
    default=0.01,
    source=f"{ALGOPERF}, AdamW and NAdamW: 5e-3 to 1, lowered below torch's default of 0.01",
)
_DECOUPLED_FROM_ZERO = replace(_DECOUPLED_WEIGHT_DECAY, default=0.0)
_MOMENTUM = ParameterSpec(
    range=FloatRange(low=0.0, high=0.99, log_from_one=True, natural_low=True),
    default=0.0,
    source=f"{ALGOPERF}, Nesterov: 0.7 to 0.995, evenly in the logarithm of 1 - momentum; lowered"
    " to hold torch's default",
)
_POSITIVE_MOMENTUM = ParameterSpec(
    range=FloatRange(low=0.5, high=0.99, log_from_one=True),
    default=0.9,
    source=f"{ALGOPERF}, Nesterov: 0.7 to 0.995, evenly in the logarithm of 1 - momentum; lowered,"
    " because 0 is not a choice here",
    limits=POSITIVE_SHARE,
)
_BETA1 = ParameterSpec(
    range=FloatRange(low=0.8, high=0.99),
    default=0.9,
    source=f"{ALGOPERF}, NAdamW: 0.9 to 0.996, lowered to hold the default in the middle",
)
_BETA2 = ParameterSpec(
    range=FloatRange(low=0.9, high=0.9999),
    default=0.999,
    source=f"{CROWDED_VALLEY} searches 0.8 to 0.999; it needs many more than 25 trials",
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
    source=f"{INCLUSIONS}: large values can matter; it needs 25 trials or more",
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
                "learning_rate": _SGD_RATE,
                "momentum": _MOMENTUM,
                "weight_decay": _L2_WEIGHT_DECAY,
            },
            state_bytes=4.0,
            fused=True,
        ),
        OptimizerSpec(
            name="nesterov",
            description="SGD with Nesterov momentum",
            build="torch.optim:SGD",
            parameters={
                "learning_rate": _SGD_RATE,
                "momentum": _POSITIVE_MOMENTUM,
                "weight_decay": _L2_WEIGHT_DECAY,
            },
            state_bytes=4.0,
            fixed={"nesterov": True},
            fused=True,
        ),
        OptimizerSpec(
            name="adam",
            description="Adam: steps scaled by running moments of the gradient",
            build="torch.optim:Adam",
            parameters=_adam_parameters(1e-3, _L2_WEIGHT_DECAY),
            state_bytes=8.0,
            fused=True,
        ),
        OptimizerSpec(
            name="adamw",
            description="Adam with decoupled weight decay",
            build="torch.optim:AdamW",
            parameters=_adam_parameters(1e-3, _DECOUPLED_WEIGHT_DECAY),
            weight_decay="decoupled",
            state_bytes=8.0,
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
            state_bytes=8.0,
            on_cpu="foreach",
        ),
        OptimizerSpec(
            name="nadam",
            description="Adam with Nesterov momentum",
            build="torch.optim:NAdam",
            parameters=_adam_parameters(2e-3, _L2_WEIGHT_DECAY),
            state_bytes=8.0,
            on_cpu="foreach",
        ),
        OptimizerSpec(
            name="radam",
            description="Adam with its first steps rectified instead of warmed up",
            build="torch.optim:RAdam",
            parameters=_adam_parameters(1e-3, _L2_WEIGHT_DECAY),
            state_bytes=8.0,
            on_cpu="foreach",
        ),
        OptimizerSpec(
            name="adamax",
            description="Adam with the maximum norm in place of the root of squares",
            build="torch.optim:Adamax",
            parameters=_adam_parameters(2e-3, _L2_WEIGHT_DECAY),
            state_bytes=8.0,
            on_cpu="foreach",
        ),
        OptimizerSpec(
            name="adagrad",
            description="Steps scaled by the root of all squared gradients so far",
            build="torch.optim:Adagrad",
            parameters={
                "learning_rate": _learning_rate(
                    1e-4, 1.0, 1e-2, f"{CROWDED_VALLEY}: 1e-4 to 1 for every optimizer"
                ),
                "weight_decay": _L2_WEIGHT_DECAY,
                "initial_accumulator_value": ParameterSpec(
                    range=FloatRange(low=1e-4, high=1.0, log=True, natural_low=True),
                    default=0.0,
                    source="0 in torch, 0.1 in TensorFlow: a decade above it, three below",
                ),
                "epsilon": replace(_EPSILON, default=1e-10),
            },
            state_bytes=4.0,
            on_cpu="fused",
        ),
        OptimizerSpec(
            name="adadelta",
            description="Steps of the size of recent steps; a learning rate of 1 is its own scale",
            build="torch.optim:Adadelta",
            parameters={
                "learning_rate": _learning_rate(
                    1e-2, 10.0, 1.0, "Zeiler 2012, arXiv:1212.5701 has none, which is torch's 1"
                ),
                "weight_decay": _L2_WEIGHT_DECAY,
                "rho": ParameterSpec(
                    range=FloatRange(low=0.8, high=0.999),
                    default=0.9,
                    source="Zeiler 2012, arXiv:1212.5701 uses 0.95; torch's default is 0.9",
                ),
                "epsilon": replace(_EPSILON, default=1e-6),
            },
            state_bytes=8.0,
            on_cpu="foreach",
        ),
        OptimizerSpec(
            name="adafactor",
            description="Adam's scaling from row and column means, almost without memory",
            build="torch.optim:Adafactor",
            parameters={
                "learning_rate": _learning_rate(
                    1e-4,
                    1.0,
                    1e-2,
                    "relative to a weight's own size: two decades about torch's 0.01",
                ),
                "weight_decay": _DECOUPLED_FROM_ZERO,
                "beta2_decay": ParameterSpec(
                    range=FloatRange(low=-1.0, high=-0.5),
                    default=-0.8,
                    source="Shazeer and Stern 2018, arXiv:1804.04235: 0.5, 0.8 and 1 tried",
                ),
            },
            weight_decay="decoupled",
            state_bytes=0.0,
        ),
        OptimizerSpec(
            name="muon",
            description="Orthogonalised momentum for hidden matrices, AdamW for all else",
            build="bakeoff.training.muon:MuonWithAdamW",
            parameters={
                "learning_rate": _learning_rate(
                    1e-5, 1e-1, 1e-3, "Liu et al. 2025, arXiv:2502.16982: AdamW's, by matched steps"
                ),
                "weight_decay": replace(_DECOUPLED_WEIGHT_DECAY, default=0.1),
                "momentum": ParameterSpec(
                    range=FloatRange(low=0.8, high=0.99, log_from_one=True),
                    default=0.95,
                    source="around the 0.95 of Jordan et al. 2024 and of torch",
                ),
                "beta1": replace(_BETA1, searched=False),
                "beta2": _BETA2,
                "epsilon": _EPSILON,
            },
            weight_decay="decoupled",
            state_bytes=4.0,
            on_cpu="fused",
            needs_hidden_weights=True,
        ),
        OptimizerSpec(
            name="schedule_free_sgd",
            description="SGD evaluated at an average of its weights, without a decaying schedule",
            build="schedulefree:SGDScheduleFree",
            parameters={
                "learning_rate": _learning_rate(
                    1e-3, 10.0, 1.0, f"{SCHEDULE_FREE}: ten times what SGD takes, or more"
                ),
                "momentum": _POSITIVE_MOMENTUM,
                "weight_decay": _L2_WEIGHT_DECAY,
            },
            state_bytes=4.0,
            averages=True,
        ),
        OptimizerSpec(
            name="schedule_free_adamw",
            description="AdamW evaluated at an average of its weights, without a decaying schedule",
            build="schedulefree:AdamWScheduleFree",
            parameters={
                **_adam_parameters(2.5e-3, _DECOUPLED_FROM_ZERO),
                "learning_rate": _learning_rate(
                    1e-4, 1.0, 2.5e-3, f"{SCHEDULE_FREE}: one to ten times what AdamW takes"
                ),
            },
            weight_decay="decoupled",
            state_bytes=8.0,
            averages=True,
        ),
    ),
)


def find_optimizer(name: str) -> OptimizerSpec:
    """The registered optimizer, one of the package as `pytorch_optimizer:Name`, or the user's own.

    Nothing is imported, so a name that the package does not have fails when a study begins. What
    the user's own takes is read from its source.

    Raises:
        UsageError: `name` is not an optimizer, or it cannot train here; the message says why.
    """
    if name in OPTIMIZERS:
        return OPTIMIZERS[name]
    if is_reference(name) and not name.startswith(PACKAGE_PREFIX):
        own = read_own_code(name)
        methods = frozenset[str]() if own.signature is None else own.signature.methods
        return OptimizerSpec(
            name=name,
            description="a class or function of yours",
            build=name,
            parameters=own_parameters(own, OTHERS.parameters),
            weight_decay="own",
            state_bytes=None,
            averages={"train", "eval"} <= methods,
            own=own,
        )
    if not name.startswith(PACKAGE_PREFIX):
        problem = describe_unknown("optimizer", name, OPTIMIZERS.names)
        raise UsageError(
            f"{problem}, or one of the package as {PACKAGE_PREFIX}Name, or your own as"
            " package.module:name"
        )
    check_usable(name)
    class_name = name.removeprefix(PACKAGE_PREFIX)
    known = ENTRIES.get(class_name, OTHERS)
    return OptimizerSpec(
        name=name,
        description="from the package pytorch_optimizer",
        build=name,
        parameters=known.parameters,
        fixed=known.fixed,
        weight_decay="own",
        state_bytes=None,
        averages=class_name.startswith("ScheduleFree"),
    )
