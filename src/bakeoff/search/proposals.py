"""Proposes the hyperparameters of an arm's next trial from the arm's own trials.

Each proposal starts from the trials known at that time, because the rank of a paused trial changes
while others train. The sampler is given only the ranking of the trials, so that ended trials and
trials at different rungs and with different schedules fit into one list. A proposal depends on the
study's seed, the arm, the index and this list, so it is the same again after a restart.
"""

from collections.abc import Callable, Container, Mapping, Sequence
from functools import cached_property
from heapq import nlargest
from statistics import NormalDist
from typing import cast

from optuna.trial import FixedTrial, create_trial

from bakeoff.components.samplers import SAMPLERS
from bakeoff.ranges import Params
from bakeoff.records import ArmRecord, Phase, Standings, StudyConfig
from bakeoff.registry import resolve
from bakeoff.search.designs import Design
from bakeoff.search.parzen import ParzenSampler
from bakeoff.search.samplers import KnownTrial, propose_randomly
from bakeoff.seeding import derive_seed
from bakeoff.space import as_sampled, complete, suggest, suggest_jointly

Propose = Callable[[ArmRecord, int, Sequence[KnownTrial]], Params]
"""Maps an arm, a seed and the known trials of the arm to the next configuration."""

MOST_BEST = 100
MOST_LATEST = 200
"""A sampler is given at most so many trials, the best and the latest, so that a proposal stays
quick in a study of ten thousand trials; TPE counts at most 25 trials as good."""


class ArmSampler:
    """The sampler of one arm, which learns from the arm's own trials only."""

    def __init__(self, arm: ArmRecord, config: StudyConfig) -> None:
        self._arm = arm
        self._seed = config.seed
        self._search = config.search
        self._spec = SAMPLERS[config.search.sampler]
        self._parzen = ParzenSampler(arm)
        self._started: dict[int, KnownTrial] = {}
        """Trials by number. A trial's value is the rank at which the sampler last saw it."""

    def learns_for(self, index: int) -> bool:
        """Whether the proposal of the arm's trial `index` depends on the ranks of other trials."""
        return index >= self._search.startup_trials and self._spec.learns

    def propose(self, index: int, standings: Mapping[int, Standings]) -> tuple[Params, Phase]:
        """The configuration of the arm's trial `index` (from 0), and how it was drawn.

        Args:
            index: The number of the proposal, which decides its random numbers.
            standings: The ranks of the arm's trials by number, one rank per objective. They are
                read only if the sampler `learns_for` the index.
        """
        if self._spec.design is not None:
            return self._design(index), "design"
        seed = derive_seed(self._seed, "sampler", self._arm.name, index)
        if not self.learns_for(index):
            return propose_randomly(self._arm, seed), "random"
        propose = cast("Propose", resolve(str(self._spec.propose)))
        return propose(self._arm, seed, self._ranked(standings)), "model"

    @cached_property
    def _design(self) -> Design:
        seed = derive_seed(self._seed, "design", self._arm.name)
        build = cast("Callable[..., Design]", resolve(str(self._spec.design)))
        return build(self._arm, seed, self._search)

    def _ranked(self, standings: Mapping[int, Standings]) -> list[KnownTrial]:
        """The trials with a rank, in the order they began; of many, the best and the latest.

        The value of each is the normal score of its rank, objective by objective, so that models of
        values are not dominated by a few extreme values.

        Source: Salinas et al., "A Quantile-based Approach for Hyperparameter Transfer Learning"
        (2020), section 3: the Gaussian copula of the values.
        """
        num_objectives = len(next(iter(standings.values()), ()))
        orders = [_order(standings, objective) for objective in range(num_objectives)]
        best = {number for order in orders for number in order[: MOST_BEST // num_objectives]}
        chosen = best.union(nlargest(MOST_LATEST, standings))
        scores = [_normal_scores(order, chosen) for order in orders]
        for number in chosen:
            self._started[number].trial.values = [score[number] for score in scores]
        return [known for number, known in self._started.items() if number in chosen]

    def started(self, number: int, params: Params, phase: Phase) -> None:
        """Trial `number` trains with these parameters, whether they were proposed or not."""
        is_joint = self._spec.is_joint
        known_params = complete(params, self._arm) if is_joint else params
        trial = FixedTrial(as_sampled(known_params, self._arm))
        (suggest_jointly if is_joint else suggest)(trial, self._arm)
        known = create_trial(params=trial.params, distributions=trial.distributions, value=0.0)
        # TPE weighs trials by their age, and the trial that it proposes has the number 0
        known.number = 1 + len(self._started)
        [point] = self._parzen.encode([params])
        self._started[number] = KnownTrial(trial=known, params=params, point=point, phase=phase)


def _order(standings: Mapping[int, Standings], objective: int) -> list[int]:
    """The numbers of the trials, the best first; quick if `standings` is almost in this order."""
    keys = sorted([(ranks[objective], number) for number, ranks in standings.items()])
    return [number for _, number in keys]


def _normal_scores(order: Sequence[int], chosen: Container[int]) -> dict[int, float]:
    """The normal quantile of each chosen number's place in `order`; the first is the lowest."""
    normal = NormalDist()
    return {
        number: normal.inv_cdf((place + 0.5) / len(order))
        for place, number in enumerate(order)
        if number in chosen
    }
