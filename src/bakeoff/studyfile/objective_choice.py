"""Checks `[study] objective`: one metric, or several objectives of which the first is a metric."""

import json

from bakeoff.components.metrics import DEFAULT_OBJECTIVES, METRIC_NAMES, METRICS
from bakeoff.components.objectives import COSTS
from bakeoff.components.samplers import SAMPLERS
from bakeoff.errors import StudyFileError
from bakeoff.records import Task
from bakeoff.studyfile.checks import check_known, check_once
from bakeoff.studyfile.schema import MAX_OBJECTIVES, PrunerTable, SearchSection, StudyFile


def resolve_objectives(file: StudyFile, task: Task) -> tuple[str, ...]:
    """The objectives, the leading one first; the task's default metric if none is given.

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
    known = (*file.metrics, *(metrics.names if has_data else METRIC_NAMES))
    if leading not in COSTS:
        check_known("study.objective", metrics.kind if has_data else "metric", leading, known)
    for name in names[1:]:
        check_known("study.objective", "objective", name, (*known, *COSTS.names))
    check_once("study.objective", names)
    if leading in COSTS:
        example = json.dumps([DEFAULT_OBJECTIVES[task], leading])
        raise StudyFileError(
            f"study.objective = {json.dumps(given)}: runs are scored and confirmed by the first"
            f" objective, so it must be a metric, not a cost, as in {example}"
        )
    return tuple(names)


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
