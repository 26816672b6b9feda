"""Checks the device that a run is to train on."""

import torch

from bakeoff.errors import UsageError, describe_error

CPU = "cpu"


def check_device(name: str) -> None:
    """Make sure that torch can put a tensor on a device; a run on the CPU touches no other one.

    Raises:
        UsageError: It cannot; the message says why.
    """
    if name == CPU:
        return
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as error:  # the second without support in this torch
        raise UsageError(f"device {name!r} cannot be used here: {describe_error(error)}") from error
