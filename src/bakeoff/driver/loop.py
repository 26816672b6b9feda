"""The loop of a study: next -> submit -> event -> report -> stop or finish.

Only the driver asks the source, decides and stores. Workers only train. So budgets are exact. A
run whose worker died stays the same trial with the same number and continues from its checkpoint.
"""

import hashlib
import json
import math
import shutil
from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import cast

from bakeoff.driver.active_run import CUTS, ActiveRun, record_of
from bakeoff.driver.kept_weights import KeptWeights
from bakeoff.driver.roles import Observer, Source
from bakeoff.engines.follow import MAX_ATTEMPTS, POLL_SECONDS
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
from bakeoff.engines.stacks import StackEngine
from bakeoff.engines.stopping import InterruptedStudyError, StopRequest
from bakeoff.errors import BakeoffError, StorageError, WorkersLostError
from bakeoff.records import (
    READS_TEST,
    WEIGHTS_HASH,
    Decision,
    EpochResult,
    Outcome,
    Precision,
    Promotion,
    Purpose,
    StudyConfig,
    TrialConfig,
    as_plain,
    of_named_arm,
)
from bakeoff.space import build_trial_config
from bakeoff.storage import Storage, StudyFacts

MAX_STARTS = 30
"""Attempts after which a run fails even if it made some progress in each. Those that were lost with
their machine are not counted."""


class Driver:
    """Runs the search and the confirmation of one study."""

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
        training = replace(config.training, precision=cast("Precision", facts.precision))
        self._trained_config = replace(config, training=training)
        self._facts = facts
        self._storage = storage
        self._engine = engine
        stacks = facts.arithmetic == "stacked"
        self._engines = {"search": engine, "confirm": StackEngine(engine) if stacks else engine}
        self._observer = observer
        self._stop = stop
        self._checkpoints = checkpoints
        self._weights = KeptWeights(checkpoints.parent / "weights", facts.metric)
        self._waiting: deque[ActiveRun] = deque()
        """Runs that need a worker, in the order in which they get one."""
        self._running: dict[str, ActiveRun] = {}
        """Runs that have a worker, by name."""
        self._paused: dict[int, ActiveRun] = {}
        """Runs that wait to be promoted, by number."""
        self._is_pausing = False
        self._study_id = storage.random_id(config.name)
        self._lost_at_start = 0
        """Workers in a row that ended before they had prepared their run."""

    def drive(self, source: Source, group: str, repeat: int = 0) -> int:
        """Restore the stored runs, then train every run that `source` offers.

        Args:
            source: The search or the confirmation.
            group: `search` or `confirm`, the prefix of the runs' names.
            repeat: The repeat of the study whose runs these are.

        Returns:
            Number of runs that were trained, including those that were continued.

        Raises:
            InterruptedStudyError: A stop was requested. Every active run has a checkpoint.
        """
        self._engine = self._engines[group]
        num_trained = self._restore(source, group, repeat)
        while True:
            num_trained += self._fill(source, group)
            if not self._running:
                break
            for event in self._engine.events(POLL_SECONDS):
                self._handle(event, source)
            self._obey_stop()
        if self._stop.count:
            raise InterruptedStudyError(self._stop.exit_code)
        while self._paused:  # no run is left that could promote them
            self._finish(self._paused.pop(min(self._paused)), source, "pruned")
        self._note(source)
        return num_trained

    def _restore(self, source: Source, group: str, repeat: int) -> int:
        purpose: Purpose = "search" if group == "search" else "confirm"
        for trial_id, record in self._storage.load_runs(self._config.name, purpose, repeat):
            name = f"{group}-{record.number}"
            plan = source.restore(record)
            if record.outcome != "running":
                self._discard_checkpoints(name)
                self._weights.ended(record)
                source.finish(plan, record)
                self._observer.ended(name, plan, record, restored=True)
                continue
            run = ActiveRun(name, plan, record.number, trial_id, history=list(record.history))
            run.spared_at, run.attempt = record.spared_at, record.attempts
            run.losses = record.losses
            run.keep_history(self._config.objective)
            if record.is_paused:
                self._paused[record.number] = run
                self._observer.paused(name, plan, record.epochs_run)
            else:
                self._waiting.append(run)
        self._note(source)
        return len(self._waiting)

    def _fill(self, source: Source, group: str) -> int:
        """Give every free worker a run. Return the number of new runs."""
        num_new = 0
        while self._engine.num_free > 0 and not self._stop.count:
            if self._waiting:
                self._submit(self._waiting.popleft(), source)
            elif (promotion := source.promote()) is not None:
                self._promote(promotion)
            elif (plan := source.next()) is not None:
                number, trial_id = self._storage.begin(self._config, plan)
                source.started(number, plan)
                self._submit(ActiveRun(f"{group}-{number}", plan, number, trial_id), source)
                num_new += 1
            else:
                break
        return num_new

    def _promote(self, promotion: Promotion) -> None:
        """Let a paused run wait for a worker, at once or when its own worker has released it."""
        run = self._paused.pop(promotion.number, None)
        if run is None:
            run = next(one for one in self._running.values() if one.number == promotion.number)
            run.is_held, run.is_promoted = False, True
        else:
            self._storage.unpause(run.trial_id)
            self._wait(run)
        if promotion.is_exempt:
            self._note_exemption(run)

    def _wait(self, run: ActiveRun) -> None:
        run.keep_history(self._config.objective)
        self._waiting.append(run)

    def _submit(self, run: ActiveRun, source: Source) -> None:
        run.history.clear()
        run.is_held = run.is_promoted = False
        self._running[run.name] = run
        self._observer.began(run.name, run.plan, source.num_left + len(self._waiting))
        plan = run.plan
        trial = replace(
            build_trial_config(
                self._trained_config.of_arm(plan.arm),
                plan.params,
                plan.seed,
                repeat=plan.repeat,
                purpose=plan.purpose,
            ),
            weights_sha256=self._facts.environment.get(
                of_named_arm(WEIGHTS_HASH, plan.arm) if self._config.arms else WEIGHTS_HASH, ""
            ),
        )
        self._engine.submit(
            Job(
                run=run.name,
                config=trial,
                checkpoints=str(self._checkpoints / run.name),
                identity=self._identity_of(run.name, trial),
                attempt=run.attempt,
                decision_epochs=run.plan.decision_epochs,
                reads_test=run.plan.purpose in READS_TEST,
                weights_path=self._weights.path_of(run.name, run.plan.purpose),
            )
        )

    def _identity_of(self, name: str, trial: TrialConfig) -> str:
        """What the checkpoints of a run belong to: this study, this run, its settings, its data."""
        parts = [self._study_id, name, as_plain(trial), self._facts.data_fingerprint]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def _handle(self, event: Event, source: Source) -> None:
        run = self._running.get(event.run)
        if run is None or event.attempt != run.attempt:
            return  # from a worker that was given up: another one has the run
        match event:
            case Epoch():
                self._on_epoch(event, run, source)
            case Finished():
                self._finish(run, source, event.outcome, tested=event)
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

    def _on_epoch(self, event: Epoch, run: ActiveRun, source: Source) -> None:
        result = event.result
        self._lost_at_start = 0
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
            self._note_exemption(run)
        run.cut_by = decision if decision in CUTS else ""
        if event.waits or run.cut_by:
            self._engine.reply(run.name, self._answer(decision))

    def _report(self, run: ActiveRun, result: EpochResult) -> None:
        value = result.metrics.get(self._config.objective, math.nan)
        if math.isfinite(value):
            self._storage.report(run.trial_id, result.epoch, value)

    def _answer(self, decision: Decision) -> Reply:
        if decision == "stop" or decision in CUTS:
            return "stop"
        return "pause" if decision == "pause" or self._stop.count else "continue"

    def _note_exemption(self, run: ActiveRun) -> None:
        """Store the first epoch after which pruning would have ended the run."""
        if run.spared_at is None:
            run.spared_at = run.history[-1].epoch
            self._storage.exempt(run.trial_id, run.spared_at)

    def _on_pause(self, run: ActiveRun) -> None:
        """A worker has released its run: paused by the source, or stopped with the study."""
        del self._running[run.name]
        if run.is_held:
            self._storage.pause(run.trial_id, run.history)
            self._paused[run.number] = run
            self._observer.paused(run.name, run.plan, run.history[-1].epoch)
        elif run.is_promoted and not self._stop.count:
            self._wait(run)

    def _on_death(self, event: Died, run: ActiveRun, source: Source) -> None:
        """Continue the run from its checkpoint, unless it has lost too many workers.

        A worker that dies while the study is being stopped does not count, because whatever ends
        the driver often ends all its processes.
        """
        if self._stop.count:
            self._observer.note(f"{run.name}: {event.reason}; it will resume from its checkpoint")
            self._on_pause(run)
            return
        if event.cause == "node":
            run.note_lost_node()
        else:
            self._check_machine(event)
            if event.was_training:
                run.note_loss()
        if run.losses.workers >= MAX_ATTEMPTS or run.own_attempts >= MAX_STARTS:
            lost = f"{run.losses.workers} workers lost without a new epoch, {run.attempt} in all"
            reason = f"{event.reason} ({lost})"
            self._finish(run, source, "failed", reason=reason)
            return
        self._observer.note(f"{run.name}: {event.reason}; continuing from its checkpoint")
        run.attempt += 1
        self._storage.count_attempt(run.trial_id, run.attempt, run.losses)
        if run.is_held:  # its worker died while it was pausing
            self._on_pause(run)
            return
        run.keep_history(self._config.objective)
        del self._running[run.name]
        self._waiting.appendleft(run)

    def _check_machine(self, event: Died) -> None:
        """End the study if workers die before they have prepared a run, whatever the run.

        Raises:
            WorkersLostError: That has happened too often in a row. No trial is charged for it.
        """
        self._lost_at_start = 0 if event.was_training else self._lost_at_start + 1
        if self._lost_at_start >= MAX_ATTEMPTS:
            self._engine.close()
            raise WorkersLostError(
                f"{self._lost_at_start} workers in a row ended before their run began to train"
                f" ({event.reason}); no trial was charged, and the same command tries again"
            )

    def _finish(
        self,
        run: ActiveRun,
        source: Source,
        outcome: Outcome,
        *,
        reason: str = "",
        tested: Finished | None = None,
    ) -> None:
        record = record_of(run, self._config, self._facts, outcome, reason=reason)
        if tested is not None:
            record = replace(
                record, test_metrics=tested.test_metrics, test_without=tested.test_without
            )
        # A run's last epoch is stored with its end, so that a restart finds both or neither.
        if run.history and run.history[-1].status != "running":
            self._report(run, run.history[-1])
        self._storage.finish(run.trial_id, record)
        self._discard_checkpoints(run.name)
        self._weights.ended(record)
        self._running.pop(run.name, None)
        source.finish(run.plan, record)
        self._observer.ended(run.name, run.plan, record, restored=False)
        self._note(source)

    def _note(self, source: Source) -> None:
        """Store and show the source's new notes, each once."""
        for text in source.take_notes():
            if self._storage.note(self._config.name, text):
                self._observer.note(text)

    def _discard_checkpoints(self, name: str) -> None:
        folder = self._checkpoints / name
        shutil.rmtree(folder, ignore_errors=True)
        if folder.exists():
            self._observer.note(f"{folder} cannot be removed; its checkpoints are not used again")

    def _obey_stop(self) -> None:
        if self._stop.count > 1:
            self._engine.close()
            raise InterruptedStudyError(self._stop.exit_code)
        if self._stop.count and not self._is_pausing:
            self._is_pausing = True
            self._observer.note("pausing after the current steps; Ctrl-C again stops at once")
            for name in self._running:
                self._engine.reply(name, "suspend")
