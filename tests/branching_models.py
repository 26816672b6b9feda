"""Models that compute something else at a dropout rate above a quarter, or at another call.

A stack of runs can train some of them; others compute what no stack can, and have to train alone.
"""

import random
from collections.abc import Callable

import torch
from torch import Tensor, nn

HIGH = 0.25
WIDTH = 16


class Plain(nn.Module):
    """A network with one hidden layer, which a stack can train at any dropout rate."""

    def __init__(self, input_shape: tuple[int, ...], num_outputs: int, dropout: float) -> None:
        super().__init__()
        self.is_high = dropout > HIGH
        self.hidden = nn.Sequential(nn.Flatten(), nn.Linear(64, WIDTH), nn.ReLU())
        self.drop = nn.Dropout(dropout)
        self.between = self.layer()
        self.head = nn.Linear(WIDTH, num_outputs)

    def layer(self) -> nn.Module:
        """The layer before the last one."""
        return nn.Identity()

    def forward(self, inputs: Tensor) -> Tensor:
        """[B, ...] -> [B, num_outputs]."""
        outputs: Tensor = self.head(self.between(self.drop(self.hidden(inputs))))
        return outputs


class Deeper(Plain):
    """Has another layer at high rates."""

    def layer(self) -> nn.Module:
        """A layer with weights, or one without."""
        return nn.Linear(WIDTH, WIDTH) if self.is_high else nn.Identity()


class Pooled(Plain):
    """Its pooling divides by another number at high rates, which its text does not say."""

    def forward(self, inputs: Tensor) -> Tensor:
        """[B, 1, 8, 8] -> [B, num_outputs]."""
        return super().forward(self.pool(inputs))

    def layer(self) -> nn.Module:
        """The layer before the last one."""
        self.pool = nn.AvgPool2d(3, 1, 1, count_include_pad=self.is_high)
        return nn.Identity()


class Frozen(Plain):
    """Does not train its hidden layer at high rates."""

    def layer(self) -> nn.Module:
        """The layer before the last one."""
        self.hidden.requires_grad_(not self.is_high)
        return nn.Identity()


class OtherNorm(Plain):
    """Normalises by the statistics of evaluation at high rates, also in training."""

    def layer(self) -> nn.Module:
        """A normalisation."""
        return nn.BatchNorm1d(WIDTH)

    def train(self, mode: bool = True) -> "OtherNorm":
        """As torch's."""
        super().train(mode)
        if self.is_high:
            self.between.eval()
        return self


class OtherEvaluation(Plain):
    """Computes something else in evaluation."""

    def forward(self, inputs: Tensor) -> Tensor:
        """[B, ...] -> [B, num_outputs]."""
        outputs = super().forward(inputs)
        return outputs if self.training else outputs.tanh()


class Counting(Plain):
    """Computes something else after some steps."""

    num_calls = 0

    def forward(self, inputs: Tensor) -> Tensor:
        """[B, ...] -> [B, num_outputs]."""
        self.num_calls += 1
        outputs = super().forward(inputs)
        return outputs.tanh() if self.num_calls > 8 else outputs


class Hooked(Plain):
    """Changes a gradient."""

    def layer(self) -> nn.Module:
        """The layer before the last one."""
        weights = next(self.hidden.parameters())
        weights.register_hook(lambda one: one * 0.5)  # type: ignore[no-untyped-call]
        return nn.Identity()


class Interrupted(Plain):
    """Has no gradients before the last layer."""

    def forward(self, inputs: Tensor) -> Tensor:
        """[B, ...] -> [B, num_outputs]."""
        with torch.no_grad():
            held = self.drop(self.hidden(inputs))
        outputs: Tensor = self.head(held)
        return outputs


class _Drawn(Plain):
    draw: Callable[[], float]

    def forward(self, inputs: Tensor) -> Tensor:
        """[B, ...] -> [B, num_outputs]."""
        outputs = super().forward(inputs)
        return outputs.tanh() if type(self).draw() < 0.05 else outputs


class PythonDraws(_Drawn):
    """Computes something else now and then."""

    draw = staticmethod(random.random)


class TorchDraws(_Drawn):
    """Computes something else now and then."""

    draw = staticmethod(lambda: float(torch.rand(())))


class TwoRates(Plain):
    """Has a second dropout layer, which draws nothing at low rates."""

    def layer(self) -> nn.Module:
        """Dropout."""
        return nn.Dropout(0.1 if self.is_high else 0.0)
