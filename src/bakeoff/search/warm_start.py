"""Warm starts: the first trials of an arm use the best configurations of another study.

They are trials like all others: the arm pays for them, its sampler learns from them, and they train
with its seeds. Their phase is `user`, so no statement about random trials includes them.
"""

from collections.abc import Sequence

from bakeoff.ranges import Params, allows
from bakeoff.records import ArmRecord, StudyRecord, TrialRecord
from bakeoff.studyfile.arm_parameters import is_active

MOST_PER_ARM = 3
"""Warm starts per arm: enough for good configurations, few enough that the arm still searches."""
LARGEST_SHARE = 4
"""At most one in so many trials of an arm is a warm start."""


def choose_warm_starts(
    source: StudyRecord, arms: Sequence[ArmRecord], trials_per_arm: int | None
) -> dict[str, list[Params]]:
    """The best complete configurations of `source` that lie in each arm's space.

    An arm that none of them fits has an empty list. The earlier trial wins a tie, and a
    configuration is used once. Warm starts are part of the arm's budget.

    Args:
        source: The study from which the configurations come.
        arms: The arms of the new study.
        trials_per_arm: Trials that the budget of each arm pays for at least; None if unknown.
    """
    known = LARGEST_SHARE * MOST_PER_ARM if trials_per_arm is None else trials_per_arm
    most = max(1, min(MOST_PER_ARM, known // LARGEST_SHARE))
    complete = [
        trial for trial in source.trials if trial.outcome == "complete" and trial.score is not None
    ]
    sign = source.objective.sign
    ranked = sorted(complete, key=lambda trial: (-sign * (trial.score or 0.0), trial.number))
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
        allows(arm.space[name], value) for name, value in params.items()
    )
