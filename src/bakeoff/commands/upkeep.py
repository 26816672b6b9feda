"""`study init`, `study delete`, `study doctor`."""

import os
import platform
import shutil
import sys
from collections.abc import Callable
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import typer

from bakeoff.commands.output import print_json, print_table
from bakeoff.errors import BakeoffError, UsageError, describe_unknown
from bakeoff.records import DataConfig

STARTER = """\
# A study: which optimizer, learning rate, schedule and weight decay suit this model and this data?
# Run it with `study run`, look at it with `study status` and `study dashboard`.

[study]
name = "my-study"
question = "Which optimizer suits my model on my data?"
seed = 0
objective = "accuracy"            # study metrics lists what a task can be judged by
compare = ["optimizer"]           # an arm is one of these; or ["optimizer", "scheduler"]
# delta = 0.005                   # the smallest difference that matters to you

[data]
dataset = "digits"                # `study datasets` lists them; csv:PATH, folder:PATH, ...: yours
validation_fraction = 0.2

[model]
model = "mlp"                     # `study models` lists them; "package.module:function": yours
width = 64
dropout = { low = 0.0, high = 0.5 }   # a range is searched, a number is fixed

[training]
epochs = 15
batch_size = 32
precision = "auto"                # fp32, bf16, fp16, or the fastest by measurement here
clip_grad_norm = 1.0

[search]
optimizers = ["sgd", "adam", "adamw"]                 # `study optimizers` lists them
schedulers = ["constant", "cosine", "one_cycle"]      # `study schedulers` lists them
trials_per_arm = 20               # the same for every arm; or epochs_per_arm, seconds_per_arm
sampler = "tpe"                   # or random, sobol, gp, cmaes, grid
pruner = "halving"                # or none, median, percentile, hyperband, patient, threshold

[space.sgd]                       # only to differ from the ranges that `study optimizers` prints
learning_rate = { low = 1e-3, high = 1.0, log = true }

[confirm]
seeds = "auto"                    # the fewest that can support a verdict for this many arms

# [tracking]                      # show every trial elsewhere too
# tensorboard = true              # pip install 'bakeoff[tensorboard]'
# wandb = "my-project"            # pip install 'bakeoff[wandb]'
"""


def write_starter(path: Path) -> None:
    """Write a commented study file.

    Raises:
        UsageError: The file exists, or cannot be written.
    """
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(STARTER)
    except FileExistsError:
        raise UsageError(f"{path} exists; choose another name") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be written ({error.strerror})") from None
    typer.echo(f"wrote {path}; run it with `study run {path}`")


def delete_study(name: str, *, output: Path, storage_url: str | None, confirmed: bool) -> None:
    """Remove a stored study with its checkpoints and report; runs of `study train` stay.

    Raises:
        UsageError: There is no such study.
        StudyLockedError: It is being run.
        BakeoffError: The storage cannot be read, or holds no such study.
    """
    from bakeoff.storage import Storage
    from bakeoff.storage.database import choose_storage_url
    from bakeoff.storage.lock import study_lock

    storage = Storage(choose_storage_url(storage_url, output))
    if not storage.has(name):
        raise UsageError(describe_unknown("study", name, storage.names()))
    num_trials = len(storage.load_runs(name, "search"))
    if not confirmed:
        typer.confirm(f"delete study {name!r} with {num_trials} trials and its report?", abort=True)
    with study_lock(storage, name):
        Storage(choose_storage_url(storage_url, output), create=True).delete(name)
        kept = _remove_results(output / name)
    typer.echo(f"deleted {name!r}" + (f"; the runs in {kept} stay" if kept else ""))


def _remove_results(folder: Path) -> Path | None:
    """Remove all that a study wrote; where runs of `study train` stand, if there are any."""
    runs = folder / "train"
    if not runs.is_dir():
        shutil.rmtree(folder, ignore_errors=True)
        return None
    for path in folder.iterdir():
        if path.is_dir() and path != runs:
            shutil.rmtree(path, ignore_errors=True)
        elif path != runs:
            path.unlink()
    return runs


def check_machine(*, output: Path, storage_url: str | None, as_json: bool) -> None:
    """Print what a study would find on this machine, and what to do where something is missing."""
    from bakeoff.storage.database import choose_storage_url

    url = choose_storage_url(storage_url, output)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    facts = {
        "python": platform.python_version(),
        **{name: _version(name) for name in ("torch", "torchvision", "optuna", "optuna-dashboard")},
        "platform": platform.platform(),
        "cores": str(cores),
        "accelerator": _check(_accelerator),
        "storage": _check(lambda: _storage(url)),
        "free disk": f"{shutil.disk_usage(_existing(output)).free / 1e9:.1f} GB",
        "chromium (png export)": shutil.which("chromium")
        or shutil.which("google-chrome")
        or "none",
        **{f"data: {name}": _check(partial(_dataset, name)) for name in _datasets()},
    }
    if as_json:
        print_json(facts)
    else:
        print_table(["", ""], [list(item) for item in facts.items()])


def _check(look: Callable[[], str]) -> str:
    """What `look` finds; what is wrong is an answer here, whatever it is."""
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


def _storage(url: str) -> str:
    from bakeoff.storage import Storage

    storage = Storage(url)
    return f"{storage}: {len(storage.names())} studies"


def _datasets() -> tuple[str, ...]:
    from bakeoff.data.dataset_table import DATASETS

    return DATASETS.names


def _dataset(name: str) -> str:
    from bakeoff.data.dataset_table import find_fashion_files
    from bakeoff.data.datasets import load_dataset

    if name.startswith("fashion-") and find_fashion_files() is None:
        return "missing: apt-get install dataset-fashion-mnist, or let a study download it"
    dataset = load_dataset(DataConfig(dataset=name))
    return f"{len(dataset.train_labels):,} training, {len(dataset.test_labels):,} test samples"


def _existing(folder: Path) -> Path:
    return next(one for one in (folder, *folder.absolute().parents) if one.exists())
