"""Choosing the precision by measuring a few steps."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, cycle, islice
from math import inf
from statistics import median

import torch
from torch import Tensor

from bakeoff.errors import UsageError, describe_error
from bakeoff.records import Precision, TrialConfig
from bakeoff.training.batches import epoch_order
from bakeoff.training.build import build_optimizer
from bakeoff.training.checkpoint import checkpoint_bytes
from bakeoff.training.device import set_matrix_precision
from bakeoff.training.flat import find_flat_step
from bakeoff.training.loop import train_step
from bakeoff.training.memory import breaks_process, is_out_of_memory
from bakeoff.training.memory_layout import is_channels_last
from bakeoff.training.schedule import Schedule
from bakeoff.training.state import TrainingState, build_scaler, prepare
from bakeoff.training.weight_roles import find_roles

CANDIDATES: tuple[Precision, ...] = ("fp32", "tf32", "bf16", "fp16")
"""Precisions in order of preference: a later one must be clearly faster than those before it."""
ONLY_CUDA = frozenset({"tf32"})
"""Precisions that other devices do not have."""

MIN_GAIN = 0.10
"""Smallest share of the time per step that a change of precision must save."""

NUM_ROUNDS = 12
NUM_WARMUP_ROUNDS = 2
NUM_AGREEING_ROUNDS = 5
"""So many rounds are enough where all of them agree."""
MAX_SLOWDOWN = 2.0
"""A precision that takes more than this many times as long as fp32 is not timed again."""
MAX_SECONDS = 10.0
"""No new round starts after this time."""


@dataclass(frozen=True, kw_only=True)
class PrecisionChoice:
    """Which precision a study uses, and why."""

    precision: Precision
    seconds_per_step: Mapping[Precision, float]
    """Median time; precisions that do not work on this device are absent."""
    reason: str
    checkpoint_bytes: int
    """Size of a checkpoint of this configuration."""
    weight_bytes: int
    """Size of its weights."""
    channels_last: bool = False
    """Whether its convolutions are stored channels last."""


def measure_precision(
    config: TrialConfig, device: str, others: Sequence[TrialConfig] = ()
) -> PrecisionChoice:
    """The precision that trains fastest on this device; fp32 unless another saves 10 % of the time.

    If the configuration names a precision that works here, it alone is timed and chosen. Whole
    steps of this configuration are timed. The precisions take turns, so that other load on
    the machine slows all of them. Then each of `others` makes one step, so that an optimizer that
    cannot train this model is found. The global random generators are reseeded.

    Raises:
        DataError: As `bakeoff.training.loop.prepare`.
        UsageError: As there; or one of `others` fails.
    """
    named = config.training.precision
    configs = {
        precision: replace(config, training=replace(config.training, precision=precision))
        for precision in candidates_on(torch.device(device).type)
    }
    state = prepare(configs["fp32"], device)
    candidates = _candidates(state, configs)
    batch_size, train = config.training.batch_size, state.splits.train
    order = epoch_order(len(train), batch_size, config.seed, epoch=1)[: 4 * batch_size]
    batches = train.batches(batch_size, order.to(state.device))
    whole = [one for one in batches if len(one[1]) == batch_size]
    seconds = {} if named not in candidates else _time_steps({named: candidates[named]}, whole)
    if not seconds:  # a named precision that does not work is refused with what works
        seconds = _time_steps(candidates, whole)
    del candidates
    for other in others:
        _try_optimizer(state, other, *whole[0])
    chosen = choose_precision(seconds) if "fp32" in seconds else named
    return PrecisionChoice(
        precision=chosen,
        seconds_per_step=seconds,
        reason=_reason(chosen, seconds),
        checkpoint_bytes=checkpoint_bytes(state),
        weight_bytes=sum(weight.nbytes for weight in state.model.parameters()),
        channels_last=is_channels_last(state.model),
    )


def _candidates(
    state: TrainingState, configs: Mapping[Precision, TrialConfig]
) -> dict[Precision, TrainingState]:
    """The run in each precision, on the same weights, with the steps that training makes."""
    flat = find_flat_step(state.config.optimizer, state.model, state.optimizer)
    scalers = {precision: build_scaler(precision, state.device) for precision in configs}
    return {
        precision: replace(
            state, config=one, scaler=scaler, flat=None if scaler.is_enabled() else flat
        )
        for (precision, one), scaler in zip(configs.items(), scalers.values(), strict=True)
    }


def candidates_on(kind: str) -> tuple[Precision, ...]:
    """The precisions that a kind of device may have, in order of preference."""
    return tuple(one for one in CANDIDATES if kind == "cuda" or one not in ONLY_CUDA)


def choose_precision(seconds_per_step: Mapping[Precision, float]) -> Precision:
    """The last precision that is at least 10 % faster than the one chosen before it.

    Precisions may be absent, except for fp32.
    """
    chosen: Precision = "fp32"
    for precision in CANDIDATES:
        seconds = seconds_per_step.get(precision, inf)
        if seconds <= (1 - MIN_GAIN) * seconds_per_step[chosen]:
            chosen = precision
    return chosen


def _time_steps(
    candidates: Mapping[Precision, TrainingState], batches: list[tuple[Tensor, Tensor]]
) -> dict[Precision, float]:
    """Median seconds per step of every candidate that works."""
    racing = dict(candidates)
    seconds: dict[Precision, list[float]] = {precision: [] for precision in racing}
    deadline = time.perf_counter() + MAX_SECONDS
    for number, batch in enumerate(islice(cycle(batches), NUM_WARMUP_ROUNDS + NUM_ROUNDS)):
        for precision, state in tuple(racing.items()):
            elapsed = _time_step(state, *batch)
            if elapsed is None:
                del racing[precision]
            else:
                seconds[precision].append(elapsed)
        if number >= NUM_WARMUP_ROUNDS:
            if _is_decided({name: seconds[name][NUM_WARMUP_ROUNDS:] for name in racing}):
                break
            limit = MAX_SLOWDOWN * seconds.get("fp32", [inf])[-1]
            racing = {name: state for name, state in racing.items() if seconds[name][-1] <= limit}
            if time.perf_counter() > deadline:
                break
    measured = {name: times[NUM_WARMUP_ROUNDS:] for name, times in seconds.items()}
    return {name: median(times) for name, times in measured.items() if times}


def _is_decided(seconds: Mapping[Precision, Sequence[float]]) -> bool:
    """Whether every round says of every two precisions that one saves enough, or every one not.

    Args:
        seconds: Of the rounds that count, by precision, as many of each.
    """
    if min(map(len, seconds.values()), default=0) < NUM_AGREEING_ROUNDS:
        return False
    ordered = [seconds[name] for name in CANDIDATES if name in seconds]
    for earlier, later in combinations(ordered, 2):
        gains = [new <= (1 - MIN_GAIN) * old for old, new in zip(earlier, later, strict=True)]
        if any(gains) != all(gains):
            return False
    return True


def _time_step(state: TrainingState, inputs: Tensor, labels: Tensor) -> float | None:
    """Seconds of one step; None if the model does not work in this precision."""
    state.freezing.begin(state.config.training.epochs)  # the epoch that trains the most weights
    set_matrix_precision(state.config.training.precision)
    if state.flat is not None:
        state.flat.begin()
    if state.average is not None:
        state.average.begin(state.flat)
    started = time.perf_counter()
    try:
        train_step(state, [(inputs, labels)], len(labels))
    except RuntimeError as error:
        named_fp32 = state.config.training.precision == "fp32"
        if named_fp32 or is_out_of_memory(error) or breaks_process(error):
            raise
        return None
    if state.device.type == "cuda":
        torch.cuda.synchronize(state.device)
    return time.perf_counter() - started


def _try_optimizer(
    state: TrainingState, config: TrialConfig, inputs: Tensor, labels: Tensor
) -> None:
    """Make a step on the model of `state` with the optimizer of another configuration."""
    model, device = state.model, state.device
    roles = find_roles(model, config.finetune, state.splits.num_outputs, state.fresh)
    optimizer = build_optimizer(config.optimizer, model, config.optimizer_params, device, roles)
    direction = state.objective.direction
    name, params = config.scheduler, config.scheduler_params
    schedule = Schedule(optimizer, name, params, total_steps=1, epochs=1, direction=direction)
    one = replace(
        state,
        config=replace(config, training=replace(config.training, precision="fp32")),
        optimizer=optimizer,
        schedule=schedule,
        scaler=build_scaler("fp32", state.device),
        average=None,
        flat=None,
    )
    state.freezing.begin(config.training.epochs)
    try:
        train_step(one, [(inputs, labels)], len(labels))
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise
        raise UsageError(f"optimizer {config.optimizer!r}: {describe_error(error)}") from error


def _reason(chosen: Precision, seconds: Mapping[Precision, float]) -> str:
    times = ", ".join(f"{name} {value * 1e3:.3g} ms" for name, value in seconds.items())
    if len(seconds) == 1:
        return f"{chosen} alone was timed (per step: {times})"
    if chosen == "fp32":
        return f"nothing was clearly faster than fp32 (per step: {times})"
    gain = 1 - seconds[chosen] / seconds["fp32"]
    return f"{chosen} saves {gain:.0%} of the time (per step: {times})"
