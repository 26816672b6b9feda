"""Reads a suite file: workloads, each a study file, and the rules of thumb that they test."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bakeoff.errors import StudyFileError, describe_unknown, one_line
from bakeoff.records import TIMED, Contrast, Measure, Precision, Rule, StudyConfig, Suite, Workload
from bakeoff.studyfile import STUDY_NAME, load_study, read_toml, study_arms

MAX_SHOWN = 80
PRECISIONS = tuple(name for name in get_args(Precision) if name != "auto")
MOST_PROCESSES = 64


class _Section(BaseModel):
    model_config = ConfigDict(
        strict=True, allow_inf_nan=False, use_attribute_docstrings=True, extra="forbid"
    )


class SuiteSection(_Section):
    """The suite as a whole."""

    name: str
    """Name of the suite and of its folder of results."""
    question: str
    """The title of its report."""
    repeats: Annotated[int, Field(ge=1, le=100)] = 3
    """Searches of every arm, in place of what the study files say."""


class WorkloadTable(_Section):
    """A model on data."""

    study: str
    """Its study file, relative to the suite file."""
    title: str = ""
    """Model and data in a few words. Default: those of the study."""
    pretrain: str | None = None
    """Study file that trains the weights which this study fine-tunes. Default: none."""


class ContrastTable(_Section):
    """What is compared: arms of the studies, or for times precisions or numbers of processes."""

    a: Annotated[list[str], Field(min_length=1)]
    """What the rule recommends."""
    b: list[str] = []
    """What it is compared with. Default: all other arms of the study."""


class RuleTable(_Section):
    """A rule of thumb and what decides it."""

    says: str
    """The rule as a sentence."""
    workloads: list[str] = []
    """The workloads that it concerns."""
    measure: Measure = "score"
    """What is compared: score, epochs, diverged, precision or loading."""
    contrast: str | None = None
    """The contrast that tests it, by its name."""
    confirmed_above: float | None = None
    """The rule is confirmed if the effect is shown to be larger. Default: no effect."""
    refuted_below: float | None = None
    """The rule is refuted if the effect is shown to be smaller. Default: as confirmed_above."""
    not_tested: str = ""
    """Why it is not tested. Default: it is."""
    remark: str = ""
    """How the contrast stands for the rule."""


class SuiteFile(_Section):
    """A suite file, as written."""

    suite: SuiteSection
    workloads: Annotated[dict[str, WorkloadTable], Field(min_length=1)]
    contrasts: dict[str, ContrastTable] = {}
    rules: Annotated[dict[str, RuleTable], Field(min_length=1)]


def load_suite(path: Path) -> Suite:
    """The suite of a TOML file, with the arms of every contrast looked up in its studies.

    No data is read, and nothing that a study refers to is imported.

    Raises:
        StudyFileError: The suite file or one of its study files is wrong; the message names it.
    """
    try:
        return _resolve(SuiteFile.model_validate(read_toml(path)), path.parent)
    except ValidationError as error:
        raise StudyFileError(f"{path}: {one_line(_describe(error))}") from None
    except StudyFileError as error:
        raise StudyFileError(f"{path}: {error}") from None


def load_workload(workload: Workload, repeats: int, weights: Path | None = None) -> StudyConfig:
    """The study of a workload.

    Args:
        workload: The workload.
        repeats: Searches of every arm.
        weights: The file of pretrained weights, for a workload that has them made.

    Raises:
        StudyFileError: The study file is wrong.
    """
    settings: dict[str, Any] = {"search.repeats": repeats}
    if weights is not None:
        settings["finetune.pretrained"] = str(weights)
    return load_study(workload.file, settings=settings)


def _describe(error: ValidationError) -> str:
    problem = error.errors()[0]
    key = ".".join(map(str, problem["loc"]))
    if problem["type"] == "extra_forbidden":
        return f"{key}: is no key of a suite file"
    if problem["type"] == "missing":
        return f"{key}: is missing"
    message = problem["msg"]
    shown = json.dumps(problem["input"], default=str)[:MAX_SHOWN]
    return f"{key} = {shown}: {message[:1].lower()}{message[1:]}"


def _resolve(file: SuiteFile, folder: Path) -> Suite:
    if not STUDY_NAME.fullmatch(file.suite.name):
        raise StudyFileError(f"suite.name = {file.suite.name!r}: use letters, digits and . _ -")
    workloads = {
        name: Workload(
            name=name,
            file=folder / table.study,
            title=table.title,
            pretrain=None if table.pretrain is None else folder / table.pretrain,
        )
        for name, table in file.workloads.items()
    }
    contrasts = {
        name: Contrast(name=name, a=tuple(table.a), b=tuple(table.b))
        for name, table in file.contrasts.items()
    }
    suite = Suite(
        name=file.suite.name,
        question=file.suite.question,
        repeats=file.suite.repeats,
        workloads=tuple(workloads.values()),
        rules=tuple(_rule(name, table, workloads, contrasts) for name, table in file.rules.items()),
    )
    _check_studies(suite)
    return suite


def _rule(
    name: str,
    table: RuleTable,
    workloads: Mapping[str, Workload],
    contrasts: Mapping[str, Contrast],
) -> Rule:
    key = f"rules.{name}"
    if (table.contrast is None) == (not table.not_tested):
        raise StudyFileError(f"{key}: give either a contrast, or not_tested with the reason")
    for one in table.workloads:
        _check_known(f"{key}.workloads", "workload", one, workloads)
    if table.contrast is not None:
        _check_known(f"{key}.contrast", "contrast", table.contrast, contrasts)
        if not table.workloads:
            raise StudyFileError(f"{key}.workloads: name the workloads that test it")
    null = 1.0 if table.measure in {"epochs", *TIMED} else 0.0
    above = null if table.confirmed_above is None else table.confirmed_above
    below = above if table.refuted_below is None else table.refuted_below
    if below > above or (null and below <= 0):
        raise StudyFileError(
            f"{key}.refuted_below = {below:g}: must be {'above 0 and ' if null else ''}at most"
            f" confirmed_above = {above:g}"
        )
    return Rule(
        name=name,
        says=table.says,
        workloads=tuple(dict.fromkeys(table.workloads)),
        measure=table.measure,
        contrast=None if table.contrast is None else contrasts[table.contrast],
        confirmed_above=above,
        refuted_below=below,
        not_tested=table.not_tested,
        remark=table.remark,
    )


def _check_known(key: str, kind: str, name: str, known: Iterable[str]) -> None:
    if name not in known:
        raise StudyFileError(f"{key}: {describe_unknown(kind, name, known)}")


def _check_studies(suite: Suite) -> None:
    """Make sure that the studies are valid and differ by name, and have the arms of their rules."""
    arms: dict[str, tuple[str, ...]] = {}
    names: dict[str, str] = {}
    for workload in suite.workloads:
        config = load_workload(workload, suite.repeats)
        if config.name in names:
            raise StudyFileError(
                f"workloads.{workload.name}: its study is called {config.name!r}, as that of"
                f" {names[config.name]!r} is"
            )
        names[config.name] = workload.name
        arms[workload.name] = tuple(study_arms(config))
        if workload.pretrain is not None:
            load_study(workload.pretrain, settings={})
    for rule in suite.tested:
        _check_contrast(rule, arms)


def _check_contrast(rule: Rule, arms: Mapping[str, tuple[str, ...]]) -> None:
    contrast = rule.contrast
    if contrast is None:
        return
    key = f"contrasts.{contrast.name}"
    if rule.measure in TIMED:
        allowed = (
            PRECISIONS if rule.measure == "precision" else tuple(map(str, range(MOST_PROCESSES)))
        )
        if len(contrast.a) != 1 or len(contrast.b) != 1:
            raise StudyFileError(f"{key}: times of one thing are compared with times of another")
        for one in (*contrast.a, *contrast.b):
            _check_known(key, rule.measure, one, allowed)
        return
    if both := {*contrast.a} & {*contrast.b}:
        raise StudyFileError(f"{key}: {min(both)!r} is on both sides")
    for workload in rule.workloads:
        for one in (*contrast.a, *contrast.b):
            _check_known(f"{key}: workload {workload}", "arm", one, arms[workload])
        if not contrast.b and not {*arms[workload]} - {*contrast.a}:
            raise StudyFileError(f"{key}: workload {workload} has no other arm")
