"""A stored study as analysis and report read it."""

from collections.abc import Iterable

from bakeoff.components.objectives import further_objectives
from bakeoff.records import StudyConfig, StudyRecord, TrialRecord
from bakeoff.space import build_arms, fingerprint
from bakeoff.storage.facts import StudyFacts
from bakeoff.studyfile import format_study


def build_record(
    config: StudyConfig,
    facts: StudyFacts,
    *,
    trials: Iterable[TrialRecord],
    confirmations: Iterable[TrialRecord],
    is_finished: bool,
    notes: Iterable[str],
    changed_after_results: Iterable[str],
) -> StudyRecord:
    """All that is known of a study.

    Args:
        config: What the user asked for.
        facts: What was measured when it began.
        trials: Of the search, by number.
        confirmations: Shortlist and confirmation runs, by number.
        is_finished: Whether all of them are complete.
        notes: What happened on the way, oldest first.
        changed_after_results: Settings that an extension changed when there were results.
    """
    return StudyRecord(
        name=config.name,
        question=config.question,
        objective=facts.metric,
        further_objectives=further_objectives(config),
        score_rule=config.score_rule,
        epochs=config.training.epochs,
        arms=build_arms(config),
        trials=tuple(trials),
        confirmations=tuple(confirmations),
        trials_per_arm=config.search.trials_per_arm,
        epochs_per_arm=config.search.epochs_per_arm,
        seconds_per_arm=config.search.seconds_per_arm,
        sampler=config.search.sampler,
        pruner=config.search.pruner,
        startup_trials=config.search.startup_trials,
        confirm=config.confirm,
        delta=config.delta,
        reference=config.reference,
        num_validation=facts.num_validation,
        num_test=facts.num_test,
        protocol=facts.protocol,
        environment=facts.environment,
        config_hash=fingerprint(config),
        study_file=format_study(config),
        finished=is_finished,
        notes=tuple(notes),
        changed_after_results=tuple(changed_after_results),
    )
