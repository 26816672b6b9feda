"""The six frozen value types that carry everything from the study file to the report.

    StudyConfig   what the user asked for
    TrialConfig   everything that determines one training run
    EpochResult   what one epoch of a run measured
    TrialRecord   what is known of one run
    StudyRecord   what is known of a study: all that analysis and report may read
    Comparison    what analysis computed: all that the report may say

The smaller types are their parts, by subject in the modules of this package: `study_config`,
`runs`, `plans`, `study`, `findings`. All are plain data: they pickle, and `as_plain` turns them
into dictionaries for JSON and TOML.
Scores are stored as measured; `MetricInfo.sign` turns them into "higher is better".
"""

from bakeoff.records.findings import (
    ArmFront,
    ArmSummary,
    BoundaryMark,
    BudgetEstimate,
    BudgetQuantity,
    Comparison,
    ConfirmedScores,
    Diagnosis,
    DiagnosisKind,
    Flag,
    Importance,
    Level,
    NearBest,
    PairResult,
    PruningRegret,
    RateRobustness,
    Robustness,
    Severity,
    Share,
    Status,
    TimeToTarget,
    Verdict,
)
from bakeoff.records.plain import as_plain, as_strict, json_text
from bakeoff.records.plans import (
    Decision,
    Promotion,
    Standing,
    Standings,
    TrialPlan,
    WarmStarts,
)
from bakeoff.records.runs import (
    CHARGED_OUTCOMES,
    OUTCOMES,
    EpochResult,
    EpochStatus,
    Outcome,
    Phase,
    Purpose,
    TrialConfig,
    TrialRecord,
    keep_last_confusion,
)
from bakeoff.records.study import (
    ArmRecord,
    Direction,
    MetricInfo,
    StudyRecord,
)
from bakeoff.records.study_config import (
    Budget,
    ClassWeights,
    ConfirmConfig,
    DataConfig,
    Loss,
    Precision,
    Sampling,
    ScoreRule,
    SearchConfig,
    StudyConfig,
    Task,
    TrackingConfig,
    TrainingConfig,
)

__all__ = [
    "CHARGED_OUTCOMES",
    "OUTCOMES",
    "ArmFront",
    "ArmRecord",
    "ArmSummary",
    "BoundaryMark",
    "Budget",
    "BudgetEstimate",
    "BudgetQuantity",
    "ClassWeights",
    "Comparison",
    "ConfirmConfig",
    "ConfirmedScores",
    "DataConfig",
    "Decision",
    "Diagnosis",
    "DiagnosisKind",
    "Direction",
    "EpochResult",
    "EpochStatus",
    "Flag",
    "Importance",
    "Level",
    "Loss",
    "MetricInfo",
    "NearBest",
    "Outcome",
    "PairResult",
    "Phase",
    "Precision",
    "Promotion",
    "PruningRegret",
    "Purpose",
    "RateRobustness",
    "Robustness",
    "Sampling",
    "ScoreRule",
    "SearchConfig",
    "Severity",
    "Share",
    "Standing",
    "Standings",
    "Status",
    "StudyConfig",
    "StudyRecord",
    "Task",
    "TimeToTarget",
    "TrackingConfig",
    "TrainingConfig",
    "TrialConfig",
    "TrialPlan",
    "TrialRecord",
    "Verdict",
    "WarmStarts",
    "as_plain",
    "as_strict",
    "json_text",
    "keep_last_confusion",
]
