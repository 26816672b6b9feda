"""What drew the trials of a study: Optuna does not store the sampler, but some leave traces.

Where there is no trace, the parameters themselves are tested: independent random draws fill their
ranges evenly, a sampler that learns does not.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial
from scipy import stats

from bakeoff.foreign.opening import StoredStudy
from bakeoff.records import Phase

Scores = npt.NDArray[np.float64]

TRACES: tuple[tuple[str, str], ...] = (
    ("cma:", "cmaes"),
    ("tpe:", "tpe"),
    ("gp:", "gp"),
    ("grid_id", "grid"),
    ("nsga", "nsga"),
    ("NSGA", "nsga"),
)
"""How the keys begin that samplers of Optuna leave among a trial's system attributes."""

FIXED_PLANS: frozenset[str] = frozenset({"random", "grid", "qmc"})
"""These look at no result, so they cannot favour an arm."""
DESIGNS: frozenset[str] = frozenset({"grid", "qmc"})
"""Their trials follow a plan: they are no independent draws."""
STARTUP: Mapping[str, int] = {"tpe": 10, "gp": 10}
"""Trials that a sampler of Optuna draws at random before it learns, unless told otherwise."""
SKIPPED = 10
"""The first trials, which the usual sampler draws at random too, tell nothing."""
MIN_TESTED = 20
"""Fewer later trials than this are not tested."""
ALPHA = 0.01


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How the trials of a study were drawn, as far as it can be known."""

    sampler: str
    """random, tpe, gp, cmaes, nsga, grid, qmc or unknown."""
    learns: bool
    """Whether earlier results may have decided which arms and values came next."""
    evidence: str
    """How it is known, as a sentence."""

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
    """What drew the trials: as declared, by its traces, or by the look of the draws."""
    if declared is not None:
        learns = declared not in FIXED_PLANS
        return Sampling(
            sampler=declared, learns=learns, evidence=f"The sampler was declared: {declared}."
        )
    traced = _traced(study)
    if traced is not None:
        return Sampling(
            sampler=traced,
            learns=traced not in FIXED_PLANS,
            evidence=f"The trials carry the traces of Optuna's {traced} sampler.",
        )
    return _by_look(study.trials)


def _traced(study: StoredStudy) -> str | None:
    keys = {key for trial in study.trials for key in trial.system_attrs}
    for start, sampler in TRACES:
        if any(key.startswith(start) for key in keys):
            return sampler
    return "qmc" if any(key.startswith("qmc:") for key in study.system_attrs) else None


def _by_look(trials: Sequence[FrozenTrial]) -> Sampling:
    tested = [one for one in trials[SKIPPED:] if "fixed_params" not in one.system_attrs]
    found = dict(_evenness(tested)) if len(tested) >= MIN_TESTED else {}
    if not found:
        return Sampling(
            sampler="unknown",
            learns=True,
            evidence=(
                "Optuna does not store the sampler, and the trials are too few to tell by their"
                " parameters; its usual one learns from all arms. `--sampler` declares it."
            ),
        )
    name, smallest = min(found.items(), key=lambda item: item[1])
    adjusted = min(1.0, smallest * len(found))
    if adjusted < ALPHA:
        return Sampling(
            sampler="unknown",
            learns=True,
            evidence=(
                "Optuna does not store the sampler; the values are no independent random draws"
                f" ({name} is uneven, p = {adjusted:.2g}), so it learned from earlier results."
            ),
        )
    return Sampling(
        sampler="random",
        learns=False,
        evidence=(
            "Optuna does not store the sampler; the values look like independent random draws"
            f" (least even: {name}, p = {adjusted:.2g}) and are taken for such. `--sampler`"
            " declares another."
        ),
    )


def _evenness(trials: Sequence[FrozenTrial]) -> Iterator[tuple[str, float]]:
    """Of each parameter drawn often enough, the p value of an even spread over its range.

    Source: Kolmogorov 1933 (numbers, in the scale they are drawn in), Pearson 1900 (choices).
    """
    drawn: defaultdict[tuple[str, BaseDistribution], list[float]] = defaultdict(list)
    for trial in trials:
        for name, distribution in trial.distributions.items():
            value = distribution.to_internal_repr(trial.params[name])
            drawn[name, distribution].append(value)
    for (name, distribution), values in drawn.items():
        if len(values) >= MIN_TESTED and not distribution.single():
            yield name, _even_p(distribution, np.array(values, dtype=np.float64))


def _even_p(distribution: BaseDistribution, values: Scores) -> float:
    if isinstance(distribution, CategoricalDistribution):
        counts = Counter(values.tolist())
        seen = [counts.get(float(place), 0) for place in range(len(distribution.choices))]
        return float(stats.chisquare(seen).pvalue)
    if not isinstance(distribution, FloatDistribution | IntDistribution):
        return 1.0
    # a whole number or a step stands for the interval around it, from which it was rounded
    half = (distribution.step or 0) / 2
    edges = np.array([values - half, values + half])
    ends = np.array([distribution.low - half, distribution.high + half])
    if distribution.log:
        edges, ends = np.log(edges), np.log(ends)
    within = np.random.default_rng(0).random(len(values))
    places = edges[0] + within * (edges[1] - edges[0])
    return float(stats.kstest((places - ends[0]) / (ends[1] - ends[0]), "uniform").pvalue)
