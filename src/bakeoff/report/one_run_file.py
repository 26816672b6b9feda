"""A chosen configuration as a study file of one run, for `study train`."""

import re
import tomllib
from collections.abc import Mapping
from typing import Any

import tomli_w

from bakeoff.ranges import Params, split_name
from bakeoff.studyfile.arm_parameters import SHARED_OWNERS
from bakeoff.studyfile.named_arms import ARMS, document_of_arm

ONE_ITEM_LIST = re.compile(r"\[\n    (.*),\n\]")


def study_file_toml(params: Params, study_file: str = "", arm: str = "") -> str:
    """A study file that trains one configuration.

    Args:
        params: The configuration, by full parameter name.
        study_file: The file of the study that found it. If it is empty, only the sections that fix
            `params` are written.
        arm: The arm that it belongs to; it matters where the study names its arms.
    """
    study = tomllib.loads(study_file)
    if ARMS in study:
        study = document_of_arm(study, arm)
    document: dict[str, dict[str, Any]] = _of_one_run(study, params)
    for name, value in params.items():
        owner, parameter = split_name(name)
        if not owner:
            document.setdefault("search", {})[f"{parameter}s"] = [value]
        elif owner in SHARED_OWNERS:
            document.setdefault(owner, {})[parameter] = value
        else:
            space = document.setdefault("space", {})
            space.setdefault(owner, {})[parameter] = value
    if "space" in document:  # tables of tables look best at the end
        document["space"] = document.pop("space")
    return ONE_ITEM_LIST.sub(r"[\1]", tomli_w.dumps(document))


def _of_one_run(document: Mapping[str, Any], params: Params) -> dict[str, dict[str, Any]]:
    """The settings that affect a single run, with only the fixed values of its search space."""
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
    sections = {name: document.get(name, {}) for name in ("data", "metrics", *SHARED_OWNERS)}
    kept = {"study": study, **sections, "space": fixed}
    return {name: dict(settings) for name, settings in kept.items() if settings}
