"""A run that is being trained, and the record that is stored when it ends."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from bakeoff.components.metrics import scored_epoch
from bakeoff.components.objectives import further_scores
from bakeoff.records import (
    NO_LOSSES,
    EpochResult,
    Losses,
    Outcome,
    StudyConfig,
    TrialPlan,
    TrialRecord,
)
from bakeoff.storage import StudyFacts

CUTS: Mapping[str, str] = {
    "time_up": "the time for the search was up",
    "budget_used": "the seconds of its arm were spent",
}
"""Decisions that end a run for reasons other than its results, and how they are described."""


@dataclass
class ActiveRun:
    """A run that is being trained, waits for a worker, or is paused."""

    name: str
    plan: TrialPlan
    number: int
    trial_id: int
    stored: Mapping[int, float] = field(default_factory=dict)
    """The objective of the epochs that are already stored."""
    history: list[EpochResult] = field(default_factory=list)
    """Epochs that the current worker has sent."""
    attempts: int = 1
    """1 plus the number of workers that the run has lost in all sessions."""
    losses: Losses = NO_LOSSES
    """In all sessions."""
    lost_drivers: int = 0
    """Drivers that ended before the run did. Workers of theirs may be training still."""
    note: str = ""
    is_held: bool = False
    """Whether the source decided to pause it until it is promoted."""
    cut_by: str = ""
    """The decision in `CUTS` that ends it."""
    is_promoted: bool = False
    """Whether it was promoted before its worker had finished pausing."""
    spared_at: int | None = None
    """Epoch after which pruning would have ended it."""

    def note_loss(self) -> None:
        """Count a lost worker; one with a new epoch since the last loss begins a new count."""
        newest = max([*self.stored, *(one.epoch for one in self.history)], default=0)
        workers = 1 if newest > self.losses.epoch else self.losses.workers + 1
        self.losses = self.losses._replace(workers=workers, epoch=newest)

    def note_lost_node(self) -> None:
        """Count a worker that was lost with its machine, of which the run is not the cause."""
        self.losses = self.losses._replace(nodes=self.losses.nodes + 1)

    @property
    def attempt(self) -> int:
        """The number of its newest start. Files and events of another one do not count."""
        return self.attempts + self.lost_drivers

    @property
    def own_attempts(self) -> int:
        """Starts of the run but for those after the loss of a machine or of the driver."""
        return self.attempts - self.losses.nodes

    def keep_history(self, objective: str) -> None:
        """Move the history to `stored`, because the next worker sends these epochs again."""
        values = {one.epoch: one.metrics.get(objective, math.nan) for one in self.history}
        finite = {epoch: value for epoch, value in values.items() if math.isfinite(value)}
        self.stored = {**self.stored, **finite}


def record_of(
    run: ActiveRun,
    config: StudyConfig,
    facts: StudyFacts,
    outcome: Outcome,
    *,
    reason: str = "",
) -> TrialRecord:
    """The record of a run that has ended with `outcome`, before its test scores are known."""
    scored = scored_epoch(run.history, facts.metric, config.score_rule)
    score = None
    if outcome == "diverged":
        score = facts.chance_score
    elif outcome in ("complete", "pruned") and scored is not None:
        score = scored.metrics[config.objective]
    others = dict.fromkeys(config.further_objectives, math.nan)
    if outcome == "complete" and scored is not None:
        others = further_scores(config.further_objectives, run.history, scored)
    reasons = (reason, _stop_reason(run, config, outcome), run.note)
    return TrialRecord(
        number=run.number,
        arm=run.plan.arm,
        params=run.plan.params,
        outcome=outcome,
        score=score,
        further_scores=others,
        seed=run.plan.seed,
        phase=run.plan.phase,
        purpose=run.plan.purpose,
        configuration=run.plan.configuration,
        history=tuple(run.history),
        epochs_planned=config.training.epochs,
        stop_reason="; ".join(filter(None, reasons)),
        attempts=run.attempts,
        lost_drivers=run.lost_drivers,
        audited=run.plan.audited,
        spared_at=run.spared_at,
        decision_epochs=run.plan.decision_epochs,
        repeat=run.plan.repeat,
    )


def _stop_reason(run: ActiveRun, config: StudyConfig, outcome: Outcome) -> str:
    if outcome == "pruned":
        why = CUTS[run.cut_by] + " after" if run.cut_by else "behind its cohort at"
        return f"{why} epoch {run.history[-1].epoch}"
    if outcome == "diverged":
        return describe_divergence(run.history[-1])
    if run.history and run.history[-1].status == "early_stopped":
        return f"no better epoch for {config.training.early_stopping_patience} epochs"
    return ""


def describe_divergence(result: EpochResult) -> str:
    """Describe the last epoch of a diverged run."""
    epoch = result.epoch
    if result.steps == 0 and result.skipped_steps:
        return f"every step of epoch {epoch} was skipped: the gradients overflowed fp16"
    if math.isfinite(result.train_loss) and all(map(math.isfinite, result.metrics.values())):
        return f"the gradients overflowed fp16 again and again in epoch {epoch}"
    return f"not finite in epoch {epoch}"
