"""The sentence on a pair of arms: a template chosen by its status.

No sentence says more than its status: "is better" needs a test corrected for all pairs, "equal"
needs an equivalence test, everything else is "no difference shown".
"""

from collections.abc import Sequence

from bakeoff.analysis.findings import Findings
from bakeoff.analysis.flags import flags_on
from bakeoff.analysis.pairs import Pair
from bakeoff.analysis.statistics import num_pairs_of
from bakeoff.analysis.wording import (
    interval,
    join,
    metric_phrase,
    number,
    p_value,
    percent,
    two_digits,
)
from bakeoff.records import Flag, StudyRecord
from bakeoff.significance import ALPHA

CORES = {
    "not_enough_data": (
        "Not enough confirmation runs to compare {a} and {b} (have {have}, need {need})."
    ),
    "shared_sampler": "No verdict on {a} and {b}: one sampler proposed for all arms (W01).",
    "test_set_read": "No verdict on {a} and {b}: the test set was read before confirmation (W06).",
    "clearly_better": "{a} {is_better} than {b} by at least {delta}",
    "better": (
        "{a} {is_better} than {b}; the gain is between {low} and {high} and may be too small to "
        "matter (< {delta})"
    ),
    "better_by_less": "{a} {is_better} than {b}, but by less than {delta}",
    "better_without_interval": (
        "{a} {is_better} than {b}; runs diverged, so no interval is given for the gain"
    ),
    "under_tuned": (
        "{b} is under-tuned: it contains {a} as a special case, and {a} still scored above it"
    ),
    "practically_equal": "{a} and {b} are equal to within {delta}",
    "no_difference_shown": (
        "No difference shown between {a} and {b}; with these {num_seeds} seeds a difference of "
        "about {detectable} would usually have been detected"
    ),
    "no_difference_shown_at_all": "No difference shown between {a} and {b}",
}
"""What is said of a pair; `a` is the arm that is ahead."""

EVIDENCE = {
    "by_t": (
        ": mean gain of {a} over {b} in test {metric} {mean}, {level} CI {ci}, {seeds}, Holm {p}; "
        "{scope}."
    ),
    "by_signs": (
        ": {a} was ahead on {wins} of {seeds} in test {metric}, 95 % CI of the share {win_ci}, "
        "Holm {p}; {diverged} (scored as an untrained model); mean gain {mean} with these runs, "
        "{mean_without} without; {scope}."
    ),
}
"""The numbers behind it: Student's t, or only the signs where a run diverged."""


def describe_pair(pair: Pair, findings: Findings, flags: Sequence[Flag]) -> str:
    """The sentence on a pair, with the text of the flags that make it provisional."""
    reasons = flags_on(flags, "provisional", pair.names) if pair.winner else []
    return " ".join([pair_sentence(pair, findings, flags), *map(provisional_reason, reasons)])


def pair_sentence(pair: Pair, findings: Findings, flags: Sequence[Flag]) -> str:
    """The sentence on a pair without the text of its flags; the arm that is ahead comes first."""
    words = {
        **_claim_words(pair, findings, flags),
        **_evidence_words(pair),
        "level": percent(1 - ALPHA / num_pairs_of(len(findings.arms))),
        "metric": metric_phrase(findings.record.objective),
        "scope": findings.scope,
    }
    template = CORES[_core_key(pair, findings)]
    if pair.result.status != "not_enough_data":
        template += EVIDENCE["by_signs" if pair.sample.diverged else "by_t"]
    return template.format_map(words)


def provisional_reason(flag: Flag) -> str:
    """Why a claim is provisional, and what to do."""
    return f"Provisional because of {flag.id}: {flag.detail} {flag.advice}"


def _core_key(pair: Pair, findings: Findings) -> str:
    status = pair.result.status
    if status == "not_enough_data":
        return findings.blocked_by or status
    if pair.winner is not None:
        return _winning_core_key(pair, findings.record)
    if status == "no_difference_shown" and not pair.result.detectable > 0:
        return "no_difference_shown_at_all"
    return status


def _winning_core_key(pair: Pair, record: StudyRecord) -> str:
    contains = {arm.name: arm.contains for arm in record.arms}
    if pair.winner in contains[str(pair.loser)]:
        return "under_tuned"
    if pair.sample.diverged:
        return "better_without_interval"
    is_small = pair.result.status == "better" and pair.result.equality_p < ALPHA
    return "better_by_less" if is_small else pair.result.status


def _ahead(pair: Pair) -> int:
    """+1 where the first arm of the pair is ahead (or neither is), -1 where the second is."""
    return -1 if pair.result.mean < 0 else 1


def _claim_words(pair: Pair, findings: Findings, flags: Sequence[Flag]) -> dict[str, str]:
    a, b = pair.names[:: _ahead(pair)]
    low, high = sorted(_ahead(pair) * bound for bound in pair.result.ci)
    half_width = (high - low) / 2
    provisional = flags_on(flags, "provisional", pair.names)
    return {
        "a": a,
        "b": b,
        "is_better": "provisionally looks better" if provisional else "is better",
        "delta": two_digits(findings.delta),
        "low": number(low, half_width),
        "high": number(high, half_width),
        "detectable": two_digits(pair.result.detectable),
        "num_seeds": str(pair.sample.num_seeds),
        "have": str(pair.sample.num_seeds),
        "need": str(findings.min_seeds),
    }


def _evidence_words(pair: Pair) -> dict[str, str]:
    sample, result, sign = pair.sample, pair.result, _ahead(pair)
    low, high = sorted(sign * bound for bound in result.ci)
    share = result.win_share if sign > 0 else 1 - result.win_share
    win_ci = result.win_ci if sign > 0 else (1 - result.win_ci[1], 1 - result.win_ci[0])
    counts = zip(pair.names, (sample.a_diverged, sample.b_diverged), strict=True)
    return {
        "mean": number(sign * result.mean, (high - low) / 2),
        "mean_without": number(sign * sample.mean_without_diverged),
        "ci": interval((low, high)),
        "p": p_value(result.p_holm),
        "seeds": (
            f"{len(sample.a)} paired seeds"
            if sample.paired
            else f"{len(sample.a)} and {len(sample.b)} unpaired seeds"
        ),
        "wins": f"{share * sample.num_seeds:.3g}",
        "win_ci": interval(win_ci),
        "diverged": join(
            [f"{arm} diverged in {mask.sum()} of {len(mask)}" for arm, mask in counts if mask.any()]
        ),
    }
