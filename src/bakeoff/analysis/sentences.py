"""The sentence on a pair of arms: the claim that its status allows, and the numbers behind it.

No sentence says more than its status: "beats" needs a test corrected for all pairs, "equal" needs
an equivalence test, and everything else is "no difference was shown".
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from bakeoff.analysis.claims import compared_with, core_text, qualifiers_of, short_text
from bakeoff.analysis.failures import Mask
from bakeoff.analysis.findings import Findings
from bakeoff.analysis.flags import flags_on
from bakeoff.analysis.pairs import Pair
from bakeoff.analysis.statistics import num_pairs_of
from bakeoff.analysis.wording import interval, join, metric_phrase, number, p_value, plural
from bakeoff.records import Flag, PairResult
from bakeoff.records.significance import CONFIDENCE_TEXT

EVIDENCE_BY_T = (
    ": the mean gain in test {metric} is {mean} ({level} CI {ci}, {seeds}, Holm {p}{finished}); "
    "this applies to {scope}."
)
EVIDENCE_BY_SIGNS = (
    ": {ahead} was ahead on {wins} of {seeds} in test {metric}, with a {confidence} CI of the "
    "share of {win_ci} and Holm {p}; {failures}; the mean gain is {mean} with "
    "these runs and {mean_without} without them; this applies to {scope}."
)
"""The numbers behind it where a run failed, because Student's t does not hold there."""


def described(pair: Pair, findings: Findings, flags: Sequence[Flag]) -> PairResult:
    """The result of a pair with its words: qualifiers, sentence and the short form for tables."""
    qualifiers = qualifiers_of(pair, findings, flags)
    return replace(
        pair.result,
        qualifiers=qualifiers,
        sentence=describe_pair(pair, findings, flags),
        word=short_text(pair, findings, qualifiers),
    )


def describe_pair(pair: Pair, findings: Findings, flags: Sequence[Flag]) -> str:
    """The sentence on a pair, with the text of the flags that make it provisional."""
    is_open = pair.result.status == "not_enough_data"
    reasons = [] if is_open else flags_on(flags, "provisional", pair.names)
    return " ".join([pair_sentence(pair, findings, flags), *map(provisional_reason, reasons)])


def provisional_reason(flag: Flag) -> str:
    """Why a claim is provisional, and what to do."""
    return f"This is provisional because of {flag.id}: {flag.detail} {flag.advice}"


def pair_sentence(pair: Pair, findings: Findings, flags: Sequence[Flag]) -> str:
    """The sentence on a pair without the text of its flags; the arm that is ahead comes first."""
    core = core_text(pair, findings, qualifiers_of(pair, findings, flags))
    if pair.result.status == "not_enough_data":
        return f"{core}."
    template = EVIDENCE_BY_SIGNS if pair.sample.failed else EVIDENCE_BY_T
    return core + template.format_map(_evidence(pair, findings))


def _evidence(pair: Pair, findings: Findings) -> dict[str, str]:
    """The numbers behind a claim, seen from the arm that is ahead."""
    sample, result = pair.sample, pair.result
    sign = -1 if result.mean < 0 else 1
    low, high = sorted(sign * bound for bound in result.ci)
    share, win_ci = result.win_share, result.win_ci
    if sign < 0:
        share, win_ci = 1 - share, (1 - win_ci[1], 1 - win_ci[0])
    failures = [
        text
        for arm, diverged, failed in zip(
            pair.names,
            (sample.a_diverged, sample.b_diverged),
            (sample.a_failed, sample.b_failed),
            strict=True,
        )
        for text in _failures(arm, diverged, failed)
    ]
    return {
        "ahead": compared_with(pair.names[::sign][:1], findings.level),
        "level": f"{100 * (1 - result.alpha / num_pairs_of(len(findings.arms))):.3g} %",
        "confidence": CONFIDENCE_TEXT,
        "metric": metric_phrase(findings.record.objective),
        "scope": findings.scope,
        "mean": number(sign * result.mean, (high - low) / 2),
        "mean_without": number(sign * sample.mean_without_diverged),
        "ci": interval((low, high)),
        "p": p_value(result.p_holm),
        "seeds": units_text(pair, findings),
        "wins": f"{share * sample.num_seeds:.3g}",
        "win_ci": interval(win_ci),
        "failures": join(failures),
        "finished": _finished(pair, findings) if result.winner else "",
    }


def _finished(pair: Pair, findings: Findings) -> str:
    """How often runs may fail where none did; a claim of a better arm is about runs that finish."""
    runs = plural(pair.sample.num_seeds, "search" if findings.over_searches else "run")
    limit = f"{100 * pair.result.failure_limit:.0f} %"
    return f", 0 of {runs} of each failed, up to {limit} may"


def _failures(arm: str, diverged: Mask, failed: Mask) -> Iterator[str]:
    """How many runs of an arm diverged, and how many collapsed; nothing where none did."""
    num, collapsed = len(failed), int((failed & ~diverged).sum())
    if diverged.any():
        yield f"{arm} diverged in {diverged.sum()} of {num} (scored as an untrained model)"
    if collapsed:
        yield f"{arm} collapsed in {collapsed} of {num} (far below its other runs)"


def units_text(pair: Pair, findings: Findings) -> str:
    """How many seeds or searches a pair was compared on, whether paired, and on how many samples.

    Test samples are named where the interval covers them.
    """
    sample, noun = pair.sample, "search" if findings.over_searches else "seed"
    num_test = findings.record.num_test
    samples = (
        f" and {plural(num_test, 'test sample')}"
        if num_test and pair.result.example_error >= 0
        else ""
    )
    if sample.paired:
        return plural(len(sample.a), f"paired {noun}") + samples
    return f"{len(sample.a)} and {plural(len(sample.b), f'unpaired {noun}')}{samples}"
