"""A metric of the user's own measures what the registered one does, or is refused in one line."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from bakeoff.data.targets import TargetScale
from bakeoff.errors import UsageError
from bakeoff.records import MetricInfo, OwnMetric, TrialConfig
from bakeoff.training import loop
from bakeoff.training.left_out import scores_without_groups
from bakeoff.training.metric_functions import accuracy, rmse
from bakeoff.training.own_metric import OwnMetric as Metric, build_own_metric
from bakeoff.training.predictions import no_predictions

MakeConfig = Callable[..., TrialConfig]
SHARE = MetricInfo(name="share", direction="maximize", low=0.0, high=1.0)


def right(outputs: Tensor, labels: Tensor) -> Tensor:
    """The registered accuracy."""
    return (outputs.argmax(1) == labels).double().mean()


def percent(outputs: Tensor, labels: Tensor) -> float:
    """Accuracy in percent."""
    return 100 * float(right(outputs, labels))


def error(predictions: Tensor, targets: Tensor) -> float:
    """The registered RMSE."""
    return float((predictions.double() - targets.double()).square().mean().sqrt())


class Collected:
    """Accuracy over batches."""

    def __init__(self, num_classes: int) -> None:
        self.num_classes = num_classes
        self.counts: list[int] = []

    def update(self, outputs: Tensor, labels: Tensor) -> None:
        """One batch."""
        assert outputs.shape[1] == self.num_classes
        self.counts += (outputs.argmax(1) == labels).int().tolist()

    def compute(self) -> float:
        """Over all batches."""
        return sum(self.counts) / len(self.counts)


def collected() -> Collected:
    """A metric that is made by a function."""
    return Collected(num_classes=10)


def each(outputs: Tensor, labels: Tensor) -> Tensor:
    """One value for each sample."""
    return outputs.argmax(1) == labels


def three(outputs: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Too many arguments."""
    return right(outputs, labels)


def softened(outputs: Tensor, labels: Tensor) -> Tensor:
    """Overwrites what it is given."""
    return outputs.mul_(0.5).softmax(1).amax()


number = 7


def build(name: str, task: str = "classification", **options: object) -> Metric:
    num_outputs = 10 if task == "classification" else 1
    return build_own_metric(f"{__name__}:{name}", task, num_outputs, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["right", "Collected", "collected"])
def test_own_copy_of_accuracy_equals_the_registered_one_also_on_a_part(name: str) -> None:
    generator = torch.Generator().manual_seed(1)
    found = no_predictions("classification", torch.nn.CrossEntropyLoss())
    for size in (30, 11):
        outputs = torch.randn(size, 10, generator=generator)
        found.add(outputs, torch.randint(0, 10, (size,), generator=generator))
    metric = build(name)
    assert float(metric(found)) == float(accuracy(found))  # type: ignore[arg-type]
    groups = torch.arange(41) % 4
    expected = scores_without_groups(found, groups, accuracy)  # type: ignore[arg-type]
    assert scores_without_groups(found, groups, metric) == pytest.approx(expected)


def test_regression_is_measured_in_units_of_the_target() -> None:
    scale = TargetScale(mean=100.0, deviation=5.0)
    found = no_predictions("regression", torch.nn.MSELoss(), scale.deviation)
    found.add(torch.tensor([[0.0], [1.0]]), torch.tensor([0.5, -1.0]))
    metric = build("error", "regression", scale=scale)
    assert float(metric(found)) == pytest.approx(float(rmse(found)), rel=1e-6)  # type: ignore[arg-type]
    assert float(metric(found)) == pytest.approx(5 * (4.25 / 2) ** 0.5)


def test_metric_of_torchmetrics_is_named_directly() -> None:
    pytest.importorskip("torchmetrics")
    metric = build_own_metric("torchmetrics.classification:MulticlassAccuracy", "classification", 3)
    found = no_predictions("classification", torch.nn.CrossEntropyLoss())
    found.add(torch.eye(3)[[0, 1, 2, 2]], torch.tensor([0, 1, 2, 0]))
    assert float(metric(found)) == pytest.approx((0.5 + 1 + 1) / 3)  # its average is macro


def test_metric_is_not_called_where_an_output_is_not_finite() -> None:
    found = no_predictions("classification", torch.nn.CrossEntropyLoss())
    found.add(torch.tensor([[1.0, torch.nan]]), torch.tensor([0]))
    metric = build_own_metric(f"{__name__}:right", "classification", 2)
    assert torch.isnan(metric(found))


def test_run_is_scored_by_its_own_metric_and_records_the_others(make_config: MakeConfig) -> None:
    config = make_config(epochs=2, objective=f"{__name__}:right")
    own = {f"{__name__}:right": OwnMetric(direction="maximize"), f"{__name__}:percent": OwnMetric()}
    state = loop.prepare(replace(config, metrics=own), "cpu")
    for epoch in loop.train(state):
        metrics = epoch.metrics
        assert metrics[f"{__name__}:right"] == pytest.approx(metrics["accuracy"])
        assert metrics[f"{__name__}:percent"] == pytest.approx(100 * metrics["accuracy"])
    tested = loop.read_test(state)
    assert tested.metrics[f"{__name__}:right"] == pytest.approx(tested.metrics["accuracy"])
    assert len(tested.without) > 1


class Tokens(Collected):
    """Token accuracy over batches."""

    def __init__(self) -> None:
        super().__init__(num_classes=6)


def test_metric_of_text_sees_every_batch(make_config: MakeConfig) -> None:
    name = f"{__name__}:Tokens"
    config = make_config(
        epochs=1, objective=name, dataset="toy_tasks:language", task="language",
        train_samples=None, model="toy_tasks:build_bigrams", model_params={},
    )  # fmt: skip
    state = loop.prepare(replace(config, metrics={name: OwnMetric(direction="maximize")}), "cpu")
    (epoch,) = loop.train(state)
    assert epoch.metrics[name] == pytest.approx(epoch.metrics["token_accuracy"])
    tested = loop.read_test(state)
    assert tested.metrics[name] == pytest.approx(tested.metrics["token_accuracy"])
    assert tested.without == ()
    with pytest.raises(UsageError, match="in language with update and compute, found a function"):
        build_own_metric(f"{__name__}:right", "language", 3)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("each", r"expected one number within the bounds .*, found \[10\]"),
        ("percent", "within the bounds that .metrics. names, found 10, outside 0 to 1"),
        ("three", r"called with \(outputs \[N, C\], labels \[N\]\), found three\(.*TypeError"),
        ("number", "expected a function, a class .*, found int"),
        ("softened", "changes the outputs or labels in place, which other metrics read too"),
        ("nothing", "has no attribute 'nothing'"),
    ],
)
def test_metric_that_cannot_be_used_is_refused_in_one_line(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        build(name, info=SHARE)
    assert "\n" not in str(caught.value)
