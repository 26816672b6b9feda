"""From the plan of a run to the settings with which a worker trains it."""

import hashlib
import json
from dataclasses import replace
from typing import cast

from bakeoff.driver.active_run import ActiveRun
from bakeoff.driver.kept_weights import KeptWeights
from bakeoff.engines.protocol import Job
from bakeoff.records import (
    READS_TEST,
    WEIGHTS_HASH,
    Precision,
    StudyConfig,
    TrialConfig,
    TrialPlan,
    as_plain,
    of_named_arm,
)
from bakeoff.space import build_trial_config
from bakeoff.storage import StudyFacts


class RunConfigs:
    """The settings of the runs of one study.

    Args:
        config: The study.
        facts: What was measured when it began.
        study_id: By which its storage tells it from every other study.
    """

    def __init__(self, config: StudyConfig, facts: StudyFacts, study_id: str) -> None:
        training = replace(config.training, precision=cast("Precision", facts.precision))
        self._config = replace(config, training=training)
        self._facts = facts
        self._study_id = study_id

    def job_of(self, run: ActiveRun, checkpoints: str, weights: KeptWeights) -> Job:
        """What a worker is given to train a run, with its checkpoints at that location."""
        plan = run.plan
        return Job(
            run=run.name,
            config=self.trial_of(plan),
            checkpoints=checkpoints,
            identity=self.identity_of(run.name, plan),
            attempt=run.attempt,
            decision_epochs=plan.decision_epochs,
            reads_test=plan.purpose in READS_TEST,
            keeps_weights=weights.keeps(plan.purpose),
            rivals=f"{plan.arm} {plan.configuration}",
            score_to_reach=weights.best_score(plan),
            has_lost_worker=run.own_attempts > 1,
        )

    def trial_of(self, plan: TrialPlan) -> TrialConfig:
        """Everything that determines the run of a plan."""
        heading = of_named_arm(WEIGHTS_HASH, plan.arm) if self._config.arms else WEIGHTS_HASH
        trial = build_trial_config(
            self._config.of_arm(plan.arm),
            plan.params,
            plan.seed,
            repeat=plan.repeat,
            purpose=plan.purpose,
        )
        has_same_data = trial.data == self._config.data  # unlike that of an arm with a tokenizer
        return replace(
            trial,
            weights_sha256=self._facts.environment.get(heading, ""),
            data_fingerprint=self._facts.data_fingerprint if has_same_data else "",
        )

    def identity_of(self, run: str, plan: TrialPlan) -> str:
        """What the checkpoints of a run belong to: this study, this run, its settings, its data."""
        settings = as_plain(self.trial_of(plan))
        del settings["data_fingerprint"]  # it is named below, as it is for checkpoints of 0.1
        if settings["training"]["devices_per_trial"] == 1:
            del settings["training"]["devices_per_trial"]  # checkpoints of 0.1 belong to it too
        parts = [self._study_id, run, settings, self._facts.data_fingerprint]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
