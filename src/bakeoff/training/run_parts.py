"""Parts of what a loop of the user's own is given, and the metrics that it gives back."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.optim.lr_scheduler import LRScheduler

from bakeoff.errors import UsageError
from bakeoff.records import MetricInfo, Task
from bakeoff.training.batches import Split
from bakeoff.training.schedule import Schedule

MAX_SHOWN = 60
"""Characters of a wrong value that a message shows."""


class RunEnded(BaseException):
    """Ends a loop whose run was pruned, paused or diverged; a loop should let it pass."""


@dataclass(frozen=True, kw_only=True)
class TestScores:
    """What `run.test` returns, for a loop that yields it."""

    __test__ = False  # no test, although its name begins like one
    metrics: Mapping[str, float]


@dataclass(frozen=True, kw_only=True, eq=False)
class RunData:
    """The data of a run, split as the built-in loop would split it."""

    train: Split
    validation: Split
    task: Task
    num_outputs: int
    """Number of classes, of tokens in the vocabulary, or 1 in regression."""
    input_shape: tuple[int, ...]
    class_names: tuple[str, ...]
    _test: Split | None
    _may_test: Callable[[], bool]

    @property
    def test(self) -> Split:
        """The test samples.

        Raises:
            UsageError: The run does not read them, or was not asked whether it does.
        """
        if self._test is None or not self._may_test():
            raise UsageError(
                "run.data.test: only runs of the confirmation read the test set; ask run.wants_test"
            )
        return self._test


class RunScheduler(LRScheduler):
    """The schedule of an arm behind the methods of torch's schedulers; call `step` after each step.

    `plateau` is given the objective whenever the loop yields.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, schedule: Schedule) -> None:
        self.schedule = schedule
        self._has_begun = False
        super().__init__(optimizer)

    def step(self, epoch: int | None = None) -> None:  # noqa: ARG002 - as torch's schedulers
        """The optimizer has made a step."""
        if self._has_begun:  # torch calls it once when a scheduler is made
            self.schedule.advance()
        self._has_begun = True

    def get_last_lr(self) -> list[float | Tensor]:
        """The learning rate of every group."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """What does not follow from the settings."""
        return self.schedule.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from what `state_dict` returned."""
        self.schedule.load_state_dict(state_dict)


def as_numbers(metrics: object, expected: Collection[MetricInfo]) -> dict[str, float]:
    """What a loop yielded as numbers by name.

    Args:
        metrics: Numbers by name, as Python, NumPy or torch have them.
        expected: What must be among them.

    Raises:
        UsageError: They are something else, or one is missing or out of its bounds.
    """
    if not isinstance(metrics, Mapping) or not all(isinstance(one, str) for one in metrics):
        raise UsageError(
            f'expected metrics by name, as in {{"loss": 0.5}}, found {_shown(metrics)}'
        )
    found = {name: _number(name, value) for name, value in metrics.items()}
    for one in expected:
        if one.name not in found:
            others = ", ".join(found) or "none"
            raise UsageError(f"expected the metric {one.name!r} of the study file, found {others}")
        if not one.allows(found[one.name]):
            raise UsageError(
                f"expected {one.low:g} to {one.high:g} as metric {one.name!r}, found"
                f" {found[one.name]:.6g}; describe a metric of another range under [metrics]"
            )
    return found


def _number(name: str, value: Any) -> float:
    if not isinstance(value, (str, bytes)):
        try:
            return float(value.detach() if isinstance(value, Tensor) else value)
        except (TypeError, ValueError, RuntimeError):  # more than one number
            pass
    raise UsageError(f"expected a number as metric {name!r}, found {_shown(value)}")


def _shown(value: object) -> str:
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + '...'}"
