"""A run under way, and what is stored of it when it has ended."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from bakeoff.components.divergence import describe_divergence
from bakeoff.components.metrics import scored_epoch
from bakeoff.components.objectives import further_scores
from bakeoff.records import EpochResult, Outcome, StudyConfig, TrialPlan, TrialRecord
from bakeoff.storage import StudyFacts

CUTS: Mapping[str, str] = {
    "time_up": "the time for the search was up",
    "budget_used": "the seconds of its arm were spent",
}
"""Decisions that stop a run for no reason of its own."""


@dataclass
class Run:
    """A run under way, or about to be."""

    name: str
    plan: TrialPlan
    number: int
    trial_id: int
    stored: Mapping[int, float]
    """Objective by epoch, as an earlier session stored it."""
    history: list[EpochResult] = field(default_factory=list)
    attempt: int = 1
    """One more than the workers it has lost, those of earlier sessions included."""
    note: str = ""
    is_held: bool = False
    """Whether the source decided that it pauses until it is promoted."""
    cut_by: str = ""
    """Why it stops although nothing is wrong with it; see `CUTS`."""
    is_promoted: bool = False
    """Whether it was promoted while its worker was still about to pause."""
    exempted_at: int | None = None
    """Epoch after which it would have been pruned."""

    def remember(self, objective: str) -> None:
        """Take what was told for stored, because the epochs will be told again."""
        told = {one.epoch: one.metrics.get(objective, math.nan) for one in self.history}
        finite = {epoch: value for epoch, value in told.items() if math.isfinite(value)}
        self.stored = {**self.stored, **finite}


def record_of(
    run: Run,
    config: StudyConfig,
    facts: StudyFacts,
    outcome: Outcome,
    *,
    reason: str = "",
    test_metrics: Mapping[str, float] | None = None,
) -> TrialRecord:
    """What is known of a run that has ended with `outcome`."""
    reasons = (reason, _stop_reason(run, config, outcome), run.note)
    return TrialRecord(
        number=run.number,
        arm=run.plan.arm,
        params=run.plan.params,
        outcome=outcome,
        score=_score(run, config, facts, outcome),
        further_scores=_further_scores(run, config, facts, outcome),
        seed=run.plan.seed,
        phase=run.plan.phase,
        purpose=run.plan.purpose,
        configuration=run.plan.configuration,
        history=tuple(run.history),
        epochs_planned=config.training.epochs,
        test_metrics=test_metrics or {},
        stop_reason="; ".join(filter(None, reasons)),
        attempts=run.attempt,
        audited=run.plan.audited,
        exempted_at=run.exempted_at,
        decision_epochs=run.plan.decision_epochs,
    )


def _score(run: Run, config: StudyConfig, facts: StudyFacts, outcome: Outcome) -> float | None:
    if outcome == "diverged":
        return facts.chance_score
    if outcome not in ("complete", "pruned"):
        return None
    scored = scored_epoch(run.history, facts.metric, config.score_rule)
    return scored.metrics[config.objective] if scored is not None else None


def _further_scores(
    run: Run, config: StudyConfig, facts: StudyFacts, outcome: Outcome
) -> dict[str, float]:
    scored = scored_epoch(run.history, facts.metric, config.score_rule)
    if outcome != "complete" or scored is None:
        return dict.fromkeys(config.further_objectives, math.nan)
    return further_scores(config.further_objectives, run.history, scored)


def _stop_reason(run: Run, config: StudyConfig, outcome: Outcome) -> str:
    if outcome == "pruned" and run.cut_by:
        return f"{CUTS[run.cut_by]} after epoch {run.history[-1].epoch}"
    if outcome == "pruned":
        return f"behind its cohort at epoch {run.history[-1].epoch}"
    if outcome == "diverged":
        return describe_divergence(run.history[-1])
    if run.history and run.history[-1].status == "early_stopped":
        return f"no better epoch for {config.training.early_stopping_patience} epochs"
    return ""
