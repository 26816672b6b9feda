"""Whether workloads confirm a rule of thumb, refute it, or show neither.

Axes: W workloads, R searches (or measurements) of each, N = W R units.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from bakeoff.analysis.rule_effects import (
    MOST_DEVIATIONS,
    is_ratio,
    missing_text,
    study_effect,
    timed_effect,
)
from bakeoff.analysis.statistics import (
    EXACT_SEEDS,
    UNKNOWN,
    Interval,
    Scores,
    holm,
    sign_flip_p,
)
from bakeoff.analysis.wording import interval, join, number, p_value, plural
from bakeoff.records import (
    TIMED,
    Comparison,
    Rule,
    RuleFinding,
    RuleVerdict,
    Suite,
    SuiteFindings,
    Timing,
    WorkloadEffect,
)
from bakeoff.records.significance import ALPHA, CONFIDENCE, CONFIDENCE_TEXT, min_units

VERDICTS: Mapping[RuleVerdict, str] = {
    "confirmed": "Confirmed",
    "refuted": "Refuted",
    "not_shown": "Not shown",
    "not_tested": "Not tested",
}
NOTES = (
    (
        "Every verdict is about these workloads, which were chosen, with their search spaces,"
        " budgets and test samples. The average over them is tested; single workloads may differ."
    ),
    (
        "Effects on scores are in standard deviations of a score over training seeds, so that"
        " workloads with different metrics can be averaged. The deviations are taken as known. An"
        f" effect beyond {MOST_DEVIATIONS:g} of them counts as {MOST_DEVIATIONS:g}, so that no"
        " search decides alone."
    ),
    (
        "A rule with enough workloads is tested with workloads as units: their effects are taken as"
        " independent and as lying symmetrically around their mean. Any other rule is tested with"
        " the searches, or the measurements, of its workloads as units, and says nothing of other"
        " workloads."
    ),
    (
        f"The p values (signs flipped) are exact up to {EXACT_SEEDS} units, and corrected by Holm"
        " for all rules that the suite tests. A rule is decided if p and its own interval both say"
        " so. Epochs to a target are those of runs that were planned for the same number of epochs."
        " Times are those of one machine."
    ),
)


def judge_suite(
    suite: Suite,
    comparisons: Mapping[str, Comparison],
    timings: Sequence[Timing] = (),
    *,
    commit: str = "",
) -> SuiteFindings:
    """The verdict on every rule of a suite.

    Args:
        suite: The suite.
        comparisons: Those of its studies by workload; studies that have not begun are missing.
        timings: What was measured for rules about times.
        commit: The git commit that the report names.
    """
    needed = min_units(max(1, len(suite.tested)))
    estimates = [_estimate(rule, comparisons, timings, needed) for rule in suite.rules]
    tested = [place for place, rule in enumerate(suite.rules) if rule.contrast is not None]
    adjusted = holm(np.array([estimates[place].p for place in tested], dtype=np.float64))
    p_holm = dict(zip(tested, adjusted.tolist(), strict=True))
    rules = tuple(
        _judged(replace(one, p_holm=p_holm.get(place, math.nan)), needed, len(tested))
        for place, one in enumerate(estimates)
    )
    return SuiteFindings(
        suite=suite, rules=rules, headline=_headline(rules), notes=NOTES, commit=commit
    )


def _estimate(
    rule: Rule, comparisons: Mapping[str, Comparison], timings: Sequence[Timing], needed: int
) -> RuleFinding:
    """Effect, interval and p of a rule; the verdict is not decided yet."""
    empty = RuleFinding(rule=rule, verdict="not_tested", sentence="")
    if rule.contrast is None:
        return empty
    if rule.measure in TIMED:
        timed = {(one.workload, one.measure, one.a, one.b): one for one in timings}
        key = (rule.measure, rule.contrast.a[0], rule.contrast.b[0])
        effects = [timed_effect(rule, one, timed.get((one, *key))) for one in rule.workloads]
    else:
        effects = [study_effect(rule, one, comparisons.get(one)) for one in rule.workloads]
    empty = replace(empty, effects=tuple(effects))
    if any(one.why_not for one in effects):
        return empty
    tests_workloads = len(effects) >= needed and rule.measure not in TIMED
    sample = pooled([np.array(one.effects) for one in effects], tests_workloads=tests_workloads)
    above, below = (_stored(rule, one) for one in (rule.confirmed_above, rule.refuted_below))
    return replace(
        empty,
        effect=_shown(rule, sample.mean),
        ci=(_shown(rule, sample.ci[0]), _shown(rule, sample.ci[1])),
        p=sample.p(above, below),
        num_units=len(sample.values),
        tests_workloads=tests_workloads,
        provisional=tuple(text for one in effects for text in one.weakened_by),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Pooled:
    """The effects of all workloads, of which the mean over workloads is tested."""

    values: Scores
    """One for each unit [N]."""
    weights: Scores
    """Share of each unit in the mean [N]; they sum to 1."""
    ci: Interval
    """95 % interval of the mean."""

    @property
    def mean(self) -> float:
        """Mean over workloads of their mean effects."""
        return float(self.values @ self.weights)

    def p(self, above: float, below: float) -> float:
        """Two-sided p of the mean being above `above`, or below `below`, which is not higher.

        It is 1 between the two, and as exact as `sign_flip_p`. The differences to a bound are taken
        to lie symmetrically around their mean.

        Source: Fisher 1935 (signs flipped).
        """
        bound = above if self.mean > above else below
        if below <= self.mean <= above:
            return 1.0
        return sign_flip_p((self.values - bound) * self.weights)


def pooled(effects: Sequence[Scores], *, tests_workloads: bool) -> Pooled:
    """The units of the test, and the interval of the mean over workloads.

    Where searches are the units, the interval is over the searches of these workloads, whose
    variances are taken as one; with a single search of each there is no interval.

    Args:
        effects: Those of each workload, [R] each.
        tests_workloads: Whether the mean of a workload is a unit.

    Source: Student's t, by strata (Cochran 1977, section 5.4) where searches are the units.
    """
    num_workloads = len(effects)
    means = np.array([own.mean() for own in effects])
    if tests_workloads:
        variance = float(means.var(ddof=1)) / num_workloads
        freedom = num_workloads - 1
        values, weights = means, np.full(num_workloads, 1 / num_workloads)
    else:
        values = np.concatenate(list(effects))
        weights = np.concatenate([np.full(len(own), 1 / len(own)) for own in effects])
        weights = weights / num_workloads
        freedom = len(values) - num_workloads
        squares = sum(float(((own - own.mean()) ** 2).sum()) for own in effects)
        shares = sum(1 / len(own) for own in effects) / num_workloads**2
        variance = squares / max(1, freedom) * shares
    if freedom < 1:
        return Pooled(values=values, weights=weights, ci=UNKNOWN)
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom)) * math.sqrt(variance)
    mean = float(values @ weights)
    return Pooled(values=values, weights=weights, ci=(mean - half, mean + half))


def _judged(found: RuleFinding, needed: int, num_rules: int) -> RuleFinding:
    """A finding with its verdict: the corrected p and the interval must both say so."""
    rule, verdict = found.rule, found.verdict
    if rule.contrast is None or any(one.why_not for one in found.effects):
        return replace(found, sentence=_untested_sentence(found))
    verdict = "not_shown"
    if found.num_units >= needed and found.p_holm < ALPHA:
        if found.ci[0] > rule.confirmed_above:
            verdict = "confirmed"
        elif found.ci[1] < rule.refuted_below:
            verdict = "refuted"
    judged = replace(found, verdict=verdict)
    return replace(judged, sentence=_sentence(judged, needed, num_rules))


def _untested_sentence(found: RuleFinding) -> str:
    reason = found.rule.not_tested or f"these workloads do not count: {missing_text(found.effects)}"
    return f"{VERDICTS['not_tested']}: {reason}."


def _sentence(found: RuleFinding, needed: int, num_rules: int) -> str:
    rule = found.rule
    word = VERDICTS[found.verdict]
    if found.provisional and found.verdict != "not_shown":
        word = f"Provisionally {word.lower()}"
    units = plural(found.num_units, found.unit)
    rest = []
    if found.num_units < needed:
        rest.append(
            f"so few units cannot decide a rule of a suite of {num_rules}; it takes {needed}"
        )
    if opposed := _opposed(found):
        rest.append(f"on {join(opposed)} it was the other way round")
    if found.verdict == "not_shown" and found.num_units >= needed:
        rest.append(_needs(rule))
    tail = f"; {'; '.join(rest)}" if rest else ""
    return (
        f"{word}: {_effect_text(found)} (average over {plural(len(found.effects), 'workload')},"
        f" {CONFIDENCE_TEXT} interval {interval(found.ci)}; {p_value(found.p_holm)} over"
        f" {plural(num_rules, 'rule')}, {units} as units){tail}."
    )


def _needs(rule: Rule) -> str:
    above, below = number(rule.confirmed_above), number(rule.refuted_below)
    below = "that" if above == below else below
    return f"it takes an effect shown above {above} to confirm it, and below {below} to refute it"


def _effect_text(found: RuleFinding) -> str:
    """The effect in the words of its measure."""
    rule, effect = found.rule, found.effect
    if rule.contrast is None:
        raise ValueError(f"rule {rule.name!r} has no contrast")
    a, b = join(rule.contrast.a), join(rule.contrast.b) or "the other arms"
    half = (found.ci[1] - found.ci[0]) / 2
    size = number(abs(effect) if not is_ratio(rule) else effect, half)
    match rule.measure:
        case "score":
            side = "above" if effect > 0 else "below"
            return f"{a} scored {size} standard deviations over seeds {side} {b}"
        case "epochs":
            return f"{a} reached the score of {b} {size} times as fast, counted in epochs"
        case "diverged":
            points = number(100 * abs(effect), 100 * half)
            side = "fewer" if effect > 0 else "more"
            return (
                f"of the random trials {points} percentage points {side} failed in the arm {a}"
                f" than in the arm {b}"
            )
        case "precision":
            return f"a training step in {a} was {size} times as fast as in {b}"
        case "loading":
            return f"loading with {a} processes was {size} times as fast as with {b}"


def _opposed(found: RuleFinding) -> list[str]:
    """Workloads whose own mean is on the other side of no effect than the average."""
    null = 1.0 if is_ratio(found.rule) else 0.0
    return [one.workload for one in found.effects if (one.mean - null) * (found.effect - null) < 0]


def _headline(rules: Sequence[RuleFinding]) -> str:
    """How many rules have which verdict."""
    counts = Counter(one.verdict for one in rules)
    named = [
        f"{counts[verdict]} {verdict.replace('_', ' ')}" for verdict in VERDICTS if counts[verdict]
    ]
    return f"Of {plural(len(rules), 'rule')}, {join(named)}."


def _stored(rule: Rule, bound: float) -> float:
    """A bound on the scale of the effects."""
    return math.log(bound) if is_ratio(rule) else bound


def _shown(rule: Rule, value: float) -> float:
    """A mean effect on the scale of people."""
    return math.exp(value) if is_ratio(rule) and math.isfinite(value) else value


def effects_of(found: SuiteFindings) -> tuple[WorkloadEffect, ...]:
    """Every workload of every rule."""
    return tuple(effect for rule in found.rules for effect in rule.effects)
