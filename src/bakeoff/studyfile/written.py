"""A study as the document of a study file, with every default written out."""

from typing import Any

from bakeoff.ranges import Choice, FloatRange, IntRange, split_name
from bakeoff.records import DataConfig, StudyConfig, as_plain
from bakeoff.studyfile.arm_parameters import SHARED_OWNERS, Setting
from bakeoff.studyfile.finetune import changed_keys


def study_document(config: StudyConfig) -> dict[str, Any]:
    """The sections of the study without its named arms; keys without a value are left out."""
    search = as_plain(config.search)
    pruner_params = search.pop("pruner_params")
    if pruner_params:
        search["pruner"] = {"name": config.search.pruner, **pruner_params}
    search["repeatable"] = None if config.search.lag is None else True
    objectives = [config.objective, *config.further_objectives]
    document: dict[str, dict[str, Any]] = {
        "study": {
            "name": config.name,
            "question": config.question,
            "seed": config.seed,
            "objective": objectives if len(objectives) > 1 else config.objective,
            "score": config.score_rule,
            "compare": list(config.compare) or None,
            "delta": config.delta,
            "reference": config.reference,
        },
        **({"data": _data_section(config.data)} if config.data.is_given else {}),
        "model": {
            "model": config.model or None,
            **config.model_params,
            "parameter_groups": config.finetune.parameter_groups,
        },
        "finetune": changed_keys(config.finetune),
        "training": as_plain(config.training),
        "metrics": {name: as_plain(said) for name, said in config.metrics.items()},
        "search": search,
        "space": {},
        "confirm": as_plain(config.confirm),
        "tracking": as_plain(config.tracking),
    }
    # What is left out here has a default, so that studies stored without it keep their fingerprint.
    for section in ("search", "confirm"):
        if document[section]["arithmetic"] == "auto":
            del document[section]["arithmetic"]
    if config.training.devices_per_trial == 1:
        del document["training"]["devices_per_trial"]
    if not config.metrics:
        del document["training"]["metrics"], document["metrics"]
    for name, setting in config.space.items():
        owner, parameter = split_name(name)
        is_shared = owner in SHARED_OWNERS
        table = document[owner] if is_shared else document["space"].setdefault(owner, {})
        table[parameter] = _plain_setting(setting)
    if not document["finetune"]:
        del document["finetune"]
    found: dict[str, Any] = _without_none(document)
    return found


def _data_section(data: DataConfig) -> dict[str, Any]:
    """The keys of `[data]`; a share to validate on does not go with a set of its own."""
    section: dict[str, Any] = as_plain(data)
    if data.validation is not None:
        del section["validation_fraction"]
    return section


def _plain_setting(setting: Setting) -> Any:
    if isinstance(setting, Choice):
        return {"choices": list(setting.choices)}
    if isinstance(setting, (FloatRange, IntRange)):
        step = {"step": setting.step} if isinstance(setting, IntRange) and not setting.log else {}
        # only where it is set, so that studies stored without it keep their fingerprint
        is_from_one = isinstance(setting, FloatRange) and setting.log_from_one
        scale = {"log_from_one": True} if is_from_one else {"log": setting.log}
        return {"low": setting.low, "high": setting.high, **scale, **step}
    return setting


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return value
