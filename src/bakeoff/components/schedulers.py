"""The learning-rate schedules, as pure functions from progress to a factor.

Progress is the share of the planned optimizer steps already taken, in [0, 1]. The factor multiplies
the base learning rate. A pure function cannot overrun, has no state to restore, and means the same
for short and long runs.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bakeoff.components.parameters import ParameterSpec
from bakeoff.components.signatures import OwnCode
from bakeoff.ranges import FloatRange, IntRange, Params, ParamValue
from bakeoff.records import Direction
from bakeoff.registry import Registry

Factor = Callable[..., float]
"""A function `(progress, *, own_parameter, ...)`. A report shows its body as PyTorch code, so it
may use `math`, numbers of its module and nothing else."""

ROUNDING = 1e-9
"""Keeps a drop or restart at its step where rounding puts the progress just below it."""

WARMUP_START = 0.01
"""Factor at the first step of a linear warm-up; 0 would waste that step."""

ONE_CYCLE_DIVISOR = 25.0
"""Peak over first learning rate. Source: `torch.optim.lr_scheduler.OneCycleLR`, `div_factor`."""
ONE_CYCLE_FINAL_DIVISOR = 1e4
"""First over last learning rate. Source: the same, `final_div_factor`."""


@dataclass(frozen=True, kw_only=True)
class ChosenRun:
    """What the PyTorch code of a schedule depends on besides the schedule's own parameters."""

    learning_rate: float
    momentum: float | None
    """Momentum or beta1; 0 where the optimizer has neither, None where its groups differ."""
    direction: Direction
    epochs: int


TorchCode = Callable[[Mapping[str, float], ChosenRun], str | None]
"""Writes PyTorch code for a schedule's parameters; None where torch cannot do the same."""


@dataclass(frozen=True, kw_only=True)
class SchedulerSpec:
    """One schedule."""

    name: str
    description: str
    source: str
    parameters: Mapping[str, ParameterSpec]
    factor: Factor
    """Maps the share of the steps after warm-up to a factor in [0, 1]."""
    momentum_drop: Factor | None = None
    """Maps progress to what is subtracted from the momentum; None leaves the momentum alone."""
    has_own_warmup: bool = False
    """Whether `factor` covers the whole run, warm-up included."""
    stateful: bool = False
    """Whether the validation objective lowers the learning rate further (plateau)."""
    lowers_rate: bool = True
    """Whether the learning rate changes after warm-up."""
    torch_code: TorchCode | None = None
    """Writes torch's own class into a report; None shows `factor` in a `LambdaLR` instead."""
    own: OwnCode | None = None
    """The user's code, if it is a function of theirs; it may return any factor from 0."""


def learning_rate_factor(spec: SchedulerSpec, progress: float, params: Params) -> float:
    """The factor on the base learning rate at this progress, warm-up included.

    Warm-up is linear from `WARMUP_START` to 1 over `warmup_fraction` of the steps. The schedule
    then runs over the rest.

    Source: Goyal et al. 2017, section 2.2, https://arxiv.org/abs/1706.02677
    """
    if spec.has_own_warmup:
        return spec.factor(progress, **params)
    own = dict(params)
    warmup = float(own.pop("warmup_fraction"))
    if progress < warmup:
        return WARMUP_START + (1 - WARMUP_START) * progress / warmup
    return spec.factor((progress - warmup) / (1 - warmup), **own)


def constant_factor(progress: float, **_parameters: ParamValue) -> float:  # noqa: ARG001
    """Always 1."""
    return 1.0


def linear_factor(progress: float) -> float:
    """A straight line from 1 to 0.

    Source: `torch.optim.lr_scheduler.LinearLR` from 1 to 0 over all steps.
    """
    return 1 - progress


def polynomial_factor(progress: float, *, power: float) -> float:
    """The remaining share of the run to the power of `power`.

    Source: `torch.optim.lr_scheduler.PolynomialLR` over all steps.
    """
    return float((1 - progress) ** power)


def exponential_factor(progress: float, *, final_factor: float) -> float:
    """Falls by the same factor at every step, from 1 to `final_factor`.

    Source: `torch.optim.lr_scheduler.ExponentialLR` with `gamma` = final_factor ** (1 / steps).
    """
    return float(final_factor**progress)


def step_factor(progress: float, *, gamma: float, num_drops: int) -> float:
    """`gamma` to the power of the number of drops passed; drops cut the run into equal parts.

    Source: `torch.optim.lr_scheduler.StepLR` with `step_size` = steps / (num_drops + 1).
    """
    passed = math.floor(progress * (num_drops + 1) + ROUNDING)
    return float(gamma ** min(passed, num_drops))


def multi_step_factor(
    progress: float, *, gamma: float, first_milestone: float, second_milestone: float
) -> float:
    """`gamma` to the power of the number of milestones (shares of the run) that are reached.

    Source: `torch.optim.lr_scheduler.MultiStepLR` with milestones = shares * steps.
    """
    milestones = (first_milestone, second_milestone)
    return float(gamma ** sum(progress + ROUNDING >= milestone for milestone in milestones))


def cosine_factor(progress: float) -> float:
    """Half a cosine, from 1 to 0.

    Source: Loshchilov and Hutter 2017, equation 5 without restarts,
    https://arxiv.org/abs/1608.03983
    """
    return 0.5 * (1 + math.cos(math.pi * progress))


def cosine_restarts_factor(progress: float, *, num_cycles: int, cycle_growth: int) -> float:
    """`num_cycles` half cosines from 1 to 0, each `cycle_growth` times as long as the one before.

    Source: Loshchilov and Hutter 2017, equation 5, https://arxiv.org/abs/1608.03983;
    `torch.optim.lr_scheduler.CosineAnnealingWarmRestarts` with `T_mult` = cycle_growth and a first
    cycle `T_0` that makes the cycles fill the run.
    """
    lengths = [cycle_growth**cycle for cycle in range(num_cycles)]
    position = progress * sum(lengths)
    while len(lengths) > 1 and position + ROUNDING >= lengths[0]:
        position -= lengths.pop(0)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, max(0.0, position / lengths[0]))))


def warmup_stable_decay_factor(progress: float, *, decay_fraction: float) -> float:
    """1, then a straight line to 0 over the last `decay_fraction` of the steps after warm-up.

    Source: Haegele et al. 2024, https://arxiv.org/abs/2405.18392, with a linear decay, as
    `torch.optim.lr_scheduler.LinearLR` after `ConstantLR`.
    """
    return min(1.0, (1 - progress) / decay_fraction)


def one_cycle_factor(progress: float, *, warmup_fraction: float, **_parameters: float) -> float:
    """Up from 1/25 to 1 along a cosine over the warm-up, then down to 1/250000.

    This is torch's `OneCycleLR` with `total_steps=steps + 1` and `pct_start=(warmup_fraction *
    steps + 1) / (steps + 1)`. With `steps`, torch makes the last step at a 250,000th of the peak.

    Source: Smith and Topin 2018, https://arxiv.org/abs/1708.07120.
    """
    start = 1 / ONE_CYCLE_DIVISOR
    low = start if progress < warmup_fraction else start / ONE_CYCLE_FINAL_DIVISOR
    return low + (1 - low) * _cycle_height(progress, warmup_fraction)


def one_cycle_momentum_drop(
    progress: float, *, warmup_fraction: float, momentum_drop: float
) -> float:
    """From 0 up to `momentum_drop` at the peak of the learning rate and back to 0.

    torch's default cycles between 0.95 and 0.85. Here the optimizer's own momentum (or beta1) is
    the upper end, so that a sampled value keeps its meaning.
    """
    return momentum_drop * _cycle_height(progress, warmup_fraction)


def _cycle_height(progress: float, peak: float) -> float:
    """0 at both ends, 1 at the peak, cosines between."""
    distance = 1 - progress / peak if progress < peak else (progress - peak) / (1 - peak)
    return 0.5 * (1 + math.cos(math.pi * min(distance, 1.0)))


def _one_cycle_code(params: Mapping[str, float], run: ChosenRun) -> str | None:
    if run.momentum is None:
        return None
    lowest = max(0.0, run.momentum - params["momentum_drop"])
    momentum = f"base_momentum={lowest:.6g}, max_momentum={run.momentum:.6g}"
    return (
        "# step it after each optimizer step; one step more, so that none is at the lowest rate\n"
        "scheduler = torch.optim.lr_scheduler.OneCycleLR(\n"
        f"    optimizer, total_steps=total_steps + 1, max_lr={run.learning_rate!r},\n"
        f"    pct_start=({params['warmup_fraction']!r} * total_steps + 1) / (total_steps + 1),\n"
        f"    {momentum if run.momentum else 'cycle_momentum=False'},\n)"
    )


def _plateau_code(params: Mapping[str, float], run: ChosenRun) -> str | None:
    if params["warmup_fraction"]:
        return None
    return (
        "# step it after each epoch with the validation score\n"
        "scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(\n"
        f"    optimizer, mode={run.direction[:3]!r}, factor={params['gamma']!r},"
        f" patience={round(params['patience_fraction'] * run.epochs)},\n)"
    )


_GAMMA = ParameterSpec(
    range=FloatRange(low=0.05, high=0.5, log=True),
    default=0.1,
    source="torch's default 0.1, half a decade to each side",
)
_WARMUP = ParameterSpec(
    range=FloatRange(low=0.0, high=0.3, natural_low=True),
    default=0.0,
    source="AlgoPerf paper baselines (arXiv:2306.07179) use 0.05; OneCycleLR 0.3",
)

SCHEDULERS: Registry[SchedulerSpec] = Registry(
    "scheduler",
    (
        SchedulerSpec(
            name="constant",
            description="The same learning rate throughout",
            source="torch.optim.lr_scheduler.ConstantLR with factor 1",
            parameters={"warmup_fraction": _WARMUP},
            factor=constant_factor,
            lowers_rate=False,
        ),
        SchedulerSpec(
            name="linear",
            description="A straight line down to zero",
            source="torch.optim.lr_scheduler.LinearLR; Defazio et al. 2023, arXiv:2310.07831",
            parameters={"warmup_fraction": _WARMUP},
            factor=linear_factor,
        ),
        SchedulerSpec(
            name="step",
            description="Drops by a factor at equal distances",
            source="torch.optim.lr_scheduler.StepLR; He et al. 2015, arXiv:1512.03385",
            parameters={
                "warmup_fraction": _WARMUP,
                "gamma": _GAMMA,
                "num_drops": ParameterSpec(
                    range=IntRange(low=1, high=4),
                    default=2,
                    source="He et al. 2015, arXiv:1512.03385: two drops, three with a longer run",
                ),
            },
            factor=step_factor,
        ),
        SchedulerSpec(
            name="multi_step",
            description="Drops by a factor at two chosen points",
            source="torch.optim.lr_scheduler.MultiStepLR; He et al. 2015, arXiv:1512.03385",
            parameters={
                "warmup_fraction": _WARMUP,
                "gamma": _GAMMA,
                "first_milestone": ParameterSpec(
                    range=FloatRange(low=0.3, high=0.7),
                    default=0.5,
                    source="He et al. 2015, arXiv:1512.03385: one half, 32,000 of 64,000 steps",
                ),
                "second_milestone": ParameterSpec(
                    range=FloatRange(low=0.7, high=0.95),
                    default=0.75,
                    source="He et al. 2015, arXiv:1512.03385: three quarters",
                ),
            },
            factor=multi_step_factor,
        ),
        SchedulerSpec(
            name="exponential",
            description="Falls by the same factor at every step",
            source="torch.optim.lr_scheduler.ExponentialLR",
            parameters={
                "warmup_fraction": _WARMUP,
                "final_factor": ParameterSpec(
                    range=FloatRange(low=1e-4, high=0.3, log=True),
                    default=0.01,
                    source="from almost zero to a moderate decay; torch has no default",
                ),
            },
            factor=exponential_factor,
        ),
        SchedulerSpec(
            name="polynomial",
            description="The share of the run that is left, to a power",
            source="torch.optim.lr_scheduler.PolynomialLR",
            parameters={
                "warmup_fraction": _WARMUP,
                "power": ParameterSpec(
                    range=FloatRange(low=0.5, high=3.0, log=True),
                    default=1.0,
                    source="torch's default 1; Chen et al. 2017, arXiv:1606.00915 use 0.9",
                ),
            },
            factor=polynomial_factor,
        ),
        SchedulerSpec(
            name="cosine",
            description="Half a cosine down to zero",
            source="Loshchilov and Hutter 2017, arXiv:1608.03983",
            parameters={"warmup_fraction": _WARMUP},
            factor=cosine_factor,
        ),
        SchedulerSpec(
            name="cosine_restarts",
            description="Half cosines down to zero, one after the other",
            source="Loshchilov and Hutter 2017, arXiv:1608.03983",
            parameters={
                "warmup_fraction": _WARMUP,
                "num_cycles": ParameterSpec(
                    range=IntRange(low=2, high=5),
                    default=2,
                    source="one would be `cosine`; the paper has four in 150 epochs",
                ),
                "cycle_growth": ParameterSpec(
                    range=IntRange(low=1, high=2),
                    default=1,
                    source="torch's T_mult, default 1; the paper uses 1 and 2",
                ),
            },
            factor=cosine_restarts_factor,
        ),
        SchedulerSpec(
            name="one_cycle",
            description="Up and down once, the momentum the other way round; as OneCycleLR with one"
            " step more",
            source="Smith and Topin 2018, arXiv:1708.07120",
            parameters={
                "warmup_fraction": ParameterSpec(
                    range=FloatRange(low=0.1, high=0.5),
                    default=0.3,
                    source="torch's default 0.3; Smith and Topin use up to about one half",
                ),
                "momentum_drop": ParameterSpec(
                    range=FloatRange(low=0.0, high=0.2, natural_low=True),
                    default=0.1,
                    source="torch's 0.95 to 0.85",
                    searched=False,
                ),
            },
            factor=one_cycle_factor,
            momentum_drop=one_cycle_momentum_drop,
            has_own_warmup=True,
            torch_code=_one_cycle_code,
        ),
        SchedulerSpec(
            name="warmup_stable_decay",
            description="The full rate, then a straight line down to zero at the end",
            source="Haegele et al. 2024, arXiv:2405.18392",
            parameters={
                "warmup_fraction": _WARMUP,
                "decay_fraction": ParameterSpec(
                    range=FloatRange(low=0.05, high=0.5),
                    default=0.2,
                    source="Haegele et al. 2024, arXiv:2405.18392: 0.2 reaches what cosine does",
                ),
            },
            factor=warmup_stable_decay_factor,
        ),
        SchedulerSpec(
            name="plateau",
            description="Drops by a factor when the validation objective stops improving",
            source="torch.optim.lr_scheduler.ReduceLROnPlateau",
            parameters={
                "warmup_fraction": _WARMUP,
                "gamma": _GAMMA,
                "patience_fraction": ParameterSpec(
                    range=FloatRange(low=0.02, high=0.3),
                    default=0.1,
                    source="share of the planned epochs: torch's 10 of a hundred",
                ),
            },
            factor=constant_factor,
            stateful=True,
            torch_code=_plateau_code,
        ),
    ),
)
