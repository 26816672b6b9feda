"""A suite: studies of several workloads, and the rules of thumb that they test."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Measure = Literal["score", "epochs", "diverged", "precision", "loading"]
"""What a rule is about: confirmed test scores; epochs until a target is reached; the share of
random trials that diverge or learn nothing; or seconds of a training step by precision, or of
loading an epoch by the number of loader processes."""
TIMED: tuple[Measure, ...] = ("precision", "loading")
"""Measures that are timed on a workload, without its study."""
RATIOS: tuple[Measure, ...] = ("epochs", *TIMED)
"""Measures whose effect is a ratio, B over A: how many times as fast A is."""
RuleVerdict = Literal["confirmed", "refuted", "not_shown", "not_tested"]


@dataclass(frozen=True, kw_only=True)
class Workload:
    """A model on data, which one study file describes."""

    name: str
    file: Path
    """Its study file."""
    title: str = ""
    """Model and data in a few words."""
    pretrain: Path | None = None
    """Study file whose first optimizer trains the weights that this study fine-tunes."""


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """The mean over some arms against the mean over others."""

    name: str
    a: tuple[str, ...]
    b: tuple[str, ...] = ()
    """Empty: all arms of the study that are not in `a`."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A rule of thumb, the contrast that tests it, and what decides it.

    The effect is positive where the rule is right: a difference of scores in standard deviations
    over seeds, a ratio of times, or a difference of shares.
    """

    name: str
    says: str
    workloads: tuple[str, ...] = ()
    measure: Measure = "score"
    contrast: Contrast | None = None
    """None for a rule that is not tested."""
    confirmed_above: float = 0.0
    """The rule is confirmed if the effect is shown to be larger."""
    refuted_below: float = 0.0
    """It is refuted if the effect is shown to be smaller."""
    not_tested: str = ""
    """Why the suite does not test it; empty if it does."""
    remark: str = ""
    """How the contrast stands for the rule."""


@dataclass(frozen=True, kw_only=True)
class Suite:
    """Workloads and the rules that they test."""

    name: str
    question: str
    repeats: int
    """Searches of every arm of every study."""
    workloads: tuple[Workload, ...]
    rules: tuple[Rule, ...]

    @property
    def studied(self) -> tuple[Workload, ...]:
        """The workloads whose studies some tested rule needs; the others are at most timed."""
        needed = {
            name for rule in self.tested if rule.measure not in TIMED for name in rule.workloads
        }
        return tuple(one for one in self.workloads if one.name in needed)

    @property
    def tested(self) -> tuple[Rule, ...]:
        """The rules that the suite tests; they share an error rate."""
        return tuple(rule for rule in self.rules if rule.contrast is not None)


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Repeated measurements of one workload, A and B in turns."""

    workload: str
    measure: Measure
    a: str
    b: str
    a_seconds: tuple[float, ...]
    """[R]"""
    b_seconds: tuple[float, ...]
    """[R]"""
    environment: Mapping[str, str] = field(default_factory=dict)
    why_not: str = ""
    """Why it could not be measured on this machine; then there are no seconds."""
    settings: str = ""
    """SHA-256 of the settings of the workload's study."""


@dataclass(frozen=True, kw_only=True)
class WorkloadEffect:
    """The effect of a rule's contrast on one workload."""

    rule: str
    workload: str
    effects: tuple[float, ...] = ()
    """One for each search, or for each measurement, [R]; logarithms where it is a ratio."""
    mean: float = float("nan")
    """Mean of `effects`; again a ratio where it is one."""
    a_value: float = float("nan")
    """Mean over A: test score, epochs to the target, share of diverged trials or seconds."""
    b_value: float = float("nan")
    scale: float = float("nan")
    """Standard deviation of a test score over seeds, by which differences were divided."""
    unit: str = ""
    """Of `a_value` and `b_value`."""
    why_not: str = ""
    """Why the workload does not count; empty if it does."""
    weakened_by: tuple[str, ...] = ()
    """Flags that make any claim about these arms provisional."""


@dataclass(frozen=True, kw_only=True)
class RuleFinding:
    """What the workloads say of a rule."""

    rule: Rule
    verdict: RuleVerdict
    sentence: str
    effects: tuple[WorkloadEffect, ...] = ()
    effect: float = float("nan")
    """Mean over workloads, in the unit of the rule."""
    ci: tuple[float, float] = (float("nan"), float("nan"))
    """95 %, for this rule alone."""
    p: float = float("nan")
    p_holm: float = float("nan")
    """Corrected for all rules that the suite tests."""
    tests_workloads: bool = False
    """Whether workloads are the units of the test; otherwise searches or measurements are."""
    num_units: int = 0
    provisional: tuple[str, ...] = ()
    """What makes the verdict provisional, each with its workload."""

    @property
    def unit(self) -> Literal["workload", "search", "measurement"]:
        """What the test counts."""
        if self.tests_workloads:
            return "workload"
        return "measurement" if self.rule.measure in TIMED else "search"

    @property
    def word(self) -> str:
        """The verdict as tables show it."""
        text = self.verdict.replace("_", " ")
        decided = self.verdict in {"confirmed", "refuted"}
        return f"provisionally {text}" if self.provisional and decided else text


@dataclass(frozen=True, kw_only=True)
class SuiteFindings:
    """What a suite found: all that its report may say."""

    suite: Suite
    rules: tuple[RuleFinding, ...]
    headline: str
    notes: tuple[str, ...]
    commit: str = ""
    """The git commit of the suite's folder."""
