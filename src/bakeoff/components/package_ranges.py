"""Ranges of the optimizers of pytorch_optimizer: of some by their sources, and of all others.

Defaults are the package's, of release 4.1.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from bakeoff.components.parameters import Limits, ParameterSpec
from bakeoff.ranges import FloatRange, ParamValue

DECOUPLED: Mapping[str, ParamValue] = {"weight_decouple": True}
POSITIVE = Limits(low=0.0, high=math.inf, includes_low=False)

LION = "Chen et al. 2023, arXiv:2302.06675"
SOAP = "Vyas et al. 2024, arXiv:2409.11321"
ADEMAMIX = "Pagliardini et al. 2024, arXiv:2409.03137"
MARS = "Yuan et al. 2024, arXiv:2411.10438"
ADOPT = "Taniguchi et al. 2024, arXiv:2411.02853"
PRODIGY = "Mishchenko and Defazio 2023, arXiv:2306.06101, and the README of its repository"
D_ADAPTATION = "Defazio and Mishchenko 2023, arXiv:2301.07733"
SHAMPOO = "Gupta et al. 2018, arXiv:1802.09568"


@dataclass(frozen=True, kw_only=True)
class PackageEntry:
    """What is known of one optimizer of the package."""

    parameters: Mapping[str, ParameterSpec]
    fixed: Mapping[str, ParamValue] = field(default_factory=dict)
    """Arguments that differ from the package's defaults."""


def _rate(low: float, high: float, default: float, source: str) -> ParameterSpec:
    return ParameterSpec(
        range=FloatRange(low=low, high=high, log=True), default=default, source=source
    )


def _found_by_itself(source: str) -> ParameterSpec:
    """A factor on a step size that the optimizer finds by itself; it is 1 and not searched."""
    return ParameterSpec(
        range=FloatRange(low=0.1, high=10.0, log=True),
        default=1.0,
        source=f"{source}: the rate is 1, and the method finds the step size",
        searched=False,
    )


def _decay(low: float, high: float, default: float, source: str) -> ParameterSpec:
    return ParameterSpec(
        range=FloatRange(low=low, high=high, log=True, natural_low=True),
        default=default,
        source=source,
    )


def _beta1(default: float, source: str) -> ParameterSpec:
    return ParameterSpec(range=FloatRange(low=0.8, high=0.99), default=default, source=source)


def _beta2(default: float, source: str) -> ParameterSpec:
    return ParameterSpec(
        range=FloatRange(low=0.9, high=0.9999), default=default, source=source, searched=False
    )


def _adaptive(rate: float, decay: float, source: str, **more: ParameterSpec) -> PackageEntry:
    """An adaptive optimizer that is tuned as AdamW is, with decoupled weight decay."""
    as_adamw = f"{source}: tuned around the range of AdamW"
    return PackageEntry(
        parameters={
            "learning_rate": _rate(1e-5, 1e-1, rate, as_adamw),
            "weight_decay": _decay(1e-4, 1.0, decay, as_adamw),
            **more,
        },
    )


def _decoupled(entry: PackageEntry, **more: ParamValue) -> PackageEntry:
    return PackageEntry(parameters=entry.parameters, fixed={**DECOUPLED, **more})


def _d_adaptation(**more: ParameterSpec) -> PackageEntry:
    decay = _decay(1e-4, 1.0, 0.0, f"{D_ADAPTATION}: as the method that it adapts")
    rate = _found_by_itself(D_ADAPTATION)
    return PackageEntry(
        parameters={"learning_rate": rate, "weight_decay": decay, **more}, fixed=DECOUPLED
    )


OTHERS = PackageEntry(
    parameters={
        "learning_rate": _rate(
            1e-5, 1.0, 1e-3, "the default of 73 of the 127 optimizers of release 4.1 is 1e-3"
        ),
        "weight_decay": _decay(
            1e-6, 1.0, 0.0, "L2 or decoupled, as the package has it: both ranges together"
        ),
    },
)
"""What is assumed of every other optimizer of the package, and of the user's own."""
ENTRIES: Mapping[str, PackageEntry] = {
    "Lion": PackageEntry(
        parameters={
            "learning_rate": _rate(
                1e-6, 1e-2, 1e-4, f"{LION}, section 5: 3 to 10 times below AdamW's"
            ),
            "weight_decay": _decay(
                1e-3, 10.0, 0.0, f"{LION}, section 5: 3 to 10 times above AdamW's"
            ),
            "beta1": _beta1(0.9, f"{LION}: 0.9; 0.95 where training is unstable"),
            "beta2": _beta2(0.99, f"{LION}: 0.99; 0.98 where training is unstable"),
        },
    ),
    "SOAP": _adaptive(
        3e-3,
        0.01,
        SOAP,
        beta1=_beta1(0.95, f"{SOAP}: 0.95"),
        beta2=_beta2(0.95, f"{SOAP}: 0.95"),
    ),
    "AdEMAMix": _decoupled(
        _adaptive(
            1e-3,
            0.0,
            ADEMAMIX,
            alpha=ParameterSpec(
                range=FloatRange(low=1.0, high=10.0),
                default=5.0,
                source=f"{ADEMAMIX}: 4 to 10, lowered for short runs",
                searched=False,
                limits=POSITIVE,
            ),
        )
    ),
    "MARS": _decoupled(
        _adaptive(
            3e-3,
            0.0,
            MARS,
            beta1=_beta1(0.95, f"{MARS}: 0.95"),
            beta2=_beta2(0.99, f"{MARS}: 0.99"),
        ),
        optimize_1d=True,  # otherwise norms and biases have a rate of their own, never scheduled
    ),
    "ADOPT": _decoupled(
        _adaptive(
            1e-3,
            0.0,
            ADOPT,
            beta1=_beta1(0.9, f"{ADOPT}: 0.9"),
            beta2=_beta2(0.9999, f"{ADOPT}: 0.9999"),
        )
    ),
    "Prodigy": PackageEntry(
        parameters={
            "learning_rate": _found_by_itself(PRODIGY),
            "d_coef": ParameterSpec(
                range=FloatRange(low=0.3, high=3.0, log=True),
                default=1.0,
                source=f"{PRODIGY}: 0.5 to 2 work well, a little more on each side",
                limits=POSITIVE,
            ),
            "weight_decay": _decay(1e-4, 1.0, 0.0, f"{PRODIGY}: as AdamW"),
            "beta1": _beta1(0.9, f"{PRODIGY}: as Adam"),
            "beta2": _beta2(0.999, f"{PRODIGY}: as Adam"),
        },
        fixed={**DECOUPLED, "safeguard_warmup": True},  # as its README asks with a warm-up
    ),
    "DAdaptAdam": _d_adaptation(
        beta1=_beta1(0.9, f"{D_ADAPTATION}: as Adam"),
        beta2=_beta2(0.999, f"{D_ADAPTATION}: as Adam"),
    ),
    "DAdaptLion": _d_adaptation(),
    "DAdaptSGD": _d_adaptation(
        momentum=ParameterSpec(
            range=FloatRange(low=0.0, high=0.99, log_from_one=True, natural_low=True),
            default=0.9,
            source=f"{D_ADAPTATION}: as SGD",
        ),
    ),
    "Shampoo": PackageEntry(
        parameters={
            "learning_rate": _rate(
                1e-4, 1.0, 1e-3, f"{SHAMPOO}: between the rates of Adam and of SGD"
            ),
            "weight_decay": _decay(1e-6, 1e-2, 0.0, "L2, as for SGD"),
            "momentum": ParameterSpec(
                range=FloatRange(low=0.0, high=0.99, log_from_one=True, natural_low=True),
                default=0.0,
                source=f"{SHAMPOO}, section 7: 0.9",
            ),
        },
    ),
}
"""By the name of the class."""
