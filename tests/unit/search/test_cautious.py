import math
import random
import statistics

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.stats import multivariate_normal, norm, spearmanr

from bakeoff.components.pruners import PrunerSettings
from bakeoff.records import EpochResult, Standing, TrialRecord
from bakeoff.search.cautious import (
    FEWEST_RUNS,
    FEWEST_WHOLE,
    PATIENT_AFTER,
    SMALL_SHARE,
    CautiousCohorts,
)
from bakeoff.search.trust import (
    BEST_SHARE,
    FEWEST_PAIRS,
    LARGEST,
    LEAST_SHARE,
    PRIOR,
    PRIOR_TRIALS,
    SAFETY,
    SMALLEST_SPREAD,
    Evidence,
    RungEvidence,
    believed,
    share_to_promote,
)
from search_simulation import EPOCHS, Simulation, search_of

# ---------------------------------------------------------------- trust


@pytest.mark.parametrize("correlation", [0.3, 0.4, 0.5])
def test_the_best_tenth_passes_the_promoted_share_as_often_as_promised(correlation):
    """The chance that both of two correlated normal scores are high, by scipy."""
    share = share_to_promote(correlation)
    assert LEAST_SHARE < share < SAFETY
    both = multivariate_normal([0, 0], [[1, correlation], [correlation, 1]])
    is_best_and_passes = both.cdf([norm.ppf(BEST_SHARE), norm.ppf(share)])
    assert is_best_and_passes / BEST_SHARE == pytest.approx(SAFETY, abs=0.005)


def test_a_rung_that_says_nothing_promotes_most_and_a_perfect_one_the_least():
    assert share_to_promote(0.0) == pytest.approx(SAFETY, abs=1e-6)
    assert share_to_promote(0.99) == LEAST_SHARE
    shares = [share_to_promote(one) for one in np.linspace(0, 1, 30)]
    assert shares == sorted(shares, reverse=True)


def test_without_evidence_the_prior_is_believed_and_evidence_moves_it():
    assert believed([]) == pytest.approx(PRIOR)
    assert believed([Evidence()]) == pytest.approx(PRIOR)
    none = Evidence(z=0.0, weight=PRIOR_TRIALS)
    assert believed([none]) == pytest.approx(math.tanh(math.atanh(PRIOR) / 2))
    assert believed([Evidence(z=-1.8, weight=1000.0)]) == 0.0


def test_the_correlation_of_all_trials_is_found_from_the_promoted_third():
    rng = np.random.default_rng(5)
    values, later = rng.multivariate_normal([0, 0], [[1, 0.7], [0.7, 1]], 3000).T
    promoted = np.argsort(-values)[:1000]
    evidence = RungEvidence().of(
        dict(enumerate(values)), {int(number): later[number] for number in promoted}
    )
    assert math.tanh(evidence.z) == pytest.approx(0.7, abs=0.06)
    assert evidence.weight < 500  # they tell less than 1,000 that nobody selected


def test_an_order_among_the_worse_half_is_no_evidence():
    """The worse half keeps its order, the better half does not; together they correlate at 0.87."""
    rng = np.random.default_rng(2)
    later = [*range(500), *(500 + rng.permutation(500))]
    values = dict(enumerate(map(float, range(1000))))
    assert spearmanr(range(1000), later).statistic > 0.8
    evidence = RungEvidence().of(values, dict(enumerate(map(float, later))))
    assert abs(math.tanh(evidence.z)) < 3 / math.sqrt(evidence.weight)


def test_two_trials_or_equal_values_are_no_evidence():
    assert RungEvidence().of({0: 1.0, 1: 2.0}, {0: 1.0, 1: 2.0}).weight == 0
    assert (
        RungEvidence().of(dict.fromkeys(range(9), 0.5), {n: float(n) for n in range(9)}).weight == 0
    )


@settings(max_examples=60, deadline=None)
@given(
    pairs=st.lists(
        st.tuples(st.integers(0, 9) | st.just(-math.inf), st.integers(0, 9)), min_size=2
    ),
    num_alone=st.integers(0, 9),
)
def test_evidence_is_that_of_scipys_rank_correlation(pairs, num_alone):
    """With ties and diverged trials, in any order of arrival; only of the better half."""
    values = dict(enumerate(float(one) for one, _ in pairs)) | {
        len(pairs) + index: index + 0.5 for index in range(num_alone)
    }
    later = {index: float(two) for index, (_, two) in enumerate(pairs)}
    found = RungEvidence().of(values, dict(reversed(later.items())))
    pairs = [pair for pair in pairs if pair[0] >= statistics.median_low(values.values())]
    firsts, seconds = ([pair[side] for pair in pairs] for side in (0, 1))
    if len(pairs) < FEWEST_PAIRS or len(set(firsts)) == 1 or len(set(seconds)) == 1:
        assert found == Evidence()
        return
    correlation = float(np.clip(spearmanr(firsts, seconds).statistic, -LARGEST, LARGEST))
    places = [sum(other < one for other in values.values()) for one in firsts]
    spread = np.std(norm.ppf((np.array(places) + 0.5) / len(values)))
    stretch = max(1.0, 1 / max(spread, SMALLEST_SPREAD))
    restored = correlation * stretch / math.sqrt(1 + correlation**2 * (stretch**2 - 1))
    assert found.z == pytest.approx(math.atanh(np.clip(restored, -LARGEST, LARGEST)))
    assert found.weight == pytest.approx((len(pairs) - 2) / stretch**2)


@settings(max_examples=40, deadline=None)
@given(
    batches=st.lists(
        st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5) | st.none()), max_size=6),
        max_size=6,
    )
)
def test_evidence_does_not_depend_on_when_it_is_asked_for(batches):
    """Exactly: what is promoted must be the same after a restart."""
    growing, values, later = RungEvidence(), {}, {}
    for batch in batches:
        for here, there in batch:
            number = len(values)
            values[number] = float(here)
            if there is not None:
                later[number] = float(there)
        assert growing.of(values, later) == RungEvidence().of(values, later)


# ---------------------------------------------------------------- one search


def large_search(**search):
    """One arm and one schedule, with a budget that allows several rungs."""
    given = {"pruner": "cautious", "optimizers": ["sgd"], "schedulers": ["constant"], **search}
    return search_of(**{"trials_per_arm": FEWEST_RUNS, **given})


def quality(number):
    return (number * 37 % 101) / 101


def honest(plan, number, epoch):
    return quality(number) * (0.5 + epoch / EPOCHS)


def misleading(plan, number, epoch):
    """What is ahead until two thirds of a run is behind in the end."""
    return 0.5 + (quality(number) - 0.5) * (1 if epoch < 2 * EPOCHS / 3 else -1)


def run(curve, num_workers=1, turns=(), **search):
    simulation = Simulation(large_search(**search), curve)
    simulation.run(num_workers, turns)
    return simulation


def num_complete(simulation):
    return sum(one.outcome == "complete" for one in simulation.records.values())


def test_a_small_budget_has_one_rung_halfway_which_a_third_passes():
    simulation = run(honest, trials_per_arm=12, audit=0)
    for plan in simulation.plans.values():
        warmup = EPOCHS * plan.params.get("constant.warmup_fraction", 0.0)
        assert plan.decision_epochs == (math.floor((warmup + EPOCHS) / 2),)
    complete = {n for n, one in simulation.records.items() if one.outcome == "complete"}
    best = sorted(range(12), key=quality, reverse=True)[: math.ceil(12 * SMALL_SHARE)]
    assert complete >= set(best)


def test_a_budget_in_epochs_counts_in_whole_runs():
    for num_runs, has_several in ((FEWEST_RUNS - 1, False), (FEWEST_RUNS, True)):
        search = large_search(trials_per_arm=None, epochs_per_arm=num_runs * EPOCHS)
        assert (len(search.next().decision_epochs) > 1) == has_several


def test_more_trials_are_trained_to_the_end_where_early_values_mislead():
    numbers = [num_complete(run(curve, trials_per_arm=100)) for curve in (misleading, honest)]
    assert numbers[0] > 2 * numbers[1]


def test_the_best_trial_is_complete_although_early_values_mislead():
    simulation = run(misleading, trials_per_arm=100)
    complete = [one for one in simulation.records.values() if one.outcome == "complete"]
    assert max(one.score for one in complete) > 0.95


def test_audited_trials_wait_at_first_and_train_on_at_once_later():
    simulation = Simulation(large_search(trials_per_arm=100, audit=0.2), honest)
    early, late = set(), set()
    while len(simulation.plans) < 100 or simulation.running:
        if not simulation.running and not simulation.fill():
            break
        simulation.advance(0)
        waiting = {n for n in simulation.paused if simulation.plans[n].audited}
        (early if len(simulation.plans) <= PATIENT_AFTER else late).update(waiting)
    assert early
    assert all(number < PATIENT_AFTER for number in late)


@settings(max_examples=15, deadline=None)
@given(num_before=st.integers(0, 400), is_honest=st.booleans())
def test_a_cautious_search_resumed_anywhere_ends_as_if_never_interrupted(num_before, is_honest):
    curve = honest if is_honest else misleading
    whole, first = Simulation(large_search(), curve), Simulation(large_search(), curve)
    whole.run(1, [])
    for _ in range(num_before):
        if not first.running and not first.fill():
            break
        first.advance(0)
    second = Simulation(large_search(), curve)
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


@settings(max_examples=20, deadline=None)
@given(
    values=st.lists(st.integers(0, 20) | st.just(math.nan), min_size=70, max_size=70),
    num_workers=st.integers(1, 5),
    turns=st.lists(st.integers(0, 4), max_size=200),
)
def test_any_interleaving_charges_each_trial_once_and_completes_one(values, num_workers, turns):
    simulation = run(
        lambda plan, number, epoch: values[number] + epoch * (number % 3) / 7,
        num_workers,
        turns,
        trials_per_arm=70,
    )
    charges = simulation.search.ledger.charges["sgd"]
    assert charges.trials == len(simulation.records) == 70
    assert charges.epochs == sum(simulation.epochs.values())
    if any(map(math.isfinite, values)):
        assert num_complete(simulation) >= 1


# ---------------------------------------------------------------- the sampler


def cohorts_with(num_runs=1000):
    rest = {"startup_trials": 3, "epochs": 27}
    return CautiousCohorts(
        "accuracy", 1, lambda _: True, lambda _: False, lambda _: True,
        PrunerSettings(num_runs=num_runs, **rest),
    )  # fmt: skip


def report(cohorts, key, number, rungs, values):
    for epoch, value in values.items():
        cohorts.report(key, number, rungs, EpochResult(epoch=epoch, metrics={"accuracy": value}))


def test_a_whole_run_is_sorted_only_among_those_that_got_as_far():
    """Trials 1 and 2 end in the other order; trial 3 is whole, yet behind at the first rung."""
    cohorts, key, rungs = cohorts_with(), ("sgd", "constant"), (2, 3, 9)
    for number, first in enumerate((0.5, 0.9, 0.8, 0.1)):
        cohorts.start(key, number)
        report(cohorts, key, number, rungs, {2: first})
    ended = {}
    for number, score in ((1, 0.6), (2, 0.7), (3, 0.2)):
        report(cohorts, key, number, rungs, {3: score, 9: score})
        ended[number] = (Standing(tier=0, loss=-score),)
    ranks = cohorts.ranks("sgd", ended)
    assert sorted(ranks, key=ranks.__getitem__) == [2, 1, 0, 3]


def plainly_ranked(measured, ended):
    """What `ranks` is defined to be, sorted from the start.

    Args:
        measured: By cohort, by level from 1, the value of each trial.
        ended: The ranks of ended trials.
    """

    def best_first(values):
        return sorted(values, key=lambda one: (-values[one], one))

    def sort_anew(order):
        held = sorted(places[number] for number in order)
        places.update(zip(order, held, strict=True))

    shares = {}
    for levels in measured.values():
        for level in sorted(levels, reverse=True):
            order = best_first(levels[level])
            shares |= {number: place / len(order) for place, number in enumerate(order)}
    order = sorted(shares, key=lambda one: (shares[one], one))
    places = {number: place for place, number in enumerate(order)}
    for level in (2, 3):
        for levels in measured.values():
            sort_anew(best_first(levels.get(level, {})))
    complete = {number: one[0] for number, one in ended.items() if one[0].tier == 0}
    places |= {number: len(places) for number in complete if number not in places}
    sort_anew(sorted(complete, key=lambda one: (complete[one], one)))
    others = {number: one for number, one in ended.items() if number not in complete}
    ranked = {number: (Standing(tier=1, loss=place),) for number, place in places.items()}
    return ranked | others


RUNGS = {"constant": (2, 3, 9), "cosine": (3, 4, 10), "linear": (5, 9)}
"""By schedule; a long warm-up merges the lowest two."""


@pytest.mark.parametrize("seed", range(6))
def test_ranks_are_those_of_sorting_all_trials_anew(seed):
    """After every event of a random search, with many ties, that has not asked for trust yet."""
    rng = random.Random(seed)
    kinds, values = ["start", "measure", "measure", "complete", "diverge"], [*range(5), math.nan]
    events = [
        (rng.choices(kinds, (4, 3, 3, 3, 1))[0], rng.randrange(100), rng.choice(values))
        for _ in range(110)
    ]
    cohorts, measured, ended, open_trials = cohorts_with(), {}, {}, []
    for number, (event, which, value) in enumerate(events):
        if event == "start" or not open_trials:
            schedule = sorted(RUNGS)[which % 3]
            cohorts.start(("sgd", schedule), number)
            open_trials.append((number, schedule, [*RUNGS[schedule]]))
            continue
        trial = open_trials[which % len(open_trials)]
        one, schedule, left = trial
        levels = measured.setdefault(schedule, {})
        level = 4 - len(left)
        if event == "measure" and left:
            epoch = left.pop(0)
            report(cohorts, ("sgd", schedule), one, RUNGS[schedule], {epoch: value})
            levels.setdefault(level, {})[one] = -math.inf if math.isnan(value) else value
        elif event in ("complete", "diverge"):
            open_trials.remove(trial)
            has_diverged = event == "diverge" or math.isnan(value)
            if has_diverged and left:
                levels.setdefault(level, {})[one] = -math.inf
            epochs = range(1, 1 + (left[0] if left else 18))
            record = TrialRecord(
                number=one,
                arm="sgd",
                params={},
                outcome="diverged" if has_diverged else "complete",
                score=0.0 if has_diverged else value,
                history=tuple(EpochResult(epoch=epoch, metrics={}) for epoch in epochs),
            )
            cohorts.finish(("sgd", schedule), record, RUNGS[schedule])
            ended[one] = (Standing(tier=2) if has_diverged else Standing(tier=0, loss=-value),)
        assert cohorts.ranks("sgd", ended) == plainly_ranked(measured, ended)


def test_a_trial_that_will_train_on_at_once_is_proposed_from_ended_trials():
    cohorts, key, rungs = cohorts_with(), ("sgd", "constant"), (2, 3, 9)
    for number in range(PATIENT_AFTER):
        cohorts.start(key, number)
        report(cohorts, key, number, rungs, {2: number / 100})
    ended = {number: (Standing(tier=0, loss=float(number)),) for number in range(FEWEST_WHOLE)}
    assert cohorts.ranks("sgd", ended, audited=True) == ended
    assert len(cohorts.ranks("sgd", ended)) == PATIENT_AFTER
    few = dict(list(ended.items())[1:])
    assert len(cohorts.ranks("sgd", few, audited=True)) == PATIENT_AFTER


@pytest.mark.parametrize(("keeps_order", "expected"), [(True, 0), (False, 100)])
def test_where_a_rung_says_nothing_all_trials_are_proposed_from_ended_ones(keeps_order, expected):
    """Of 100 proposals, after 20 trials that kept their order at the next rung or turned around."""
    cohorts, key, rungs = cohorts_with(), ("sgd", "constant"), (2, 3, 9)
    for number in range(PATIENT_AFTER):
        cohorts.start(key, number)
        report(cohorts, key, number, rungs, {2: number / 100})
    for number in range(PATIENT_AFTER - 20, PATIENT_AFTER):
        report(cohorts, key, number, rungs, {3: number if keeps_order else -number})
    ended = {number: (Standing(tier=0, loss=-float(number)),) for number in range(10)}
    num_from_ended = 0
    for number in range(PATIENT_AFTER, PATIENT_AFTER + 100):
        num_from_ended += cohorts.ranks("sgd", ended) == ended
        cohorts.start(key, number)
    assert num_from_ended == expected


def test_diverged_trials_come_last_for_the_sampler():
    cohorts, key, rungs = cohorts_with(), ("sgd", "constant"), (2, 3, 9)
    for number, value in enumerate((0.9, 0.2, 0.3)):
        cohorts.start(key, number)
        report(cohorts, key, number, rungs, {2: value})
    record = TrialRecord(number=0, arm="sgd", params={}, outcome="diverged", score=0.1)
    cohorts.finish(key, record, rungs)
    ranks = cohorts.ranks("sgd", {0: (Standing(tier=2),)})
    assert sorted(ranks, key=ranks.__getitem__) == [2, 1, 0]


def test_cohorts_of_one_study_share_what_they_learn_about_rungs():
    """Ten trials of one schedule turn around after a rung; the other schedule promotes more."""
    cohorts, rungs, one, other = cohorts_with(), (2, 3, 9), ("sgd", "cosine"), ("sgd", "constant")
    for number in range(10):
        cohorts.start(one, number)
        report(cohorts, one, number, rungs, {2: number / 10, 3: 1 - number / 10})
    fresh = cohorts_with()

    def num_promoted(group):
        for number in range(20, 30):
            group.start(other, number)
            report(group, other, number, rungs, {2: number / 100})
        decisions = [group.decide(other, number) for number in range(20, 30)]
        promotions = iter(group.promote, None)
        return decisions.count("continue") + sum(one.number >= 20 for one in promotions)

    assert num_promoted(cohorts) > num_promoted(fresh) > 0
