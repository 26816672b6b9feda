"""The error rates that every test and interval of a report is held to, and the seeds they need."""

import math

from bakeoff.records.power_table import DETECTABLE

ALPHA = 0.05
"""Probability of a false claim that all tests of one question share (family-wise, after Holm)."""
POWER = 0.8
"""Probability with which a detectable difference is shown."""
DEVIATIONS_TO_DETECT = 2.0
"""The difference between two arms that a study should usually show, in standard deviations of an
arm's scores over seeds (or of what its searches find)."""

CONFIDENCE = 1 - ALPHA
CONFIDENCE_TEXT = f"{CONFIDENCE:.0%}".replace("%", " %")
"""How the level of a single interval is written in text."""

MIN_SEARCH_TRIALS = 20
"""Trials of an arm from which a search is one of those that compare arms (level L2)."""
MIN_SEARCH_SEEDS = 2
"""Confirmation seeds from which it is; its score is their mean."""


def min_confirmation_seeds(num_arms: int, alpha: float = ALPHA) -> int:
    """The smallest number of paired seeds that can support a verdict for this many arms.

    The exact sign-flip test on K pairs cannot give a two-sided p below 2 / 2**K, and Holm's
    correction over all m = M(M-1)/2 pairs requires the smallest p to stay below alpha / m. So
    K = ceil(1 + log2(m / alpha)): 6, 7, 8, 9, 10 for 2 to 6 arms and alpha 0.05. With fewer than
    two arms there is no pair to decide, and the number for two is returned.
    """
    num_pairs = max(1, num_arms * (num_arms - 1) // 2)
    return math.ceil(1 + math.log2(num_pairs / alpha))


def auto_seeds(num_arms: int) -> int:
    """The fewest confirmation seeds that usually show a difference of 2 standard deviations.

    "Usually" is a probability of 0.8 for each pair, by the rule that decides, where one arm is
    ahead of the others: 7, 9, 10, 11, 12 for 2 to 6 arms and 14 for 8. Above 10 arms, as many more
    as `min_confirmation_seeds` grows by. Scores of two arms are taken as independent, so that their
    difference varies by sqrt(2) standard deviations of one of them.

    Source: `tests/benchmarks/power_table.py`, by simulation.
    """
    largest = max(DETECTABLE)
    if num_arms > largest:
        more = min_confirmation_seeds(num_arms) - min_confirmation_seeds(largest)
        return auto_seeds(largest) + more
    num_arms = max(num_arms, min(DETECTABLE))
    allowed = DEVIATIONS_TO_DETECT / math.sqrt(2)
    return min_confirmation_seeds(num_arms) + next(
        more for more, cell in enumerate(DETECTABLE[num_arms]) if cell <= allowed
    )


def repeats_needed(num_arms: int) -> int:
    """Searches of every arm that usually show a difference of 2 standard deviations between arms.

    The rule that decides is the same with searches as units, so the number is that of seeds. Level
    L2 is reached from `min_confirmation_seeds` searches on, where the rule can decide at all.
    """
    return auto_seeds(num_arms)
