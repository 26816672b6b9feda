"""Regression of several targets at once: each is standardised, and all count alike."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from torch import Tensor
from torch.nn.functional import huber_loss

from bakeoff.components.metric_specs import Untrained
from bakeoff.components.metrics import chance_score, metric_info
from bakeoff.data.arrays import check_arrays
from bakeoff.data.datasets import load_dataset
from bakeoff.data.summary import describe_dataset
from bakeoff.errors import DataError
from bakeoff.records import DataConfig, Loss, OwnMetric, TrialConfig
from bakeoff.training import loop
from bakeoff.training.batches import load_splits
from bakeoff.training.metric_functions import mae, r2, rmse
from bakeoff.training.predictions import no_predictions
from toy_tasks import targets

MakeConfig = Callable[..., TrialConfig]

DATA = DataConfig(dataset="toy_tasks:targets", task="regression")
TARGETS = {
    "dataset": "toy_tasks:targets", "task": "regression", "train_samples": None,
    "loss": "mse", "objective": "r2", "optimizer_params": {"learning_rate": 0.02}, "epochs": 15,
}  # fmt: skip
CPU = torch.device("cpu")


def own_huber(predictions: Tensor, values: Tensor) -> Tensor:
    """The registered loss of that name."""
    return huber_loss(predictions, values)


def own_r2(predictions: Tensor, values: Tensor) -> float:
    """R2 of targets in their own units, of which each counts alike."""
    assert abs(values[:, 1].mean() - 1000) < 1
    return float(r2_score(values.double(), predictions.double()))


def test_a_run_learns_every_target_whatever_its_unit(make_config: MakeConfig) -> None:
    state = loop.prepare(make_config(**TARGETS), "cpu")
    list(loop.train(state))
    tested = loop.read_test(state)
    assert state.splits.num_outputs == 2
    assert tested.metrics["r2"] > 0.9
    assert tested.metrics["rmse"] ** 2 == pytest.approx(1 - tested.metrics["r2"], rel=0.3)
    assert len(tested.without) == 120


@pytest.mark.parametrize("loss", ["mse", "l1", "huber"])
def test_an_untrained_model_scores_as_one_that_predicts_each_mean(loss: Loss) -> None:
    summary, splits = describe_dataset(DATA, 0), load_splits(DATA, 0, CPU)
    untrained = Untrained(
        num_outputs=2,
        loss=loss,
        target_deviation=summary.target_deviation,
        mean_losses=summary.mean_losses,
    )
    found = no_predictions("regression", torch.nn.functional.mse_loss)
    values = splits.validation.labels[splits.validation.rows]
    found.add(torch.zeros_like(values), values)
    assert float(rmse(found)) == pytest.approx(chance_score("rmse", "regression", untrained))
    assert float(mae(found)) == pytest.approx(chance_score("mae", "regression", untrained))
    assert float(r2(found)) == pytest.approx(0, abs=0.1)
    losses = {
        "mse": float(rmse(found)) ** 2,
        "l1": float(mae(found)),
        "huber": float(huber_loss(values, torch.zeros_like(values))),
    }
    expected = chance_score("loss", "regression", untrained)
    assert losses[loss] == pytest.approx(expected, rel=1e-5)


def test_metrics_are_those_of_scikit_learn_averaged_over_targets() -> None:
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(90, 3, generator=generator)
    guesses = values + torch.randn(90, 3, generator=generator) * torch.tensor([0.1, 1.0, 2.0])
    found = no_predictions("regression", torch.nn.functional.mse_loss)
    found.add(guesses, values)
    assert float(r2(found)) == pytest.approx(r2_score(values, guesses))
    assert float(mae(found)) == pytest.approx(mean_absolute_error(values, guesses))
    both = values.flatten(), guesses.flatten()
    assert float(rmse(found)) == pytest.approx(root_mean_squared_error(*both), rel=1e-6)
    one = no_predictions("regression", torch.nn.functional.mse_loss)
    one.add(torch.cat([guesses, guesses[:, :1]], 1), torch.cat([values, torch.ones(90, 1)], 1))
    assert float(r2(one)) == pytest.approx(r2_score(values, guesses))
    lost = no_predictions("regression", torch.nn.functional.mse_loss)
    lost.add(torch.cat([guesses[:, :2], torch.full((90, 1), torch.nan)], 1), values)
    assert torch.isnan(r2(lost))


def test_errors_of_several_targets_are_in_units_of_their_deviations(
    make_config: MakeConfig,
) -> None:
    config = make_config(**TARGETS)
    units = {name: metric_info(name, config, 2).unit for name in ("rmse", "mae", "r2")}
    assert units == {
        "rmse": "deviations of each target", "mae": "deviations of each target", "r2": "",
    }  # fmt: skip
    assert metric_info("rmse", config).unit == "target units"


def test_each_target_has_its_own_mean_and_deviation() -> None:
    splits = load_splits(DATA, 0, CPU)
    labels = splits.train.labels[splits.train.rows].double()
    assert labels.mean(0).tolist() == pytest.approx([0, 0], abs=1e-5)
    assert labels.std(0, correction=0).tolist() == pytest.approx([1, 1], rel=1e-5)
    scale = splits.target_scale
    assert scale is not None
    raw = load_dataset(DATA).train_labels[splits.train.rows.numpy()]
    assert scale.mean == pytest.approx(tuple(raw.mean(0)))
    assert scale.deviation == pytest.approx(tuple(raw.std(0)))
    assert scale.error_unit == 1.0


def test_a_loss_and_a_metric_of_the_users_own_give_what_the_registered_ones_give(
    make_config: MakeConfig,
) -> None:
    metric = f"{__name__}:own_r2"
    both = []
    for loss, metrics in (("huber", {}), (f"{__name__}:own_huber", {metric: OwnMetric()})):
        config = make_config(**{**TARGETS, "epochs": 2, "loss": loss})
        state = loop.prepare(replace(config, metrics=metrics), "cpu")
        both.append(dict(list(loop.train(state))[-1].metrics))
    assert both[1].pop(metric) == pytest.approx(both[0]["r2"], rel=1e-3)
    assert both[1] == both[0]


def test_a_column_of_one_target_is_one_target() -> None:
    arrays = targets(40)
    checked = check_arrays({"x": arrays["x"], "y": arrays["y"][:, :1]}, "d", "regression")
    assert checked.train_labels.shape == (32,)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y": np.ones((40, 2, 2))}, r"y_train has shape \[40, 2, 2\]"),
        ({"y": np.full((40, 2), np.nan)}, "has 80 NaN or infinite values"),
        ({"x_test": np.ones((4, 5)), "y_test": np.ones(4)}, r"\[40, 2\], y_test \[4\]"),
    ],
)
def test_targets_that_cannot_be_used_are_refused(
    changes: dict[str, np.ndarray], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        check_arrays({**targets(40), **changes}, "d", "regression")


def test_a_target_of_one_value_is_said() -> None:
    arrays = targets(40)
    constant = np.stack([arrays["y"][:, 0], np.ones(40)], 1)
    notes = check_arrays({"x": arrays["x"], "y": constant}, "d", "regression").notes
    assert notes == ("targets with one value only tell nothing: 1",)
