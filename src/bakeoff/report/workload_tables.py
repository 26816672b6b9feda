"""The tables of a report on several studies: A1 the arms, A2 their pairs, A3 every workload."""

import numpy as np

from bakeoff.analysis.wording import metric_phrase
from bakeoff.analysis.workloads import AcrossWorkloads
from bakeoff.report.table import Column, Table, count, p_value, text, yes_or_no


def across_tables(found: AcrossWorkloads) -> tuple[Table, ...]:
    """Tables A1 to A3."""
    return arms_table(found), pairs_table(found), workloads_table(found)


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
            "Arms are ranked by confirmed test means, and 1 is best. The profile score is the area"
            " under the profile of epochs to the target between 1 and 4 times the best arm's; it is"
            " 1 where an arm always needs the fewest epochs."
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
            text("shown", "Difference shown", show=yes_or_no),
        ),
        records=found.pairs,
    )


def workloads_table(found: AcrossWorkloads) -> Table:
    """A3, per workload and arm: confirmed mean, rank, epochs to the target over the best arm's."""
    return Table(
        id="A3",
        slug="workloads",
        title="Every workload",
        columns=(
            text("workload", "Workload", lambda at: found.counted[at[0]].study.name),
            text("arm", "Arm", lambda at: found.arm_names[at[1]]),
            text(
                "metric", "Metric", lambda at: metric_phrase(found.counted[at[0]].study.objective)
            ),
            Column(
                "test_mean",
                "Test mean",
                lambda at: found.counted[at[0]].study.objective.sign * float(found.scores[at]),
            ),
            Column("rank", "Rank", lambda at: float(found.ranks[at])),
            Column(
                "epochs_ratio",
                "Epochs to target / best",
                lambda at: float(np.round(found.ratios[at], 12)),
            ),
        ),
        # a row for each workload and arm, given by its place in the arrays [W, M]
        records=tuple(np.ndindex(len(found.counted), len(found.arm_names))),
    )
