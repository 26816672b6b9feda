from math import inf, nan

import pytest

from bakeoff.driver.active_run import describe_divergence
from bakeoff.records import EpochResult


@pytest.mark.parametrize(
    ("steps", "skipped_steps", "train_loss", "metric", "expected"),
    [
        (7, 0, nan, nan, "not finite in epoch 3"),
        (7, 2, 1.5, inf, "not finite in epoch 3"),
        (0, 7, nan, nan, "every step of epoch 3 was skipped: the gradients overflowed fp16"),
        (1, 6, 1.5, 0.5, "the gradients overflowed fp16 again and again in epoch 3"),
    ],
)
def test_reason_is_what_the_epoch_shows(
    steps: int, skipped_steps: int, train_loss: float, metric: float, expected: str
) -> None:
    result = EpochResult(
        epoch=3,
        metrics={"loss": metric},
        train_loss=train_loss,
        steps=steps,
        skipped_steps=skipped_steps,
        status="diverged",
    )
    assert describe_divergence(result) == expected
