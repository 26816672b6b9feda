"""Was the comparison fair? What each arm got, at a glance."""

from bakeoff.records import ArmSummary, Comparison
from bakeoff.report.numbers import share_text
from bakeoff.report.table import Cell, Column, Table, count_cell, text_cell

Row = tuple[Cell, ...]


def fairness_table(comparison: Comparison) -> Table:
    """Per arm: trials, epochs, shares pruned and diverged, values at an edge, fresh seeds."""
    return Table(
        id="fairness",
        slug="",
        title="What each arm got",
        columns=(
            Column(key="arm", heading="Arm"),
            Column(key="num_trials", heading="Trials", numeric=True),
            Column(key="epochs", heading="Epochs", numeric=True),
            Column(key="pruned", heading="Pruned", numeric=True),
            Column(key="diverged", heading="Diverged", numeric=True),
            Column(key="at_edge", heading="Values at an edge", numeric=True),
            Column(key="seeds", heading="Fresh seeds", numeric=True),
        ),
        rows=tuple(_row(arm) for arm in comparison.arms),
    )


def _row(arm: ArmSummary) -> Row:
    return (
        text_cell(arm.arm),
        count_cell(arm.num_trials),
        count_cell(arm.epochs),
        _share_cell(arm, "pruned"),
        _share_cell(arm, "diverged"),
        count_cell(sum(mark.raises_flag for mark in arm.boundaries)),
        count_cell(len(arm.confirmed.seeds) if arm.confirmed else 0),
    )


def _share_cell(arm: ArmSummary, outcome: str) -> Cell:
    count = next((n for name, n in arm.num_by_outcome.items() if name == outcome), 0)
    share = count / arm.num_trials if arm.num_trials else None
    return Cell(share, "\u2013" if share is None else share_text(share))


def fairness_facts(comparison: Comparison) -> tuple[str, ...]:
    """What was the same for all arms, as sentences: sampler, pruner, seeds, test set."""
    study = comparison.study
    raised = {flag.id for flag in comparison.flags}
    sampler = "shared by all arms" if study.shared_sampler else "one of its own for each arm"
    if study.foreign and not study.shared_sampler:
        sampler = "looks at no result"
    seeds = {scores.seeds for arm in comparison.arms if (scores := arm.confirmed)}
    facts = [f"Sampler {study.sampler}, {sampler}; pruner {study.pruner}."]
    if seeds:
        same = "the same in every arm" if len(seeds) == 1 else "not the same in every arm"
        facts.append(f"Confirmation seeds: {same}.")
        facts.append(
            "The test set was read before confirmation."
            if "W06" in raised
            else "The test set was read once for each confirmation run, and by nothing else."
        )
    return tuple(facts)
