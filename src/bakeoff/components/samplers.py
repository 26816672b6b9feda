"""The samplers that a study file may name, and the code that each of them runs."""

from dataclasses import dataclass

from bakeoff.registry import Registry


@dataclass(frozen=True, kw_only=True)
class SamplerSpec:
    """One sampler. It has either `propose` or `design`."""

    name: str
    description: str
    propose: str | None = None
    """Reference to a function that maps an arm, a seed and the known trials to a configuration."""
    design: str | None = None
    """Reference to a `bakeoff.search.designs.Design`, which fixes all configurations beforehand."""
    learns: bool = True
    """Whether a proposal depends on earlier trials."""
    is_joint: bool = False
    """Whether every trial must have every parameter. Those that a trial does not have are then
    given as the middle of their ranges."""
    several_objectives: bool = True
    """Whether it can search for several objectives."""
    package: str | None = None
    """The optional package it needs; the extra `samplers` installs it."""


SAMPLERS: Registry[SamplerSpec] = Registry(
    "sampler",
    (
        SamplerSpec(
            name="random",
            description="independent draws; every estimator of the report is valid",
            propose="bakeoff.search.samplers:propose_randomly",
            learns=False,
        ),
        SamplerSpec(
            name="sobol",
            description="a scrambled Sobol sequence over all parameters of the arm: random, but"
            " evenly spread",
            design="bakeoff.search.designs:SobolPoints",
            learns=False,
        ),
        SamplerSpec(
            name="tpe",
            description="tree-structured Parzen estimator after random first trials; the"
            " parameters of a schedule are modelled jointly with all others",
            propose="bakeoff.search.samplers:propose_tpe",
        ),
        SamplerSpec(
            name="gp",
            description="Gaussian process after random first trials; a parameter that a trial"
            " does not have counts as the middle of its range (a proposal takes about a second)",
            propose="bakeoff.search.samplers:propose_gp",
            is_joint=True,
        ),
        SamplerSpec(
            name="cmaes",
            description="CMA-ES over the numbers, from the middle of the space on, for budgets of a"
            " hundred trials and more; choices are left to TPE",
            propose="bakeoff.search.samplers:propose_cmaes",
            is_joint=True,
            several_objectives=False,
            package="cmaes",
        ),
        SamplerSpec(
            name="grid",
            description="every combination of `grid_points` values per range, in a random order;"
            " at most one trial per point",
            design="bakeoff.search.designs:GridPoints",
            learns=False,
        ),
    ),
)
