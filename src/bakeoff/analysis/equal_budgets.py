"""Whether the arms had and used equal budgets (flag W04)."""

from collections.abc import Iterator, Mapping

from bakeoff.analysis.arm_trials import charged_trials
from bakeoff.analysis.findings import Findings
from bakeoff.analysis.problems import Problem, list_values
from bakeoff.analysis.wording import promised
from bakeoff.records import ArmSummary, Budget

MAX_TRIALS_RATIO = 1.1
MAX_EPOCHS_RATIO = 1.2


def unequal_budgets(findings: Findings) -> Iterator[Problem]:
    """Unequal budgets weaken the claim; budgets that were used up unequally are only noted."""
    if len(findings.arms) < 2:  # noqa: PLR2004 - nothing to compare
        return
    budget = findings.record.budget
    if budget.epochs is not None or budget.seconds is not None:
        yield from _unequal_spending(findings, budget)
        return
    trials = {arm.arm: arm.num_trials for arm in findings.arms}
    planned = {
        arm.arm: sum(trial.epochs_planned for trial in charged_trials(findings.record, arm.arm))
        for arm in findings.arms
    }
    epochs = {arm.arm: arm.epochs or 0 for arm in findings.arms}
    short = {*_below(trials, MAX_TRIALS_RATIO), *_below(planned, MAX_EPOCHS_RATIO)}
    if short:
        epochs_text = (
            f"; the planned epochs are {list_values(planned)}" if any(planned.values()) else ""
        )
        yield Problem(
            f"The numbers of trials are {list_values(trials)}{epochs_text}.", sorted(short)
        )
    elif _below(epochs, MAX_EPOCHS_RATIO):
        yield Problem(
            "All arms had about equal budgets, but pruned and diverged trials left part of them"
            f" unused; the epochs run are {list_values(epochs)}.",
            severity="note",
        )


def _unequal_spending(findings: Findings, budget: Budget) -> Iterator[Problem]:
    """Shares of a budget in epochs or seconds that differ, also by more than a whole run."""
    spent = {arm.arm: _spent_share(arm, budget) for arm in findings.arms}
    largest = max(spent.values())
    short = [
        arm.arm
        for arm in findings.arms
        if largest > MAX_TRIALS_RATIO * spent[arm.arm]
        and largest > _spent_share(arm, budget, findings.record.epochs)
    ]
    if short:
        listed = list_values({arm: f"{100 * share:.0f} %" for arm, share in spent.items()})
        yield Problem(
            f"Every arm had a budget of {promised(budget)}; the arms spent these shares of it:"
            f" {listed}.",
            sorted(short),
        )


def _spent_share(arm: ArmSummary, budget: Budget, more_epochs: int = 0) -> float:
    """Spent share of the budget of all searches, in the unit that ran out first.

    Optionally with one more trial.
    """
    searches = max(1, sum(one.num_trials > 0 for one in arm.searches))
    seconds, epochs = arm.train_seconds + arm.evaluate_seconds, arm.epochs or 0
    spent = {
        "trials": arm.num_trials + bool(more_epochs),
        "epochs": epochs + more_epochs,
        "seconds": seconds * (1 + more_epochs / epochs) if epochs else 0.0,
    }
    return max(spent[unit] / (limit * searches) for unit, limit in budget.limits.items())


def _below(values: Mapping[str, int], max_ratio: float) -> list[str]:
    """Arms whose value is exceeded by the largest more than `max_ratio` times."""
    largest = max(values.values(), default=0)
    return [arm for arm, value in values.items() if largest > max_ratio * value]
