"""Checks `[study] objective`: one metric, or several objectives of which the first is a metric."""

import json
import math
from collections.abc import Mapping

from bakeoff.components.metrics import DEFAULT_OBJECTIVES, METRIC_NAMES, METRICS
from bakeoff.components.objectives import COSTS
from bakeoff.components.samplers import SAMPLERS
from bakeoff.errors import StudyFileError
from bakeoff.records import OwnMetric, Task
from bakeoff.registry import is_reference
from bakeoff.studyfile.checks import check_known, check_once
from bakeoff.studyfile.own_loop import resolve_yielded
from bakeoff.studyfile.schema import PrunerTable, SearchSection, StudyFile
from bakeoff.studyfile.value_types import MAX_OBJECTIVES


def resolve_objectives(
    file: StudyFile, task: Task, own: Mapping[str, OwnMetric]
) -> tuple[str, ...]:
    """The objectives, the leading one first; the task's default metric if none is given.

    Args:
        file: The study file.
        task: What the labels are.
        own: The metrics of the user's own that the study file names.

    Raises:
        StudyFileError: An objective is unknown or listed twice, the first one is a cost, or none is
            given in a study without data, which has no task.
    """
    given, has_data = file.study.objective, bool(file.data.dataset)
    if given is None and not has_data:
        raise StudyFileError(
            "study.objective: is missing; name a metric that your loop yields, and describe it as"
            ' in [metrics.NAME] direction = "maximize"'
        )
    names = (
        given if isinstance(given, list) else [DEFAULT_OBJECTIVES[task] if given is None else given]
    )
    if not 1 <= len(names) <= MAX_OBJECTIVES:
        raise StudyFileError(
            f"study.objective = {json.dumps(given)}: allowed are one metric, or 1 to"
            f" {MAX_OBJECTIVES} objectives"
        )
    leading, metrics = names[0], METRICS[task]
    known = (*own, *(metrics.names if has_data else METRIC_NAMES))
    if leading not in COSTS:
        check_known("study.objective", metrics.kind if has_data else "metric", leading, known)
    for name in names[1:]:
        check_known("study.objective", "objective", name, (*known, *COSTS.names))
    for name in (one for one in names if one in own and is_reference(one)):
        _check_meaning(name, own[name], is_leading=name == leading)
    check_once("study.objective", names)
    if leading in COSTS:
        example = json.dumps([DEFAULT_OBJECTIVES[task], leading])
        raise StudyFileError(
            f"study.objective = {json.dumps(given)}: runs are scored and confirmed by the first"
            f" objective, so it must be a metric, not a cost, as in {example}"
        )
    return tuple(names)


def resolve_metrics(file: StudyFile) -> dict[str, OwnMetric]:
    """What the study file says about the user's own metrics, by the names that it gives them.

    Raises:
        StudyFileError: A name is no reference, or a table is not used or wrong.
    """
    if file.training.loop is not None:
        return resolve_yielded(file)
    for name in file.metrics:
        if not is_reference(name):
            raise StudyFileError(
                f"metrics.{name}: describes what a loop of your own yields; set training.loop"
            )
    for name in file.training.metrics:
        if not is_reference(name):
            raise StudyFileError(
                f"training.metrics = {json.dumps(name)}: write package.module:name; the metrics of"
                " the task are always recorded"
            )
    check_once("training.metrics", file.training.metrics)
    given = file.study.objective
    objectives = given if isinstance(given, list) else [given]
    named = [name for name in objectives if name is not None and is_reference(name)]
    used = dict.fromkeys([*named, *file.training.metrics])
    for name in file.metrics:
        check_known(f"metrics.{name}", "metric of your own in this study", name, used)
    return {
        name: OwnMetric(**file.metrics[name].model_dump()) if name in file.metrics else OwnMetric()
        for name in used
    }


def _check_meaning(name: str, said: OwnMetric, *, is_leading: bool) -> None:
    """An objective of the user's own has a direction, and the leading one a value to begin from."""
    missing = [
        key
        for key in ("direction", *(["untrained"] if is_leading else []))
        if getattr(said, key) is None
    ]
    if missing:
        raise StudyFileError(
            f"study.objective = {json.dumps(name)}: needs {' and '.join(missing)} under"
            f" [metrics.{json.dumps(name)}]"
        )
    low = -math.inf if said.low is None else said.low
    high = math.inf if said.high is None else said.high
    if said.untrained is not None and not low <= said.untrained <= high:
        raise StudyFileError(
            f"metrics.{name}.untrained = {said.untrained:g}: must be from low to high"
        )


def check_search(section: SearchSection, objectives: tuple[str, ...]) -> None:
    """Refuse a pruner or a sampler that does not support several objectives.

    Raises:
        StudyFileError: The study has one; the message says why and what is allowed.
    """
    if len(objectives) == 1:
        return
    given = section.pruner
    pruner = given.name if isinstance(given, PrunerTable) else given
    if "pruner" in section.model_fields_set and pruner != "none":
        raise StudyFileError(
            f"search.pruner = {json.dumps(pruner)}: with several objectives nothing is pruned,"
            ' because a trial that is behind in one may lead in another; allowed is "none"'
        )
    if not SAMPLERS[section.sampler].several_objectives:
        allowed = ", ".join(spec.name for spec in SAMPLERS if spec.several_objectives)
        raise StudyFileError(
            f"search.sampler = {json.dumps(section.sampler)}: supports one objective only;"
            f" allowed with several are {allowed}"
        )
