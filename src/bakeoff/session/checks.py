"""Checks of packages, data and settings before anything is created."""

import hashlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from bakeoff.components.metrics import METRICS
from bakeoff.components.optimizers import find_optimizer
from bakeoff.components.package_models import check_model_installed
from bakeoff.components.package_optimizers import check_installed
from bakeoff.data.datasets import check_splits
from bakeoff.data.fetched import refresh_data
from bakeoff.data.hub_files import PREFIX, fetch_hub_model
from bakeoff.data.reading_limit import limited_reading
from bakeoff.data.summary import DatasetSummary, check_batch_size, describe_dataset
from bakeoff.engines.device_table import CPU
from bakeoff.engines.devices import describe_models
from bakeoff.engines.open import EngineSettings
from bakeoff.engines.protocol import HANG_SECONDS
from bakeoff.errors import UsageError, visible
from bakeoff.own_source import CODE, check_reference, code_files, look_in, search_path
from bakeoff.ranges import Choice, IntRange
from bakeoff.records import CONFIG_HASH, WEIGHTS_HASH, DataConfig, StudyConfig
from bakeoff.search.repeats import confirmation_seeds
from bakeoff.search.samplers import check_sampler
from bakeoff.seeding import derive_seed
from bakeoff.session.descriptions import ACCELERATOR, describe_code
from bakeoff.session.run_settings import RunSettings
from bakeoff.space import split_seeds
from bakeoff.storage import StudyFacts
from bakeoff.studyfile.own_parts import own_parts
from bakeoff.tracking import check_trackers

NO_DATA = DatasetSummary(
    num_train=0,
    num_validation=0,
    num_test=0,
    task=DataConfig.task,
    num_outputs=1,
    input_shape=(),
    fingerprint="",
    class_names=(),
)
"""The data of a study with a loop of the user's own that brings it."""


def check_packages(config: StudyConfig) -> None:
    """Make sure that the packages of optimizers, model, sampler and trackers are installed.

    The packages are not imported. From here on the process finds the study's own modules. A model
    of the Hugging Face hub is downloaded if it is missing.

    Raises:
        DataError: A model of the hub cannot be downloaded.
        MissingDependencyError: A package is missing. The message names the extra to install.
        UsageError: A package has no optimizer of that name, or a part of the user's own is missing.
    """
    look_in(config.folder)
    for key, reference in own_parts(config):
        check_reference(key, reference, search_path())
    variants = config.variants.values()
    for spec in (find_optimizer(name) for one in variants for name in one.search.optimizers):
        if spec.own is None:
            check_installed(spec.name, spec.package)
    models = [one.model for one in variants]
    for model in models:
        check_model_installed(model)
    for name in dict.fromkeys((*models, config.data.tokenizer or "")):
        if name.startswith(PREFIX):
            fetch_hub_model(name)
    check_sampler(config.search.sampler)
    check_trackers(config.tracking, config.folder)


def check_data(config: StudyConfig, *, hang_seconds: float = HANG_SECONDS) -> DatasetSummary:
    """Read the data. Make sure that it suits the objectives and fills the largest batch.

    A loop of the user's own may bring its data, and takes care of its batches itself.

    What reading left out, changed or guessed is said in one line on stderr.

    Args:
        config: The study.
        hang_seconds: How long a function of the user's may read without progress; see
            `limited_reading`.

    Raises:
        DataError: The data is missing or unusable. The message says how to get or repair it.
        UsageError: An objective has the same value for every model of so few classes.
    """
    if not config.data.is_given:
        return NO_DATA
    refresh_data(config.data)
    with limited_reading(config.data.dataset, hang_seconds):
        summary = describe_dataset(config.data, derive_seed(config.seed, "split"))
    if summary.notes:
        print(f"data: {visible('; '.join(summary.notes))}", file=sys.stderr)
    if config.confirm.resplit:
        with limited_reading(config.data.dataset, hang_seconds):  # it is read again
            check_splits(config.data, _all_split_seeds(config))
    if config.training.loop is None:
        check_batch_size(
            config.data.dataset,
            summary.num_train,
            _extremes(config, "batch_size")[1],
            _extremes(config, "accumulation_steps")[1],
        )
    metrics = METRICS[config.data.task]
    for name in {config.objective, *config.further_objectives} - config.metrics.keys():
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
    found = [_extremes_of_one(one, name) for one in config.variants.values()]
    return min(low for low, _ in found), max(high for _, high in found)


def _extremes_of_one(config: StudyConfig, name: str) -> tuple[int, int]:
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
    config: StudyConfig, facts: StudyFacts, summary: DatasetSummary, settings: RunSettings
) -> str:
    """Refuse other data than the study began with; say what else changes the bits of results.

    Returns:
        A sentence about another device than the study was begun on; empty if it is the same.

    Raises:
        UsageError: The data differs; or the kind of device, for a study that is repeatable.
    """
    check_same_data("study", facts.data_fingerprint, summary, "give the study a new name")
    before = facts.environment.get("device", settings.device)
    if before != settings.device and config.search.lag is not None:
        raise UsageError(
            f"--device {settings.device}: the study is repeatable and was begun on {before!r};"
            " another kind of device changes its results"
        )
    return changed_device(facts.environment, settings)


def changed_device(environment: Mapping[str, str], settings: EngineSettings) -> str:
    """How the devices differ from those that a study was begun on; empty if they do not.

    Studies of earlier releases stored the kind alone, which is compared then.
    """
    before, now = environment.get("device", settings.device), settings.device
    if before == now and now != CPU.kind:
        models = (environment.get(ACCELERATOR, ""), describe_models(settings.devices))
        before, now = models if all(models) else (before, now)
    if before == now:
        return ""
    return f"continued on another device ({now}, before {before}), not bit-identical"


def changed_code(environment: Mapping[str, str], code: Mapping[str, str]) -> tuple[str, ...]:
    """The files of the user's that differ since a study or run began, or came or went since.

    A file of the same name and content is the same, wherever the command was started.

    Args:
        environment: What was stored when it began; an old release stored no files.
        code: The files that are imported now, with their hashes.
    """
    before, now = environment.get(CODE), describe_code(code).get(CODE, "")
    if before is None:
        return ()
    old, new = (
        {(Path(path).name, digest): path for path, _, digest in _parted(text)}
        for text in (before, now)
    )
    return tuple(sorted({(old | new)[key] for key in old.keys() ^ new.keys()}))


def _parted(text: str) -> Iterator[tuple[str, str, str]]:
    """Path, separator and hash of every file in a text of `describe_code`."""
    return (entry.rpartition(" (") for entry in text.split(", ") if entry)


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


def stored_code(environment: Mapping[str, str]) -> dict[str, str]:
    """The files of the user's that are named in `environment` as they are now, with their hashes.

    A file that is gone is left out. This imports nothing, so it misses files that are imported for
    the first time; those need a changed file that imports them.
    """
    files = {name: Path(name) for name in code_files(environment)}
    return {
        name: hashlib.sha256(file.read_bytes()).hexdigest()
        for name, file in files.items()
        if file.is_file()
    }


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
        known = [key for key in {**environment, **weights} if key.startswith(heading)]
        for key in known:
            before, now = environment.get(key), weights.get(key)
            is_new_arm = before is None and key != heading  # that an extension added
            if before == now or is_new_arm:
                continue
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
