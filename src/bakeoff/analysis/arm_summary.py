"""The summary of each arm: its cost, searches, recommended configuration and confirmation."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from bakeoff.analysis.arm_trials import best_first, searched_trials
from bakeoff.analysis.boundaries import boundary_marks
from bakeoff.analysis.confirmation import default_runs, estimate_score, summarize_confirmation
from bakeoff.analysis.searches import ArmSearch, Runs, Searches
from bakeoff.analysis.statistics import standard_deviation
from bakeoff.records import (
    ArmRecord,
    ArmSummary,
    ConfirmedScores,
    SearchedScores,
    SearchResult,
    StudyRecord,
    TrialRecord,
)
from bakeoff.records.significance import CONFIDENCE


def summarize_arms(
    record: StudyRecord, searches: Searches, shown: Mapping[str, ArmSearch], units: Runs
) -> tuple[ArmSummary, ...]:
    """Every arm of the study, best mean first: over searches at level L2, else over seeds.

    Unconfirmed arms follow by their best search score, then arms without a score; equal arms keep
    the order of the study. The time to target stays empty, because the target depends on the
    verdict.

    Args:
        record: The study.
        searches: The searches of each arm.
        shown: The search of each arm whose configuration is recommended.
        units: What arms are compared by at level L2; empty below.
    """
    sign = record.objective.sign

    def rank(summary: ArmSummary) -> tuple[float, float, float]:
        over, confirmed = summary.over_searches, summary.confirmed
        worst = -sign * np.inf
        means = (
            over.mean if over else worst,
            confirmed.test_mean if confirmed else worst,
            worst if summary.search_best is None else summary.search_best,
        )
        first, second, third = (_without_rounding(-sign * mean) for mean in means)
        return first, second, third

    summaries = [
        summarize_arm(record, arm, searches[arm.name], shown[arm.name], units)
        for arm in record.arms
    ]
    return tuple(sorted(summaries, key=rank))


def summarize_arm(
    record: StudyRecord,
    arm: ArmRecord,
    searches: Sequence[ArmSearch],
    shown: ArmSearch,
    units: Runs,
) -> ArmSummary:
    """Counts, cost, best trial, recommended configuration and confirmation of one arm."""
    searched = searched_trials(record, arm.name)
    complete = best_first(searched, record.objective.sign)
    best = complete[0] if complete else None
    default = next((t for t in record.trials if (t.arm, t.phase) == (arm.name, "default")), None)
    seconds = [result.train_seconds for trial in searched for result in trial.history]
    results = tuple(_search_result(record, one) for one in searches)
    result = next(one for one in results if one.repeat == shown.repeat)
    of_search = [trial for trial in complete if trial.repeat == shown.repeat]
    return ArmSummary(
        arm=arm.name,
        num_by_outcome=dict(Counter(trial.outcome for trial in searched)),
        epochs=sum(trial.epochs_run for trial in searched) if record.has_epochs else None,
        train_seconds=stored_seconds(record, sum(trial.train_seconds for trial in searched)),
        evaluate_seconds=stored_seconds(record, sum(trial.evaluate_seconds for trial in searched)),
        seconds_per_epoch=stored_seconds(record, float(np.median(seconds)) if seconds else np.nan),
        search_best=best.score if best else None,
        search_best_trial=best.number if best else None,
        default_score=default.score if default else None,
        default_outcome=default.outcome if default else None,
        chosen_trial=result.chosen_trial,
        chosen_params=result.chosen_params,
        confirmed=result.confirmed,
        time_to_target=None,
        default_confirmed=_confirmed_defaults(record, arm.name, default),
        searches=results,
        over_searches=_over_searches(record, units, arm.name),
        boundaries=boundary_marks(arm, result.chosen_params, of_search),
    )


def _search_result(record: StudyRecord, search: ArmSearch) -> SearchResult:
    """What one search chose: the confirmed configuration, or else its best trial."""
    confirmed, chosen = search.confirmed, search.chosen
    number = confirmed.configuration if confirmed else None
    if confirmed is None:
        own = searched_trials(record, search.arm)
        ranked = best_first(
            [trial for trial in own if trial.repeat == search.repeat], record.objective.sign
        )
        chosen = ranked[0] if ranked else None
        number = chosen.number if chosen else None
    # the record may lack the trial whose configuration was confirmed
    params = chosen.params if chosen else confirmed.runs[0].params if confirmed else {}
    score = chosen.score if chosen else None
    return SearchResult(
        repeat=search.repeat,
        num_trials=search.num_trials,
        chosen_trial=number,
        chosen_params=params,
        search_score=score,
        confirmed=(summarize_confirmation(confirmed, record, score) if confirmed else None),
        counts=not search.why_not,
        why_not=search.why_not,
    )


def _confirmed_defaults(
    record: StudyRecord, arm: str, default: TrialRecord | None
) -> ConfirmedScores | None:
    runs = default_runs(record, arm)
    if runs is None:
        return None
    return summarize_confirmation(runs, record, default.score if default else None)


def _over_searches(record: StudyRecord, units: Runs, arm: str) -> SearchedScores | None:
    own = units.get(arm)
    if own is None:
        return None
    return SearchedScores(
        repeats=tuple(run.repeat for run in own.runs),
        scores=tuple(own.test.tolist()),
        mean=float(np.mean(own.test)),
        ci=estimate_score(own, record, over_searches=True).interval(
            CONFIDENCE, (record.objective.low, record.objective.high)
        ),
        sd=standard_deviation(own.test),
    )


def stored_seconds(record: StudyRecord, seconds: float) -> float:
    """`seconds`; NaN where they are 0 because another program stored no times."""
    return float("nan") if record.foreign and seconds == 0 else seconds


def _without_rounding(value: float) -> float:
    """Keep twelve significant digits, so that means that were summed in another order are equal."""
    return float(f"{value:.12g}")
