"""Draws the masks of dropout on the CPU in less time, and the same masks.

torch draws every element of a mask with a branch, which a processor guesses wrongly as often as
not: 0.96 ms for 100,000 elements at a rate of one half. To draw uniform numbers in double precision
and to compare them takes 0.36 ms, uses the same numbers of the same generator and gives the same
mask. Where torch draws with MKL, as it does on processors of Intel, its masks are others, and its
own function is kept.
"""

from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

FEWEST, MOST = 1024, 1 << 21
"""Elements of an input whose mask is drawn here: of fewer the calls take longer than the draws, and
of more the numbers, eight bytes each, would come from the system each time."""
NUM_COMPARED = 100
"""Elements from which it is judged whether masks are equal."""

torch_dropout = functional.dropout


def draw_quickly() -> None:
    """Let `torch.nn.functional.dropout`, which `nn.Dropout` calls, draw its masks in this way."""
    if draws_alike():
        functional.dropout = dropout


@cache
def draws_alike() -> bool:
    """Whether a mask of compared uniform numbers is the one that torch draws on this machine."""
    first, second = (torch.Generator().manual_seed(1) for _ in range(2))
    mask = torch.empty(NUM_COMPARED).bernoulli_(0.7, generator=first)
    drawn = torch.empty(NUM_COMPARED, dtype=torch.float64).uniform_(generator=second)
    is_equal = torch.equal(mask, (drawn < 0.7).float())  # noqa: PLR2004 - any rate
    return is_equal and torch.equal(first.get_state(), second.get_state())


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:  # noqa: A002 - torch's name
    """See `torch.nn.functional.dropout`."""
    if torch.jit.is_scripting():  # type: ignore[attr-defined]
        return torch_dropout(input, p, training, inplace)
    if not training or inplace or not isinstance(p, float) or not _is_plain(input) or not 0 < p < 1:
        return torch_dropout(input, p, training, inplace)
    kept = 1 - p
    drawn = torch.empty_like(input, dtype=torch.float64, requires_grad=False).uniform_()
    mask = torch.lt(drawn, kept, out=torch.empty_like(input, requires_grad=False))
    return input * mask.div_(kept)


def _is_plain(values: Tensor) -> bool:
    """Whether this is a tensor in the memory of the CPU that nothing traces or transforms."""
    return (
        not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
        and torch._C._functorch.peek_interpreter_stack() is None  # noqa: SLF001 - has no other name
        and type(values) is Tensor
        and values.device.type == "cpu"
        and values.layout is torch.strided
        and not values.is_nested
        and values.is_floating_point()
        and FEWEST <= values.numel() <= MOST
    )
