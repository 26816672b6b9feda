"""Which runs may train in one stack, as far as their settings tell. It imports no torch."""

from dataclasses import replace

from bakeoff.components.optimizers import find_optimizer
from bakeoff.records import FinetuneConfig, Task, TrialConfig
from bakeoff.registry import is_reference

TASKS: tuple[Task, ...] = ("classification", "multilabel", "regression")
OPTIMIZERS = frozenset(
    f"torch.optim:{name}"
    for name in (
        "SGD", "Adam", "AdamW", "RMSprop", "NAdam", "RAdam", "Adamax", "Adagrad", "Adadelta",
    )
)  # fmt: skip
"""Classes of optimizers that treat every weight by itself."""


def shared_settings(config: TrialConfig) -> TrialConfig | None:
    """The settings that all runs of a stack share, with nothing in place of the others.

    A run's own are optimizer, schedule, seed and dropout rate. None if the run cannot train in a
    stack whatever its companions.
    """
    if not _may_stack(config):
        return None
    params = dict(config.model_params)
    rate = params.get("dropout")
    if isinstance(rate, (int, float)):  # a model of the user's is compared when it is built
        params["dropout"] = float(rate > 0)  # without dropout there is no layer
    return replace(
        config, optimizer="", optimizer_params={}, scheduler="", scheduler_params={},
        model_params=params, seed=0,
    )  # fmt: skip


def _may_stack(config: TrialConfig) -> bool:
    training, data = config.training, config.data
    references = (training.loss, config.optimizer, config.scheduler, *data.augment, *config.metrics)
    return (
        training.loop is None
        and training.precision in ("fp32", "auto")
        and training.accumulation_steps == 1
        and training.devices_per_trial == 1
        and not (training.mixup_alpha or training.cutmix_alpha or training.focal_gamma)
        and data.task in TASKS
        and data.text is None
        and data.categories is None
        and config.finetune == FinetuneConfig()
        and not any(map(is_reference, references))
        and find_optimizer(config.optimizer).build in OPTIMIZERS
    )
