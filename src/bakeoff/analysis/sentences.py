"""The sentence on a pair of arms: a template chosen by its status.

No sentence says more than its status: "is better" needs a test corrected for all pairs, "equal"
needs an equivalence test, and everything else is "no difference was shown".
"""

from collections.abc import Sequence

from bakeoff.analysis.findings import Findings
from bakeoff.analysis.flags import flags_on
from bakeoff.analysis.pairs import Pair
from bakeoff.analysis.statistics import num_pairs_of
from bakeoff.analysis.wording import interval, join, metric_phrase, number, p_value, two_digits
from bakeoff.records import Flag
from bakeoff.records.significance import ALPHA, CONFIDENCE_TEXT

CORES = {
    "not_enough_data": (
        "There are not enough confirmation runs to compare {a} and {b} (have {have}, need {need})."
    ),
    "shared_sampler": (
        "No verdict on {a} and {b}: one sampler proposed the trials of all arms (W01)."
    ),
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
        "No difference was shown between {a} and {b}; with these {have} seeds a difference of "
        "about {detectable} would usually have been detected"
    ),
    "no_difference_shown_at_all": "No difference was shown between {a} and {b}",
}
"""What is said of a pair; `a` is the arm that is ahead."""

EVIDENCE_BY_T = (
    ": the mean gain of {a} over {b} in test {metric} is {mean} ({level} CI {ci}, {seeds}, Holm "
    "{p}); this applies to {scope}."
)
EVIDENCE_BY_SIGNS = (
    ": {a} was ahead on {wins} of {seeds} in test {metric}, with a {confidence} CI of the share of "
    "{win_ci} and Holm {p}; {diverged} (scored as an untrained model); the mean gain is {mean} "
    "with these runs and {mean_without} without them; this applies to {scope}."
)
"""The numbers behind it where a run diverged, because Student's t does not hold there."""


def describe_pair(pair: Pair, findings: Findings, flags: Sequence[Flag]) -> str:
    """The sentence on a pair, with the text of the flags that make it provisional."""
    reasons = flags_on(flags, "provisional", pair.names) if pair.winner else []
    return " ".join([pair_sentence(pair, findings, flags), *map(provisional_reason, reasons)])


def provisional_reason(flag: Flag) -> str:
    """Why a claim is provisional, and what to do."""
    return f"This is provisional because of {flag.id}: {flag.detail} {flag.advice}"


def pair_sentence(pair: Pair, findings: Findings, flags: Sequence[Flag]) -> str:
    """The sentence on a pair without the text of its flags; the arm that is ahead comes first."""
    sample, result = pair.sample, pair.result
    sign = -1 if result.mean < 0 else 1
    a, b = pair.names[::sign]
    low, high = sorted(sign * bound for bound in result.ci)
    half_width = (high - low) / 2
    share, win_ci = result.win_share, result.win_ci
    if sign < 0:
        share, win_ci = 1 - share, (1 - win_ci[1], 1 - win_ci[0])
    diverged = [
        f"{arm} diverged in {mask.sum()} of {len(mask)}"
        for arm, mask in zip(pair.names, (sample.a_diverged, sample.b_diverged), strict=True)
        if mask.any()
    ]
    words = {
        "a": a,
        "b": b,
        "is_better": (
            "provisionally looks better"
            if flags_on(flags, "provisional", pair.names)
            else "is better"
        ),
        "delta": two_digits(findings.delta),
        "low": number(low, half_width),
        "high": number(high, half_width),
        "detectable": two_digits(result.detectable),
        "have": sample.num_seeds,
        "need": findings.min_seeds,
        "level": f"{100 * (1 - ALPHA / num_pairs_of(len(findings.arms))):.3g} %",
        "confidence": CONFIDENCE_TEXT,
        "metric": metric_phrase(findings.record.objective),
        "scope": findings.scope,
        "mean": number(sign * result.mean, half_width),
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
        "diverged": join(diverged),
    }
    template = CORES[_core_key(pair, findings)]
    if result.status != "not_enough_data":
        template += EVIDENCE_BY_SIGNS if sample.diverged else EVIDENCE_BY_T
    return template.format_map(words)


def _core_key(pair: Pair, findings: Findings) -> str:
    status = pair.result.status
    if status == "not_enough_data":
        return findings.blocked_by or status
    if pair.winner is None:
        is_unknown = status == "no_difference_shown" and not pair.result.detectable > 0
        return "no_difference_shown_at_all" if is_unknown else status
    contains = {arm.name: arm.contains for arm in findings.record.arms}
    if pair.winner in contains[str(pair.loser)]:
        return "under_tuned"
    if pair.sample.diverged:
        return "better_without_interval"
    is_small = status == "better" and pair.result.equality_p < ALPHA
    return "better_by_less" if is_small else status
