"""What is fixed before a study runs, and where it runs, as printable text for its report."""

import os
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from bakeoff.components.optimizers import find_optimizer
from bakeoff.components.package_models import find_package
from bakeoff.data.datasets import DatasetSummary
from bakeoff.engines.open import EngineSettings
from bakeoff.engines.protocol import Probed
from bakeoff.ranges import Choice, FloatRange, IntRange, describe_range
from bakeoff.records import StudyConfig, Task

PACKAGES = ("bakeoff", "torch", "torchvision", "optuna", "numpy", "scipy", "torchmetrics")

HOW_SPLIT: Mapping[Task, str] = {
    "classification": "stratified",
    "regression": "at random",
    "language": "the last part",
}
"""How validation samples are chosen."""
TRAINING_TITLES: Mapping[str, str] = {
    "clip_grad_norm": "gradient clipping, norm at most",
    "clip_grad_value": "gradient clipping, values at most",
    "accumulation_steps": "batches per optimizer step",
    "label_smoothing": "label smoothing",
    "class_weights": "class weights",
    "sampling": "sampling",
    "focal_gamma": "focal loss, gamma",
    "mixup_alpha": "mixup, alpha",
    "cutmix_alpha": "cutmix, alpha",
    "ema_decay": "moving average of weights, decay",
    "early_stopping_patience": "early stopping, epochs without a better one",
}
"""What the report calls the keys of `[training]` that every run shares."""


def describe_protocol(config: StudyConfig, summary: DatasetSummary) -> dict[str, str]:
    """What is fixed before the run, as printable text by heading."""
    training, search = config.training, config.search
    shape = " x ".join(str(size) for size in summary.input_shape)
    return {
        "data": f"{config.data.dataset}, {_outputs(summary)}, samples of {shape}",
        "split": f"{summary.num_train} training{_imbalance(config)},"
        f" {summary.num_validation} validation ({HOW_SPLIT[summary.task]}),"
        f" {summary.num_test} test samples",
        "augmentation": ", ".join(config.data.augment) or "none",
        "model": _with_params(config.model, dict(config.model_params)),
        "loss": training.loss,
        "epochs": str(training.epochs),
        "batch size": _setting(config, "batch_size"),
        **{title: _setting(config, name) for name, title in TRAINING_TITLES.items()},
        "optimizers": ", ".join(search.optimizers),
        "schedulers": ", ".join(search.schedulers),
        **_repeatable(config),
        "study seed": str(config.seed),
    }


def _repeatable(config: StudyConfig) -> dict[str, str]:
    lag = config.search.lag
    if lag is None:
        return {}
    return {
        "repeatable": "the same with any number of workers: the search hears of trials in the order"
        f" they were dealt, {lag} places behind"
    }


def _imbalance(config: StudyConfig) -> str:
    ratio = config.data.imbalance
    return "" if ratio is None else f" (long-tailed, largest class {ratio:g} times the smallest)"


def _outputs(summary: DatasetSummary) -> str:
    """What is predicted: `10 classes`, `a number` or `one of 96 tokens`."""
    if summary.task == "regression":
        return "a number"
    if summary.task == "language":
        return f"one of {summary.num_outputs} tokens"
    return f"{summary.num_outputs} classes"


def _with_params(name: str, params: dict[str, object]) -> str:
    listed = ", ".join(f"{key} = {value}" for key, value in params.items())
    return f"{name} ({listed})" if listed else name


def _setting(config: StudyConfig, name: str) -> str:
    """A setting of `[training]`: its value, or the range it is searched in."""
    searched = config.space.get(f"training.{name}")
    if isinstance(searched, (FloatRange, IntRange, Choice)):
        return f"searched, {describe_range(searched)}"
    value = getattr(config.training, name)
    return "none" if value is None else str(value)


def describe_environment(settings: EngineSettings, probed: Probed) -> dict[str, str]:
    """Versions, machine, threads and precision, as printable text."""
    measured = ", ".join(
        f"{name} {1000 * seconds:.2f} ms" for name, seconds in probed.seconds_per_step.items()
    )
    return {
        "python": platform.python_version(),
        **{name: _installed(name) for name in PACKAGES},
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "device": settings.device,
        "workers": str(settings.workers),
        "threads per worker": str(settings.threads),
        "precision": f"{probed.precision}: {probed.reason}",
        "seconds per step": measured,
    }


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def component_packages(config: StudyConfig) -> dict[str, str]:
    """Versions of the packages that optimizers and model come from, torch's own aside."""
    packages = {find_optimizer(name).package for name in config.search.optimizers}
    model_package = find_package(config.model)
    if model_package is not None:
        packages.add(model_package.name)
    return {name: _installed(name) for name in sorted(packages - set(PACKAGES))}


def _processor() -> str:
    """The processor's model name, or its architecture where the system does not tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
