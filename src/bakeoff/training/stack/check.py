"""Tries, before a study begins, whether its runs can train as a stack, and what that gains."""

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import islice

import torch
from torch import Tensor

from bakeoff.records import TrialConfig
from bakeoff.training.epoch_batches import training_batches
from bakeoff.training.loop import train_step
from bakeoff.training.stack.batches import stacked_batches
from bakeoff.training.stack.key import shared_settings
from bakeoff.training.stack.layers import NotStackableError
from bakeoff.training.stack.member import Member, prepare_member
from bakeoff.training.stack.own_model import check_own_model
from bakeoff.training.stack.stack import Stack

NUM_WARMUP_STEPS = 3
NUM_STEPS = 12
"""Steps that are timed; stack and single runs take turns, so that other load slows both."""
FAR = 1.5
"""A stack whose gain is so many times too small is not timed again."""
WIDTHS = (2, 3, 5)
"""Widths of the stacks in which the first members must compute the same bits as in the widest."""
LEAST_WIDTH = WIDTHS[-1] + 1
"""Width of the widest stack, at least, whatever width is asked for: runs join and leave."""
NUM_COMPARED = 3
"""Steps after which the weights are compared."""
TOLERANCE = 1e-3
"""Greatest difference of a loss from that of a run alone, relative to it. Measured: 1e-6 in the
first steps; a network that is stacked wrongly differs by about 1. Weights would be no measure:
where gradients are almost 0, Adam steps by the sign of what rounding left."""


def measure_stacks(
    configs: Sequence[TrialConfig], device: str, widths: Sequence[int], least: float = 0.0
) -> tuple[list[float], str]:
    """The time of runs one by one over their time as a stack of each width, and a text about them.

    The gains are 0, and the text is the reason, if runs with these settings cannot train as a
    stack, or if what a run computes would depend on its companions. The global random generators
    are reseeded.

    Args:
        configs: Settings with several optimizers. The first ones that a stack may have are those of
            all runs, whose seeds are other ones.
        device: Where they train.
        widths: Numbers of runs; 0 measures nothing, and gains nothing.
        least: The gain that is worth it. If no width gains so much, a stack that pays too little
            is not compared with single runs.

    Raises:
        DataError: As `bakeoff.training.loop.prepare`.
        UsageError: As there.
    """
    none = [0.0 for _ in widths]
    if not any(widths):
        return none, ""
    width = max(*widths, LEAST_WIDTH)
    config = next((one for one in configs if shared_settings(one) is not None), None)
    if config is None:
        return none, "the data, some settings of [training], or every optimizer need single runs"
    single = replace(config, training=replace(config.training, precision="fp32"))
    try:
        check_own_model(single, device)
        members = _members(single, device, width)
        gains = {one: _measure_gain(members[:one], least) for one in sorted({*widths} - {0})}
        if max(gains.values()) >= least and (why_not := _why_not(single, device, width)):
            return none, why_not
    except NotStackableError as error:
        return none, f"the runs cannot train as one: {error}"
    texts = [
        f"{num} runs take {gain:.1f} times as long one by one as together"
        for num, gain in gains.items()
    ]
    return [gains.get(one, 0.0) for one in widths], ", ".join(texts)


def _why_not(config: TrialConfig, device: str, width: int) -> str:
    """Why a stack of runs does not compute what they would alone; empty if it does.

    Raises:
        NotStackableError: They cannot train as one.
    """
    members = _members(config, device, width)
    weights, losses = _train_a_little(Stack(members))
    for few in (one for one in WIDTHS if one < width):
        smaller = Stack(_members(config, device, few))
        if not torch.equal(_train_a_little(smaller)[0], weights[:few]):
            return "a run would compute other bits with other companions"
    if not torch.allclose(losses[:, 0], _losses_alone(members[0]), rtol=TOLERANCE):
        return "a run in a stack would not compute the same as alone"
    return ""


def _members(config: TrialConfig, device: str, width: int) -> list[Member]:
    """New runs with seeds of their own."""
    runs = [replace(config, seed=config.seed + number) for number in range(width)]
    return [prepare_member(one, device) for one in runs]


def _train_a_little(stack: Stack) -> tuple[Tensor, Tensor]:
    """Weights [N, P] and losses [S, N] of a few steps and one on an incomplete batch."""
    stack.begin_epoch()
    states = [one.state for one in stack.members]
    batches = list(islice(stacked_batches(states), NUM_COMPARED))
    cut = max(2, batches[0][1].shape[1] * 2 // 3 - 1)
    last = (batches[0][0][:, :cut], batches[0][1][:, :cut])
    losses = [stack.step(one)[0] for one in (*batches, last)]
    return stack.network.weights.values[: len(states)].clone(), torch.stack(losses)


def _losses_alone(member: Member) -> Tensor:
    """The losses [S] of the same steps of a run alone."""
    alone = prepare_member(member.state.config, str(member.state.device)).state
    batches = list(islice(training_batches(alone), NUM_COMPARED))
    cut = max(2, len(batches[0][1]) * 2 // 3 - 1)
    last = (batches[0][0][:cut], batches[0][1][:cut])
    steps = [train_step(alone, [one], len(one[1])) for one in (*batches, last)]
    return torch.stack([one.loss for one in steps])


def _measure_gain(members: Sequence[Member], least: float) -> float:
    """The time of a step of some runs one by one over that of a step of them as a stack.

    It is measured less often where the first steps gain far less than `least`.
    """
    stack = Stack(members)
    stack.begin_epoch()
    states = [one.state for one in members]
    together = next(stacked_batches(states))
    alone = (together[0][0], together[1][0])
    states[0].begin_steps()  # a run alone may step its weights by buffers
    clock = partial(_clock, states[0].device)
    of_stack, of_one = [], []
    for _ in range(NUM_WARMUP_STEPS + NUM_STEPS):
        started = clock()
        stack.step(together)
        between = clock()
        train_step(states[0], [alone], len(alone[1]))
        of_stack.append(between - started)
        of_one.append(clock() - between)
        gain = len(members) * of_one[-1] / of_stack[-1]
        if len(of_one) == NUM_WARMUP_STEPS and FAR * gain < least:
            return gain
    # The shortest ones, because other load on the machine only makes a step longer.
    return len(members) * min(of_one[NUM_WARMUP_STEPS:]) / min(of_stack[NUM_WARMUP_STEPS:])


def _clock(device: torch.device) -> float:
    """Seconds: of this process on a CPU; on a GPU of the wall clock, when it has caught up."""
    if device.type == "cpu":
        return time.process_time()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
