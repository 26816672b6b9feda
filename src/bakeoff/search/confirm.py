"""Confirmation: compare a shortlist on new seeds, then train the best configuration on K more.

The verdict uses only these runs. All arms have the same seeds, and none of them was used in the
search. Each arm's library defaults are trained on the K seeds too, so that a reader sees what the
search was worth. Each of these runs reads the test set once, and nothing reads it before.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from bakeoff.components.objectives import further_objectives
from bakeoff.pareto import front_of
from bakeoff.records import (
    READS_TEST,
    ArmRecord,
    ConfirmConfig,
    Decision,
    EpochResult,
    MetricInfo,
    Purpose,
    StudyConfig,
    TrialPlan,
    TrialRecord,
)
from bakeoff.search.repeats import config_of_repeat, confirmation_seeds
from bakeoff.seeding import derive_seed
from bakeoff.space import default_params

Run = tuple[Purpose, str, int | None, int]
"""Purpose, arm, configuration and seed, which identify a run of the confirmation."""


def _run_of(one: TrialPlan | TrialRecord) -> Run:
    configuration = None if one.purpose == "default" else one.configuration
    return one.purpose, one.arm, configuration, one.seed or 0


def shortlist(
    trials: Sequence[TrialRecord],
    arms: Sequence[ArmRecord],
    objectives: Sequence[MetricInfo],
    size: int,
) -> dict[str, tuple[TrialRecord, ...]]:
    """The best `size` complete search trials of each arm by validation score, best first.

    The library defaults are not candidates, because the search did not find them. With several
    objectives only the arm's Pareto front is considered, ordered by the first objective. The
    earlier trial wins a tie.
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
    """The number of the candidate with the best mean validation score on the shortlist seeds.

    A failed run counts as the worst possible score. The first candidate, which has the better
    search score, wins a tie.
    """
    scores: dict[int, list[float]] = defaultdict(list)
    for run in runs:
        if run.purpose == "shortlist" and run.configuration is not None:
            value = -math.inf if run.score is None else metric.sign * run.score
            scores[run.configuration].append(value)
    return max(
        (candidate.number for candidate in candidates),
        key=lambda number: (
            sum(scores[number]) / len(scores[number]) if scores[number] else -math.inf
        ),
    )


class Confirmation:
    """The runs that confirm the results of a finished search.

    Args:
        config: The study.
        arms: The arms with their spaces.
        trials: The search trials of the study.
        metric: The first objective.
        repeat: The repeat whose search is confirmed; the trials of others are no candidates.
        num_seeds: Number of seeds that are trained; None means all.
    """

    def __init__(
        self,
        config: StudyConfig,
        arms: Sequence[ArmRecord],
        trials: Sequence[TrialRecord],
        metric: MetricInfo,
        *,
        repeat: int = 0,
        num_seeds: int | None = None,
    ) -> None:
        self._config = config_of_repeat(config, repeat)
        self._metric = metric
        self._repeat = repeat
        self._settings: ConfirmConfig = config.confirm
        self._confirm_seeds = confirmation_seeds(config, repeat)[:num_seeds]
        """Training seeds of the confirmation; all arms have the same."""
        objectives = (metric, *further_objectives(config))
        own = [trial for trial in trials if trial.repeat == repeat]
        self._candidates = shortlist(own, arms, objectives, config.confirm.shortlist)
        self._defaults = _defaults(config, arms, trials) if any(self._candidates.values()) else {}
        self._in_order = config.search.lag is not None
        """Whether all shortlists end before the first confirmation, so that the order of the runs
        does not depend on their speed."""
        self._begun: set[Run] = set()
        self._ended: dict[Run, TrialRecord] = {}

    def next(self) -> TrialPlan | None:
        """The next run, or None if no run can start now, perhaps because others must end first."""
        for plan in self._plans():
            if _run_of(plan) not in self._begun:
                self._begun.add(_run_of(plan))
                return plan
        return None

    @property
    def num_left(self) -> int:
        """Runs that have not begun, including those that wait for a shortlist."""
        known = [plan for arm in self._defaults for plan in self._default_plans(arm)]
        waiting = 0
        for arm in (arm for arm, candidates in self._candidates.items() if candidates):
            shortlisted = self._shortlist_plans(arm)
            confirmations = self._confirm_plans(arm, shortlisted)
            known += [*shortlisted, *confirmations]
            waiting += 0 if confirmations else len(self._confirm_seeds)
        return sum(_run_of(plan) not in self._begun for plan in known) + waiting

    def started(self, number: int, plan: TrialPlan) -> None:
        """The plan has become run `number`."""

    def restore(self, record: TrialRecord) -> TrialPlan:
        """Restore a stored run and return its plan."""
        self._begun.add(_run_of(record))
        return TrialPlan(
            arm=record.arm,
            params=record.params,
            seed=record.seed or 0,
            phase=record.phase,
            purpose=record.purpose,
            configuration=record.configuration,
            repeat=self._repeat,
        )

    def promote(self) -> None:
        """Confirmation runs are never paused."""

    def take_notes(self) -> tuple[str, ...]:
        """There are no notes: everything is stored with the runs."""
        return ()

    def decide(self, number: int, plan: TrialPlan, result: EpochResult) -> Decision:  # noqa: ARG002
        """Confirmation runs are never pruned."""
        return "continue"

    def update_seconds(self, number: int, plan: TrialPlan, result: EpochResult) -> None:
        """Seconds do not matter to a confirmation."""

    def finish(self, plan: TrialPlan, record: TrialRecord) -> None:  # noqa: ARG002
        """Note how a run ended."""
        self._ended[_run_of(record)] = record

    def _plans(self) -> list[TrialPlan]:
        """All runs that may start now: shortlists, confirmations, defaults; arms alternate.

        Defaults also fill workers that would wait for a shortlist to end.
        """
        arms = [arm for arm, candidates in self._candidates.items() if candidates]
        shortlists = {arm: self._shortlist_plans(arm) for arm in arms}
        confirmations = {arm: self._confirm_plans(arm, shortlists[arm]) for arm in arms}
        defaults = {arm: self._default_plans(arm) for arm in self._defaults}
        if self._in_order and not all(confirmations.values()):
            confirmations, defaults = {}, {}
        return [*_alternating(shortlists), *_alternating(confirmations), *_alternating(defaults)]

    def _shortlist_plans(self, arm: str) -> list[TrialPlan]:
        """The shortlist runs of an arm; empty if there are fewer than two candidates."""
        candidates = self._candidates[arm]
        if len(candidates) < 2 or not self._confirm_seeds:  # noqa: PLR2004
            return []
        numbers = range(self._settings.shortlist_seeds)
        seeds = [derive_seed(self._config.seed, "shortlist", number) for number in numbers]
        return [
            self._plan(candidate, seed, "shortlist") for seed in seeds for candidate in candidates
        ]

    def _confirm_plans(self, arm: str, shortlisted: Sequence[TrialPlan]) -> list[TrialPlan]:
        """The confirmation runs of an arm; empty until its shortlist has ended."""
        runs = [self._ended.get(_run_of(plan)) for plan in shortlisted]
        ended = [run for run in runs if run is not None]
        if len(ended) < len(runs):
            return []
        number = choose(ended, self._candidates[arm], self._metric)
        chosen = next(one for one in self._candidates[arm] if one.number == number)
        return [self._plan(chosen, seed, "confirm") for seed in self._confirm_seeds]

    def _default_plans(self, arm: str) -> list[TrialPlan]:
        """The runs of the library defaults of an arm, on the seeds of the confirmation."""
        plan = replace(self._defaults[arm], repeat=self._repeat)
        return [replace(plan, seed=seed) for seed in self._confirm_seeds]

    def has_begun_beyond(self) -> bool:
        """Whether a stored run has a confirmation seed beyond those of this confirmation."""
        known = set(self._confirm_seeds)
        return any(
            purpose in READS_TEST and seed not in known for purpose, _, _, seed in self._begun
        )

    def _plan(self, source: TrialRecord, seed: int, purpose: Purpose) -> TrialPlan:
        return TrialPlan(
            arm=source.arm,
            params=source.params,
            seed=seed,
            phase="user",
            purpose=purpose,
            configuration=source.number,
            repeat=self._repeat,
        )


def _defaults(
    config: StudyConfig, arms: Sequence[ArmRecord], trials: Sequence[TrialRecord]
) -> dict[str, TrialPlan]:
    """The library defaults of each arm as runs without a seed; none if the study has no defaults.

    They name the search trial that ran them. Only named arms can have the same ones; each arm then
    trains them as its own.
    """
    if not config.search.defaults:
        return {}
    numbers = {trial.arm: trial.number for trial in trials if trial.phase == "default"}
    return {
        arm.name: TrialPlan(
            arm=arm.name,
            params=default_params(arm, config.of_arm(arm.name).model),
            seed=0,
            phase="default",
            purpose="default",
            configuration=numbers.get(arm.name),
        )
        for arm in arms
    }


def _alternating(plans: Mapping[str, Sequence[TrialPlan]]) -> list[TrialPlan]:
    """The plans, alternating between the arms, so that arms advance together."""
    longest = max((len(one) for one in plans.values()), default=0)
    return [one[index] for index in range(longest) for one in plans.values() if index < len(one)]
