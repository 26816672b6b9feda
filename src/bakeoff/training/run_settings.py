"""What a study decided for a run: its parameters, its arm and the length of its training."""

from collections.abc import Callable
from functools import cached_property, partial

from bakeoff.components.optimizers import OptimizerSpec, find_optimizer
from bakeoff.components.own_schedules import find_scheduler
from bakeoff.components.parameters import complete_params
from bakeoff.components.schedulers import SchedulerSpec, learning_rate_factor
from bakeoff.errors import UsageError
from bakeoff.ranges import Params, ParamValue
from bakeoff.records import TrialConfig
from bakeoff.training.schedule import complete_schedule


class RunSettings:
    """The settings of a run as a loop of the user's own reads them.

    Args:
        config: The run.
    """

    def __init__(self, config: TrialConfig) -> None:
        self._config = config
        self.reads_optimizer = False
        """Whether the loop has asked for the arm's optimizer, or for its name or parameters."""

    @property
    def params(self) -> dict[str, ParamValue]:
        """The parameters: those of `[model]` by name, others in full, as `sgd.learning_rate`."""
        config = self._config
        owned = {
            config.optimizer: _in_full(self._optimizer_spec, config.optimizer_params),
            config.scheduler: self.scheduler_params,
        }
        others = {
            f"{owner}.{key}": one for owner, given in owned.items() for key, one in given.items()
        }
        return {**others, **config.model_params}

    @property
    def optimizer_name(self) -> str:
        """The optimizer of this arm."""
        self.reads_optimizer = True
        return self._config.optimizer

    @property
    def optimizer_params(self) -> dict[str, ParamValue]:
        """Its parameters, such as `learning_rate`, with defaults for what is not searched."""
        self.reads_optimizer = True
        return _in_full(self._optimizer_spec, self._config.optimizer_params)

    @cached_property
    def _optimizer_spec(self) -> OptimizerSpec:
        return find_optimizer(self._config.optimizer)

    @property
    def scheduler_name(self) -> str:
        """The learning-rate schedule of this run's arm."""
        return self._config.scheduler

    @property
    def scheduler_params(self) -> dict[str, ParamValue]:
        """Its parameters, with defaults for those that are not searched."""
        return _in_full(self._scheduler_spec, self._config.scheduler_params)

    @cached_property
    def _scheduler_spec(self) -> SchedulerSpec:
        return find_scheduler(self._config.scheduler)

    def rate_factor(self, progress: float) -> float:
        """The factor of the learning rate at a share of the run in [0, 1], without an optimizer.

        Raises:
            UsageError: The schedule follows the objective, so that it has no such factor; or it is
                the user's own, and gives none with these parameters.
        """
        return float(self._factor(progress))

    @cached_property
    def _factor(self) -> Callable[[float], float]:
        spec = self._scheduler_spec
        if spec.stateful:
            raise UsageError(f"run.rate_factor: {spec.name!r} follows the objective, not progress")
        params = complete_schedule(spec, self._config.scheduler_params)
        return partial(learning_rate_factor, spec, params=params)

    @property
    def seed(self) -> int:
        """The training seed; Python's, NumPy's and torch's generators were seeded with it."""
        return self._config.seed

    @property
    def num_epochs(self) -> int:
        """Epochs of the whole run."""
        return self._config.training.epochs

    @property
    def batch_size(self) -> int:
        """`[training] batch_size`."""
        return self._config.training.batch_size


def _in_full(spec: OptimizerSpec | SchedulerSpec, given: Params) -> dict[str, ParamValue]:
    """The parameters with defaults; the user's own may take more than its source tells."""
    return {**given} if spec.own else complete_params(spec.name, spec.parameters, given)
