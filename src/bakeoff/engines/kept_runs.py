"""Which complete runs store their weights for the driver to take."""

from bakeoff.components.metrics import scored_epoch
from bakeoff.engines.protocol import Job
from bakeoff.training.progress import Progress


def signed_score(state: Progress) -> float | None:
    """The validation score of a run, larger is better; None if no epoch was scored."""
    scored = scored_epoch(state.history, state.objective, state.config.score_rule)
    if scored is None:
        return None
    return state.objective.sign * scored.metrics[state.objective.name]


def keeps_weights(job: Job, state: Progress) -> bool:
    """Whether a complete run stores its weights, as it does unless the driver has better ones."""
    score = signed_score(state)
    if score is None or job.score_to_reach is None:
        return job.keeps_weights
    return job.keeps_weights and score >= state.objective.sign * job.score_to_reach
