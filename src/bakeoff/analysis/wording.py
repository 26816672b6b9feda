"""How reports write numbers, names, budgets and the scope of a claim."""

import math
from collections import Counter
from collections.abc import Sequence

from bakeoff.analysis.arm_trials import charged_trials, searched_trials
from bakeoff.records import Budget, MetricInfo, StudyRecord
from bakeoff.records.durations import plural as plural  # noqa: PLC0414 - offered here, too
from bakeoff.registry import is_reference

SAMPLER_TITLES = {
    "sobol": "Sobol",
    "tpe": "TPE",
    "gp": "Gaussian-process",
    "cmaes": "CMA-ES",
    "nsga": "NSGA",
    "qmc": "quasi-random",
}
MAX_DECIMALS = 10

SCOPE = "for this model, data, search space and budget"


def number(value: float, half_width: float = math.nan) -> str:
    """`value` rounded to two significant digits of the half-width of its interval.

    Where the interval is unknown, unbounded or of width zero, `value` has four significant digits.
    """
    if not math.isfinite(value):
        return {math.inf: "infinite", -math.inf: "-infinite"}.get(value, "unknown")
    if not math.isfinite(half_width) or half_width <= 0:
        return f"{value:.4g}"
    decimals = 1 - math.floor(math.log10(half_width))
    return f"{value:.{min(max(decimals, 0), MAX_DECIMALS)}f}"


def two_digits(value: float) -> str:
    """`value` with two significant digits, without an exponent unless it is very small."""
    return number(value, abs(value))


def interval(bounds: tuple[float, float]) -> str:
    """An interval as `[low, high]`, rounded by its own half-width."""
    low, high = bounds
    half_width = (high - low) / 2
    return f"[{number(low, half_width)}, {number(high, half_width)}]"


def p_value(p: float) -> str:
    """A p value, as in `p = 0.012` or `p < 0.001`."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"  # noqa: PLR2004 - usual in print


def join(names: Sequence[str]) -> str:
    """Names as in a sentence: `a`, `a and b`, `a, b and c`."""
    if len(names) < 2:  # noqa: PLR2004 - one name needs no joining
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def metric_name(objective: MetricInfo) -> str:
    """The metric's name as sentences and figures write it."""
    name = objective.name
    return name if is_reference(name) else name.replace("_", " ")


def metric_phrase(objective: MetricInfo) -> str:
    """The metric with its unit and direction: `accuracy (higher is better)`."""
    better = "higher" if objective.sign > 0 else "lower"
    unit = f"{objective.unit}, " if objective.unit else ""
    return f"{metric_name(objective)} ({unit}{better} is better)"


def count_range(counts: Sequence[int]) -> str:
    """`12` where all counts agree, otherwise `9 to 12`."""
    low, high = min(counts, default=0), max(counts, default=0)
    return str(low) if low == high else f"{low} to {high}"


def trials_per_arm(record: StudyRecord) -> str:
    """Trials charged to the budget of each search: `12`, or `9 to 54` where searches differ."""
    counts = Counter(
        (trial.arm, trial.repeat)
        for arm in record.arms
        for trial in charged_trials(record, arm.name)
    )
    repeats = {repeat for _, repeat in counts} or {0}
    return count_range([counts[arm.name, repeat] for arm in record.arms for repeat in repeats])


def promised(budget: Budget) -> str:
    """An arm's budget: `20 trials`, `20 trials or 400 epochs, whichever comes first`."""
    parts = [
        f"{limit:,.0f} seconds of a worker" if unit == "seconds" else plural(int(limit), unit[:-1])
        for unit, limit in budget.limits.items()
    ]
    return " or ".join(parts) + (", whichever comes first" if len(parts) > 1 else "")


def scope_of(record: StudyRecord) -> str:
    """What a claim holds for: the planned epochs, the searches, and the end of every claim."""
    runs = f"{record.epochs}-epoch runs" if record.epochs else "runs"
    searched = [trial for arm in record.arms for trial in searched_trials(record, arm.name)]
    pruned = "pruned " if any(trial.outcome == "pruned" for trial in searched) else ""
    sampler = SAMPLER_TITLES.get(record.sampler, record.sampler)
    method = (
        f"a {pruned}search whose sampler is unknown"
        if record.sampler == "unknown"
        else f"{pruned}{sampler} search"
    )
    per_arm = trials_per_arm(record)
    noun = "trial" if per_arm == "1" else "trials"
    repeats = 1 + max((trial.repeat for trial in searched), default=0)
    each = f" in each of {repeats} searches" if repeats > 1 else ""
    return f"{runs} of configurations found by {method} ({per_arm} {noun} per arm{each}), {SCOPE}"
