"""The tables of a report on several studies: A1 the arms, A2 their pairs, A3 every workload."""

from typing import NamedTuple

import numpy as np

from bakeoff.analysis.wording import metric_phrase
from bakeoff.analysis.workloads import AcrossWorkloads
from bakeoff.report.table import Column, Table, count, p_value, text, yes_or_no


def arms_table(found: AcrossWorkloads) -> Table:
    """A1, per arm: mean rank, workloads won, profile score."""
    return Table(
        id="A1",
        slug="arms",
        title="Arms across workloads",
        columns=(
            text("arm", "Arm"),
            Column("mean_rank", "Mean rank"),
            count("wins", "Best on"),
            count("num_workloads", "Workloads", lambda _: len(found.counted)),
            Column("profile_score", "Profile score"),
        ),
        records=found.arms,
        note=(
            "Ranks are of confirmed test means, 1 is best. Profile score: area under the profile of"
            " epochs to the target between 1 and 4 times the best arm's, 1 where an arm is always"
            " the fastest."
        ),
    )


def pairs_table(found: AcrossWorkloads) -> Table:
    """A2, per pair of arms: difference of mean ranks and its p value."""
    return Table(
        id="A2",
        slug="pairs",
        title="Pairs of arms across workloads",
        columns=(
            text("a", "Arm A"),
            text("b", "Arm B"),
            Column("rank_difference", "B's mean rank minus A's"),
            p_value("p", "p, all pairs"),
            text("shown", "Shown", show=yes_or_no),
        ),
        records=found.pairs,
    )


class ArmOnWorkload(NamedTuple):
    """A row of A3."""

    workload: str
    arm: str
    metric: str
    test_mean: float
    rank: float
    epochs_ratio: float


def workloads_table(found: AcrossWorkloads) -> Table:
    """A3, per workload and arm: confirmed mean, rank, epochs to the target over the best arm's."""
    return Table(
        id="A3",
        slug="workloads",
        title="Every workload",
        columns=(
            text("workload", "Workload"),
            text("arm", "Arm"),
            text("metric", "Metric"),
            Column("test_mean", "Test mean"),
            Column("rank", "Rank"),
            Column("epochs_ratio", "Epochs to target / best"),
        ),
        records=tuple(
            ArmOnWorkload(
                workload=comparison.study.name,
                arm=arm,
                metric=metric_phrase(comparison.study.objective),
                test_mean=comparison.study.objective.sign * float(found.scores[line, place]),
                rank=float(found.ranks[line, place]),
                epochs_ratio=float(np.round(found.ratios[line, place], 12)),
            )
            for line, comparison in enumerate(found.counted)
            for place, arm in enumerate(found.arm_names)
        ),
    )
