from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bakeoff.training.muon import COEFFICIENTS, NUM_ITERATIONS, MuonWithAdamW, orthogonalise

RATE = 0.01
DECAY = 0.1


def muon(hidden: list[Tensor], others: list[Tensor], *, fused: bool = False) -> MuonWithAdamW:
    groups = [
        {"params": hidden, "weight_decay": DECAY, "hidden": True},
        {"params": others, "weight_decay": 0.0, "hidden": False},
    ]
    settings: dict[str, Any] = {"lr": RATE, "momentum": 0.95, "betas": (0.9, 0.999), "eps": 1e-8}
    return MuonWithAdamW(groups, **settings, fused=fused)


def weights(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape))))


def gradients(shape: tuple[int, ...], count: int = 5) -> list[Tensor]:
    generator = torch.Generator().manual_seed(7)
    return [torch.randn(*shape, generator=generator) for _ in range(count)]


def drive(optimizer: torch.optim.Optimizer, one: nn.Parameter, steps: list[Tensor]) -> Tensor:
    """The weights after these gradients."""
    for gradient in steps:
        one.grad = gradient.clone()
        optimizer.step()
    return one.detach()


@pytest.mark.parametrize("shape", [(6, 6), (4, 9), (9, 4), (1, 5)])
def test_orthogonalising_changes_singular_values_only(shape: tuple[int, int]) -> None:
    matrix = gradients(shape)[0]
    left, values, right = torch.linalg.svd(matrix.double(), full_matrices=False)
    values = values / values.norm()
    a, b, c = COEFFICIENTS
    for _ in range(NUM_ITERATIONS):
        values = a * values + b * values**3 + c * values**5
    expected = left @ torch.diag(values) @ right
    assert torch.allclose(orthogonalise(matrix).double(), expected, atol=1e-4)
    assert values.max() < 1.3


def test_zero_gradient_gives_a_zero_update() -> None:
    assert torch.equal(orthogonalise(torch.zeros(3, 4)), torch.zeros(3, 4))


@pytest.mark.parametrize("shape", [(8, 8), (4, 16), (16, 4)])
def test_hidden_weights_move_as_under_torchs_muon(shape: tuple[int, int]) -> None:
    ours, theirs = weights(*shape), weights(*shape)
    start = ours.detach().clone()
    moved = drive(muon([ours], [weights(2)]), ours, gradients(shape)) - start
    reference = torch.optim.Muon(
        [theirs], lr=RATE, weight_decay=DECAY, adjust_lr_fn="match_rms_adamw"
    )
    expected = drive(reference, theirs, gradients(shape)) - start
    # torch iterates in bfloat16, which has 8 bits, we in float32 on the CPU.
    assert (moved - expected).norm() < 0.03 * expected.norm()


@pytest.mark.parametrize("fused", [False, True])
def test_other_weights_move_as_under_torchs_adamw(fused: bool) -> None:
    ours, theirs = weights(7), weights(7)
    moved = drive(muon([weights(3, 3)], [ours], fused=fused), ours, gradients((7,)))
    reference = torch.optim.AdamW([theirs], lr=RATE, weight_decay=0.0, fused=fused)
    assert torch.equal(moved, drive(reference, theirs, gradients((7,))))


def test_convolution_moves_as_the_matrix_of_its_filters() -> None:
    flat, filters = weights(4, 18), nn.Parameter(weights(4, 18).detach().reshape(4, 2, 3, 3))
    expected = drive(muon([flat], [weights(2)]), flat, gradients((4, 18)))
    steps = [one.reshape(4, 2, 3, 3) for one in gradients((4, 18))]
    moved = drive(muon([filters], [weights(2)]), filters, steps)
    assert torch.allclose(moved.flatten(1), expected, atol=1e-6)


def test_memory_format_of_a_convolution_makes_no_difference() -> None:
    steps = gradients((4, 2, 3, 3))
    first = weights(4, 2, 3, 3)
    last = nn.Parameter(first.detach().clone(memory_format=torch.channels_last))  # type: ignore[call-overload]
    expected = drive(muon([first], [weights(2)]), first, steps)
    moved = drive(muon([last], [weights(2)]), last, steps)
    assert torch.allclose(moved, expected, atol=1e-6)


def change_rate(optimizer: MuonWithAdamW) -> None:
    for group in optimizer.param_groups:
        group["lr"] = 0.5


def load_own_state(optimizer: MuonWithAdamW) -> None:
    optimizer.load_state_dict(deepcopy(optimizer.state_dict()))


@pytest.mark.parametrize("before", [lambda _: None, load_own_state], ids=["new", "restored"])
def test_changed_rate_reaches_both_kinds_of_weights(
    before: Callable[[MuonWithAdamW], Any],
) -> None:
    hidden, other = weights(3, 3), weights(5)
    optimizer = muon([hidden], [other])
    before(optimizer)
    change_rate(optimizer)
    start = [hidden.detach().clone(), other.detach().clone()]
    hidden.grad, other.grad = torch.ones(3, 3), torch.ones(5)
    optimizer.step()
    moves = [
        float((one.detach() - was).abs().max())
        for one, was in zip((hidden, other), start, strict=True)
    ]
    assert min(moves) > 0.1


def test_weights_without_a_gradient_do_not_change() -> None:
    hidden, other = weights(3, 3), weights(5)
    start = hidden.detach().clone()
    other.grad = torch.ones(5)
    muon([hidden], [other]).step()
    assert torch.equal(hidden, start)


def test_closure_is_called_once_and_its_value_returned() -> None:
    calls = []
    optimizer = muon([weights(3, 3)], [weights(5)])
    assert optimizer.step(lambda: calls.append(1) or 2.5) == 2.5  # type: ignore[func-returns-value]
    assert calls == [1]


def test_momentum_of_one_is_refused() -> None:
    group = {"params": [weights(2, 2)], "hidden": True}
    with pytest.raises(ValueError, match="Invalid momentum: 1"):
        MuonWithAdamW([group], lr=0.1, momentum=1.0, betas=(0.9, 0.999), eps=1e-8)
