"""Differences that the deciding rule shows in 80 % of studies, by simulation.

Written by `tests/benchmarks/power_table.py`, which says how; a test recomputes cells.
"""

DETECTABLE: dict[int, tuple[float, ...]] = {
    2: (1.80, 1.36, 1.20, 1.10, 1.01, 0.94, 0.90, 0.86, 0.82, 0.79, 0.75),
    3: (1.88, 1.51, 1.35, 1.25, 1.15, 1.08, 1.02, 0.98, 0.92, 0.90),
    4: (1.94, 1.59, 1.41, 1.30, 1.20, 1.15, 1.09, 1.02, 0.99),
    5: (1.98, 1.59, 1.42, 1.30, 1.23, 1.17, 1.11, 1.05),
    6: (1.84, 1.55, 1.40, 1.31, 1.23, 1.18, 1.11),
    7: (2.02, 1.68, 1.48, 1.38, 1.30, 1.23, 1.16),
    8: (1.80, 1.57, 1.44, 1.35, 1.26, 1.20),
    9: (2.07, 1.66, 1.51, 1.40, 1.29, 1.23),
    10: (2.08, 1.76, 1.56, 1.45, 1.34, 1.31),
}
"""By number of arms: standard deviations of a paired difference that are detected with the fewest
seeds that can decide (`min_confirmation_seeds`), one seed more, and so on, up to 16 seeds."""
