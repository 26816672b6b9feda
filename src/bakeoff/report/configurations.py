"""A chosen configuration, ready to paste: as study-file TOML and as PyTorch code."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import tomli_w

from bakeoff.ranges import Params, ParamValue
from bakeoff.records import Comparison, StudyRecord
from bakeoff.report.figures.style import printable

TORCH_OPTIMIZERS: Mapping[str, str] = {
    "sgd": "SGD",
    "nesterov": "SGD",
    "adam": "Adam",
    "adamw": "AdamW",
    "rmsprop": "RMSprop",
    "nadam": "NAdam",
    "radam": "RAdam",
    "adamax": "Adamax",
    "adagrad": "Adagrad",
    "adadelta": "Adadelta",
    "adafactor": "Adafactor",
}
"""Class in `torch.optim` of the optimizers that this file can write down."""

OWN_ARGUMENTS: Mapping[str, Mapping[str, str]] = {
    "nesterov": {"nesterov": "True", "momentum": "0.9"}
}
"""Arguments, as Python, that make an optimizer out of its class; recorded ones come before them."""

TORCH_NAMES: Mapping[str, str] = {"learning_rate": "lr", "epsilon": "eps"}
"""torch's names of parameters that it calls otherwise."""

PARAMETER_GROUPS = """\
# no weight decay on norms and biases
groups = [
    {"params": [p for p in model.parameters() if p.ndim >= 2]},
    {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
]"""

WARMUP = """\
def factor(step: int) -> float:
    progress = step / total_steps
    if progress < {warmup}:
        return 0.01 + 0.99 * progress / {warmup}
    progress = (progress - {warmup}) / (1 - {warmup})
    return {factor}

# step it after each optimizer step
scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)"""

NO_WARMUP = """\
def factor(step: int) -> float:
    progress = step / total_steps
    return {factor}

# step it after each optimizer step
scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)"""

FACTORS: Mapping[str, str] = {
    "constant": "1.0",
    "cosine": "0.5 * (1 + math.cos(math.pi * progress))",
    "linear": "1 - progress",
    "step": "{gamma} ** min(math.floor(progress * ({num_drops} + 1) + 1e-9), {num_drops})",
    "multi_step": (
        "{gamma} ** sum(progress + 1e-9 >= at for at in ({first_milestone}, {second_milestone}))"
    ),
    "exponential": "{final_factor} ** progress",
    "polynomial": "(1 - progress) ** {power}",
    "warmup_stable_decay": "min(1.0, (1 - progress) / {decay_fraction})",
}
"""Factor on the learning rate after warm-up, as Python."""

FACTOR_DEFAULTS: Mapping[str, float] = {
    "gamma": 0.1,
    "num_drops": 2,
    "first_milestone": 0.5,
    "second_milestone": 0.75,
    "final_factor": 0.01,
    "power": 1.0,
    "decay_fraction": 0.2,
}
"""What a setting of `FACTORS` is where the study did not record it."""

ONE_ITEM_LIST = re.compile(r"\[\n    (.*),\n\]")

DEFAULT_MOMENTUM: Mapping[str, float] = {
    "adam": 0.9,
    "adamw": 0.9,
    "nadam": 0.9,
    "radam": 0.9,
    "adamax": 0.9,
    "nesterov": 0.9,
}
"""The momentum (or first beta) where it is not 0 and was not recorded."""

MAX_LINE = 88
"""Characters of a line of code that fit into a report, also on paper."""

Settings = Mapping[str, ParamValue]


@dataclass(frozen=True, kw_only=True)
class PastableConfiguration:
    """One arm's chosen configuration as text."""

    arm: str
    toml: str
    """A study file of this configuration alone, for `study train`; its sections, where the study's
    own file is not known; empty for a study that another program made."""
    code: str
    code_title: str = "PyTorch"


def pastable_configurations(comparison: Comparison) -> tuple[PastableConfiguration, ...]:
    """Every arm that has a chosen configuration, in the comparison's order.

    Parameters of another program mean what that program makes of them: they are a dictionary.
    """
    if comparison.study.foreign:
        return tuple(
            PastableConfiguration(
                arm=arm.arm,
                toml="",
                code=_dictionary(arm.chosen_params),
                code_title="Parameters",
            )
            for arm in comparison.arms
            if arm.chosen_params
        )
    return tuple(
        PastableConfiguration(
            arm=arm.arm,
            toml=study_file_toml(arm.chosen_params, comparison.study.study_file),
            code=pytorch_code(arm.chosen_params, comparison.study),
        )
        for arm in comparison.arms
        if arm.chosen_params
    )


def _dictionary(params: Params) -> str:
    lines = "".join(f"    {name!r}: {value!r},\n" for name, value in params.items())
    return f"parameters = {{\n{lines}}}"


def study_file_toml(params: Params, study_file: str = "") -> str:
    """A study file that trains one configuration.

    Args:
        params: The configuration, by full parameter name.
        study_file: The file of the study that found it; without one, only the sections that fix
            `params` are written.
    """
    document: dict[str, dict[str, Any]] = _of_one_run(tomllib.loads(study_file), params)
    for name, value in params.items():
        owner, _, parameter = name.partition(".")
        if not parameter:
            document.setdefault("search", {})[f"{owner}s"] = [value]
        elif owner in {"model", "training"}:
            document.setdefault(owner, {})[parameter] = value
        else:
            space = document.setdefault("space", {})
            space.setdefault(owner, {})[parameter] = value
    if "space" in document:  # tables of tables look best at the end
        document["space"] = document.pop("space")
    return ONE_ITEM_LIST.sub(r"[\1]", tomli_w.dumps(document))


def _of_one_run(document: Mapping[str, Any], params: Params) -> dict[str, dict[str, Any]]:
    """What of a study file says how one run trains; of its spaces, only fixed values in use."""
    study = {
        key: value
        for key, value in document.get("study", {}).items()
        if key not in {"compare", "reference", "delta"}
    }
    used = {str(params.get("optimizer")), str(params.get("scheduler"))}
    fixed = {
        owner: values
        for owner, settings in document.get("space", {}).items()
        if owner in used
        and (values := {name: one for name, one in settings.items() if not isinstance(one, dict)})
    }
    sections = {name: document.get(name, {}) for name in ("data", "model", "training")}
    kept = {"study": study, **sections, "space": fixed}
    return {name: dict(settings) for name, settings in kept.items() if settings}


def settings_of(params: Params, owner: str) -> dict[str, ParamValue]:
    """The parameters that belong to `owner`, without its name in front."""
    prefix = f"{owner}."
    return {
        name.removeprefix(prefix): value
        for name, value in params.items()
        if name.startswith(prefix)
    }


def pytorch_code(params: Params, study: StudyRecord) -> str:
    """Lines that build the optimizer and the schedule; what cannot be built is a comment.

    They expect `torch`, `math`, `model`, and `total_steps`, the optimizer steps of the whole run.
    """
    optimizer, scheduler = str(params.get("optimizer", "")), str(params.get("scheduler", ""))
    parts = [
        _optimizer_code(optimizer, settings_of(params, optimizer)),
        _scheduler_code(scheduler, params, study),
        *(
            _comment(f"{owner}: {settings_of(params, owner)}")
            for owner in ("model", "training")
            if settings_of(params, owner)
        ),
    ]
    return "\n\n".join(part for part in parts if part)


def _optimizer_code(optimizer: str, settings: Settings) -> str:
    if optimizer not in TORCH_OPTIMIZERS or not all(name.isidentifier() for name in settings):
        return _comment(f"optimizer {optimizer or 'not recorded'}: {dict(settings)}")
    arguments = {
        TORCH_NAMES.get(name, name): repr(value)
        for name, value in settings.items()
        if name not in {"beta1", "beta2"}
    }
    if "beta1" in settings or "beta2" in settings:
        arguments["betas"] = repr((settings.get("beta1", 0.9), settings.get("beta2", 0.999)))
    arguments = {**OWN_ARGUMENTS.get(optimizer, {}), **arguments}
    call = f"optimizer = torch.optim.{TORCH_OPTIMIZERS[optimizer]}"
    listed = ["groups", *(f"{name}={value}" for name, value in arguments.items())]
    line = f"{call}({', '.join(listed)})"
    if len(line) > MAX_LINE:
        line = "\n    ".join([f"{call}(", *(f"{one}," for one in listed)]) + "\n)"
    return f"{PARAMETER_GROUPS}\n{line}"


def _scheduler_code(scheduler: str, params: Params, study: StudyRecord) -> str:
    settings = settings_of(params, scheduler)
    warmup = _number(settings, "warmup_fraction", 0.0)
    if scheduler == "constant" and not warmup:
        return "# the learning rate stays constant"
    if scheduler in FACTORS:
        factor = FACTORS[scheduler].format(
            **{name: _number(settings, name, one) for name, one in FACTOR_DEFAULTS.items()}
        )
        return (WARMUP if warmup else NO_WARMUP).format(warmup=warmup, factor=factor)
    if scheduler == "one_cycle":
        return _one_cycle_code(settings, params)
    if scheduler == "plateau" and not warmup:
        return _plateau_code(settings, study)
    return _comment(f"schedule {scheduler or 'not recorded'}: {settings}")


def _one_cycle_code(settings: Settings, params: Params) -> str:
    optimizer = str(params.get("optimizer", ""))
    own = settings_of(params, optimizer)
    momentum = _number(own, "beta1", _number(own, "momentum", DEFAULT_MOMENTUM.get(optimizer, 0.0)))
    lowest = max(0.0, momentum - _number(settings, "momentum_drop", 0.1))
    peak = _number(own, "learning_rate", 0.001)
    cycle = (
        f"base_momentum={lowest:.6g}, max_momentum={momentum:.6g}"
        if momentum
        else "cycle_momentum=False"
    )
    return (
        "# step it after each optimizer step\n"
        "scheduler = torch.optim.lr_scheduler.OneCycleLR(\n"
        f"    optimizer, total_steps=total_steps, max_lr={peak!r},\n"
        f"    pct_start={_number(settings, 'warmup_fraction', 0.3)!r}, {cycle},\n)"
    )


def _plateau_code(settings: Settings, study: StudyRecord) -> str:
    mode = "max" if study.objective.sign > 0 else "min"
    patience = round(_number(settings, "patience_fraction", 0.1) * study.epochs)
    return (
        "# step it after each epoch with the validation score\n"
        "scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(\n"
        f"    optimizer, mode={mode!r}, factor={_number(settings, 'gamma', 0.1)!r},"
        f" patience={patience},\n)"
    )


def _number(settings: Settings, name: str, default: float) -> float:
    """A setting as a number; the default where it is missing or is no number."""
    value = settings.get(name, default)
    return value if isinstance(value, (int, float)) else default


def _comment(text: str) -> str:
    return f"# {printable(text)}"
