import pytest

from bakeoff.commands.options import parse_duration
from bakeoff.errors import UsageError
from bakeoff.records import EpochResult
from bakeoff.search.deadline import SAFETY, Deadline
from bakeoff.search.halving import RungLoad, ladder_epochs
from search_simulation import Simulation, search_of


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("2h", 7200), ("90m", 5400), ("45s", 45), ("1h30m", 5400), ("1.5h", 5400), ("1h2m3s", 3723)],
)
def test_a_duration_is_hours_minutes_and_seconds(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "2", "h", "-2h", "2 h", "0m", "2d", "2h30", "1e3s"])
def test_text_that_is_not_a_duration_is_refused_with_examples(text):
    with pytest.raises(UsageError, match="is not a duration; examples are 2h, 90m"):
        parse_duration(text)


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_a_search_leaves_time_for_its_runs_and_the_confirmation():
    clock = Clock()
    deadline = Deadline(
        seconds=100, num_workers=2, confirmation_epochs=40, run_epochs=5, clock=clock
    )
    assert not deadline.is_near(1000), "nothing is known before the first epoch"
    for _ in range(3):
        deadline.note(EpochResult(epoch=1, metrics={}, train_seconds=0.75, evaluate_seconds=0.25))
    left = 100 - SAFETY * 40 / 2
    assert not deadline.is_near(2 * (left - 1) / SAFETY)
    assert deadline.is_near(2 * (left + 1) / SAFETY)
    clock.now = left - 1
    assert not deadline.is_over()
    clock.now = left + 1
    assert deadline.is_over()


def test_a_confirmation_on_many_workers_still_takes_two_runs_one_after_the_other():
    clock = Clock()
    deadline = Deadline(
        seconds=100, num_workers=50, confirmation_epochs=100, run_epochs=10, clock=clock
    )
    deadline.note(EpochResult(epoch=1, metrics={}, train_seconds=1.0))
    clock.now = 100 - SAFETY * 20 + 0.5
    assert deadline.is_over()


@pytest.mark.parametrize(
    ("num_below", "first", "second", "third", "expected"),
    [
        (16, {}, {}, {}, 16 * 2 + 4 * 4 + 1 * 12 + 1 * 36),
        (0, {"measured": 16}, {}, {}, 4 * 4 + 1 * 12 + 1 * 36),
        (0, {"measured": 16, "promoted": 4, "running": 4}, {}, {}, 4 * 4 + 1 * 12 + 1 * 36),
        (
            0,
            {"measured": 16, "promoted": 4},
            {"measured": 4, "promoted": 1},
            {"measured": 1, "promoted": 1, "running": 1},
            36,
        ),
        (
            0,
            {"measured": 16, "promoted": 4},
            {"measured": 4, "promoted": 1},
            {"measured": 1, "promoted": 1},
            0,
        ),
    ],
)
def test_epochs_that_are_pending_at_the_rungs(num_below, first, second, third, expected):
    rungs = [RungLoad(2, **first), RungLoad(6, **second), RungLoad(18, **third)]
    assert ladder_epochs(num_below, rungs, 54) == expected


def test_the_lowest_rungs_may_be_missing():
    missing = RungLoad(0)
    rungs = [missing, RungLoad(2), RungLoad(6)]
    assert ladder_epochs(16, rungs, 18) == 16 * 2 + 4 * 4 + 1 * 12
    assert ladder_epochs(16, [missing] * 3, 2) == 16 * 2


def test_time_between_epochs_counts():
    """Workers that start, load and save take time that no epoch reports."""
    clock = Clock()
    deadline = Deadline(
        seconds=100, num_workers=1, confirmation_epochs=10, run_epochs=1, clock=clock
    )
    for now in range(0, 20, 4):
        clock.now = now
        deadline.note(EpochResult(epoch=1, metrics={}, train_seconds=1.0))
    left = 100 - SAFETY * 10 * 4 - 16
    assert not deadline.is_near((left - 1) / SAFETY / 4)
    assert deadline.is_near((left + 1) / SAFETY / 4)


class CountingClock:
    """A second for every reported epoch."""

    def __init__(self):
        self.simulation = None

    def __call__(self):
        return float(sum(self.simulation.epochs.values())) if self.simulation else 0.0


@pytest.mark.parametrize("pruner", ["halving", "median", "none"])
@pytest.mark.parametrize("num_workers", [1, 3])
def test_a_search_that_runs_out_of_time_has_equal_arms_and_something_to_confirm(
    pruner, num_workers
):
    clock = CountingClock()
    deadline = Deadline(
        seconds=400, num_workers=1, confirmation_epochs=36, run_epochs=18, clock=clock
    )
    search = search_of(trials_per_arm=500, pruner=pruner, deadline=deadline, audit=0.1)
    simulation = clock.simulation = Simulation(
        search, lambda plan, number, epoch: number * 7 % 23 + epoch / 100, train_seconds=1.0
    )
    simulation.run(num_workers, [])
    assert sum(simulation.epochs.values()) <= 400 - 36
    trials = [charges.trials for charges in search.ledger.charges.values()]
    assert max(trials) - min(trials) <= 1
    assert min(trials) >= 5
    complete = {one.arm for one in simulation.records.values() if one.outcome == "complete"}
    assert complete == {"sgd", "adam"}
    (note,) = search.take_notes()
    assert note == f"the search was ended by its timeout after {sum(trials)} of 1000 trials"


def test_a_closed_search_begins_no_trial_and_ends_the_unfinished_ones():
    search = search_of(trials_per_arm=40)
    simulation = Simulation(search, lambda plan, number, epoch: number % 7)
    for _ in range(30):
        simulation.fill()
        simulation.advance(0)
    search.close()
    begun = len(simulation.plans)
    assert search.next() is None
    assert search.num_left == 0
    simulation.run(1, [])
    assert len(simulation.records) == len(simulation.plans) == begun
