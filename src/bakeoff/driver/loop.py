"""The one loop: next -> submit -> event -> report -> stop or finish.

The driver alone asks, decides and stores; workers only train. So budgets are exact, and whatever
dies is continued: a trial stays the same trial, on the same checkpoint, under the same number.
"""

import math
import shutil
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from bakeoff.driver.kept_weights import KeptWeights
from bakeoff.driver.roles import Observer, Source
from bakeoff.driver.runs import CUTS, Run, record_of
from bakeoff.driver.stopping import InterruptedStudyError, StopRequest
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
from bakeoff.records import Decision, EpochResult, Outcome, Promotion, StudyConfig, TrialPlan
from bakeoff.space import build_trial_config
from bakeoff.storage import Storage, StudyFacts

POLL_SECONDS = 0.2
MAX_ATTEMPTS = 3
"""Workers a run may lose before it is given up as failed."""


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
        self._waiting: deque[Run] = deque()
        self._runs: dict[str, Run] = {}
        self._paused: dict[int, Run] = {}
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
                run = Run(name, plan, record.number, trial_id, {}, list(record.history))
                run.exempted_at, run.attempt = record.exempted_at, record.attempts
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
        if promotion.is_exempt:
            self._spare(run)

    def _wait_again(self, run: Run) -> None:
        run.remember(self._config.objective)
        self._waiting.append(run)

    def _begin(self, plan: TrialPlan, source: Source, group: str) -> Run:
        number, trial_id = self._storage.begin(self._config, plan)
        source.started(number, plan)
        return Run(f"{group}-{number}", plan, number, trial_id, {})

    def _submit(self, run: Run, source: Source) -> None:
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

    def _on_epoch(self, event: Epoch, run: Run, source: Source) -> None:
        result = event.result
        run.history.append(result)
        value = result.metrics.get(self._config.objective, math.nan)
        if result.epoch in run.stored:
            if run.stored[result.epoch] != value and not run.note:
                run.note = f"resumed, not bit-identical from epoch {result.epoch}"
        elif result.status == "running":
            self._report(run, result)
        self._observer.epoch(run.name, run.plan, result)
        decision: Decision = "continue"
        if result.epoch < max(run.stored, default=0):
            source.update_seconds(run.number, run.plan, result)
        else:
            decision = source.decide(run.number, run.plan, result)
        run.is_held = decision == "pause"
        if decision == "exempt":
            self._spare(run)
        run.cut_by = decision if decision in CUTS else ""
        if event.waits or run.cut_by:
            self._engine.reply(run.name, self._answer(decision))

    def _report(self, run: Run, result: EpochResult) -> None:
        value = result.metrics.get(self._config.objective, math.nan)
        if math.isfinite(value):
            self._storage.report(run.trial_id, result.epoch, value)

    def _answer(self, decision: Decision) -> Reply:
        if decision == "pause":
            return "pause"
        if decision == "stop" or decision in CUTS:
            return "stop"
        return "pause" if self._stop.count else "continue"

    def _spare(self, run: Run) -> None:
        """Note the first time that a run would have been pruned."""
        if run.exempted_at is None:
            run.exempted_at = run.history[-1].epoch
            self._storage.spare(run.trial_id, run.exempted_at)

    def _on_pause(self, run: Run) -> None:
        """Held at its rung, or stopped with the whole study."""
        del self._runs[run.name]
        if run.is_held:
            self._storage.pause(run.trial_id, run.history)
            self._paused[run.number] = run
            self._observer.paused(run.name, run.plan, run.history[-1].epoch)
        elif run.is_promoted and not self._stop.count:
            self._wait_again(run)

    def _on_death(self, event: Died, run: Run, source: Source) -> None:
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
        run: Run,
        source: Source,
        outcome: Outcome,
        *,
        reason: str = "",
        test_metrics: Mapping[str, float] | None = None,
    ) -> None:
        record = record_of(
            run, self._config, self._facts, outcome, reason=reason, test_metrics=test_metrics
        )
        # a run's last epoch is stored with its end: whoever restarts finds both or neither
        if run.history and run.history[-1].status != "running":
            self._report(run, run.history[-1])
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
