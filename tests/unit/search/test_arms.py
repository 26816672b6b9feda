import pytest

from bakeoff.records import Budget, EpochResult, TrialRecord
from bakeoff.search.arms import Search
from bakeoff.search.ledger import Charges, Ledger
from bakeoff.space import build_arms
from bakeoff.studyfile import resolve_study
from study_examples import study_document


def record_of(number, plan, score, outcome="complete", epochs=4):
    return TrialRecord(
        number=number,
        arm=plan.arm,
        params=plan.params,
        outcome=outcome,
        score=score,
        seed=plan.seed,
        phase=plan.phase,
        history=tuple(
            EpochResult(epoch=epoch, metrics={"accuracy": score or 0.1}, train_seconds=2.0)
            for epoch in range(1, epochs + 1)
        ),
        epochs_planned=4,
    )


def search_of(**changes):
    config = resolve_study(study_document(**changes))
    return Search(config, build_arms(config), "maximize")


def score_of(plan):
    rate = float(plan.params[f"{plan.arm}.learning_rate"])
    return round(1 / (1 + abs(rate - 0.01)), 6)


def run_all(search, score=score_of):
    """Plans and records of a whole search, one trial at a time."""
    done = []
    while (plan := search.next()) is not None:
        number = len(done)
        search.started(number, plan)
        record = record_of(number, plan, score(plan))
        search.finish(plan, record)
        done.append((plan, record))
    return done


def test_every_arm_gets_the_same_number_of_trials_and_its_defaults_once():
    plans = [plan for plan, _ in run_all(search_of())]
    assert [plan.arm for plan in plans if plan.phase == "default"] == ["sgd", "adam"]
    searched = [plan.arm for plan in plans if plan.phase != "default"]
    assert (searched.count("sgd"), searched.count("adam")) == (6, 6)


def test_the_next_trial_goes_to_the_arm_with_most_budget_left():
    ledger = Ledger(["a", "b"], Budget(trials=2), run_epochs=4)
    order = []
    while any(ledger.draws(arm, pending_epochs=0) for arm in ("a", "b")):
        order.append(ledger.neediest_first()[0])
        ledger.assign(order[-1])
    assert order == ["a", "b", "a", "b"]


@pytest.mark.parametrize("outcome", ["complete", "pruned", "diverged", "infeasible", "failed"])
def test_every_outcome_is_charged(outcome):
    search = search_of(search={"defaults": False})
    plan = search.next()
    search.started(0, plan)
    score = None if outcome in ("infeasible", "failed") else 0.5
    search.finish(plan, record_of(0, plan, score, outcome, epochs=3))
    assert search.ledger.charges["sgd"] == Charges(assigned=1, trials=1, epochs=3, seconds=6.0)


def test_the_defaults_are_not_charged():
    search = search_of()
    plan = search.next()
    search.started(0, plan)
    search.finish(plan, record_of(0, plan, 0.5))
    assert plan.phase == "default"
    assert search.ledger.charges["sgd"].trials == 0


def test_the_first_trials_are_random_draws_and_later_ones_the_samplers():
    phases = [plan.phase for plan, _ in run_all(search_of()) if plan.arm == "adam"]
    assert phases == ["default", "random", "random", "random", "model", "model", "model"]


def test_random_search_never_uses_a_model():
    phases = {plan.phase for plan, _ in run_all(search_of(search={"sampler": "random"}))}
    assert phases == {"default", "random"}


def test_training_seeds_are_the_same_list_in_every_arm():
    plans = [plan for plan, _ in run_all(search_of()) if plan.phase != "default"]
    seeds = {arm: [plan.seed for plan in plans if plan.arm == arm] for arm in ("sgd", "adam")}
    assert seeds["sgd"] == seeds["adam"]
    assert len(set(seeds["sgd"])) == 6


def test_the_same_seed_gives_the_same_search_and_another_one_another():
    plans = [[plan.params for plan, _ in run_all(search_of(study={"seed": s}))] for s in (1, 1, 2)]
    assert plans[0] == plans[1]
    assert plans[0] != plans[2]


@pytest.mark.parametrize("num_before", [0, 1, 3, 7, 10, 13])
def test_a_search_restored_from_its_records_proposes_the_same(num_before):
    expected = run_all(search_of())
    resumed = search_of()
    for _, record in expected[:num_before]:
        resumed.finish(resumed.restore(record), record)
    plan = resumed.next()
    assert plan == expected[num_before][0]


def test_a_restored_running_trial_keeps_its_plan():
    expected = run_all(search_of())
    plan, record = expected[5]
    resumed = search_of()
    for _, earlier in expected[:5]:
        resumed.finish(resumed.restore(earlier), earlier)
    running = TrialRecord(**{**vars(record), "outcome": "running", "score": None, "history": ()})
    assert resumed.restore(running) == plan


def test_an_arm_sees_only_its_own_trials():
    """What the other arm scores changes no proposal."""
    flat = run_all(search_of(), lambda plan: 0.9 if plan.arm == "sgd" else score_of(plan))
    steep = run_all(search_of())
    adam = [[plan.params for plan, _ in plans if plan.arm == "adam"] for plans in (flat, steep)]
    assert adam[0] == adam[1]


def test_a_trial_behind_its_cohort_is_stopped_and_one_of_another_schedule_is_not():
    """Two complete constant runs at 0.9; later runs at 0.2 stop only if they are constant too."""
    search = search_of(search={"defaults": False, "optimizers": ["sgd"], "trials_per_arm": 30,
                               "sampler": "random", "audit": 0})  # fmt: skip
    good = EpochResult(epoch=2, metrics={"accuracy": 0.9})
    bad = EpochResult(epoch=2, metrics={"accuracy": 0.2})
    stopped = []
    for number in range(30):
        plan = search.next()
        search.started(number, plan)
        is_constant = plan.params["scheduler"] == "constant"
        seen = [one for one in stopped if one[0] == "reference"]
        if is_constant and len(seen) < 2:
            search.decide(number, plan, good)
            search.finish(plan, record_of(number, plan, 0.9))
            stopped.append(("reference", True))
        elif len(seen) == 2 and 2 in plan.decision_epochs:
            stopped.append((plan.params["scheduler"], search.decide(number, plan, bad) == "stop"))
    assert ("constant", True) in stopped
    assert ("cosine", False) in stopped
    assert ("constant", False) not in stopped
    assert ("cosine", True) not in stopped
