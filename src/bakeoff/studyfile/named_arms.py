"""The section `[arms]`: arms by name, each with the settings that it has of its own.

An arm is resolved as a study of its own: the study file with the arm's table on top of it.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from bakeoff.errors import StudyFileError, describe_unknown
from bakeoff.records import NamedArm, StudyConfig
from bakeoff.studyfile.documents import merged
from bakeoff.studyfile.schema import FinetuneSection
from bakeoff.studyfile.written import study_document

ARMS = "arms"
SAME_BUDGET = "all arms have the same budget"
SAME_SEARCH = "all arms are searched and confirmed in the same way, or none could be called better"
SAME_DATA = "all arms train on the same samples and are scored on the same ones"
REFUSED: Mapping[str, str] = {
    "study": "the study has one name, seed and objective",
    "metrics": "all arms are scored by the same metrics",
    "confirm": SAME_SEARCH,
    "tracking": "all arms are logged in the same way",
    ARMS: "an arm has no arms",
    "training.epochs": SAME_BUDGET,
    "training.early_stopping_patience": SAME_BUDGET,
    "training.precision": "all arms compute in the same precision",
    "training.threads": "all arms compute with the same threads",
    "training.devices_per_trial": "all arms train on equally many devices",
    "training.metrics": "all arms record the same metrics",
    "training.loop": "all arms train with the same loop",
}
"""Sections and keys that an arm cannot have, and why."""
ALLOWED: Mapping[str, tuple[str, ...] | None] = {
    "model": None,
    "finetune": None,
    "training": None,
    "space": None,
    "data": ("augment", "normalize"),
    "search": ("optimizers", "schedulers"),
}
"""Sections that an arm can have, with their keys; None for all keys but those above."""
UNNAMED_NORMALIZE = "data"
"""How inputs are normalised where a study file does not say and no weights are pretrained."""
FINETUNE_DEFAULTS = {
    name: field.default
    for name, field in FinetuneSection.model_fields.items()
    if field.default is not None
}


def check_tables(tables: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
    """Make sure that the arms have settings of their own only where they may differ.

    Raises:
        StudyFileError: There is a single arm, or one has a key that must be the same in all arms.
    """
    if len(tables) == 1:
        raise StudyFileError(f"arms: only {next(iter(tables))!r}; name two or more to compare")
    for name, table in tables.items():
        for section, settings in table.items():
            _check_section(f"arms.{name}", section, settings)


def _check_section(arm: str, section: str, settings: Mapping[str, Any]) -> None:
    if section in REFUSED:
        raise StudyFileError(f"{arm}.{section}: cannot differ between arms; {REFUSED[section]}")
    if section not in ALLOWED:
        raise StudyFileError(f"{arm}.{section}: {describe_unknown('section', section, ALLOWED)}")
    keys = ALLOWED[section]
    for key in settings:
        reason = REFUSED.get(f"{section}.{key}")
        if keys is not None and key not in keys:
            reason = SAME_DATA if section == "data" else SAME_SEARCH
        if reason is not None:
            raise StudyFileError(f"{arm}.{section}.{key}: cannot differ between arms; {reason}")


def document_of_arm(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The study file of one arm alone.

    A model that the arm names replaces the whole section `[model]`, because parameters of another
    model mean nothing to it. Spaces of optimizers and schedules that the arm does not use are left
    out.

    Args:
        document: The study file of the whole study.
        name: One of its arms.
    """
    own = document[ARMS][name]
    below = {key: value for key, value in document.items() if key != ARMS}
    below["study"] = {
        key: value for key, value in below["study"].items() if key not in {"compare", "reference"}
    }
    if "model" in own.get("model", {}):
        below["model"] = {}
    whole = merged(below, own)
    search = whole.get("search", {})
    used = {*search.get("optimizers", ()), *search.get("schedulers", ()), *own.get("space", {})}
    if "space" in whole:
        whole["space"] = {key: value for key, value in whole["space"].items() if key in used}
    return whole


def named_arm(arm: StudyConfig, study: StudyConfig) -> NamedArm:
    """What an arm may have of its own, from the study that its file alone describes.

    Args:
        arm: That study.
        study: The study as it stands, which decides about everything else.

    Raises:
        StudyFileError: The arm chooses among optimizers, and one of them has schedules of its own.
    """
    optimizers = arm.search.optimizers
    for name in optimizers if len(optimizers) > 1 else ():
        if f"{name}.scheduler" in arm.space:
            raise StudyFileError(
                f"space.{name}.scheduler: goes only with an arm of a single optimizer, and this one"
                f" chooses among {', '.join(optimizers)}"
            )
    if arm.data.tokenizer != study.data.tokenizer:
        raise StudyFileError(
            "model.model: its texts have another tokenizer, so the samples would differ; name one"
            " by data.tokenizer for all arms"
        )
    return NamedArm(
        augment=arm.data.augment,
        normalize=arm.data.normalize,
        model=arm.model,
        model_params=arm.model_params,
        finetune=arm.finetune,
        training=arm.training,
        optimizers=optimizers,
        schedulers=arm.search.schedulers,
        space=arm.space,
    )


def check_losses(config: StudyConfig) -> None:
    """Refuse to compare arms by their losses where these are not the same.

    Raises:
        StudyFileError: An objective is the loss, and the arms train with different ones.
    """
    if "loss" not in (config.objective, *config.further_objectives):
        return
    losses = {name: arm.training.loss for name, arm in config.arms.items()}
    if {*losses.values()} - {config.training.loss}:
        shown = ", ".join(f"{name}: {loss}" for name, loss in losses.items())
        raise StudyFileError(
            f"study.objective = 'loss': the arms train with different losses ({shown}), and values"
            " of different losses cannot be compared; choose another objective"
        )


def arm_tables(config: StudyConfig) -> dict[str, dict[str, Any]]:
    """The section `[arms]` of a study: what differs from the study as it stands."""
    below = study_document(config)
    return {name: _table(study_document(config.of_arm(name)), below) for name in config.arms}


def _table(arm: Mapping[str, Any], below: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if arm["model"] != below["model"]:
        found["model"] = arm["model"]
    before = _shared(below)
    for (section, key), value in _shared(arm).items():
        if section != "model" and before.get((section, key)) != value:
            # only how inputs are normalised can be None, which TOML has not
            found.setdefault(section, {})[key] = UNNAMED_NORMALIZE if value is None else value
    for key in ("optimizers", "schedulers"):
        if arm["search"][key] != below["search"][key]:
            found.setdefault("search", {})[key] = arm["search"][key]
    space = {
        owner: settings
        for owner, settings in arm["space"].items()
        if settings != below["space"].get(owner)
    }
    return found | ({"space": space} if space else {})


def _shared(document: Mapping[str, Any]) -> dict[tuple[str, str], Any]:
    """The settings by section and key that concern no optimizer or schedule, defaults included."""
    data = document.get("data", {})
    sections = {
        "data": {key: data.get(key) for key in ALLOWED["data"] or ()},
        "model": document["model"],
        "finetune": {**FINETUNE_DEFAULTS, **document.get("finetune", {})},
        "training": document["training"],
    }
    return {
        (section, key): value
        for section, settings in sections.items()
        for key, value in settings.items()
        if f"{section}.{key}" not in REFUSED
    }


def arm_settings(config: StudyConfig) -> dict[str, dict[str, str]]:
    """Each named arm's values of the settings in which the arms differ, as text by key.

    What an arm searches is left out, because each of its configurations names it.
    """
    found = {
        name: {
            f"{section}.{key}": value
            for (section, key), value in _shared(study_document(config.of_arm(name))).items()
        }
        for name in config.arms
    }
    keys = dict.fromkeys(key for settings in found.values() for key in settings)
    differ = [
        key
        for key in keys
        if any(one.get(key) != other.get(key) for one, other in pairwise(found.values()))
    ]
    return {
        name: {
            key: _text(key, settings.get(key))
            for key in differ
            # parameters of another model mean nothing to this one
            if not isinstance(settings.get(key), dict)
            and (key in settings or not key.startswith("model."))
        }
        for name, settings in found.items()
    }


def _text(key: str, value: Any) -> str:
    """A value as text; None where a study file says nothing."""
    if value is None:
        return UNNAMED_NORMALIZE if key == "data.normalize" else "none"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or "none"
    return str(value).lower() if isinstance(value, bool) else str(value)
