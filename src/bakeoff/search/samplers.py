"""Optuna's samplers by name, made anew for each proposal with a seed of its own.

A sampler that lives through a study has a random state that a crash loses. One whose seed follows
from (study, arm, index) proposes the same again from the same history.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, RandomSampler, TPESampler

from bakeoff.registry import Registry


@dataclass(frozen=True, kw_only=True)
class SamplerSpec:
    """A sampler that a study file may name."""

    name: str
    description: str
    build: Callable[[int], BaseSampler]
    """From a seed."""
    is_model_based: bool


def _build_random(seed: int) -> BaseSampler:
    return RandomSampler(seed=seed)


def _build_tpe(seed: int) -> BaseSampler:
    # The random first trials are dealt by `arms`, so TPE's own start-up is off; `group` models
    # the parameters of one schedule jointly although other schedules do not have them.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return TPESampler(seed=seed, n_startup_trials=0, multivariate=True, group=True)


SAMPLERS = Registry(
    "sampler",
    (
        SamplerSpec(
            name="random",
            description="independent draws; every estimator of the report is valid",
            build=_build_random,
            is_model_based=False,
        ),
        SamplerSpec(
            name="tpe",
            description="tree-structured Parzen estimator after random first trials",
            build=_build_tpe,
            is_model_based=True,
        ),
    ),
)
