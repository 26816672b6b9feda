"""The one place where the status of a pair becomes words, for sentences, headline and tables alike.

The status says what was shown. Qualifiers say what limits it. The level says what it speaks of: the
configurations found (L1), because one search per arm shows no more, or the arms (L2).
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

from bakeoff.analysis.findings import Findings
from bakeoff.analysis.flags import flags_on
from bakeoff.analysis.pairs import Pair
from bakeoff.analysis.wording import join, number, plural, two_digits
from bakeoff.records import Flag, Level, Qualifier

Kind = Literal[
    "shared_sampler", "test_set_read", "undefined_on_test", "not_enough_data", "clearly_better",
    "better", "by_less", "size_unknown", "under_tuned", "practically_equal", "no_difference_shown",
]  # fmt: skip
"""A status together with the qualifiers that change its words, or what forbids every claim."""


class Words(NamedTuple):
    """What is said of one kind of result; `a` is the arm that is ahead."""

    core: str
    """Begins the sentence on the pair."""
    short: str
    """In tables and figures."""


WORDS: dict[Kind, Words] = {
    "shared_sampler": Words(
        "no verdict on {a_name} and {b_name}: one sampler proposed the trials of all arms (W01)",
        "no verdict (W01)",
    ),
    "test_set_read": Words(
        "no verdict on {a_name} and {b_name}: the test set was read before confirmation (W06)",
        "no verdict (W06)",
    ),
    "undefined_on_test": Words(
        "no verdict on {a_name} and {b_name}: the test set gives no value of the metric (W17)",
        "no verdict (W17)",
    ),
    "not_enough_data": Words(
        "there are not enough {units} to compare {a_name} and {b_name} (have {have}, need {need})",
        "not enough data",
    ),
    "clearly_better": Words(
        "{a} beats {b} by at least {delta}", "{whose} better by {delta} or more"
    ),
    "better": Words(
        "{a} beats {b}; the gain is between {low} and {high} and may be too small to matter"
        " (< {delta})",
        "{whose} better, maybe by less than {delta}",
    ),
    "by_less": Words(
        "{a} beats {b}, but by less than {delta}, the smallest difference that matters",
        "{whose} better, but by less than {delta}",
    ),
    "size_unknown": Words(
        "{a} beats {b}; runs failed, so no interval is given for the gain",
        "{whose} better, by an unknown gain",
    ),
    "under_tuned": Words(
        "{b_name} is under-tuned: it contains {a_name} as a special case, and {a} still scored"
        " above {b}",
        "{b_name} under-tuned",
    ),
    "practically_equal": Words(
        "{both} are equal to within {delta}{finishing}", "equal to within {delta}{finish}"
    ),
    "no_difference_shown": Words(
        "no difference was shown between {both}{detectable}", "no difference shown"
    ),
}
DETECTABLE = (
    "; with these {have} {units} a difference of about {detectable} would usually have been"
    " detected"
)
FINISHING = " for runs that finish (0 of {runs} of each failed; up to {limit} may)"
SHORT_FINISHING = " for runs that finish"
PROVISIONALLY = "provisionally, "


def subject(arm: str, level: Level) -> str:
    """What a claim about one arm is about: `the configuration found for adam`, at L2 `adam`."""
    return arm if level == "L2" else f"the configuration found for {arm}"


def subjects(arms: Sequence[str], level: Level) -> str:
    """What a claim about several arms is about: `the configurations found for adam and sgd`."""
    if len(arms) == 1:
        return subject(arms[0], level)
    return join(arms) if level == "L2" else f"the configurations found for {join(arms)}"


def compared_with(arms: Sequence[str], level: Level) -> str:
    """The other side of a comparison: `the one found for sgd`, `those found for sgd and adam`."""
    if level == "L2":
        return join(arms)
    return f"{'the one' if len(arms) == 1 else 'those'} found for {join(arms)}"


def begin(text: str, *, provisional: bool = False) -> str:
    """`text` as the beginning of a sentence; names of arms keep their case."""
    if provisional:
        text = PROVISIONALLY + text
    first = text.split(" ", 1)[0]
    own_words = {"the", "no", "there", "provisionally,"}
    return text[:1].upper() + text[1:] if first in own_words else text


def qualifiers_of(pair: Pair, findings: Findings, flags: Sequence[Flag]) -> tuple[Qualifier, ...]:
    """What limits the status of a pair."""
    found: list[Qualifier] = []
    result = pair.result
    if result.winner is not None:
        contains = {arm.name: arm.contains for arm in findings.record.arms}
        if result.winner in contains[str(result.loser)]:
            found.append("under_tuned")
        if not all(map(math.isfinite, result.ci)):
            found.append("size_unknown")
        elif result.status == "better" and result.equality_p < result.alpha:
            found.append("by_less")
    elif result.status == "practically_equal" and not math.isnan(result.failure_limit):
        found.append("finishing_runs")
    if result.status != "not_enough_data" and flags_on(flags, "provisional", pair.names):
        found.append("provisional")
    return tuple(found)


def kind_of(pair: Pair, findings: Findings, qualifiers: Sequence[Qualifier]) -> Kind:
    """The kind of words that a status and its qualifiers take."""
    if findings.blocked_by is not None:
        return findings.blocked_by
    kinds: tuple[Kind, ...] = ("under_tuned", "size_unknown", "by_less")
    return next((kind for kind in kinds if kind in qualifiers), pair.result.status)


def core_text(pair: Pair, findings: Findings, qualifiers: Sequence[Qualifier]) -> str:
    """The claim on a pair, without its evidence and without a full stop."""
    kind = kind_of(pair, findings, qualifiers)
    text = WORDS[kind].core.format_map(_fields(pair, findings, qualifiers))
    return begin(text, provisional=_is_provisional(kind, qualifiers))


def short_text(pair: Pair, findings: Findings, qualifiers: Sequence[Qualifier]) -> str:
    """The claim on a pair in a few words, for tables and figures."""
    kind = kind_of(pair, findings, qualifiers)
    text = WORDS[kind].short.format_map(_fields(pair, findings, qualifiers))
    return f"{text} (provisional)" if _is_provisional(kind, qualifiers) else text


def _is_provisional(kind: Kind, qualifiers: Sequence[Qualifier]) -> bool:
    """An arm that is under-tuned is so whatever the flags say; the flag is the reason."""
    return "provisional" in qualifiers and kind != "under_tuned"


def _fields(
    pair: Pair, findings: Findings, qualifiers: Sequence[Qualifier]
) -> dict[str, str | int]:
    result, level = pair.result, findings.level
    sign = -1 if result.mean < 0 else 1
    a, b = pair.names[::sign]
    low, high = sorted(sign * bound for bound in result.ci)
    half_width = (high - low) / 2
    units = "searches" if findings.over_searches else "seeds"
    fields: dict[str, str | int] = {
        "a": subject(a, level),
        "b": compared_with([b], level),
        "a_name": a,
        "b_name": b,
        "whose": a if level == "L2" else f"configuration of {a}",
        "both": subjects([a, b], level),
        "delta": two_digits(findings.delta),
        "low": number(low, half_width),
        "high": number(high, half_width),
        "have": pair.sample.num_seeds,
        "need": findings.min_seeds,
        "units": "searches" if findings.over_searches else "confirmation runs",
        "finishing": finishing_text([pair], findings) if "finishing_runs" in qualifiers else "",
        "finish": SHORT_FINISHING if "finishing_runs" in qualifiers else "",
    }
    detectable = DETECTABLE.format(
        have=pair.sample.num_seeds, units=units, detectable=two_digits(result.detectable)
    )
    return {**fields, "detectable": detectable if result.detectable > 0 else ""}


def finishing_text(pairs: Sequence[Pair], findings: Findings) -> str:
    """How far equality is from runs that fail: none did, and up to this share may.

    The limit is the largest over the pairs, that of the fewest runs.
    """
    limits = [one.result.failure_limit for one in pairs if one.result.failure_limit >= 0]
    if not limits:
        return ""
    fewest = min(one.sample.num_seeds for one in pairs)
    runs = plural(fewest, "search" if findings.over_searches else "run")
    return FINISHING.format(runs=runs, limit=f"{100 * max(limits):.0f} %")
