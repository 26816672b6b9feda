"""The answer in words: headline, claims and tie-breakers, each a template chosen by a status."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations

import numpy as np
from scipy import stats

from bakeoff.analysis.defaults import default_sentences
from bakeoff.analysis.findings import Findings
from bakeoff.analysis.flags import flags_on
from bakeoff.analysis.outlook import outlook_sentences, step_to_verdict
from bakeoff.analysis.pairs import Pair
from bakeoff.analysis.pareto_fronts import objective_sentences
from bakeoff.analysis.sentences import pair_sentence, provisional_reason
from bakeoff.analysis.statistics import holm
from bakeoff.analysis.wording import (
    SCOPE,
    count_range,
    interval,
    join,
    metric_name,
    metric_phrase,
    number,
    p_value,
    plural,
    two_digits,
)
from bakeoff.ranges import is_searched
from bakeoff.records import ArmSummary, ConfirmedScores, Flag, Share, Verdict
from bakeoff.significance import ALPHA

HEADLINES = {
    "no_trials": "No verdict yet: no trial has been run.",
    "nothing_completed": "No verdict: no trial completed.",
    "one_arm": "No comparison: {everyone} is the only arm.",
    "shared_sampler": "No verdict: one sampler proposed for all arms together.",
    "test_set_read": "No verdict: the test set was read before confirmation.",
    "unconfirmed": "No verdict yet: no configuration has been confirmed on fresh seeds.",
    "too_few_seeds": (
        "No verdict yet: {need} confirmation runs per arm are needed, there are {have}."
    ),
    "contradiction": "No arm leads: the pairs contradict each other on test {metric}, {scope}.",
    "wins": "{leading} wins here on test {metric}, {scope}.",
    "wins_among": "{leading} wins here among {compared} on test {metric}, {scope}.",
    "lead": "{leading} lead on test {metric}; no difference shown among them, {scope}.",
    "lead_equal": "{leading} lead on test {metric} and are equal to within {delta}, {scope}.",
    "no_difference": "No difference shown between {leading} on test {metric}, {scope}.",
    "all_equal": "{leading} are equal to within {delta} on test {metric}, {scope}.",
}
PROVISIONALLY = "Provisionally, "


def build_verdict(findings: Findings, flags: Sequence[Flag]) -> Verdict:
    """The headline, the sentences that carry it, and the tie-breakers of a leading group."""
    unfinished = "The study is not finished; these numbers will change."
    claims = _claims(findings, flags) if findings.leading else _observations(findings)
    next_step = step_to_verdict(findings)
    notes = (
        f"{flag.title} ({flag.id}): {flag.detail}" for flag in flags if flag.severity == "note"
    )
    return Verdict(
        headline=headline(findings, flags),
        sentences=(
            *([] if findings.record.finished else [unfinished]),
            *claims,
            *default_sentences(findings),
            *objective_sentences(findings.record),
            *outlook_sentences(findings),
            *([next_step] if next_step else []),
            *findings.record.caveats,
            *(f"Noted while it ran: {note}." for note in findings.record.notes),
            *notes,
        ),
        leading=findings.leading,
        tie_breakers=tuple(_tie_breakers(findings, flags)),
        scope=findings.scope,
        next_step=next_step,
    )


def headline(findings: Findings, flags: Sequence[Flag]) -> str:
    """The answer in one sentence; it names no winner unless one was shown."""
    key = _headline_key(findings)
    compared = compared_arms(findings)
    sentence = HEADLINES[key].format(
        leading=join(findings.leading),
        compared=join(compared),
        everyone=join([arm.arm for arm in findings.arms]),
        metric=metric_name(findings.record.objective),
        delta=two_digits(findings.delta),
        need=findings.min_seeds,
        have=count_range([_num_confirmed(arm) for arm in findings.arms]),
        scope=SCOPE,
    )
    weakened = key.startswith("wins") and flags_on(flags, "provisional", compared)
    return PROVISIONALLY + sentence if weakened else sentence


def compared_arms(findings: Findings) -> list[str]:
    """Arms with enough confirmation runs, best mean first."""
    return [arm.arm for arm in findings.arms if _num_confirmed(arm) >= findings.min_seeds]


def _headline_key(findings: Findings) -> str:
    if len(findings.arms) == 1 and findings.record.trials:
        return "one_arm"
    if findings.level == "L0":
        return _reason_without_verdict(findings)
    compared = compared_arms(findings)
    if not findings.leading:
        return "contradiction"
    if len(findings.leading) == 1:
        return "wins" if len(compared) == len(findings.arms) else "wins_among"
    group = [pair for pair in findings.pairs if set(pair.names) <= set(findings.leading)]
    equal = all(pair.result.status == "practically_equal" for pair in group)
    if len(findings.leading) == len(compared):
        return "all_equal" if equal else "no_difference"
    return "lead_equal" if equal else "lead"


def _reason_without_verdict(findings: Findings) -> str:
    record = findings.record
    if not record.trials and not record.confirmations:
        return "no_trials"
    if not findings.runs and all(arm.search_best is None for arm in findings.arms):
        return "nothing_completed"
    if findings.blocked_by is not None:
        return findings.blocked_by
    return "too_few_seeds" if findings.runs else "unconfirmed"


def _num_confirmed(arm: ArmSummary) -> int:
    return len(arm.confirmed.seeds) if arm.confirmed else 0


def _claims(findings: Findings, flags: Sequence[Flag]) -> Iterator[str]:
    """What was shown of the leading arms, then what limits it."""
    leader, group = findings.leading[0], set(findings.leading)
    pairs = [p for p in findings.pairs if leader in p.names or set(p.names) <= group]
    for pair in pairs:
        yield pair_sentence(pair, findings, flags)
    yield from map(provisional_reason, _weakening_flags(pairs, flags))
    if findings.test_standard_error is not None:
        yield (
            "The intervals cover seeds, not the choice of test samples: the standard error of a "
            f"score over {findings.record.num_test:,} test samples is "
            f"{two_digits(findings.test_standard_error)}."
        )


def _weakening_flags(pairs: Iterable[Pair], flags: Sequence[Flag]) -> list[Flag]:
    arms = {arm for pair in pairs if pair.winner for arm in pair.names}
    return flags_on(flags, "provisional", arms) if arms else []


def _observations(findings: Findings) -> Iterator[str]:
    """What was seen, in the order of the study, without a claim."""
    order = {arm.name: index for index, arm in enumerate(findings.record.arms)}
    arms = sorted(findings.arms, key=lambda arm: order[arm.arm])
    metric, scope = metric_phrase(findings.record.objective), findings.scope
    found = [f"{arm.arm} {number(arm.search_best)}" for arm in arms if arm.search_best is not None]
    if found:
        yield f"Observed in the search, top validation {metric}: {join(found)}; {scope}."
    without = [arm.arm for arm in arms if arm.search_best is None]
    if without and findings.record.trials:
        yield f"No complete trial was observed of {join(without)}."
    confirmed = [_observed_mean(arm.arm, arm.confirmed) for arm in arms if arm.confirmed]
    if confirmed:
        yield f"Observed in confirmation, mean test {metric}: {join(confirmed)}; {scope}."


def _observed_mean(arm: str, confirmed: ConfirmedScores) -> str:
    low, high = confirmed.test_ci
    over = plural(len(confirmed.seeds), "seed")
    diverged = f", {confirmed.num_diverged} diverged" if confirmed.num_diverged else ""
    mean = number(confirmed.test_mean, (high - low) / 2)
    return f"{arm} {mean} (95 % CI {interval(confirmed.test_ci)}, {over}{diverged})"


def _tie_breakers(findings: Findings, flags: Sequence[Flag]) -> Iterator[str]:
    """Cost to target, tolerance of the learning rate, divergence rate, tuned parameters.

    In this order; they decide nothing.
    """
    arms = [arm for arm in findings.arms if arm.arm in findings.leading]
    if len(arms) < 2:  # noqa: PLR2004 - nothing to break
        return
    yield from _cost_to_target(arms, findings, with_seconds=not any(f.id == "W14" for f in flags))
    yield from _rate_tolerance(arms)
    shares = [(arm.arm, arm.robustness.diverged) for arm in arms if arm.robustness]
    rates = [
        f"{name} {share.at_least} of {share.of} (95 % CI {interval(share.ci)})"
        for name, share in shares
    ]
    yield f"Divergence of random trials: {join(rates)}.{_divergence_difference(shares)}"
    spaces = {arm.name: arm.space for arm in findings.record.arms}
    tuned = [f"{arm.arm} {sum(map(is_searched, spaces[arm.arm].values()))}" for arm in arms]
    yield f"Tuned parameters: {join(tuned)}."


def _divergence_difference(shares: Sequence[tuple[str, Share]]) -> str:
    """Whether the rates were shown to differ: Fisher's exact test, Holm over the pairs."""
    pairs = list(combinations([(arm, share) for arm, share in shares if share.of], 2))
    tables = [
        np.array([[one.at_least, one.of - one.at_least] for one in (a, b)])
        for (_, a), (_, b) in pairs
    ]
    found = holm(np.array([float(stats.fisher_exact(table).pvalue) for table in tables]))
    told = [
        f"{a} and {b} (Fisher, Holm {p_value(p)})"
        for ((a, _), (b, _)), p in zip(pairs, found.tolist(), strict=True)
        if p < ALPHA
    ]
    if told:
        return f" A difference was shown between {join(told)}."
    return " No difference shown (Fisher)." if pairs else ""


def _cost_to_target(
    arms: Sequence[ArmSummary], findings: Findings, *, with_seconds: bool
) -> Iterator[str]:
    times = [(arm.arm, arm.time_to_target) for arm in arms if arm.time_to_target]
    costs = [
        f"{name} {number(time.median_epochs)} epochs"
        + (f" or {number(time.median_seconds)} s" if with_seconds else "")
        + f" (reached in {time.reached} of {time.num_runs})"
        for name, time in times
    ]
    if times:
        yield (
            f"Median cost to reach validation {metric_name(findings.record.objective)} "
            f"{number(times[0][1].target)}, for runs planned for "
            f"{plural(findings.record.epochs, 'epoch')}: {join(costs)}.{_arrivals(findings)}"
        )


def _arrivals(findings: Findings) -> str:
    """Whether the epochs to the target were shown to differ within the leading group."""
    found = [
        pair.result for pair in findings.pairs
        if set(pair.names) <= set(findings.leading) and pair.result.arrival_p < ALPHA
    ]  # fmt: skip
    told = [f"{pair.a} and {pair.b} (log-rank, Holm {p_value(pair.arrival_p)})" for pair in found]
    if not told:
        return " No difference shown in epochs (log-rank)."
    return f" A difference in epochs was shown between {join(told)}."


def _rate_tolerance(arms: Sequence[ArmSummary]) -> Iterator[str]:
    """Nothing where the tolerance of no arm, or of one only, is known."""
    known = [
        (arm.arm, arm.robustness.learning_rate.tolerance_decades)
        for arm in arms
        if arm.robustness and arm.robustness.learning_rate.tolerance_decades is not None
    ]
    tolerances = [f"{name} {number(decades)}" for name, decades in known]
    if len(tolerances) > 1:
        yield (
            "Tolerance of the learning rate, in decades within delta of the best: "
            f"{join(tolerances)}."
        )
