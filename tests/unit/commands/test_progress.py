import io
from dataclasses import replace

import pytest
from rich.console import Console

from bakeoff.commands.progress import LiveProgress, PlainProgress, Tally, describe_outcome
from bakeoff.records import EpochResult, TrialPlan, TrialRecord
from study_examples import ACCURACY

PLAN = TrialPlan(arm="sgd", params={"scheduler": "cosine"}, seed=1, phase="random")


def record_of(outcome="complete", score=0.75, **changes):
    return TrialRecord(
        number=0,
        arm="sgd",
        params={"scheduler": "cosine"},
        outcome=outcome,
        score=score,
        history=(EpochResult(epoch=4, metrics={"accuracy": 0.75}),),
        **changes,
    )


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def tally(clock):
    return Tally(arms=["sgd", "adam"], metric=ACCURACY, epochs=8, num_workers=2, clock=clock)


def test_the_time_left_is_the_mean_run_times_those_left_over_the_workers(tally, clock):
    assert tally.seconds_left() is None
    tally.began("search-0", PLAN, 9)
    clock.now = 10.0
    tally.ended("search-0", record_of())
    assert tally.seconds_left() == 10.0 * 9 / 2


def test_a_paused_run_is_charged_its_later_epochs_and_counts_once_for_the_time_left(tally, clock):
    tally.began("search-0", PLAN, 9)
    clock.now = 4.0
    tally.pause("search-0", PLAN)
    assert tally.paused == {"search-0": "sgd"}
    tally.began("search-0", PLAN, 9)
    assert tally.paused == {}
    clock.now = 10.0
    tally.ended("search-0", record_of())
    assert tally.seconds_left() == 10.0 * 9 / 2


def test_a_pause_is_a_line_and_one_of_an_earlier_session_is_counted(tally):
    stream = io.StringIO()
    progress = PlainProgress(tally, stream)
    progress.paused("search-0", PLAN, 2)
    progress.began("search-1", PLAN, 3)
    progress.paused("search-1", PLAN, 2)
    assert stream.getvalue().splitlines() == [
        "1 runs of an earlier session are kept",
        "search-1     sgd        paused after epoch 2",
    ]


def test_runs_of_an_earlier_session_do_not_tell_the_time(tally):
    tally.ended("search-0", record_of())
    assert tally.seconds_left() is None
    assert tally.outcomes["sgd"]["complete"] == 1


def test_the_best_of_an_arm_is_of_complete_trials_only(tally):
    tally.ended("search-0", record_of(score=0.6))
    tally.ended("search-1", record_of(outcome="pruned", score=0.9))
    tally.ended("search-2", record_of(score=0.7))
    assert tally.best == {"sgd": 0.7}


def test_without_a_terminal_every_run_is_a_line(tally, clock):
    stream = io.StringIO()
    with PlainProgress(tally, stream) as progress:
        progress.ended("search-0", PLAN, record_of(), restored=True)
        progress.began("search-1", PLAN, 9)
        clock.now = 2.0
        progress.epoch("search-1", PLAN, EpochResult(epoch=1, metrics={"accuracy": 0.5}))
        progress.ended("search-1", PLAN, record_of(), restored=False)
    restored, ended = stream.getvalue().splitlines()
    assert restored == "1 runs of an earlier session are kept"
    assert ended == (
        "search-1     sgd        complete, accuracy 0.7500 after 4 epochs, cosine; 9 to go,"
        " about 9 s left in this stage"
    )


def test_a_terminal_shows_arms_best_running_and_time_left(tally, clock):
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    progress = LiveProgress(tally, console, budget=6)
    progress.ended("search-0", PLAN, record_of(), restored=False)
    progress.began("search-1", PLAN, 9)
    progress.epoch("search-1", PLAN, EpochResult(epoch=3, metrics={"accuracy": 0.5}))
    with console.capture() as captured:
        console.print(progress._render())  # noqa: SLF001 - what the terminal shows
    text = captured.get()
    assert "1 of 6" in text
    assert "0.7500" in text
    assert "search-1: sgd, cosine, epoch 3 of 8, accuracy 0.5000" in text
    assert "search: 9 to go" in text


def test_what_stays_on_a_terminal_promises_nothing(tally):
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    with console.capture() as captured, LiveProgress(tally, console, budget=6) as progress:
        progress.began("search-1", PLAN, 0)
        progress.ended("search-1", PLAN, record_of(), restored=False)
    last = captured.get().rpartition("arm")[2]
    assert "1 of 6" in last
    assert "left" not in last


def test_a_run_is_called_what_show_calls_it(tally):
    stream = io.StringIO()
    plan = replace(PLAN, purpose="shortlist")
    with PlainProgress(tally, stream) as progress:
        progress.began("confirm-3", plan, 9)
        progress.ended("confirm-3", plan, record_of(purpose="shortlist"), restored=False)
    assert stream.getvalue().startswith("shortlist-3 ")


def test_a_failure_says_why():
    record = record_of("failed", None, stop_reason="ValueError: no")
    assert describe_outcome(record, ACCURACY) == "failed after 4 epochs, cosine (ValueError: no)"
