"""The default search on made-up tables whose early epochs say little; see tests/benchmarks."""

import sys
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
NUM_TABLES, NUM_SEEDS, NUM_RUNS = 2, 6, 20


@pytest.fixture(name="benchmarks", scope="module")
def _benchmarks():
    sys.path.insert(0, str(BENCHMARKS))
    import bakeoff_replay
    import weak_signal

    yield bakeoff_replay, weak_signal
    sys.path.remove(str(BENCHMARKS))


@pytest.mark.slow
@pytest.mark.parametrize("family", ["crossing", "slow", "noisy"])
def test_where_early_epochs_say_little_the_default_is_no_worse_than_random_whole_runs(
    benchmarks, family
):
    """Of the budget of 20 whole runs: how many configurations end better than the chosen one."""
    replay, weak_signal = benchmarks
    tables = list(islice(weak_signal.family_tables(family), NUM_TABLES))
    for table in tables:
        assert weak_signal.first_correlation(table) <= weak_signal.MOST_CORRELATION
    budget = {"epochs_per_arm": NUM_RUNS * tables[0].num_evaluations}

    def shares(**search):
        jobs = [(table, seed) for table in tables for seed in range(NUM_SEEDS)]
        found = [replay.choose(table, seed, {**search, **budget}) for table, seed in jobs]
        assert max(cost for _, cost in found) <= budget["epochs_per_arm"]
        return np.array([share for share, _ in found])

    worse = shares() - shares(sampler="random", pruner="none")
    noise = worse.std(ddof=1) / np.sqrt(len(worse))
    assert worse.mean() <= 2 * noise
