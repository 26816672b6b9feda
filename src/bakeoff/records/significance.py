"""The error rates that every test and interval of a report is held to, and the seeds they need."""

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import NormalDist

from bakeoff.records.power_table import DETECTABLE

ALPHA = 0.05
"""Probability of a false claim that all tests of one question share (family-wise, after Holm)."""
POWER = 0.8
"""Probability with which a detectable difference is shown."""
DEVIATIONS_TO_DETECT = 2.0
"""The difference between two arms that a study should usually show, in standard deviations of an
arm's scores over seeds (or of what its searches find)."""
MOST_SPENT_EARLY = 0.5
"""Share of the error rate up to which a look may spend more than its function gives it."""

CONFIDENCE = 1 - ALPHA
CONFIDENCE_TEXT = f"{CONFIDENCE:.0%}".replace("%", " %")
"""How the level of a single interval is written in text."""

GATE_ALPHA = 0.01
"""Probability that a gate calls code worse that loses no more than the margin, and that it calls
code not worse that loses the margin or more."""
GATE_SEEDS = 12
"""Seeds of a gate. A loss that exceeds the margin by 2 standard deviations over seeds is found by
them with probability 0.97 (simulated), which leaves some room for scores that are not normal."""
MOST_GATE_SEEDS = 40
"""More are not trained unless they are asked for."""

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
    return min_units(_num_pairs(num_arms), alpha)


def min_units(num_tests: int, alpha: float = ALPHA) -> int:
    """The fewest units with which an exact sign-flip test can decide one of `num_tests` questions.

    Its smallest two-sided p, 2 / 2**K, must stay below alpha / num_tests for Holm's first step.
    """
    return math.ceil(1 + math.log2(num_tests / alpha))


def auto_seeds(num_arms: int) -> int:
    """The fewest confirmation seeds that usually show a difference of 2 standard deviations.

    "Usually" is a probability of 0.8 for each pair, by the rule that decides, where one arm is
    ahead of the others: 7, 9, 10, 12, 12 for 2 to 6 arms and 14 for 8. Above 10 arms, as many more
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


def alpha_at(looks: Sequence[int], num_seeds: int, num_arms: int) -> float:
    """The error rate that all pairs share at the look taken with `num_seeds` seeds.

    The rates of all looks sum to 0.05, so that the probability of any false claim stays below it
    whatever test is used (the union bound; rates that use the dependence between looks would gain
    little). Each look spends what an O'Brien-Fleming-type function assigns to it, but at least what
    the exact test needs to decide anything at that number of seeds, `m * 2 / 2**K`, as long as
    enough is left for the last look; a look that cannot decide anything spends nothing.

    Between two looks the rate is that of the earlier one, before the first look that of the first,
    and above the last that of the last. Without looks it is 0.05.

    Source: O'Brien and Fleming 1979; Lan and DeMets 1983 (spending function
    `2 - 2 Phi(z / sqrt(t))`, with t the share of the seeds).
    """
    if not looks:
        return ALPHA
    rates = look_rates(looks, num_arms)
    return rates[max(0, sum(look <= num_seeds for look in looks) - 1)]


def look_rates(looks: Sequence[int], num_arms: int) -> tuple[float, ...]:
    """The error rate of each of the declared looks, which rise; their sum is 0.05."""
    spent = [obrien_fleming(look / looks[-1]) for look in looks]
    rates: list[float] = []
    for look, (before, after) in zip(looks[:-1], pairwise([0.0, *spent]), strict=False):
        floor = _num_pairs(num_arms) * 2.0 ** (1 - look) * (1 + 1e-9)  # p must be below it
        left = max(after, MOST_SPENT_EARLY * ALPHA) - sum(rates)
        rate = min(max(after - before, floor), left)
        rates.append(rate if rate >= floor else 0.0)
    return (*rates, ALPHA - sum(rates))


def obrien_fleming(share: float) -> float:
    """Error rate spent when this share of the seeds has been looked at: 0.0056 at one half."""
    normal = NormalDist()
    return 2 * normal.cdf(normal.inv_cdf(ALPHA / 2) / math.sqrt(share))


def _num_pairs(num_arms: int) -> int:
    return max(1, math.comb(num_arms, 2))
