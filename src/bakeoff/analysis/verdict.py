"""The answer in words: headline, claims and tie-breakers, each a template chosen by a status."""

import math
from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
from scipy import stats

from bakeoff.analysis.defaults import default_sentences
from bakeoff.analysis.draws import describe_best_pruned
from bakeoff.analysis.findings import Findings
from bakeoff.analysis.flags import flags_on
from bakeoff.analysis.headline import headline, weaknesses
from bakeoff.analysis.outlook import next_step, outlook_sentences
from bakeoff.analysis.pareto_fronts import objective_sentences
from bakeoff.analysis.sentences import pair_sentence, provisional_reason
from bakeoff.analysis.statistics import holm
from bakeoff.analysis.wording import (
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
from bakeoff.records import ArmSummary, DefaultResult, Flag, Share, Verdict
from bakeoff.records.significance import ALPHA, CONFIDENCE_TEXT


def build_verdict(
    findings: Findings, flags: Sequence[Flag], defaults: Sequence[DefaultResult] = ()
) -> Verdict:
    """The headline, the sentences that support it, and the tie-breakers of a leading group."""
    unfinished = "The study is not finished; these numbers will change."
    claims = _claims(findings, flags) if findings.leading else _observations(findings)
    step = next_step(findings)
    return Verdict(
        headline=headline(findings, flags, defaults),
        sentences=(
            *([] if findings.record.finished else [unfinished]),
            *claims,
            *(one.sentence for one in defaults if one.sentence),
            *default_sentences(findings),
            *objective_sentences(findings.record),
            *outlook_sentences(findings),
            *([step] if step else []),
            *findings.record.caveats,
            *_uncounted_searches(findings),
            *(f"This was noted while the study ran: {note}." for note in findings.record.notes),
            *(f"{f.title} ({f.id}): {f.detail}" for f in flags if f.severity == "note"),
        ),
        leading=findings.leading,
        weakened_by=tuple(weaknesses(findings, flags, defaults)),
        tie_breakers=tuple(_tie_breakers(findings, flags)),
        scope=findings.scope,
        next_step=step,
    )


def _uncounted_searches(findings: Findings) -> Iterator[str]:
    """Which searches do not count at level L2, and why, in a study that repeats them."""
    begun = [
        one
        for own in findings.searches.values()
        for one in own
        if len(own) > 1 and (one.num_trials or one.confirmed)
    ]
    left_out = [
        f"search {one.repeat + 1} of {one.arm} ({one.why_not})" for one in begun if one.why_not
    ]
    if left_out:
        yield f"Arms are compared without these searches: {join(left_out)}."


def _claims(findings: Findings, flags: Sequence[Flag]) -> Iterator[str]:
    """What was shown about the leading arms, then what limits it."""
    leader, group = findings.leading[0], set(findings.leading)
    pairs = [p for p in findings.pairs if leader in p.names or set(p.names) <= group]
    for pair in pairs:
        yield pair_sentence(pair, findings, flags)
    reasons = {
        (flag.id, flag.detail): flag
        for pair in pairs
        if pair.result.status != "not_enough_data"
        for flag in flags_on(flags, "provisional", pair.names)
    }
    yield from map(provisional_reason, reasons.values())
    if findings.test_standard_error is not None and any(
        math.isnan(pair.result.example_error) for pair in pairs
    ):
        yield (
            f"The intervals cover {'searches' if findings.over_searches else 'seeds'}, not the"
            " choice of test samples: the standard error of a score over"
            f" {findings.record.num_test:,} test samples is"
            f" {two_digits(findings.test_standard_error)}."
        )


def _observations(findings: Findings) -> Iterator[str]:
    """What was observed, in the order of the study, without a claim."""
    summaries = {arm.arm: arm for arm in findings.arms}
    arms = [summaries[arm.name] for arm in findings.record.arms]
    metric = metric_phrase(findings.record.objective)
    scope = f"this applies to {findings.scope}"
    found = [
        f"{number(arm.search_best)} for {arm.arm}" for arm in arms if arm.search_best is not None
    ]
    if found:
        yield f"The top validation {metric} observed in the search was {join(found)}; {scope}."
    if ahead := describe_best_pruned(findings.record):
        yield ahead
    without = [arm.arm for arm in arms if arm.search_best is None]
    if without and findings.record.trials:
        yield f"No complete trial of {join(without)} was observed."
    means = [
        f"{number(own.test_mean, (own.test_ci[1] - own.test_ci[0]) / 2)} for {arm.arm}"
        f" ({_interval_text(own.test_ci)}{plural(len(own.seeds), 'seed')}"
        + (f", {own.num_diverged} diverged)" if own.num_diverged else ")")
        for arm in arms
        if (own := arm.confirmed)
    ]
    if means:
        yield f"The mean test {metric} observed in confirmation was {join(means)}; {scope}."


def _interval_text(bounds: tuple[float, float]) -> str:
    """The interval and a comma; empty where there are too few runs for one."""
    return f"{CONFIDENCE_TEXT} CI {interval(bounds)}, " if all(map(math.isfinite, bounds)) else ""


def _tie_breakers(findings: Findings, flags: Sequence[Flag]) -> Iterator[str]:
    """Cost to target, tolerance of the learning rate, divergence rate, tuned parameters."""
    arms = [arm for arm in findings.arms if arm.arm in findings.leading]
    if len(arms) < 2:  # noqa: PLR2004 - nothing to break
        return
    is_timed = findings.record.arithmetic == "plain" and not any(f.id == "W14" for f in flags)
    yield from _cost_to_target(arms, findings, with_seconds=is_timed)
    tolerances = [
        f"{number(decades)} {'decade' if decades == 1 else 'decades'} for {arm.arm}"
        for arm in arms
        if arm.robustness
        and (decades := arm.robustness.learning_rate.tolerance_decades) is not None
    ]
    if len(tolerances) > 1:
        yield (
            f"The learning rates whose score is within delta of the best span {join(tolerances)}."
        )
    shares = [(arm.arm, arm.robustness.diverged) for arm in arms if arm.robustness]
    rates = [
        f"{share.at_least} of {share.of} diverged for {arm}"
        f" ({CONFIDENCE_TEXT} CI {interval(share.ci)})"
        for arm, share in shares
    ]
    yield f"Of the random trials, {join(rates)}.{_divergence_difference(shares)}"
    spaces = {arm.name: arm.space for arm in findings.record.arms}
    tuned = [
        f"{plural(sum(map(is_searched, spaces[arm.arm].values())), 'parameter')} of {arm.arm}"
        for arm in arms
    ]
    yield f"The search tuned {join(tuned)}."


def _divergence_difference(shares: Sequence[tuple[str, Share]]) -> str:
    """Whether the rates were shown to differ: Fisher's exact test, Holm over the pairs."""
    pairs = list(combinations([(arm, share) for arm, share in shares if share.of], 2))
    tables = [
        np.array([[one.at_least, one.of - one.at_least] for one in (a, b)])
        for (_, a), (_, b) in pairs
    ]
    found = holm(np.array([float(stats.fisher_exact(table).pvalue) for table in tables]))
    shown = [
        f"{a} and {b} (Fisher, Holm {p_value(p)})"
        for ((a, _), (b, _)), p in zip(pairs, found.tolist(), strict=True)
        if p < ALPHA
    ]
    if shown:
        return f" A difference was shown between {join(shown)}."
    return " No difference was shown (Fisher)." if pairs else ""


def _cost_to_target(
    arms: Sequence[ArmSummary], findings: Findings, *, with_seconds: bool
) -> Iterator[str]:
    """The median cost, and whether the epochs to the target were shown to differ."""
    times = [(arm.arm, arm.time_to_target) for arm in arms if arm.time_to_target]
    if not times:
        return
    costs = [
        f"{number(time.median_epochs)} epochs"
        + (f" or {number(time.median_seconds)} s" if with_seconds else "")
        + f" for {name} (reached in {time.reached} of {time.num_runs})"
        for name, time in times
    ]
    shown = [
        f"the configurations found for {join(pair.names)} (log-rank, Holm"
        f" {p_value(pair.result.arrival_p)})"
        for pair in findings.pairs
        if set(pair.names) <= set(findings.leading) and pair.result.arrival_p < ALPHA
    ]
    yield (
        f"The median cost to reach validation {metric_name(findings.record.objective)}"
        f" {number(times[0][1].target)} in runs planned for"
        f" {plural(findings.record.epochs, 'epoch')} was {join(costs)}."
    ) + (
        f" A difference in epochs was shown between {join(shown)}."
        if shown
        else " No difference in epochs was shown (log-rank)."
    )
