"""The error rates that every test and interval of a report is held to."""

import math

ALPHA = 0.05
"""Probability of a false claim that all tests of one question share (family-wise, after Holm)."""

CONFIDENCE = 1 - ALPHA
CONFIDENCE_TEXT = f"{CONFIDENCE:.0%}".replace("%", " %")
"""How the level of a single interval is written in text."""

MIN_SEARCH_TRIALS = 20
"""Trials of an arm from which a search is one of those that compare arms (level L2)."""
MIN_SEARCH_SEEDS = 2
"""Confirmation seeds from which it is; its score is their mean."""


def min_confirmation_seeds(num_arms: int) -> int:
    """The smallest number of paired seeds that can support a verdict for this many arms.

    The exact sign-flip test on K pairs cannot give a two-sided p below 2 / 2**K, and Holm's
    correction over all m = M(M-1)/2 pairs requires the smallest p to stay below ALPHA / m. So
    K = ceil(1 + log2(m / ALPHA)): 6, 7, 8, 9, 10 for 2 to 6 arms. With fewer than two arms there
    is no pair to decide, and the number for two is returned.
    """
    num_pairs = max(1, num_arms * (num_arms - 1) // 2)
    return math.ceil(1 + math.log2(num_pairs / ALPHA))
