"""Studies of several independent searches, driven on a simulated engine."""

import math
from collections import Counter
from dataclasses import replace

import pytest

from bakeoff.driver import InterruptedStudyError, StopRequest
from bakeoff.errors import SpaceChangedError
from bakeoff.search.deadline import Deadline
from bakeoff.search.samplers import propose_randomly
from bakeoff.session import repeats
from bakeoff.space import build_arms, check_extension
from bakeoff.storage import Storage
from bakeoff.storage.contents import extended_content
from bakeoff.studyfile import format_study, resolve_study
from driven_study import drive
from study_examples import SilentObserver, SimulatedEngine, study_document

EPOCHS = 2


def study(num_repeats=2, *, confirm=None, **search):
    return resolve_study(
        study_document(
            training={"epochs": EPOCHS},
            search={"schedulers": ["constant"], "trials_per_arm": 20, "startup_trials": 5,
                    "repeats": num_repeats, **search},
            confirm={"seeds": 4, "repeat_seeds": 2, **(confirm or {})},
        )
    )  # fmt: skip


def facts_of(runs):
    return [
        (one.purpose, one.arm, one.params, one.phase, one.outcome, one.score, one.seed, one.repeat,
         one.values("accuracy"), one.test_metrics)
        for one in runs
    ]  # fmt: skip


@pytest.fixture(scope="module")
def driven(tmp_path_factory):
    """The study of two repeats without any trouble, and the same study without repeats."""
    folder = tmp_path_factory.mktemp("driven")
    return {
        count: drive(study(count), SimulatedEngine(), f"sqlite:///{folder / str(count)}.db", folder)
        for count in (1, 2)
    }


def runs_of(record, repeat):
    return [one for one in (*record.trials, *record.confirmations) if one.repeat == repeat]


def test_every_repeat_has_the_whole_budget_and_its_own_confirmation(driven):
    record = driven[2]
    for repeat, num_seeds in ((0, 4), (1, 2)):
        runs = runs_of(record, repeat)
        trials = Counter((one.arm, one.purpose) for one in runs if one.phase != "default")
        assert {trials[arm, "search"] for arm in ("sgd", "adam")} == {20}
        assert {trials[arm, "confirm"] for arm in ("sgd", "adam")} == {num_seeds}
        defaults = Counter(one.arm for one in runs if one.purpose == "default")
        assert defaults == {"sgd": num_seeds, "adam": num_seeds}
    assert Counter(one.repeat for one in record.trials if one.phase == "default") == {0: 2}


def test_the_first_repeat_is_the_study_without_repeats(driven):
    assert facts_of(runs_of(driven[2], 0)) == facts_of(runs_of(driven[1], 0))


def test_repeats_share_no_seed_but_the_arms_of_a_repeat_share_theirs(driven):
    seeds = {
        (repeat, arm): {one.seed for one in runs_of(driven[2], repeat) if one.arm == arm}
        for repeat in (0, 1)
        for arm in ("sgd", "adam")
    }
    assert seeds[0, "sgd"] == seeds[0, "adam"]
    assert not seeds[0, "sgd"] & seeds[1, "sgd"]
    assert seeds[1, "sgd"] == seeds[1, "adam"]
    drawn = {
        repeat: {one.params["sgd.learning_rate"] for one in runs_of(driven[2], repeat)
                 if one.arm == "sgd" and one.phase == "random"}
        for repeat in (0, 1)
    }  # fmt: skip
    assert not drawn[0] & drawn[1]


def test_confirmed_configurations_come_from_the_search_of_their_repeat(driven):
    record = driven[2]
    repeat_of = {trial.number: trial.repeat for trial in record.trials}
    chosen = [one for one in record.confirmations if one.purpose != "default"]
    assert all(repeat_of[one.configuration] == one.repeat for one in chosen)


def test_scores_without_groups_are_stored_with_the_runs_that_read_the_test_set(driven):
    for run in driven[2].confirmations:
        if run.purpose == "shortlist":
            assert run.test_without == ()
            continue
        first, second, third = run.test_without
        assert (first, second) == pytest.approx((run.score - 0.02, run.score), abs=1e-6)
        assert math.isnan(third)
    assert not any(trial.test_without for trial in driven[2].trials)


class StoppingEngine(SimulatedEngine):
    """Requests a stop after a number of calls; a second request ends the study at once."""

    def __init__(self, stop, after, count):
        super().__init__(2)
        self._stop, self._left, self._count = stop, after, count

    def events(self, timeout):
        self._left -= 1
        if self._left == 0:
            self._stop.count = self._count
        return super().events(timeout)


def test_a_study_of_repeats_continues_after_stops_at_any_point(storage_url, tmp_path):
    for after, count in ((60, 2), (50, 1), (35, 2), (30, 1)):
        stop = StopRequest()
        with pytest.raises(InterruptedStudyError):
            drive(study(), StoppingEngine(stop, after, count), storage_url, tmp_path, stop=stop)
    record = drive(study(), SimulatedEngine(2), storage_url, tmp_path)
    for repeat, num_seeds in ((0, 4), (1, 2)):
        runs = [one for one in runs_of(record, repeat) if one.phase != "default"]
        counts = Counter((one.arm, one.purpose) for one in runs)
        assert {counts[arm, "search"] for arm in ("sgd", "adam")} == {20}
        assert {counts[arm, "confirm"] for arm in ("sgd", "adam")} == {num_seeds}
        assert {counts[arm, "shortlist"] for arm in ("sgd", "adam")} == {4}
    assert not any(one.outcome == "running" for one in (*record.trials, *record.confirmations))
    seeds = [(one.purpose, one.arm, one.configuration, one.seed) for one in record.confirmations]
    assert len(seeds) == len(set(seeds))


def test_a_finished_study_is_extended_by_repeats_that_leave_what_is_there(
    driven, storage_url, tmp_path
):
    before = drive(study(1), SimulatedEngine(), storage_url, tmp_path)
    storage = Storage(storage_url, create=True)
    storage.extend(study(2), check_extension(study(1), study(2)))
    engine = SimulatedEngine()
    after = drive(study(2), engine, storage_url, tmp_path)
    assert facts_of(runs_of(after, 0)) == facts_of(runs_of(before, 0))
    assert facts_of(after.trials) == facts_of(driven[2].trials)
    assert facts_of(after.confirmations) == facts_of(driven[2].confirmations)
    assert len(engine.submitted) == len({job.run for job in engine.submitted if job.run})
    assert after.repeats == 2
    with pytest.raises(SpaceChangedError, match=r"search\.repeats: fewer"):
        check_extension(study(2), study(1))


def test_seeds_that_were_added_after_results_were_read_are_told_apart(storage_url, tmp_path):
    storage = Storage(storage_url, create=True)

    def extended_to(before, confirm):
        after = study(1, confirm=confirm)
        storage.extend(after, check_extension(before, after))
        drive(after, SimulatedEngine(), storage_url, tmp_path)
        return after, storage.load_record("toy")

    first = study(1, trials_per_arm=4)
    assert drive(first, SimulatedEngine(), storage_url, tmp_path).read_at_seeds == ()
    second, record = extended_to(first, {"seeds": 4})
    assert record.read_at_seeds == ()  # only the budget of the search grew
    third, record = extended_to(second, {"seeds": 6})
    assert record.read_at_seeds == (4,)
    assert Counter(one.purpose for one in record.confirmations)["default"] == 2 * 6
    _, record = extended_to(third, {"looks": [6, 8], "seeds": 8})
    assert record.read_at_seeds == (4, 6)


@pytest.mark.parametrize(("num_read", "expected"), [(5, None), (6, [6])])
def test_repeats_that_were_added_count_as_read_once_the_results_could_decide(num_read, expected):
    before, after = study(num_read), study(num_read + 1)
    content = {"config": format_study(before)}
    extended = extended_content(content, after, 20, ["more"], num_read_repeats=num_read)
    assert extended.get("read_at_repeats") == expected
    same = extended_content(content, before, 20, ["more"], num_read_repeats=num_read)
    assert "read_at_repeats" not in same


class Clock:
    """Moves on by a second with every epoch that is reported."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class TimedEngine(SimulatedEngine):
    def __init__(self, clock):
        super().__init__()
        self._clock = clock

    def events(self, timeout):
        self._clock.now += 1.0
        return super().events(timeout)


@pytest.fixture
def timed(monkeypatch, storage_url, tmp_path):
    """Drives a study of three repeats with a time limit in epochs."""

    def run(seconds, num_repeats=3):
        clock, observer = Clock(), SilentObserver()
        monkeypatch.setattr("time.monotonic", clock)
        config = study(num_repeats, pruner="none")
        deadline = Deadline(
            seconds=seconds, num_workers=1, run_epochs=EPOCHS, clock=clock,
            confirmation_epochs=repeats.confirmation_epochs(config, 0),
        )  # fmt: skip
        record = drive(
            config, TimedEngine(clock), storage_url, tmp_path, observer=observer, deadline=deadline
        )
        return record, observer.notes, clock.now

    return run


def test_a_repeat_that_cannot_end_in_time_is_not_begun(timed, storage_url, tmp_path):
    record, notes, seconds = timed(267.0)
    # A repeat takes 40 trials, 2 defaults, and 24 runs of confirmation, 2 epochs each.
    assert {one.repeat for one in record.trials} == {0}
    assert "the timeout left no time for repeat 2 of 3" in notes
    assert 132 <= seconds <= 267
    again = drive(study(3, pruner="none"), SimulatedEngine(), storage_url, tmp_path)
    assert facts_of(again.trials) == facts_of(record.trials)


def test_a_timeout_ends_the_search_of_a_repeat_and_says_which(timed):
    record, notes, seconds = timed(107.0)
    assert seconds <= 107
    ended = [note for note in notes if "ended by its timeout" in note]
    assert len(ended) == 1
    assert ended[0].startswith("the search of repeat 1 was ended by its timeout after ")
    assert ended[0].endswith(" of 40 trials")
    assert {one.purpose for one in record.confirmations} == {"shortlist", "confirm", "default"}


def test_an_extension_continues_the_repeats_that_a_timeout_left_out(timed, storage_url, tmp_path):
    timed(267.0)
    storage, config = Storage(storage_url, create=True), study(3, pruner="none")
    storage.extend(config, ["the search that a timeout ended continues"])
    record = drive(config, SimulatedEngine(), storage_url, tmp_path)
    assert {one.repeat for one in record.trials} == {0, 1, 2}


def test_warm_starts_belong_to_the_first_repeat(monkeypatch, storage_url, tmp_path):
    given = {**propose_randomly(build_arms(study())[0], seed=1), "sgd.learning_rate": 0.0123}
    monkeypatch.setattr(Storage, "warm_starts", lambda *_: {"sgd": [given]})
    record = drive(study(), SimulatedEngine(), storage_url, tmp_path)
    users = [one for one in record.trials if one.phase == "user"]
    assert [(one.repeat, one.params["sgd.learning_rate"]) for one in users] == [(0, 0.0123)]


def test_a_default_that_diverges_ends_no_study(storage_url, tmp_path):
    config = replace(study(), name="toy")
    engine = SimulatedEngine(
        diverges=lambda one: (
            one.optimizer == "adam" and one.optimizer_params["learning_rate"] == 1e-3
        )
    )
    record = drive(config, engine, storage_url, tmp_path)
    outcomes = Counter(
        (one.arm, one.outcome) for one in record.confirmations if one.purpose == "default"
    )
    assert outcomes == {("adam", "diverged"): 6, ("sgd", "complete"): 6}
    assert record.finished


@pytest.mark.parametrize(("is_decided", "num_seeds"), [(True, 2), (False, 5)])
def test_the_confirmation_ends_at_the_first_look_that_decides_every_pair(
    monkeypatch, storage_url, tmp_path, is_decided, num_seeds
):
    looked = []

    def decide(record):
        looked.append(Counter(one.purpose for one in record.confirmations))
        return is_decided

    monkeypatch.setattr(repeats, "is_decided", decide)
    config = study(1, confirm={"seeds": 5, "looks": [2, 5]})
    observer = SilentObserver()
    record = drive(config, SimulatedEngine(), storage_url, tmp_path, observer=observer)
    purposes = Counter(one.purpose for one in record.confirmations)
    assert purposes["confirm"] == purposes["default"] == 2 * num_seeds
    assert looked == [{"shortlist": 8, "confirm": 4, "default": 4}]
    assert any("ended at the look at 2 seeds" in note for note in observer.notes) == is_decided
    again = drive(config, SimulatedEngine(), storage_url, tmp_path)
    assert facts_of(again.confirmations) == facts_of(record.confirmations)
