"""Looking at results more than once: the error rate of each declared look.

Looks are declared in the study file as numbers of confirmation seeds (`confirm.looks`).
"""

import math
from collections.abc import Sequence
from itertools import pairwise

from scipy import stats

from bakeoff.analysis.statistics import num_pairs_of
from bakeoff.records.significance import ALPHA

MOST_SPENT_EARLY = 0.5
"""All looks before the last one spend at most this share of the error rate."""


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
    rates = []
    for look, (before, after) in zip(looks[:-1], pairwise([0.0, *spent]), strict=False):
        floor = num_pairs_of(num_arms) * 2.0 ** (1 - look)
        rate = max(after - before, floor * (1 + 1e-9))  # p equals the floor, and must be below
        is_affordable = sum(rates) + rate <= MOST_SPENT_EARLY * ALPHA
        rates.append(rate if is_affordable else 0.0)
    return (*rates, ALPHA - sum(rates))


def obrien_fleming(share: float) -> float:
    """Error rate spent when this share of the seeds has been looked at: 0.0056 at one half."""
    quantile = float(stats.norm.isf(ALPHA / 2))
    return 2 * float(stats.norm.sf(quantile / math.sqrt(share)))
