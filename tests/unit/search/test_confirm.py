from collections import Counter
from dataclasses import replace

import pytest

from bakeoff.records import TrialRecord
from bakeoff.search.arms import Search
from bakeoff.search.confirm import Confirmation, choose, shortlist
from bakeoff.space import build_arms
from bakeoff.studyfile import resolve_study
from study_examples import ACCURACY, study_document


def trial(number, arm, score, outcome="complete", phase="random"):
    return TrialRecord(
        number=number,
        arm=arm,
        params={"optimizer": arm, "scheduler": "constant", f"{arm}.learning_rate": 0.1 * number},
        outcome=outcome,
        score=score,
        seed=number,
        phase=phase,
    )


TRIALS = (
    trial(0, "sgd", 0.99, phase="default"),
    trial(1, "sgd", 0.8),
    trial(2, "sgd", 0.9),
    trial(3, "sgd", 0.95, outcome="pruned"),
    trial(4, "sgd", 0.9),
    trial(5, "adam", 0.7),
    trial(6, "adam", None, outcome="failed"),
    trial(7, "adam", 0.1, outcome="diverged"),
)


def confirmation_of(trials=TRIALS, **confirm):
    config = resolve_study(study_document(confirm=confirm))
    return Confirmation(config, build_arms(config), trials, ACCURACY)


def ended(plan, number, score):
    return TrialRecord(
        number=number,
        arm=plan.arm,
        params=plan.params,
        outcome="complete",
        score=score,
        seed=plan.seed,
        phase=plan.phase,
        purpose=plan.purpose,
        configuration=plan.configuration,
    )


def run_all(confirmation, score=lambda plan: 0.5):
    plans = []
    while (plan := confirmation.next()) is not None:
        plans.append(plan)
        confirmation.finish(plan, ended(plan, len(plans), score(plan)))
    return plans


def test_the_shortlist_is_the_best_complete_trials_the_earlier_first_on_ties(config):
    listed = shortlist(TRIALS, build_arms(config), (ACCURACY,), size=3)
    assert [one.number for one in listed["sgd"]] == [2, 4, 1]
    assert [one.number for one in listed["adam"]] == [5]


def test_the_shortlist_follows_the_metrics_direction(config):
    loss = type(ACCURACY)(name="loss", direction="minimize", low=0.0, high=9.0)
    listed = shortlist(TRIALS, build_arms(config), (loss,), size=1)
    assert [one.number for one in listed["sgd"]] == [1]


def test_the_configuration_is_chosen_by_its_mean_on_fresh_seeds():
    runs = [
        TrialRecord(number=n, arm="sgd", params={}, outcome="complete", score=score,
                    purpose="shortlist", configuration=configuration)
        for n, (configuration, score) in enumerate([(2, 0.8), (4, 0.9), (2, 0.85), (4, 0.7)])
    ]  # fmt: skip
    assert choose(runs, [TRIALS[2], TRIALS[4]], ACCURACY) == 2


def test_a_candidate_that_failed_on_a_seed_is_not_chosen():
    runs = [
        TrialRecord(number=n, arm="sgd", params={}, outcome="complete" if score else "failed",
                    score=score, purpose="shortlist", configuration=configuration)
        for n, (configuration, score) in enumerate([(2, None), (4, 0.7), (2, 0.99), (4, 0.7)])
    ]  # fmt: skip
    assert choose(runs, [TRIALS[2], TRIALS[4]], ACCURACY) == 4


def test_a_tie_goes_to_the_better_search_score():
    assert choose([], [TRIALS[2], TRIALS[4]], ACCURACY) == 2


def test_confirmation_waits_for_the_shortlist_of_its_arm():
    confirmation = confirmation_of(seeds=3, shortlist=2, shortlist_seeds=1)
    first = [confirmation.next() for _ in range(3)]
    assert [(plan.arm, plan.purpose) for plan in first] == [
        ("sgd", "shortlist"),
        ("sgd", "shortlist"),
        ("adam", "confirm"),
    ]


def test_every_arm_is_confirmed_on_the_same_seeds_which_the_search_never_used():
    config = resolve_study(study_document())
    search = Search(config, build_arms(config), "maximize")
    search_seeds = {search.next().seed for _ in range(14)}
    plans = run_all(confirmation_of(seeds=6))
    seeds = {
        arm: [plan.seed for plan in plans if plan.arm == arm and plan.purpose == "confirm"]
        for arm in ("sgd", "adam")
    }
    assert seeds["sgd"] == seeds["adam"]
    assert len(set(seeds["sgd"])) == 6
    shortlist_seeds = {plan.seed for plan in plans if plan.purpose == "shortlist"}
    assert not search_seeds & {*seeds["sgd"], *shortlist_seeds}
    assert not shortlist_seeds & {*seeds["sgd"]}


def test_the_winner_of_the_shortlist_is_what_is_confirmed():
    plans = run_all(
        confirmation_of(seeds=2, shortlist=3, shortlist_seeds=2),
        score=lambda plan: 0.9 if plan.configuration == 1 else 0.5,
    )
    confirmed = {plan.configuration for plan in plans if plan.purpose == "confirm"}
    assert confirmed == {1, 5}


def test_the_number_of_runs_left_counts_those_that_still_wait():
    confirmation = confirmation_of(seeds=3, shortlist=2, shortlist_seeds=2)
    assert (
        confirmation.num_left == 2 * 2 + 2 * 3 + 2 * 3
    )  # shortlist of sgd, confirmations, defaults
    confirmation.next()
    assert confirmation.num_left == 2 * 2 + 2 * 3 + 2 * 3 - 1


@pytest.mark.parametrize("num_before", [0, 1, 4, 5, 9])
def test_a_confirmation_restored_from_its_records_continues(num_before):
    expected = run_all(confirmation_of(seeds=3))
    resumed = confirmation_of(seeds=3)
    for number, plan in enumerate(expected[:num_before]):
        record = ended(plan, number, 0.5)
        resumed.finish(resumed.restore(record), record)
    assert run_all(resumed) == expected[num_before:]


def test_an_arm_without_a_complete_trial_is_not_confirmed():
    plans = run_all(confirmation_of(trials=TRIALS[:5], seeds=2))
    assert {plan.arm for plan in plans if plan.purpose != "default"} == {"sgd"}


def test_library_defaults_are_trained_on_the_seeds_of_the_confirmation():
    plans = run_all(confirmation_of(seeds=4))
    seeds = {
        (plan.arm, purpose): [
            one.seed for one in plans if (one.arm, one.purpose) == (plan.arm, purpose)
        ]
        for plan in plans
        for purpose in ("confirm", "default")
    }
    assert len(seeds["sgd", "confirm"]) == 4
    assert set(map(tuple, seeds.values())) == {tuple(seeds["sgd", "confirm"])}
    defaults = [plan for plan in plans if plan.purpose == "default"]
    assert {
        (plan.arm, plan.params["adam.learning_rate"]) for plan in defaults if plan.arm == "adam"
    } == {("adam", 0.001)}
    assert {(plan.arm, plan.configuration) for plan in defaults} == {("sgd", 0), ("adam", None)}
    assert {plan.phase for plan in defaults} == {"default"}


def test_a_study_without_defaults_confirms_none():
    config = resolve_study(study_document(search={"defaults": False}))
    plans = run_all(Confirmation(config, build_arms(config), TRIALS, ACCURACY))
    assert {plan.purpose for plan in plans} == {"shortlist", "confirm"}


def test_defaults_are_not_confirmed_where_no_arm_has_anything_to_compare_them_with():
    assert run_all(confirmation_of(trials=TRIALS[:1], seeds=2)) == []


def test_a_repeat_confirms_its_own_trials_on_seeds_of_its_own():
    config = resolve_study(study_document(confirm={"seeds": 4, "repeat_seeds": 3}))
    later = tuple(replace(one, number=one.number + 8, repeat=1) for one in TRIALS[1:])
    plans = {
        repeat: run_all(
            Confirmation(config, build_arms(config), (*TRIALS, *later), ACCURACY, repeat=repeat)
        )
        for repeat in (0, 1)
    }
    assert plans[0] == run_all(Confirmation(config, build_arms(config), TRIALS, ACCURACY))
    assert {plan.repeat for plan in plans[1]} == {1}
    chosen = {plan.configuration for plan in plans[1] if plan.purpose != "default"}
    assert chosen == {9, 10, 12, 13} - {9}
    seeds = {repeat: {one.seed for one in found} for repeat, found in plans.items()}
    assert not seeds[0] & seeds[1]
    confirmed = [plan.seed for plan in plans[1] if plan.purpose == "confirm" and plan.arm == "sgd"]
    assert len(confirmed) == 3


def test_a_look_trains_the_first_seeds_and_later_looks_add_to_them():
    config = resolve_study(study_document(confirm={"looks": [2, 5], "seeds": 5}))
    first = Confirmation(config, build_arms(config), TRIALS, ACCURACY, num_seeds=2)
    plans = run_all(first)
    assert not first.has_begun_beyond()
    second = Confirmation(config, build_arms(config), TRIALS, ACCURACY, num_seeds=5)
    for number, plan in enumerate(plans):
        record = ended(plan, number, 0.5)
        second.finish(second.restore(record), record)
    added = run_all(second)
    assert Counter(plan.purpose for plan in plans) == {"shortlist": 4, "confirm": 4, "default": 4}
    assert Counter(plan.purpose for plan in added) == {"confirm": 6, "default": 6}
    again = Confirmation(config, build_arms(config), TRIALS, ACCURACY, num_seeds=2)
    for number, plan in enumerate([*plans, *added]):
        record = ended(plan, number, 0.5)
        again.finish(again.restore(record), record)
    assert again.has_begun_beyond()
    assert again.num_left == 0
