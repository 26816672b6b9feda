"""The six frozen value types that carry everything from the study file to the report.

    StudyConfig   what the user asked for
    TrialConfig   everything that determines one training run
    EpochResult   what one epoch of a run measured
    TrialRecord   what is known of one run
    StudyRecord   what is known of a study: all that analysis and report may read
    Comparison    what analysis computed: all that the report may say

The smaller types are their parts, by subject in the modules of this package: `study_config`,
`runs`, `plans`, `study`, `findings`, `search_findings`; `gate` has those of `study gate`, and
`suite` those of `study suite`. All are plain data: they pickle, and `as_plain` turns them into
dictionaries for JSON and TOML. Scores are stored as measured; `MetricInfo.sign` turns them into
"higher is better".
"""

from bakeoff.records.findings import (
    SHOWN as SHOWN,
    ArmSummary as ArmSummary,
    BoundaryMark as BoundaryMark,
    Comparison as Comparison,
    ConfirmedScores as ConfirmedScores,
    DefaultResult as DefaultResult,
    Diagnosis as Diagnosis,
    DiagnosisKind as DiagnosisKind,
    Flag as Flag,
    Level as Level,
    PairResult as PairResult,
    Qualifier as Qualifier,
    SearchedScores as SearchedScores,
    SearchResult as SearchResult,
    Severity as Severity,
    Status as Status,
    TimeToTarget as TimeToTarget,
    Verdict as Verdict,
)
from bakeoff.records.gate import (
    GateDecision as GateDecision,
    GateFinding as GateFinding,
    GateReport as GateReport,
    GateRun as GateRun,
)
from bakeoff.records.plain import (
    as_plain as as_plain,
    as_strict as as_strict,
    json_text as json_text,
)
from bakeoff.records.plans import (
    Decision as Decision,
    Promotion as Promotion,
    Standing as Standing,
    Standings as Standings,
    TrialPlan as TrialPlan,
    WarmStarts as WarmStarts,
)
from bakeoff.records.runs import (
    CHARGED_OUTCOMES as CHARGED_OUTCOMES,
    CONFIG_HASH as CONFIG_HASH,
    NO_LOSSES as NO_LOSSES,
    OUTCOMES as OUTCOMES,
    READS_TEST as READS_TEST,
    WEIGHTS_HASH as WEIGHTS_HASH,
    EpochResult as EpochResult,
    EpochStatus as EpochStatus,
    Losses as Losses,
    Outcome as Outcome,
    Phase as Phase,
    Purpose as Purpose,
    TrialConfig as TrialConfig,
    TrialRecord as TrialRecord,
    keep_last_confusion as keep_last_confusion,
    of_named_arm as of_named_arm,
)
from bakeoff.records.search_findings import (
    ArmFront as ArmFront,
    BudgetEstimate as BudgetEstimate,
    BudgetQuantity as BudgetQuantity,
    Importance as Importance,
    NearBest as NearBest,
    PruningRegret as PruningRegret,
    RateRobustness as RateRobustness,
    Robustness as Robustness,
    Share as Share,
)
from bakeoff.records.study import (
    ArmRecord as ArmRecord,
    MetricInfo as MetricInfo,
    StudyRecord as StudyRecord,
)
from bakeoff.records.study_config import (
    MIN_DEVICE_SAMPLES as MIN_DEVICE_SAMPLES,
    Arithmetic as Arithmetic,
    Budget as Budget,
    ClassWeights as ClassWeights,
    ConfirmConfig as ConfirmConfig,
    DataConfig as DataConfig,
    Direction as Direction,
    FinetuneConfig as FinetuneConfig,
    Loss as Loss,
    NamedArm as NamedArm,
    Normalize as Normalize,
    OwnMetric as OwnMetric,
    Precision as Precision,
    Sampling as Sampling,
    ScoreRule as ScoreRule,
    SearchConfig as SearchConfig,
    StudyConfig as StudyConfig,
    Task as Task,
    TrackingConfig as TrackingConfig,
    TrainingConfig as TrainingConfig,
)
from bakeoff.records.suite import (
    RATIOS as RATIOS,
    TIMED as TIMED,
    Contrast as Contrast,
    Measure as Measure,
    Rule as Rule,
    RuleFinding as RuleFinding,
    RuleVerdict as RuleVerdict,
    Suite as Suite,
    SuiteFindings as SuiteFindings,
    Timing as Timing,
    Workload as Workload,
    WorkloadEffect as WorkloadEffect,
)
