"""What can be wrong before anything is created: packages, data, batches, and what has changed."""

import sys

from bakeoff.components.metrics import METRICS
from bakeoff.components.optimizers import find_optimizer
from bakeoff.components.package_models import check_model_installed
from bakeoff.components.package_optimizers import check_installed
from bakeoff.data.datasets import DatasetSummary, check_batch_size, describe_dataset
from bakeoff.engines.worker import import_path
from bakeoff.errors import UsageError
from bakeoff.ranges import Choice, IntRange
from bakeoff.records import StudyConfig
from bakeoff.search.samplers import check_sampler
from bakeoff.seeding import derive_seed
from bakeoff.session.run_settings import RunSettings
from bakeoff.storage import StudyFacts
from bakeoff.tracking import check_trackers


def check_packages(config: StudyConfig) -> None:
    """Make sure that packages of optimizers, model, sampler and trackers are installed.

    None is imported.

    Raises:
        MissingDependencyError: One is not; the message names the extra that brings it.
        UsageError: A package has no optimizer of that name.
    """
    for name in config.search.optimizers:
        check_installed(name, find_optimizer(name).package)
    check_model_installed(config.model)
    check_sampler(config.search.sampler)
    check_trackers(config.tracking)


def check_data(config: StudyConfig) -> DatasetSummary:
    """Read the data; make sure that it suits the objectives and fills the largest batch.

    Raises:
        DataError: It is missing or unusable; the message says how to get or mend it.
        UsageError: An objective says nothing of so few classes.
    """
    sys.path += [entry for entry in import_path() if entry not in sys.path]
    summary = describe_dataset(config.data, derive_seed(config.seed, "split"))
    check_batch_size(
        config.data.dataset,
        summary.num_train,
        _extremes(config, "batch_size")[1],
        _extremes(config, "accumulation_steps")[1],
    )
    _check_objectives(config, summary.num_outputs)
    return summary


def _check_objectives(config: StudyConfig, num_outputs: int) -> None:
    metrics = METRICS[config.data.task]
    for name in (config.objective, *config.further_objectives):
        if name in metrics and num_outputs < metrics[name].min_outputs:
            raise UsageError(
                f"study.objective: {name!r} is the same for every model of {num_outputs} classes;"
                f" it needs {metrics[name].min_outputs} or more"
            )


def _extremes(config: StudyConfig, name: str) -> tuple[int, int]:
    """The smallest and the largest value in the study of a whole number of `[training]`."""
    match config.space.get(f"training.{name}"):
        case IntRange() as setting:
            return setting.low, setting.high
        case Choice() as setting:
            sizes = [int(choice) for choice in setting.choices]
            return min(sizes), max(sizes)
        case _:
            value = int(getattr(config.training, name))
            return value, value


def smallest_batch(config: StudyConfig) -> int:
    """The smallest batch size of the study: what an epoch of most steps takes."""
    return _extremes(config, "batch_size")[0]


def check_unchanged_facts(
    facts: StudyFacts, summary: DatasetSummary, settings: RunSettings
) -> None:
    """Data and device change results, so a study keeps those it was begun with."""
    if facts.data_fingerprint != summary.fingerprint:
        raise UsageError(
            "data.dataset: the data changed since the study began (fingerprint"
            f" {facts.data_fingerprint[:12]}, now {summary.fingerprint[:12]}); restore it, or give"
            " the study a new name"
        )
    device = facts.environment.get("device", settings.device)
    if device != settings.device:
        raise UsageError(f"--device {settings.device}: the study was begun on {device!r}")
