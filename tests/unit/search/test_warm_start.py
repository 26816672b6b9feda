from dataclasses import replace

import pytest

from bakeoff.records import TrialRecord
from bakeoff.search.arms import Search
from bakeoff.search.warm_start import choose_warm_starts, fits
from bakeoff.space import build_arms
from bakeoff.storage import Storage
from bakeoff.studyfile import resolve_study
from study_examples import study_document, study_facts

CONFIG = resolve_study(study_document(search={"trials_per_arm": 12, "defaults": False}))
ARMS = build_arms(CONFIG)
SGD = {
    "optimizer": "sgd",
    "scheduler": "constant",
    "sgd.learning_rate": 0.01,
    "sgd.momentum": 0.5,
    "sgd.weight_decay": 1e-4,
    "constant.warmup_fraction": 0.1,
}


def trial(number, score, outcome="complete", **changes):
    params = {**SGD, **{f"sgd.{name}": value for name, value in changes.items()}}
    return TrialRecord(number=number, arm="sgd", params=params, outcome=outcome, score=score)


@pytest.fixture
def source(storage_url):
    storage = Storage(storage_url, create=True)
    storage.create(CONFIG, study_facts())
    record = storage.load_record("toy")
    return replace(
        record,
        trials=(
            trial(0, 0.5, momentum=0.1),
            trial(1, 0.9, momentum=0.2),
            trial(2, 0.99, "pruned", momentum=0.3),
            trial(3, 0.7, momentum=0.4),
            trial(4, 0.9, momentum=0.2),
            trial(5, 0.8, momentum=0.6),
            trial(6, 1.0, learning_rate=100.0),
        ),
    )


def test_the_best_complete_configurations_that_fit_come_first_and_once(source):
    assert fits(SGD, ARMS[0])
    chosen = choose_warm_starts(source, ARMS, trials_per_arm=12)
    assert [params["sgd.momentum"] for params in chosen["sgd"]] == [0.2, 0.6, 0.4]
    assert chosen["adam"] == []
    assert len(choose_warm_starts(source, ARMS, trials_per_arm=8)["sgd"]) == 2
    worst_first = replace(source, objective=replace(source.objective, direction="minimize"))
    assert choose_warm_starts(worst_first, ARMS, 12)["sgd"][0]["sgd.momentum"] == 0.1


@pytest.mark.parametrize(
    "params",
    [
        {**SGD, "optimizer": "adam"},
        {**SGD, "scheduler": "linear"},
        {**SGD, "sgd.learning_rate": 1e9},
        {**SGD, "model.dropout": 0.1},
        {name: value for name, value in SGD.items() if name != "sgd.momentum"},
        {"sgd.learning_rate": 0.1},
    ],
    ids=["optimizer", "scheduler", "range", "one more", "one less", "not ours"],
)
def test_what_the_arm_could_not_have_proposed_does_not_fit(params):
    assert not fits(params, ARMS[0])


def test_warm_starts_are_ordinary_first_trials_and_survive_a_restart(source, storage_url):
    name = "warm"
    config = replace(CONFIG, name=name)
    storage = Storage(storage_url, create=True)
    storage.create(config, study_facts(), choose_warm_starts(source, ARMS, 12))
    search = Search(config, ARMS, "maximize", warm_starts=storage.warm_starts(name))
    plans = []
    while (plan := search.next()) is not None:
        search.started(len(plans), plan)
        plans.append(plan)
    own = [plan for plan in plans if plan.arm == "sgd"]
    assert [plan.phase for plan in own][:5] == ["user"] * 3 + ["model"] * 2
    assert [plan.params["sgd.momentum"] for plan in own[:3]] == [0.2, 0.6, 0.4]
    assert len(own) == len(plans) - len(own) == 12
    assert not any(plan.phase == "user" for plan in plans if plan.arm == "adam")
    again = Search(config, ARMS, "maximize", warm_starts=storage.warm_starts(name))
    for number, plan in enumerate(plans[:3]):
        again.restore(
            TrialRecord(number=number, arm=plan.arm, params=plan.params, outcome="running",
                        score=None, seed=plan.seed, phase=plan.phase, audited=plan.audited)
        )  # fmt: skip
    assert again.next() == plans[3]
