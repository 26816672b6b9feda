"""Threats to the comparison: what each flag says, how it limits the verdict, when it is raised.

The severity decides what the verdict may say: `withholds` forbids statements made from search
scores, `provisional` weakens "is better" for the arms concerned, `blocks` forbids the claim, `note`
is printed with it. To add a flag, write its check and its entry in `FLAGS`.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from bakeoff.analysis.arm_trials import searched_trials
from bakeoff.analysis.equal_budgets import unequal_budgets
from bakeoff.analysis.failed_units import failed_units, undefined_test_score
from bakeoff.analysis.findings import Findings, peeked_at_test
from bakeoff.analysis.problems import Problem, list_values
from bakeoff.analysis.pruning import pruning_regrets
from bakeoff.analysis.tuning import selection_gap_constant
from bakeoff.analysis.wording import join, number, plural
from bakeoff.components.pruners import compares_trials
from bakeoff.records import Flag, Severity, TrialRecord

MAX_FAILED_SHARE = 0.1
EPOCHS_TO_PRUNE = 3
"""In shorter runs the first evaluation is not an early one."""
MIN_AUDITED, MAX_REGRET = 20, 0.05
"""Audited trials needed to judge their best tenth, and the share of it that pruning may end."""
MAX_SECONDS_RATIO = 1.5
"""Runs of one configuration differ in seconds per epoch only because of the machine's load."""


@dataclass(frozen=True, kw_only=True)
class FlagRule:
    """What a flag always says, and the check that raises it, once for each problem."""

    id: str
    title: str
    severity: Severity
    advice: str
    check: Callable[[Findings], Iterator[Problem]]


def raised_flags(findings: Findings) -> tuple[Flag, ...]:
    """The flags that a study raises, by id; a flag may be raised more than once."""
    return tuple(
        Flag(
            id=rule.id,
            title=rule.title,
            detail=problem.detail,
            advice=rule.advice,
            severity=problem.severity or rule.severity,
            arms=tuple(problem.arms),
            pairs=tuple(problem.pairs),
        )
        for rule in FLAGS
        for problem in rule.check(findings)
    )


def flags_on(flags: Iterable[Flag], severity: Severity, arms: Iterable[str]) -> list[Flag]:
    """Flags of a severity that concern one of `arms`, a pair of them, or all arms."""
    names = set(arms)

    def concerns(flag: Flag) -> bool:
        if flag.pairs:
            return any(names >= set(pair) for pair in flag.pairs)
        return not flag.arms or bool(names & set(flag.arms))

    return [flag for flag in flags if flag.severity == severity and concerns(flag)]


def _shared_sampler(findings: Findings) -> Iterator[Problem]:
    if findings.record.shared_sampler:
        trials = {arm.arm: arm.num_trials for arm in findings.arms}
        yield Problem(
            "One sampler that learns from results proposed the trials of all arms and could favour"
            f" one of them; the numbers of trials are {list_values(trials)}."
        )


def _pruned_trials(findings: Findings) -> Iterator[Problem]:
    pruned = {
        arm.arm: f"{arm.num_by_outcome['pruned']} of {arm.num_trials}"
        for arm in findings.arms
        if arm.num_by_outcome.get("pruned")
    }
    if pruned and compares_trials(findings.record.pruner):
        yield Problem(
            "These trials were pruned because they were behind, so their final scores are unknown:"
            f" {list_values(pruned)}.",
            pruned,
        )


def _harmful_pruning(findings: Findings) -> Iterator[Problem]:
    """Pruning at the first evaluation, and audited trials of the best that it would have ended."""
    cut = [
        trial.arm
        for trial in findings.record.trials
        if trial.outcome == "pruned"
        and len(trial.history) == 1
        and trial.epochs_planned >= EPOCHS_TO_PRUNE
    ]
    if cut:
        arms = list(dict.fromkeys(cut))
        yield Problem(
            f"{plural(len(cut), 'trial')} of {join(arms)} ended at the first evaluation.", arms
        )
    for found in pruning_regrets(findings.record)[-1:]:
        if found.n >= MIN_AUDITED and found.regret > MAX_REGRET:
            yield Problem(
                f"Among the best {found.top} of {found.n} audited trials, pruning would have ended"
                f" {found.top_would_end}."
            )


def _unconfirmed(findings: Findings) -> Iterator[Problem]:
    missing = [arm for arm in findings.arms if arm.confirmed is None]
    if not missing or findings.blocked_by == "undefined_on_test":
        return
    num_trials = max(arm.num_trials for arm in missing)
    optimism = (
        f" The best of {num_trials} equally good configurations looks better than it is by about"
        f" {number(selection_gap_constant(num_trials), 0.1)} standard deviations over seeds."
        if num_trials > 1
        else ""
    )
    arms = [] if len(missing) == len(findings.arms) else [arm.arm for arm in missing]
    whose = f" of {join(arms)}" if arms else ""
    yield Problem(f"No configuration{whose} was run on fresh seeds.{optimism}", arms)


def _early_test_scores(findings: Findings) -> Iterator[Problem]:
    if peeked_at_test(findings.record):
        yield Problem("Runs that guided the choice of a configuration have test scores.")


def _seeds(findings: Findings) -> Iterator[Problem]:
    problems = " ".join(_seed_problems(findings))
    if problems:
        yield Problem(problems)


def _seed_problems(findings: Findings) -> Iterator[str]:
    searched = {
        arm.arm: [trial.seed for trial in searched_trials(findings.record, arm.arm)]
        for arm in findings.arms
    }
    known = {arm: seeds for arm, seeds in searched.items() if seeds and None not in seeds}
    fixed = [arm for arm, seeds in known.items() if len(seeds) > 1 and len(set(seeds)) == 1]
    if fixed:
        yield f"All search trials of {join(fixed)} used one seed."
    longest = max(map(set, known.values()), key=len, default=set())
    if any(not longest.issuperset(seeds) for seeds in known.values()):
        yield "The arms were searched on different seeds."
    by_repeat = [
        [set(one.confirmed.seeds) for one in own if one.confirmed]
        for own in zip(*findings.searches.values(), strict=True)
    ]
    if any(seeds != own[0] for own in by_repeat for seeds in own):
        yield (
            "The arms were confirmed on different seeds; a pair is compared on the seeds that both"
            " arms have."
        )
    if any(not pair.sample.paired for pair in findings.pairs):
        yield "Pairs without a common seed are compared by unpaired tests."
    confirmed = set().union(*(seeds for own in by_repeat for seeds in own))
    reused = confirmed & {trial.seed for trial in findings.record.trials}
    if reused:
        yield f"{plural(len(reused), 'confirmation seed')} had been used in the search."


def _few_seeds(findings: Findings) -> Iterator[Problem]:
    counts = {arm: len(runs.seeds) for arm, runs in findings.units.items()}
    few = {arm: count for arm, count in counts.items() if count < findings.min_seeds}
    if few:
        units = "searches that count" if findings.over_searches else "confirmation seeds"
        yield Problem(
            f"A study of this many arms needs {findings.min_seeds} {units} per arm;"
            f" these arms have fewer: {list_values(few)}.",
            few,
        )


def _failures(findings: Findings) -> Iterator[Problem]:
    failed = {}
    for arm in findings.arms:
        runs = [
            *searched_trials(findings.record, arm.arm),
            *(run for run in findings.record.confirmations if run.arm == arm.arm),
        ]
        ended = [run.outcome for run in runs if run.outcome != "running"]
        if ended.count("failed") > MAX_FAILED_SHARE * len(ended):
            failed[arm.arm] = f"{ended.count('failed')} of {len(ended)}"
    if failed:
        yield Problem(
            f"These runs failed for reasons other than training: {list_values(failed)}.", failed
        )


def _boundaries(findings: Findings) -> Iterator[Problem]:
    for arm in findings.arms:
        listed = [
            f"{mark.parameter} = {number(mark.value)} is close to its"
            f" {'lowest' if mark.side == 'low' else 'highest'} value {number(mark.bound)}"
            + ("" if mark.wider_bound is None else f" (next, search to {number(mark.wider_bound)})")
            for mark in arm.boundaries
            if mark.raises_flag
        ]
        if listed:
            yield Problem(f"{join(listed)}.", [arm.arm])


def _inclusions(findings: Findings) -> Iterator[Problem]:
    contains = {arm.name: arm.contains for arm in findings.record.arms}
    for pair in findings.pairs:
        if pair.winner and pair.loser and pair.winner in contains[pair.loser]:
            yield Problem(
                f"{pair.loser} contains {pair.winner} as a special case, and still lost to it.",
                [pair.winner, pair.loser],
                pairs=[pair.names],
            )


def _horizons(findings: Findings) -> Iterator[Problem]:
    planned = {
        arm.arm: sorted({run.epochs_planned for run in _all_runs(findings, arm.arm)} - {0})
        for arm in findings.arms
    }
    if len({epochs for found in planned.values() for epochs in found}) > 1:
        listed = list_values({arm: join(list(map(str, found))) for arm, found in planned.items()})
        other = [arm for arm, found in planned.items() if {*found} - {findings.record.epochs}]
        yield Problem(f"The runs were planned for these numbers of epochs: {listed}.", other)


def _evaluations(findings: Findings) -> Iterator[Problem]:
    """Evaluations of complete runs that were not stopped early."""
    if findings.record.score_rule != "best_epoch":
        return
    name = findings.record.objective.name
    counts = {
        arm.arm: max(
            (
                int(np.count_nonzero(np.isfinite(run.values(name))))
                for run in _all_runs(findings, arm.arm)
                if run.outcome == "complete" and run.history
                if run.history[-1].status != "early_stopped"
            ),
            default=0,
        )
        for arm in findings.arms
    }
    fewer = [arm for arm, count in counts.items() if 0 < count < max(counts.values())]
    if fewer:
        yield Problem(f"Full runs have these numbers of evaluations: {list_values(counts)}.", fewer)


def _seconds(findings: Findings) -> Iterator[Problem]:
    ranges = {}
    alone = findings.runs if findings.record.arithmetic == "plain" else {}
    for arm, confirmed in alone.items():
        seconds = [
            float(np.median([result.train_seconds for result in run.history]))
            for run in confirmed.runs
            if run.history
        ]
        if seconds and max(seconds) > MAX_SECONDS_RATIO * min(seconds):
            ranges[arm] = f"{number(min(seconds))} to {number(max(seconds))}"
    if ranges:
        yield Problem(
            f"Runs of one configuration took these seconds per epoch: {list_values(ranges)}.",
            ranges,
        )


def _late_changes(findings: Findings) -> Iterator[Problem]:
    """Changed settings are only noted; claims that are new since seeds were added are weakened."""
    changes = findings.record.changed_after_results
    if changes:
        yield Problem(
            f"These settings changed after confirmation runs had been read: {'; '.join(changes)}.",
            severity="note",
        )
    record, over_searches = findings.record, findings.over_searches
    read = record.read_at_repeats if over_searches else record.read_at_seeds
    if not read:
        return
    new = [pair.names for pair in findings.pairs if pair.result.new_since_reading]
    units = "repeats" if over_searches else "seeds"
    when = f"Results had been read at {join(list(map(str, sorted(read))))} {units} before more"
    if not new:
        yield Problem(f"{when} were added; no claim is new since then.", severity="note")
        return
    pairs = join([f"{a} against {b}" for a, b in new])
    yield Problem(
        f"{when} were added, and what is claimed of {pairs} is new since then.",
        arms=dict.fromkeys(arm for pair in new for arm in pair),
        pairs=new,
    )


def _all_runs(findings: Findings, arm: str) -> list[TrialRecord]:
    runs = findings.record.trials + findings.record.confirmations
    return [run for run in runs if run.arm == arm]


FLAGS: tuple[FlagRule, ...] = (
    FlagRule(
        id="W01", title="One sampler proposed for all arms",
        severity="withholds", check=_shared_sampler,
        advice="Run a study in which every arm has its own sampler and equally many trials.",
    ),
    FlagRule(
        id="W02", title="Pruned trials", severity="withholds", check=_pruned_trials,
        advice='Treat search scores as observations only. For curves and probabilities, search at'
        ' random with pruner = "none". The confirmed verdict is not affected.',
    ),
    FlagRule(
        id="W03", title="Pruning that may cut good runs",
        severity="withholds", check=_harmful_pruning,
        advice="Prune at fractions of the schedule and after warm-up; otherwise slow starters are"
        " cut.",
    ),
    FlagRule(
        id="W04", title="Unequal budgets", severity="provisional", check=unequal_budgets,
        advice="Give every arm as many trials and epochs as the others, then report again.",
    ),
    FlagRule(
        id="W05", title="No confirmation runs", severity="blocks", check=_unconfirmed,
        advice="Run the chosen configurations again on fresh seeds, with one list of seeds for all"
        " arms.",
    ),
    FlagRule(
        id="W06", title="The test set was read before confirmation",
        severity="blocks", check=_early_test_scores,
        advice="Repeat the study with a test set that no search or shortlist run has seen.",
    ),
    FlagRule(
        id="W07", title="Seeds are not paired or not fresh", severity="note", check=_seeds,
        advice="Confirm all arms on one list of seeds that the search did not use.",
    ),
    FlagRule(
        id="W08", title="Too few confirmation runs", severity="blocks", check=_few_seeds,
        advice='Add confirmation seeds; seeds = "auto" takes the smallest number that can decide.',
    ),
    FlagRule(
        id="W09", title="Many runs failed", severity="provisional", check=_failures,
        advice="Fix the cause and continue the study, which then repeats these runs.",
    ),
    FlagRule(
        id="W10", title="Chosen value at the edge of its range",
        severity="provisional", check=_boundaries,
        advice="Widen the range at that end and repeat the search: `study init --from NAME"
        " --widen` writes the study file.",
    ),
    FlagRule(
        id="W11", title="An arm lost to its own special case",
        severity="provisional", check=_inclusions,
        advice="Give the more general arm a larger budget or a better range: it is under-tuned.",
    ),
    FlagRule(
        id="W12", title="Runs planned for different numbers of epochs",
        severity="provisional", check=_horizons,
        advice="Compare only runs that are planned for equally many epochs.",
    ),
    FlagRule(
        id="W13", title="Best-epoch scores over different numbers of evaluations",
        severity="provisional", check=_evaluations,
        advice="Evaluate all arms equally often, or score the last epoch.",
    ),
    FlagRule(
        id="W14", title="Seconds cannot be compared", severity="note", check=_seconds,
        advice="Compare epochs, or repeat the runs on one idle machine.",
    ),
    FlagRule(
        id="W15", title="Changed after results were seen",
        severity="provisional", check=_late_changes,
        advice="What is added or changed until a difference shows is claimed too often: declare the"
        " numbers of seeds at which you look (looks in [confirm]), or repeat the study under a new"
        " name with these settings from the start.",
    ),
    FlagRule(
        id="W16", title="Confirmation runs that failed", severity="note", check=failed_units,
        advice="Look at the learning curves of these runs, and lower the learning rate or clip the"
        " gradient; with failures, arms are never called equal.",
    ),
    FlagRule(
        id="W17", title="No score on the test set", severity="blocks", check=undefined_test_score,
        advice="Choose a metric that the test set can measure, or a test set with all classes.",
    ),
)  # fmt: skip
