"""Shows the progress of a study on stderr: a live table on a terminal, otherwise plain lines."""

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

from bakeoff import terminal
from bakeoff.records import EpochResult, MetricInfo, Purpose, TrialPlan, TrialRecord
from bakeoff.records.durations import format_estimate, plural

REFRESH_PER_SECOND = 4


@dataclass
class _Running:
    plan: TrialPlan
    seconds: float = 0.0
    """The time of a worker that it took so far: of a stack's time, its share."""
    epoch: int = 0
    value: float = math.nan


@dataclass(kw_only=True)
class Progress:
    """Counts what has happened in a study so far; its methods are those of a driver's observer."""

    arms: Sequence[str]
    metric: MetricInfo
    epochs: int
    num_workers: int
    trials_per_arm: int | None = None
    """Number of trials of each arm in all repeats; None if the budget does not limit it."""
    repeats: int = 1
    repeat: int = 0
    """The repeat of the run that began last, counted from 0."""
    clock: Callable[[], float] = time.monotonic
    num_left: int = 0
    purpose: Purpose = "search"
    running: dict[str, _Running] = field(default_factory=dict)
    outcomes: dict[str, Counter[str]] = field(default_factory=dict)
    waiting: dict[str, str] = field(default_factory=dict)
    """The arm of each paused run."""
    confirmed: Counter[str] = field(default_factory=Counter)
    best: dict[str, float] = field(default_factory=dict)
    busy_seconds: float = 0.0
    counted_until: float = 0.0
    seen: set[str] = field(default_factory=set)
    """Runs that paused or ended in this session, each counted once however often it continues."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def began(self, run: str, plan: TrialPlan, num_left: int) -> None:
        """See `bakeoff.driver.Observer`."""
        self.num_left = num_left
        self.purpose = plan.purpose
        self.repeat = plan.repeat
        self.waiting.pop(run, None)
        self._count_time()
        self.running[run] = _Running(plan)

    def epoch(self, run: str, plan: TrialPlan, result: EpochResult) -> None:  # noqa: ARG002
        """See `bakeoff.driver.Observer`."""
        self.running[run].epoch = result.epoch
        self.running[run].value = result.metrics.get(self.metric.name, math.nan)

    def paused(self, run: str, plan: TrialPlan, epoch: int) -> None:  # noqa: ARG002
        """See `bakeoff.driver.Observer`."""
        self._stop(run)
        self.waiting[run] = plan.arm

    def ended(self, run: str, plan: TrialPlan, record: TrialRecord, *, restored: bool) -> None:  # noqa: ARG002
        """See `bakeoff.driver.Observer`."""
        self._stop(run)
        self.waiting.pop(run, None)
        if record.purpose != "search":
            self.confirmed[record.arm] += 1
            return
        if record.phase == "default":
            return  # outside the budget, which the counts are shown next to
        self.outcomes.setdefault(record.arm, Counter())[record.outcome] += 1
        if record.outcome == "complete" and record.score is not None:
            before = self.best.get(record.arm, -math.inf * self.metric.sign)
            if self.metric.sign * (record.score - before) > 0:
                self.best[record.arm] = record.score

    def _stop(self, run: str) -> None:
        """Add the run's time if it ran in this session."""
        self._count_time()
        begun = self.running.pop(run, None)
        if begun is not None:
            self.busy_seconds += begun.seconds
            self.seen.add(run)

    def _count_time(self) -> None:
        """Share the time since the last change between the runs that ran."""
        now = self.clock()
        share = min(1.0, self.num_workers / max(1, len(self.running)))
        for one in self.running.values():
            one.seconds += share * (now - self.counted_until)
        self.counted_until = now

    def seconds_left(self) -> float | None:
        """Estimated time for the remaining runs of this stage; None before a run has ended.

        The runs of a stack end together, one line after the other: all of them count as ended.
        """
        if not self.seen:
            return None
        ending = {name: one for name, one in self.running.items() if one.epoch >= self.epochs}
        busy = self.busy_seconds + sum(one.seconds for one in ending.values())
        mean = busy / len(self.seen | ending.keys())
        half = (len(self.running) - len(ending)) / 2
        return mean * (self.num_left + half) / self.num_workers

    def describe_left(self) -> str:
        """`9 to go, about 2 min left in this stage`, with the repeat if there are several."""
        left = self.seconds_left()
        time_left = "" if left is None else f", about {format_estimate(left)} left in this stage"
        repeat = f" in repeat {self.repeat + 1} of {self.repeats}" if self.repeats > 1 else ""
        return f"{self.num_left} to go{repeat}{time_left}"


@dataclass(kw_only=True)
class PlainProgress(Progress):
    """Writes one line per run, for logs and pipes."""

    stream: TextIO = field(default_factory=lambda: sys.stderr)
    num_restored: int = 0

    def began(self, run: str, plan: TrialPlan, num_left: int) -> None:
        """See `bakeoff.driver.Observer`."""
        if self.num_restored:
            self.note(f"kept from an earlier session: {plural(self.num_restored, 'run')}")
            self.num_restored = 0
        super().began(run, plan, num_left)

    def paused(self, run: str, plan: TrialPlan, epoch: int) -> None:
        """See `bakeoff.driver.Observer`."""
        if run in self.running:
            self.note(f"{_shown(run, plan):<12} {plan.arm:<10} paused after epoch {epoch}")
        else:
            self.num_restored += 1
        super().paused(run, plan, epoch)

    def ended(self, run: str, plan: TrialPlan, record: TrialRecord, *, restored: bool) -> None:
        """See `bakeoff.driver.Observer`."""
        super().ended(run, plan, record, restored=restored)
        if restored:
            self.num_restored += 1
            return
        outcome = describe_outcome(record, self.metric)
        self.note(f"{_shown(run, plan):<12} {record.arm:<10} {outcome}; {self.describe_left()}")

    def note(self, text: str) -> None:
        """See `bakeoff.driver.Observer`."""
        print(terminal.plain(text), file=self.stream, flush=True)


@dataclass(kw_only=True)
class LiveProgress(Progress):
    """Draws a table again and again: trials and best score of each arm, what is running."""

    console: Console
    is_over: bool = False

    def __enter__(self) -> Self:
        self._live = Live(
            console=self.console, refresh_per_second=REFRESH_PER_SECOND, get_renderable=self.render
        )
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.is_over = True
        self._live.stop()

    def note(self, text: str) -> None:
        """See `bakeoff.driver.Observer`."""
        self.console.print(Text(text, style="yellow"))

    def render(self) -> Group:
        """The table; until the study is over also the running trials and the remaining time."""
        if self.is_over:
            return Group(self._arms_table())
        footer = Text(f"{self.purpose}: {self.describe_left()} (Ctrl-C pauses)")
        return Group(self._arms_table(), *self._running_lines(), footer)

    def _arms_table(self) -> Table:
        table = Table(box=None, header_style="bold", pad_edge=False)
        table.add_column("arm")
        best_heading = f"best {self.metric.name}"
        for heading in ("trials", "paused", "pruned", "diverged", best_heading, "confirmed"):
            table.add_column(heading, justify="right")
        limit = "" if self.trials_per_arm is None else f" of {self.trials_per_arm}"
        paused = Counter(self.waiting.values())
        for arm in self.arms:
            counts = self.outcomes.get(arm, Counter())
            table.add_row(
                arm,
                f"{counts.total()}{limit}",
                str(paused[arm]),
                str(counts["pruned"]),
                str(counts["diverged"]),
                f"{self.best[arm]:.4f}" if arm in self.best else "",
                str(self.confirmed[arm]),
            )
        return table

    def _running_lines(self) -> list[Text]:
        return [
            Text(
                f"  {_shown(name, one.plan)}: {one.plan.arm}, {one.plan.params['scheduler']},"
                f" epoch {one.epoch} of {self.epochs}"
                + ("" if math.isnan(one.value) else f", {self.metric.name} {one.value:.4f}"),
                style="dim",
            )
            for name, one in list(self.running.items())
        ]


def _shown(run: str, plan: TrialPlan) -> str:
    """The run's name in `study show`: `search-12`, `shortlist-3`, `confirm-36`."""
    return f"{plan.purpose}-{run.rpartition('-')[2]}"


def describe_outcome(record: TrialRecord, metric: MetricInfo) -> str:
    """How a run ended: `complete, accuracy 0.9556 after 15 epochs, cosine`."""
    score = "" if record.score is None else f", {metric.name} {record.score:.4f}"
    reason = f" ({record.stop_reason})" if record.outcome in ("failed", "infeasible") else ""
    return (
        f"{record.outcome}{score} after {plural(record.epochs_run, 'epoch')},"
        f" {record.params['scheduler']}{reason}"
    )
