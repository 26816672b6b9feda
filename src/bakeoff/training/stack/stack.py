"""A stack of runs at the same step of their epochs: its network, its optimizers, its averages.

Shapes: N members, R rows, one for each member, and at least two; P weights of a member.
"""

from collections.abc import Sequence
from math import gcd
from typing import Any

import torch
from torch import Tensor, nn

from bakeoff.training.loop import NORM_EPSILON
from bakeoff.training.stack.batches import StackedBatch
from bakeoff.training.stack.layers import NotStackableError
from bakeoff.training.stack.losses import losses_of
from bakeoff.training.stack.member import Member
from bakeoff.training.stack.network import StackedNetwork
from bakeoff.training.stack.optimizers import Lane, OptimizerRow

LANES = 16
"""Numbers that a processor computes at once, at most: 64 bytes of fp32."""
MIN_ROWS = 2


def rows_at_once(model: nn.Module) -> int:
    """The number of rows that a stack is filled up to a multiple of, with rows that nobody trains.

    Convolutions treat the channels of all members side by side, several at once. The last few of
    them, which are not enough to fill a vector, are computed otherwise and rounded differently, and
    so is a convolution without groups. With this many rows neither occurs.
    """
    kinds = (nn.Conv2d, nn.BatchNorm1d, nn.BatchNorm2d)
    layers = [one for one in model.modules() if isinstance(one, kinds)]
    channels = [
        one.out_channels if isinstance(one, nn.Conv2d) else one.num_features for one in layers
    ]
    return max(MIN_ROWS, LANES // gcd(LANES, *channels)) if layers else 1


class Stack:
    """The members as one network, with their weights copied into it.

    Args:
        members: At the same step of their epochs. They share data and splits, batch size, loss and
            remedies.

    Raises:
        NotStackableError: A model, loss or optimizer cannot be stacked.
    """

    def __init__(self, members: Sequence[Member]) -> None:
        self.members = tuple(members)
        missing = -len(members) % rows_at_once(members[0].state.model)
        self.rows = [*members, *[members[0]] * missing]
        states = [one.state for one in self.rows]
        config, device = states[0].config.training, states[0].device
        if config.precision != "fp32":
            raise NotStackableError(f"precision {config.precision}")
        spare = [torch.Generator(device) for _ in self.rows[len(members) :]]
        generators = [one.generator for one in self.members]
        self.network = StackedNetwork([one.model for one in states], [*generators, *spare])
        self._own_weights = [dict(one.state.model.named_parameters()) for one in self.members]
        self._optimizers = [
            OptimizerRow(
                one.state.optimizer,
                self.network.weights,
                {id(weights): name for name, weights in self._own_weights[row].items()},
                row,
            )
            for row, one in enumerate(self.members)
        ]
        self._lanes: list[tuple[Lane, list[Member]]] = []
        self._rates: list[float] = []
        """The learning rate of each lane's last step."""
        self._criterion = states[0].criterion
        self._clip_norm, self._clip_value = config.clip_grad_norm, config.clip_grad_value
        self._decay = config.ema_decay
        self._average = self._load_average() if self._decay else []
        self._num_updates = [self._updates_of(one) for one in self.members]
        self._is_swapped = False

    def begin_epoch(self) -> None:
        """Prepare the steps of an epoch: members with equal steps share a lane."""
        lanes: dict[tuple[Any, ...], list[int]] = {}
        for row, member in enumerate(self.members):
            counts = [float(one) for one in self._optimizers[row].counts.values()]
            lanes.setdefault((*_step_of(member), *counts), []).append(row)
        self._lanes = [
            (Lane([self._optimizers[row] for row in rows]), [self.members[row] for row in rows])
            for rows in lanes.values()
        ]
        if self._is_swapped:
            self._swap()

    @torch.inference_mode()
    def step(self, batch: StackedBatch) -> tuple[Tensor, Tensor]:
        """Make one step of every member: losses [N] and gradient norms before clipping [N]."""
        inputs, labels = batch
        num, missing = len(self.members), len(self.rows) - len(self.members)
        if missing:
            inputs, labels = (
                torch.cat([one, one[:1].expand(missing, *one.shape[1:])]) for one in batch
            )
        gradients = self.network.weights.gradients
        outputs = self.network(inputs, training=True)
        losses, gradient = losses_of(self._criterion, outputs, labels)
        self.network.backward(gradient)
        norms = torch.linalg.vector_norm(gradients, dim=1)
        if self._clip_norm is not None:
            share = (norms + NORM_EPSILON).reciprocal_().mul_(self._clip_norm).clamp_(max=1.0)
            gradients.mul_(share[:, None])
        if self._clip_value is not None:
            gradients.clamp_(-self._clip_value, self._clip_value)
        schedules = [leader.state.schedule for _, (leader, *_) in self._lanes]
        self._rates = [one.learning_rate for one in schedules]
        for (lane, _), schedule in zip(self._lanes, schedules, strict=True):
            lane.step()
            schedule.advance()
        if self._decay:
            self._update_average()
        return losses[:num], norms[:num]

    def learning_rates(self) -> list[float]:
        """The learning rate of each member's last step."""
        rates = {
            id(one): rate
            for (_, members), rate in zip(self._lanes, self._rates, strict=True)
            for one in members
        }
        return [rates[id(one)] for one in self.members]

    def end_steps(self) -> None:
        """Bring every member's own schedule to the step that its lane has reached."""
        for _, (leader, *others) in self._lanes:
            step = leader.state.schedule.state_dict()["step"]
            for one in others:
                schedule = one.state.schedule
                schedule.load_state_dict({**schedule.state_dict(), "step": step})

    def prepare_to_evaluate(self) -> None:
        """Put the averages of the weights, where there are any, in their place."""
        if self._decay and not self._is_swapped and all(self._num_updates):
            self._swap()

    def store(self, member: Member, *, everything: bool = True) -> None:
        """Write the weights, and the states of optimizer and average, into a member's state.

        Args:
            member: One of the members.
            everything: Whether the states are written too, which checkpoints need.
        """
        row, state, weights = self.members.index(member), member.state, self.network.weights
        with torch.no_grad():
            weights.store(weights.values[row], self._own_weights[row])
            self.network.store_buffers(row, state.model)
            if everything:
                self._optimizers[row].store()
                self._store_average(row)

    def _averaged(self) -> list[Tensor]:
        """What is averaged: the weights [R, P] and the buffers [R, ...]."""
        buffers = self.network.buffers.values()
        return [self.network.weights.values, *(one for one in buffers if one.is_floating_point())]

    def _updates_of(self, member: Member) -> int:
        average = member.state.average
        return 0 if average is None else int(average.state_dict()["num_updates"])

    def _load_average(self) -> list[Tensor]:
        """The averages of the weights [R, P] and of the buffers; the members hold the weights."""
        averages = [one.detach().clone() for one in self._averaged()]
        for row, member in enumerate(self.rows):
            average = member.state.average
            assert average is not None  # noqa: S101 - the decay is above 0
            average.swap_out()
            self._copy_average(averages, row, average.state_dict()["other"], member, loads=True)
            self._take_weights(row, member)
        return averages

    def _take_weights(self, row: int, member: Member) -> None:
        weights = self.network.weights
        weights.load(weights.values[row], dict(member.state.model.named_parameters()))
        self.network.load_buffers(row, member.state.model)

    def _copy_average(
        self,
        averages: Sequence[Tensor],
        row: int,
        other: Sequence[Tensor],
        member: Member,
        *,
        loads: bool,
    ) -> None:
        """Copy between a row of the averages and the tensors of a member's own average."""
        model, weights = member.state.model, self.network.weights
        names = [name for name, _ in model.named_parameters()]
        by_name = dict(zip(names, other[: len(names)], strict=True))
        if loads:
            weights.load(averages[0][row], by_name)
        else:
            weights.store(averages[0][row], by_name)
        floats = [name for name, one in model.named_buffers() if one.is_floating_point()]
        own = dict(zip(floats, other[len(names) :], strict=True))
        held = [name for name, one in self.network.buffers.items() if one.is_floating_point()]
        for name, tensor in zip(held, averages[1:], strict=True):
            if loads:
                tensor[row].copy_(own[name])
            else:
                own[name].copy_(tensor[row])

    def _store_average(self, row: int) -> None:
        member = self.members[row]
        average = member.state.average
        if average is None:
            return
        other = average.state_dict()["other"]
        self._copy_average(self._average, row, other, member, loads=False)
        average.load_state_dict(
            {
                "other": other,
                "num_updates": self._num_updates[row],
                "in_place": self._is_swapped,
            }
        )

    def _update_average(self) -> None:
        """As `WeightAverage.update`, with each member's own number of updates."""
        self._num_updates = [one + 1 for one in self._num_updates]
        shares = [(1 - self._decay) / (1 - self._decay**one) for one in self._num_updates]
        shares += [1.0] * (len(self.rows) - len(shares))
        share = self.network.weights.values.new_tensor(shares)
        with torch.no_grad():
            for average, now in zip(self._average, self._averaged(), strict=True):
                average.lerp_(now, share.view(-1, *[1] * (now.ndim - 1)))

    def _swap(self) -> None:
        """Exchange weights and averages."""
        with torch.no_grad():
            for now, average in zip(self._averaged(), self._average, strict=True):
                held = now.clone()
                now.copy_(average)
                average.copy_(held)
        self._is_swapped = not self._is_swapped


def by_steps(members: Sequence[Member]) -> list[Member]:
    """Members in an order in which those that may share a lane are side by side.

    Their optimizers then take less time for a step, and compute the same.
    """
    settings = {
        id(one): (
            one.state.config.optimizer,
            repr(one.state.config.optimizer_params),
            one.state.config.scheduler,
            repr(one.state.config.scheduler_params),
        )
        for one in members
    }
    return sorted(members, key=lambda one: settings[id(one)])


def _step_of(member: Member) -> tuple[Any, ...]:
    """What the steps of an epoch depend on, besides weights and gradients."""
    state = member.state
    groups = [
        tuple(sorted((name, repr(value)) for name, value in group.items() if name != "params"))
        for group in state.optimizer.param_groups
    ]
    config = state.config
    schedule = (
        config.scheduler,
        repr(config.scheduler_params),
        state.schedule.state_dict()["step"],
    )
    return (type(state.optimizer), *groups, schedule)
