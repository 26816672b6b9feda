"""T11: the ledger, what every run of each arm has cost by what became of it."""

from collections.abc import Iterator, Sequence

from bakeoff.analysis.wording import promised
from bakeoff.records import OUTCOMES, Comparison, StudyRecord, TrialRecord
from bakeoff.report.table import Cell, Column, Table, count_cell, duration_cell, text_cell

PARTS = ("search", "library default", "shortlist", "confirmation")
"""What runs are for, in the order of a study."""
TOTAL = "in all"

Row = tuple[Cell, ...]


def ledger_table(comparison: Comparison) -> Table:
    """Per arm, part of the study and outcome: runs, epochs and seconds; then the arm's sums."""
    study = comparison.study
    runs = (*study.trials, *study.confirmations)
    return Table(
        id="T11",
        slug="ledger",
        title="Ledger: what every run cost, by what became of it",
        columns=(
            Column(key="arm", heading="Arm"),
            Column(key="part", heading="Part"),
            Column(key="outcome", heading="Outcome"),
            Column(key="num_runs", heading="Runs", numeric=True),
            Column(key="epochs", heading="Epochs", numeric=True),
            Column(key="train_seconds", heading="Training", numeric=True),
            Column(key="evaluate_seconds", heading="Evaluation", numeric=True),
        ),
        rows=tuple(
            row
            for arm in comparison.arms
            for row in _arm_rows(arm.arm, [run for run in runs if run.arm == arm.arm])
        ),
        note=(
            f"{_promise(study)}Runs of the search are charged to the arm's budget whatever becomes"
            " of them; the other parts are outside it. An epoch counts once, however often its run"
            " was interrupted."
        ),
    )


def _promise(study: StudyRecord) -> str:
    return "" if study.foreign else f"The budget of every arm is {promised(study.budget)}. "


def _arm_rows(arm: str, runs: Sequence[TrialRecord]) -> Iterator[Row]:
    for part in PARTS:
        for outcome in OUTCOMES:
            found = [run for run in runs if (_part(run), run.outcome) == (part, outcome)]
            if found:
                yield _row(arm, part, outcome, found)
    if runs:
        yield _row(arm, TOTAL, "", runs)


def _part(run: TrialRecord) -> str:
    if run.purpose == "search":
        return "library default" if run.phase == "default" else "search"
    return "shortlist" if run.purpose == "shortlist" else "confirmation"


def _row(arm: str, part: str, outcome: str, runs: Sequence[TrialRecord]) -> Row:
    return (
        text_cell(arm),
        text_cell(part),
        text_cell(outcome),
        count_cell(len(runs)),
        count_cell(sum(run.epochs_run for run in runs)),
        duration_cell(sum(run.train_seconds for run in runs)),
        duration_cell(sum(run.evaluate_seconds for run in runs)),
    )
