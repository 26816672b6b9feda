"""T12 and T13, of studies with several objectives: the Pareto fronts, and what each arm covers."""

from bakeoff.analysis.pareto_fronts import ArmFront, arm_fronts, front_of_all
from bakeoff.records import Comparison, TrialRecord
from bakeoff.report.numbers import share_text
from bakeoff.report.table import Cell, Column, Table, count_cell, number_cell, text_cell

Row = tuple[Cell, ...]


def objective_tables(comparison: Comparison) -> tuple[Table, ...]:
    """Both tables; none for a study of one objective."""
    if not comparison.study.further_objectives:
        return ()
    return front_table(comparison), coverage_table(comparison)


def front_table(comparison: Comparison) -> Table:
    """Every configuration on the front of its arm, with what it reached in each objective."""
    study = comparison.study
    of_all = {trial.number for trial in front_of_all(study)}
    return Table(
        id="T12",
        slug="pareto-front",
        title="Pareto front of each arm, observed in the search",
        columns=(
            Column(key="arm", heading="Arm"),
            Column(key="trial", heading="Trial", numeric=True),
            Column(key="on_front_of_all", heading="On the front of all arms"),
            *(
                Column(key=metric.name, heading=metric.title or metric.name, numeric=True)
                for metric in study.objectives
            ),
        ),
        rows=tuple(
            _front_row(trial, is_best=trial.number in of_all)
            for front in arm_fronts(study)
            for trial in front.front
        ),
        note=(
            "No other trial of the arm is at least as good in every objective and better in one."
            " One seed each: a configuration may owe its place to luck, and times to what else the"
            " machine did."
        ),
    )


def _front_row(trial: TrialRecord, *, is_best: bool) -> Row:
    return (
        text_cell(trial.arm),
        count_cell(trial.number),
        Cell(is_best, "yes" if is_best else "no"),
        number_cell(trial.score),
        *(number_cell(value) for value in trial.further_scores.values()),
    )


def coverage_table(comparison: Comparison) -> Table:
    """Per arm: the size of its front, the hypervolume, and the objectives in confirmation."""
    study = comparison.study
    return Table(
        id="T13",
        slug="objectives",
        title="What each arm reached in all objectives",
        columns=(
            Column(key="arm", heading="Arm"),
            Column(key="complete", heading="Complete", numeric=True),
            Column(key="front", heading="On its front", numeric=True),
            Column(key="front_of_all", heading="On the front of all", numeric=True),
            Column(key="covered", heading="Hypervolume", numeric=True),
            Column(key="num_confirmed", heading="Confirmation runs", numeric=True),
            *(
                Column(
                    key=f"confirmed_{metric.name}",
                    heading=f"Confirmed {metric.title or metric.name}",
                    numeric=True,
                )
                for metric in study.objectives
            ),
        ),
        rows=tuple(_coverage_row(front) for front in arm_fronts(study)),
        note=(
            "Hypervolume: share of the box between the worst and the best value of every objective"
            " among all trials that the arm's front dominates; observed, on one seed each."
            " Confirmed: mean over the confirmation runs of the chosen configuration, on"
            " validation."
        ),
    )


def _coverage_row(front: ArmFront) -> Row:
    return (
        text_cell(front.arm),
        count_cell(front.num_complete),
        count_cell(len(front.front)),
        count_cell(front.num_on_front_of_all),
        Cell(front.covered, share_text(front.covered)),
        count_cell(front.num_confirmed),
        *(number_cell(value) for value in front.confirmed),
    )
