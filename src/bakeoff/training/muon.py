"""Muon for hidden matrices and AdamW for all other weights, as one optimizer."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Coefficients of the quintic Newton-Schulz iteration. Source: Jordan et al. 2024,
https://kellerjordan.github.io/posts/muon/"""
NUM_ITERATIONS = 5
"""Iterations. Source: the same."""
EPSILON = 1e-7
"""Smallest norm that an update is divided by. Source: the same."""
MATCHED_RMS = 0.2
"""Root mean square of AdamW's usual update, to which Muon's is scaled.
Source: Liu et al. 2025, section 2.2, https://arxiv.org/abs/2502.16982"""


class MuonWithAdamW(torch.optim.Optimizer):
    """Steps hidden weights along their orthogonalised Nesterov momentum, all others with AdamW.

    Both share the learning rate and the decoupled weight decay: Muon's update is scaled to the size
    of AdamW's, so that the same values suit both. Weights of more than two dimensions are treated
    as matrices [first, all others]. One state dictionary holds everything.

    Source: Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/; the size of the step is
    `match_rms_adamw` of `torch.optim.Muon`, after Liu et al. 2025, https://arxiv.org/abs/2502.16982

    Args:
        groups: Parameter groups, each with `hidden` (whether Muon steps it) and `weight_decay`.
        lr: Learning rate.
        momentum: Momentum of the hidden weights, in [0, 1).
        betas: AdamW's betas, for all other weights.
        eps: AdamW's epsilon.
        fused: Whether AdamW is torch's fused implementation.

    Raises:
        ValueError: A value is out of its range.
    """

    def __init__(
        self,
        groups: Iterable[dict[str, Any]],
        *,
        lr: float,
        momentum: float,
        betas: tuple[float, float],
        eps: float,
        fused: bool = False,
    ) -> None:
        if not 0 <= momentum < 1:
            raise ValueError(f"Invalid momentum: {momentum}")
        own: dict[bool, dict[str, Any]] = {
            True: {"momentum": momentum},
            False: {"betas": betas, "eps": eps},
        }
        complete = [{"lr": lr, **own[group["hidden"]], **group} for group in groups]
        super().__init__(complete, {"weight_decay": 0.0})
        # AdamW adds its defaults to the groups, which are the same dictionaries as ours.
        self._adamw = torch.optim.AdamW(
            [group for group in self.param_groups if not group["hidden"]], lr=lr, fused=fused
        )
        self._share()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a state dictionary of the same groups."""
        super().load_state_dict(state_dict)
        self._share()

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Step every weight that has a gradient; return the value of `closure`, if given."""
        with torch.enable_grad():
            loss = None if closure is None else closure()
        for group in self.param_groups:
            if group["hidden"]:
                for weights in group["params"]:
                    if weights.grad is not None:
                        self._step_hidden(weights, weights.grad, group)
        self._adamw.step()
        return loss

    def _step_hidden(self, weights: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[weights]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(weights)
        momentum, rate = group["momentum"], group["lr"]
        average = state["momentum_buffer"].lerp_(gradient, 1 - momentum)
        update = orthogonalise(gradient.lerp(average, momentum).flatten(1))
        weights.mul_(1 - rate * group["weight_decay"])
        size = MATCHED_RMS * math.sqrt(max(update.shape))
        weights.add_(update.view(weights.shape), alpha=-rate * size)

    def _share(self) -> None:
        """Let AdamW use our groups and our state."""
        self._adamw.param_groups = [group for group in self.param_groups if not group["hidden"]]
        self._adamw.state = self.state


def orthogonalise(matrix: Tensor) -> Tensor:
    """A matrix [rows, columns] with singular values near 1 and the singular vectors of `matrix`.

    The singular values end between about 0.5 and 1.5, except that those far below the largest end
    nearer to 0. bfloat16 is precise enough; on the CPU, which often emulates it, float32 is used.

    Source: Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/
    """
    a, b, c = COEFFICIENTS
    result = matrix if matrix.device.type == "cpu" else matrix.bfloat16()
    is_tall = matrix.shape[0] > matrix.shape[1]
    if is_tall:
        result = result.T
    result = result / result.norm().clamp(min=EPSILON)
    for _ in range(NUM_ITERATIONS):
        gram = result @ result.T
        result = torch.addmm(result, torch.addmm(gram, gram, gram, beta=b, alpha=c), result, beta=a)
    return (result.T if is_tall else result).to(matrix.dtype).contiguous()
