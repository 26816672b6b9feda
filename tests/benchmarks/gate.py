"""How often does `study gate` catch a regression, and how often does it flag a harmless change?

    python tests/benchmarks/gate.py [--gates N] [--work DIR] [--output DIR]

Trains three versions of the code of one small network on the digits that ship with scikit-learn, by
the same calls as `study gate`, in one worker of one thread:

* before the change: a hidden layer of 32 units, with its activation;
* a harmless change: the layers are made in another order, so that every weight is drawn anew;
* a regression: a sigmoid on the outputs, although the loss (cross entropy) expects logits.

A measurement on seeds of its own tells how much the mistake costs and how far scores vary over
seeds. The accepted loss d is then set so that the regression costs d + 2 standard deviations.
Afterwards N gates are judged, each with a baseline and seeds of its own, which no other gate and
not the measurement has. Every trained seed is kept in the work folder, so that the same command
continues.
"""

import argparse
import csv
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from pathlib import Path

import numpy as np

from bakeoff.analysis.gate import judge
from bakeoff.analysis.statistics import Scores, wilson_interval
from bakeoff.engines.open import EngineSettings, open_engine
from bakeoff.engines.stopping import StopRequest
from bakeoff.own_source import look_in
from bakeoff.production.gate_file import commit_of
from bakeoff.production.gate_runs import SeedStore, SeedTrainer
from bakeoff.production.one_configuration import Chosen, fix_settings
from bakeoff.records import GateRun, MetricInfo
from bakeoff.records.significance import DEVIATIONS_TO_DETECT, GATE_ALPHA, GATE_SEEDS
from bakeoff.seeding import derive_seed
from bakeoff.studyfile import load_study_file
from bakeoff.version import __version__

STUDY = """\
[study]
name = "gate-benchmark"

[data]
dataset = "digits"
validation_fraction = 0.2

[model]
model = "net:build"

[training]
epochs = 4
batch_size = 64
precision = "fp32"

[search]
optimizers = ["sgd"]
schedulers = ["constant"]

[space.sgd]
learning_rate = 0.1
momentum = 0.9
"""
CODE = """\
import torch
from torch import nn


def build(input_shape, num_outputs):
    hidden = nn.Linear(64, 32)
    output = nn.Linear(32, num_outputs)
    return nn.Sequential(nn.Flatten(), hidden, nn.ReLU(), output)
"""
REGRESSION = ("nn.ReLU(), output", "nn.ReLU(), output, nn.Sigmoid()")
"""An activation on the outputs, although the loss expects logits."""
VERSIONS = {
    "before": CODE,
    "harmless": CODE.replace("    hidden = nn.Linear(64, 32)\n", "").replace(
        "num_outputs)\n    return", "num_outputs)\n    hidden = nn.Linear(64, 32)\n    return"
    ),
    "regression": CODE.replace(*REGRESSION),
}
MEASURED_SEEDS = 120
"""Seeds of the measurement."""
STRICT = 1e-6
"""An accepted loss so small that a change without any effect lies on it."""


class Quiet:
    """Shows nothing but notes."""

    def note(self, text: str) -> None:
        print(text)

    def ended(self, run: GateRun, num_done: int) -> None:
        """A line for every run would be too many."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One gate."""

    gate: int
    change: str
    accepted_loss: float
    decision: str
    mean_difference: float
    sd_difference: float
    ci_low: float
    ci_high: float
    p_worse: float
    p_not_worse: float


def seeds_of(name: str, place: int, num: int) -> list[int]:
    """Seeds that no other gate has, and not the measurement either."""
    return [derive_seed(0, name, place, number) for number in range(num)]


def train(name: str, seeds: Sequence[int], work: Path) -> dict[int, float]:
    """Validation accuracy of a version of the code by seed; what is trained already is only read."""
    folder = work / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "net.py").write_text(VERSIONS[name])
    (folder / "study.toml").write_text(STUDY)
    store = SeedStore(folder)
    if any(seed not in store.done for seed in seeds):
        config = fix_settings(load_study_file(folder / "study.toml"), Chosen())
        look_in(config.folder)
        note_commit(work)
        with StopRequest().listening() as stop, open_engine(EngineSettings()) as engine:
            trainer = SeedTrainer(
                config=config,
                precision="fp32",
                weights_sha256="",
                num_targets=1,
                workers=1,
                engine=engine,
                stop=stop,
                store=store,
                observer=Quiet(),
            )
            trainer.train(seeds)
    return {seed: run.score for seed, run in store.done.items() if run.score is not None}


def note_commit(work: Path) -> None:
    """Remember the commit of the code that trains, next to what it trains."""
    path, commit = work / "commits.txt", commit_of(str(Path(__file__).parent))
    known = path.read_text().splitlines() if path.exists() else []
    path.write_text("\n".join(dict.fromkeys([*known, commit])))


def judge_gates(scores: dict[str, dict[int, float]], num: int, margin: float) -> list[Row]:
    """A gate for the harmless change and one for the regression, `num` times."""
    metric = MetricInfo(name="accuracy", direction="maximize", low=0.0, high=1.0)
    rows = []
    for change in ("harmless", "regression"):
        for place in range(num):
            seeds = seeds_of("gate", place, GATE_SEEDS)
            current, baseline = (
                np.array([scores[name][seed] for seed in seeds]) for name in (change, "before")
            )
            found = judge(current, baseline, metric, margin)
            rows.append(
                Row(
                    gate=place,
                    change=change,
                    accepted_loss=margin,
                    decision=found.decision,
                    mean_difference=found.mean,
                    sd_difference=found.sd,
                    ci_low=found.ci[0],
                    ci_high=found.ci[1],
                    p_worse=found.p_worse,
                    p_not_worse=found.p_not_worse,
                )
            )
    return rows


def count(rows: Sequence[Row], change: str, decision: str) -> str:
    """`38 of 40 (0.83 to 0.99)`, with a 95 % interval of the share."""
    chosen = [row.decision == decision for row in rows if row.change == change]
    low, high = wilson_interval(sum(chosen) / len(chosen), len(chosen))
    return f"{sum(chosen)} of {len(chosen)} ({low:.2f} to {high:.2f})"


def describe(
    rows: Sequence[Row],
    strict: Sequence[Row],
    before: Scores,
    regression: Scores,
    margin: float,
    commits: str,
) -> str:
    """The result as Markdown."""
    sd, loss = float(np.std(before, ddof=1)), float(np.mean(before) - np.mean(regression))
    lines = [
        "# The gate: regressions that it catches, harmless changes that it flags",
        "",
        "    python tests/benchmarks/gate.py",
        "",
        (
            f"bakeoff {__version__}, commit {commits}, torch"
            f" {version('torch')}, {platform.machine()}, CPU, one worker of one thread, fp32. A network"
            " of one hidden layer of 32 units on the digits of scikit-learn, 4 epochs, 288 validation"
            f" samples. {len(rows) // 2} gates of {GATE_SEEDS} pairs of seeds at an error rate of"
            f" {GATE_ALPHA:g}; the baseline of every gate and its seeds are its own. The split is one"
            " and the same. Every gate is in [gate.csv](gate.csv)."
        ),
        "",
        (
            f"Measured on {len(before)} other seeds: before the change the validation accuracy is"
            f" {np.mean(before):.4f} with a standard deviation over seeds of {sd:.4f}. A sigmoid on the"
            f" outputs costs {loss:.4f}. With an accepted loss of d = {margin:.4f} this is a regression"
            f" of d + {DEVIATIONS_TO_DETECT:g} standard deviations. The mistake was chosen among ten, on"
            " 10 to 30 seeds that are none of these, because it costs about 4 deviations."
        ),
        "",
        "| change | accepted loss | worse (exit 1) | cannot tell (exit 3) | not worse (exit 0) |",
        "|---|---|---|---|---|",
        *(
            f"| {title} | {accepted} | {count(found, change, 'worse')}"
            f" | {count(found, change, 'cannot_tell')} | {count(found, change, 'not_worse')} |"
            for title, change, found, accepted in (
                ("a sigmoid on the outputs", "regression", rows, f"d = {margin:.4f}"),
                ("layers made in another order", "harmless", rows, f"d = {margin:.4f}"),
                ("layers made in another order", "harmless", strict, "none"),
            )
        ),
        "",
        (
            "In brackets are 95 % intervals of the shares (Wilson). The last row is the hardest test of"
            " false alarms: no loss is accepted, so that a change without any effect lies on the"
            " margin itself."
        ),
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    """Train what is missing, judge the gates and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gates", type=int, default=40)
    parser.add_argument("--work", type=Path, default=Path("results/gate-benchmark"))
    parser.add_argument("--output", type=Path, default=Path("results/published"))
    options = parser.parse_args()
    measured = seeds_of("measurement", 0, MEASURED_SEEDS)
    gates = [one for place in range(options.gates) for one in seeds_of("gate", place, GATE_SEEDS)]
    scores: dict[str, dict[int, float]] = {}
    for name in VERSIONS:
        begun = time.monotonic()
        wanted = gates if name == "harmless" else [*measured, *gates]
        scores[name] = train(name, wanted, options.work)
        print(f"{name}: {len(wanted)} seeds, {time.monotonic() - begun:.0f} s")
    before, regression = (
        np.array([scores[name][seed] for seed in measured]) for name in ("before", "regression")
    )
    sd = float(np.std(before, ddof=1))
    margin = float(np.mean(before) - np.mean(regression)) - DEVIATIONS_TO_DETECT * sd
    rows = judge_gates(scores, options.gates, margin)
    strict = judge_gates(scores, options.gates, STRICT)
    options.output.mkdir(parents=True, exist_ok=True)
    with (options.output / "gate.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, [field.name for field in fields(Row)], lineterminator="\n")
        table.writeheader()
        table.writerows(asdict(row) for row in (*rows, *strict))
    commits = " and ".join(
        line[:12] + line[40:] for line in (options.work / "commits.txt").read_text().splitlines()
    )
    text = describe(rows, strict, before, regression, margin, commits)
    (options.output / "gate.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
