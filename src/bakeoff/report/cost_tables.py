"""The tables of what each arm got and cost: fairness, T5 effort, T11 ledger."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from bakeoff.analysis.wording import plural, promised
from bakeoff.records import OUTCOMES, ArmSummary, Comparison, Outcome, TimeToTarget, TrialRecord
from bakeoff.report.table import Column, Table, count, duration, of_part, share, text

SHOWN_OUTCOMES: tuple[Outcome, ...] = ("complete", "pruned", "diverged", "infeasible", "failed")
PARTS = ("search", "library default", "shortlist", "confirmation")
"""What runs are for, in the order of a study."""
TOTAL = "in all"


def fairness_table(comparison: Comparison) -> Table:
    """Per arm: trials, epochs, shares pruned and diverged, values at an edge, fresh seeds."""

    def share_of(arm: ArmSummary, outcome: Outcome) -> float | None:
        # another program's failures may be runs that diverged
        if comparison.study.foreign and outcome == "diverged" and arm.num_by_outcome.get("failed"):
            return None
        return arm.num_by_outcome.get(outcome, 0) / arm.num_trials if arm.num_trials else None

    return Table(
        id="fairness",
        title="What each arm got",
        columns=(
            text("arm", "Arm"),
            count("num_trials", "Trials"),
            count("epochs", "Epochs"),
            share("pruned", "Pruned", lambda arm: share_of(arm, "pruned")),
            share("diverged", "Diverged", lambda arm: share_of(arm, "diverged")),
            count("at_edge", "Values at an edge", _num_at_edge),
            count("seeds", "Fresh seeds", "num_seeds"),
        ),
        records=comparison.arms,
    )


def _num_at_edge(arm: ArmSummary) -> int:
    return sum(mark.raises_flag for mark in arm.boundaries)


def fairness_facts(comparison: Comparison) -> tuple[str, ...]:
    """What was the same for all arms, as sentences: sampler, pruner, seeds, test set."""
    study = comparison.study
    raised = {flag.id for flag in comparison.flags}
    sampler = (
        "All arms shared one sampler" if study.shared_sampler else "Each arm had its own sampler"
    )
    if study.foreign and not study.shared_sampler:
        sampler = "The sampler used no results of earlier trials"
    pruner = "there was no pruner" if study.pruner == "none" else f"the pruner was {study.pruner}"
    seeds = {scores.seeds for arm in comparison.arms if (scores := arm.confirmed)}
    facts = [f"{sampler} ({study.sampler}), and {pruner}."]
    if seeds:
        same = "the same in every arm" if len(seeds) == 1 else "different between arms"
        facts.append(f"The confirmation seeds were {same}.")
        facts.append(
            "The test set was read before confirmation."
            if "W06" in raised
            else "The test set was read once for each confirmation run and used for nothing else."
        )
    return tuple(facts)


def effort_table(comparison: Comparison) -> Table:
    """T5, per arm: trials by outcome, epochs, seconds, and the time to the target."""
    declared = [arm for arm in comparison.arms if arm.arm == comparison.study.reference]
    reference = next(iter([*declared, *comparison.arms]), None)
    target = reference.time_to_target if reference else None

    def outcome_count(outcome: Outcome) -> Column:
        heading = outcome.capitalize()
        return count(f"num_{outcome}", heading, lambda arm: arm.num_by_outcome.get(outcome, 0))

    return Table(
        id="T5",
        slug="effort",
        title="Effort: what the search cost, and how soon the target is reached",
        columns=(
            text("arm", "Arm"),
            count("num_trials", "Trials"),
            *map(outcome_count, SHOWN_OUTCOMES),
            count("epochs", "Epochs"),
            duration("train_seconds", "Training"),
            duration("evaluate_seconds", "Evaluation"),
            duration("seconds_per_epoch", "Training per epoch"),
            *of_part(
                "time_to_target",
                Column("target", "Target"),
                Column(
                    "reached", "Reached target", label=lambda own: f"{own.reached}/{own.num_runs}"
                ),
                Column("num_runs"),
                Column("median_epochs", "Median epochs to target"),
                share("epochs_ratio", "Ratio of epochs", _ratio_to(target, "median_epochs")),
                duration("median_seconds", "Median time to target"),
                share("seconds_ratio", "Ratio of times", _ratio_to(target, "median_seconds")),
                Column("search_cost_epochs", "Search epochs per trial at target"),
            ),
        ),
        records=comparison.arms,
        note=(
            "Trials are those charged to the arm's budget, which are all but failed ones. Training"
            " per epoch is a median. The time to the target is that of confirmation runs, planned"
            f" for {plural(comparison.study.epochs, 'epoch')}. Ratios are relative to"
            f" {reference.arm if reference else 'the first arm'}; ∞ means that fewer than half of"
            " the runs reached the target. The last column is the number of all epochs of the"
            " search, divided by the number of trials that reached the target."
        ),
    )


def _ratio_to(reference: TimeToTarget | None, name: str) -> Callable[[TimeToTarget], float | None]:
    """The ratio of an arm's value to the reference's; None where that is infinite or zero."""
    base = math.nan if reference is None else getattr(reference, name)
    is_known = math.isfinite(base) and base > 0
    return lambda own: getattr(own, name) / base if is_known else None


class LedgerEntry(NamedTuple):
    """A row of T11: some runs of an arm."""

    arm: str
    part: str
    outcome: str
    runs: Sequence[TrialRecord]


def ledger_table(comparison: Comparison) -> Table:
    """T11, per arm, part of the study and outcome: runs, epochs, seconds; then the arm's sums."""
    study = comparison.study

    def total(name: str) -> Callable[[LedgerEntry], float | None]:
        """A sum over runs; None where it is 0 because another program stored nothing."""

        def found(entry: LedgerEntry) -> float | None:
            value: float = sum(getattr(run, name) for run in entry.runs)
            return None if study.foreign and value == 0 else value

        return found

    return Table(
        id="T11",
        slug="ledger",
        title="Ledger: what all runs cost, by outcome",
        columns=(
            text("arm", "Arm"),
            text("part", "Part"),
            text("outcome", "Outcome"),
            count("num_runs", "Runs", lambda entry: len(entry.runs)),
            count("epochs", "Epochs", total("epochs_run")),
            duration("train_seconds", "Training", total("train_seconds")),
            duration("evaluate_seconds", "Evaluation", total("evaluate_seconds")),
        ),
        records=tuple(
            entry
            for arm in comparison.arms
            for entry in _ledger_entries(
                arm.arm,
                [run for run in (*study.trials, *study.confirmations) if run.arm == arm.arm],
            )
        ),
        note=("" if study.foreign else f"The budget of every arm is {promised(study.budget)}. ")
        + (
            "Runs of the search are charged to the arm's budget, whatever their outcome; the other"
            " parts are not. An epoch counts once, however often its run was interrupted."
        ),
    )


def _ledger_entries(arm: str, runs: Sequence[TrialRecord]) -> Iterator[LedgerEntry]:
    for part in PARTS:
        for outcome in OUTCOMES:
            found = [run for run in runs if (_part_of(run), run.outcome) == (part, outcome)]
            if found:
                yield LedgerEntry(arm, part, outcome, found)
    if runs:
        yield LedgerEntry(arm, TOTAL, "", runs)


def _part_of(run: TrialRecord) -> str:
    if run.purpose == "search":
        return "library default" if run.phase == "default" else "search"
    return "shortlist" if run.purpose == "shortlist" else "confirmation"
