"""How many more runs would show a difference between two arms, and how long they would take."""

from collections.abc import Iterator

import numpy as np

from bakeoff.analysis.findings import Findings
from bakeoff.analysis.pairs import Pair
from bakeoff.analysis.searches import Runs
from bakeoff.analysis.wording import number, plural
from bakeoff.records.durations import format_estimate
from bakeoff.records.significance import auto_seeds

MAX_PAIRS = 6
"""Sentences are written for no more pairs than this."""


def outlook_sentences(findings: Findings) -> Iterator[str]:
    """A sentence for each pair of the leading group, or of all arms where there is no verdict.

    Times assume that runs take as long as the existing confirmation runs, one after the other.
    """
    if findings.blocked_by is not None:
        return
    group = set(findings.leading) or {arm.arm for arm in findings.arms}
    pairs = [pair for pair in findings.pairs if set(pair.names) <= group]
    for pair in pairs[:MAX_PAIRS]:
        yield from _outlook(pair, findings)


def step_to_verdict(findings: Findings) -> str:
    """How to get a verdict where there is none yet; empty where more runs would not give one.

    They would not if the test set was read early or there is one arm; and there is nothing to
    confirm if no trial completed.
    """
    record, need = findings.record, findings.min_seeds
    is_open = findings.level == "L0" and findings.blocked_by != "test_set_read"
    nothing_found = record.finished and all(arm.search_best is None for arm in findings.arms)
    if not is_open or nothing_found or len(record.arms) < 2:  # noqa: PLR2004 - nothing to compare
        return ""
    if record.foreign:
        return (
            "The content of this database cannot give a verdict. A verdict needs a study that"
            " searches each arm on its own and trains its chosen configuration again on"
            f" {need} fresh seeds: `study init` begins one."
        )
    if findings.blocked_by is not None:
        return ""
    if record.confirm.seeds < need:
        return (
            'To get a verdict, set seeds = "auto" in [confirm] of the study file'
            f" ({auto_seeds(len(record.arms))} for this many arms) and continue with"
            " `study run FILE --extend`."
        )
    if not record.finished:
        return "To get a verdict, continue with `study run FILE`: it confirms what it has found."
    return ""


def _outlook(pair: Pair, findings: Findings) -> Iterator[str]:
    a, b = pair.names
    have, status = pair.sample.num_seeds, pair.result.status
    if status == "not_enough_data" and 0 < have < findings.min_seeds:
        missing = findings.min_seeds - have
        yield (
            f"A verdict on {a} and {b} needs {plural(missing, 'more seed')} for each"
            f"{_time(pair, missing, findings.runs)}."
        )
    needed = pair.result.seeds_to_decide
    if status != "no_difference_shown" or not pair.sample.paired or pair.result.mean == 0:
        return
    if needed is None and not pair.sample.failed:
        yield (
            f"No affordable number of seeds would separate {a} and {b} at their present mean"
            " difference; only other configurations or other test samples could."
        )
    elif needed is not None and needed > have:
        yield (
            f"To show the present mean difference of {a} and {b} ({number(abs(pair.result.mean))})"
            f" would take about {plural(needed, 'seed')} for each, {needed - have:,} more than now"
            f"{_time(pair, needed - have, findings.runs)}."
        )


def _time(pair: Pair, missing: int, runs: Runs) -> str:
    """How long so many more runs of both arms take; empty where no time was recorded."""
    each = [
        float(np.median([run.train_seconds + run.evaluate_seconds for run in runs[arm].runs]))
        for arm in pair.names
        if arm in runs
    ]
    total = missing * sum(each)
    if len(each) < len(pair.names) or not total > 0:
        return ""
    return f" (about {format_estimate(total)} at the speed of the runs so far, one after the other)"
