"""The parts of a study that are the user's own code: the keys that name them, and their folder."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from bakeoff.components.optimizers import find_optimizer
from bakeoff.components.package_models import find_package
from bakeoff.data.dataset_table import FUNCTION, find_source as find_data
from bakeoff.own_source import code_files, find_source, folders_of
from bakeoff.records import StudyConfig
from bakeoff.registry import is_reference

COPIES = "code"
"""Folder in a study's results with copies of the files of the user's that it imported."""


def own_parts(config: StudyConfig) -> Iterator[tuple[str, str]]:
    """The keys of a study file whose value refers to code of the user's, and the references.

    What a named arm has of its own is named as a key of this arm.

    Raises:
        UsageError: The data set or an optimizer is unknown.
    """
    shared, known = {*_own_parts(config)}, set[tuple[str, str]]()
    for arm, one in config.variants.items():
        for part in _own_parts(one):
            if part not in known:
                known.add(part)
                key, reference = part
                yield key if part in shared else f"arms.{arm}.{key}", reference


def _own_parts(config: StudyConfig) -> Iterator[tuple[str, str]]:
    """Those of a study without named arms."""
    objectives = (config.objective, *config.further_objectives)
    is_own_model = find_package(config.model) is None
    is_own_data = config.data.is_given and find_data(config.data.dataset) is FUNCTION
    named: dict[str, Iterable[str]] = {
        "training.loss": [config.training.loss],
        "training.loop": [config.training.loop or ""],
        "model.model": [config.model] if is_own_model else [],
        "model.parameter_groups": [config.finetune.parameter_groups or ""],
        "search.optimizers": [one for one in config.search.optimizers if find_optimizer(one).own],
        "search.schedulers": config.search.schedulers,
        # A loop of the user's own yields its metrics, so their names refer to no code.
        "study.objective": [] if config.training.loop else objectives,
        "training.metrics": [
            one for one in config.metrics if one not in objectives and not config.training.loop
        ],
        "tracking.callback": [config.tracking.callback or ""],
        "data.augment": config.data.augment,
        "data.dataset": [config.data.dataset] if is_own_data else [],
    }
    return ((key, name) for key, names in named.items() for name in names if is_reference(name))


def code_folder(file: Path, document: Mapping[str, Any]) -> str:
    """The folder in which the modules of a study file are looked for first: that of the file.

    A file among the results of a study or run has none beside it. Its modules are where the study
    or run found them, seen from the current folder, or else in the copies that a study keeps.

    Args:
        file: The study file.
        document: Its content.
    """
    own = file.parent.absolute()
    modules = {text.partition(":")[0] for text in _texts(document) if is_reference(text)}
    for folder in (own, *_folders_of_results(own, modules)):
        if any(find_source(module, [str(folder)]) is not None for module in modules):
            return str(folder)
    return str(own)


def _folders_of_results(own: Path, modules: Iterable[str]) -> Iterator[Path]:
    """Where a study or run found its modules, and where it keeps their copies."""
    for facts in (own / "run.json", own / "environment.json", own.parent / "environment.json"):
        folders = folders_of(modules, code_files(_environment(facts)))
        yield from (Path(folder).absolute() for folder in folders)
        yield from (
            facts.parent / COPIES / folder for folder in folders if not Path(folder).is_absolute()
        )


def other_folders(modules: Iterable[str], environment: Mapping[str, str]) -> tuple[str, ...]:
    """The folders, other than the current one, from which a study or run imported modules.

    Args:
        modules: Names such as `package.module`.
        environment: What is stored about the study or run.
    """
    found = folders_of(modules, code_files(environment))
    return tuple(one for one in found if Path(one).absolute() != Path.cwd())


def own_modules(config: StudyConfig) -> tuple[str, ...]:
    """The modules of the user's that a study names."""
    return tuple(reference.partition(":")[0] for _, reference in own_parts(config))


def _environment(facts: Path) -> Mapping[str, str]:
    """What a file of results says about the machine and the code; empty if it is no such file."""
    with suppress(OSError, ValueError, LookupError, TypeError):
        found = json.loads(facts.read_bytes())["environment"]
        return {key: value for key, value in found.items() if isinstance(value, str)}
    return {}


def _texts(value: object) -> Iterator[str]:
    """Every text in a document, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield from _texts(key)
            yield from _texts(one)
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from _texts(one)
