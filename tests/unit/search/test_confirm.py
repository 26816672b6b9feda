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
    assert confirmation.num_left == 2 * 2 + 2 * 3
    confirmation.next()
    assert confirmation.num_left == 2 * 2 + 2 * 3 - 1


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
    assert {plan.arm for plan in plans} == {"sgd"}
