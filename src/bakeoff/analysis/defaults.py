"""Library defaults against what the search found: whether tuning was worth it."""

import math
from collections.abc import Iterator
from dataclasses import replace

from bakeoff.analysis.claims import subject
from bakeoff.analysis.confirmation import ConfirmedRuns, default_runs
from bakeoff.analysis.design import design_of
from bakeoff.analysis.findings import Findings
from bakeoff.analysis.pairs import Pair, compare_pairs
from bakeoff.analysis.searches import per_repeat
from bakeoff.analysis.wording import SCOPE, interval, metric_name, number, p_value, plural
from bakeoff.records import ArmSummary, DefaultResult

CLEAR_DEVIATIONS = 2
"""Standard deviations over seeds that a single run must be ahead by."""
FOUND, DEFAULTS = "found", "defaults"
"""The two sides of a comparison, as the names of arms."""


def default_results(findings: Findings) -> tuple[DefaultResult, ...]:
    """Each arm's library defaults against its own configuration, and against the leading arm's.

    Each comparison is a test of its own, on the seeds (at level L2: repeats) that both have. It is
    not among the pairs of arms, so it costs them nothing; among many of these lines, one in twenty
    may be shown by chance.

    Source: Schmidt, Schneider and Hennig 2021 (defaults are a contender of their own).
    """
    if findings.blocked_by is not None:
        return ()
    known = {arm.arm: default_runs(findings.record, arm.arm) for arm in findings.arms}
    leader = findings.leading[:1]
    return tuple(
        _compare(findings, runs, defaults_of, found_by)
        for defaults_of, runs in known.items()
        if runs is not None
        for found_by in dict.fromkeys((defaults_of, *leader))
        if found_by in findings.units
    )


def _compare(
    findings: Findings, defaults: ConfirmedRuns, defaults_of: str, found_by: str
) -> DefaultResult:
    record = findings.record
    runs = {
        FOUND: findings.units[found_by],
        DEFAULTS: per_repeat(record, defaults) if findings.over_searches else defaults,
    }
    design = design_of(record, over_searches=findings.over_searches)
    (pair,) = compare_pairs(
        (FOUND, DEFAULTS),
        runs,
        sign=record.objective.sign,
        delta=findings.delta,
        blocked=False,
        design=replace(design, looks=(), read_at=()),
    )
    result = pair.result
    return DefaultResult(
        defaults_of=defaults_of,
        found_by=found_by,
        num_pairs=result.num_pairs,
        status=result.status,
        mean=result.mean,
        ci=result.ci,
        p=result.p,
        sentence=_sentence(pair, findings, defaults_of, found_by),
    )


def _sentence(pair: Pair, findings: Findings, defaults_of: str, found_by: str) -> str:
    """What was shown of the defaults and of what was found; empty where nothing can be."""
    result = pair.result
    if result.status == "not_enough_data":
        return ""
    found = subject(found_by, findings.level)
    if findings.level == "L2":
        found = f"tuned {found_by}"
    defaults = f"the library defaults of {defaults_of}"
    ahead, behind = (defaults, found) if result.mean < 0 else (found, defaults)
    if result.winner is not None:
        core = f"{ahead} beat{'' if ahead == defaults else 's'} {behind}"
    elif result.status == "practically_equal":
        core = f"{defaults} and {found} are equal to within {number(findings.delta)}"
    else:
        core = f"no difference was shown between {defaults} and {found}"
    noun = "search" if findings.over_searches else "seed"
    mean = abs(result.mean)
    bounds = sorted(bound * (-1 if result.mean < 0 else 1) for bound in result.ci)
    evidence = f"CI {interval((bounds[0], bounds[1]))}, " if math.isfinite(bounds[0]) else ""
    return (
        f"{core[:1].upper()}{core[1:]} on test {metric_name(findings.record.objective)}: the mean"
        f" difference is {number(mean)} ({evidence}{plural(pair.sample.num_seeds, noun)},"
        f" {p_value(result.p)}, a test of its own), {SCOPE}."
    )


def default_sentences(findings: Findings) -> Iterator[str]:
    """A sentence for each arm whose defaults were ahead of its tuned configuration on validation.

    It is for arms whose defaults ran once, in the search. They are ahead if their score is above
    the chosen configuration's mean over fresh seeds by more than delta and more than two standard
    deviations over seeds; before confirmation, if it is above every search trial.
    """
    objective = findings.record.objective
    for arm in findings.arms:
        score = arm.default_score
        if score is None or arm.default_outcome != "complete" or not math.isfinite(score):
            continue
        if arm.default_confirmed is not None:
            continue
        tuned, margin, how = _tuned(arm, findings.delta)
        if tuned is not None and objective.sign * (score - tuned) > margin:
            yield (
                f"Observed: with its library defaults, {arm.arm} had a validation"
                f" {metric_name(objective)} of {number(score)} in its one run, and {number(tuned)}"
                f" {how}; so its search was too short, or its ranges leave out the defaults,"
                f" {SCOPE}."
            )


def _tuned(arm: ArmSummary, delta: float) -> tuple[float | None, float, str]:
    """The tuned score, what a default must be ahead by, and how the score was measured."""
    if arm.confirmed is None:
        return arm.search_best, 0.0, f"in the top one of {plural(arm.num_trials, 'search trial')}"
    margins = (0.0, delta, CLEAR_DEVIATIONS * arm.confirmed.test_sd)
    margin = max(each for each in margins if math.isfinite(each))
    seeds = plural(len(arm.confirmed.seeds), "fresh seed")
    return arm.confirmed.validation_mean, margin, f"on average over {seeds} as tuned"
