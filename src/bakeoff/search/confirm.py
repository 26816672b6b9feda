"""Confirmation: shortlist by validation on fresh seeds, then the chosen configuration on K more.

The verdict rests on these runs alone. All their seeds are new, the same in every arm, and disjoint
from the search's; the test set is read once per confirmation run and never before.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

from bakeoff.components.objectives import further_objectives
from bakeoff.pareto import front_of
from bakeoff.ranges import Params
from bakeoff.records import (
    ArmRecord,
    ConfirmConfig,
    Decision,
    EpochResult,
    MetricInfo,
    StudyConfig,
    TrialPlan,
    TrialRecord,
)
from bakeoff.seeding import derive_seed

Run = tuple[str, int, int]
"""Arm, configuration, seed: what identifies a confirmation run."""


def shortlist(
    trials: Sequence[TrialRecord],
    arms: Sequence[ArmRecord],
    objectives: Sequence[MetricInfo],
    size: int,
) -> dict[str, tuple[TrialRecord, ...]]:
    """The best `size` complete search trials of each arm by validation score, best first.

    The default configuration is no candidate: it was not found by the search. Of several
    objectives the first orders the arm's Pareto front, and only the front is chosen from. Ties go
    to the earlier trial.
    """
    sign = objectives[0].sign
    return {
        arm.name: tuple(
            sorted(
                _candidates([trial for trial in trials if trial.arm == arm.name], objectives),
                key=lambda trial: (-sign * (trial.score or 0.0), trial.number),
            )[:size]
        )
        for arm in arms
    }


def _candidates(
    trials: Sequence[TrialRecord], objectives: Sequence[MetricInfo]
) -> Sequence[TrialRecord]:
    if len(objectives) > 1:
        return front_of(trials, objectives)
    return [
        trial
        for trial in trials
        if trial.outcome == "complete" and trial.phase != "default" and trial.score is not None
    ]


def choose(
    runs: Sequence[TrialRecord], candidates: Sequence[TrialRecord], metric: MetricInfo
) -> int:
    """Number of the candidate with the best mean validation score on the shortlist seeds.

    A run that failed counts as the worst score there is. Ties go to the candidate with the better
    search score, that is, the earlier one.
    """
    scores: dict[int, list[float]] = defaultdict(list)
    for run in runs:
        if run.purpose == "shortlist" and run.configuration is not None:
            value = -math.inf if run.score is None else metric.sign * run.score
            scores[run.configuration].append(value)
    return max(
        (candidate.number for candidate in candidates),
        key=lambda number: (
            sum(scores[number]) / len(scores[number]) if scores[number] else float("-inf")
        ),
    )


class Confirmation:
    """The confirmation of a finished search, as runs to be trained."""

    def __init__(
        self,
        config: StudyConfig,
        arms: Sequence[ArmRecord],
        trials: Sequence[TrialRecord],
        metric: MetricInfo,
    ) -> None:
        self._config = config
        self._metric = metric
        self._settings: ConfirmConfig = config.confirm
        objectives = (metric, *further_objectives(config))
        self._candidates = shortlist(trials, arms, objectives, config.confirm.shortlist)
        self._in_order = config.search.lag is not None
        """Whether all shortlists end before the first confirmation, so that runs are dealt in one
        order whoever is faster."""
        self._dealt: set[Run] = set()
        self._ended: dict[Run, TrialRecord] = {}

    def next(self) -> TrialPlan | None:
        """The next run, or None when none can start now (perhaps because others must end)."""
        for plan in self._plans():
            run = (plan.arm, plan.configuration or 0, plan.seed)
            if run not in self._dealt:
                self._dealt.add(run)
                return plan
        return None

    @property
    def num_left(self) -> int:
        """Runs not yet handed out, those that still wait for a shortlist included."""
        arms = [arm for arm, candidates in self._candidates.items() if candidates]
        shortlisted = sum(len(self._shortlist_plans(arm)) for arm in arms)
        return shortlisted + len(arms) * self._settings.seeds - len(self._dealt)

    def started(self, number: int, plan: TrialPlan) -> None:
        """The plan has become run `number`."""

    def restore(self, record: TrialRecord) -> TrialPlan:
        """Take up a stored run; its plan, should it still run."""
        self._dealt.add(self._key(record))
        return TrialPlan(
            arm=record.arm,
            params=record.params,
            seed=record.seed or 0,
            phase="user",
            purpose=record.purpose,
            configuration=record.configuration,
        )

    def promote(self) -> None:
        """Confirmation runs are never paused."""

    def take_notes(self) -> tuple[str, ...]:
        """Nothing happens here that is not stored with the runs."""
        return ()

    def decide(self, number: int, plan: TrialPlan, result: EpochResult) -> Decision:  # noqa: ARG002
        """Confirmation runs are never pruned."""
        return "continue"

    def update_seconds(self, number: int, plan: TrialPlan, result: EpochResult) -> None:
        """Nothing more is to be learnt from it."""

    def finish(self, plan: TrialPlan, record: TrialRecord) -> None:  # noqa: ARG002
        """Note how a run ended."""
        self._ended[self._key(record)] = record

    @staticmethod
    def _key(record: TrialRecord) -> Run:
        return record.arm, record.configuration or 0, record.seed or 0

    def _plans(self) -> list[TrialPlan]:
        """All runs that may start now, arms in turn: shortlists first."""
        arms = [arm for arm, candidates in self._candidates.items() if candidates]
        shortlists = {arm: self._shortlist_plans(arm) for arm in arms}
        confirmations = {arm: self._confirm_plans(arm, shortlists[arm]) for arm in arms}
        if self._in_order and not all(confirmations.values()):
            confirmations = {}
        return [*_in_turn(shortlists), *_in_turn(confirmations)]

    def _shortlist_plans(self, arm: str) -> list[TrialPlan]:
        """None where there is nothing to choose from."""
        candidates = self._candidates[arm]
        if len(candidates) < 2 or self._settings.seeds == 0:  # noqa: PLR2004
            return []
        seeds = [self.seed("shortlist", index) for index in range(self._settings.shortlist_seeds)]
        return [
            self._plan(candidate, seed, purpose="shortlist")
            for seed in seeds
            for candidate in candidates
        ]

    def _confirm_plans(self, arm: str, shortlisted: Sequence[TrialPlan]) -> list[TrialPlan]:
        """Empty until the arm's shortlist has ended."""
        keys = [(plan.arm, plan.configuration or 0, plan.seed) for plan in shortlisted]
        if not all(key in self._ended for key in keys):
            return []
        number = choose([self._ended[key] for key in keys], self._candidates[arm], self._metric)
        chosen = next(one for one in self._candidates[arm] if one.number == number)
        seeds = [self.seed("confirm", index) for index in range(self._settings.seeds)]
        return [self._plan(chosen, seed, purpose="confirm") for seed in seeds]

    def _plan(self, source: TrialRecord, seed: int, *, purpose: str) -> TrialPlan:
        params: Params = source.params
        return TrialPlan(
            arm=source.arm,
            params=params,
            seed=seed,
            phase="user",
            purpose="shortlist" if purpose == "shortlist" else "confirm",
            configuration=source.number,
        )

    def seed(self, purpose: str, index: int) -> int:
        """Training seed `index` of the shortlist or of the confirmation; equal for all arms."""
        return derive_seed(self._config.seed, purpose, index)


def _in_turn(plans: Mapping[str, Sequence[TrialPlan]]) -> list[TrialPlan]:
    """One plan of each arm after the other, so that arms advance together."""
    longest = max((len(one) for one in plans.values()), default=0)
    return [one[index] for index in range(longest) for one in plans.values() if index < len(one)]
