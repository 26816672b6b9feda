"""A chosen configuration, ready to paste: as a study file and as PyTorch code."""

import re
from dataclasses import dataclass

from bakeoff.ranges import Params
from bakeoff.records import ArmSummary, Comparison, StudyRecord
from bakeoff.report.one_run_file import study_file_toml
from bakeoff.report.pytorch_code import pytorch_code
from bakeoff.report.training_script import training_script

FOLDER = "configurations"
"""The folder of a report that has each configuration as files."""
UNSAFE = re.compile(r"[^A-Za-z0-9._+-]+")
MAX_NAME = 60


@dataclass(frozen=True, kw_only=True)
class PastableConfiguration:
    """One arm's chosen configuration, or its library defaults, as text."""

    arm: str
    name: str
    """Name of its files, without the suffix; unique in a report."""
    toml: str
    """A study file of this configuration alone, for `study train`. It has only the sections that
    fix parameters if the study's own file is not known, and is empty for a study that another
    program made."""
    code: str
    is_program: bool
    """Whether `code` is a whole program; otherwise it is only the optimizer and the schedule, or
    the parameters of a study that another program made."""
    code_title: str
    is_default: bool = False
    """Whether these are the library defaults of the arm instead of what the search found."""

    @property
    def files(self) -> dict[str, str]:
        """What is written next to the report: name and content."""
        texts = {f"{self.name}.toml": self.toml, f"{self.name}.py": self.code}
        return {f"{FOLDER}/{name}": text.strip() + "\n" for name, text in texts.items() if text}

    @property
    def train_file(self) -> str:
        """The study file for `study train`, in the report's folder; empty where there is none."""
        return f"{FOLDER}/{self.name}.toml" if self.is_program else ""


def pastable_configurations(comparison: Comparison) -> tuple[PastableConfiguration, ...]:
    """The chosen configuration of every arm that has one, then the defaults that were confirmed.

    Arms are in the comparison's order. Only another program knows what the parameters of its own
    study mean, so those are written as a dictionary.
    """
    study = comparison.study
    chosen = [(arm.arm, arm.chosen_params, False) for arm in comparison.arms]
    defaults = [
        (arm.arm, default_params(arm, study), True)
        for arm in comparison.arms
        if arm.default_confirmed
    ]
    given = [one for one in (*chosen, *defaults) if one[1]]
    names = _file_names([f"{arm}-defaults" if default else arm for arm, _, default in given])
    return tuple(
        _pastable(arm, name, params, study, is_default=is_default)
        for (arm, params, is_default), name in zip(given, names, strict=True)
    )


def default_params(arm: ArmSummary, study: StudyRecord) -> Params:
    """The parameters of the arm's library defaults; empty if no run of them is stored."""
    runs = (*study.confirmations, *study.trials)
    return next(
        (
            run.params
            for run in runs
            if run.arm == arm.arm and "default" in (run.purpose, run.phase)
        ),
        {},
    )


def _pastable(
    arm: str, name: str, params: Params, study: StudyRecord, *, is_default: bool
) -> PastableConfiguration:
    program = training_script(params, study, arm)
    if study.foreign:
        toml, code, title = "", _dictionary(params), "Parameters"
    else:
        toml = study_file_toml(params, study.study_file, arm)
        code = program or pytorch_code(params, study)
        title = "PyTorch, a whole program" if program else "PyTorch, optimizer and schedule"
    return PastableConfiguration(
        arm=arm, name=name, toml=toml, code=code, is_program=bool(program), code_title=title,
        is_default=is_default,
    )  # fmt: skip


def _file_names(titles: list[str]) -> list[str]:
    """A name that every file system takes for each title; equal names are numbered."""
    names: list[str] = []
    for title in titles:
        plain = UNSAFE.sub("-", title).strip("-.")[:MAX_NAME] or "arm"
        taken = {name.lower() for name in names}
        numbered = (f"{plain}-{number}" for number in range(2, len(names) + 3))
        names.append(next(one for one in (plain, *numbered) if one.lower() not in taken))
    return names


def _dictionary(params: Params) -> str:
    lines = "".join(f"    {name!r}: {value!r},\n" for name, value in params.items())
    return f"parameters = {{\n{lines}}}"
