"""Models whose weights or state are unusual, each beside one that must train alike."""

from typing import Any

import torch
from torch import Tensor, nn

SIZE = 64


class Spectral(nn.Module):
    """A filter in the frequency domain; its weight is complex, or holds real and imaginary part."""

    def __init__(self, *, is_complex: bool) -> None:
        super().__init__()
        parts = torch.randn(1, SIZE // 2 + 1, 2)
        self.weight = nn.Parameter(torch.view_as_complex(parts) if is_complex else parts)
        self.register_buffer("phase", torch.zeros(2, dtype=torch.cfloat), persistent=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """[N, SIZE] -> [N, SIZE]."""
        weight = self.weight if self.weight.is_complex() else torch.view_as_complex(self.weight)
        filtered: Tensor = torch.fft.irfft(torch.fft.rfft(inputs) * weight, n=SIZE)
        return filtered


class Tokens(nn.Module):
    """The mean embedding of the pixels' grey values, with sparse or dense gradients."""

    def __init__(self, num_outputs: int, *, sparse: bool) -> None:
        super().__init__()
        self.table = nn.EmbeddingBag(50, 16, sparse=sparse, mode="mean")
        self.head = nn.Linear(16, num_outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        """[N, ...] -> [N, num_outputs]."""
        outputs: Tensor = self.head(self.table((inputs.clamp(-2.4, 2.4) * 10 + 25).long()))
        return outputs


class Counting(nn.Module):
    """Scales its outputs by a state of its own, which changes with every batch of training."""

    def __init__(self, num_outputs: int, state: Any) -> None:
        super().__init__()
        self.linear = nn.Linear(SIZE, num_outputs)
        self.state = state

    def forward(self, inputs: Tensor) -> Tensor:
        """[N, SIZE] -> [N, num_outputs]."""
        if self.training and isinstance(self.state, dict):
            first, *others = self.state["scales"]
            self.state["scales"] = (first + 1, *others)
            self.state[7].mul_(0.99)
        scale = 1.0
        if isinstance(self.state, dict):
            scale = float(self.state[7]) + self.state["scales"][0] / 100
        outputs: Tensor = self.linear(inputs) * scale
        return outputs

    def get_extra_state(self) -> Any:
        """The state, not a copy of it."""
        return self.state

    def set_extra_state(self, state: Any) -> None:
        """Take the state as it is; a wrong type would fail in `forward`."""
        if isinstance(state, dict) and not isinstance(state["scales"], tuple):
            raise TypeError("scales must be a tuple")
        self.state = state


class NeverSet(Counting):
    """Returns a state that it does not take back."""

    def set_extra_state(self, state: Any) -> None:
        """Refuse it."""
        raise ValueError("no state, please")


def own_state() -> dict[str | int, Any]:
    """Plain values of every kind that is allowed."""
    return {
        "scales": (1, 2.5, float("inf"), True),
        7: torch.tensor(1.0),
        "nested": [{"none": None, "text": "a\n{b}"}, torch.arange(3)],
    }


def build_complex(input_shape: tuple[int, ...], num_outputs: int) -> nn.Module:
    """A spectral network with a complex weight."""
    return nn.Sequential(nn.Flatten(), Spectral(is_complex=True), nn.Linear(SIZE, num_outputs))


def build_paired(input_shape: tuple[int, ...], num_outputs: int) -> nn.Module:
    """The same network with a pair of real numbers for each complex one."""
    return nn.Sequential(nn.Flatten(), Spectral(is_complex=False), nn.Linear(SIZE, num_outputs))


def build_sparse(input_shape: tuple[int, ...], num_outputs: int) -> nn.Module:
    """A network with sparse gradients."""
    return nn.Sequential(nn.Flatten(), Tokens(num_outputs, sparse=True))


def build_dense(input_shape: tuple[int, ...], num_outputs: int) -> nn.Module:
    """The same network with dense gradients."""
    return nn.Sequential(nn.Flatten(), Tokens(num_outputs, sparse=False))


def build_counting(input_shape: tuple[int, ...], num_outputs: int) -> nn.Module:
    """A network with a state of its own."""
    return nn.Sequential(nn.Flatten(), Counting(num_outputs, own_state()))


def build_never_set(input_shape: tuple[int, ...], num_outputs: int) -> nn.Module:
    """A network whose state cannot be restored."""
    return nn.Sequential(nn.Flatten(), NeverSet(num_outputs, own_state()))


def build_with_object(input_shape: tuple[int, ...], num_outputs: int) -> nn.Module:
    """A network whose state holds an object."""
    return nn.Sequential(nn.Flatten(), Counting(num_outputs, own_state() | {8: [object()]}))


def build_double_complex(input_shape: tuple[int, ...], num_outputs: int) -> nn.Module:
    """A network with a buffer of complex numbers in double precision."""
    model = build_complex(input_shape, num_outputs)
    model.register_buffer("wide", torch.zeros(2, dtype=torch.cdouble))
    return model
