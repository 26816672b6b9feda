"""Averaged weights: kept beside the model, or by the optimizer itself.

An optimizer that averages weights trains at one point and is evaluated at another. It has methods
`train` and `eval`, which move the model's weights between the two. The switches below ignore every
other optimizer.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from bakeoff.training.flat import FlatStep

BatchNorm = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d | nn.SyncBatchNorm


class _Place(NamedTuple):
    """Where a weight or a buffer is, which the model may replace by a new tensor."""

    owner: nn.Module
    name: str
    is_buffer: bool

    def find(self) -> Tensor:
        """The tensor that is there now."""
        found: Tensor = getattr(self.owner, self.name)
        return found


class WeightAverage:
    """An exponential moving average of a model's weights, which replaces them in evaluation.

    After n updates with weights w_1 .. w_n the average is sum(d^(n-i) w_i) / sum(d^(n-i)). It does
    not depend on the initial weights: dividing by the sum corrects the bias of the first steps as
    Adam does, and after few steps the average is close to a plain mean. Floating-point buffers
    (batch normalisation's statistics) are averaged in the same way; integer buffers are not. Where
    a buffer is infinite, as in a mask of attention, there is no average, and its value is kept.

    Source: Tarvainen and Valpola 2017, https://arxiv.org/abs/1703.01780; the correction: Kingma
    and Ba 2015, https://arxiv.org/abs/1412.6980, section 3

    Args:
        model: The model to average; swapping changes its weights in place.
        decay: Share d in (0, 1) that the average keeps at each update; it reaches back over about
            1 / (1 - d) steps.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._decay = decay
        self._num_updates = 0
        self._in_place = False
        self._places = [one for one in _places(model) if _is_averaged(one.find())]
        # The average; while the model holds the average, the weights that are trained.
        self._other = [one.find().detach().clone() for one in self._places]
        self._flat: FlatStep | None = None
        # What each update adds, and to what: the tensors one by one, or a buffer and all others.
        self._added: list[_Place] = self._places
        self._averages = self._other

    def begin(self, flat: FlatStep | None) -> None:
        """Put the weights that are trained into the model, for the steps of an epoch.

        Args:
            flat: Holds weights in a buffer, so that their average may be kept in one, too.
        """
        self.swap_out()
        if flat is None or flat is self._flat:
            return
        buffer = torch.zeros_like(flat.values)
        moved = {
            id(weights): place
            for weights, place in zip(flat.weights, flat.views(buffer), strict=True)
        }
        others = []
        for at, place in enumerate(self._places):
            if id(place.find()) in moved:
                self._other[at] = moved[id(place.find())].copy_(self._other[at])
            else:
                others.append(at)
        self._flat = flat
        self._added = [self._places[at] for at in others]
        self._averages = [buffer, *(self._other[at] for at in others)]

    def update(self) -> None:
        """Add the current weights to the average; call it after each optimizer step."""
        self._num_updates += 1
        share = (1 - self._decay) / (1 - self._decay**self._num_updates)
        with torch.no_grad():
            now = [one.find() for one in self._added]
            if self._flat is not None:
                now.insert(0, self._flat.values)
            torch._foreach_lerp_(self._averages, now, share)

    def swap_in(self) -> None:
        """Put the average into the model, to be evaluated and saved, if it is not there yet."""
        if not self._in_place and self._num_updates:
            self._mend_buffers()
            self._exchange()

    def swap_out(self) -> None:
        """Put the weights that are trained back into the model, if they are not there yet."""
        if self._in_place:
            self._exchange()

    def state_dict(self) -> dict[str, Any]:
        """Everything that the model itself does not hold."""
        return {"other": self._other, "num_updates": self._num_updates, "in_place": self._in_place}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state; the model must be restored from the same moment."""
        for tensor, saved in zip(self._other, state["other"], strict=True):
            tensor.copy_(saved)
        self._num_updates = state["num_updates"]
        self._in_place = state["in_place"]

    def _mend_buffers(self) -> None:
        """Take over a buffer's values where their average is not finite (inf - inf is NaN)."""
        for average, place in zip(self._other, self._places, strict=True):
            if place.is_buffer and not average.isfinite().all():
                average.copy_(torch.where(average.isfinite(), average, place.find()))

    def _exchange(self) -> None:
        with torch.no_grad():
            for place, other in zip(self._places, self._other, strict=True):
                tensor = place.find()
                held = tensor.clone()
                tensor.copy_(other)
                other.copy_(held)
        self._in_place = not self._in_place


def _places(model: nn.Module) -> list[_Place]:
    """Every weight and then every buffer of `model` once, in its order."""
    found: dict[int, _Place] = {}
    for is_buffer in (False, True):
        for owner in model.modules():
            named = owner.named_buffers if is_buffer else owner.named_parameters
            for name, tensor in named(recurse=False):
                found.setdefault(id(tensor), _Place(owner, name, is_buffer))
    return [*found.values()]


def _is_averaged(tensor: Tensor) -> bool:
    return tensor.is_floating_point() or tensor.is_complex()


def averages_weights(optimizer: torch.optim.Optimizer) -> bool:
    """Whether `optimizer` is evaluated at other weights than it trains."""
    return all(callable(getattr(optimizer, name, None)) for name in ("train", "eval"))


def switch_to_training(optimizer: torch.optim.Optimizer) -> None:
    """Move the weights to where the next step needs them, if they are not there yet."""
    if averages_weights(optimizer):
        optimizer.train()  # type: ignore[attr-defined]


def switch_to_evaluation(optimizer: torch.optim.Optimizer) -> None:
    """Move the weights to where they are evaluated and saved, if they are not there yet."""
    if averages_weights(optimizer):
        optimizer.eval()  # type: ignore[attr-defined]


def find_batch_norms(model: nn.Module) -> list[BatchNorm]:
    """The modules of `model` that keep running statistics of their batches."""
    return [
        module
        for module in model.modules()
        if isinstance(module, BatchNorm) and module.track_running_stats
    ]


@contextmanager
def measuring_statistics(norms: Sequence[BatchNorm]) -> Iterator[None]:
    """Within it, forward passes measure the statistics of `norms` again, as means over batches."""
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over all batches instead of a decaying one
        norm.train()
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            norm.eval()
