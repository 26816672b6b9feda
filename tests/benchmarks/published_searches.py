"""Known answers D and E: published random searches, compared with what our statistics say of them.

    python tests/benchmarks/published_searches.py DATA

DATA is the folder `data` of the repository nicholaslourie/opda. Its licence, CC BY-SA 4.0, is not
ours, so the data is no part of this repository and no test reads it. Prints a line for each number
(what it is, ours, the one expected) and ends with 1 if one is further off than its last digit.
"""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bakeoff.analysis.pruning import spearman
from bakeoff.analysis.statistics import Scores, wilson_interval
from bakeoff.analysis.tuning import expected_best_of_k, probability_best_of_k, trials_for_success

Run = dict[str, Any]
BUDGETS = (1, 2, 5, 10, 20, 48)
DEBERTA = {
    "deberta-base": (0.73318, 0.84178, 0.88321, 0.88610, 0.88724, 0.88809),
    "deberta-v3-base": (0.76464, 0.86812, 0.90183, 0.90389, 0.90475, 0.90541),
}
BETTER = (0.7379, 0.8942, 0.9931, 0.9999, 1.0, 1.0)
PAIRED_SHARE = 0.8716
IMAGENET = {
    "alexnet/alexnet_tuning": (
        147, (0.2496, 0.3278), 0.58558, 7, 218, (0.786, 0.957, 0.973), 0.522
    ),
    "convnext/convnext-tiny_tuning": (
        224, (0.3952, 0.4808), 0.74888, 4, 382, (0.637, 0.865, 0.930), 0.188
    ),
}  # fmt: skip
"""Diverged of 512, Wilson interval of their share, best score, runs within .01 of it, trials needed,
rank correlation with the end at 10, 25 and 50 % of the schedule, and at the third epoch."""
RUNGS = (0.10, 0.25, 0.50)
EARLY_EPOCH = 3
NEAR = 0.01


class Line(NamedTuple):
    """One number, ours and the published one."""

    what: str
    ours: float
    expected: float
    tolerance: float


def main() -> None:
    """Compare all numbers and say which differ."""
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    differ = 0
    for line in compare_published(Path(sys.argv[1])):
        is_off = abs(line.ours - line.expected) > line.tolerance
        differ += is_off
        print(f"{line.what}: {line.ours:.6g}, expected {line.expected:g}{' DIFFERS' * is_off}")
    raise SystemExit(1 if differ else 0)


def compare_published(folder: Path) -> Iterator[Line]:
    """Every number of D, then of E."""
    models = {name: read_runs(folder / "deberta" / f"{name}.results.jsonl") for name in DEBERTA}
    scores = {name: np.array([last_matched(run) for run in runs]) for name, runs in models.items()}
    base, v3 = scores.values()
    for name, expected in DEBERTA.items():
        for k, value in zip(BUDGETS, expected, strict=True):
            yield Line(f"{name}, E_{k}", expected_best_of_k(scores[name], k), value, 5e-6)
    for k, value in zip(BUDGETS, BETTER, strict=True):
        yield Line(f"P_{k}(V3 > base)", probability_best_of_k(v3, base, k), value, 5e-5)
    ahead = float(np.mean((v3 > base) + (v3 == base) / 2))
    yield Line("paired share of V3", ahead, PAIRED_SHARE, 5e-5)
    for name, expected in IMAGENET.items():
        yield from _compare_imagenet(name, read_runs(folder / f"{name}.results.jsonl"), expected)


def _compare_imagenet(name: str, runs: list[Run], expected: tuple[Any, ...]) -> Iterator[Line]:
    diverged, interval, best, near, trials, rungs, early = expected
    scores = np.array([best_top_1(run) for run in runs])
    top = float(scores.max())
    share = float(np.mean(scores >= top - NEAR))
    ended = sum(run["nan_train_loss"] for run in runs)
    low, high = wilson_interval(ended / len(runs), len(runs))
    yield Line(f"{name}, diverged", ended, diverged, 0)
    yield Line(f"{name}, diverged at least", low, interval[0], 5e-5)
    yield Line(f"{name}, diverged at most", high, interval[1], 5e-5)
    yield Line(f"{name}, best", top, best, 5e-6)
    yield Line(f"{name}, runs near it", share * len(runs), near, 1e-6)
    yield Line(f"{name}, trials needed", trials_for_success(share), trials, 0)
    complete = [run for run in runs if len(run["learning_curve"]) == run["epochs"]]
    for part, value in zip(RUNGS, rungs, strict=True):
        found = rung_correlation(complete, lambda run, part=part: round(part * run["epochs"]))
        yield Line(f"{name}, Spearman at {part:.0%}", found, value, 5e-3)
    found = rung_correlation(complete, lambda _: EARLY_EPOCH)
    yield Line(f"{name}, Spearman at epoch {EARLY_EPOCH}", found, early, 5e-3)


def read_runs(path: Path) -> list[Run]:
    """The runs of one search, by their number."""
    runs = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
    return sorted(runs, key=lambda run: int(run["iteration"]))


def last_matched(run: Run) -> float:
    """Accuracy on the matched validation set at the last step."""
    return float(run["learning_curves"]["matched"][-1][1])


def best_top_1(run: Run) -> float:
    """Top-1 accuracy of the best epoch, also of a run that diverged later; 0 without any."""
    return max((float(epoch["top_1"]) for epoch in run["learning_curve"]), default=0.0)


def rung_correlation(runs: list[Run], epoch_of: Callable[[Run], int]) -> float:
    """Rank correlation of the score after so many epochs, at least one, with the best one."""
    at_rung: Scores = np.array(
        [run["learning_curve"][max(1, epoch_of(run)) - 1]["top_1"] for run in runs]
    )
    return spearman(at_rung, np.array([best_top_1(run) for run in runs]))


if __name__ == "__main__":
    main()
