"""A schedule of the user's own moves the learning rate as the registered one does, or is refused."""

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import count

import pytest
import torch

from bakeoff.errors import UsageError
from bakeoff.records import TrialConfig
from bakeoff.training import loop
from bakeoff.training.schedule import Schedule

MakeConfig = Callable[..., TrialConfig]


def cosine(progress: float) -> float:
    """The registered schedule of that name."""
    return 0.5 * (1 + math.cos(math.pi * progress))


def line(progress: float, *, end: float) -> float:
    """From 1 to `end`."""
    return 1 + (end - 1) * progress


def per_step(step: int, total: int) -> float:
    """Takes steps."""
    return 1 - step / total


def endless(progress: float) -> float:
    """Infinite at the end."""
    return math.inf if progress == 1 else 1.0


def tensor(progress: float) -> torch.Tensor:
    """No number."""
    return torch.tensor(progress)


calls = count()


def fading(progress: float) -> float:
    """Depends on how often it was called."""
    return 1 / (1 + next(calls))


def schedule(name: str, **params: float) -> Schedule:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=2.0)
    reference = f"{__name__}:{name}"
    return Schedule(
        optimizer, reference, params, total_steps=4, epochs=1, direction="maximize"
    )  # fmt: skip


def test_own_copy_of_cosine_gives_the_learning_rates_of_the_registered_one(
    make_config: MakeConfig,
) -> None:
    config = make_config(epochs=2, scheduler="cosine", scheduler_params={"warmup_fraction": 0.0})
    own = replace(config, scheduler=f"{__name__}:cosine", scheduler_params={})
    one, other = (list(loop.train(loop.prepare(run, "cpu"))) for run in (config, own))
    assert [epoch.learning_rate for epoch in one] == [epoch.learning_rate for epoch in other]
    assert [epoch.train_loss for epoch in one] == [epoch.train_loss for epoch in other]


def test_factor_multiplies_the_learning_rate_from_the_first_step_to_the_last() -> None:
    found = schedule("line", end=0.5)
    rates = [found.learning_rate]
    for _ in range(4):
        found.advance()
        rates.append(found.learning_rate)
    assert rates == [2.0, 1.75, 1.5, 1.25, 1.0]


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("line", {"end": -1.0}, r"found -0\.03125 at progress 0\.515625 with end=-1\.0"),
        ("line", {}, r"expected a call with \(progress .*, here no parameters, found line\("),
        ("per_step", {}, r"found per_step\(step, total\) \(TypeError"),
        ("endless", {}, "found inf at progress 1 with no parameters"),
        ("tensor", {}, r"found tensor\(0\.\) at progress 0"),
        ("fading", {}, r"expected a pure function of the progress, found 1\.0 and then 0\.5 at"),
    ],
)  # fmt: skip
def test_schedule_that_gives_no_factor_is_refused_in_one_line(
    name: str, params: dict[str, float], message: str
) -> None:
    with pytest.raises(UsageError, match=f"^scheduler '{__name__}:{name}': .*{message}") as caught:
        schedule(name, **params)
    assert "\n" not in str(caught.value)
