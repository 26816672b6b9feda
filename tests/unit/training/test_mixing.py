"""Mixup and cutmix: labels sum to one, and their shares are those of the inputs."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from bakeoff.errors import UsageError
from bakeoff.records import TrainingConfig, TrialConfig
from bakeoff.training import loop
from bakeoff.training.epoch_batches import MixDraws, cut_and_paste, mix_batches, mix_labels

MakeConfig = Callable[..., TrialConfig]

NUM_CLASSES = 5
KINDS = [(0.4, 0.0), (1.0, 0.0), (0.0, 1.0), (0.0, 0.2), (0.4, 1.0)]
"""Alphas of mixup and cutmix."""


def batches(num_batches: int = 40) -> list[tuple[Tensor, Tensor]]:
    """Images whose pixels all hold the label, so that an image shows how it was mixed."""
    labels = torch.arange(num_batches * 8).reshape(num_batches, 8) * 7 % NUM_CLASSES
    return [(one.float()[:, None, None, None].expand(8, 2, 12, 16), one) for one in labels]


def mixed(
    mixup_alpha: float, cutmix_alpha: float, *, seed: int = 0, epoch: int = 1
) -> list[tuple[Tensor, Tensor]]:
    training = TrainingConfig(epochs=1, mixup_alpha=mixup_alpha, cutmix_alpha=cutmix_alpha)
    draws = MixDraws(training, seed, epoch)
    return list(mix_batches(batches(), draws, num_classes=NUM_CLASSES))


@pytest.mark.parametrize(("mixup_alpha", "cutmix_alpha"), KINDS)
def test_labels_sum_to_one_and_describe_the_image(mixup_alpha: float, cutmix_alpha: float) -> None:
    values = torch.arange(float(NUM_CLASSES))
    for images, labels in mixed(mixup_alpha, cutmix_alpha):
        assert labels.shape == (8, NUM_CLASSES)
        assert bool((labels >= 0).all())
        assert torch.allclose(labels.sum(1), torch.ones(8), atol=1e-6)
        assert torch.allclose(images.mean((1, 2, 3)), labels @ values, atol=1e-5)


@pytest.mark.parametrize(("mixup_alpha", "cutmix_alpha"), KINDS)
def test_batches_depend_on_seed_and_epoch_only(mixup_alpha: float, cutmix_alpha: float) -> None:
    first = torch.cat([images for images, _ in mixed(mixup_alpha, cutmix_alpha)])
    torch.manual_seed(5)
    again = torch.cat([images for images, _ in mixed(mixup_alpha, cutmix_alpha)])
    for changed in ({"seed": 1}, {"epoch": 2}):
        other = torch.cat([images for images, _ in mixed(mixup_alpha, cutmix_alpha, **changed)])
        assert not torch.equal(first, other)
    assert torch.equal(first, again)


def test_with_both_a_fair_coin_decides_per_batch() -> None:
    # Cutmix copies whole pixels; mixup with this alpha changes nearly all of them.
    cuts = [bool((images == images.round()).all()) for images, _ in mixed(8.0, 1.0)]
    assert 10 <= sum(cuts) <= 30


def test_shares_of_mixup_follow_their_distribution() -> None:
    # The variance of Beta(a, a) is 1 / (4 (2 a + 1)).
    shares = []
    for epoch in range(1, 11):
        for (_, soft), (_, hard) in zip(mixed(2.0, 0.0, epoch=epoch), batches(), strict=True):
            is_pure = soft.max(1).values == 1  # a partner of the same class
            shares += soft[~is_pure].gather(1, hard[~is_pure][:, None])[:1, 0].tolist()
    assert len(shares) > 350
    assert float(torch.tensor(shares).mean()) == pytest.approx(0.5, abs=0.05)
    assert float(torch.tensor(shares).var()) == pytest.approx(1 / 20, rel=0.2)


def test_rectangle_comes_from_the_partner() -> None:
    images = torch.arange(2.0)[:, None, None, None].expand(2, 1, 4, 6)
    pasted = cut_and_paste(images, torch.tensor([1, 0]), (slice(1, 3), slice(2, 6)))
    expected = torch.zeros(1, 4, 6)
    expected[:, 1:3, 2:6] = 1
    assert torch.equal(pasted[0], expected)
    assert torch.equal(pasted[1], 1 - expected)


def test_partner_of_the_same_class_does_not_change_the_label() -> None:
    labels = mix_labels(torch.tensor([1, 1, 0]), torch.tensor([1, 2, 0]), 0.25, 3)
    assert labels.tolist() == [[0, 1, 0], [0.75, 0.25, 0], [0.25, 0.75, 0]]


@pytest.mark.parametrize(("mixup_alpha", "cutmix_alpha"), [(0.4, 0.0), (0.0, 1.0), (0.4, 1.0)])
def test_mixed_run_learns(make_config: MakeConfig, mixup_alpha: float, cutmix_alpha: float) -> None:
    config = make_config(
        epochs=6,
        train_samples=None,
        model_params={"width": 64},
        mixup_alpha=mixup_alpha,
        cutmix_alpha=cutmix_alpha,
        optimizer_params={"learning_rate": 0.01},
    )
    results = list(loop.train(loop.prepare(config, "cpu")))
    assert results[-1].metrics["accuracy"] > 0.85


def test_cutmix_of_rows_is_refused(make_config: MakeConfig) -> None:
    config = make_config(dataset="digits", cutmix_alpha=1.0)
    from bakeoff.training.state import check_remedies

    with pytest.raises(UsageError, match=r"cutmix_alpha = 1 needs images of shape \[C, H, W\]"):
        check_remedies(config, (64,))
