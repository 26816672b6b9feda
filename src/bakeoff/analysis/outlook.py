"""What it would take to tell two arms apart, and how long that would take here."""

from collections.abc import Iterator, Sequence

import numpy as np

from bakeoff.analysis.arm_summary import Runs
from bakeoff.analysis.findings import Findings
from bakeoff.analysis.pairs import Pair
from bakeoff.analysis.wording import number, plural
from bakeoff.durations import format_estimate
from bakeoff.records import TrialRecord

MAX_PAIRS = 6
"""More pairs than this are not spelled out."""


def outlook_sentences(findings: Findings) -> Iterator[str]:
    """A sentence for each pair in question: of the leading group, or of all arms without a verdict.

    Times are those of the confirmation runs that there are, one after the other.
    """
    if findings.blocked_by is not None:
        return
    group = set(findings.leading) or {arm.arm for arm in findings.arms}
    pairs = [pair for pair in findings.pairs if set(pair.names) <= group]
    for pair in pairs[:MAX_PAIRS]:
        sentence = _outlook(pair, findings)
        if sentence is not None:
            yield sentence


def step_to_verdict(findings: Findings) -> str:
    """What brings a verdict where there is none yet; empty where more runs would not bring it.

    They would not after a test set was read early or with one arm, and there is nothing to confirm
    while no trial is complete.
    """
    record, need = findings.record, findings.min_seeds
    is_open = findings.level == "L0" and findings.blocked_by != "test_set_read"
    nothing_found = record.finished and all(arm.search_best is None for arm in findings.arms)
    if not is_open or nothing_found or len(record.arms) < 2:  # noqa: PLR2004 - nothing to compare
        return ""
    if record.foreign:
        return (
            "What such a database holds cannot give a verdict. It takes a study that searches each"
            f" arm on its own and trains its choice again on {need} fresh seeds: `study init`"
            " begins one."
        )
    if findings.blocked_by is not None:
        return ""
    if record.confirm.seeds < need:
        return (
            f'To get a verdict, set seeds = "auto" in [confirm] of the study file ({need} for this'
            " many arms) and continue with `study run FILE --extend`."
        )
    if not record.finished:
        return "To get a verdict, continue with `study run FILE`: it confirms what it has found."
    return ""


def _outlook(pair: Pair, findings: Findings) -> str | None:
    a, b = pair.names
    have, status = pair.sample.num_seeds, pair.result.status
    if status == "not_enough_data" and 0 < have < findings.min_seeds:
        missing = findings.min_seeds - have
        return (
            f"A verdict on {a} and {b} takes {plural(missing, 'more seed')} for each"
            f"{_time(pair, missing, findings.runs)}."
        )
    needed = pair.result.seeds_to_decide
    if status != "no_difference_shown" or not pair.sample.paired or pair.result.mean == 0:
        return None
    if needed is None:
        return None if pair.sample.diverged else (
            f"No affordable number of seeds would tell {a} and {b} apart at their present mean"
            " difference; only other configurations or other test samples could."
        )  # fmt: skip
    missing = needed - have
    if missing <= 0:
        return None
    return (
        f"To show the present mean difference of {a} and {b}"
        f" ({number(abs(pair.result.mean))}) would take about {plural(needed, 'seed')} for each,"
        f" {missing:,} more{_time(pair, missing, findings.runs)}."
    )


def _time(pair: Pair, missing: int, runs: Runs) -> str:
    """How long so many more runs of both arms take; empty where no time was recorded."""
    each = [_seconds(runs[arm].runs) for arm in pair.names if arm in runs]
    total = missing * sum(each)
    if len(each) < len(pair.names) or not total > 0:
        return ""
    return f" (about {format_estimate(total)} here, one run after the other)"


def _seconds(runs: Sequence[TrialRecord]) -> float:
    return float(np.median([run.train_seconds + run.evaluate_seconds for run in runs]))
