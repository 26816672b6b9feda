"""The answer in one sentence, with what limits it, built from the statuses of the pairs."""

from collections.abc import Iterator, Sequence

from bakeoff.analysis.claims import (
    begin,
    compared_with,
    finishing_text,
    kind_of,
    qualifiers_of,
    subject,
    subjects,
)
from bakeoff.analysis.findings import Findings
from bakeoff.analysis.flags import flags_on
from bakeoff.analysis.pairs import Pair
from bakeoff.analysis.wording import (
    SCOPE,
    count_range,
    join,
    metric_name,
    number,
    plural,
    two_digits,
)
from bakeoff.records import DefaultResult, Flag
from bakeoff.records.significance import MIN_SEARCH_SEEDS, MIN_SEARCH_TRIALS

WITHOUT_VERDICT = {
    "no_trials": "No verdict yet: no trial has been run.",
    "nothing_completed": "No verdict: no trial completed.",
    "one_arm": "No comparison: {everyone} is the only arm.",
    "shared_sampler": "No verdict: one sampler proposed the trials of all arms.",
    "test_set_read": "No verdict: the test set was read before confirmation.",
    "undefined_on_test": "No verdict: the test set gives no value of {metric}.",
    "unconfirmed": "No verdict yet: no configuration has been confirmed on fresh seeds.",
    "too_few_seeds": (
        "No verdict yet: every arm needs {need} confirmation runs, and there are {have}."
    ),
    "too_few_searches": (
        "No verdict yet: every arm needs {need} searches with at least {trials} trials and {seeds}"
        " confirmation seeds, and there are {searches}."
    ),
}
MAX_EQUAL_PAIRS = 2
"""More equal pairs than this are counted instead of named."""


def headline(
    findings: Findings, flags: Sequence[Flag], defaults: Sequence[DefaultResult] = ()
) -> str:
    """The answer in one sentence, and one more where library defaults beat what was found.

    It names no winner unless one was shown.

    It carries what limits it: whether a gain is less than delta, that equality is about runs that
    finish, and whether a flag makes it provisional.
    """
    reason = _reason_without_verdict(findings)
    if reason is not None:
        seeds = [len(arm.confirmed.seeds) if arm.confirmed else 0 for arm in findings.arms]
        return WITHOUT_VERDICT[reason].format(
            everyone=join([arm.arm for arm in findings.arms]),
            metric=metric_name(findings.record.objective),
            need=findings.min_seeds,
            have=count_range(seeds),
            trials=MIN_SEARCH_TRIALS,
            seeds=MIN_SEARCH_SEEDS,
            searches=findings.repeats_counted,
        )
    if not findings.leading:
        metric = metric_name(findings.record.objective)
        return f"No arm leads: the pairs contradict each other on test {metric}, {SCOPE}."
    alone = len(findings.leading) == 1
    text = _winner(findings, flags) if alone else _group(findings, flags)
    provisional = bool(weakening_flags(findings, flags))
    found = begin(f"{text}, {SCOPE}.", provisional=provisional)
    beating = [one.defaults_of for one in defaults if _beats_a_leader(one, findings)]
    if not beating:
        return found
    names = join(list(dict.fromkeys(beating)))
    return f"{found} The library defaults of {names} beat what the search found."


def _beats_a_leader(one: DefaultResult, findings: Findings) -> bool:
    return one.defaults_win and one.found_by in findings.leading


def weakening_flags(findings: Findings, flags: Sequence[Flag]) -> list[Flag]:
    """The flags that make the headline provisional: those on a pair that it speaks of."""
    found = {
        (flag.id, flag.detail): flag
        for pair in _spoken_of(findings)
        for flag in flags_on(flags, "provisional", pair.names)
    }
    return list(found.values())


def weaknesses(
    findings: Findings, flags: Sequence[Flag], defaults: Sequence[DefaultResult] = ()
) -> Iterator[str]:
    """What limits the headline, each as a sentence."""
    if not findings.leading:
        return
    if not findings.record.finished:
        yield "The study is not finished, so this may change."
    delta = two_digits(findings.delta)
    small = [p for p in _spoken_of(findings) if _kind(p, findings, flags) in ("by_less", "better")]
    if small:
        against = join([str(pair.result.loser) for pair in small])
        is_less = all(_kind(pair, findings, flags) == "by_less" for pair in small)
        yield (
            f"The gain over {against} {'is' if is_less else 'may be'} less than the smallest"
            f" difference that matters ({delta}, {findings.delta_source})."
        )
    if findings.level == "L1":
        yield (
            "This speaks of the configurations that one search of each arm found; another search"
            " may find others. Only repeated searches show which arm is better."
        )
    yield from (one.sentence for one in defaults if one.hold_their_own(findings.leading))
    missing = [arm.arm for arm in findings.arms if arm.arm not in _compared(findings)]
    if missing:
        noun = "repeated searches" if findings.over_searches else "confirmation runs"
        yield f"There are too few {noun} of {join(missing)} for a comparison."
    yield from (
        f"{flag.title} ({flag.id}): {flag.detail} {flag.advice}"
        for flag in weakening_flags(findings, flags)
    )


def _compared(findings: Findings) -> list[str]:
    """Arms with enough runs or searches for a verdict, best first."""
    units = findings.units
    counts = {
        arm.arm: len(units[arm.arm].seeds) if arm.arm in units else 0 for arm in findings.arms
    }
    return [arm for arm, num in counts.items() if num >= findings.min_seeds]


def _reason_without_verdict(findings: Findings) -> str | None:
    """Why there is no verdict; None if there is one."""
    if len(findings.arms) == 1 and findings.record.trials:
        return "one_arm"
    return _missing_evidence(findings) if findings.level == "L0" else None


def _missing_evidence(findings: Findings) -> str:
    if not findings.record.trials and not findings.record.confirmations:
        return "no_trials"
    if not findings.runs and all(arm.search_best is None for arm in findings.arms):
        return "nothing_completed"
    if findings.blocked_by is not None:
        return findings.blocked_by
    if findings.record.repeats > 1 and findings.record.confirm.seeds < findings.min_seeds:
        return "too_few_searches"
    return "too_few_seeds" if findings.runs else "unconfirmed"


def _kind(pair: Pair, findings: Findings, flags: Sequence[Flag]) -> str:
    return kind_of(pair, findings, qualifiers_of(pair, findings, flags))


def _spoken_of(findings: Findings) -> list[Pair]:
    """The pairs that the headline speaks of: those that a leading arm won, and those among them."""
    group = set(findings.leading)
    return [
        pair
        for pair in findings.pairs
        if pair.winner in group or (len(group) > 1 and set(pair.names) <= group)
    ]


def _winner(findings: Findings, flags: Sequence[Flag]) -> str:
    """One arm that no other was shown to beat: whom it beats, by how much."""
    (leader,), level = findings.leading, findings.level
    metric = f"on test {metric_name(findings.record.objective)}"
    won = [pair for pair in findings.pairs if pair.winner == leader]
    beaten = [str(pair.loser) for pair in won]
    rest = [arm for arm in _compared(findings) if arm not in (leader, *beaten)]
    limit = _limit(won, findings, flags)
    if not rest:
        against = compared_with(beaten, level)
        return f"{subject(leader, level)} beats {against} {metric}{_gain(won)}{limit}"
    others = compared_with(rest, level)
    beats = f"it beats {compared_with(beaten, level)}{_gain(won)}{limit}"
    return (
        f"{subject(leader, level)} leads {metric}: {beats if beaten else 'no other beats it'}, and"
        f" no difference to {others} was shown, {'which was' if len(rest) == 1 else 'which were'}"
        " beaten by others"
    )


def _gain(won: Sequence[Pair]) -> str:
    """The mean gain: of one pair with its interval, of several from the least to the largest."""
    gains = sorted(abs(pair.result.mean) for pair in won)
    if len(won) == 1:
        low, high = sorted(abs(bound) for bound in won[0].result.ci)
        if not high >= low:
            return " (runs failed, so the size of the gain is not known)"
        half_width = (high - low) / 2
        by, least, most = (number(value, half_width) for value in (gains[0], low, high))
        return f" by {by} ({least} to {most})"
    if not gains:
        return ""
    return f" by {two_digits(gains[0])} to {two_digits(gains[-1])}"


def _limit(won: Sequence[Pair], findings: Findings, flags: Sequence[Flag]) -> str:
    """Whether the gains are, or may be, less than delta."""
    kinds = {str(pair.loser): _kind(pair, findings, flags) for pair in won}
    threshold = f"less than the smallest difference that matters ({two_digits(findings.delta)})"
    parts = []
    for kind, verb in (("by_less", "is"), ("better", "may be")):
        arms = [arm for arm, own in kinds.items() if own == kind]
        if arms:
            whose = (
                "" if len(arms) == len(kinds) else f" over {compared_with(arms, findings.level)}"
            )
            parts.append(f"the gain{whose} {verb} {threshold}")
    under_tuned = [arm for arm, own in kinds.items() if own == "under_tuned"]
    if under_tuned:
        parts.append(f"{join(under_tuned)} contains it as a special case and is under-tuned")
    return "".join(f"; {part}" for part in parts)


def _group(findings: Findings, flags: Sequence[Flag]) -> str:
    """Several arms that lead: whether they are equal, and whether others are behind."""
    group = findings.leading
    metric = f"on test {metric_name(findings.record.objective)}"
    everyone = subjects(group, findings.level)
    pairs = [pair for pair in findings.pairs if set(pair.names) <= set(group)]
    equal = [pair for pair in pairs if pair.result.status == "practically_equal"]
    within = f"equal to within {two_digits(findings.delta)}"
    finishing = finishing_text(equal, findings)
    if len(group) == len(_compared(findings)):  # no arm is behind
        if not equal:
            return f"no difference was shown between {everyone} {metric}"
        if len(equal) == len(pairs):
            return f"{everyone} are {within} {metric}{finishing}"
        return (
            f"{_equal_pairs(equal, findings)} are {within} {metric}{finishing}, and no difference"
            f" was shown in the other pairs of {everyone}"
        )
    limit = _limit([one for one in findings.pairs if one.winner in group], findings, flags)
    lead = f"{everyone} lead {metric}"
    if not equal:
        among = "between" if len(group) == 2 else "among"  # noqa: PLR2004
        return f"{lead}; no difference was shown {among} them{limit}"
    if len(equal) == len(pairs):
        return f"{lead} and are {within}{finishing}{limit}"
    return (
        f"{lead}; {_equal_pairs(equal, findings)} are {within}{finishing}, and no difference was"
        f" shown in the other pairs of them{limit}"
    )


def _equal_pairs(equal: Sequence[Pair], findings: Findings) -> str:
    if len(equal) > MAX_EQUAL_PAIRS:
        return f"in {plural(len(equal), 'pair')} the two"
    return ", and also ".join(subjects(pair.names, findings.level) for pair in equal)
