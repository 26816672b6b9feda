import os
import platform
import shutil
import sys
from collections.abc import Callable
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated

import typer

from bakeoff.commands import options
from bakeoff.commands.output import print_json, print_table
from bakeoff.errors import BakeoffError


def doctor(
    output: options.Output = options.RESULTS,
    storage: options.StorageUrl = None,
    make_tables: Annotated[
        bool,
        typer.Option(
            "--make-tables",
            help="Make the tables of an empty storage, for people who may write but not make them.",
        ),
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Check this machine: versions, cores, data sets, storage and what you may do there, disk.

    Example: study doctor
    """
    from bakeoff.commands.stored_studies import open_storage
    from bakeoff.data.dataset_table import DATASETS

    if make_tables:
        open_storage(storage, output, create=True)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    existing = next(one for one in (output, *output.absolute().parents) if one.exists())
    facts = {
        "python": platform.python_version(),
        **{name: _version(name) for name in ("torch", "torchvision", "optuna", "optuna-dashboard")},
        "platform": platform.platform(),
        "cores": str(cores),
        "accelerator": _check(_accelerator),
        "storage": _check(partial(_storage, storage, output)),
        "free disk": f"{shutil.disk_usage(existing).free / 1e9:.1f} GB",
        "chromium (png export)": shutil.which("chromium")
        or shutil.which("google-chrome")
        or "none",
        **{f"data: {name}": _check(partial(_dataset, name)) for name in DATASETS.names},
    }
    if as_json:
        print_json(facts)
    else:
        print_table(["", ""], [list(item) for item in facts.items()])


def _check(look: Callable[[], str]) -> str:
    """What `look` finds, or the error that it raises."""
    try:
        return look()
    except BakeoffError as error:
        return f"{error}".removeprefix("storage ")
    except Exception as error:  # noqa: BLE001 - a broken installation may raise anything
        return f"{type(error).__name__}: {error}"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return f"missing; reinstall bakeoff in {sys.prefix}"


def _accelerator() -> str:
    import torch

    return (
        torch.cuda.get_device_name() if torch.cuda.is_available() else "none; training on the CPU"
    )


def _storage(url: str | None, output: Path) -> str:
    from bakeoff.commands.stored_studies import open_storage
    from bakeoff.storage.rights import describe_rights

    storage = open_storage(url, output)
    count = len(storage.names())
    rights = describe_rights(storage.optuna_storage.engine)
    return f"{storage}: {count} {'study' if count == 1 else 'studies'}" + (rights and f"; {rights}")


def _dataset(name: str) -> str:
    from bakeoff.data.dataset_table import find_source
    from bakeoff.data.datasets import load_dataset
    from bakeoff.records import DataConfig

    if not find_source(name).is_here():
        package = ", or: apt-get install dataset-fashion-mnist" if "fashion" in name else ""
        return f"not here; a study that names it downloads it{package}"
    dataset = load_dataset(DataConfig(dataset=name))
    return f"{len(dataset.train_labels):,} training, {len(dataset.test_labels):,} test samples"
