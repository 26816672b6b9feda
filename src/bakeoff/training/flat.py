"""All weights of a model in one buffer, with their gradients and the optimizer's state.

The norm of the gradients, clipping, the optimizer's step and averaging are then one operation each
instead of one for each weight, which in a small network takes less time than calling them.

The model's weights and the optimizer's state stay what they are for everyone else: they become
views of the buffers, with their own shapes and strides. Every number is computed by the kernel that
torch's optimizer uses. A kernel may round the last few numbers of a tensor otherwise than the rest,
and in the buffers those are padding. So a step has the same bits however the weights are split.

Shapes: P numbers of all weights, with padding.
"""

import weakref
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import compress, groupby
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.graph import increment_version

from bakeoff.components.optimizers import find_optimizer
from bakeoff.training.optimizer_rules import NoRuleError, Rule, Slots, find_rule, first_count
from bakeoff.training.stack.flat_weights import ALIGNED_BYTES

MAX_MEAN_SIZE = 65536
"""Numbers in a weight, on average, up to which buffers gain. Copying gradients into a buffer takes
time for each number, and saves time for each weight: with adamw, rmsprop and sgd the step of an mlp
took 0.65 to 0.71 of the time at 577 numbers, 0.90 to 0.93 at 50,177, and 0.99 to 1.01 at 96,549."""
NUM_OWNERS = 2
"""What holds the memory of a weight that nothing else refers to: its tensor, and its storage as
Python sees it."""


class _Span(NamedTuple):
    """Where a weight is in the buffers, its padding included."""

    start: int
    stop: int
    block: int
    """The number of its block of parameter groups with equal settings."""


@dataclass(frozen=True, kw_only=True)
class _Range:
    """Weights side by side that have made the same steps."""

    members: Sequence[int]
    counts: dict[str, Tensor]
    """Numbers that the optimizer keeps for a whole weight, equal for these."""


class FlatStep:
    """An optimizer's step on buffers; `find_flat_step` says whether there is one.

    Call `begin` before the steps of an epoch, then `collect` and `step` for each. A state that is
    loaded into the optimizer or the model in between counts from the next `begin` on.

    Args:
        optimizer: Its groups hold the settings of every step; its state is kept up to date.
        rule: How it steps.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, rule: Rule) -> None:
        self._optimizer, self._rule = optimizer, rule
        self._weights: list[nn.Parameter] = _weights_of(optimizer)
        self._spans, self._leaders = _lay_out(optimizer)
        first = self._weights[0]
        self.values = torch.zeros(self._spans[-1].stop, dtype=first.dtype, device=first.device)
        """The weights, [P]."""
        self.gradients = torch.zeros_like(self.values)
        """Their gradients, [P]; 0 where there is none, and in the padding."""
        self._kept = {name: torch.zeros_like(self.values) for name in self._names_kept()}
        self._values = self.views(self.values)
        self._gradients = self.views(self.gradients)
        self._kept_places = {name: self.views(one) for name, one in self._kept.items()}
        self._pointers = [one.data_ptr() for one in self._values]
        self._whole = [True] * len(self._weights)
        self._present = self._whole
        """Which weights have a gradient in this step."""
        self._split_for: list[bool] | None = None
        self._ranges: list[_Range] = []
        self._blocks: list[tuple[int, Slots]] = []
        store, forget = map(weakref.WeakMethod, (self._store_counts, self._forget_ranges))
        optimizer.register_state_dict_pre_hook(lambda _: _call(store))
        optimizer.register_load_state_dict_post_hook(lambda _: _call(forget))

    @property
    def weights(self) -> Sequence[nn.Parameter]:
        """The weights in the order of the buffers."""
        return self._weights

    def views(self, buffer: Tensor) -> list[Tensor]:
        """The places of the weights in a buffer [P], with their shapes and strides."""
        return [
            buffer.as_strided(one.shape, one.stride(), span.start)
            for one, span in zip(self._weights, self._spans, strict=True)
        ]

    def begin(self) -> None:
        """Take over the weights and the optimizer's state from wherever they are now."""
        self._take_weights()
        if not self._holds_state():
            self._take_state()

    @torch.no_grad()
    def collect(self) -> Tensor:
        """Move the gradients of the weights into `gradients`; return their norm, a scalar."""
        if [one.data_ptr() for one in self._weights] != self._pointers:
            self._take_weights()  # the model replaced some
        found = [one.grad for one in self._weights]
        given = [one for one in found if one is not None]
        places = self._gradients
        self._present = self._whole
        if len(given) < len(found):
            self._present = [one is not None for one in found]
            torch._foreach_zero_([*compress(places, [not one for one in self._present])])
            places = [*compress(places, self._present)]
        if given:
            torch._foreach_copy_(places, given)
        for one in self._weights:
            one.grad = None
        norm: Tensor = torch.linalg.vector_norm(self.gradients)
        return norm

    @torch.no_grad()
    def step(self) -> None:
        """Step the weights whose gradients were collected; the others stay as they are."""
        if self._present != self._split_for:
            self._split()
        groups = self._optimizer.param_groups
        for leader, slots in self._blocks:
            self._rule.step(slots, groups[leader])
        # Autograd refuses to use an old graph with changed weights, of which it has to know.
        increment_version(self._weights)

    def _names_kept(self) -> list[str]:
        """What the optimizer keeps for every number; momentum only if it has some."""
        has_momentum = bool(self._optimizer.defaults.get("momentum", True))
        return [name for name in self._rule.kept if name != "momentum_buffer" or has_momentum]

    @torch.no_grad()
    def _take_weights(self) -> None:
        for weights, place in zip(self._weights, self._values, strict=True):
            if weights.data_ptr() != place.data_ptr():
                place.copy_(weights)
                weights.data = place

    def _states(self) -> Iterator[tuple[dict[str, Any], str, Tensor]]:
        """The optimizer's state of each weight that has one, with the places for it."""
        for at in range(len(self._weights)):
            state = self._state_of(at)
            for name, places in self._kept_places.items() if state else ():
                yield state, name, places[at]

    def _holds_state(self) -> bool:
        return all(state.get(name) is place for state, name, place in self._states())

    @torch.no_grad()
    def _take_state(self) -> None:
        for state, name, place in self._states():
            if state.get(name) is None:
                place.zero_()
            elif state[name] is not place:
                place.copy_(state[name])
            state[name] = place
        self._forget_ranges()

    def _forget_ranges(self) -> None:
        self._ranges, self._split_for = [], None

    def _split(self) -> None:
        """Find the ranges of the weights that have a gradient now."""
        self._store_counts()
        present = [at for at, one in enumerate(self._present) if one]
        for at in present:
            self._begin_state(at)
        self._ranges, slots = [], dict[int, Slots]()
        for _, found in groupby(enumerate(present), key=self._kind):
            members = [at for _, at in found]
            one = _Range(members=members, counts=self._counts_of(members[0]))
            self._ranges.append(one)
            block = self._spans[members[0]].block
            more = self._slots(one)
            slots[block] = slots[block] + more if block in slots else more
        self._blocks = [(self._leaders[block], one) for block, one in slots.items()]
        self._split_for = self._present

    def _kind(self, place: tuple[int, int]) -> tuple[Any, ...]:
        """Equal for weights side by side that one range can hold."""
        number, at = place
        state = self._state_of(at)
        counts = (float(state[name]) for name in self._rule.counts)
        return (at - number, self._spans[at].block, *counts)

    def _begin_state(self, at: int) -> None:
        """Begin the state of a weight that makes its first step, as torch's optimizers do."""
        state = self._state_of(at)
        for name in self._rule.counts:
            if name not in state:
                state[name] = first_count(name)
        for name, places in self._kept_places.items():
            if name not in state:
                state[name] = places[at].zero_()
        if state:
            self._optimizer.state[self._weights[at]] = state

    def _state_of(self, at: int) -> dict[str, Any]:
        """The optimizer's state of a weight; empty if there is none."""
        state: dict[str, Any] = self._optimizer.state.get(self._weights[at], {})
        return state

    def _counts_of(self, at: int) -> dict[str, Tensor]:
        state = self._state_of(at)
        return {name: state[name].clone() for name in self._rule.counts}

    def _slots(self, one: _Range) -> Slots:
        places = slice(self._spans[one.members[0]].start, self._spans[one.members[-1]].stop)
        kept = {name: [buffer[places]] for name, buffer in self._kept.items()}
        return Slots(
            values=[self.values[places]],
            gradients=[self.gradients[places]],
            state={**kept, **{name: [count] for name, count in one.counts.items()}},
        )

    def _store_counts(self) -> None:
        """Give each weight its own copy of what it shares with the others of its range."""
        for one in self._ranges:
            for at in one.members:
                counts = {name: count.clone() for name, count in one.counts.items()}
                self._state_of(at).update(counts)


def find_flat_step(
    name: str, model: nn.Module, optimizer: torch.optim.Optimizer
) -> FlatStep | None:
    """A step on buffers for the optimizer of a run, or None where there is none or it gains little.

    There is none for optimizers that look at the shape of a weight (muon, adafactor), that average
    weights themselves, or that are the user's; on accelerators, where torch's own steps combine
    weights already; for weights of several or complex types; and where weights share memory with
    each other or with anything else that could be meant to change with them.

    Args:
        name: The optimizer's.
        model: The model it trains, before its first step.
        optimizer: As it was built for the run.
    """
    if find_optimizer(name).own is not None:
        return None
    try:
        rule = find_rule(optimizer)
    except NoRuleError:
        return None
    weights = _weights_of(optimizer)
    mean_size = sum(one.numel() for one in weights) / len(weights)
    if mean_size > MAX_MEAN_SIZE or len({one.dtype for one in weights}) > 1:
        return None
    if not all(map(_is_plain, weights)) or _is_shared(model, weights):
        return None
    return FlatStep(optimizer, rule)


def _weights_of(optimizer: torch.optim.Optimizer) -> list[nn.Parameter]:
    return [one for group in optimizer.param_groups for one in group["params"]]


def _is_plain(weights: nn.Parameter) -> bool:
    """Whether a weight is an ordinary dense tensor of real numbers on the CPU."""
    is_ordinary = type(weights) is nn.Parameter and weights.layout is torch.strided
    if not is_ordinary or weights.device.type != "cpu" or not weights.numel():
        return False
    # Such a copy has the same strides only if the numbers lie side by side.
    is_dense = torch.empty_like(weights).stride() == weights.stride()
    return is_dense and weights.dtype in {torch.float32, torch.float64}


def _is_shared(model: nn.Module, weights: Iterable[nn.Parameter]) -> bool:
    """Whether anything else holds the memory of a weight, whether the model registered it or not.

    It would not see the steps on a buffer.
    """
    tensors = (*model.parameters(), *model.buffers())
    held = Counter(one.untyped_storage().data_ptr() for one in tensors)
    return any(
        held[one.untyped_storage().data_ptr()] > 1 or _num_owners(one) > NUM_OWNERS
        for one in weights
    )


def _num_owners(tensor: Tensor) -> int:
    """How often the memory of a tensor is held, by torch's own count."""
    storage = tensor.untyped_storage()
    return int(torch._C._storage_Use_Count(storage._cdata))  # noqa: SLF001 - there is no other


def _lay_out(optimizer: torch.optim.Optimizer) -> tuple[list[_Span], list[int]]:
    """Where each weight is, and for each block the first group whose settings it has."""
    spans, leaders, end = [], list[int](), 0
    groups = optimizer.param_groups
    align = ALIGNED_BYTES // groups[0]["params"][0].element_size()
    for number, group in enumerate(groups):
        if not leaders or _settings(groups[leaders[-1]]) != _settings(group):
            leaders.append(number)
        for weights in group["params"]:
            stop = end + -(-weights.numel() // align) * align
            spans.append(_Span(end, stop, len(leaders) - 1))
            end = stop
    return spans, leaders


def _settings(group: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in group.items() if name != "params"}


def _call(method: weakref.WeakMethod[Any]) -> None:
    found = method()
    if found is not None:
        found()
