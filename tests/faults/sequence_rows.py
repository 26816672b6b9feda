"""Any order of epochs, deaths, lost answers, stops, kills and restarts keeps the invariants.

A state machine of hypothesis drives a study on a simulated engine and a real SQLite file. Each
session is a list of events that ends in a stop or a kill; what was stored is compared after each.
"""

import random
import shutil
import signal
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, seed, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from bakeoff.driver import Driver, InterruptedStudyError, StopRequest
from bakeoff.engines.protocol import Died, Event
from bakeoff.records import StudyRecord
from bakeoff.search.arms import Search
from bakeoff.space import build_arms
from bakeoff.storage import Storage
from bakeoff.studyfile import resolve_study
from faults import oracle
from faults.rows import Tally, row
from lost_connections import LOSSES, lose_connections
from study_examples import SilentObserver, SimulatedEngine, study_document, study_facts

CONFIG = resolve_study(
    study_document(
        search={"schedulers": ["constant"], "pruner": "halving", "trials_per_arm": 5},
    )
)
ACTIONS = ("epoch", "epoch", "epoch", "death", "early death", *LOSSES)
_tally = Tally()
"""Counts for the row that runs the machine."""


class KilledError(BaseException):
    """Takes the place of kill -9 of the driver."""


class ScriptedEngine(SimulatedEngine):
    """Does one action per call of `events`, and then ends the session."""

    def __init__(
        self,
        actions: Sequence[str],
        end: Callable[[], None],
        losses: list[str],
        reached: dict[str, int],
    ) -> None:
        super().__init__()
        self._actions, self._end_session, self._losses = list(actions), end, losses
        self._reached = reached
        """Newest epoch of each run when it last lost a worker, also with an earlier driver. A run
        rightly fails after three losses without a new epoch, so a second one needs a newer one."""

    def events(self, timeout: float) -> Sequence[Event]:
        """The events of the next action."""
        if not self._actions:
            self._end_session()
            return super().events(timeout)
        action, run = self._actions.pop(0), self._turns[0]
        may_die = run not in self._replies and self._reached.get(run, -1) < self._epochs[run]
        if action in ("death", "early death") and may_die:
            self._reached[run] = self._epochs[run]
            _tally.injected += 1
            is_training = action == "death"
            reason = "worker ended by SIGKILL"
            return [self._end(run, Died(run=run, reason=reason, was_training=is_training))]
        if action.startswith("lost"):
            self._losses.append(action)
            _tally.injected += 1
        return super().events(timeout)


@cache
def calm_record() -> StudyRecord:
    """The search without faults."""
    with tempfile.TemporaryDirectory() as folder:
        machine = Session(Path(folder))
        machine.run(SimulatedEngine(), StopRequest())
        return machine.storage().load_record(CONFIG.name)


class Session:
    """A study in a folder, driven by one driver after the other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not self.storage().has(CONFIG.name):
            self.storage().create(CONFIG, study_facts())

    def storage(self) -> Storage:
        """The study's storage, as a new driver opens it."""
        return Storage(f"sqlite:///{self.folder / 'studies.db'}", create=True)

    def run(self, engine: SimulatedEngine, stop: StopRequest, storage: Any = None) -> None:
        """Search until the end, a stop or a kill."""
        Driver(
            config=CONFIG, facts=study_facts(), storage=storage or self.storage(), engine=engine,
            observer=SilentObserver(), stop=stop, checkpoints=self.folder / "checkpoints",
        ).drive(Search(CONFIG, build_arms(CONFIG), "maximize"), "search")  # fmt: skip


class StudyMachine(RuleBasedStateMachine):
    """A study whose drivers come and go."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = Path(tempfile.mkdtemp(prefix="faults-sequence-"))
        self._session = Session(self._folder)
        self._ended: dict[int, str] = {}
        self._reached: dict[str, int] = {}

    @rule(
        actions=st.lists(st.sampled_from(ACTIONS), max_size=25),
        end=st.sampled_from(["kill", "stop", "stop twice"]),
    )
    def drive(self, actions: list[str], end: str) -> None:
        """A driver does some actions, and is stopped or killed."""
        stop, storage = StopRequest(), self._session.storage()

        def end_session() -> None:
            if end == "kill":
                raise KilledError
            for _ in range(2 if end == "stop twice" else 1):
                stop.ask(signal.SIGINT, None)

        _tally.injected += 1
        with suppress(KilledError, InterruptedStudyError):
            engine = ScriptedEngine(actions, end_session, lose_connections(storage), self._reached)
            self._session.run(engine, stop, storage)

    @invariant()
    def keeps_what_was_stored(self) -> None:
        """Numbers have no gap, epochs neither; what has ended never changes; budgets hold."""
        trials = self._session.storage().load_record(CONFIG.name).trials
        assert [run.number for run in trials] == list(range(len(trials)))
        for run in trials:
            assert [one.epoch for one in run.history] == list(range(1, run.epochs_run + 1))
            assert run.outcome not in ("failed", "infeasible"), run.stop_reason
        ended = {run.number: repr(run) for run in trials if run.outcome != "running"}
        for number, text in self._ended.items():
            assert ended[number] == text
        self._ended = ended
        charged = Counter(run.arm for run in trials if run.phase != "default")
        assert all(count <= 5 for count in charged.values()), charged

    def teardown(self) -> None:
        """A last driver without faults ends with the values of an undisturbed search."""
        try:
            self._session.run(SimulatedEngine(), StopRequest())
            found = self._session.storage().load_record(CONFIG.name).trials
            assert oracle.comparable(found) == oracle.comparable(calm_record().trials)
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)


@row(
    name="any-order", count=60, quick=2,
    fault="random sequences of deaths, lost writes and answers, stops, kills and restarts",
    promise="invariants after each; same values as undisturbed (simulated training)",
)  # fmt: skip
def run_sequences(rng: random.Random, count: int, folder: Path, tally: Tally) -> None:
    """Run the state machine; `count` is the number of sequences."""
    _tally.injected = 0
    limits = settings(
        max_examples=count, stateful_step_count=6, deadline=None, database=None,
        phases=[Phase.generate],  # to shrink an example takes many minutes
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    try:
        machine = seed(rng.getrandbits(64))(type("Machine", (StudyMachine,), {}))
        run_state_machine_as_test(machine, settings=limits)  # type: ignore[no-untyped-call]
    except AssertionError as error:
        notes = " ".join(getattr(error, "__notes__", ()))
        tally.fail("lost", f"{error} {notes}")
    tally.injected = _tally.injected
