import io
from dataclasses import replace

import pytest
from rich.console import Console

from bakeoff.records import EpochResult, TrialPlan, TrialRecord
from bakeoff.session.progress import LiveProgress, PlainProgress, describe_outcome
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
def study(clock):
    return {
        "arms": ["sgd", "adam"],
        "metric": ACCURACY,
        "epochs": 8,
        "num_workers": 2,
        "clock": clock,
    }


@pytest.fixture
def plain(study):
    return PlainProgress(stream=io.StringIO(), **study)


@pytest.fixture
def live(study):
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    return LiveProgress(console=console, trials_per_arm=6, **study)


def test_the_time_left_is_the_mean_time_of_a_run_times_the_remaining_runs_per_worker(plain, clock):
    assert plain.seconds_left() is None
    plain.began("search-0", PLAN, 9)
    clock.now = 10.0
    plain.ended("search-0", PLAN, record_of(), restored=False)
    assert plain.seconds_left() == 10.0 * 9 / 2


def test_a_run_that_paused_counts_once_for_the_time_left_with_all_its_epochs(plain, clock):
    plain.began("search-0", PLAN, 9)
    clock.now = 4.0
    plain.paused("search-0", PLAN, 2)
    assert plain.waiting == {"search-0": "sgd"}
    plain.began("search-0", PLAN, 9)
    assert plain.waiting == {}
    clock.now = 10.0
    plain.ended("search-0", PLAN, record_of(), restored=False)
    assert plain.seconds_left() == 10.0 * 9 / 2


def test_runs_that_train_as_one_share_its_time_in_the_time_left(plain, clock):
    plain.num_workers = 1
    runs = [f"confirm-{number}" for number in range(4)]
    for run in runs:
        plain.began(run, PLAN, 8)
    clock.now = 10.0
    for run in runs:
        plain.epoch(run, PLAN, EpochResult(epoch=8, metrics={"accuracy": 0.5}))
    left = []
    for run in runs:
        plain.ended(run, PLAN, record_of(), restored=False)
        left.append(plain.seconds_left())
    assert left == [10.0 / 4 * 8] * 4


def test_a_pause_is_a_line_and_one_of_an_earlier_session_is_counted(plain):
    plain.paused("search-0", PLAN, 2)
    plain.began("search-1", PLAN, 3)
    plain.paused("search-1", PLAN, 2)
    assert plain.stream.getvalue().splitlines() == [
        "kept from an earlier session: 1 run",
        "search-1     sgd        paused after epoch 2",
    ]


def test_runs_of_an_earlier_session_do_not_change_the_time_left(plain):
    plain.ended("search-0", PLAN, record_of(), restored=True)
    assert plain.seconds_left() is None
    assert plain.outcomes["sgd"]["complete"] == 1


def test_only_complete_trials_can_be_the_best_of_an_arm(plain):
    plain.ended("search-0", PLAN, record_of(score=0.6), restored=False)
    plain.ended("search-1", PLAN, record_of(outcome="pruned", score=0.9), restored=False)
    plain.ended("search-2", PLAN, record_of(score=0.7), restored=False)
    assert plain.best == {"sgd": 0.7}


def test_without_a_terminal_every_run_is_a_line(plain, clock):
    with plain:
        plain.ended("search-0", PLAN, record_of(), restored=True)
        plain.began("search-1", PLAN, 9)
        clock.now = 2.0
        plain.epoch("search-1", PLAN, EpochResult(epoch=1, metrics={"accuracy": 0.5}))
        plain.ended("search-1", PLAN, record_of(), restored=False)
    restored, ended = plain.stream.getvalue().splitlines()
    assert restored == "kept from an earlier session: 1 run"
    assert ended == (
        "search-1     sgd        complete, accuracy 0.7500 after 4 epochs, cosine; 9 to go,"
        " about 9 s left in this stage"
    )


def test_a_terminal_shows_arms_best_score_running_trials_and_time_left(live):
    live.ended("search-0", PLAN, record_of(), restored=False)
    live.began("search-1", PLAN, 9)
    live.epoch("search-1", PLAN, EpochResult(epoch=3, metrics={"accuracy": 0.5}))
    with live.console.capture() as captured:
        live.console.print(live.render())
    text = captured.get()
    assert "1 of 6" in text
    assert "0.7500" in text
    assert "search-1: sgd, cosine, epoch 3 of 8, accuracy 0.5000" in text
    assert "search: 9 to go" in text


def test_the_table_that_stays_on_a_terminal_shows_no_remaining_time(live):
    with live.console.capture() as captured, live:
        live.began("search-1", PLAN, 0)
        live.ended("search-1", PLAN, record_of(), restored=False)
    last = captured.get().rpartition("arm")[2]
    assert "1 of 6" in last
    assert "left" not in last


def test_a_run_has_the_same_name_as_in_show(plain):
    plan = replace(PLAN, purpose="shortlist")
    plain.began("confirm-3", plan, 9)
    plain.ended("confirm-3", plan, record_of(purpose="shortlist"), restored=False)
    assert plain.stream.getvalue().startswith("shortlist-3 ")


def test_a_failed_run_is_shown_with_the_reason():
    record = record_of("failed", None, stop_reason="ValueError: no")
    assert describe_outcome(record, ACCURACY) == "failed after 4 epochs, cosine (ValueError: no)"
