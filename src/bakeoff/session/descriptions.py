"""The protocol and the environment of a study, as text for its report."""

import os
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from bakeoff.components.optimizers import find_optimizer
from bakeoff.components.package_models import MODULES, find_package
from bakeoff.data.summary import DatasetSummary
from bakeoff.engines.devices import describe_devices, describe_models
from bakeoff.engines.open import EngineSettings
from bakeoff.engines.protocol import Probed
from bakeoff.own_source import CODE
from bakeoff.ranges import Choice, FloatRange, IntRange, describe_range
from bakeoff.records import StudyConfig, Task
from bakeoff.version import __version__

PACKAGES = ("torch", "torchvision", "optuna", "numpy", "scipy", "torchmetrics")

OUTPUTS: Mapping[Task, str] = {
    "classification": "{} classes",
    "multilabel": "{} labels that each apply or not",
    "segmentation": "one of {} classes for each pixel",
    "regression": "a number",
    "language": "one of {} tokens",
}
"""What the network predicts."""
HOW_SPLIT: Mapping[Task, str] = {
    "classification": "stratified",
    "multilabel": "stratified by sets of labels",
    "segmentation": "at random by image",
    "regression": "at random",
    "language": "the last part",
}
"""How the validation samples are chosen."""
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
"""Headings in the report for keys of `[training]`."""
FACTOR_TITLES: Mapping[str, str] = {
    "layer_decay": "learning rate of a stage, factor from the next",
    "head_factor": "learning rate of the head, factor",
}
"""Headings in the report for the factors of `[finetune]`."""
PATIENCE = "early_stopping_patience"
OWN_LOOP_TITLES = {PATIENCE: TRAINING_TITLES[PATIENCE]}
"""Those that a loop of the user's own follows too."""
DEVICES = "devices per trial"
"""Heading of how several devices train a run together."""
ACCELERATOR = "accelerator"
"""Heading of the models of the devices on which a study was begun."""
HASH_DIGITS = 12
REPEATABLE = (
    "the same with any number of workers: results reach the search in the order in which trials"
    " were scheduled, and at most {} trials are scheduled ahead"
)


def describe_protocol(config: StudyConfig, summary: DatasetSummary) -> dict[str, str]:
    """Everything that is fixed before the study runs, as text by heading."""
    training, search = config.training, config.search
    params = ", ".join(f"{key} = {value}" for key, value in config.model_params.items())
    model = config.model or "built by the loop"
    settings = TRAINING_TITLES if training.loop is None else OWN_LOOP_TITLES
    return {
        **(_data(config, summary) if config.data.is_given else {"data": "brought by the loop"}),
        "model": f"{model} ({params})" if params else model,
        **describe_finetuning(config),
        **({"loss": training.loss} if training.loop is None else {"own loop": training.loop}),
        "epochs": str(training.epochs),
        "batch size": _setting(config, "batch_size"),
        **{title: _setting(config, name) for name, title in settings.items()},
        "optimizers": ", ".join(search.optimizers),
        "schedulers": ", ".join(search.schedulers),
        **({} if search.lag is None else {"repeatable": REPEATABLE.format(search.lag)}),
        "study seed": str(config.seed),
    }


def _data(config: StudyConfig, summary: DatasetSummary) -> dict[str, str]:
    """The data and how it is split, as text by heading."""
    shape = " x ".join(map(str, summary.input_shape))
    outputs = OUTPUTS[summary.task].format(summary.num_outputs)
    if summary.num_targets > 1:
        outputs = f"{summary.num_targets} numbers, each in units of its deviation"
    return {
        "data": f"{config.data.dataset}, {outputs}, samples of {shape}",
        "split": f"{summary.num_train} training{_imbalance(config)},"
        f" {summary.num_validation} validation ({_how_split(summary)}),"
        f" {summary.num_test} test samples"
        f"{' (split off the training samples)' if summary.test_is_reserved else ''}",
        **({"data as read": "; ".join(summary.notes)} if summary.notes else {}),
        "augmentation": ", ".join(config.data.augment) or "none",
    }


def describe_finetuning(config: StudyConfig) -> dict[str, str]:
    """What differs from training all weights of a fresh model alike, as text by heading."""
    finetune, found = config.finetune, dict[str, str]()
    if finetune.pretrained:
        named = finetune.pretrained
        found["begins with"] = f"weights {named}" if isinstance(named, str) else "default weights"
    until = finetune.unfreeze_epoch
    ends = "" if until is None else f", until epoch {until - 1}"
    if finetune.freeze != "none":
        found["frozen"] = finetune.freeze + ends
    for name, title in FACTOR_TITLES.items():
        searched = config.space.get(f"finetune.{name}")
        value = getattr(finetune, name)
        if isinstance(searched, (FloatRange, IntRange, Choice)):
            found[title] = f"searched, {describe_range(searched)}"
        elif value != 1:
            found[title] = f"{value:g}"
    if finetune.parameter_groups is not None:
        found["parameter groups"] = finetune.parameter_groups + ends
    if config.data.normalize is not None:
        found["normalisation"] = config.data.normalize
    return found


def _how_split(summary: DatasetSummary) -> str:
    return "a set of their own" if summary.validation_is_given else HOW_SPLIT[summary.task]


def _imbalance(config: StudyConfig) -> str:
    ratio = config.data.imbalance
    return "" if ratio is None else f" (long-tailed, largest class {ratio:g} times the smallest)"


def _setting(config: StudyConfig, name: str) -> str:
    """The value of a setting of `[training]`, or the range in which it is searched."""
    searched = config.space.get(f"training.{name}")
    if isinstance(searched, (FloatRange, IntRange, Choice)):
        return f"searched, {describe_range(searched)}"
    value = getattr(config.training, name)
    return "none" if value is None else str(value)


def describe_machine(device: str) -> dict[str, str]:
    """Versions and machine, as text by heading."""
    return {
        "python": platform.python_version(),
        "bakeoff": __version__,
        **{name: _installed(name) for name in PACKAGES},
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "device": device,
    }


def describe_environment(settings: EngineSettings, probed: Probed) -> dict[str, str]:
    """Versions, machine, threads and precision, as text by heading."""
    measured = ", ".join(
        f"{name} {1000 * seconds:.2f} ms" for name, seconds in probed.seconds_per_step.items()
    )
    return {
        **describe_machine(settings.device),
        **describe_accelerators(settings),
        "workers": str(settings.workers),
        "threads per worker": str(settings.threads),
        "precision": f"{probed.precision}: {probed.reason}",
        "seconds per step": measured,
        **({"memory layout": "channels last"} if probed.channels_last else {}),
        **({DEVICES: probed.ranks} if probed.ranks else {}),
        **describe_code(probed.code),
        **probed.weights,
    }


def describe_accelerators(settings: EngineSettings) -> dict[str, str]:
    """The models of the accelerators, and how many there are, as text by heading."""
    models = describe_models(settings.devices)
    if not models:
        return {}
    return {ACCELERATOR: models, "devices": describe_devices(settings.devices)}


def describe_code(code: Mapping[str, str]) -> dict[str, str]:
    """The files of the user's code and the beginnings of their hashes, as text by heading."""
    files = ", ".join(f"{name} ({digest[:HASH_DIGITS]})" for name, digest in sorted(code.items()))
    return {CODE: files} if code else {}


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def component_packages(config: StudyConfig) -> dict[str, str]:
    """Versions of further packages that optimizers and model come from."""
    packages = set[str]()
    for one in config.variants.values():
        optimizers = map(find_optimizer, one.search.optimizers)
        packages |= {spec.package for spec in optimizers if spec.own is None}
        model_package = find_package(one.model)
        packages |= {MODULES.get(model_package, model_package)} if model_package else set()
    return {name: _installed(name) for name in sorted(packages - {"bakeoff", *PACKAGES})}


def _processor() -> str:
    """The processor's model name, or its architecture if the system does not say."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
