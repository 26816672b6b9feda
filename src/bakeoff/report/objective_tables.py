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
            " Each configuration ran on one seed, so its place may be due to luck, and times depend"
            " on the other load of the machine."
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
            "The box spans the worst to the best value of every objective among all trials;"
            " the hypervolume is the share of it that the arm's front dominates, where each trial"
            " ran on one seed. Confirmed values are means over the confirmation runs of the chosen"
            " configuration, on validation data."
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
