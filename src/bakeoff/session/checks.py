"""Checks of packages, data and settings before anything is created."""

import sys
from collections.abc import Iterator, Mapping

from bakeoff.components.metrics import METRICS
from bakeoff.components.optimizers import find_optimizer
from bakeoff.components.package_models import check_model_installed
from bakeoff.components.package_optimizers import check_installed
from bakeoff.data.datasets import DatasetSummary, check_batch_size, check_splits, describe_dataset
from bakeoff.data.hub_files import PREFIX, fetch_hub_model
from bakeoff.engines.worker import import_path
from bakeoff.errors import UsageError, visible
from bakeoff.ranges import Choice, IntRange
from bakeoff.records import CONFIG_HASH, WEIGHTS_HASH, StudyConfig
from bakeoff.search.repeats import confirmation_seeds
from bakeoff.search.samplers import check_sampler
from bakeoff.seeding import derive_seed
from bakeoff.session.descriptions import CODE, describe_code
from bakeoff.session.run_settings import RunSettings
from bakeoff.space import split_seeds
from bakeoff.storage import StudyFacts
from bakeoff.tracking import check_trackers


def check_packages(config: StudyConfig) -> None:
    """Make sure that the packages of optimizers, model, sampler and trackers are installed.

    The packages are not imported. A model of the Hugging Face hub is downloaded if it is missing.

    Raises:
        DataError: A model of the hub cannot be downloaded.
        MissingDependencyError: A package is missing. The message names the extra to install.
        UsageError: A package has no optimizer of that name.
    """
    for name in config.search.optimizers:
        check_installed(name, find_optimizer(name).package)
    check_model_installed(config.model)
    for name in dict.fromkeys((config.model, config.data.tokenizer or "")):
        if name.startswith(PREFIX):
            fetch_hub_model(name)
    check_sampler(config.search.sampler)
    check_trackers(config.tracking)


def check_data(config: StudyConfig) -> DatasetSummary:
    """Read the data. Make sure that it suits the objectives and fills the largest batch.

    What reading left out, changed or guessed is said in one line on stderr.

    Raises:
        DataError: The data is missing or unusable. The message says how to get or repair it.
        UsageError: An objective has the same value for every model of so few classes.
    """
    sys.path += [entry for entry in import_path() if entry not in sys.path]
    summary = describe_dataset(config.data, derive_seed(config.seed, "split"))
    if summary.notes:
        print(f"data: {visible('; '.join(summary.notes))}", file=sys.stderr)
    if config.confirm.resplit:
        check_splits(config.data, _all_split_seeds(config))
    check_batch_size(
        config.data.dataset,
        summary.num_train,
        _extremes(config, "batch_size")[1],
        _extremes(config, "accumulation_steps")[1],
    )
    metrics = METRICS[config.data.task]
    for name in (config.objective, *config.further_objectives):
        if name in metrics and summary.num_outputs < metrics[name].min_outputs:
            raise UsageError(
                f"study.objective: {name!r} is the same for every model of {summary.num_outputs}"
                f" classes; it needs {metrics[name].min_outputs} or more"
            )
    return summary


def _all_split_seeds(config: StudyConfig) -> Iterator[tuple[int, int | None]]:
    """The seeds of every split that the study will draw, repeat by repeat."""
    for repeat in range(config.search.repeats):
        yield split_seeds(config, repeat, "search", 0)
        for seed in confirmation_seeds(config, repeat):
            yield split_seeds(config, repeat, "confirm", seed)


def _extremes(config: StudyConfig, name: str) -> tuple[int, int]:
    """The smallest and the largest value that an integer of `[training]` takes in the study."""
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
    """The smallest batch size of the study. With it an epoch has the most steps."""
    return _extremes(config, "batch_size")[0]


def check_unchanged_facts(
    facts: StudyFacts, summary: DatasetSummary, settings: RunSettings
) -> None:
    """Refuse other data or another device than the study began with, because both change results.

    Raises:
        UsageError: The data or the device differs.
    """
    check_same_data("study", facts.data_fingerprint, summary, "give the study a new name")
    device = facts.environment.get("device", settings.device)
    if device != settings.device:
        raise UsageError(f"--device {settings.device}: the study was begun on {device!r}")


def changed_code(environment: Mapping[str, str], code: Mapping[str, str]) -> tuple[str, ...]:
    """The files of the user's that differ since a study or run began, or came or went since.

    Args:
        environment: What was stored when it began; an old release stored no files.
        code: The files that are imported now, with their hashes.
    """
    before, now = environment.get(CODE), describe_code(code).get(CODE, "")
    if before is None:
        return ()
    old, new = ({*text.split(", ")} - {""} for text in (before, now))
    return tuple(sorted({one.rpartition(" (")[0] for one in old ^ new}))


def check_same_code(kind: str, environment: Mapping[str, str], code: Mapping[str, str]) -> None:
    """Refuse code of the user's that changed since a study or run (`kind`) began.

    Raises:
        UsageError: A file differs, or is imported or missing now; the message names the files.
    """
    changed = changed_code(environment, code)
    if changed:
        raise UsageError(
            f"{', '.join(changed)}: the code changed since the {kind} began; restore it, give the"
            f" {kind} a new name, or continue with --accept-code, which the report will say"
        )


def check_same_weights(
    kind: str, environment: Mapping[str, str], weights: Mapping[str, str]
) -> None:
    """Refuse a model's files that changed since a study or run (`kind`) began.

    Raises:
        UsageError: The hashes of its pretrained weights or of its configuration differ.
    """
    for heading, what in (
        (WEIGHTS_HASH, "finetune.pretrained: the weights"),
        (CONFIG_HASH, "model.model: the model's configuration"),
    ):
        before, now = environment.get(heading), weights.get(heading)
        if before != now:
            raise UsageError(
                f"{what} changed since the {kind} began (SHA-256 {str(before)[:12]}, now"
                f" {str(now)[:12]}); restore the file, or give the {kind} a new name"
            )


def check_same_data(kind: str, fingerprint: str, summary: DatasetSummary, advice: str) -> None:
    """Refuse data that changed since a study or run (`kind`) began; `advice` is the way out.

    Raises:
        UsageError: The fingerprints differ.
    """
    if fingerprint != summary.fingerprint:
        raise UsageError(
            f"data.dataset: the data changed since the {kind} began (fingerprint"
            f" {fingerprint[:12]}, now {summary.fingerprint[:12]}); restore it, or {advice}"
        )
