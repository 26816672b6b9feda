"""A run of every task learns what can be learnt, and its metrics have meaningful units."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from bakeoff.components.metrics import METRICS
from bakeoff.data.summary import describe_dataset
from bakeoff.errors import DataError, UsageError
from bakeoff.records import DataConfig, EpochResult, Task, TrialConfig
from bakeoff.training import loop
from bakeoff.training.batches import load_splits
from bakeoff.training.checkpoint import Checkpoints
from bakeoff.training.losses import build_loss
from toy_tasks import NOISE, NUM_TOKENS, OFFSET, best_loss, language, regression

MakeConfig = Callable[..., TrialConfig]

CPU = torch.device("cpu")
REGRESSION = {
    "dataset": "toy_tasks:regression", "task": "regression", "train_samples": None,
    "loss": "mse", "objective": "rmse",
    "optimizer_params": {"learning_rate": 0.02}, "epochs": 20,
}  # fmt: skip
MULTILABEL = {
    "dataset": "toy_tasks:multilabel", "task": "multilabel", "train_samples": None, "loss": "bce",
    "objective": "macro_f1", "class_weights": "balanced", "ema_decay": 0.9,
}  # fmt: skip
LANGUAGE = {
    "dataset": "toy_tasks:language", "task": "language", "train_samples": None,
    "objective": "loss", "model": "toy_tasks:build_bigrams", "model_params": {},
    "optimizer_params": {"learning_rate": 0.1}, "epochs": 5, "batch_size": 8,
}  # fmt: skip
BEST_LOSS = best_loss(*(part[240:] for part in language().values()))
"""Of a language model on the test set, the last fifth."""


def run(make_config: MakeConfig, **changes: object) -> tuple[list[EpochResult], dict[str, float]]:
    state = loop.prepare(make_config(**changes), "cpu")
    return list(loop.train(state)), loop.test(state)


@pytest.mark.parametrize("loss", ["mse", "l1", "huber"])
def test_regression_reaches_the_noise_in_units_of_the_target(
    make_config: MakeConfig, loss: str
) -> None:
    results, tested = run(make_config, **{**REGRESSION, "loss": loss})
    assert tuple(results[-1].metrics) == METRICS["regression"].names
    assert results[-1].status == "finished"
    assert 0.8 * NOISE < tested["rmse"] < 1.3 * NOISE
    assert tested["mae"] < tested["rmse"]
    assert tested["r2"] > 0.9


def test_language_model_reaches_the_entropy_of_its_text(make_config: MakeConfig) -> None:
    results, tested = run(make_config, **LANGUAGE)
    assert tuple(results[-1].metrics) == METRICS["language"].names
    assert tested["loss"] == pytest.approx(BEST_LOSS, abs=0.1)
    assert tested["perplexity"] == pytest.approx(np.exp(tested["loss"]))
    assert tested["token_accuracy"] > 0.75


SEQUENCE_MODELS = ("lstm", "gru", "transformer")
ROWS = {
    "dataset": "toy_tasks:rows", "train_samples": None,
    "model_params": {"width": 32}, "optimizer_params": {"learning_rate": 0.01}, "epochs": 4,
}  # fmt: skip
DROPPING = {"model_params": {"width": 32, "dropout": 0.2, "depth": 2}}


@pytest.mark.parametrize("model", SEQUENCE_MODELS)
def test_sequence_model_distinguishes_rising_rows_from_falling_ones(
    make_config: MakeConfig, model: str
) -> None:
    _, tested = run(make_config, **{**ROWS, "model": model})
    assert tested["accuracy"] > 0.9


@pytest.mark.parametrize("model", SEQUENCE_MODELS)
def test_sequence_model_reaches_the_entropy_of_its_text(
    make_config: MakeConfig, model: str
) -> None:
    own = {
        "model": model,
        "model_params": {"width": 32},
        "optimizer_params": {"learning_rate": 0.01},
    }
    _, tested = run(make_config, **{**LANGUAGE, **own})
    assert tested["loss"] == pytest.approx(BEST_LOSS, abs=0.1)


@pytest.mark.parametrize("model", SEQUENCE_MODELS)
def test_sequence_model_reads_an_image_row_by_row(make_config: MakeConfig, model: str) -> None:
    changes = {"train_samples": None, "epochs": 3, "optimizer_params": {"learning_rate": 0.01}}
    _, tested = run(make_config, model=model, model_params={"width": 32}, **changes)
    assert tested["accuracy"] > 0.75


@pytest.mark.parametrize(
    "cell",
    [
        REGRESSION,
        MULTILABEL,
        {**REGRESSION, "dataset": "toy_tasks:targets"},
        LANGUAGE,
        *({**ROWS, **DROPPING, "model": model} for model in SEQUENCE_MODELS),
        *({**LANGUAGE, **DROPPING, "model": model} for model in SEQUENCE_MODELS),
    ],
    ids=lambda cell: f"{cell['dataset']}, {cell.get('model', 'mlp')}",
)
def test_run_that_was_stopped_continues_to_the_same_bits(
    make_config: MakeConfig, checkpoint_folder: Path, cell: dict[str, object]
) -> None:
    config = make_config(**{**cell, "epochs": 3})
    whole = [result.metrics for result in loop.train(loop.prepare(config, "cpu"))]
    stopped = loop.prepare(config, "cpu")
    checkpoints = Checkpoints(checkpoint_folder, identity="run")
    for _ in loop.train(stopped, checkpoints):
        checkpoints.save(stopped)
        break
    resumed = loop.train(
        loop.prepare(config, "cpu"), Checkpoints(checkpoint_folder, identity="run")
    )
    assert [result.metrics for result in resumed] == whole


def test_targets_are_standardised_by_the_training_rows() -> None:
    config = DataConfig(dataset="toy_tasks:regression", task="regression")
    splits = load_splits(config, 0, CPU)
    raw = torch.from_numpy(regression()["y"]).float()
    scale = splits.target_scale
    assert scale is not None
    labels = splits.train.labels[splits.train.rows]
    assert labels.mean().item() == pytest.approx(0, abs=1e-5)
    assert labels.std(correction=0).item() == pytest.approx(1, rel=1e-5)
    assert abs(scale.mean - OFFSET) < 2
    everything = torch.cat([splits.train.labels, splits.test.labels])
    restored = everything.double() * scale.deviation + scale.mean
    assert restored.sort().values.numpy() == pytest.approx(raw.double().sort().values.numpy())


def test_text_is_validated_and_tested_on_its_last_parts() -> None:
    config = DataConfig(dataset="toy_tasks:language", task="language", validation_fraction=0.25)
    splits = load_splits(config, 0, CPU)
    blocks = torch.from_numpy(language()["x"])
    assert torch.equal(splits.test.inputs.long(), blocks[240:])
    assert splits.validation.rows.tolist() == list(range(180, 240))
    assert splits.train.rows.tolist() == list(range(180))
    tokens, following = next(iter(splits.train.batches(4)))
    assert (tokens.dtype, following.dtype, splits.train.inputs.dtype) == (
        torch.int64, torch.int64, torch.uint8,
    )  # fmt: skip
    assert torch.equal(tokens[:, 1:], following[:, :-1])
    assert (splits.num_outputs, splits.input_shape) == (NUM_TOKENS, (16,))


@pytest.mark.parametrize("task", ["regression", "language"])
def test_fewer_training_samples_are_among_the_more(task: Task) -> None:
    rows = [
        set(
            load_splits(
                DataConfig(dataset=f"toy_tasks:{task}", task=task, train_samples=count), 0, CPU
            ).train.rows.tolist()
        )
        for count in (50, 100)
    ]
    assert [len(one) for one in rows] == [50, 100]
    assert rows[0] < rows[1]


def test_summary_of_a_regression_gives_the_loss_of_the_mean() -> None:
    config = DataConfig(dataset="toy_tasks:regression", task="regression")
    summary = describe_dataset(config, 0)
    splits = load_splits(config, 0, CPU)
    assert splits.target_scale is not None
    validated = splits.validation.labels[splits.validation.rows].double()
    assert summary.mean_losses["mse"] == pytest.approx(float(validated.square().mean()), rel=1e-5)
    assert summary.target_deviation == splits.target_scale.deviation
    assert (summary.num_outputs, summary.class_names) == (1, ())


@pytest.mark.parametrize(("task", "loss"), [("regression", "cross_entropy"), ("language", "mse")])
def test_loss_of_another_task_is_refused(make_config: MakeConfig, task: Task, loss: str) -> None:
    cell = REGRESSION if task == "regression" else LANGUAGE
    config = make_config(**{**cell, "loss": loss})
    splits = load_splits(config.data, 0, CPU)
    with pytest.raises(UsageError, match=f"{loss!r} is not a loss for {task}"):
        build_loss(config, splits, CPU)


def test_label_smoothing_of_tokens_is_that_of_torch(make_config: MakeConfig) -> None:
    config = make_config(**{**LANGUAGE, "label_smoothing": 0.1})
    criterion = build_loss(config, load_splits(config.data, 0, CPU), CPU)
    logits, tokens = torch.randn(3, 4, 6), torch.randint(0, 6, (3, 4))
    expected = torch.nn.functional.cross_entropy(
        logits.permute(0, 2, 1), tokens, label_smoothing=0.1
    )
    assert criterion(logits, tokens) == pytest.approx(expected)


BAD = {
    "targets_of_classes": ("regression", {"y": np.eye(4)[np.arange(40) % 4]}, r"\[40, 4\]; it must be \[N\]"),
    "nan_target": ("regression", {"y": np.full(40, np.nan)}, "40 NaN or infinite values"),
    "text_target": ("regression", {"y": np.full(40, "a")}, "it must hold numbers"),
    "float_tokens": ("language", {}, "dtype float64; tokens must be integers"),
    "flat_tokens": ("language", {"x": np.arange(40), "y": np.arange(40)}, r"shape \[40\]; it must be \[N, L\]"),
    "negative_token": ("language", {"x": np.full((4, 3), -1), "y": np.ones((4, 3), int)}, "has the token -1"),
    "huge_token": ("language", {"x": np.full((4, 3), 1 << 20), "y": np.ones((4, 3), int)}, "has the token 1048576"),
    "other_length": ("language", {"x": np.ones((4, 3), int), "y": np.ones((4, 2), int)}, "labels being the next tokens"),
    "one_block": ("language", {"x": np.ones((1, 3), int), "y": np.ones((1, 3), int)}, "too few samples \\(1\\)"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_arrays_that_do_not_fit_the_task_are_refused(tmp_path: Path, name: str) -> None:
    task, arrays, message = BAD[name]
    np.savez(tmp_path / "bad.npz", **{"x": np.zeros((40, 3)), "y": np.zeros(40), **arrays})
    config = DataConfig(dataset=f"npz:{tmp_path / 'bad.npz'}", task=task)
    with pytest.raises(DataError, match=message):
        load_splits(config, 0, CPU)


def test_a_column_of_targets_is_taken_and_the_same_file_serves_two_tasks(tmp_path: Path) -> None:
    np.savez(tmp_path / "mine.npz", x=np.zeros((40, 3)), y=np.arange(40)[:, None] % 4)
    config = DataConfig(dataset=f"npz:{tmp_path / 'mine.npz'}", task="regression")
    assert load_splits(config, 0, CPU).train.labels.dtype == torch.float32
    np.savez(tmp_path / "mine.npz", x=np.zeros((40, 3)), y=np.arange(40) % 4)
    for task, outputs in (("regression", 1), ("classification", 4), ("regression", 1)):
        config = DataConfig(dataset=f"npz:{tmp_path / 'mine.npz'}", task=task)  # type: ignore[arg-type]
        assert load_splits(config, 0, CPU).num_outputs == outputs
