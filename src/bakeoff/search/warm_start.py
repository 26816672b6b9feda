"""A warm start: the best configurations of another study are the first trials of the arms they fit.

They are trials like all others: charged to their arm, told to its sampler, trained with its seeds.
Their phase is `user`, so nothing that is said of random trials is said of them.
"""

from collections.abc import Sequence

from bakeoff.ranges import Choice, FloatRange, IntRange, Params
from bakeoff.records import ArmRecord, StudyRecord, TrialRecord
from bakeoff.studyfile.arm_parameters import is_active

MOST_PER_ARM = 3
"""Enough for good ones, few enough that the search looks for itself."""
LARGEST_SHARE = 4
"""At most one in so many of an arm's trials."""


def choose_warm_starts(
    source: StudyRecord, arms: Sequence[ArmRecord], trials_per_arm: int | None
) -> dict[str, list[Params]]:
    """The best complete configurations of `source` that lie in each arm's space.

    An arm that none fits has an empty list. Of equal scores the earlier trial comes first; the
    same configuration comes once. All arms have equal budgets, warm starts included.

    Args:
        source: The study they come from.
        arms: Of the new study.
        trials_per_arm: That the new study's budget pays for at least; None if that is not known.
    """
    known = LARGEST_SHARE * MOST_PER_ARM if trials_per_arm is None else trials_per_arm
    most = max(1, min(MOST_PER_ARM, known // LARGEST_SHARE))
    ranked = sorted(
        (
            trial
            for trial in source.trials
            if trial.outcome == "complete" and trial.score is not None
        ),
        key=lambda trial: (-source.objective.sign * (trial.score or 0.0), trial.number),
    )
    return {arm.name: _fitting(ranked, arm)[:most] for arm in arms}


def _fitting(ranked: Sequence[TrialRecord], arm: ArmRecord) -> list[Params]:
    found: list[Params] = []
    for trial in ranked:
        if fits(trial.params, arm) and trial.params not in found:
            found.append(trial.params)
    return found


def fits(params: Params, arm: ArmRecord) -> bool:
    """Whether the arm could have proposed exactly these parameters."""
    if not {"optimizer", "scheduler"} <= params.keys():
        return False
    expected = {name for name in arm.space if is_active(name, params)}
    return params.keys() == expected and all(
        value in setting
        if isinstance(setting, (FloatRange, IntRange, Choice))
        else value == setting
        for name, value in params.items()
        for setting in (arm.space[name],)
    )
