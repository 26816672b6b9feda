"""Simulate the power of the rule that decides, and print the table `bakeoff.records.power_table`.

    python tests/benchmarks/power_table.py > src/bakeoff/records/power_table.py

One arm is ahead of M - 1 equal arms by d standard deviations of a paired difference; scores are
normal and independent. A pair is decided if the exact sign-flip test with Holm's correction over
all M (M - 1) / 2 pairs and the t interval of level 1 - 0.05 / m both say so, as in
`bakeoff.analysis.pairs`. A cell is the smallest d that the ahead arm shows against another arm in
80 % of studies: 16,000 up to 10 seeds, then fewer, 2,000 for 16 (standard errors of a cell about
0.005 and 0.015). It takes about 20 minutes of one core.
"""

from itertools import combinations

import numpy as np
import numpy.typing as npt
from scipy import special

from bakeoff.records.significance import ALPHA, POWER, min_confirmation_seeds

Array = npt.NDArray[np.float32]

ARMS = range(2, 11)
LARGEST = 16
"""Above this number of seeds, the exact test follows the t test with a constant ratio."""
STUDIES = {10: 16_000, 12: 8_000, 14: 4_000, 16: 2_000}
"""Simulated studies up to so many seeds."""
STEPS = 8

HEADER = '''"""Differences that the deciding rule shows in 80 % of studies, by simulation.

Written by `tests/benchmarks/power_table.py`, which says how; a test recomputes cells.
"""

DETECTABLE: dict[int, tuple[float, ...]] = {'''
FOOTER = '''}
"""By number of arms: standard deviations of a paired difference that are detected with the fewest
seeds that can decide (`min_confirmation_seeds`), one seed more, and so on, up to 16 seeds."""'''


def exact_p(differences: Array) -> Array:
    """Two-sided sign-flip p values [N] of paired differences [N, K]."""
    num = differences.shape[1]
    patterns = np.arange(2 ** (num - 1))[:, None] >> np.arange(num)
    signs = np.where(patterns & 1, -1, 1).astype(np.float32)  # the last sign stays: half of them
    found = [_counted(chunk, signs) for chunk in np.array_split(differences, _chunks(differences))]
    return np.concatenate(found) / 2 ** (num - 1)


def _chunks(differences: Array) -> int:
    return max(1, len(differences) * 2 ** (differences.shape[1] - 1) // 20_000_000)


def _counted(differences: Array, signs: Array) -> Array:
    sums = np.abs(differences @ signs.T)
    return np.count_nonzero(sums >= sums[:, :1] * (1 - 1e-5), axis=1)


def power(scores: Array, ahead: float, null_p: Array) -> float:
    """Share of studies [N, M, K] that decide between the arm ahead by `ahead` and the second.

    Args:
        scores: Scores of equal arms, with standard deviation 1.
        ahead: Shift of the first arm, in standard deviations of a paired difference.
        null_p: p values of the pairs among the other arms, [N, pairs].
    """
    num, arms, seeds = scores.shape
    differences = scores[:, :1] - scores[:, 1:] + np.float32(ahead * np.sqrt(2))
    p = exact_p(differences.reshape(-1, seeds)).reshape(num, arms - 1)
    all_p = np.sort(np.concatenate([p, null_p], axis=1), axis=1)
    pairs = all_p.shape[1]
    adjusted = np.maximum.accumulate((pairs - np.arange(pairs)) * all_p, axis=1)
    shown = np.take_along_axis(adjusted, (all_p < p[:, :1]).sum(axis=1)[:, None], axis=1)[:, 0]
    first = differences[:, 0]
    t = first.mean(axis=1) / first.std(axis=1, ddof=1) * np.sqrt(seeds)
    critical = special.stdtrit(seeds - 1, 1 - ALPHA / pairs / 2)
    return float(np.mean((shown < ALPHA) & (t > critical)))


def detectable(num_arms: int, seeds: int) -> float:
    """The difference in standard deviations that is shown with probability `POWER`."""
    studies = next(count for most, count in STUDIES.items() if seeds <= most)
    rng = np.random.default_rng((num_arms, seeds))
    scores = rng.normal(size=(studies, num_arms, seeds)).astype(np.float32)
    others = list(combinations(range(1, num_arms), 2))
    null = [exact_p(scores[:, i] - scores[:, j]) for i, j in others]
    null_p = np.stack(null, axis=1) if null else np.empty((studies, 0), np.float32)
    low, high = 0.5, 2.5
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if power(scores, middle, null_p) >= POWER else (middle, high)
    return (low + high) / 2


def main() -> None:
    print(HEADER)
    for num_arms in ARMS:
        least = min_confirmation_seeds(num_arms)
        cells = [detectable(num_arms, seeds) for seeds in range(least, LARGEST + 1)]
        listed = ", ".join(f"{cell:.2f}" for cell in cells)
        print(f"    {num_arms}: ({listed}),", flush=True)
    print(FOOTER)


if __name__ == "__main__":
    main()
