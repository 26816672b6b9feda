"""Computes everything that a report may say from the record of a study."""

from dataclasses import replace

from bakeoff.analysis.budget import budget_estimates
from bakeoff.analysis.defaults import default_results
from bakeoff.analysis.diagnosis import diagnose_study
from bakeoff.analysis.effort import effort_sentences
from bakeoff.analysis.findings import find
from bakeoff.analysis.flags import raised_flags
from bakeoff.analysis.importance import parameter_importances
from bakeoff.analysis.pareto_fronts import arm_fronts
from bakeoff.analysis.pruning import pruning_regrets
from bakeoff.analysis.random_searches import random_search_sentences
from bakeoff.analysis.sentences import described
from bakeoff.analysis.verdict import build_verdict
from bakeoff.records import Comparison, StudyRecord
from bakeoff.records.significance import min_confirmation_seeds


def compare(record: StudyRecord) -> Comparison:
    """Compare the arms of a study: numbers, flags and verdict.

    The result depends on the runs alone, not on their order, because they are sorted by number.
    Every record has a comparison, even a record without trials, with only failed runs, or with
    half of the arms confirmed. The verdict then leaves out what is unknown, and a flag says why.
    """
    findings = find(
        replace(
            record,
            trials=tuple(sorted(record.trials, key=lambda trial: trial.number)),
            confirmations=tuple(sorted(record.confirmations, key=lambda run: run.number)),
        )
    )
    flags = raised_flags(findings)
    defaults = default_results(findings)
    return Comparison(
        study=findings.record,
        level=findings.level,
        arms=findings.arms,
        pairs=tuple(described(pair, findings, flags) for pair in findings.pairs),
        flags=flags,
        verdict=build_verdict(findings, flags, defaults),
        delta=findings.delta,
        delta_source=findings.delta_source,
        min_seeds=findings.min_seeds,
        test_standard_error=findings.test_standard_error,
        diagnoses=diagnose_study(findings),
        budget=budget_estimates(findings.record),
        importances=parameter_importances(findings.record),
        effort=(
            *effort_sentences(findings.record),
            *random_search_sentences(findings.record),
        ),
        pruning=pruning_regrets(findings.record),
        fronts=arm_fronts(findings.record),
        defaults=defaults,
        repeats_counted=findings.repeats_counted,
        min_repeats=min_confirmation_seeds(len(findings.arms)),
    )
