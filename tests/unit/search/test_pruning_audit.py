import math
from dataclasses import replace

import pytest
from hypothesis import given, settings, strategies as st
from scipy.stats import pearsonr, spearmanr

from bakeoff.search.cohorts import cohort_key
from bakeoff.search.pruning_audit import FEWEST, PruningAudit, is_audited, rank_correlation
from search_simulation import EPOCHS, Simulation, search_of


@pytest.mark.parametrize(
    ("num_trials", "share", "expected"),
    [
        (20, 0.1, [4, 14]),
        (100, 0.1, list(range(4, 100, 10))),
        (5, 0.1, [4]),
        (4, 0.1, []),
        (1, 0.1, []),
        (8, 0.5, [0, 2, 4, 6]),
        (4, 1.0, [0, 1, 2, 3]),
        (50, 0.0, []),
    ],
)
def test_a_share_of_the_trials_is_audited_evenly(num_trials, share, expected):
    audited = [index for index in range(num_trials) if is_audited(index, share)]
    assert audited == expected


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=3, max_size=12))
def test_the_rank_correlation_is_spearmans(pairs):
    first, second = zip(*pairs, strict=True)
    if len(set(first)) > 1 and len(set(second)) > 1:
        assert rank_correlation(first, second) == pytest.approx(spearmanr(first, second).statistic)
    else:
        assert rank_correlation(first, second) == 0.0


def test_a_missing_value_counts_as_the_lowest():
    """Several share the rank 0; the others have 1.0, 1.0 and 2.5."""
    ranks, places = [0, 2.5, 1, 0, 1], range(5)
    found = rank_correlation([math.nan, 3, 1, math.nan, 1], places)
    assert found == pytest.approx(pearsonr(ranks, places).statistic)


@settings(max_examples=25, deadline=None)
@given(
    values=st.lists(st.integers(0, 20) | st.just(math.nan), min_size=24, max_size=24),
    num_workers=st.integers(1, 4),
    turns=st.lists(st.integers(0, 3), max_size=150),
    pruner=st.sampled_from(["halving", "median", "hyperband"]),
)
def test_only_audited_trials_are_exempt_from_pruning(values, num_workers, turns, pruner):
    search = search_of(trials_per_arm=12, pruner=pruner, audit=0.25)
    simulation = Simulation(search, lambda plan, number, epoch: values[number] + epoch / 100)
    simulation.run(num_workers, turns)
    for number, plan in simulation.plans.items():
        outcome = simulation.records[number].outcome
        if plan.audited:
            assert outcome == ("diverged" if math.isnan(values[number]) else "complete")
        else:
            assert number not in simulation.exempt
    assert sum(plan.audited for plan in simulation.plans.values()) == 2 * 3


def test_under_halving_audited_trials_wait_until_their_arm_begins_no_more_trials():
    """So the search finds what it would have found without an audit, in the same order."""

    def proposals(audit):
        search = search_of(trials_per_arm=20, sampler="tpe", startup_trials=5, audit=audit)
        simulation = Simulation(search, lambda plan, number, epoch: number * 7 % 11 + epoch / 100)
        simulation.run(1, [])
        return [plan.params for plan in simulation.plans.values()]

    assert proposals(0.0) == proposals(0.2)


def misleading(plan, number, epoch):
    """What is ahead early is behind in the end."""
    return (number * 7 % 23) * (0.5 - epoch / EPOCHS)


def honest(plan, number, epoch):
    return (number * 7 % 23) * (0.5 + epoch / EPOCHS)


def run(pruner, curve, share=0.4, trials=40):
    search = search_of(
        trials_per_arm=trials,
        pruner=pruner,
        audit=share,
        optimizers=["sgd"],
        schedulers=["constant"],
    )
    simulation = Simulation(search, curve)
    simulation.run(1, [])
    return simulation


@pytest.mark.parametrize("pruner", ["halving", "median"])
def test_pruning_is_switched_off_with_a_note_if_early_values_mislead(pruner):
    simulation = run(pruner, misleading)
    (note,) = simulation.search.take_notes()
    assert note.startswith("pruning is off for sgd, constant: of 8 audited trials the rank")
    assert simulation.search.take_notes() == ()
    audited = [number for number, plan in simulation.plans.items() if plan.audited]
    last = audited[FEWEST - 1]
    outcomes = {simulation.records[number].outcome for number in simulation.plans if number > last}
    assert outcomes == {"complete"}
    if pruner == "halving":
        assert {record.outcome for record in simulation.records.values()} == {"complete"}


@pytest.mark.parametrize("pruner", ["halving", "median"])
def test_pruning_stays_on_if_early_values_are_informative(pruner):
    simulation = run(pruner, honest)
    assert simulation.search.take_notes() == ()
    assert "pruned" in {record.outcome for record in simulation.records.values()}


def test_too_few_audited_trials_decide_nothing():
    simulation = run("median", misleading, share=(FEWEST - 1) / 40)
    assert simulation.search.take_notes() == ()


def test_trials_that_early_stopping_ended_before_the_first_rung_say_nothing():
    simulation, audit = run("halving", misleading), PruningAudit("accuracy")
    plans, rung, notes = simulation.plans, 3, []
    for number in [number for number, plan in plans.items() if plan.audited][:FEWEST]:
        record = simulation.records[number]
        key = cohort_key(record.arm, record.params)
        ended = replace(record, history=record.history[: rung - 1])
        assert audit.finish(key, ended, (rung, 9)) is None
        notes.append(audit.finish(key, record, (rung, 9)))
    assert [note is None for note in notes] == [True] * (FEWEST - 1) + [False]


@pytest.mark.parametrize("pruner", ["halving", "median"])
def test_it_is_recorded_which_exempt_trials_would_have_been_pruned(pruner):
    simulation = run(pruner, honest)
    plans = simulation.plans
    exempt = {simulation.plans[number].audited for number in simulation.exempt}
    assert exempt == {True}
    audited = [number for number, plan in plans.items() if plan.audited]
    best = max(audited, key=lambda number: simulation.records[number].score)
    assert best not in simulation.exempt


def test_an_audit_is_the_same_after_a_restart():
    first = run("median", misleading)
    again = search_of(
        trials_per_arm=40, pruner="median", audit=0.4, optimizers=["sgd"], schedulers=["constant"]
    )
    for number, record in sorted(first.records.items()):
        plan = again.restore(record)
        assert plan == first.plans[number]
        again.finish(plan, record)
    assert again.take_notes() == first.search.take_notes() != ()
