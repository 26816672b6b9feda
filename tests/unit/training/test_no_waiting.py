"""A step never reads a number back from the device, which would wait for all of its work.

On the CPU reading costs nothing, so the operations that read are counted instead. Everything that
torch reads back goes through one of them.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from bakeoff.records import TrialConfig
from bakeoff.training import loop
from bakeoff.training.device import to_device
from bakeoff.training.evaluation import MAX_EVALUATED, measure
from bakeoff.training.totals import EpochTotals, stacked
from run_examples import small_run

MakeConfig = Callable[..., TrialConfig]
WAITING = {
    "_local_scalar_dense", "bincount", "equal", "is_nonzero", "masked_select", "nonzero", "unique2",
    "_unique2", "unique_consecutive", "unique_dim",
}  # fmt: skip
"""Operations whose result, or its size, the CPU reads from the device."""


class CountingReads(TorchDispatchMode):
    """Counts the operations that would wait for an accelerator."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        is_mask = name in ("index", "index_put_", "index_put") and any(
            one is not None and one.dtype is torch.bool for one in args[1]
        )
        if name in WAITING or is_mask:
            self.found.append(name)
        return func(*args, **(kwargs or {}))


def reads_of_steps(config: TrialConfig) -> tuple[list[str], EpochTotals]:
    """What an epoch reads after its first step, and its totals."""
    state = loop.prepare(config, "cpu")
    totals = EpochTotals()
    steps = loop.epoch_steps(state, totals)
    next(steps)
    with CountingReads() as counted:
        for _ in steps:
            pass
    return counted.found, totals


MODELS: dict[str, dict[str, Any]] = {
    "mlp": {"model_params": {"width": 16, "depth": 1}},
    "cnn": {"model_params": {"width": 4}},
    "resnet8": {"model_params": {"width": 4}},
    "lstm": {"model_params": {"width": 8}},
    "transformer": {"model_params": {"width": 8}},
}


@pytest.mark.parametrize(
    ("model", "precision"),
    # torch has no LSTM in fp16 on the CPU
    sorted({*product(MODELS, ("fp32", "bf16", "fp16"))} - {("lstm", "fp16")}),
)
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_no_step_reads_a_number_back(model: str, precision: str, optimizer: str) -> None:
    config = small_run(
        model=model, optimizer=optimizer, precision=precision, clip_grad_norm=1.0, **MODELS[model]
    )
    found, totals = reads_of_steps(config)
    totals.means()
    assert found == []
    assert totals.steps + totals.skipped_steps == 5


@pytest.mark.parametrize(
    "remedies",
    [
        {"mixup_alpha": 0.4},
        {"cutmix_alpha": 1.0},
        {"focal_gamma": 2.0},
        {"ema_decay": 0.9},
        {"sampling": "weighted"},
        {"clip_grad_value": 0.1},
        {"accumulation_steps": 2},
        {"class_weights": "balanced", "label_smoothing": 0.1},
    ],
    ids=str,
)
def test_no_remedy_reads_a_number_back(remedies: dict[str, Any]) -> None:
    config = small_run(model="cnn", model_params={"width": 4}, batch_size=16, **remedies)
    found, _ = reads_of_steps(config)
    assert found == []


@pytest.mark.parametrize("augment", ["flip", "translate", "crop", "cutout"])
def test_no_augmentation_reads_a_number_back(augment: str) -> None:
    found, _ = reads_of_steps(small_run(augment=(augment,)))
    assert found == []


def test_evaluation_reads_as_often_for_many_batches_as_for_one() -> None:
    state = loop.prepare(small_run(), "cpu")
    split = state.splits.validation

    def reads(num_batches: int) -> list[str]:
        many = replace(split, rows=split.rows[:1].repeat(MAX_EVALUATED * num_batches))
        before = state.num_evaluated
        with CountingReads() as counted:
            measure(state, many)
        assert state.num_evaluated == before + num_batches
        return counted.found

    assert 0 < len(reads(1)) < 20
    assert reads(1) == reads(4)


def test_an_optimizer_without_a_fused_step_reads_once_under_fp16() -> None:
    state = loop.prepare(small_run(optimizer="rmsprop", precision="fp16"), "cpu")
    reads: list[int] = []
    totals = EpochTotals()
    with CountingReads() as counted:
        reads.extend(len(counted.found) for _ in loop.epoch_steps(state, totals))
    totals.means()
    assert reads[-1] - reads[0] >= 4  # what the scaler, and torch's own step counters, read


def test_skipped_steps_are_counted_at_the_end_and_change_no_weight() -> None:
    state = loop.prepare(small_run(precision="fp16"), "cpu")
    state.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**100)
    before = [weights.detach().clone() for weights in state.trainable]
    totals = loop.train_epoch(state)
    assert (totals.steps, totals.skipped_steps) == (0, 0)  # nobody asked yet
    loss, norm = totals.means()
    assert (totals.steps, totals.skipped_steps) == (0, 5)
    assert loss > 0
    assert math.isnan(norm)
    assert all(map(torch.equal, before, state.trainable))


def test_waiting_steps_of_both_kinds_survive_a_checkpoint() -> None:
    state = loop.prepare(small_run(precision="fp16", batch_size=8), "cpu")
    state.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**26)
    totals = loop.train_epoch(state)
    again = EpochTotals()
    again.load_state_dict(totals.state_dict())
    assert again.means() == totals.means()
    assert (again.steps, again.skipped_steps) == (totals.steps, totals.skipped_steps)
    assert totals.skipped_steps > 0
    assert totals.steps > 0


def test_steps_of_a_checkpoint_join_those_of_the_device() -> None:
    both = stacked([torch.tensor(1.0), torch.tensor(2.0, device="meta")])
    assert (both.device.type, both.shape) == ("meta", (2,))
    assert stacked([torch.tensor(1.0), torch.tensor(2.0)]).tolist() == [1.0, 2.0]


def test_the_cpu_gets_the_tensor_itself() -> None:
    tensor = torch.arange(3)
    assert to_device(tensor, torch.device("cpu")) is tensor
    assert to_device(tensor, torch.device("meta")).device.type == "meta"
