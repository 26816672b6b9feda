"""The one loop: next -> submit -> event -> report -> stop or finish.

The driver alone asks, decides and stores; workers only train. So budgets are exact, and whatever
dies is continued: a trial stays the same trial, on the same checkpoint, under the same number.
"""

import math
import shutil
import signal
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Protocol

from bakeoff.components.divergence import describe_divergence
from bakeoff.components.metrics import scored_epoch
from bakeoff.engines.protocol import (
    Died,
    Engine,
    Epoch,
    Event,
    Failed,
    Finished,
    Halted,
    Job,
    Paused,
    Probed,
    Profiled,
    Reply,
)
from bakeoff.errors import BakeoffError, StorageError
from bakeoff.kept_weights import KeptWeights
from bakeoff.records import EpochResult, Outcome, StudyConfig, TrialRecord
from bakeoff.search.arms import TrialPlan
from bakeoff.search.cohorts import Decision, Promotion
from bakeoff.space import build_trial_config
from bakeoff.storage import Storage, StudyFacts

POLL_SECONDS = 0.2
MAX_ATTEMPTS = 3
"""Workers a run may lose before it is given up as failed."""


class Source(Protocol):
    """Decides what runs next and what may go on: the search, or the confirmation."""

    @property
    def num_left(self) -> int:
        """Runs not yet handed out."""
        ...

    def next(self) -> TrialPlan | None:
        """The next run, or None when none can start now."""
        ...

    def started(self, number: int, plan: TrialPlan) -> None:
        """The plan has become run `number`."""
        ...

    def restore(self, record: TrialRecord) -> TrialPlan:
        """Take up a stored run, in the order of the numbers."""
        ...

    def promote(self) -> Promotion | None:
        """The paused run that continues now, or None; asked before `next`."""
        ...

    def decide(self, number: int, plan: TrialPlan, result: EpochResult) -> Decision:
        """Whether the run goes on after this epoch, stops, or pauses until it is promoted."""
        ...

    def finish(self, plan: TrialPlan, record: TrialRecord) -> None:
        """Note how a run ended."""
        ...

    def take_notes(self) -> tuple[str, ...]:
        """What should be told and stored since the last call."""
        ...


class Observer(Protocol):
    """Is told what happens, and shows it."""

    def began(self, run: str, plan: TrialPlan, num_left: int) -> None:
        """A run starts or continues."""
        ...

    def epoch(self, run: str, plan: TrialPlan, result: EpochResult) -> None:
        """A run has completed an epoch."""
        ...

    def paused(self, run: str, plan: TrialPlan, epoch: int) -> None:
        """A run waits after `epoch`, now or since an earlier session, and may be promoted later."""
        ...

    def ended(self, run: str, plan: TrialPlan, record: TrialRecord, *, restored: bool) -> None:
        """A run has ended, now or (restored) in an earlier session."""
        ...

    def note(self, text: str) -> None:
        """Something else the user should know."""
        ...


class InterruptedStudyError(BakeoffError):
    """The user or the system asked to stop; everything can be resumed."""

    def __init__(self, exit_code: int) -> None:
        super().__init__("stopped; run the same command again to continue")
        self.exit_code = exit_code


@dataclass
class StopRequest:
    """How often, and by which signal, the driver was asked to stop."""

    count: int = 0
    exit_code: int = 130

    def ask(self, signum: int, _frame: FrameType | None) -> None:
        """Signal handler: once asks for a pause after the epoch, twice for an end now."""
        self.count += 1
        if signum != signal.SIGINT:
            self.exit_code = 128 + signum

    @contextmanager
    def listening(self) -> Iterator["StopRequest"]:
        """Handle Ctrl-C, termination and hang-up while the block runs.

        After a stop was asked for the program is about to end, so later signals are ignored.
        """
        signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {signum: signal.signal(signum, self.ask) for signum in signals}
        try:
            yield self
        finally:
            for signum, handler in before.items():
                signal.signal(signum, signal.SIG_IGN if self.count else handler)


@dataclass
class _Run:
    """A run under way, or about to be."""

    name: str
    plan: TrialPlan
    number: int
    trial_id: int
    stored: Mapping[int, float]
    """Objective by epoch, as an earlier session stored it."""
    history: list[EpochResult] = field(default_factory=list)
    attempt: int = 1
    """One more than the workers it has lost, those of earlier sessions included."""
    note: str = ""
    is_held: bool = False
    """Whether the source decided that it pauses until it is promoted."""
    is_out_of_time: bool = False
    """Whether it stops because the time for the search is up."""
    is_promoted: bool = False
    """Whether it was promoted while its worker was still about to pause."""
    spared_at: int | None = None
    """Epoch after which it would have been pruned."""

    def remember(self, objective: str) -> None:
        """Take what was told for stored, because the epochs will be told again."""
        told = {one.epoch: one.metrics.get(objective, math.nan) for one in self.history}
        finite = {epoch: value for epoch, value in told.items() if math.isfinite(value)}
        self.stored = {**self.stored, **finite}


class Driver:
    """Drives one study: search and confirmation go through the same loop."""

    def __init__(
        self,
        *,
        config: StudyConfig,
        facts: StudyFacts,
        storage: Storage,
        engine: Engine,
        observer: Observer,
        stop: StopRequest,
        checkpoints: Path,
    ) -> None:
        self._config = config
        self._facts = facts
        self._storage = storage
        self._engine = engine
        self._observer = observer
        self._stop = stop
        self._checkpoints = checkpoints
        self._weights = KeptWeights(checkpoints.parent / "weights", facts.metric)
        self._waiting: deque[_Run] = deque()
        self._runs: dict[str, _Run] = {}
        self._paused: dict[int, _Run] = {}
        """Runs that wait for their promotion, by number."""
        self._is_pausing = False

    def drive(self, source: Source, group: str) -> int:
        """Run all that `source` has to offer, stored runs first.

        Args:
            source: The search or the confirmation.
            group: `search` or `confirm`, the prefix of the runs' names.

        Returns:
            How many runs were trained, those continued included.

        Raises:
            InterruptedStudyError: A stop was asked for; every run under way has a checkpoint.
        """
        num_trained = self._restore(source, group)
        while True:
            num_trained += self._fill(source, group)
            if not self._runs:
                break
            for event in self._engine.events(POLL_SECONDS):
                self._handle(event, source)
            self._obey_stop()
        if self._stop.count:
            raise InterruptedStudyError(self._stop.exit_code)
        self._prune_paused(source)
        self._note(source)
        return num_trained

    # ------------------------------------------------------------ starting

    def _restore(self, source: Source, group: str) -> int:
        for trial_id, record in self._storage.load_runs(
            self._config.name, "search" if group == "search" else "confirm"
        ):
            name = f"{group}-{record.number}"
            plan = source.restore(record)
            if record.outcome == "running":
                run = _Run(name, plan, record.number, trial_id, {}, list(record.history))
                run.spared_at, run.attempt = record.spared_at, record.attempts
                run.remember(self._config.objective)
                if record.is_paused:
                    self._paused[record.number] = run
                    self._observer.paused(name, plan, record.epochs_run)
                else:
                    self._waiting.append(run)
            else:
                self._discard(name)
                self._weights.ended(record)
                source.finish(plan, record)
                self._observer.ended(name, plan, record, restored=True)
        self._note(source)
        return len(self._waiting)

    def _fill(self, source: Source, group: str) -> int:
        """Give every free worker a run; how many new ones were begun."""
        num_begun = 0
        while self._engine.num_free > 0 and not self._stop.count:
            if self._waiting:
                run = self._waiting.popleft()
            elif (promotion := source.promote()) is not None:
                self._continue(promotion)
                continue
            elif (plan := source.next()) is not None:
                run = self._begin(plan, source, group)
                num_begun += 1
            else:
                break
            self._submit(run, source)
        return num_begun

    def _continue(self, promotion: Promotion) -> None:
        """A run that has been promoted waits for a worker, once its own has let go of it."""
        run = self._paused.pop(promotion.number, None)
        if run is None:
            run = next(one for one in self._runs.values() if one.number == promotion.number)
            run.is_held, run.is_promoted = False, True
        else:
            self._storage.unpause(run.trial_id)
            self._wait_again(run)
        if promotion.is_spared:
            self._spare(run)

    def _wait_again(self, run: _Run) -> None:
        run.remember(self._config.objective)
        self._waiting.append(run)

    def _begin(self, plan: TrialPlan, source: Source, group: str) -> _Run:
        number, trial_id = self._storage.begin(self._config, plan)
        source.started(number, plan)
        return _Run(f"{group}-{number}", plan, number, trial_id, {})

    def _submit(self, run: _Run, source: Source) -> None:
        run.history.clear()
        run.is_held = run.is_promoted = False
        self._runs[run.name] = run
        self._observer.began(run.name, run.plan, source.num_left + len(self._waiting))
        trial_config = build_trial_config(self._config, run.plan.params, run.plan.seed)
        precision = {"precision": self._facts.precision}
        training = replace(trial_config.training, **precision)  # type: ignore[arg-type]
        self._engine.submit(
            Job(
                run=run.name,
                config=replace(trial_config, training=training),
                checkpoint_dir=str(self._checkpoints / run.name),
                decision_epochs=run.plan.decision_epochs,
                reads_test=run.plan.purpose == "confirm",
                weights_path=self._weights.path_of(run.name, run.plan.purpose),
            )
        )

    # ------------------------------------------------------------ events

    def _handle(self, event: Event, source: Source) -> None:
        run = self._runs[event.run]
        match event:
            case Epoch():
                self._on_epoch(event, run, source)
            case Finished():
                self._finish(run, source, event.outcome, test_metrics=event.test_metrics)
            case Failed():
                self._finish(run, source, event.outcome, reason=event.reason)
            case Died():
                self._on_death(event, run, source)
            case Paused():
                self._on_pause(run)
            case Halted():
                self._engine.close()
                raise StorageError(f"{event.reason}; make room and run the same command again")
            case Probed() | Profiled():
                raise BakeoffError(f"unexpected answer to a measurement: {event}")

    def _on_epoch(self, event: Epoch, run: _Run, source: Source) -> None:
        result = event.result
        run.history.append(result)
        value = result.metrics.get(self._config.objective, math.nan)
        if result.epoch in run.stored:
            if run.stored[result.epoch] != value and not run.note:
                run.note = f"resumed, not bit-identical from epoch {result.epoch}"
        elif math.isfinite(value):
            self._storage.report(run.trial_id, result.epoch, value)
        self._observer.epoch(run.name, run.plan, result)
        was_decided = result.epoch < max(run.stored, default=0)
        decision = "continue" if was_decided else source.decide(run.number, run.plan, result)
        run.is_held = decision == "pause"
        if decision == "spare":
            self._spare(run)
        run.is_out_of_time = decision == "time_up"
        if event.waits or run.is_out_of_time:
            self._engine.reply(run.name, self._answer(decision))

    def _answer(self, decision: Decision) -> Reply:
        if decision == "pause":
            return "pause"
        if decision in ("stop", "time_up"):
            return "stop"
        return "pause" if self._stop.count else "continue"

    def _spare(self, run: _Run) -> None:
        """Note the first time that a run would have been pruned."""
        if run.spared_at is None:
            run.spared_at = run.history[-1].epoch
            self._storage.spare(run.trial_id, run.spared_at)

    def _on_pause(self, run: _Run) -> None:
        """Held at its rung, or stopped with the whole study."""
        del self._runs[run.name]
        if run.is_held:
            self._storage.pause(run.trial_id, run.history)
            self._paused[run.number] = run
            self._observer.paused(run.name, run.plan, run.history[-1].epoch)
        elif run.is_promoted and not self._stop.count:
            self._wait_again(run)

    def _on_death(self, event: Died, run: _Run, source: Source) -> None:
        """Continue elsewhere from the checkpoint, unless this run keeps killing its workers.

        A worker lost while the study is being stopped is no fault of its run: what ends the driver
        often ends all its processes.
        """
        if self._stop.count:
            self._observer.note(f"{run.name}: {event.reason}; to be continued from its checkpoint")
            self._on_pause(run)
            return
        if run.attempt >= MAX_ATTEMPTS:
            reason = f"{event.reason} (attempt {run.attempt} of {MAX_ATTEMPTS})"
            self._finish(run, source, "failed", reason=reason)
            return
        self._observer.note(f"{run.name}: {event.reason}; continuing from its checkpoint")
        run.attempt += 1
        self._storage.count_attempt(run.trial_id, run.attempt)
        if run.is_held:  # all it had left to do was to save
            self._on_pause(run)
            return
        run.remember(self._config.objective)
        del self._runs[run.name]
        self._waiting.appendleft(run)

    def _finish(
        self,
        run: _Run,
        source: Source,
        outcome: Outcome,
        *,
        reason: str = "",
        test_metrics: Mapping[str, float] | None = None,
    ) -> None:
        record = TrialRecord(
            number=run.number,
            arm=run.plan.arm,
            params=run.plan.params,
            outcome=outcome,
            score=self._score(run, outcome),
            seed=run.plan.seed,
            phase=run.plan.phase,
            purpose=run.plan.purpose,
            configuration=run.plan.configuration,
            history=tuple(run.history),
            epochs_planned=self._config.training.epochs,
            test_metrics=test_metrics or {},
            stop_reason="; ".join(
                filter(None, (reason, self._stop_reason(run, outcome), run.note))
            ),
            attempts=run.attempt,
            audited=run.plan.audited,
            spared_at=run.spared_at,
            decision_epochs=run.plan.decision_epochs,
        )
        self._storage.finish(run.trial_id, record)
        self._discard(run.name)
        self._weights.ended(record)
        self._runs.pop(run.name, None)
        source.finish(run.plan, record)
        self._observer.ended(run.name, run.plan, record, restored=False)
        self._note(source)

    def _note(self, source: Source) -> None:
        """Tell and store what the source has to say, each thing once."""
        for text in source.take_notes():
            if self._storage.note(self._config.name, text):
                self._observer.note(text)

    def _prune_paused(self, source: Source) -> None:
        """Nothing is left to do, so nothing can be promoted any more."""
        while self._paused:
            self._finish(self._paused.pop(min(self._paused)), source, "pruned")

    def _score(self, run: _Run, outcome: Outcome) -> float | None:
        if outcome == "diverged":
            return self._facts.chance_score
        if outcome not in ("complete", "pruned"):
            return None
        scored = scored_epoch(run.history, self._facts.metric, self._config.score_rule)
        return scored.metrics[self._config.objective] if scored is not None else None

    def _stop_reason(self, run: _Run, outcome: Outcome) -> str:
        if outcome == "pruned" and run.is_out_of_time:
            return f"the time for the search was up after epoch {run.history[-1].epoch}"
        if outcome == "pruned":
            return f"behind its cohort at epoch {run.history[-1].epoch}"
        if outcome == "diverged":
            return describe_divergence(run.history[-1])
        if run.history and run.history[-1].status == "early_stopped":
            return f"no better epoch for {self._config.training.early_stopping_patience} epochs"
        return ""

    def _discard(self, name: str) -> None:
        shutil.rmtree(self._checkpoints / name, ignore_errors=True)

    # ------------------------------------------------------------ stopping

    def _obey_stop(self) -> None:
        if self._stop.count > 1:
            self._engine.close()
            raise InterruptedStudyError(self._stop.exit_code)
        if self._stop.count and not self._is_pausing:
            self._is_pausing = True
            self._observer.note("pausing after the epochs under way; Ctrl-C again stops at once")
            for name in self._engine.running:
                self._engine.reply(name, "pause")
