"""Models for `accelerator.py` that fail in the two ways in which a device fails."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

TERABYTE = 1 << 40


class _Failing(nn.Module):
    """A linear classifier that calls `fail` in every training step."""

    def __init__(self, num_inputs: int, num_outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(num_inputs, num_outputs)

    def fail(self, inputs: Tensor) -> Tensor:
        """Return a summand of the outputs, after which the device has failed."""
        raise NotImplementedError

    def forward(self, inputs: Tensor) -> Tensor:
        """Outputs [N, C]."""
        outputs: Tensor = self.linear(inputs.flatten(1))
        return outputs + self.fail(inputs) if self.training else outputs


class _OutOfMemory(_Failing):
    def fail(self, inputs: Tensor) -> Tensor:
        return torch.empty(8 * TERABYTE, dtype=torch.uint8, device=inputs.device)[0].float()


class _Assert(_Failing):
    def fail(self, inputs: Tensor) -> Tensor:
        if inputs.device.type == "cpu":  # which has no assertions in kernels
            raise RuntimeError("CUDA error: device-side assert triggered")
        places = torch.full((1,), 10**6, device=inputs.device)
        return torch.zeros(1, device=inputs.device)[places]


def build_out_of_memory(input_shape: Sequence[int], num_outputs: int) -> nn.Module:
    """A model that asks for more memory than any device has."""
    return _OutOfMemory(math.prod(input_shape), num_outputs)


def build_assert(input_shape: Sequence[int], num_outputs: int) -> nn.Module:
    """A model that reads beyond the end of a tensor, which an assertion in the kernel notices."""
    return _Assert(math.prod(input_shape), num_outputs)
