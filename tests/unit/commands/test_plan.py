from dataclasses import replace

import pytest

from bakeoff.commands.study_cost import count_runs
from bakeoff.commands.verbs.plan import Plan, make_plan, print_plan
from bakeoff.errors import BakeoffError
from bakeoff.records import Budget, StudyConfig
from bakeoff.session.rehearsal import RunTimes
from bakeoff.session.run_settings import RunSettings
from bakeoff.session.timing import StudyTimes
from bakeoff.studyfile import resolve_study
from study_examples import study_document


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
        repeats=1, repeats_needed=7, hours_for_optimizers=2.0, seeds=seeds, seconds_per_epoch=0.5, seconds_per_run=0.2,
        confirmation_runs=2 * seeds, num_runs=10, max_epochs=30, expected_epochs=30,
        most_paused=0, checkpoint_bytes=1000, checkpoints_per_run=2, train_samples=100, steps_per_epoch=4, seconds_per_step=1e-3,
        max_hours=1e-3, expected_hours=1e-3, workers=1, detectable_seed_sds=1.43, most_training={"search": 1, "confirm": 1},
    )  # fmt: skip
    print_plan(plan)
    printed = capsys.readouterr().out
    assert answer in printed
    assert "which arm is better usually takes repeats = 7 in [search], about 2.0 h" in printed


def test_a_plan_of_a_loop_of_ones_own_knows_no_steps(capsys: pytest.CaptureFixture[str]) -> None:
    plan = Plan(
        study="toy", arms=("sgd",), objectives=("reward",), budget=Budget(trials=4), search_trials=4, default_trials=1, shortlist_runs=0,
        repeats=1, repeats_needed=7, hours_for_optimizers=2.0, seeds=3, seconds_per_epoch=0.5, seconds_per_run=0.2,
        confirmation_runs=3, num_runs=10, max_epochs=30, expected_epochs=30,
        most_paused=0, checkpoint_bytes=1000, checkpoints_per_run=2, train_samples=0, steps_per_epoch=0, seconds_per_step=0.5,
        max_hours=1e-3, expected_hours=1e-3, workers=1, detectable_seed_sds=1.43, most_training={"search": 1, "confirm": 1},
    )  # fmt: skip
    print_plan(plan)
    printed = capsys.readouterr().out
    assert "500 ms an epoch" in printed
    assert "samples in" not in printed
    assert "one step" not in printed


@pytest.mark.parametrize(
    ("paused", "search", "confirm", "num"), [(3, 8, 2, 11), (3, 2, 32, 32), (0, 1, 1, 1)]
)
def test_the_disk_holds_the_checkpoints_of_all_runs_of_a_stack(
    capsys: pytest.CaptureFixture[str], paused: int, search: int, confirm: int, num: int
) -> None:
    plan = Plan(
        study="toy", arms=("sgd",), objectives=("accuracy",), budget=Budget(trials=4), search_trials=4, default_trials=1, shortlist_runs=0,
        repeats=1, repeats_needed=7, hours_for_optimizers=2.0, seeds=3, seconds_per_epoch=0.5, seconds_per_run=0.2,
        confirmation_runs=3, num_runs=10, max_epochs=30, expected_epochs=30,
        most_paused=paused, checkpoint_bytes=1000, checkpoints_per_run=2, train_samples=0, steps_per_epoch=0, seconds_per_step=0.5,
        max_hours=1e-3, expected_hours=1e-3, workers=1, detectable_seed_sds=1.43, most_training={"search": search, "confirm": confirm},
    )  # fmt: skip
    print_plan(plan)
    assert f"of checkpoints: {num} runs wait or train at" in capsys.readouterr().out


def test_a_plan_counts_the_runs_of_every_repeat() -> None:
    config = resolve_study(
        study_document(
            search={"repeats": 3, "trials_per_arm": 20},
            confirm={"seeds": 10, "repeat_seeds": 3, "shortlist": 3, "shortlist_seeds": 2},
        )
    )
    runs = count_runs(config, 2, 40, 3)
    assert (runs.trials, runs.defaults) == (120, 2 * (1 + 16))
    assert (runs.shortlist, runs.confirmation) == (3 * 2 * 6, 2 * 16)
    assert runs.total == 120 + 34 + 36 + 32
    assert runs.confirmed == 2 * 16 + 36 + 32
    assert count_runs(config, 2, 40, 1).total == 40 + 2 * 11 + 12 + 20


def test_a_plan_is_measured_with_the_threads_that_workers_will_have(
    config: StudyConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def measure(_: object, settings: RunSettings, __: float) -> None:
        seen.append(settings.threads)
        raise BakeoffError("measured")

    monkeypatch.setattr("bakeoff.commands.verbs.plan._measure", measure)
    with pytest.raises(BakeoffError, match="measured"):
        make_plan(config, workers=1, threads=2, device="cpu")
    assert seen == [2]


def test_the_time_of_a_study_is_shared_by_its_workers_except_for_start_and_report() -> None:
    times = StudyTimes(start=10.0, worker=4.0, epoch=1.0, run=0.5)
    alone = times.seconds(epochs=100, runs=20, resumed=10, workers=1)
    assert alone == pytest.approx(10 * 1.3 + 100 + 15)
    assert times.seconds(epochs=100, runs=20, resumed=10, workers=2) == pytest.approx(
        13 + (115 + 4) / 2
    )


def test_runs_of_a_confirmation_with_stacks_take_the_time_that_they_share() -> None:
    times = StudyTimes(start=10.0, worker=4.0, epoch=1.0, run=0.5, stacked=RunTimes(0.25, 0.1))
    seconds = times.seconds(epochs=100, runs=20, resumed=0, workers=1, confirmed=(60, 12))
    assert seconds == pytest.approx(10 * 1.3 + 40 + 60 * 0.25 + 8 * 0.5 + 12 * 0.1)
    plain = replace(times, stacked=None)
    assert plain.seconds(
        epochs=100, runs=20, resumed=0, workers=1, confirmed=(60, 12)
    ) == pytest.approx(10 * 1.3 + 100 + 20 * 0.5)
