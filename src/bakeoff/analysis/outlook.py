"""What it would take to say more: more seeds, or more searches, and how long they would run."""

from collections.abc import Iterator

import numpy as np

from bakeoff.analysis.claims import subjects
from bakeoff.analysis.findings import Findings
from bakeoff.analysis.pairs import Pair
from bakeoff.analysis.wording import number, plural
from bakeoff.records.durations import format_estimate
from bakeoff.records.significance import (
    MIN_SEARCH_TRIALS,
    auto_seeds,
    min_confirmation_seeds,
    repeats_needed,
)

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


def next_step(findings: Findings) -> str:
    """What would bring a verdict, or after one search per arm a verdict on the arms themselves."""
    return step_to_verdict(findings) or step_to_arms(findings)


def step_to_arms(findings: Findings) -> str:
    """What it takes to compare the arms and not one configuration of each; empty at other levels.

    The number of searches is the one that usually shows a difference of two standard deviations
    between searches. The time assumes that each takes as long as the one that is there.
    """
    record = findings.record
    if findings.level != "L1" or record.foreign or len(record.arms) < 2:  # noqa: PLR2004
        return ""
    wanted = repeats_needed(len(record.arms))
    trials = min(own[0].num_trials for own in findings.searches.values())
    start = (
        "This compares one configuration of each arm. To compare the arms themselves, search each"
        f" {wanted} times ({min_confirmation_seeds(len(record.arms))} at least)"
    )
    if record.repeats >= wanted:
        return f"{start}: continue with `study run FILE`."
    missing = wanted - max(1, findings.repeats_counted)
    time = _repeat_seconds(findings) * missing
    about = f", about {format_estimate(time)} one after the other" if time > 0 else ""
    if trials < MIN_SEARCH_TRIALS:
        return (
            f"{start}, with at least {MIN_SEARCH_TRIALS} trials per arm: begin a study with"
            f" trials_per_arm = {MIN_SEARCH_TRIALS} and repeats = {wanted} in [search]."
        )
    return (
        f"{start}: set repeats = {wanted} in [search] of the study file and continue with"
        f" `study run FILE --extend` ({missing} more{about})."
    )


def _repeat_seconds(findings: Findings) -> float:
    """Seconds of one more search of all arms, with its shortlist, confirmation and defaults."""
    record = findings.record
    first = [run for run in (*record.trials, *record.confirmations) if run.repeat == 0]
    confirmed = [run for run in first if run.purpose in ("confirm", "default")]
    seeds = len({run.seed for run in confirmed})
    share = min(1.0, record.confirm.seeds_of(1) / seeds) if seeds else 0.0
    total = sum(run.train_seconds + run.evaluate_seconds for run in first)
    spent = sum(run.train_seconds + run.evaluate_seconds for run in confirmed)
    return total - (1 - share) * spent


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
            "What is stored cannot give a verdict. A verdict needs a study that"
            " searches each arm on its own and trains its chosen configuration again on"
            f" {need} fresh seeds: `study init` begins one."
        )
    return "" if findings.blocked_by is not None else _step_of_own_study(findings)


def _step_of_own_study(findings: Findings) -> str:
    record, need = findings.record, findings.min_seeds
    if record.repeats > 1 and record.confirm.seeds < need:
        if record.repeats < need:
            return (
                f"To get a verdict, set repeats = {repeats_needed(len(record.arms))} in [search] of"
                " the study file and continue with `study run FILE --extend`."
            )
        return "" if record.finished else "To get a verdict, continue with `study run FILE`."
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
    unit = "search" if findings.over_searches else "seed"
    if status == "not_enough_data" and 0 < have < findings.min_seeds:
        missing = findings.min_seeds - have
        yield (
            f"A verdict on {a} and {b} needs {plural(missing, f'more {unit}')} for each"
            f"{_time(pair, missing, findings)}."
        )
    needed = pair.result.seeds_to_decide
    if status != "no_difference_shown" or not pair.sample.paired or pair.result.mean == 0:
        return
    if needed is None and not pair.sample.failed:
        yield (
            f"No affordable number of {plural(2, unit).removeprefix('2 ')} would separate"
            f" {subjects([a, b], findings.level)} at their present mean difference; only other"
            f" {'settings of the search' if unit == 'search' else 'configurations'} or other test"
            " samples could."
        )
    elif needed is not None and needed > have:
        yield (
            f"To show the present mean difference of {subjects([a, b], findings.level)}"
            f" ({number(abs(pair.result.mean))}) would take about {plural(needed, unit)} for each,"
            f" {needed - have:,} more than now{_time(pair, needed - have, findings)}."
        )


def _time(pair: Pair, missing: int, findings: Findings) -> str:
    """How long so many more seeds or searches of both arms take; empty if no time was recorded."""
    each = [_seconds(arm, findings) for arm in pair.names if arm in findings.units]
    total = missing * sum(each)
    if len(each) < len(pair.names) or not total > 0:
        return ""
    return f" (about {format_estimate(total)} at the speed of the runs so far, one after the other)"


def _seconds(arm: str, findings: Findings) -> float:
    """Seconds of one more unit of an arm: a confirmation run, or a search with all its runs."""
    if not findings.over_searches:
        runs = findings.runs[arm].runs
        return float(np.median([run.train_seconds + run.evaluate_seconds for run in runs]))
    runs = (*findings.record.trials, *findings.record.confirmations)
    own = [run for run in runs if run.arm == arm]
    total = sum(run.train_seconds + run.evaluate_seconds for run in own)
    return total / len({run.repeat for run in own})
