"""The class of every pixel: data, loss, metrics and augmentation, from arrays to a trained run."""

from collections.abc import Callable
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import ConcatDataset, Dataset, TensorDataset
from torchmetrics.classification import MulticlassJaccardIndex
from torchmetrics.functional.classification import multiclass_accuracy, multiclass_jaccard_index

from bakeoff.components.metric_specs import Untrained
from bakeoff.components.metrics import METRICS, chance_score
from bakeoff.data.arrays import check_arrays
from bakeoff.data.datasets import load_dataset
from bakeoff.data.summary import describe_dataset
from bakeoff.errors import DataError, UsageError
from bakeoff.networks.unet import build_unet
from bakeoff.records import DataConfig, OwnMetric, TrialConfig
from bakeoff.training import loop
from bakeoff.training.batches import load_splits
from bakeoff.training.build import build_augment, build_mask_augment, build_model
from bakeoff.training.checkpoint import Checkpoints
from bakeoff.training.epoch_batches import plain_batches
from bakeoff.training.losses import PixelCrossEntropy, train_weights
from bakeoff.training.pixel_predictions import PixelPredictions, mean_iou, pixel_accuracy
from toy_tasks import pictures

MakeConfig = Callable[..., TrialConfig]

SEGMENTATION = {
    "dataset": "toy_tasks:pictures", "task": "segmentation", "train_samples": None,
    "objective": "mean_iou", "optimizer_params": {"learning_rate": 0.03}, "epochs": 10,
    "batch_size": 8, "model": "unet", "model_params": {"width": 4},
}  # fmt: skip
DATA = DataConfig(dataset="toy_tasks:pictures", task="segmentation")
CPU = torch.device("cpu")
IGNORED = 255


def samples() -> TensorDataset:
    """The same samples as a torch data set."""
    arrays = pictures()
    return TensorDataset(torch.from_numpy(arrays["x"][:, None]), torch.from_numpy(arrays["y"]))


def each_sample() -> Dataset[tuple[Tensor, ...]]:
    """The same samples in a data set without a list of masks, so that each one is fetched."""
    return ConcatDataset([samples()])


def own_loss(outputs: Tensor, masks: Tensor) -> Tensor:
    """The registered loss."""
    return cross_entropy(outputs, masks, ignore_index=IGNORED)


class OwnIou(MulticlassJaccardIndex):
    """The registered mean IoU."""

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes)


def build_per_sample(input_shape: tuple[int, ...], num_outputs: int) -> nn.Module:
    """A classifier, as a user may name it by mistake."""
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(num_outputs))


def drawn(num_images: int = 6, num_classes: int = 4) -> tuple[Tensor, Tensor]:
    """Random logits [N, C, 5, 7] and masks, a sixth of them ignored."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(num_images, num_classes, 5, 7, generator=generator)
    masks = torch.randint(num_classes - 1, (num_images, 5, 7), generator=generator)
    masks[torch.rand(masks.shape, generator=generator) < 1 / 6] = IGNORED
    return logits, masks


def collected(logits: Tensor, masks: Tensor, size: int = 4) -> PixelPredictions:
    found = PixelPredictions(keeps_samples=True)
    for part in zip(logits.split(size), masks.split(size), strict=True):
        found.add(*part)
    return found


def augmented(name: str, images: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """The first channel of the images [N, H, W] and the masks after an augmentation."""
    numbers = torch.arange(len(images))
    given = {"num_samples": len(images), "seed": 3, "epoch": 2, "device": CPU}
    augment = build_augment([name], **given)
    assert augment is not None
    return augment(images, numbers)[:, 0], build_mask_augment([name], **given)(masks, numbers)


def test_a_run_learns_where_discs_and_squares_are(make_config: MakeConfig) -> None:
    state = loop.prepare(make_config(**SEGMENTATION), "cpu")
    results, tested = list(loop.train(state)), loop.read_test(state)
    assert tuple(results[-1].metrics) == METRICS["segmentation"].names
    assert tested.metrics["mean_iou"] > 0.6
    assert tested.metrics["mean_iou"] < tested.metrics["pixel_accuracy"] < 1
    counted = 15 * 18 * len(state.splits.validation)
    assert sum(map(sum, results[-1].confusion)) == counted
    assert len(tested.without) == 12
    assert np.mean(tested.without) == pytest.approx(tested.metrics["mean_iou"], abs=0.05)


def test_metrics_are_those_of_torchmetrics_without_ignored_pixels() -> None:
    logits, masks = drawn()
    found = collected(logits, masks)
    common = {"num_classes": 4, "ignore_index": IGNORED}
    iou = multiclass_jaccard_index(logits, masks, average="macro", **common)
    assert float(mean_iou(found)) == pytest.approx(float(iou), rel=1e-6)
    right = multiclass_accuracy(logits, masks, average="micro", **common)
    assert float(pixel_accuracy(found)) == pytest.approx(float(right), rel=1e-6)
    expected = cross_entropy(logits, masks, ignore_index=IGNORED)
    assert float(found.mean_loss) == pytest.approx(float(expected), rel=1e-6)
    kept = torch.tensor([0, 2, 3, 5])
    part, alone = found.part(kept), collected(logits[kept], masks[kept])
    for metric in (mean_iou, pixel_accuracy):
        assert metric(part) == metric(alone)
    assert float(part.mean_loss) == pytest.approx(float(alone.mean_loss), rel=1e-12)


def test_a_class_that_no_pixel_has_and_none_is_predicted_to_have_is_left_out() -> None:
    masks = torch.tensor([[[0, 0, 1, 1]]])
    logits = torch.zeros(1, 3, 1, 4)
    logits[0, 0, 0, :3], logits[0, 1, 0, 3] = 1.0, 1.0
    assert float(mean_iou(collected(logits, masks))) == pytest.approx((2 / 3 + 1 / 2) / 2)
    logits[0, 2, 0, 0] = 2.0
    assert float(mean_iou(collected(logits, masks))) == pytest.approx((1 / 3 + 1 / 2 + 0) / 3)
    logits[0, 2, 0, 0] = torch.nan
    assert mean_iou(collected(logits, masks)).isnan()
    assert pixel_accuracy(collected(logits, masks)).isnan()


def test_an_untrained_model_scores_what_fair_draws_give() -> None:
    shares, num_pixels = (0.7, 0.2, 0.1), 200_000
    untrained = Untrained(num_outputs=3, label_shares=shares)
    generator = torch.Generator().manual_seed(0)
    classes = torch.multinomial(torch.tensor(shares), num_pixels, True, generator=generator)
    logits = torch.rand(1, 3, 1, num_pixels, generator=generator)
    found = collected(logits, classes[None, None])
    for metric in (mean_iou, pixel_accuracy):
        expected = chance_score(metric.__name__, "segmentation", untrained)
        assert float(metric(found)) == pytest.approx(expected, abs=0.005)
    assert chance_score("loss", "segmentation", untrained) == pytest.approx(np.log(3))


def test_the_loss_is_the_mean_over_the_pixels_that_count() -> None:
    logits, masks = drawn()
    weights = torch.tensor([1.0, 2.0, 0.5, 1.0])
    for smoothing in (0.0, 0.1):
        criterion = PixelCrossEntropy(torch.ones(4), smoothing)
        expected = cross_entropy(logits, masks, ignore_index=IGNORED, label_smoothing=smoothing)
        assert float(criterion(logits, masks)) == pytest.approx(float(expected), rel=1e-6)
    each = cross_entropy(logits, masks, weights, ignore_index=IGNORED, reduction="none")
    weighted = float(each.sum() / (masks != IGNORED).sum())
    assert float(PixelCrossEntropy(weights, 0.0)(logits, masks)) == pytest.approx(weighted)
    whole = torch.full_like(masks, IGNORED)
    logits.requires_grad_()
    nothing = criterion(logits, whole)
    nothing.backward()
    assert nothing.item() == 0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_balanced_weights_come_from_the_training_pixels_that_count() -> None:
    splits = load_splits(DATA, 0, CPU)
    weights = train_weights(splits.train, splits.num_outputs)
    masks = splits.train.labels[splits.train.rows].numpy()
    counts = np.array([(masks == one).sum() for one in range(3)])
    np.testing.assert_allclose(weights.numpy(), counts.sum() / (3 * counts), rtol=1e-6)


def test_two_half_batches_step_as_one_batch_does(make_config: MakeConfig) -> None:
    steps = []
    for size, accumulated in ((8, 1), (4, 2)):
        changes = {"batch_size": size, "accumulation_steps": accumulated}
        state = loop.prepare(make_config(**{**SEGMENTATION, **changes}), "cpu")
        state.model.eval()  # a normalisation by batch would differ
        batches = list(islice(plain_batches(state), accumulated))
        state.optimizer.zero_grad()
        num_samples = sum(len(masks) for _, masks in batches)
        for images, masks in batches:
            loss = state.criterion(state.model(images), masks)
            (loss * (len(masks) / num_samples)).backward()
        steps.append([one.grad.clone() for one in state.model.parameters() if one.grad is not None])
    for whole, halves in zip(*steps, strict=True):
        torch.testing.assert_close(whole, halves, rtol=1e-4, atol=1e-6)


def test_a_loss_and_a_metric_of_the_users_own_give_what_the_registered_ones_give(
    make_config: MakeConfig,
) -> None:
    metric, both = f"{__name__}:OwnIou", []
    for loss, metrics in (("cross_entropy", {}), (f"{__name__}:own_loss", {metric: OwnMetric()})):
        config = make_config(**{**SEGMENTATION, "epochs": 2, "loss": loss})
        state = loop.prepare(replace(config, metrics=metrics), "cpu")
        both.append(list(loop.train(state)))
    for registered, own in zip(*both, strict=True):
        assert own.train_loss == pytest.approx(registered.train_loss, rel=1e-4)
    assert own.metrics[metric] == pytest.approx(own.metrics["mean_iou"], abs=1e-6)


@pytest.mark.parametrize("name", ["flip", "translate", "crop"])
@pytest.mark.parametrize("axis", [0, 1])
def test_image_and_mask_move_together(name: str, axis: int) -> None:
    steps = torch.meshgrid(torch.arange(24) // 6, torch.arange(40) // 8, indexing="ij")[axis]
    masks = steps.to(torch.uint8).repeat(64, 1, 1)
    images = (20.0 * masks[:, None].float() + 10).repeat(1, 2, 1, 1)
    moved, with_them = augmented(name, images, masks)
    assert with_them.dtype == torch.uint8
    assert torch.equal(with_them, masks) == (name == "flip" and axis == 0)
    is_filled = with_them == IGNORED
    assert torch.equal(is_filled, moved == 0)  # a translated image is filled with zeros
    assert bool(is_filled.any()) == (name == "translate")
    distance = ((moved - 10) / 20 - with_them.float()).abs()[~is_filled]
    # A crop interpolates between two pixels of the image, and its mask takes the nearer one.
    assert distance.max() <= (0.5 + 1e-3 if name == "crop" else 1e-6)


def test_cutout_leaves_masks_alone() -> None:
    images, masks = torch.rand(8, 1, 24, 40), torch.randint(3, (8, 24, 40), dtype=torch.uint8)
    moved, with_them = augmented("cutout", images, masks)
    assert torch.equal(with_them, masks)
    assert not torch.equal(moved, images[:, 0])


def test_training_batches_hold_the_masks_of_their_augmented_images(make_config: MakeConfig) -> None:
    state = loop.prepare(make_config(**SEGMENTATION, augment=("flip", "translate")), "cpu")
    state.model.train()
    for images, masks in plain_batches(state):
        assert masks.dtype == torch.int64
        assert (masks == IGNORED).sum() > 18 * len(masks)
        bright, dark = images[:, 0][masks == 1], images[:, 0][masks == 0]
        assert bright.min() > dark.max()


def test_a_killed_run_ends_with_the_same_bits(make_config: MakeConfig, tmp_path: Path) -> None:
    augment = ("flip", "translate", "crop", "cutout")
    changes = {"epochs": 3, "class_weights": "balanced", "ema_decay": 0.9}
    config = make_config(**{**SEGMENTATION, **changes}, augment=augment)
    whole = loop.prepare(config, "cpu")
    list(loop.train(whole))
    checkpoints = Checkpoints(tmp_path, "run")
    state = loop.prepare(config, "cpu")
    for _ in loop.train(state, checkpoints):
        checkpoints.save(state)
        break
    resumed = loop.prepare(config, "cpu")
    epochs = [one.epoch for one in loop.train(resumed, Checkpoints(tmp_path, "run"))]
    assert epochs == [1, 2, 3]
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name
    assert [one.metrics for one in whole.history] == [one.metrics for one in resumed.history]


@pytest.mark.parametrize("source", ["samples", "each_sample"])
def test_torch_data_sets_with_masks_give_the_same_splits(source: str) -> None:
    config = DataConfig(dataset=f"{__name__}:{source}", task="segmentation")
    dataset, arrays = load_dataset(config), load_dataset(DATA)
    assert dataset.class_names == arrays.class_names == ("0", "1", "2")
    assert np.array_equal(dataset.train_labels, arrays.train_labels)
    assert np.array_equal(dataset.test_labels, arrays.test_labels)
    assert dataset.train_labels.dtype == np.uint8
    split = load_splits(config, 0, CPU).train
    images, masks = next(iter(split.batches(8)))
    assert (masks.shape, masks.dtype) == ((8, 16, 18), torch.int64)
    assert images.shape == (8, 1, 16, 18)
    assert [note for note in dataset.notes if "255" in note]


class Sizes(Dataset[tuple[Tensor, Tensor]]):
    """Masks of two sizes."""

    def __len__(self) -> int:
        return 10

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        side = 8 if index % 2 else 9
        return torch.zeros(1, 8, 8), torch.eye(side, dtype=torch.int64)


class Turned(Sizes):
    """Masks that are another one each time."""

    def __init__(self) -> None:
        self.num_read = 0

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        self.num_read += 1
        mask = torch.eye(8, dtype=torch.int64)
        return torch.ones(1, 8, 8), mask if self.num_read <= 40 else mask.flip(0)


def test_masks_of_a_data_set_that_differ_are_refused_in_one_line() -> None:
    found = "found masks of \\[9, 9\\] and \\[8, 8\\]"
    config = DataConfig(dataset=f"{__name__}:Sizes", task="segmentation")
    with pytest.raises(DataError, match=found) as caught:
        load_dataset(config)
    assert len(str(caught.value).splitlines()) == 1
    splits = load_splits(replace(config, dataset=f"{__name__}:Turned"), 0, CPU)
    batches = chain.from_iterable(splits.train.batches(4) for _ in range(20))
    with pytest.raises(DataError, match="has another mask, but was first read as") as caught:
        list(batches)
    assert len(str(caught.value).splitlines()) == 1


def test_what_is_ignored_and_which_classes_are_absent_is_said() -> None:
    summary = describe_dataset(DATA, 0)
    assert summary.notes == (
        "6.2% of the training pixels have the value 255, which loss and metrics ignore",
    )
    assert sum(summary.label_shares) == pytest.approx(1)
    assert summary.label_shares[0] > 0.8


@pytest.mark.parametrize(("height", "width"), [(16, 16), (15, 18), (9, 5), (1, 3)])
def test_unet_takes_any_size(height: int, width: int) -> None:
    for depth, dropout in ((1, 0.0), (3, 0.2)):
        model = build_unet((3, height, width), 4, width=4, depth=depth, dropout=dropout).eval()
        assert model(torch.randn(2, 3, height, width)).shape == (2, 4, height, width)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("cnn", "'cnn' predicts for each sample or token, and .* each pixel; allowed: unet, or"),
        ("torchvision:resnet18", "predicts for each sample"),
        (f"{__name__}:build_per_sample", r"gives \[2, 3\], not outputs of shape \[2, 3, 16, 18\]"),
    ],
)
def test_a_model_that_predicts_for_samples_is_refused(model: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build_model(model, {}, input_shape=(1, 16, 18), num_outputs=3, task="segmentation")


def test_a_model_that_predicts_for_pixels_is_refused_for_classes() -> None:
    with pytest.raises(UsageError, match="'unet' predicts for each pixel, and"):
        build_model("unet", {}, input_shape=(1, 16, 18), num_outputs=3)


X, Y = pictures(20).values()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y": Y[:, 0]}, r"y_train has shape \[20, 18\]; masks must be \[N, H, W\]"),
        ({"y": Y[:, 1:]}, "images have 16 x 18 pixels, masks 15 x 18"),
        ({"y": Y[:10]}, "x_train and y_train differ in length: 20 and 10"),
        ({"y": Y + 1}, "y_train holds 256; masks hold classes 0..C-1 up to 254"),
        ({"y": Y - 1}, "y_train holds -1"),
        ({"y": Y / 2}, "y_train has dtype float64; masks must hold integers"),
        ({"y": np.where(Y == 1, 3, Y)}, "y_train has classes up to 3, but no pixel of 1"),
        ({"y": np.where(Y > 0, 255, 0)}, r"y_train has one class only \(0\)"),
        ({"x": X.reshape(20, -1)}, r"samples have shape \[288\]; segmentation takes images"),
        (
            {"x_test": X[:4], "y_test": np.full((4, 16, 18), 3)},
            "y_test has pixels of class 3, the training masks only of 0..2",
        ),
    ],
)
def test_arrays_that_are_no_masks_are_refused(changes: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(DataError, match=message):
        check_arrays({"x": X, "y": Y, **changes}, "d", "segmentation")
