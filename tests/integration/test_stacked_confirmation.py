"""A study whose confirmation trains many runs at once, and a stack whose worker is killed."""

from dataclasses import replace
from math import isnan
from pathlib import Path

import pytest

from bakeoff.analysis.comparison import compare
from bakeoff.engines.open import EngineSettings, open_engine
from bakeoff.engines.protocol import Died, Epoch, Finished, Job
from bakeoff.engines.stacks import StackEngine
from bakeoff.report.answer import build_answer
from bakeoff.storage import Storage
from bakeoff.training.stack.loop import StackedTraining
from bakeoff.training.stack.member import prepare_member
from run_examples import small_run
from study_examples import call_study

STUDY = """
[study]
name = "stacked"

[data]
dataset = "digits"
train_samples = 200

[model]
model = "mlp"
width = 16
depth = 1

[training]
epochs = 2
batch_size = 32
precision = "fp32"

[search]
optimizers = ["sgd", "adamw"]
schedulers = ["constant"]
trials_per_arm = 2
pruner = "none"
startup_trials = 2
arithmetic = "plain"

[confirm]
seeds = 4
shortlist = 2
shortlist_seeds = 2
arithmetic = "stacked"
"""


def test_a_study_confirms_with_stacks_and_withholds_the_seconds_of_a_run(tmp_path):
    (tmp_path / "study.toml").write_text(STUDY, encoding="utf-8")
    done = call_study(tmp_path, "run", "study.toml", "--workers", "1")
    assert done.returncode == 0, done.stderr
    storage = Storage(f"sqlite:///{tmp_path / 'results' / 'studies.db'}")
    facts, record = storage.load_facts("stacked"), storage.load_record("stacked")
    assert facts.arithmetic == record.arithmetic == "stacked"
    assert "one by one as together" in facts.environment["stacks"]
    assert len(record.confirmations) == 8 + 8 + 8  # shortlists, confirmations and defaults
    assert {one.outcome for one in record.confirmations} == {"complete"}
    tested = [one for one in record.confirmations if one.purpose in ("confirm", "default")]
    assert all(0 < one.test_metrics["accuracy"] < 1 for one in tested)
    comparison = compare(record)
    assert all(isnan(one.time_to_target.median_seconds) for one in comparison.arms)
    best = build_answer(comparison).leading[0]
    chosen = next(one.chosen_trial for one in comparison.arms if one.arm == best.arm)
    alone = record.trials[chosen]
    assert best.run_seconds == alone.train_seconds + alone.evaluate_seconds > 0
    shared = compare(replace(record, search_arithmetic="stacked"))
    best = build_answer(shared).leading[0]
    assert best.run_seconds is None
    assert "trained with others at once" in best.cost


def train_with_a_kill(jobs: dict[str, Job], losses: dict[str, dict[int, float]]) -> int:
    """Train to the end, and kill the worker after epoch 2; how many runs have lost it."""
    left, num_died = set(jobs), 0
    with open_engine(EngineSettings(workers=1, threads=1)) as inner:
        engine = StackEngine(inner)
        for job in jobs.values():
            engine.submit(job)
        while left:
            for event in engine.events(1.0):
                if isinstance(event, Epoch):
                    losses[event.run][event.result.epoch] = event.result.train_loss
                    if event.result.epoch == 2 and event.attempt == 1:
                        engine.kill(event.run)
                elif isinstance(event, Died):
                    num_died += 1
                    engine.submit(replace(jobs[event.run], attempt=2, has_lost_worker=True))
                elif isinstance(event, Finished):
                    left.discard(event.run)
    return num_died


def test_a_stack_whose_worker_is_killed_continues_with_the_same_bits(tmp_path: Path):
    jobs = {
        f"confirm-{seed}": Job(
            run=f"confirm-{seed}",
            config=small_run(seed=seed, epochs=4, optimizer=("sgd", "adamw", "nadam")[seed]),
            checkpoints=str(tmp_path / str(seed)),
        )
        for seed in range(3)
    }
    losses: dict[str, dict[int, float]] = {run: {} for run in jobs}
    num_died = train_with_a_kill(jobs, losses)
    training = StackedTraining()
    for job in jobs.values():
        training.join(prepare_member(job.config, "cpu"))
    for results in training.train():
        for member, result in results:
            own = losses[f"confirm-{member.state.config.seed}"]
            assert own[result.epoch] == result.train_loss
    assert num_died == 3


@pytest.mark.parametrize("loop", [False, True])
def test_stacks_are_refused_where_runs_cannot_train_so(tmp_path, loop):
    text = STUDY.replace('"mlp"', '"gru"').replace("depth = 1", "")
    reason = 'confirm.arithmetic = "stacked": the runs cannot train as one'
    if loop:
        text = text.replace("epochs = 2", 'epochs = 2\nloop = "mine:train"')
        text = text.replace('precision = "fp32"', "")
        reason = "goes only with the built-in loop"
    (tmp_path / "study.toml").write_text(text, encoding="utf-8")
    done = call_study(tmp_path, "run", "study.toml", "--workers", "1")
    assert done.returncode == 2
    assert reason in done.stderr
