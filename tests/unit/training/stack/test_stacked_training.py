"""Runs that train as a stack: each as if it were alone, whoever its companions are."""

import re
from collections.abc import Sequence
from dataclasses import replace
from math import isnan
from pathlib import Path
from typing import Any

import pytest
import torch

from bakeoff.records import EpochResult, TrialConfig
from bakeoff.training.checkpoint import Checkpoints
from bakeoff.training.loop import prepare, read_test, train
from bakeoff.training.stack.batches import stacked_batches
from bakeoff.training.stack.check import measure_stacks
from bakeoff.training.stack.key import shared_settings
from bakeoff.training.stack.layers import NotStackableError
from bakeoff.training.stack.loop import StackedTraining
from bakeoff.training.stack.member import Member, prepare_member
from bakeoff.training.stack.stack import Stack, by_steps
from run_examples import small_run

SETTINGS: Sequence[tuple[str, dict[str, Any]]] = (
    ("sgd", {"learning_rate": 0.05, "momentum": 0.9}),
    ("adamw", {"learning_rate": 3e-3}),
    ("rmsprop", {"learning_rate": 1e-3}),
    ("nadam", {}),
)
CNN: dict[str, Any] = {"model": "cnn", "model_params": {"width": 3, "dropout": 0.2}}


def runs(num: int, **changes: object) -> list[TrialConfig]:
    """Runs with different optimizers, schedules and seeds."""
    made = []
    for seed in range(num):
        name, params = SETTINGS[seed % len(SETTINGS)]
        scheduler = ("cosine", "constant", "one_cycle")[seed % 3]
        made.append(
            small_run(
                **{
                    "optimizer": name,
                    "optimizer_params": params,
                    "scheduler": scheduler,
                    "seed": seed,
                    "clip_grad_norm": 1.0,
                    **changes,
                }
            )
        )
    return made


def join(training: StackedTraining, config: TrialConfig, folder: Path | None = None) -> Member:
    checkpoints = None if folder is None else Checkpoints(str(folder), "run")
    member = prepare_member(config, "cpu", checkpoints)
    training.join(member)
    return member


def together(configs: Sequence[TrialConfig]) -> dict[int, Member]:
    """The members of a stack that has trained to its end, by seed."""
    training = StackedTraining()
    members = {config.seed: join(training, config) for config in configs}
    for _ in training.train():
        pass
    return members


def bits(member: Member) -> tuple[list[tuple[float, ...]], list[torch.Tensor]]:
    """Everything that a run measured, and its best weights."""
    measured = [
        (one.train_loss, one.grad_norm, one.learning_rate, *one.metrics.values())
        for one in member.state.history
    ]
    return measured, [*(member.state.best_weights or {}).values()]


def assert_same_bits(one: Member, other: Member) -> None:
    (measured, weights), (expected, expected_weights) = bits(one), bits(other)
    assert measured == expected
    assert all(map(torch.equal, weights, expected_weights))


@pytest.mark.parametrize("changes", [{}, CNN], ids=["mlp", "cnn"])
def test_three_steps_are_those_of_runs_alone(changes):
    configs = runs(4, train_samples=96, epochs=1, **changes)
    stack = together(configs)
    for config in configs:
        state = prepare(config, "cpu")
        (alone,) = train(state)
        found = stack[config.seed].state
        assert found.history[0].steps == alone.steps == 3
        assert found.history[0].train_loss == pytest.approx(alone.train_loss, abs=1e-6)
        assert found.history[0].grad_norm == pytest.approx(alone.grad_norm, abs=1e-5)
        assert found.history[0].learning_rate == alone.learning_rate
        assert found.history[0].metrics["accuracy"] == alone.metrics["accuracy"]
        assert found.history[0].confusion == alone.confusion
        for name, weights in state.model.state_dict().items():
            limit = 1e-6 if config.optimizer != "rmsprop" else 1e-4  # it divides by small roots
            torch.testing.assert_close(found.model.state_dict()[name], weights, rtol=0, atol=limit)


@pytest.mark.parametrize(
    "changes",
    [
        {"ema_decay": 0.8},
        {"label_smoothing": 0.1, "class_weights": "balanced", "clip_grad_value": 0.01},
        {"scheduler": "plateau", "early_stopping_patience": 1, "epochs": 5},
        {"sampling": "weighted", "augment": ("translate",)},
        {"model_params": {"width": 16, "depth": 1, "dropout": 0.3}, "batch_size": 30},
        {**CNN, "ema_decay": 0.9},
    ],
    ids=["ema", "loss", "plateau", "samples", "dropout", "cnn"],
)
def test_remedies_and_schedules_are_those_of_runs_alone(changes):
    configs = [
        replace(one, optimizer="sgd", optimizer_params={"learning_rate": 0.02})
        for one in runs(2, train_samples=100, **changes)
    ]
    stack = together(configs)
    for config in configs:
        state = prepare(config, "cpu")
        alone = list(train(state))
        found = stack[config.seed].state.history
        assert [one.status for one in found] == [one.status for one in alone]
        for one, other in zip(found, alone, strict=True):
            assert one.train_loss == pytest.approx(other.train_loss, abs=1e-5)
            assert one.metrics["loss"] == pytest.approx(other.metrics["loss"], abs=1e-4)
            assert one.learning_rate == other.learning_rate


@pytest.mark.parametrize("width", [5, 16])
@pytest.mark.parametrize("model", ["mlp", "cnn"])
def test_the_bits_of_a_run_do_not_depend_on_its_companions(model, width):
    params = {"width": width, "dropout": 0.2, **({"depth": 1} if model == "mlp" else {})}
    configs = runs(8, epochs=1, model=model, model_params=params, batch_size=27)
    whole = together(configs)
    for part in ((0,), (3,), (6, 2), (7, 1, 4)):
        few = together([configs[seed] for seed in part])
        for seed in part:
            assert_same_bits(few[seed], whole[seed])


def decaying_runs(num: int) -> list[TrialConfig]:
    """Runs of which every third has the same settings but the seed; some of their weights decay."""
    settings: Sequence[tuple[str, dict[str, Any]]] = (
        ("adamw", {"weight_decay": 0.1}),
        ("sgd", {"weight_decay": 0.01, "momentum": 0.9}),
        ("rmsprop", {"weight_decay": 0.01, "learning_rate": 1e-3}),
    )
    return [
        small_run(optimizer=name, optimizer_params=params, seed=seed, epochs=1)
        for seed, (name, params) in zip(range(num), settings * num, strict=False)
    ]


def test_the_bits_of_a_run_do_not_depend_on_those_that_share_its_optimizer():
    configs = decaying_runs(9)
    whole = together(configs)
    for part in ((0,), (4, 1), (8, 2, 5, 3)):
        few = together([configs[seed] for seed in part])
        for seed in part:
            assert_same_bits(few[seed], whole[seed])


def test_a_lone_run_has_the_same_bits_when_several_threads_share_its_products():
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        configs = runs(4, epochs=1, model_params={"width": 64, "depth": 2})
        assert_same_bits(together(configs[:1])[0], together(configs)[0])
    finally:
        torch.set_num_threads(threads)


def test_rows_that_make_the_same_step_may_be_apart():
    weights = []
    for arrange in (list[Member], by_steps):
        members = arrange([prepare_member(config, "cpu") for config in decaying_runs(6)])
        stack = Stack(members)
        stack.begin_epoch()
        for batch in stacked_batches([one.state for one in members]):
            stack.step(batch)
        seeds = [one.state.config.seed for one in members]
        rows = zip(seeds, stack.network.weights.values, strict=True)
        weights.append([row for _, row in sorted(rows, key=lambda one: one[0])])
    assert all(map(torch.equal, *weights))


def test_a_run_joins_and_leaves_a_stack_and_keeps_its_bits(tmp_path):
    configs = runs(4)
    expected = together(configs)
    training = StackedTraining()
    join(training, configs[0])
    leaving = join(training, configs[1], tmp_path)
    results = training.train()
    next(results)
    training.save(leaving)
    training.leave(leaving)
    joined = join(training, configs[2])
    for _ in results:
        pass
    assert_same_bits(joined, expected[2])

    again = StackedTraining()
    join(again, configs[3])
    continued = join(again, configs[1], tmp_path)
    assert [one.epoch for one in continued.unreported] == [1]
    for _ in again.train():
        pass
    assert_same_bits(continued, expected[1])


@pytest.mark.parametrize("changes", [{"ema_decay": 0.8}, CNN], ids=["ema", "cnn"])
def test_runs_that_are_suspended_within_an_epoch_continue_with_the_same_bits(tmp_path, changes):
    configs = runs(3, **changes)
    expected = together(configs)
    training = StackedTraining()
    for config in configs:
        join(training, config, tmp_path / str(config.seed))
    for number, _ in enumerate(training.train()):
        if number == 0:
            training.suspend()
    assert all(one.state.epoch == 1 for one in training.members)

    again = StackedTraining()
    members = [join(again, config, tmp_path / str(config.seed)) for config in configs]
    for _ in again.train():
        pass
    for member in members:
        assert_same_bits(member, expected[member.state.config.seed])


def test_a_step_within_an_epoch_is_resumed_by_a_stack_and_alone(tmp_path, monkeypatch):
    configs = runs(2)
    expected = together(configs)
    training = StackedTraining()
    for config in configs:
        join(training, config, tmp_path / str(config.seed))

    def two_batches(states, skip=0):
        for number, batch in enumerate(stacked_batches(states, skip)):
            if number == 1:
                training.suspend()
            yield batch

    with monkeypatch.context() as patch:
        patch.setattr("bakeoff.training.stack.loop.stacked_batches", two_batches)
        assert list(training.train()) == []
    assert {one.state.totals.drawn for one in training.members} == {64}

    alone = Checkpoints(str(tmp_path / "0"), "run")
    results = list(train(prepare(configs[0], "cpu"), alone))
    assert results[0].train_loss == pytest.approx(expected[0].state.history[0].train_loss, abs=1e-6)

    again = StackedTraining()
    member = join(again, configs[1], tmp_path / "1")
    for _ in again.train():
        pass
    assert_same_bits(member, expected[1])


def test_a_run_that_diverges_leaves_its_companions_as_they_are():
    good, bad = runs(2)
    bad = replace(bad, optimizer="sgd", optimizer_params={"learning_rate": 1e20})
    bad = replace(bad, training=replace(bad.training, clip_grad_norm=None))
    good = replace(good, training=bad.training)
    found = together([good, bad])
    (diverged,) = found[1].state.history
    assert diverged.status == "diverged"
    assert isnan(diverged.metrics["accuracy"])
    assert_same_bits(found[0], together([good])[0])


def test_a_finished_run_reads_the_test_set_as_alone():
    config = runs(1)[0]
    member = together([config])[0]
    state = prepare(config, "cpu")
    results: list[EpochResult] = list(train(state))
    assert len(results) == 3
    assert read_test(member.state).metrics == pytest.approx(read_test(state).metrics, abs=1e-5)


def test_stacks_are_measured_and_gain():
    config = runs(1, model_params={"width": 32, "depth": 2})[0]
    gains, text = measure_stacks([config], "cpu", [8, 0, 4])
    assert gains[0] > 1.3
    assert gains[1] == 0
    assert gains[2] > 1
    assert re.fullmatch(r"4 runs take .* as together, 8 runs take .* as together", text)


def test_a_stack_that_gains_too_little_is_timed_no_further(monkeypatch):
    monkeypatch.setattr("bakeoff.training.stack.check._why_not", lambda *_: "never tried")
    config = runs(1, model_params={"width": 32, "depth": 2})[0]
    (gain,), text = measure_stacks([config], "cpu", [4], 1000.0)
    assert 1 < gain < 1000
    assert text.startswith("4 runs take ")
    assert measure_stacks([config], "cpu", [4], 1.3) == ([0.0], "never tried")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"model": "gru", "model_params": {"width": 16}}, "cannot train as one"),
        ({"optimizer": "muon", "optimizer_params": {}}, "need single runs"),
        ({"mixup_alpha": 0.2}, "need single runs"),
    ],
)
def test_what_cannot_be_stacked_has_no_gain_and_a_reason(changes, reason):
    (gain,), found = measure_stacks([runs(1, **changes)[0]], "cpu", [2])
    assert gain == 0
    assert reason in found


def test_runs_with_other_optimizers_seeds_and_dropout_share_their_settings():
    one, other = runs(2, model_params={"width": 16, "dropout": 0.1})
    other = replace(other, model_params={"width": 16, "dropout": 0.4})
    assert shared_settings(one) == shared_settings(other) is not None
    for key, value in (("batch_size", 16), ("epochs", 9), ("label_smoothing", 0.1)):
        changed = replace(one, training=replace(one.training, **{key: value}))
        assert shared_settings(changed) != shared_settings(one)
    without = replace(one, model_params={"width": 16, "dropout": 0.0})
    assert shared_settings(without) != shared_settings(one)


def test_members_with_other_weights_cannot_be_stacked():
    training = StackedTraining()
    join(training, runs(1)[0])
    join(training, runs(1, model_params={"width": 8, "depth": 1})[0])
    with pytest.raises(NotStackableError, match="different structures"):
        next(training.train())
