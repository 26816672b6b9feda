"""Decides at a declared look whether more confirmation seeds are needed."""

from dataclasses import replace

from bakeoff.analysis.comparison import compare
from bakeoff.records import Status, StudyRecord

DECIDED: frozenset[Status] = frozenset({"clearly_better", "better", "practically_equal"})
"""What a pair of arms may be when more seeds would not be trained for it."""


def is_decided(record: StudyRecord) -> bool:
    """Whether the first repeat's confirmation so far decides every pair, at this look's error rate.

    The comparison spends the error rate over the looks that the study declared. A study without a
    pair is never decided, so all its seeds are trained.
    """
    first = replace(
        record,
        repeats=1,
        trials=tuple(run for run in record.trials if run.repeat == 0),
        confirmations=tuple(run for run in record.confirmations if run.repeat == 0),
    )
    pairs = compare(first).pairs
    return bool(pairs) and all(pair.status in DECIDED for pair in pairs)
