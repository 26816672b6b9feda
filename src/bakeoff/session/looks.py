"""Decides at a declared look whether more confirmation seeds are needed."""

from bakeoff.records import Status, StudyRecord

DECIDED: frozenset[Status] = frozenset({"clearly_better", "better", "practically_equal"})
"""What a pair of arms may be when more seeds would not be trained for it."""


def is_decided(record: StudyRecord) -> bool:
    """Whether the first repeat's confirmation so far decides every pair, at this look's error rate.

    The comparison spends the error rate over the looks that the study declared. A study without a
    pair is never decided, so all its seeds are trained.
    """
    from bakeoff.analysis.findings import decide  # its statistics take a while to import

    pairs = decide(record.first_search).pairs
    return bool(pairs) and all(pair.result.status in DECIDED for pair in pairs)
