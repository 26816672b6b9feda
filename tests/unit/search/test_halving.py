import math
from dataclasses import replace

import pytest
from hypothesis import given, settings, strategies as st

from bakeoff.ranges import FloatRange
from bakeoff.records import ArmRecord, TrialRecord
from bakeoff.search.arms import Search
from bakeoff.search.halving import REDUCTION, Halving, rung_epochs
from bakeoff.search.proposals import MOST_BEST, MOST_LATEST, ArmSampler
from bakeoff.space import build_arms, build_trial_config, default_params
from bakeoff.studyfile import resolve_study
from search_simulation import EPOCHS, Simulation, search_of
from study_examples import study_document

RUNGS = (2, 6)


# ---------------------------------------------------------------- rungs


@pytest.mark.parametrize(
    ("epochs", "warmup", "expected"),
    [
        (1, 0.0, ()),
        (2, 0.0, ()),
        (3, 0.0, (2,)),
        (4, 0.0, (2,)),
        (8, 0.0, (2,)),
        (12, 0.0, (2, 4)),
        (54, 0.0, (2, 6, 18)),
        (50, 0.0, (2, 5, 16)),
        (50, 0.1, (6, 10, 20)),
        (50, 0.5, (26, 27, 33)),
        (270, 0.0, (10, 30, 90)),
        (5, 0.5, (3,)),
        (9, 0.3, (3, 4)),
    ],
)
def test_rungs_are_fractions_of_the_schedule_after_warmup_and_the_first_evaluation(
    epochs, warmup, expected
):
    study = resolve_study(study_document(training={"epochs": epochs}))
    params = dict(default_params(build_arms(study)[0], "mlp"))
    params["constant.warmup_fraction"] = warmup
    assert rung_epochs(build_trial_config(study, params, seed=0)) == expected


# ---------------------------------------------------------------- one cohort


def cohort_of(values, rung=2):
    """A cohort whose trials have all paused at `rung` with these values."""
    halving = Halving()
    for number, value in enumerate(values):
        halving.start(number)
        halving.report(number, rung, RUNGS, value)
        halving.pause(number)
    return halving


def promote_all(halving, draws):
    promoted = []
    while (number := halving.promotable(draws=draws)) is not None:
        halving.promote(number)
        promoted.append(number)
    return promoted


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.1, 0.2, 0.3], []),
        ([0.1, 0.4, 0.3, 0.2], [1]),
        ([0.1, 0.4, 0.3, 0.2, 0.9, 0.8, 0.7], [4]),
        ([0.5] * 8, [0, 1]),
        ([math.nan, 0.1, math.nan, math.nan], [1]),
    ],
)
def test_the_best_quarter_is_promoted_while_the_arm_begins_trials(values, expected):
    assert promote_all(cohort_of(values), draws=True) == expected


def test_a_paused_trial_is_promoted_when_later_ones_turn_out_worse():
    halving = cohort_of([0.5, 0.9, 0.1, 0.2])
    assert promote_all(halving, draws=True) == [1]
    for number in range(4, 8):
        halving.start(number)
        halving.report(number, 2, RUNGS, 0.3)
        halving.pause(number)
    assert promote_all(halving, draws=True) == [0]


def test_at_the_end_at_least_one_trial_of_every_rung_continues():
    assert promote_all(cohort_of([0.1, 0.2]), draws=False) == [1]
    assert promote_all(cohort_of([0.1, 0.4, 0.3, 0.2, 0.5]), draws=False) == [4, 1]


def test_at_the_end_a_rung_waits_for_the_trials_still_below_it():
    halving = cohort_of([0.1, 0.2])
    halving.start(2)
    assert halving.promotable(draws=False) is None
    halving.report(2, 2, RUNGS, 0.9)
    halving.pause(2)
    assert promote_all(halving, draws=False) == [2]


def test_a_diverged_trial_counts_as_the_worst_of_its_rung():
    halving = cohort_of([0.1, 0.2, 0.3])
    halving.start(3)
    halving.fail(3, 1, RUNGS)
    assert promote_all(halving, draws=True) == [2]


def test_epochs_reported_again_after_a_resumption_change_nothing():
    halving = cohort_of([0.1, 0.4, 0.3, 0.2, 0.0])
    halving.promote(1)
    halving.report(1, 1, RUNGS, 0.0)
    assert halving.promotable(draws=False) == 2
    halving.report(1, 2, RUNGS, 0.0)
    assert not halving.is_held(1)
    assert halving.standings()[1] == (2, 0.0)


def test_a_trial_that_reports_beyond_a_rung_was_promoted_there():
    """As after a restart, when only the epochs are known."""
    halving = Halving()
    halving.start(7)
    for epoch in (1, 2, 3):
        halving.report(7, epoch, RUNGS, 0.5)
    assert not halving.is_held(7)


def test_standings_rank_within_the_highest_rung():
    halving = cohort_of([0.1, 0.4, 0.3, 0.2])
    halving.promote(1)
    halving.report(1, 6, RUNGS, 0.5)
    assert halving.standings() == {0: (2, 0.75), 1: (3, 0.0), 2: (2, 0.25), 3: (2, 0.5)}


# ---------------------------------------------------------------- any interleaving


def rung_population(simulation, key, level):
    """Trials of a cohort that reached a rung or diverged on the way, with their values.

    `level` counts the rungs from the end: -1 is the last.
    """
    population = {}
    for number, plan in simulation.plans.items():
        if (plan.arm, plan.params["scheduler"]) == key and len(plan.decision_epochs) >= -level:
            rung, epochs = plan.decision_epochs[level], simulation.epochs[number]
            below = max((one for one in plan.decision_epochs if one < rung), default=0)
            value = simulation.curve(plan, number, min(epochs, rung))
            if epochs >= rung or (math.isnan(value) and epochs > below):
                population[number] = -math.inf if math.isnan(value) else value
    return population


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.integers(0, 20) | st.just(math.nan), min_size=24, max_size=24),
    num_workers=st.integers(1, 5),
    turns=st.lists(st.integers(0, 4), max_size=200),
)
def test_any_interleaving_keeps_budgets_and_promotes_what_synchronous_halving_would(
    values, num_workers, turns
):
    simulation = Simulation(
        search_of(trials_per_arm=12),
        lambda plan, number, epoch: values[number] + epoch * (number % 3) / 7,
    )
    simulation.run(num_workers, turns)
    charged = {arm: charges.trials for arm, charges in simulation.search.ledger.charges.items()}
    epochs = {
        arm: sum(simulation.epochs[n] for n, plan in simulation.plans.items() if plan.arm == arm)
        for arm in charged
    }
    assert charged == {"sgd": 12, "adam": 12}
    assert {a: c.epochs for a, c in simulation.search.ledger.charges.items()} == epochs
    assert sorted(simulation.records) == list(range(24))
    keys = {(plan.arm, plan.params["scheduler"]) for plan in simulation.plans.values()}
    for key in keys:
        for level in (-3, -2, -1):
            population = rung_population(simulation, key, level)
            order = sorted(population, key=lambda number: (-population[number], number))
            best = order[: math.ceil(len(order) / REDUCTION)]
            for number in best:
                went_on = (
                    simulation.epochs[number] > simulation.plans[number].decision_epochs[level]
                )
                assert went_on or math.isinf(population[number])


@settings(max_examples=30, deadline=None)
@given(
    values=st.lists(st.integers(0, 20), min_size=12, max_size=12),
    num_before=st.integers(0, 80),
)
def test_a_search_resumed_anywhere_ends_as_if_never_interrupted(values, num_before):
    def curve(plan, number, epoch):
        return values[number] + epoch * (number % 3) / 7

    whole, first = Simulation(search_of(), curve), Simulation(search_of(), curve)
    whole.run(1, [])
    for _ in range(num_before):
        if not first.running and not first.fill():
            break
        first.advance(0)
    second = Simulation(search_of(), curve)
    second.plans, second.epochs = first.plans, dict(first.epochs)
    second.running, second.paused = first.running, first.paused
    for number in sorted(second.plans):
        record = first.records.get(number) or first.record(number, "running")
        plan = second.search.restore(record)
        assert plan == second.plans[number]
        if record.outcome != "running":
            second.records[number] = record
            second.search.finish(plan, record)
    second.run(1, [])
    assert {n: (r.outcome, r.epochs_run) for n, r in second.records.items()} == {
        n: (r.outcome, r.epochs_run) for n, r in whole.records.items()
    }


# ---------------------------------------------------------------- crossing schedules


def crossing_curve(is_cosine, number, epoch):
    """Cosine is behind constant until half the schedule and better at the end; 0.02 of noise."""
    noise = 0.02 * math.sin(78.233 * number)
    if is_cosine:
        return 0.3 + 0.6 * (epoch / EPOCHS) ** 2 + noise
    return 0.6 + 0.2 * (1 - math.exp(-epoch / 2)) + noise


def crossing_winners(schedulers, is_cosine, num_studies=40):
    """Whether the best complete trial of each of several studies is a cosine one."""
    winners = []
    for seed in range(num_studies):
        document = study_document(
            study={"seed": seed},
            training={"epochs": EPOCHS},
            search={"pruner": "halving", "defaults": False, "sampler": "random", "audit": 0,
                    "optimizers": ["sgd"], "schedulers": schedulers, "trials_per_arm": 16},
        )  # fmt: skip
        config = resolve_study(document)
        simulation = Simulation(
            Search(config, build_arms(config), "maximize"),
            lambda plan, number, epoch: crossing_curve(is_cosine(plan), number, epoch),
        )
        simulation.run(2, [])
        complete = [one for one in simulation.records.values() if one.outcome == "complete"]
        best = max(complete, key=lambda record: record.score)
        winners.append(is_cosine(simulation.plans[best.number]))
    return winners


def test_of_two_crossing_schedules_cohorts_find_the_better_one():
    winners = crossing_winners(
        ["constant", "cosine"], lambda plan: plan.params["scheduler"] == "cosine"
    )
    assert sum(winners) >= 38


def test_of_two_crossing_schedules_one_pooled_cohort_mostly_finds_the_worse_one():
    """The kind of a trial's curve follows from its seed, which no cohort knows."""
    winners = crossing_winners(["constant"], lambda plan: plan.seed % 2 == 0)
    assert sum(winners) < 20


# ---------------------------------------------------------------- the sampler

RATE_ONLY = ArmRecord(
    name="sgd",
    space={
        "optimizer": "sgd",
        "scheduler": "constant",
        "sgd.learning_rate": FloatRange(low=1e-3, high=1.0, log=True),
    },
)


def test_the_sampler_sees_paused_trials_by_their_place_in_their_rung():
    """Two arms whose paused trials differ only in the units of their losses propose the same."""

    def proposals(scale):
        search = search_of(trials_per_arm=20, sampler="tpe", startup_trials=8,
                                schedulers=["constant"])  # fmt: skip
        simulation = Simulation(
            search, lambda plan, number, epoch: scale * (1 + number * 7 % 11) / epoch
        )
        simulation.run(1, [])
        return [plan.params for plan in simulation.plans.values()]

    assert proposals(1.0) == proposals(2.0**-10)  # a power of two, which rounds no tie away


def test_the_sampler_is_given_the_best_and_the_latest_of_many_trials():
    config = resolve_study(study_document(search={"pruner": "halving", "startup_trials": 1}))
    sampler = ArmSampler(RATE_ONLY, config)
    for number in range(MOST_BEST + MOST_LATEST + 100):
        rate = 10 ** -(1 + number % 97 / 97)
        sampler.started(number, {**RATE_ONLY.space, "sgd.learning_rate": rate}, "random")
    places = {number: ((1.0, 0.0, number * 37 % 401 / 401),) for number in range(number + 1)}
    best = sorted(places, key=places.__getitem__)[:MOST_BEST]
    told = {*best, *list(places)[-MOST_LATEST:]}
    assert len(told) < len(places) - 20
    assert sampler.propose(401, places) == sampler.propose(
        401, {number: place for number, place in places.items() if number in told}
    )
    assert sampler.propose(401, places) != sampler.propose(
        401, {number: place for number, place in places.items() if number in best}
    )


def test_a_trial_may_be_started_with_other_parameters_than_proposed():
    config = resolve_study(study_document(search={"pruner": "halving", "defaults": False}))
    search = Search(config, [RATE_ONLY], "maximize")
    plan = search.next()
    other = replace(plan, params={**plan.params, "sgd.learning_rate": 0.5})
    search.started(0, other)
    assert search.restore(
        TrialRecord(number=1, arm="sgd", params=other.params, outcome="running", score=None)
    ).params == other.params  # fmt: skip
