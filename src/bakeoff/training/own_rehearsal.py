"""Tries a loop of the user's own before the first trial: its first epoch, test and state."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import torch

from bakeoff.errors import BakeoffError, UsageError, describe_error
from bakeoff.records import TrialConfig
from bakeoff.training.checkpoint import unpickle
from bakeoff.training.memory import is_out_of_memory
from bakeoff.training.own_loop import OwnTraining
from bakeoff.training.precision import PrecisionChoice
from bakeoff.training.step_profile import StepProfile, peak_memory_bytes
from bakeoff.training.tracked import load_into, num_weight_bytes


def rehearse(config: TrialConfig, device: str, others: Sequence[TrialConfig]) -> PrecisionChoice:
    """Run the loop for one epoch and its test, save its state and load it again.

    The test metrics are discarded. Then the loop is run with each of `others`, which have other
    optimizers or schedules, until its first epoch begins.

    Raises:
        UsageError: Something of it fails, or is not as expected; the message begins with the key.
    """
    training = _one_epoch(config, device, wants_test=True)
    where = f"training.loop = {config.training.loop!r}"
    if not training.reads_optimizer and any(one.optimizer != config.optimizer for one in others):
        raise UsageError(
            f"{where}: expected run.optimizer(model), or run.optimizer_name and"
            " run.optimizer_params, found neither; all optimizers of the study would be the same"
        )
    buffer = io.BytesIO()
    with _naming(where):
        torch.save(training.state.snapshot(), buffer)
        stored = unpickle(buffer.getvalue())
        for name, thing in training.state.tracked.items():
            load_into(name, thing, stored["tracked"][name])
    for other in others:
        with _naming(where, f" with {other.optimizer} and {other.scheduler}"):
            OwnTraining(other, device, wants_test=False).build()
    return PrecisionChoice(
        precision="fp32",
        seconds_per_step={"fp32": training.state.history[0].train_seconds},
        reason="as the loop itself computes; the time is that of its first epoch",
        checkpoint_bytes=buffer.getbuffer().nbytes,
        weight_bytes=sum(map(num_weight_bytes, training.state.tracked.values())),
    )


def profile_loop(config: TrialConfig, device: str) -> StepProfile:
    """The duration of the loop's first epoch, as that of one long step.

    Raises:
        UsageError: The loop fails.
    """
    training = _one_epoch(config, device, wants_test=False)
    return StepProfile(
        parts={"rest": training.state.history[0].train_seconds},
        num_steps=1,
        steps_per_epoch=1,
        evaluate_seconds=0.0,
        peak_memory_bytes=peak_memory_bytes(training.state.device),
    )


def _one_epoch(config: TrialConfig, device: str, *, wants_test: bool) -> OwnTraining:
    """A run of one epoch, which has ended."""
    short = replace(config, training=replace(config.training, epochs=1))
    training = OwnTraining(short, device, wants_test=wants_test)
    with _naming(f"training.loop = {config.training.loop!r}"):
        training.train(None, lambda _: "continue")
    return training


@contextmanager
def _naming(where: str, when: str = "") -> Iterator[None]:
    """Put the key before whatever the loop raises; that memory ran out stays as it is.

    Raises:
        UsageError: The block raised anything else.
    """
    try:
        yield
    except Exception as error:  # the user's loop may raise anything
        if is_out_of_memory(error):
            raise
        text = str(error) if isinstance(error, BakeoffError) else describe_error(error)
        raise UsageError(f"{where}{when}: {text.removeprefix(f'{where}: ')}") from error
