"""Proposals: what an arm tries next, from what is known of its own trials only.

Each proposal is made anew from the trials known by then, because a paused trial's standing changes
while others train. Only the order of the trials is told, so that trials that ended and trials of
different rungs and schedules can stand in one list. A proposal follows from the study's seed, the
arm, the index and this list: after a restart it is the same again.
"""

from collections.abc import Callable, Mapping, Sequence
from statistics import NormalDist
from typing import cast

from optuna.trial import FixedTrial, create_trial

from bakeoff.components.samplers import SAMPLERS
from bakeoff.ranges import Params
from bakeoff.records import ArmRecord, Phase, Standings, StudyConfig
from bakeoff.registry import resolve
from bakeoff.search.designs import Design
from bakeoff.search.samplers import Told, propose_randomly
from bakeoff.seeding import derive_seed
from bakeoff.space import complete, suggest, suggest_jointly

Propose = Callable[[ArmRecord, int, Sequence[Told]], Params]
"""Maps an arm, a seed and the known trials of the arm to the next configuration."""

TOLD_BEST = 100
TOLD_LATEST = 200
"""A proposal has to stay quick in a study of ten thousand trials; TPE takes at most 25 for good."""


class ArmSampler:
    """One arm's sampler: it proposes, and learns from its own trials only."""

    def __init__(self, arm: ArmRecord, config: StudyConfig) -> None:
        self._arm = arm
        self._seed = config.seed
        self._search = config.search
        self._design: Design | None = None
        self._spec = SAMPLERS[config.search.sampler]
        self._started: dict[int, Told] = {}
        """By number; the value is the place it had when it was last told."""

    def propose(self, index: int, standings: Mapping[int, Standings]) -> tuple[Params, Phase]:
        """The configuration of the arm's trial `index` (from 0), and how it was drawn.

        Args:
            index: Of the proposal; its random numbers follow from it.
            standings: What is known of the arm's trials, by number: one standing per objective.
        """
        if self._spec.design is not None:
            return self._points(self._spec.design)(index), "design"
        seed = derive_seed(self._seed, "sampler", self._arm.name, index)
        if index < self._search.startup_trials or not self._spec.learns:
            return propose_randomly(self._arm, seed), "random"
        propose = cast("Propose", resolve(str(self._spec.propose)))
        return propose(self._arm, seed, self._told(standings)), "model"

    def _points(self, reference: str) -> Design:
        if self._design is None:
            seed = derive_seed(self._seed, "design", self._arm.name)
            build = cast("Callable[..., Design]", resolve(reference))
            self._design = build(self._arm, seed, self._search)
        return self._design

    def _told(self, standings: Mapping[int, Standings]) -> list[Told]:
        """The trials with a standing, in the order they began; of many, the best and the latest.

        Each is told its place among all as a normal score, objective by objective, so that models
        of values are not led by a few extreme ones.

        Source: Salinas et al., "A Quantile-based Approach for Hyperparameter Transfer Learning"
        (2020), section 3: the Gaussian copula of the values.
        """
        num_objectives = len(next(iter(standings.values()), ()))
        orders = [
            sorted(standings, key=lambda number: (standings[number][objective], number))
            for objective in range(num_objectives)
        ]
        best = {number for order in orders for number in order[: TOLD_BEST // num_objectives]}
        chosen = best.union(sorted(standings)[-TOLD_LATEST:])
        scores = [_normal_scores(order) for order in orders]
        told = [known for number, known in self._started.items() if number in chosen]
        for number in chosen:
            self._started[number].trial.values = [score[number] for score in scores]
        return told

    def started(self, number: int, params: Params, phase: Phase) -> None:
        """Trial `number` trains with these parameters, proposed or not."""
        is_joint = self._spec.is_joint
        trial = FixedTrial(dict(complete(params, self._arm) if is_joint else params))
        (suggest_jointly if is_joint else suggest)(trial, self._arm)
        known = create_trial(params=trial.params, distributions=trial.distributions, value=0.0)
        # TPE weighs trials by their age; the one that it proposes has the number 0
        known.number = 1 + len(self._started)
        self._started[number] = Told(trial=known, phase=phase)


def _normal_scores(order: Sequence[int]) -> dict[int, float]:
    """By number: the normal quantile of its place in `order`, the first being the lowest."""
    normal = NormalDist()
    return {
        number: normal.inv_cdf((place + 0.5) / len(order)) for place, number in enumerate(order)
    }
