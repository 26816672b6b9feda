"""Threats to the comparison: which flags a study raises.

To add a flag, add its texts to `FLAG_TEXTS` in `flags.py` and a function to `CHECKS`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

import numpy as np

from bakeoff.analysis.arm_summary import searched_trials
from bakeoff.analysis.findings import Findings, peeked_at_test
from bakeoff.analysis.flags import raise_flag
from bakeoff.analysis.pruning import pruning_regrets
from bakeoff.analysis.tuning import selection_gap_constant
from bakeoff.analysis.wording import join, number, plural, promised
from bakeoff.components.pruners import compares_trials
from bakeoff.records import CHARGED_OUTCOMES, ArmSummary, Budget, Flag, Outcome, TrialRecord

MAX_TRIALS_RATIO = 1.1
MAX_EPOCHS_RATIO = 1.2
MAX_FAILED_SHARE = 0.1
EPOCHS_TO_PRUNE = 3
"""In shorter runs the first evaluation is no early one."""
MIN_AUDITED, MAX_REGRET = 20, 0.05
"""Audited trials from which on their best tenth tells something, and what of it may be lost."""
MAX_SECONDS_RATIO = 1.5
"""Runs of one configuration differ in seconds per epoch only by what the machine does."""


def audit(findings: Findings) -> tuple[Flag, ...]:
    """The flags that a study raises, by id; a flag may be raised more than once.

    W03 and W14 are raised from what is visible in the runs.
    """
    return tuple(flag for check in CHECKS for flag in check(findings))


def _check_shared_sampler(findings: Findings) -> Iterator[Flag]:
    if findings.record.shared_sampler:
        trials = {arm.arm: arm.num_trials for arm in findings.arms}
        yield raise_flag(
            "W01",
            "One sampler that learns saw all arms and could favour one of them; trials:"
            f" {_listed(trials)}.",
        )


def _check_pruning(findings: Findings) -> Iterator[Flag]:
    if not compares_trials(findings.record.pruner):
        return
    pruned = _with_outcome(findings.arms, "pruned")
    if pruned:
        listed = [f"{arm.arm} {_count_of(arm, 'pruned')} of {arm.num_trials}" for arm in pruned]
        yield raise_flag(
            "W02",
            f"Pruned because they were behind, so their final scores are unknown: {join(listed)}.",
            _names(pruned),
        )


def _check_first_rung(findings: Findings) -> Iterator[Flag]:
    cut = [
        trial
        for trial in findings.record.trials
        if trial.outcome == "pruned"
        and len(trial.history) == 1
        and trial.epochs_planned >= EPOCHS_TO_PRUNE
    ]
    if cut:
        arms = list(dict.fromkeys(trial.arm for trial in cut))
        detail = f"{plural(len(cut), 'trial')} of {join(arms)} ended at the first evaluation."
        yield raise_flag("W03", detail, arms)


def _check_pruning_regret(findings: Findings) -> Iterator[Flag]:
    """Of enough audited trials, pruning would have ended too many of the best."""
    regrets = pruning_regrets(findings.record)
    if regrets and regrets[-1].n >= MIN_AUDITED and regrets[-1].regret > MAX_REGRET:
        found = regrets[-1]
        detail = (
            f"Of the best {found.top} of {found.n} audited trials it would have ended"
            f" {found.top_would_end}."
        )
        yield raise_flag("W03", detail)


def _check_budgets(findings: Findings) -> Iterator[Flag]:
    """Unequal offers weaken the claim; offers used up unequally are only told."""
    if len(findings.arms) < 2:  # noqa: PLR2004 - nothing to compare
        return
    budget = findings.record.budget
    if budget.epochs is not None or budget.seconds is not None:
        yield from _check_spending(findings, budget)
        return
    trials = {arm.arm: arm.num_trials for arm in findings.arms}
    planned = {arm.arm: _epochs_planned(findings, arm.arm) for arm in findings.arms}
    epochs = {arm.arm: arm.epochs for arm in findings.arms}
    short = {*_short(trials, MAX_TRIALS_RATIO), *_short(planned, MAX_EPOCHS_RATIO)}
    if short:
        epochs_text = f"; epochs planned: {_listed(planned)}" if any(planned.values()) else ""
        detail = f"Trials: {_listed(trials)}{epochs_text}."
        yield raise_flag("W04", detail, sorted(short))
    elif _short(epochs, MAX_EPOCHS_RATIO):
        yield raise_flag(
            "W04",
            "All arms were offered about as much, but pruned and diverged trials left part of it "
            f"unused; epochs run: {_listed(epochs)}.",
            severity="note",
        )


def _check_spending(findings: Findings, budget: Budget) -> Iterator[Flag]:
    """Where epochs or seconds were promised, trials may differ; an arm is short by its budget.

    It is short if the part of the budget that it spent, in the unit that ran out first, is smaller
    than another arm's as `MAX_TRIALS_RATIO` says for trials, by more than a whole run.
    """
    spent = {arm.arm: _spent_share(arm, budget) for arm in findings.arms}
    with_a_run = {
        arm.arm: _spent_share(arm, budget, findings.record.epochs) for arm in findings.arms
    }
    largest = max(spent.values())
    short = [
        arm
        for arm, share in spent.items()
        if largest > max(MAX_TRIALS_RATIO * share, with_a_run[arm])
    ]
    if short:
        listed = {arm: f"{100 * share:.0f} %" for arm, share in spent.items()}
        yield raise_flag("W04", f"Of {promised(budget)} each: {_listed(listed)}.", sorted(short))


def _spent_share(arm: ArmSummary, budget: Budget, more_epochs: int = 0) -> float:
    """In the unit that ran out first; as if one more trial of so many epochs had been run."""
    seconds = arm.train_seconds + arm.evaluate_seconds
    spent = {
        "trials": arm.num_trials + bool(more_epochs),
        "epochs": arm.epochs + more_epochs,
        "seconds": seconds * (1 + more_epochs / arm.epochs) if arm.epochs else 0.0,
    }
    return max(spent[unit] / limit for unit, limit in budget.limits.items())


def _check_confirmation(findings: Findings) -> Iterator[Flag]:
    missing = [arm for arm in findings.arms if arm.confirmed is None]
    if not missing:
        return
    num_trials = max(arm.num_trials for arm in missing)
    gap = selection_gap_constant(num_trials)
    optimism = (
        f" The best of {num_trials} equally good configurations looks better than it is by "
        f"about {number(gap, 0.1)} standard deviations over seeds."
        if num_trials > 1
        else ""
    )
    arms = [] if len(missing) == len(findings.arms) else _names(missing)
    whose = f" of {join(arms)}" if arms else ""
    yield raise_flag("W05", f"No configuration{whose} was run on fresh seeds.{optimism}", arms)


def _check_test_set(findings: Findings) -> Iterator[Flag]:
    if peeked_at_test(findings.record):
        yield raise_flag("W06", "Runs that guided a choice carry test scores.")


def _check_seeds(findings: Findings) -> Iterator[Flag]:
    problems = [*_search_seed_problems(findings), *_confirmation_seed_problems(findings)]
    if problems:
        yield raise_flag("W07", " ".join(problems))


def _search_seed_problems(findings: Findings) -> Iterator[str]:
    seeds = {
        arm.arm: {trial.seed for trial in searched_trials(findings.record, arm.arm)}
        for arm in findings.arms
    }
    known = {arm: found for arm, found in seeds.items() if found and None not in found}
    fixed = [
        arm
        for arm in known
        if len(known[arm]) == 1 and len(searched_trials(findings.record, arm)) > 1
    ]
    if fixed:
        yield f"Every search trial of {join(fixed)} used one seed."
    longest = max(known.values(), key=len, default=set())
    if any(not found <= longest for found in known.values()):
        yield "The arms searched on different seeds."


def _confirmation_seed_problems(findings: Findings) -> Iterator[str]:
    seeds = {arm: set(runs.seeds) for arm, runs in findings.runs.items()}
    if len({frozenset(found) for found in seeds.values()}) > 1:
        yield "Arms were confirmed on different seeds; a pair is compared on its common ones."
    if any(not pair.sample.paired for pair in findings.pairs):
        yield "Pairs without a common seed are compared by unpaired tests."
    searched = {trial.seed for trial in findings.record.trials if trial.seed is not None}
    reused = set().union(*seeds.values()) & searched
    if reused:
        yield f"{plural(len(reused), 'confirmation seed')} had been used in the search."


def _check_num_seeds(findings: Findings) -> Iterator[Flag]:
    few = {
        arm: len(runs.seeds)
        for arm, runs in findings.runs.items()
        if len(runs.seeds) < findings.min_seeds
    }
    if few:
        yield raise_flag(
            "W08", f"Have {_listed(few)}; need {findings.min_seeds} for this many arms.", few
        )


def _check_failures(findings: Findings) -> Iterator[Flag]:
    failed = {}
    for arm in findings.arms:
        runs = [
            *searched_trials(findings.record, arm.arm),
            *(run for run in findings.record.confirmations if run.arm == arm.arm),
        ]
        ended = [run for run in runs if run.outcome != "running"]
        num_failed = sum(run.outcome == "failed" for run in ended)
        if num_failed > MAX_FAILED_SHARE * len(ended):
            failed[arm.arm] = f"{num_failed} of {len(ended)}"
    if failed:
        yield raise_flag(
            "W09", f"Runs that failed for other reasons than training: {_listed(failed)}.", failed
        )


def _check_boundaries(findings: Findings) -> Iterator[Flag]:
    for arm in findings.arms:
        marks = [mark for mark in arm.boundaries if mark.raises_flag]
        if marks:
            listed = [
                f"{mark.parameter} = {number(mark.value)} is close to its "
                f"{'lowest' if mark.side == 'low' else 'highest'} value {number(mark.bound)}"
                for mark in marks
            ]
            yield raise_flag("W10", f"{join(listed)}.", [arm.arm])


def _check_inclusions(findings: Findings) -> Iterator[Flag]:
    contains = {arm.name: arm.contains for arm in findings.record.arms}
    for pair in findings.pairs:
        if pair.loser is not None and pair.winner in contains[pair.loser]:
            yield raise_flag(
                "W11",
                f"{pair.loser} contains {pair.winner} as a special case, and still lost to it.",
                [pair.winner, pair.loser],
            )


def _check_horizon(findings: Findings) -> Iterator[Flag]:
    planned = {
        arm.arm: sorted({run.epochs_planned for run in _all_runs(findings, arm.arm)} - {0})
        for arm in findings.arms
    }
    if len({epochs for found in planned.values() for epochs in found}) > 1:
        listed = {arm: join([str(epochs) for epochs in found]) for arm, found in planned.items()}
        other = [arm for arm, found in planned.items() if {*found} - {findings.record.epochs}]
        yield raise_flag("W12", f"Epochs planned: {_listed(listed)}.", other)


def _check_evaluations(findings: Findings) -> Iterator[Flag]:
    if findings.record.score_rule != "best_epoch":
        return
    name = findings.record.objective.name
    counts = {
        arm.arm: max(
            (_num_evaluations(run, name) for run in _full_runs(findings, arm.arm)), default=0
        )
        for arm in findings.arms
    }
    fewer = [arm for arm, count in counts.items() if 0 < count < max(counts.values())]
    if fewer:
        yield raise_flag("W13", f"Evaluations of a full run: {_listed(counts)}.", fewer)


def _check_seconds(findings: Findings) -> Iterator[Flag]:
    ratios = {}
    for arm, confirmed in findings.runs.items():
        seconds = [
            float(np.median([result.train_seconds for result in run.history]))
            for run in confirmed.runs
            if run.history
        ]
        if seconds and max(seconds) > MAX_SECONDS_RATIO * min(seconds):
            ratios[arm] = f"{number(min(seconds))} to {number(max(seconds))}"
    if ratios:
        yield raise_flag(
            "W14", f"Seconds per epoch of one configuration: {_listed(ratios)}.", ratios
        )


def _check_changes(findings: Findings) -> Iterator[Flag]:
    changes = findings.record.changed_after_results
    if changes:
        yield raise_flag("W15", f"When confirmation runs had been read: {'; '.join(changes)}.")


CHECKS: Sequence[Callable[[Findings], Iterator[Flag]]] = (
    _check_shared_sampler,
    _check_pruning,
    _check_first_rung,
    _check_pruning_regret,
    _check_budgets,
    _check_confirmation,
    _check_test_set,
    _check_seeds,
    _check_num_seeds,
    _check_failures,
    _check_boundaries,
    _check_inclusions,
    _check_horizon,
    _check_evaluations,
    _check_seconds,
    _check_changes,
)

Value = TypeVar("Value", int, str)


def _listed(values: Mapping[str, Value]) -> str:
    return join([f"{arm} {value}" for arm, value in values.items()])


def _short(values: Mapping[str, int], max_ratio: float) -> list[str]:
    """Arms whose value is exceeded by the largest more than `max_ratio` times."""
    largest = max(values.values(), default=0)
    return [arm for arm, value in values.items() if largest > max_ratio * value]


def _names(arms: Iterable[ArmSummary]) -> list[str]:
    return [arm.arm for arm in arms]


def _with_outcome(arms: Iterable[ArmSummary], outcome: Outcome) -> list[ArmSummary]:
    return [arm for arm in arms if _count_of(arm, outcome)]


def _count_of(arm: ArmSummary, outcome: Outcome) -> int:
    return arm.num_by_outcome.get(outcome, 0)


def _epochs_planned(findings: Findings, arm: str) -> int:
    """Epochs offered to the trials that were charged."""
    trials = searched_trials(findings.record, arm)
    return sum(trial.epochs_planned for trial in trials if trial.outcome in CHARGED_OUTCOMES)


def _all_runs(findings: Findings, arm: str) -> list[TrialRecord]:
    runs = findings.record.trials + findings.record.confirmations
    return [run for run in runs if run.arm == arm]


def _full_runs(findings: Findings, arm: str) -> list[TrialRecord]:
    """Complete runs that were not stopped early."""
    return [
        run
        for run in _all_runs(findings, arm)
        if run.outcome == "complete" and run.history and run.history[-1].status != "early_stopped"
    ]


def _num_evaluations(run: TrialRecord, name: str) -> int:
    return int(np.count_nonzero(np.isfinite(run.values(name))))
