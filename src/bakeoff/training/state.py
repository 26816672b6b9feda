"""The state of one training run, and how it is prepared from its configuration."""

import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from bakeoff.components.metrics import find_metric, recorded_metrics
from bakeoff.components.models import find_model
from bakeoff.components.remedies import REMEDIES, find_clash, is_used
from bakeoff.data.summary import check_batch_size
from bakeoff.errors import UsageError
from bakeoff.records import (
    EpochResult,
    MetricInfo,
    Precision,
    TrialConfig,
    keep_last_confusion,
)
from bakeoff.registry import resolve
from bakeoff.seeding import derive_seed
from bakeoff.training.averaging import WeightAverage
from bakeoff.training.batches import Splits, steps_per_epoch
from bakeoff.training.build import IMAGE_NDIM, build_model_of, build_optimizer, check_augment
from bakeoff.training.device import set_matrix_precision
from bakeoff.training.flat import FlatStep, find_flat_step
from bakeoff.training.gradient_layout import keep_gradients_channels_last
from bakeoff.training.kept_splits import KEPT_SPLITS
from bakeoff.training.losses import build_loss
from bakeoff.training.memory import keep_freed_memory
from bakeoff.training.memory_layout import is_channels_last, store_channels_last
from bakeoff.training.own_metric import build_own_metric
from bakeoff.training.own_state import copy_state
from bakeoff.training.pretrained import load_pretrained
from bakeoff.training.progress import Progress
from bakeoff.training.ranks import ALONE, Ranks, prepare_model, trained_names, wrap_model
from bakeoff.training.schedule import Schedule
from bakeoff.training.totals import EpochTotals
from bakeoff.training.weight_roles import Freezing, Roles, find_roles
from bakeoff.training.weights_source import WeightsSource, find_weights

AUTOCAST_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
"""The types of autocast; fp32 and tf32 run without it."""

MIN_SCALE = 1.0
"""A gradient scale below this is the sign of repeated gradients above 65,504, the largest number of
fp16: the scale starts at 65,536 and halves with each. Source: torch.amp.GradScaler"""

Weights = dict[str, Any]
"""A state dictionary: tensors, and the state of modules that keep one of their own."""
MetricFunction = Callable[[Any], Tensor]
"""The task's predictions on one split -> scalar; see `bakeoff.training.metric_functions`."""


def no_lap(part: str) -> None:
    """Measure nothing."""


@dataclass(kw_only=True, eq=False)
class TrainingState(Progress):
    """Everything a run needs, and everything that changes while it trains."""

    config: TrialConfig
    device: torch.device
    splits: Splits
    model: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: Schedule
    scaler: torch.amp.GradScaler
    """Scales the loss under fp16; otherwise it has no effect."""
    criterion: nn.Module
    metric_functions: Mapping[str, MetricFunction]
    """Metric functions by name."""
    trainable: list[nn.Parameter]
    """The weights that training changes, if only after some epochs."""
    history: list[EpochResult] = field(default_factory=list)
    freezing: Freezing
    """Keeps some weights as they are, for a while or for the whole run."""
    fresh: frozenset[str] = frozenset()
    """Names of weights before the head that the pretrained ones lack."""
    average: WeightAverage | None = None
    """A moving average of the weights, which the model holds between epochs."""
    best_weights: Weights | None = None
    """Weights of the epoch with the best validation objective; None before the first such epoch."""
    epochs_without_improvement: int = 0
    num_evaluated: int = 0
    """Batches that were evaluated so far, as a sign of life."""
    is_evaluating: bool = False
    """Whether a batch is being evaluated, which may be many times as large as one of training."""
    seconds_since_save: float = 0.0
    """Training time that a crash would cost now."""
    resume_differences: tuple[str, ...] = ()
    """Differences from the machine that wrote the checkpoint; with none, the bits are the same."""
    totals: EpochTotals | None = None
    """Totals of the epoch in training; None between epochs."""
    lap: Callable[[str], None] = no_lap
    """Called with the name of each part of a step when it ends, so that a profile can time it."""
    flat: FlatStep | None = None
    """Steps all weights as one, where that gains; None before the first step, too."""
    may_be_flat: bool = True
    """Whether the first step still decides on that."""
    is_begun: bool = False
    """Whether a step was made here."""
    ranks: Ranks = ALONE
    """The processes that train this run together."""
    replica: nn.Module | None = None
    """The model, wrapped so that its gradients are averaged over these; None if this is the only
    one, and before the first step."""
    generators_of_ranks: Sequence[Mapping[str, Any]] = ()
    """States of the generators of ranks 1, 2, ..., on rank 0, since the last checkpoint."""
    replicated: Sequence[str] = ()
    """Names of the weights that had a gradient when it was wrapped."""

    @property
    def objective(self) -> MetricInfo:
        """The metric that decides the run's score."""
        return find_metric(self.config.objective, self.splits.task, self.config.metrics).info

    def autocast(self) -> AbstractContextManager[Any]:
        """The context of every forward pass."""
        dtype = AUTOCAST_TYPES.get(self.config.training.precision)
        return nullcontext() if dtype is None else torch.autocast(self.device.type, dtype=dtype)

    def begin_steps(self) -> None:
        """Make the model ready for the steps of the epoch in training.

        Raises:
            UsageError: Several processes train the model, which cannot be wrapped for that.
        """
        self.freezing.begin(self.epoch + 1)
        if not self.is_begun and self.device.type == "cpu" and self._was_made_channels_last():
            keep_gradients_channels_last(self.model)
        self.is_begun = True
        if self.may_be_flat and not self.scaler.is_enabled():
            self.flat = find_flat_step(self.config.optimizer, self.model, self.optimizer)
        self.may_be_flat = False
        if self.flat is not None:
            self.flat.begin()
        names = () if self.ranks.is_alone else trained_names(self.model)
        if names != self.replicated:
            self.replica = None  # its hooks end with it
            self.replica, self.replicated = wrap_model(self.model, self.ranks), names

    def _was_made_channels_last(self) -> bool:
        """Whether this is a model of the user's whose weights were found to allow that layout."""
        return not find_model(self.config.model).channels_last and is_channels_last(self.model)

    def evaluated_weights(self) -> Weights:
        """A copy of the weights that are evaluated, kept as best and exported, between epochs.

        Averaged weights are in the model then.
        """
        return copy_state(self.model)

    def note_save(self) -> None:
        """A checkpoint holds the run as it is now."""
        # An epoch's training time is added when it ends, its part before this save included.
        self.seconds_since_save = 0.0 if self.totals is None else -self.totals.seconds

    def record(self, result: EpochResult) -> EpochResult:
        """Add an epoch to the history, keep the best weights, and return it with its status."""
        is_best = self.count_improvement(result)
        if is_best:
            self.best_weights = self.evaluated_weights()
        is_scored = is_best or self.config.score_rule == "last_epoch"
        status = self.status_after(result, has_diverged=self._has_diverged(result))
        result = replace(result, status=status, confusion=result.confusion if is_scored else ())
        self.history = list(keep_last_confusion([*self.history, result]))
        self.seconds_since_save += result.train_seconds
        self.totals = None
        return result

    def _has_diverged(self, result: EpochResult) -> bool:
        names = ("loss", self.objective.name)
        values = (result.train_loss, *(result.metrics[name] for name in names))
        # Below this scale gradients overflow fp16 even where the loss is not scaled up at all.
        has_collapsed = self.scaler.is_enabled() and self.scaler.get_scale() < MIN_SCALE
        return has_collapsed or not all(map(isfinite, values))


def prepare(
    config: TrialConfig,
    device: str,
    ranks: Ranks = ALONE,
) -> TrainingState:
    """Seed all random generators and build everything a run needs, before its first step.

    Equal configurations give equal weights and batches, whatever the optimizer. From here on the
    process keeps the memory that training frees, instead of returning it to the system.

    Args:
        config: The run.
        device: Where it trains, if this is its only process.
        ranks: The processes that train it together. Each draws other random numbers in training.

    Raises:
        DataError: The data or the pretrained weights are missing or unusable.
        UsageError: A component or a parameter is unknown, the precision is still `auto`, or the
            weights do not fit the model or are others than those that the study began with.
    """
    training = config.training
    if training.precision == "auto":
        raise UsageError("precision = 'auto' must be measured before a run is prepared")
    keep_freed_memory()
    place = torch.device(device) if ranks.is_alone else ranks.device
    if place.type == "cuda":
        set_matrix_precision(training.precision)
    weights = _find_weights(config)
    splits = KEPT_SPLITS.load(
        config,
        place,
        channels_last=find_model(config.model).channels_last,
        scale=None if weights is None else weights.scale,
    )
    sizes = (len(splits.train), training.batch_size, training.accumulation_steps)
    check_batch_size(config.data.dataset, *sizes)
    dtype = getattr(splits.train.inputs, "dtype", torch.float32)
    check_augment(config.data.augment, splits.input_shape, dtype, place)
    check_remedies(config, splits.input_shape)
    model, fresh = _build_seeded_model(config, splits, place, weights)
    model = prepare_model(model, ranks)
    roles = find_roles(model, config.finetune, splits.num_outputs, fresh)
    freezing, optimizer = _build_freezing_and_optimizer(config, model, roles, place)
    seed_everything(config.seed, "training", *([] if ranks.is_first else [ranks.rank]))
    return TrainingState(
        config=config,
        device=place,
        splits=splits,
        model=model,
        optimizer=optimizer,
        schedule=_build_schedule(config, optimizer, splits),
        scaler=build_scaler(training.precision, place),
        criterion=build_loss(config, splits, place),
        metric_functions=_metric_functions(config, splits),
        trainable=_trained_weights(model, optimizer),
        freezing=freezing,
        fresh=fresh,
        average=WeightAverage(model, training.ema_decay) if training.ema_decay else None,
        ranks=ranks,
    )


def _build_schedule(
    config: TrialConfig, optimizer: torch.optim.Optimizer, splits: Splits
) -> Schedule:
    """The schedule over all steps of the run."""
    training = config.training
    steps = steps_per_epoch(len(splits.train), training.batch_size, training.accumulation_steps)
    return Schedule(
        optimizer,
        config.scheduler,
        config.scheduler_params,
        total_steps=steps * training.epochs,
        epochs=training.epochs,
        direction=find_metric(config.objective, splits.task, config.metrics).info.direction,
    )


def _metric_functions(config: TrialConfig, splits: Splits) -> dict[str, MetricFunction]:
    """What is measured after every epoch, by name."""
    specs = recorded_metrics(splits.task, splits.num_outputs, config.objective, config.metrics)
    return {
        spec.name: build_own_metric(
            spec.compute, splits.task, splits.num_outputs, splits.target_scale, spec.info
        )
        if spec.name in config.metrics
        else cast("MetricFunction", resolve(spec.compute))
        for spec in specs
    }


def _build_freezing_and_optimizer(
    config: TrialConfig, model: nn.Module, roles: Roles, device: torch.device
) -> tuple[Freezing, torch.optim.Optimizer]:
    """What is frozen, and the optimizer over everything that is ever trained."""
    freezing = Freezing(model, roles, config.finetune.unfreeze_epoch)
    if freezing.is_forever:
        freezing.begin(1)
    optimizer = build_optimizer(config.optimizer, model, config.optimizer_params, device, roles)
    freezing.begin(1)
    return freezing, optimizer


def _trained_weights(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[nn.Parameter]:
    """The weights of the optimizer, in the order of the model, in which their norm is summed."""
    held = {id(one) for group in optimizer.param_groups for one in group["params"]}
    return [weights for weights in model.parameters() if id(weights) in held]


def seed_everything(*path: int | str) -> None:
    """Seed Python, NumPy and torch (all devices) from `path`, each with its own seed."""
    random.seed(derive_seed(*path, "python"))
    np.random.seed(derive_seed(*path, "numpy"))
    seed = derive_seed(*path, "torch")
    if torch.accelerator.is_available():
        torch.manual_seed(seed)
    else:  # it would note the seed for devices that are not there, and where it was called from
        torch.default_generator.manual_seed(seed)


def _find_weights(config: TrialConfig) -> WeightsSource | None:
    """The pretrained weights, which are those that the study began with; None without any."""
    if not config.finetune.pretrained:
        return None
    weights = find_weights(config.model, config.finetune.pretrained)
    if config.weights_sha256 and weights.sha256 != config.weights_sha256:
        raise UsageError(
            f"finetune.pretrained: {weights.path} changed since the study began (SHA-256"
            f" {config.weights_sha256[:12]}, now {weights.sha256[:12]}); restore it"
        )
    return weights


def _build_seeded_model(
    config: TrialConfig, splits: Splits, device: torch.device, weights: WeightsSource | None
) -> tuple[nn.Module, frozenset[str]]:
    """The model with its first weights: the seed draws them, and pretrained ones replace them.

    The names are of weights before the head that stay as they were drawn.
    """
    seed_everything(config.seed, "weights")
    model = build_model_of(config, splits)
    fresh: frozenset[str] = frozenset()
    if weights is not None:
        fresh = load_pretrained(model, weights, splits.num_outputs)
    model = model.to(device)
    if find_model(config.model).channels_last:
        model = model.to(memory_format=torch.channels_last)
    else:
        store_channels_last(model, splits.input_shape)
    return model, fresh


def check_remedies(config: TrialConfig, input_shape: Sequence[int]) -> None:
    """Make sure that the remedies suit each other, the optimizer and samples of this shape.

    Raises:
        UsageError: They do not.
    """
    training = config.training
    used = [name for name in REMEDIES.names if is_used(name, getattr(training, name))]
    clash = find_clash(used, [config.optimizer])
    if clash is not None:
        raise UsageError(f"training.{clash[0]}: {clash[1]}")
    if training.mixup_alpha and config.data.text is not None:
        raise UsageError(
            f"training.mixup_alpha = {training.mixup_alpha:g} mixes numbers, and texts are tokens"
        )
    if training.mixup_alpha and config.data.categories == "codes":
        raise UsageError(
            f"training.mixup_alpha = {training.mixup_alpha:g} mixes numbers, and codes are none"
        )
    if training.cutmix_alpha and len(input_shape) != IMAGE_NDIM:
        raise UsageError(
            f"training.cutmix_alpha = {training.cutmix_alpha:g} needs images of shape [C, H, W], "
            f"not samples of shape {list(input_shape)}"
        )


def build_scaler(precision: Precision, device: torch.device) -> torch.amp.GradScaler:
    """A gradient scaler that has an effect under fp16 only."""
    return torch.amp.GradScaler(device.type, enabled=precision == "fp16")
