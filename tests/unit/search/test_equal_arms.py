"""Four equally good arms: each gets its budget here, and some starve in one shared TPE study."""

import random

import optuna

from bakeoff.search.arms import Search
from bakeoff.space import build_arms
from bakeoff.studyfile import resolve_study
from search_simulation import EPOCHS, Simulation
from study_examples import study_document

FOUR = ["sgd", "adam", "adamw", "rmsprop"]
TRIALS = 48


def luck(*keys):
    """A score that has nothing to do with the arm."""
    return random.Random(str(keys)).random()


def counts_here(seed):
    document = study_document(
        study={"seed": seed},
        training={"epochs": EPOCHS},
        search={"optimizers": FOUR, "pruner": "halving", "trials_per_arm": TRIALS // 4,
                "sampler": "tpe", "defaults": False},
    )  # fmt: skip
    config = resolve_study(document)
    search = Search(config, build_arms(config), "maximize")
    Simulation(search, lambda plan, number, _: luck(plan.arm, number, seed)).run(3, [2, 0, 1])
    return [charges.trials for charges in search.ledger.charges.values()]


def counts_shared(seed):
    counts = dict.fromkeys(FOUR, 0)

    def objective(trial):
        arm = trial.suggest_categorical("arm", FOUR)
        counts[arm] += 1
        return luck(arm, trial.number, seed)

    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed), direction="maximize")
    study.optimize(objective, n_trials=TRIALS)
    return list(counts.values())


def test_equal_arms_get_equal_budgets_here_and_not_from_a_shared_sampler():
    spreads_here = [max(found) - min(found) for found in map(counts_here, range(2))]
    spreads_shared = [max(found) - min(found) for found in map(counts_shared, range(4))]
    print(f"most minus fewest trials of an arm: here {spreads_here}, shared {spreads_shared}")
    assert spreads_here == [0, 0]
    assert sum(spreads_shared) / len(spreads_shared) >= TRIALS / 8
