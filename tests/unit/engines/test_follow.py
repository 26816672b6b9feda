import pytest

from bakeoff.engines.follow import follow
from bakeoff.engines.protocol import Died, Epoch, Finished, Job
from bakeoff.engines.stopping import InterruptedStudyError, StopRequest
from bakeoff.production.one_configuration import Chosen, fix_settings
from bakeoff.production.run import trial_config
from bakeoff.studyfile import resolve_study
from study_examples import SimulatedEngine, study_document


def job(run: str) -> Job:
    """A run of four epochs."""
    config = fix_settings(resolve_study(study_document()), Chosen(learning_rate=0.01))
    return Job(run=run, config=trial_config(config, "fp32", seed=1), checkpoints="")


def epochs_of(events: list[object], run: str) -> list[int]:
    return [one.result.epoch for one in events if isinstance(one, Epoch) and one.run == run]


def test_jobs_run_at_the_same_time_until_all_have_ended() -> None:
    events = list(follow(SimulatedEngine(2), StopRequest(), job("a"), job("b")))
    assert [one.run for one in events[:2]] == ["a", "b"]
    assert epochs_of(events, "a") == epochs_of(events, "b") == [1, 2, 3, 4]
    assert sum(isinstance(one, Finished) for one in events) == 2


def test_a_job_whose_worker_died_is_submitted_again() -> None:
    engine = SimulatedEngine(dies_at={"a": 2})
    events = list(follow(engine, StopRequest(), job("a")))
    assert sum(isinstance(one, Died) for one in events) == 2
    assert len(engine.submitted) == 3
    assert isinstance(events[-1], Finished)


def test_a_caller_may_give_up_when_a_worker_dies() -> None:
    engine = SimulatedEngine(dies_at={"a": 9})
    for event in follow(engine, StopRequest(), job("a")):
        if isinstance(event, Died):
            break
    assert len(engine.submitted) == 1


def test_a_stop_request_interrupts_at_once() -> None:
    stop = StopRequest()
    events = follow(SimulatedEngine(), stop, job("a"))
    next(events)
    stop.ask(15, None)
    with pytest.raises(InterruptedStudyError) as caught:
        next(events)
    assert caught.value.exit_code == 143


def test_with_on_pause_the_first_request_pauses_and_the_second_interrupts() -> None:
    for requests, num_pauses in ((1, 1), (2, 0)):
        engine, stop, pauses = SimulatedEngine(), StopRequest(count=requests), []
        with pytest.raises(InterruptedStudyError):
            list(follow(engine, stop, job("a"), on_pause=lambda: pauses.append(1)))  # noqa: B023
        assert len(pauses) == num_pauses
        assert len(engine.running) == 1 - num_pauses
