"""What a running study shows, on stderr: a live picture on a terminal, else plain lines."""

import math
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Self, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from bakeoff.durations import format_estimate
from bakeoff.records import EpochResult, MetricInfo, Purpose, StudyConfig, TrialPlan, TrialRecord

REFRESH_PER_SECOND = 4


@dataclass
class _Running:
    plan: TrialPlan
    since: float
    epoch: int = 0
    value: float = math.nan


@dataclass
class Tally:
    """Counts and bests of a study under way, from which both displays are made."""

    arms: Sequence[str]
    metric: MetricInfo
    epochs: int
    num_workers: int
    clock: Callable[[], float] = time.monotonic
    num_left: int = 0
    purpose: Purpose = "search"
    running: dict[str, _Running] = field(default_factory=dict)
    outcomes: dict[str, Counter[str]] = field(default_factory=dict)
    paused: dict[str, str] = field(default_factory=dict)
    """Arm of each run that waits for its promotion."""
    confirmed: Counter[str] = field(default_factory=Counter)
    best: dict[str, float] = field(default_factory=dict)
    busy_seconds: float = 0.0
    met: set[str] = field(default_factory=set)
    """Runs that have paused or ended here: a paused one's later epochs are charged to the same."""

    def began(self, run: str, plan: TrialPlan, num_left: int) -> None:
        """A run starts."""
        self.num_left = num_left
        self.purpose = plan.purpose
        self.paused.pop(run, None)
        self.running[run] = _Running(plan, self.clock())

    def epoch(self, run: str, result: EpochResult) -> None:
        """A run has completed an epoch."""
        self.running[run].epoch = result.epoch
        self.running[run].value = result.metrics.get(self.metric.name, math.nan)

    def stopped(self, run: str) -> None:
        """A run trains no longer; one of an earlier session was never begun here."""
        begun = self.running.pop(run, None)
        if begun is not None:
            self.busy_seconds += self.clock() - begun.since
            self.met.add(run)

    def pause(self, run: str, plan: TrialPlan) -> None:
        """A run waits for its promotion."""
        self.stopped(run)
        self.paused[run] = plan.arm

    def ended(self, run: str, record: TrialRecord) -> None:
        """A run has ended."""
        self.stopped(run)
        self.paused.pop(run, None)
        if record.purpose != "search":
            self.confirmed[record.arm] += 1
            return
        self.outcomes.setdefault(record.arm, Counter())[record.outcome] += 1
        if record.outcome == "complete" and record.score is not None:
            before = self.best.get(record.arm, -math.inf * self.metric.sign)
            if self.metric.sign * (record.score - before) > 0:
                self.best[record.arm] = record.score

    def seconds_left(self) -> float | None:
        """Time for the runs of this stage that are left, from the mean so far; None before any."""
        if not self.met:
            return None
        mean = self.busy_seconds / len(self.met)
        return mean * (self.num_left + len(self.running) / 2) / self.num_workers


class PlainProgress:
    """One line a run, for logs and pipes."""

    def __init__(self, tally: Tally, stream: TextIO | None = None) -> None:
        self._tally = tally
        self._stream = stream or sys.stderr
        self._num_restored = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.flush()

    def began(self, run: str, plan: TrialPlan, num_left: int) -> None:
        """See `bakeoff.driver.Observer`."""
        if self._num_restored:
            self.note(f"{self._num_restored} runs of an earlier session are kept")
            self._num_restored = 0
        self._tally.began(run, plan, num_left)

    def epoch(self, run: str, plan: TrialPlan, result: EpochResult) -> None:  # noqa: ARG002
        """See `bakeoff.driver.Observer`."""
        self._tally.epoch(run, result)

    def paused(self, run: str, plan: TrialPlan, epoch: int) -> None:
        """See `bakeoff.driver.Observer`."""
        is_restored = run not in self._tally.running
        self._tally.pause(run, plan)
        if is_restored:
            self._num_restored += 1
        else:
            self.note(f"{_shown(run, plan):<12} {plan.arm:<10} paused after epoch {epoch}")

    def ended(self, run: str, plan: TrialPlan, record: TrialRecord, *, restored: bool) -> None:
        """See `bakeoff.driver.Observer`."""
        self._tally.ended(run, record)
        if restored:
            self._num_restored += 1
            return
        left = self._tally.seconds_left()
        time_left = "" if left is None else f", about {format_estimate(left)} left in this stage"
        outcome = describe_outcome(record, self._tally.metric)
        self.note(
            f"{_shown(run, plan):<12} {record.arm:<10} {outcome}"
            f"; {self._tally.num_left} to go{time_left}"
        )

    def note(self, text: str) -> None:
        """See `bakeoff.driver.Observer`."""
        print(text, file=self._stream, flush=True)


class LiveProgress:
    """A table that redraws itself: arms, trials done, best, what is running, time left."""

    def __init__(self, tally: Tally, console: Console, budget: int | None) -> None:
        """Show `tally`; `budget` is how many trials each arm is dealt, None where that is open."""
        self._tally = tally
        self._budget = budget
        self._console = console
        self._is_over = False
        self._live = Live(
            console=console, refresh_per_second=REFRESH_PER_SECOND, get_renderable=self._render
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        self._live.stop()

    def began(self, run: str, plan: TrialPlan, num_left: int) -> None:
        """See `bakeoff.driver.Observer`."""
        self._tally.began(run, plan, num_left)

    def epoch(self, run: str, plan: TrialPlan, result: EpochResult) -> None:  # noqa: ARG002
        """See `bakeoff.driver.Observer`."""
        self._tally.epoch(run, result)

    def paused(self, run: str, plan: TrialPlan, epoch: int) -> None:  # noqa: ARG002
        """See `bakeoff.driver.Observer`."""
        self._tally.pause(run, plan)

    def ended(self, run: str, plan: TrialPlan, record: TrialRecord, *, restored: bool) -> None:  # noqa: ARG002
        """See `bakeoff.driver.Observer`."""
        self._tally.ended(run, record)

    def note(self, text: str) -> None:
        """See `bakeoff.driver.Observer`."""
        self._console.print(Text(text, style="yellow"))

    def _render(self) -> Group:
        if self._is_over:  # what stays on the screen: no time left, nothing to stop
            return Group(self._arms_table())
        return Group(self._arms_table(), *self._running_lines(), self._footer())

    def _arms_table(self) -> Table:
        table = Table(box=None, header_style="bold", pad_edge=False)
        table.add_column("arm")
        headings = ("trials", "paused", "pruned", "diverged", f"best {self._tally.metric.name}")
        for heading in (*headings, "confirmed"):
            table.add_column(heading, justify="right")
        for arm in self._tally.arms:
            counts = self._tally.outcomes.get(arm, Counter())
            best = self._tally.best.get(arm)
            table.add_row(
                arm,
                str(counts.total())
                if self._budget is None
                else f"{counts.total()} of {self._budget}",
                str(sum(paused == arm for paused in self._tally.paused.values())),
                str(counts["pruned"]),
                str(counts["diverged"]),
                "" if best is None else f"{best:.4f}",
                str(self._tally.confirmed[arm]),
            )
        return table

    def _running_lines(self) -> list[Text]:
        return [
            Text(
                f"  {_shown(name, one.plan)}: {one.plan.arm}, {one.plan.params['scheduler']},"
                f" epoch {one.epoch} of {self._tally.epochs}"
                + ("" if math.isnan(one.value) else f", {self._tally.metric.name} {one.value:.4f}"),
                style="dim",
            )
            for name, one in list(self._tally.running.items())
        ]

    def _footer(self) -> Text:
        left = self._tally.seconds_left()
        time_left = "" if left is None else f", about {format_estimate(left)} left in this stage"
        return Text(
            f"{self._tally.purpose}: {self._tally.num_left} to go{time_left} (Ctrl-C pauses)"
        )


def _shown(run: str, plan: TrialPlan) -> str:
    """A run as `study show` calls it: `search-12`, `shortlist-3`, `confirm-36`."""
    return f"{plan.purpose}-{run.rpartition('-')[2]}"


Progress = PlainProgress | LiveProgress


def build_progress(
    config: StudyConfig, arms: Sequence[str], metric: MetricInfo, num_workers: int
) -> Progress:
    """The display that suits stderr."""
    tally = Tally(arms=arms, metric=metric, epochs=config.training.epochs, num_workers=num_workers)
    console = Console(stderr=True)
    if not console.is_terminal:
        return PlainProgress(tally)
    trials = config.search.trials_per_arm
    most = None if trials is None else trials + int(config.search.defaults)
    return LiveProgress(tally, console, most)


def describe_outcome(record: TrialRecord, metric: MetricInfo) -> str:
    """A run's end in a few words: `complete, accuracy 0.9556 after 15 epochs, cosine`."""
    score = "" if record.score is None else f", {metric.name} {record.score:.4f}"
    reason = f" ({record.stop_reason})" if record.outcome in ("failed", "infeasible") else ""
    return (
        f"{record.outcome}{score} after {record.epochs_run} epochs,"
        f" {record.params['scheduler']}{reason}"
    )
