import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch.nn.utils import parameters_to_vector

from bakeoff.components.metrics import METRICS, scored_epoch
from bakeoff.components.optimizers import OPTIMIZERS
from bakeoff.components.schedulers import SCHEDULERS
from bakeoff.errors import DataError, UsageError
from bakeoff.records import EpochResult, TrialConfig, as_plain
from bakeoff.training import loop
from bakeoff.training.evaluation import measure
from bakeoff.training.own_state import copy_state
from bakeoff.training.state import TrainingState

MakeConfig = Callable[..., TrialConfig]


def run(config: TrialConfig) -> tuple[TrainingState, list[EpochResult]]:
    state = loop.prepare(config, "cpu")
    return state, list(loop.train(state))


def bits(state: TrainingState) -> dict[str, bytes]:
    return {name: tensor.numpy().tobytes() for name, tensor in copy_state(state.model).items()}


def measured(results: list[EpochResult]) -> list[EpochResult]:
    """Without the clock."""
    return [
        replace(result, train_seconds=0.0, data_seconds=0.0, evaluate_seconds=0.0)
        for result in results
    ]


# ---------------------------------------------------------------- what a run yields


@pytest.mark.parametrize(
    "gradients",
    [
        [torch.linspace(-3, 5, 91).view(7, 13), torch.full((5,), 1e-4), torch.tensor(2.5)],
        [torch.linspace(-3, 5, 96).view(2, 3, 4, 4).to(memory_format=torch.channels_last)],
        [torch.ones(3, dtype=torch.bfloat16), torch.full((4,), 0.1)],
        [torch.tensor([1.0, math.inf]), torch.ones(2)],
        [torch.tensor([0.0, 3.0, 0.0, 4.0]).to_sparse()],
        [],
    ],
    ids=["shapes", "channels last", "two types", "overflow", "sparse", "none"],
)
def test_gradient_norm_has_the_bits_of_torch(gradients: list[torch.Tensor]) -> None:
    expected = torch.nn.utils.get_total_norm(gradients)
    mine = loop.total_norm(gradients)
    assert (mine.dtype, mine.item()) == (expected.dtype, expected.item())


@pytest.mark.parametrize("limit", [1e-3, 1.0, 1e9])
@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_clipped_gradients_have_the_bits_of_torch(limit: float, seed: int, number: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    sizes = torch.randint(1, 40, (number, 2), generator=generator).tolist()
    mine = [torch.nn.Parameter(torch.zeros(size)) for size in sizes]
    for weights in mine:
        weights.grad = torch.randn(weights.shape, generator=generator)
    torchs = [torch.nn.Parameter(torch.zeros(size)) for size in sizes]
    for weights, like in zip(torchs, mine, strict=True):
        weights.grad = like.grad.clone()
    gradients = [weights.grad for weights in mine]

    loop.clip_norm(mine, gradients, limit, loop.total_norm(gradients))
    torch.nn.utils.clip_grad_norm_(torchs, limit)

    assert all(torch.equal(one.grad, other.grad) for one, other in zip(mine, torchs, strict=True))


def test_each_epoch_is_yielded_and_the_last_one_is_finished(make_config: MakeConfig) -> None:
    _, results = run(make_config(epochs=3))
    assert [result.epoch for result in results] == [1, 2, 3]
    assert [result.status for result in results] == ["running", "running", "finished"]


def test_every_registered_metric_is_measured(make_config: MakeConfig) -> None:
    _, results = run(make_config(epochs=1))
    assert set(results[0].metrics) == set(METRICS["classification"].names)
    assert all(map(math.isfinite, results[0].metrics.values()))


def test_epoch_reports_what_its_steps_did(make_config: MakeConfig) -> None:
    _, [result] = run(make_config(epochs=1, scheduler="constant"))
    assert (result.steps, result.skipped_steps) == (5, 0)
    assert result.learning_rate == 1e-3
    assert result.train_seconds > 0
    assert result.evaluate_seconds > 0
    assert 0 < result.data_seconds < result.train_seconds


def test_train_loss_and_gradient_norm_are_those_of_a_loop_written_out(
    make_config: MakeConfig,
) -> None:
    config = make_config(epochs=1, optimizer="sgd", optimizer_params={"learning_rate": 0.1})
    _, [result] = run(config)
    state = loop.prepare(config, "cpu")
    from bakeoff.training.batches import epoch_order

    order = epoch_order(161, 32, config.seed, 1)
    losses, norms = [], []
    for number, (inputs, labels) in enumerate(state.splits.train.batches(32, order)):
        rate = 0.05 * (1 + math.cos(math.pi * number / 5))
        loss = torch.nn.functional.cross_entropy(state.model(inputs), labels)
        weights = list(state.model.parameters())
        gradients = torch.autograd.grad(loss, weights)
        with torch.no_grad():
            for one, gradient in zip(weights, gradients, strict=True):
                one.sub_(rate * gradient)
        losses.append(loss.item())
        norms.append(math.sqrt(sum(float(one.square().sum()) for one in gradients)))
    assert result.train_loss == pytest.approx(sum(losses) / 5, rel=1e-5)
    assert result.grad_norm == pytest.approx(sum(norms) / 5, rel=1e-5)


def test_model_learns_the_digits(make_config: MakeConfig) -> None:
    _, results = run(make_config(epochs=8, train_samples=None, model_params={"width": 64}))
    assert results[-1].metrics["accuracy"] > 0.9


def test_mean_loss_weighs_a_small_last_batch_less(make_config: MakeConfig) -> None:
    config = make_config(
        epochs=1, train_samples=40, optimizer="sgd", optimizer_params={"learning_rate": 1e-12}
    )
    state, [result] = run(config)
    with torch.no_grad():
        inputs, labels = next(iter(state.splits.train.batches(40)))
        expected = torch.nn.functional.cross_entropy(state.model(inputs), labels)
    assert result.train_loss == pytest.approx(float(expected), rel=1e-5)


# ---------------------------------------------------------------- how a run ends


@pytest.mark.parametrize("objective", ["accuracy", "loss"])
def test_run_that_diverges_ends_at_once(make_config: MakeConfig, objective: str) -> None:
    config = make_config(
        optimizer="sgd", optimizer_params={"learning_rate": 1e30}, objective=objective
    )
    state, [result] = run(config)
    assert result.status == "diverged"
    assert all(map(math.isnan, result.metrics.values()))
    assert math.isnan(loop.test(state)[objective])


@pytest.mark.parametrize(
    ("metric", "statuses"),
    [
        ("loss", ["diverged"]),
        ("accuracy", ["diverged"]),
        # Undefined where a class is missing, for instance: no fault of the run.
        ("macro_f1", ["running", "running", "finished"]),
    ],
)
def test_run_diverges_if_loss_or_objective_is_not_finite(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch, metric: str, statuses: list[str]
) -> None:
    state = loop.prepare(make_config(), "cpu")
    state.metric_functions = {
        **state.metric_functions,
        metric: lambda *_: torch.tensor(math.inf),
    }
    assert [result.status for result in loop.train(state)] == statuses


def test_run_stops_early_after_epochs_without_improvement(make_config: MakeConfig) -> None:
    config = make_config(
        epochs=20,
        early_stopping_patience=3,
        optimizer="sgd",
        optimizer_params={"learning_rate": 1e-12},
    )
    _, results = run(config)
    assert [result.epoch for result in results] == [1, 2, 3, 4]
    assert results[-1].status == "early_stopped"


def test_patience_starts_anew_after_an_improvement(make_config: MakeConfig) -> None:
    config = make_config(epochs=40, early_stopping_patience=2)
    state, results = run(config)
    values = [result.metrics["accuracy"] for result in results]
    best = values.index(max(values))
    assert results[-1].status == "early_stopped"
    assert len(values) - 1 - best == 2
    assert state.epochs_without_improvement == 2


# ---------------------------------------------------------------- the same bits


@pytest.mark.parametrize("model", ["mlp", "cnn"])
def test_equal_configurations_give_equal_bits(make_config: MakeConfig, model: str) -> None:
    config = make_config(
        model=model, model_params={"dropout": 0.3}, augment=("flip", "translate"), epochs=2
    )
    first, first_results = run(config)
    torch.manual_seed(12345)
    again, again_results = run(config)
    assert bits(first) == bits(again)
    assert measured(first_results) == measured(again_results)


@pytest.mark.parametrize("changed", [{"seed": 2}, {"split_seed": 1}])
def test_another_seed_gives_other_bits(make_config: MakeConfig, changed: dict[str, int]) -> None:
    first, _ = run(make_config(epochs=1))
    other, _ = run(make_config(epochs=1, **changed))
    assert bits(first) != bits(other)


@pytest.mark.parametrize("optimizer", OPTIMIZERS.names)
def test_all_optimizers_start_from_the_same_weights(
    make_config: MakeConfig, optimizer: str
) -> None:
    first = loop.prepare(make_config(optimizer="adamw"), "cpu")
    assert bits(loop.prepare(make_config(optimizer=optimizer), "cpu")) == bits(first)


# ---------------------------------------------------------------- inside a step


@pytest.mark.parametrize(("optimizer", "is_flat"), [("adamw", True), ("adafactor", False)])
def test_gradient_is_clipped_to_the_norm_and_reported_as_it_was(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch, optimizer: str, is_flat: bool
) -> None:
    config = make_config(optimizer=optimizer, epochs=1, train_samples=32)
    _, [free_result] = run(config)
    state = loop.prepare(
        replace(config, training=replace(config.training, clip_grad_norm=1e-3)), "cpu"
    )
    seen = []
    step = loop.step_optimizer

    def watched(state: TrainingState) -> Any:
        assert (state.flat is not None) == is_flat
        gradients = [weights.grad for weights in state.trainable if weights.grad is not None]
        gradients = gradients if state.flat is None else [state.flat.gradients]
        seen.append(math.sqrt(sum(float(one.square().sum()) for one in gradients)))
        return step(state)

    monkeypatch.setattr(loop, "step_optimizer", watched)
    [result] = loop.train(state)
    assert seen == pytest.approx([1e-3], rel=1e-3)
    assert result.grad_norm == free_result.grad_norm


@pytest.mark.parametrize("scheduler", SCHEDULERS.names)
def test_schedule_counts_the_steps_that_the_scaler_skipped(
    make_config: MakeConfig, scheduler: str
) -> None:
    state = loop.prepare(make_config(epochs=4, precision="fp16", scheduler=scheduler), "cpu")
    state.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**20)
    results = list(loop.train(state))
    skipped = sum(result.skipped_steps for result in results)
    assert skipped > 0
    assert sum(result.steps for result in results) == 20 - skipped
    assert state.schedule.progress == 1.0


def test_epoch_of_skipped_steps_only_goes_on_while_the_scale_settles(
    make_config: MakeConfig,
) -> None:
    state = loop.prepare(make_config(epochs=2, precision="fp16"), "cpu")
    untrained = parameters_to_vector(state.model.parameters()).clone()
    state.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**100)
    first, last = loop.train(state)
    assert (first.steps, first.skipped_steps, first.status) == (0, 5, "running")
    assert first.train_loss == pytest.approx(math.log(10), abs=0.5)
    assert math.isnan(first.grad_norm)
    assert (last.skipped_steps, last.status) == (5, "finished")
    assert torch.equal(parameters_to_vector(state.model.parameters()), untrained)


def test_epoch_of_skipped_steps_only_has_diverged_if_the_loss_is_not_finite(
    make_config: MakeConfig,
) -> None:
    state = loop.prepare(make_config(precision="fp16"), "cpu")
    state.criterion = lambda logits, _: logits.sum() * math.inf  # type: ignore[assignment]
    [result] = loop.train(state)
    assert (result.steps, result.skipped_steps, result.status) == (0, 5, "diverged")


@pytest.mark.parametrize(("scale", "status"), [(1.0, "running"), (0.5, "diverged")])
def test_run_whose_scale_collapsed_has_diverged(
    make_config: MakeConfig, scale: float, status: str
) -> None:
    state = loop.prepare(make_config(precision="fp16"), "cpu")
    state.scaler = torch.amp.GradScaler("cpu", init_scale=scale)
    result = next(loop.train(state))
    assert math.isfinite(result.metrics["loss"])
    assert (result.steps, result.status) == (5, status)


def test_scale_collapses_where_gradients_overflow_again_and_again(make_config: MakeConfig) -> None:
    state = loop.prepare(make_config(precision="fp16", batch_size=8), "cpu")
    plain, calls = state.criterion, iter(range(1000))

    def overflowing(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        loss: torch.Tensor = plain(logits, labels)
        return loss * 1e9 if next(calls) >= 2 else loss

    state.criterion = overflowing  # type: ignore[assignment]
    [result] = loop.train(state)
    assert (result.steps, result.skipped_steps) == (2, 18)
    assert state.scaler.get_scale() == 65536 / 2**18
    assert result.status == "diverged"


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_every_precision_learns(make_config: MakeConfig, precision: str) -> None:
    config = make_config(
        epochs=4,
        precision=precision,
        train_samples=None,
        optimizer_params={"learning_rate": 1e-2},
    )
    _, results = run(config)
    assert results[-1].metrics["accuracy"] > 0.8
    assert results[-1].train_loss < results[0].train_loss


def test_label_smoothing_raises_the_training_loss_only(make_config: MakeConfig) -> None:
    still = {"optimizer": "sgd", "optimizer_params": {"learning_rate": 1e-12}}
    _, [plain] = run(make_config(epochs=1, **still))
    _, [smooth] = run(make_config(epochs=1, label_smoothing=0.5, **still))
    assert smooth.train_loss != plain.train_loss
    assert smooth.metrics == plain.metrics


# ---------------------------------------------------------------- the test set


def lose_everything(state: TrainingState) -> None:
    """Weights of zero pass no gradient, so that the epochs to come are worse."""
    with torch.no_grad():
        for weights in state.trainable:
            weights.zero_()


@pytest.mark.parametrize("objective", ["accuracy", "loss"])
@pytest.mark.parametrize("rule", ["best_epoch", "last_epoch"])
def test_test_uses_the_weights_of_the_scored_epoch(
    make_config: MakeConfig, objective: str, rule: str
) -> None:
    config = make_config(epochs=6, objective=objective, score_rule=rule)
    state = loop.prepare(config, "cpu")
    values, weights = [], []
    for result in loop.train(state):
        values.append(state.objective.sign * result.metrics[objective])
        weights.append(copy_state(state.model))
        if result.epoch == 4:
            lose_everything(state)
    scored = values.index(max(values)) if rule == "best_epoch" else len(values) - 1
    assert values.index(max(values)) < len(values) - 1
    got = loop.test(state)
    state.model.load_state_dict(weights[scored])
    assert got == measure(state, state.splits.test).metrics


def test_test_set_does_not_influence_training(make_config: MakeConfig) -> None:
    config = make_config(epochs=2)
    untouched, _ = run(config)
    state = loop.prepare(config, "cpu")
    for _ in loop.train(state):
        measure(state, state.splits.test)
    assert bits(state) == bits(untouched)


# ---------------------------------------------------------------- refused


def test_precision_must_have_been_chosen(make_config: MakeConfig) -> None:
    with pytest.raises(UsageError, match="must be measured"):
        loop.prepare(make_config(precision="auto"), "cpu")


def test_batch_larger_than_the_data_is_refused(make_config: MakeConfig) -> None:
    with pytest.raises(DataError, match="161 training samples are fewer than batch_size = 162"):
        loop.prepare(make_config(batch_size=162), "cpu")


@pytest.mark.parametrize(
    "changed",
    [{"optimizer": "adma"}, {"scheduler": "cosin"}, {"augment": ("flop",)}, {"model": "mpl"}],
)
def test_unknown_component_is_refused(make_config: MakeConfig, changed: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"unknown .* did you mean"):
        loop.prepare(make_config(**changed), "cpu")


# ---------------------------------------------------------------- confusion matrix


@pytest.mark.parametrize("rule", ["best_epoch", "last_epoch"])
def test_confusion_is_kept_for_the_scored_epoch_alone(make_config: MakeConfig, rule: str) -> None:
    state, results = run(make_config(epochs=6, score_rule=rule))
    scored = scored_epoch(results, state.objective, rule)  # type: ignore[arg-type]
    assert scored is not None
    kept = [result for result in state.history if result.confusion]
    assert [result.epoch for result in kept] == [scored.epoch]
    confusion = np.array(kept[0].confusion)
    assert confusion.shape == (10, 10)
    assert confusion.sum() == len(state.splits.validation)
    assert confusion.trace() / confusion.sum() == pytest.approx(scored.metrics["accuracy"])
    assert np.mean(kept[0].class_recall) == pytest.approx(scored.metrics["balanced_accuracy"])


def test_recall_of_a_class_without_samples_is_nan() -> None:
    result = EpochResult(epoch=1, metrics={}, confusion=((3, 1), (0, 0)))
    assert result.class_recall[0] == 0.75
    assert math.isnan(result.class_recall[1])


def test_confusion_read_from_json_is_the_one_that_was_written() -> None:
    numbers = {"train_loss": 0.5, "learning_rate": 0.1, "grad_norm": 2.0}
    result = EpochResult(epoch=1, metrics={}, confusion=((3, 1), (0, 2)), **numbers)  # type: ignore[arg-type]
    assert EpochResult(**json.loads(json.dumps(as_plain(result)))) == result
