"""What `[study] objective` means: one metric, or several objectives, of which the first leads."""

import json

from bakeoff.components.metrics import DEFAULT_OBJECTIVES, METRICS
from bakeoff.components.objectives import COSTS, objective_names
from bakeoff.components.samplers import SAMPLERS
from bakeoff.errors import StudyFileError, describe_unknown
from bakeoff.records import Task
from bakeoff.studyfile.schema import MAX_OBJECTIVES, PrunerTable, SearchSection


def resolve_objectives(given: str | list[str] | None, task: Task) -> tuple[str, ...]:
    """The objectives, the leading one first; the task's default where none is given.

    Raises:
        StudyFileError: One is unknown or listed twice, or a cost leads.
    """
    wanted = DEFAULT_OBJECTIVES[task] if given is None else given
    names = [wanted] if isinstance(wanted, str) else wanted
    if not 1 <= len(names) <= MAX_OBJECTIVES:
        raise StudyFileError(
            f"study.objective = {json.dumps(given)}: allowed are one metric, or 1 to"
            f" {MAX_OBJECTIVES} objectives"
        )
    for name in names:
        if name not in objective_names(task):
            kind, known = _of_its_kind(name, names, task)
            raise StudyFileError(f"study.objective: {describe_unknown(kind, name, known)}")
        if names.count(name) > 1:
            raise StudyFileError(f"study.objective: {name!r} is listed twice")
    if names[0] in COSTS:
        example = json.dumps([DEFAULT_OBJECTIVES[task], names[0]])
        raise StudyFileError(
            f"study.objective = {json.dumps(given)}: runs are scored and confirmed by the first"
            f" objective, so it must be a metric and no cost, as in {example}"
        )
    return tuple(names)


def _of_its_kind(name: str, names: list[str], task: Task) -> tuple[str, tuple[str, ...]]:
    """What an unknown name should have been: the first one a metric, others also a cost."""
    if name == names[0]:
        return METRICS[task].kind, METRICS[task].names
    return "objective", objective_names(task)


def check_search(section: SearchSection, objectives: tuple[str, ...]) -> None:
    """Refuse a pruner or a sampler that cannot work towards several objectives.

    Raises:
        StudyFileError: It is asked for; the reason and what is allowed.
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
            f"search.sampler = {json.dumps(section.sampler)}: seeks one objective only; allowed"
            f" with several are {allowed}"
        )
