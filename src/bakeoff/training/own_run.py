"""What a training loop of the user's own is called with.

    def train(run):
        model = Network(width=run.params["width"])
        optimizer = run.optimizer(model)
        for epoch in run.epochs(model=model):
            ...
            yield {"accuracy": ..., "loss": ...}
        if run.wants_test:
            yield run.test({"accuracy": ...})

A loop that a framework owns calls `run.begin_epoch()` and `run.report(metrics)` in its callbacks.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed import ProcessGroup

from bakeoff.components.metrics import metric_info
from bakeoff.errors import UsageError
from bakeoff.records import EpochResult
from bakeoff.seeding import derive_seed
from bakeoff.training.averaging import switch_to_evaluation, switch_to_training
from bakeoff.training.batches import Splits, epoch_order, fetch_seed
from bakeoff.training.build import (
    build_augment,
    build_model_of,
    build_optimizer,
    check_augment,
    mask_augment_of,
)
from bakeoff.training.epoch_batches import own_places
from bakeoff.training.kept_splits import KEPT_SPLITS
from bakeoff.training.loop_state import LoopState
from bakeoff.training.run_parts import RunData, RunEnded, RunScheduler, TestScores, as_numbers
from bakeoff.training.run_settings import RunSettings
from bakeoff.training.schedule import Schedule


class Run(RunSettings):
    """One run: what it is to use, and where it reports.

    Args:
        state: What changes while it trains.
        folder: An empty folder for files of the loop, which is removed when the run ends.
        wants_test: Whether it reads the test set at its end.
        hand_over: Is given every epoch; raises `RunEnded` to end the run.
        on_built: Is called when the first epoch begins, before which everything is built.
    """

    def __init__(
        self,
        state: LoopState,
        *,
        folder: Path,
        wants_test: bool,
        hand_over: Callable[[EpochResult], None],
        on_built: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(state.config)
        self._state = state
        self._wants_test = wants_test
        self._hand_over = hand_over
        self._on_built = on_built
        self._ended: RunEnded | None = None
        self._was_asked = False
        self._schedules: list[Schedule] = []
        names = dict.fromkeys((self._config.objective, *self._config.metrics))
        self._expected = [metric_info(name, self._config) for name in names]
        self.folder = folder
        """An empty folder for files of a framework; it is removed when the run ends."""
        self.test_metrics: dict[str, float] = {}
        """What `test` was given."""

    def __repr__(self) -> str:
        return f"<Run of {self._config.optimizer}, epoch {self.completed} of {self.num_epochs}>"

    @property
    def epoch_seed(self) -> int:
        """A seed of its own for each epoch, for an order that does not depend on generators."""
        return derive_seed(self._config.seed, "epoch", self.completed)

    def order(self, count: int) -> list[int]:
        """A random order of `count` samples for this epoch, whatever the generators' state is."""
        generator = torch.Generator().manual_seed(self.epoch_seed)
        return torch.randperm(count, generator=generator).tolist()

    @property
    def device(self) -> torch.device:
        """Where the run trains."""
        return self._state.device

    @property
    def rank(self) -> int:
        """The number of this process among those that train the run, from 0."""
        return self._state.ranks.rank

    @property
    def num_ranks(self) -> int:
        """How many processes train the run: `[training] devices_per_trial`."""
        return self._state.ranks.size

    @property
    def process_group(self) -> ProcessGroup | None:
        """All processes of the run, for `torch.distributed`; None if this is the only one."""
        return self._state.ranks.group

    @property
    def completed(self) -> int:
        """Epochs that were reported, also before the run was resumed."""
        return self._state.epoch

    @property
    def is_over(self) -> bool:
        """Whether the last epoch was reported: all are done, or early stopping ended the run."""
        return self._state.is_over

    @property
    def wants_test(self) -> bool:
        """Whether the loop has to give test metrics now, with the scored epoch's weights."""
        self._was_asked = True
        if self._wants_test:
            self._state.finalise()
        return self._wants_test

    @cached_property
    def data(self) -> RunData:
        """The data of `[data]`, on the run's device.

        Raises:
            UsageError: The study names no data.
            DataError: The data is missing or unusable.
        """
        splits = self._splits
        return RunData(
            train=splits.train,
            validation=splits.validation,
            task=splits.task,
            num_outputs=splits.num_outputs,
            input_shape=splits.input_shape,
            class_names=splits.class_names,
            _test=splits.test if self._wants_test else None,
            _may_test=lambda: self._was_asked,
        )

    @cached_property
    def _splits(self) -> Splits:
        config = self._config
        if not config.data.is_given:
            raise UsageError("run.data: the study names no data; add [data] dataset to its file")
        splits = KEPT_SPLITS.load(config, self.device)
        dtype = getattr(splits.train.inputs, "dtype", torch.float32)
        check_augment(config.data.augment, splits.input_shape, dtype, self.device)
        return splits

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """This epoch's training batches, in an order that depends on the seed and the epoch only.

        Inputs are normalised and changed by `[data] augment`. Where several processes train the
        run, these are this one's parts of the batches.

        Raises:
            UsageError: As `data`.
        """
        train, epoch, seed = self.data.train, self.completed + 1, self.seed
        order = epoch_order(len(train), self.batch_size, seed, epoch)
        own = own_places(len(order), self.batch_size, self._state.ranks)
        order = order[own.places].to(self.device)
        augment = build_augment(
            self._config.data.augment,
            num_samples=len(train),
            seed=seed,
            epoch=epoch,
            device=self.device,
            batch_size=own.batch_size,
        )
        masks = mask_augment_of(self._config.data, len(train), seed, epoch, self.device)
        fetch = fetch_seed(seed, epoch)
        return train.batches(own.batch_size, order, augment, seed=fetch, mask_augment=masks)

    def build_model(self) -> nn.Module:
        """The model of `[model]`, on the run's device, for the samples of `[data]`.

        Raises:
            UsageError: The study names no model, or it cannot be built.
        """
        splits = self._splits
        if not self._config.model:
            raise UsageError("run.build_model(): [model] names no model")
        return build_model_of(self._config, splits).to(self.device)

    def optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        """The optimizer of this run's arm over the trainable weights of `model`; it is tracked.

        Raises:
            UsageError: `model` is no module, or the optimizer cannot train it.
        """
        if not isinstance(model, nn.Module):
            raise UsageError(
                "run.optimizer(model): expected a torch.nn.Module, found"
                f" {type(model).__name__}; nn.ParameterList holds single weights"
            )
        config, state, self.reads_optimizer = self._config, self._state, True
        optimizer = build_optimizer(config.optimizer, model, config.optimizer_params, self.device)
        is_first = not state.optimizers
        state.track(_numbered("optimizer", len(state.optimizers)), optimizer)
        state.optimizers.append(optimizer)

        def count(one: torch.optim.Optimizer, *_: object) -> None:
            state.num_steps += 1
            if is_first:
                state.epoch_steps += 1
                state.learning_rate = float(one.param_groups[0]["lr"])

        optimizer.register_step_post_hook(count)
        return optimizer

    def scheduler(self, optimizer: torch.optim.Optimizer, *, total_steps: int) -> RunScheduler:
        """The learning-rate schedule of this run's arm; it is tracked.

        Args:
            optimizer: One of `optimizer`.
            total_steps: Steps of the whole run, by which the schedule measures its progress.

        Raises:
            UsageError: `total_steps` is no positive number.
        """
        config, state = self._config, self._state
        if total_steps < 1:
            raise UsageError(f"run.scheduler(total_steps={total_steps}): must be at least 1")
        schedule = Schedule(
            optimizer,
            config.scheduler,
            config.scheduler_params,
            total_steps=total_steps,
            epochs=self.num_epochs,
            direction=state.objective.direction,
        )
        scheduler = RunScheduler(optimizer, schedule)
        state.track(_numbered("scheduler", len(self._schedules)), scheduler)
        self._schedules.append(schedule)
        return scheduler

    def track(self, **things: Any) -> None:
        """Save the state of these from now on; a resumed run sets it when its epoch begins.

        Args:
            things: Modules, `torch.Generator`s, or anything with `state_dict` and
                `load_state_dict` whose state is made of tensors, arrays and plain values.

        Raises:
            UsageError: Something has no state that can be saved, or a name is taken.
        """
        for name, thing in things.items():
            self._state.track(name, thing)

    def epochs(self, **tracked: Any) -> Iterator[int]:
        """The epochs that are left, counted from 0; the loop yields or reports once in each.

        Args:
            tracked: As `track`.

        Raises:
            UsageError: As `track`; or an epoch ended without metrics.
        """
        self.track(**tracked)
        return self._epochs()

    def _epochs(self) -> Iterator[int]:
        while not self.is_over:
            epoch = self.begin_epoch()
            yield epoch
            if self.completed == epoch:
                raise UsageError(f"epoch {epoch + 1} ended without metrics; expected one yield")
        self._state.finalise()

    def begin_epoch(self) -> int:
        """Begin an epoch; return how many are complete. A resumed run continues exactly here.

        Raises:
            RunEnded: The run has ended.
            UsageError: The run is over.
            CheckpointError: What the loop tracks is not what the checkpoint holds.
        """
        if self._ended is not None:
            raise self._ended
        self._check_not_over()
        if self._on_built is not None:
            self._on_built()
        self._state.begin_epoch()
        return self.completed

    def report(self, metrics: Mapping[str, float]) -> None:
        """Report an epoch, as a `yield` does. The run is saved here, and may end here.

        Raises:
            RunEnded: The run was pruned or paused, or its metrics are not finite.
            UsageError: The metrics are none, lack an objective, exceed its bounds or come too late.
        """
        if self._ended is not None:
            raise self._ended
        state = self._state
        self._check_not_over()
        if not state.has_begun:
            raise UsageError(
                f"expected that epoch {self.completed + 1} begins by run.epochs() or"
                " run.begin_epoch(), found metrics without it: once per epoch"
            )
        checked = as_numbers(metrics, self._expected) if state.ranks.is_first else {}
        checked = state.ranks.share(checked)
        for schedule in self._schedules:
            schedule.end_epoch(checked[state.objective.name])
        result = state.record(checked)
        try:
            self._hand_over(result)
        except RunEnded as ended:
            self._ended = ended
            raise
        if self._wants_test:
            state.finalise()

    def _check_not_over(self) -> None:
        if self.is_over:
            raise UsageError(
                f"expected {self.completed} epochs (run.num_epochs = {self.num_epochs}), found"
                " another one after the run was over (run.is_over)"
            )

    def test(self, metrics: Mapping[str, float]) -> TestScores:
        """Give the metrics on the test set, once, at the end of a run that wants them.

        Raises:
            UsageError: The run does not want them, is not over, or one is missing or out of bounds.
        """
        if not self._wants_test or not self._was_asked:
            raise UsageError("run.test: only confirmation runs are tested; ask run.wants_test")
        if not self.is_over:
            raise UsageError(f"run.test: epoch {self.completed} is not the run's last one")
        self.test_metrics = as_numbers(metrics, self._expected)
        return TestScores(metrics=self.test_metrics)

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Within it, optimizers that average weights leave them as they are evaluated."""
        self._state.finalise()
        if self.is_over:
            yield
            return
        for optimizer in self._state.optimizers:
            switch_to_evaluation(optimizer)
        try:
            yield
        finally:
            if not self.is_over:  # by a report within it, which left the weights to be tested
                for optimizer in self._state.optimizers:
                    switch_to_training(optimizer)


def _numbered(name: str, number: int) -> str:
    """`optimizer`, `optimizer 2`, ..."""
    return name if not number else f"{name} {number + 1}"
