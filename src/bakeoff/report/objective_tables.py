"""T12 and T13, of studies with several objectives: the Pareto fronts, and what each arm covers."""

from bakeoff.records import Comparison, MetricInfo
from bakeoff.report.table import Column, Getter, Table, count, read, share, text, yes_or_no


def objective_tables(comparison: Comparison) -> tuple[Table, ...]:
    """Both tables; none for a study of one objective."""
    if not comparison.study.further_objectives:
        return ()
    return front_table(comparison), coverage_table(comparison)


def front_table(comparison: Comparison) -> Table:
    """T12, every configuration on the front of its arm, with what it reached in each objective."""
    of_all = {trial.number for front in comparison.fronts for trial in front.front_of_all}
    return Table(
        id="T12",
        slug="pareto-front",
        title="Pareto front of each arm, observed in the search",
        columns=(
            text("arm", "Arm"),
            count("trial", "Trial", "number"),
            text(
                "on_front_of_all",
                "On the front of all arms",
                lambda trial: trial.number in of_all,
                show=yes_or_no,
            ),
            *_objective_columns(
                comparison, lambda trial: (trial.score, *trial.further_scores.values())
            ),
        ),
        records=tuple(trial for front in comparison.fronts for trial in front.front),
        note=(
            "No other trial of the arm is at least as good in every objective and better in one."
            " One seed each: a configuration may owe its place to luck, and times to what else the"
            " machine did."
        ),
    )


def coverage_table(comparison: Comparison) -> Table:
    """T13, per arm: the size of its front, the hypervolume, and the objectives in confirmation."""
    return Table(
        id="T13",
        slug="objectives",
        title="What each arm reached in all objectives",
        columns=(
            text("arm", "Arm"),
            count("complete", "Complete", lambda arm: len(arm.complete)),
            count("front", "On its front", lambda arm: len(arm.front)),
            count("front_of_all", "On the front of all", lambda arm: len(arm.front_of_all)),
            share("covered", "Hypervolume"),
            count("num_confirmed", "Confirmation runs"),
            *_objective_columns(
                comparison, "confirmed", key="confirmed_{}", heading="Confirmed {}"
            ),
        ),
        records=comparison.fronts,
        note=(
            "Hypervolume: share of the box between the worst and the best value of every objective"
            " among all trials that the arm's front dominates; observed, on one seed each."
            " Confirmed: mean over the confirmation runs of the chosen configuration, on"
            " validation."
        ),
    )


def _objective_columns(
    comparison: Comparison,
    values: Getter,
    *,
    key: str = "{}",
    heading: str = "{}",
) -> tuple[Column, ...]:
    """A column for each objective of the study, given a record's values in their order."""

    def column(place: int, metric: MetricInfo) -> Column:
        title = heading.format(metric.title or metric.name)
        return Column(key.format(metric.name), title, lambda one: read(values, one)[place])

    return tuple(column(*pair) for pair in enumerate(comparison.study.objectives))
