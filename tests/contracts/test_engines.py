"""What every engine does, whatever it runs jobs on. A new engine joins by one line in `ENGINES`."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from bakeoff.engines.open import EngineSettings, open_engine
from bakeoff.engines.protocol import Engine, Epoch, Event, Finished, Job, Paused
from bakeoff.engines.stacks import StackEngine
from bakeoff.space import build_arms, build_trial_config, default_params
from bakeoff.studyfile import resolve_study
from study_examples import SimulatedEngine, study_document

EPOCHS = 3
LIMIT_SECONDS = 120.0


@contextmanager
def stacks() -> Iterator[Engine]:
    """The local engine with stacks of one run."""
    with open_engine(EngineSettings(workers=1, threads=1)) as engine:
        yield StackEngine(engine, width=1)


ENGINES: dict[str, Callable[[], AbstractContextManager[Engine]]] = {
    "local": lambda: open_engine(EngineSettings(workers=1, threads=1)),
    "stacks": stacks,
    "simulated": lambda: nullcontext(SimulatedEngine()),
}


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """One engine with one worker for all tests of this file, as in a study."""
    with ENGINES[request.param]() as engine:
        yield engine
        engine.close()


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A run of three epochs, with a name of its own, whose first epoch waits for a decision."""
    config = resolve_study(study_document(training={"epochs": EPOCHS}))
    params = default_params(build_arms(config)[0], "mlp")
    return Job(
        run=f"search-{tmp_path.name}",
        config=build_trial_config(config, params, seed=1),
        checkpoints=str(tmp_path / "checkpoints"),
        decision_epochs=(1,),
    )


def next_events(engine: Engine) -> Sequence[Event]:
    """The next events that are not empty."""
    end = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < end:
        if events := engine.events(timeout=1.0):
            return events
    raise TimeoutError("the engine sent no event")


def events_until(engine: Engine, kind: type[Event], *, answer: str = "continue") -> list[Event]:
    """Events up to the first of a kind; an epoch that waits gets `answer`."""
    seen: list[Event] = []
    while True:
        for event in next_events(engine):
            seen.append(event)
            if isinstance(event, kind):
                return seen
            if isinstance(event, Epoch) and event.waits:
                engine.reply(event.run, answer)


def epochs_of(events: Sequence[Event]) -> list[int]:
    return [event.result.epoch for event in events if isinstance(event, Epoch)]


def test_a_run_sends_every_epoch_and_then_its_end(engine: Engine, job: Job) -> None:
    engine.submit(job)
    events = events_until(engine, Finished)
    assert epochs_of(events) == [1, 2, 3]
    assert {event.run for event in events} == {job.run}
    assert events[-1].outcome == "complete"


def test_only_a_run_that_reads_the_test_set_sends_its_scores(engine: Engine, job: Job) -> None:
    engine.submit(replace(job, reads_test=True))
    tested = events_until(engine, Finished)[-1]
    assert isinstance(tested, Finished)
    assert 0 < tested.test_metrics["accuracy"] <= 1
    assert len(tested.test_without) > 1
    engine.submit(replace(job, run=f"{job.run}-untested"))
    untested = events_until(engine, Finished)[-1]
    assert isinstance(untested, Finished)
    assert (untested.test_metrics, untested.test_without) == ({}, ())


def test_only_the_epochs_of_the_job_wait_for_a_decision(engine: Engine, job: Job) -> None:
    engine.submit(job)
    epochs = [event for event in events_until(engine, Finished) if isinstance(event, Epoch)]
    assert [event.waits for event in epochs] == [True, False, False]


def test_a_run_takes_a_worker_until_it_has_ended(engine: Engine, job: Job) -> None:
    assert engine.num_free == 1
    engine.submit(job)
    assert engine.num_free == 0
    with pytest.raises(ValueError, match="no worker is free"):
        engine.submit(job)
    events_until(engine, Finished)
    assert engine.num_free == 1


def test_a_run_that_is_stopped_ends_as_pruned_after_that_epoch(engine: Engine, job: Job) -> None:
    engine.submit(job)
    events = events_until(engine, Finished, answer="stop")
    assert epochs_of(events) == [1]
    assert events[-1].outcome == "pruned"


def test_a_paused_run_continues_when_it_is_submitted_again(engine: Engine, job: Job) -> None:
    engine.submit(job)
    assert epochs_of(events_until(engine, Paused, answer="pause")) == [1]
    assert engine.num_free == 1
    engine.submit(job)
    events = events_until(engine, Finished)
    assert epochs_of(events) == [1, 2, 3]  # the stored epoch is sent again
    assert events[-1].outcome == "complete"


def test_a_reply_to_a_run_that_has_ended_changes_nothing(engine: Engine, job: Job) -> None:
    engine.submit(job)
    events_until(engine, Finished)
    engine.reply(job.run, "stop")
    assert engine.num_free == 1
