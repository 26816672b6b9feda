import pytest

from bakeoff.commands.verbs.plan import Plan, print_plan
from bakeoff.records import Budget


@pytest.mark.parametrize(
    ("seeds", "answer"),
    [
        (3, "nothing: a verdict needs 6 seeds per arm, [confirm] gives 3"),
        (6, "differences of about 1.43 standard deviations over seeds, with 6 seeds per arm"),
    ],
)
def test_a_plan_says_when_its_seeds_cannot_support_a_verdict(
    capsys: pytest.CaptureFixture[str], seeds: int, answer: str
) -> None:
    plan = Plan(
        study="toy", arms=("sgd", "adam"), objectives=("accuracy",), budget=Budget(trials=4), search_trials=8, default_trials=2, shortlist_runs=0,
        confirmation_runs=2 * seeds, num_runs=10, max_epochs=30, expected_epochs=30,
        most_paused=0, checkpoint_bytes=1000, checkpoints_per_run=2, train_samples=100, steps_per_epoch=4, seconds_per_step=1e-3,
        max_hours=1e-3, expected_hours=1e-3, workers=1, detectable_seed_sds=1.43,
    )  # fmt: skip
    print_plan(plan)
    assert answer in capsys.readouterr().out
