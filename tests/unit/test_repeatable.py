"""Repeatable mode: the same trials and values with any number of workers, order and kills."""

import math
import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

import ordered_simulation
from bakeoff.driver import Driver, Ordered, StopRequest
from bakeoff.errors import StudyFileError, UsageError
from bakeoff.search.arms import Search
from bakeoff.search.deadline import Deadline
from bakeoff.session.run_settings import RunSettings
from bakeoff.session.study import _load_or_extend, run_study
from bakeoff.space import build_arms, check_extension
from bakeoff.storage import Storage
from bakeoff.studyfile import format_study, load_study_file, resolve_study
from bakeoff.studyfile.threads import choose_threads
from driven_study import drive
from ordered_simulation import OrderedSimulation
from study_examples import SilentObserver, SimulatedEngine, study_document, study_facts

EPOCHS = 18
EVERY_PRUNER = [
    "none", "cautious", "halving", "median", {"name": "percentile", "percentile": 40}, "hyperband",
    {"name": "patient", "patience": 2}, {"name": "threshold", "lower": 0.12},
]  # fmt: skip


def study(pruner="halving", *, trials_per_arm=8, epochs=EPOCHS, training=None, **search):
    """A repeatable study of two arms; `trials_per_arm` is None where the budget is another."""
    document = study_document(
        training={"epochs": epochs, **(training or {})},
        search={"pruner": pruner, "repeatable": True, "trials_per_arm": trials_per_arm,
                "startup_trials": 3, **search},
    )  # fmt: skip
    if trials_per_arm is None:
        del document["search"]["trials_per_arm"]
    return resolve_study(document)


def curve(plan, epoch):
    """Learning curves that cross, with noise of their own, some of which diverge."""
    rate = math.log10(float(plan.params[f"{plan.arm}.learning_rate"]))
    noise = random.Random(f"{plan.params}/{plan.seed}/{epoch}").gauss(0, 0.03)
    if rate > -0.6:
        return math.nan if epoch > plan.seed % 5 else 0.1
    slow = 1 - math.exp(-epoch / (2 + 4 * (plan.seed % 3)))
    return max(0.1, 0.95 - 0.12 * abs(rate + 2)) * slow + noise


REFERENCE = {}


def reference(name, config):
    """The table with one worker and without kills."""
    if name not in REFERENCE:
        REFERENCE[name] = OrderedSimulation(config, curve).run(1)
    return REFERENCE[name]


@pytest.mark.parametrize(
    "pruner", EVERY_PRUNER, ids=lambda one: one if isinstance(one, str) else one["name"]
)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    num_workers=st.integers(1, 10),
    turns=st.lists(st.integers(0, 9), max_size=40),
    kills=st.sets(st.integers(1, 250), max_size=3),
)
def test_any_order_of_events_with_any_workers_and_kills_gives_the_same_trials(
    pruner, num_workers, turns, kills
):
    config = study(pruner, audit=0.25)
    expected = reference(str(pruner), config)
    assert OrderedSimulation(config, curve).run(num_workers, turns, kills) == expected


@pytest.mark.parametrize("pruner", ["halving", "median"])
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    num_workers=st.integers(1, 10),
    turns=st.lists(st.integers(0, 9), max_size=40),
    kills=st.sets(st.integers(1, 250), max_size=3),
)
def test_a_budget_in_epochs_is_spent_on_the_same_trials(pruner, num_workers, turns, kills):
    config = study(pruner, trials_per_arm=None, epochs_per_arm=120, audit=0.2)
    expected = reference(f"{pruner} in epochs", config)
    simulation = OrderedSimulation(config, curve)
    assert simulation.run(num_workers, turns, kills) == expected
    assert all(c.epochs <= 120 for c in simulation.search.ledger.charges.values())


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    num_workers=st.integers(2, 10),
    turns=st.lists(st.integers(0, 9), max_size=400),
    kills=st.sets(st.integers(1, 2000), max_size=2),
)
def test_what_cautious_halving_learns_does_not_depend_on_the_order_of_events(
    num_workers, turns, kills
):
    """With enough trials for several rungs, learned shares and audited trials that train on."""
    config = study("cautious", trials_per_arm=70, schedulers=["constant"], audit=0.2)
    expected = reference("cautious, many", config)
    assert OrderedSimulation(config, curve).run(num_workers, turns, kills) == expected
    pauses = {len(row[9]) for row in expected if row[4] == "pruned"}
    assert len(pauses) > 2


def test_a_run_that_a_restart_finds_beyond_its_goal_waits_at_the_next_rung():
    """It was let on before the kill, and the search has not come to that point again."""
    config = study(trials_per_arm=24, schedulers=["constant"], audit=0.1)
    turns = [8, 2, 5, 9, 7, 9, 1, 9, 0, 7, 4, 8, 3, 3, 7, 8, 8, 7, 6, 2, 3, 2, 8, 6, 0, 1, 2, 9,
             0, 4, 0, 4, 7, 9, 6, 6, 6]  # fmt: skip
    table = OrderedSimulation(config, curve).run(4, turns, {480, 228, 69, 494})
    assert table == OrderedSimulation(config, curve).run(1)
    assert sum(row[4] == "pruned" for row in table) > 24


@pytest.mark.parametrize("pruner", ["halving", "median"])
def test_without_the_order_four_workers_find_other_trials_than_one(pruner, monkeypatch):
    """What the mode is for; and one worker alone is repeatable without it."""
    monkeypatch.setattr(ordered_simulation, "Ordered", lambda source, **_: source)
    config = study(pruner, trials_per_arm=16)
    alone = OrderedSimulation(config, curve).run(1)
    assert OrderedSimulation(config, curve).run(1) == alone
    assert OrderedSimulation(config, curve).run(4, [3, 0, 2, 1, 1]) != alone


def test_a_proposal_knows_the_trials_that_were_scheduled_lag_slots_earlier(monkeypatch):
    """A trial reported between two others was scheduled exactly `lag` slots before the second."""
    lag, events = 3, []

    class Watched(Ordered):
        def _take_slot(self, number, plan):
            events.append(("scheduled", number))
            return super()._take_slot(number, plan)

        def _report_end(self, number):
            events.append(("reported", number))
            super()._report_end(number)

    monkeypatch.setattr(ordered_simulation, "Ordered", Watched)
    OrderedSimulation(study("none", lag=lag), curve).run(5, [4, 0, 3])
    for place, (kind, number) in enumerate(events):
        if kind == "scheduled" and number >= lag:
            reported = {other for what, other in events[:place] if what == "reported"}
            assert reported == set(range(number - lag + 1))


def test_an_extension_of_a_repeatable_study_is_repeatable():
    def extended(num_workers, turns, kills):
        simulation = OrderedSimulation(study(trials_per_arm=5), curve)
        simulation.run(num_workers, turns)
        simulation.config = study(trials_per_arm=9)
        simulation.settled = len(simulation.stored)
        simulation.restart()
        return simulation.run(num_workers, turns, kills)

    alone = extended(1, [], ())
    assert len(alone) == 2 + 2 * 9
    assert extended(3, [2, 0, 1], {40, 55}) == alone
    assert extended(6, [5, 1], {70}) == alone


@pytest.mark.parametrize("pruner", ["cautious", "halving", "median"])
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    num_workers=st.integers(1, 6),
    turns=st.lists(st.integers(0, 9), max_size=40),
    step=st.integers(1, 150),
    kills=st.sets(st.integers(1, 250), max_size=2),
)
def test_a_search_that_is_extended_before_its_end_trains_every_trial(
    pruner, num_workers, turns, step, kills
):
    """Only a search that is not repeatable may be; one that trains stacks decides in order too."""
    short, long = (study(pruner, trials_per_arm=number) for number in (5, 9))
    simulation = OrderedSimulation(short, curve)
    table = simulation.run(num_workers, turns, kills, extensions={step: long})
    trials = [row for row in table if row[3] != "default"]
    was_extended = simulation.config is long
    assert Counter(row[1] for row in trials) == dict.fromkeys(
        ("sgd", "adam"), 9 if was_extended else 5
    )
    assert {row[4] for row in table} <= {"complete", "pruned", "diverged"}


@pytest.mark.parametrize("pruner", ["cautious", "median"])
def test_a_search_in_order_ends_when_its_time_is_up(pruner, tmp_path):
    """A timeout is refused for a repeatable search, and not for one that trains stacks."""
    config = study(pruner, trials_per_arm=8, epochs=9, schedulers=["constant"], lag=4)
    storage = Storage(f"sqlite:///{tmp_path / 'studies.db'}", create=True)
    storage.create(config, study_facts())
    engine = SimulatedEngine(2)
    deadline = Deadline(
        seconds=40, num_workers=1, confirmation_epochs=0, run_epochs=9,
        clock=lambda: float(sum(engine._epochs.values())),  # noqa: SLF001
    )  # fmt: skip
    deadline.is_near = lambda owed: False
    search = Search(config, build_arms(config), "maximize", deadline)
    source = Ordered(search, lag=4, pauses=pruner == "cautious")
    driver = Driver(
        config=config, facts=study_facts(), storage=storage, engine=engine,
        observer=SilentObserver(), stop=StopRequest(), checkpoints=tmp_path / "checkpoints",
    )  # fmt: skip
    driver.drive(source, "search")
    trials = [one for _, one in storage.load_runs(config.name, "search")]
    assert all(one.outcome != "running" for one in trials)
    assert any("the time for the search was up" in (one.stop_reason or "") for one in trials)
    assert 40 <= sum(one.epochs_run for one in trials) <= 40 + len(trials)  # one epoch each


# ---------------------------------------------------------------- the driver itself


class KilledError(Exception):
    """The driver's process is gone."""


class ErraticEngine(SimulatedEngine):
    """Any worker may be the next to speak, and the driver may be killed instead of hearing it."""

    def __init__(self, num_workers, seed, kills=()):
        super().__init__(num_workers)
        self._random = random.Random(seed)
        self._kills, self._calls = set(kills), 0

    def events(self, timeout):
        self._calls += 1
        if self._calls in self._kills:
            raise KilledError
        self._turns.rotate(self._random.randrange(len(self._turns)))
        return super().events(timeout)


def values_of(record):
    return [
        (one.purpose, one.number, one.arm, one.params, one.phase, one.outcome, one.score, one.seed,
         one.configuration, one.spared_at, one.values("accuracy"), one.test_metrics, one.repeat)
        for one in (*record.trials, *record.confirmations)
    ]  # fmt: skip


def driven(config, folder, num_workers, kills=()):
    folder.mkdir(parents=True, exist_ok=True)
    url = f"sqlite:///{folder / 'studies.db'}"
    for number, kill in enumerate([*kills, math.inf]):
        engine = ErraticEngine(num_workers, seed=number, kills={kill})
        try:
            return drive(config, engine, url, folder)
        except KilledError:
            assert kill < math.inf
    raise AssertionError("the last session is never killed")


@pytest.mark.parametrize("pruner", ["cautious", "median"])
def test_the_driver_stores_the_same_study_with_any_workers_and_kills(pruner, tmp_path):
    config = study(pruner, trials_per_arm=5, epochs=9, schedulers=["constant"], lag=2)
    alone = values_of(driven(config, tmp_path / "1", 1))
    assert {row[5] for row in alone} == {"complete", "pruned"}
    assert values_of(driven(config, tmp_path / "2", 2, kills=(17, 40))) == alone
    assert values_of(driven(config, tmp_path / "4", 4, kills=(9, 33, 60))) == alone


def test_repeats_are_the_same_with_any_workers_and_kills(tmp_path):
    config = study(
        trials_per_arm=20, epochs=3, schedulers=["constant"], lag=3, startup_trials=5, repeats=2
    )
    alone = values_of(driven(config, tmp_path / "1", 1))
    assert {row[-1] for row in alone} == {0, 1}
    assert values_of(driven(config, tmp_path / "3", 3, kills=(35, 70, 130))) == alone


# ---------------------------------------------------------------- the study file


def test_a_repeatable_study_names_what_would_else_be_measured():
    document = study_document(search={"repeatable": True})
    del document["training"]["precision"]
    config = resolve_study(document)
    assert config.search.lag == 8
    assert (config.training.precision, config.training.threads) == ("fp32", 1)


def test_a_repeatable_study_comes_back_from_its_file(tmp_path):
    config = study(lag=5, training={"threads": 2})
    (tmp_path / "study.toml").write_text(format_study(config))
    again = load_study_file(tmp_path / "study.toml")
    assert (again, again.search.lag, again.training.threads) == (config, 5, 2)
    assert "repeatable" not in format_study(resolve_study(study_document()))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"search": {"lag": 4}}, "search.lag = 4: goes only with search.repeatable = true"),
        ({"search": {"repeatable": True, "seconds_per_arm": 60.0}}, "seconds_per_arm ends a search"),
        ({"search": {"repeatable": True}, "training": {"precision": "auto"}}, 'precision = "auto"'),
        (
            {"search": {"repeatable": True, "pruner": "none"},
             "study": {"objective": ["accuracy", "train_seconds"]}},
            "search.repeatable = true: train_seconds is measured and differs from run to run",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_repeated_is_refused_with_the_reason(changes, message):
    with pytest.raises(StudyFileError) as refused:
        resolve_study(study_document(**changes))
    assert message in str(refused.value)


def test_a_repeatable_study_takes_no_timeout_and_no_other_threads(tmp_path):
    config = study(training={"threads": 2})
    assert choose_threads(config, None) == choose_threads(config, 2) == 2
    with pytest.raises(UsageError, match=r"--threads = 1: the study file names"):
        choose_threads(config, 1)
    chosen = RunSettings.choose(
        output=tmp_path, storage_url=None, workers=1, device="cpu", timeout=60.0
    )
    with pytest.raises(UsageError, match="ends by the clock cannot be repeated"):
        run_study(config, chosen, SilentObserver())
    assert not list(tmp_path.iterdir())


def test_a_repeatable_study_is_extended_when_it_has_ended(tmp_path, storage_url):
    storage, config = Storage(storage_url, create=True), study(trials_per_arm=2)
    more = replace(config, search=replace(config.search, trials_per_arm=3))
    assert check_extension(config, more)
    storage.create(config, study_facts())
    with pytest.raises(UsageError, match="has not ended; run it to its end first"):
        _load_or_extend(storage, more, extends=True)
    storage.mark_finished(config.name)
    assert _load_or_extend(storage, more, extends=True) == more
    assert storage.num_settled(config.name) == 0
