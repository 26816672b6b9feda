"""An exponential moving average of a model's weights, which takes their place for evaluation."""

from typing import Any

import torch
from torch import Tensor, nn


class WeightAverage:
    """The average of all weights a model had, later ones counting more.

    After n updates with weights w_1 .. w_n the average is sum(d^(n-i) w_i) / sum(d^(n-i)). So it
    owes nothing to the weights training began with: dividing by the sum corrects the bias of the
    first steps as Adam does, and after few steps the average is close to a plain mean. Buffers of
    real numbers (batch normalisation's statistics) are averaged alike; counts and other whole
    numbers stay the model's own.

    Source: Tarvainen and Valpola 2017, https://arxiv.org/abs/1703.01780; the correction: Kingma
    and Ba 2015, https://arxiv.org/abs/1412.6980, section 3

    Args:
        model: What is averaged; its weights are changed in place when the two change places.
        decay: Share d in (0, 1) that the average keeps at each update; it reaches back over about
            1 / (1 - d) steps.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._model = model
        self._decay = decay
        self._num_updates = 0
        self._in_place = False
        # The average, or while it stands in the model, the weights that are trained.
        self._other = [tensor.detach().clone() for tensor in _averaged(model)]

    def update(self) -> None:
        """Take in the weights as they are; call it after each optimizer step."""
        self._num_updates += 1
        share = (1 - self._decay) / (1 - self._decay**self._num_updates)
        with torch.no_grad():
            torch._foreach_lerp_(self._other, _averaged(self._model), share)

    def put_in_place(self) -> None:
        """Put the average into the model, to be evaluated and saved; nothing happens if it is."""
        if not self._in_place and self._num_updates:
            self._exchange()

    def put_away(self) -> None:
        """Put the weights that are trained back; nothing happens if they are there."""
        if self._in_place:
            self._exchange()

    def state_dict(self) -> dict[str, Any]:
        """All that the model does not hold itself."""
        return {
            "other": self._other,
            "num_updates": self._num_updates,
            "in_place": self._in_place,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken, from a model that was saved with it."""
        for tensor, saved in zip(self._other, state["other"], strict=True):
            tensor.copy_(saved)
        self._num_updates = state["num_updates"]
        self._in_place = state["in_place"]

    def _exchange(self) -> None:
        with torch.no_grad():
            for tensor, other in zip(_averaged(self._model), self._other, strict=True):
                held = tensor.clone()
                tensor.copy_(other)
                other.copy_(held)
        self._in_place = not self._in_place


def _averaged(model: nn.Module) -> list[Tensor]:
    """Weights and buffers of real numbers, in the model's order."""
    # Looked up anew each time, because a model may put a new tensor in a buffer's place.
    tensors = (*model.parameters(), *model.buffers())
    return [tensor.detach() for tensor in tensors if tensor.is_floating_point()]
