"""The loop of a study: next -> submit -> event -> report -> stop or finish.

Only the driver asks the source, decides and stores. Workers only train. So budgets are exact. A
run whose worker died stays the same trial with the same number and continues from its checkpoint.

Everything that follows from the events of one poll is stored in one transaction. Only then is it
shown, are workers answered and checkpoints removed, so nothing is known outside of the driver that
a restart would not find in the storage.
"""

import math
from collections import deque
from dataclasses import replace
from pathlib import Path

from bakeoff.driver.active_run import CUTS, ActiveRun, record_of
from bakeoff.driver.kept_weights import KeptWeights
from bakeoff.driver.later import Later
from bakeoff.driver.roles import Observer, Source
from bakeoff.driver.run_configs import RunConfigs
from bakeoff.driver.run_stores import RunStores
from bakeoff.engines.follow import MAX_ATTEMPTS, POLL_SECONDS
from bakeoff.engines.protocol import (
    Died,
    Engine,
    Epoch,
    Event,
    Failed,
    Finished,
    Halted,
    Paused,
    Probed,
    Profiled,
    Reply,
    Started,
)
from bakeoff.engines.stacks import StackEngine
from bakeoff.engines.stopping import InterruptedStudyError, StopRequest
from bakeoff.errors import BakeoffError, StorageError, WorkersLostError
from bakeoff.records import (
    Decision,
    EpochResult,
    Outcome,
    Promotion,
    Purpose,
    StudyConfig,
    TrialPlan,
    TrialRecord,
)
from bakeoff.storage import Storage, StudyFacts

MAX_STARTS = 30
"""Attempts after which a run fails even if it made some progress in each. Those that were lost with
their machine are not counted."""
ENDED_TOGETHER = 500
"""At most so many paused runs end in one transaction when the search has ended."""


class Driver:
    """Runs the search and the confirmation of one study.

    The files of its runs are in the store at `checkpoints` (see `bakeoff.stores`), and the weights
    of the best confirmation runs come into the folder `weights` of this machine, if it is given.
    """

    def __init__(
        self,
        *,
        config: StudyConfig,
        facts: StudyFacts,
        storage: Storage,
        engine: Engine,
        observer: Observer,
        stop: StopRequest,
        checkpoints: Path | str,
        weights: Path | None = None,
    ) -> None:
        self._config = config
        self._facts = facts
        self._storage = storage
        self._engine = engine
        self._engines = {
            "search": StackEngine(engine) if facts.search_arithmetic == "stacked" else engine,
            "confirm": StackEngine(engine) if facts.arithmetic == "stacked" else engine,
        }
        self._observer = observer
        self._stop = stop
        self._stores = RunStores(str(checkpoints))
        self._weights = KeptWeights(weights, facts.metric)
        self._waiting: deque[ActiveRun] = deque()
        """Runs that need a worker, in the order in which they get one."""
        self._running: dict[str, ActiveRun] = {}
        """Runs that have a worker, by name."""
        self._paused: dict[int, ActiveRun] = {}
        """Runs that wait to be promoted, by number."""
        self._is_pausing = False
        self._settings = RunConfigs(config, facts, storage.random_id(config.name))
        self._lost_at_start = 0
        """Workers in a row that ended before they had prepared their run."""
        self._later = Later(storage)

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
        with self._later.storing():
            num_trained += self._fill(source, group)
        # Where no worker is free either, all of them are lost or still starting.
        while self._running or not (self._engine.num_free > 0 or self._stop.count):
            events = self._engine.events(POLL_SECONDS)
            with self._later.storing():
                for event in events:
                    self._handle(event, source)
                self._obey_stop()
                num_trained += self._fill(source, group)
        if self._stop.count:
            raise InterruptedStudyError(self._stop.exit_code)
        while self._paused:  # no run is left that could promote them
            with self._later.storing():
                for number in sorted(self._paused)[:ENDED_TOGETHER]:
                    self._finish(self._paused.pop(number), source, "pruned")
        with self._later.storing():
            self._note(source)
        return num_trained

    def _restore(self, source: Source, group: str, repeat: int) -> int:
        purpose: Purpose = "search" if group == "search" else "confirm"
        for trial_id, record in self._storage.load_runs(self._config.name, purpose, repeat):
            name = f"{group}-{record.number}"
            plan = source.restore(record)
            if record.outcome != "running":
                self._clear_up(name, plan, record, has_files=name in self._stores.found)
                source.finish(plan, record)
                self._observer.ended(name, plan, record, restored=True)
                continue
            run = ActiveRun(name, plan, record.number, trial_id, history=list(record.history))
            run.spared_at, run.attempts = record.spared_at, record.attempts
            run.losses, run.lost_drivers = record.losses, record.lost_drivers
            run.keep_history(self._config.objective)
            if record.is_paused:
                self._paused[record.number] = run
                self._observer.paused(name, plan, record.epochs_run)
            else:
                run.lost_drivers += 1
                self._waiting.append(run)
        with self._later.storing():
            for run in self._waiting:
                self._count_attempt(run)
            self._note(source)
        return len(self._waiting)

    def _fill(self, source: Source, group: str) -> int:
        """Give every free worker a run. Return the number of new runs."""
        num_new, num_free = 0, self._engine.num_free
        while num_free > 0 and not self._stop.count:
            if self._waiting:
                self._submit(self._waiting.popleft(), source)
                num_free -= 1
            elif (promotion := source.promote()) is not None:
                self._promote(promotion)
            elif (plan := source.next()) is not None:
                number, trial_id = self._storage.begin(self._config, plan)
                source.started(number, plan)
                self._waiting.append(ActiveRun(f"{group}-{number}", plan, number, trial_id))
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
        num_left = source.num_left + len(self._waiting)
        self._later(self._observer.began, run.name, run.plan, num_left)
        place = self._stores.location_of(run.name)
        job = self._settings.job_of(run, place, self._weights)
        self._later(self._engine.submit, job)

    def _handle(self, event: Event, source: Source) -> None:
        run = self._running.get(event.run)
        if run is None or event.attempt != run.attempt:
            return  # from a worker that was given up: another one has the run
        match event:
            case Started():
                self._storage.place(run.trial_id, event.place)
            case Epoch():
                self._on_epoch(event, run, source)
            case Finished():
                self._finish(run, source, event.outcome, tested=event)
                self._later(self._note_once, event.loading)
            case Failed():
                self._finish(run, source, event.outcome, reason=event.reason)
            case Died():
                self._on_death(event, run, source)
            case Paused():
                self._on_pause(run)
            case Halted():
                self._later(self._engine.close)
                raise StorageError(
                    f"{event.reason}; when this is mended, the same command continues"
                )
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
        self._later(self._observer.epoch, run.name, run.plan, result)
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
            self._later(self._engine.reply, run.name, self._answer(decision))

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
            epoch = run.history[-1].epoch
            self._later(self._observer.paused, run.name, run.plan, epoch)
        elif run.is_promoted and not self._stop.count:
            self._wait(run)

    def _on_death(self, event: Died, run: ActiveRun, source: Source) -> None:
        """Continue the run from its checkpoint, unless it has lost too many workers.

        A worker that dies while the study is being stopped does not count, because whatever ends
        the driver often ends all its processes.
        """
        if self._stop.count:
            self._show(f"{run.name}: {event.reason}; it will resume from its checkpoint")
            self._on_pause(run)
            return
        if event.cause == "node":
            run.note_lost_node()
        else:
            self._check_machine(event)
            if event.was_training:
                run.note_loss()
        if run.losses.workers >= MAX_ATTEMPTS or run.own_attempts >= MAX_STARTS:
            lost = f"{run.losses.workers} workers lost without a new epoch, {run.attempts} in all"
            reason = f"{event.reason} ({lost})"
            self._finish(run, source, "failed", reason=reason)
            return
        self._show(f"{run.name}: {event.reason}; continuing from its checkpoint")
        run.attempts += 1
        self._count_attempt(run)
        if run.is_held:  # its worker died while it was pausing
            self._on_pause(run)
            return
        run.keep_history(self._config.objective)
        del self._running[run.name]
        self._waiting.appendleft(run)

    def _count_attempt(self, run: ActiveRun) -> None:
        self._storage.count_attempt(
            run.trial_id, run.attempts, run.losses, drivers=run.lost_drivers
        )

    def _check_machine(self, event: Died) -> None:
        """End the study if workers die before they have prepared a run, whatever the run.

        Raises:
            WorkersLostError: That has happened too often in a row. No trial is charged for it.
        """
        self._lost_at_start = 0 if event.was_training else self._lost_at_start + 1
        if self._lost_at_start >= MAX_ATTEMPTS:
            self._later(self._engine.close)
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
        self._running.pop(run.name, None)
        source.finish(run.plan, record)
        self._later(self._clear_up, run.name, run.plan, record)
        self._later(self._observer.ended, run.name, run.plan, record, restored=False)
        self._note(source)

    def _note(self, source: Source) -> None:
        """Store and show the source's new notes, each once. A restart takes them again."""
        for text in source.take_notes():
            self._later(self._note_once, text)

    def _show(self, text: str) -> None:
        self._later(self._observer.note, text)

    def _note_once(self, text: str) -> None:
        if text and self._storage.note(self._config.name, text):
            self._observer.note(text)

    def _clear_up(
        self, name: str, plan: TrialPlan, record: TrialRecord, *, has_files: bool = True
    ) -> None:
        """Take the weights of a run that has ended, if they are kept, and remove its files."""

        def take(target: Path) -> bool:
            identity = self._settings.identity_of(name, plan)
            return self._stores.take_weights(name, record.newest_attempt, identity, target)

        lost = self._weights.ended(record, take if has_files else lambda _: False)
        left = self._stores.discard(name) if has_files else ""
        for note in filter(None, (lost, left)):
            self._observer.note(note)

    def _obey_stop(self) -> None:
        if self._stop.count > 1:
            self._later(self._engine.close)
            raise InterruptedStudyError(self._stop.exit_code)
        if self._stop.count and not self._is_pausing:
            self._is_pausing = True
            self._show("pausing after the current steps; Ctrl-C again stops at once")
            for name in self._running:
                self._later(self._engine.reply, name, "suspend")
