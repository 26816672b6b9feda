"""What to use: the settings of each arm, what to expect of them, and what they cost.

The page, `report.md` and the terminal show the same answer, which is built here and nowhere else.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from bakeoff.analysis.wording import SCOPE, metric_name, number, plural
from bakeoff.ranges import Params, ParamValue, owned_params, split_name
from bakeoff.records import (
    ArmSummary,
    Comparison,
    ConfirmedScores,
    MetricInfo,
    StudyRecord,
    TrialRecord,
)
from bakeoff.records.durations import format_duration
from bakeoff.records.significance import CONFIDENCE_TEXT
from bakeoff.registry import is_reference
from bakeoff.report.configurations import (
    PastableConfiguration,
    default_params,
    pastable_configurations,
)
from bakeoff.report.figures.style import printable
from bakeoff.report.table import Column, Table, text, yes_or_no
from bakeoff.studyfile.arm_parameters import SHARED_OWNERS

DEFAULTS_SUFFIX = ", defaults"
"""Follows an arm's name where its library defaults are meant."""

MOST_OPEN = 4
"""Where no arm leads, this many arms are shown in full; the others are folded."""
FIRST = ("learning_rate", "weight_decay")
"""Settings of an optimizer that are named before its others."""


@dataclass(frozen=True, kw_only=True)
class Recommendation:
    """What to use if an arm is chosen: its chosen configuration, or its library defaults."""

    arm: str
    name: str
    """`adamw`, or `adamw, defaults`."""
    is_default: bool
    settings: str
    """Optimizer, learning rate, schedule, weight decay and the rest, on one line."""
    score: str
    """The expected score on new data with its interval; before confirmation, what was observed."""
    cost: str
    """What one run costs, and what the search for it cost."""
    run_seconds: float | None
    """Median time of a whole run; None if none is known."""
    search_seconds: float | None
    """Training and evaluation of all trials of the search; None for library defaults."""
    remark: str = ""
    """For library defaults, how they compare with what was found; for an arm whose search was
    repeated, what its searches reach on average."""
    is_good: bool = False
    """For library defaults, whether they win, or were not shown to be worse than what a leading arm
    found."""
    configuration: PastableConfiguration | None = None

    @property
    def own_settings(self) -> str:
        """The settings next to the name of the arm, which they need not repeat."""
        return self.settings.removeprefix(f"{self.arm}, ") or "not recorded"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Everything that the first screen says."""

    headline: str
    weakened_by: tuple[str, ...]
    """What limits the headline, each as a sentence."""
    next_step: str
    leading: tuple[Recommendation, ...]
    """The leading arms, best first; where no arm leads, the first arms."""
    others: tuple[Recommendation, ...]
    defaults: tuple[Recommendation, ...]
    """The library defaults that were confirmed, in the order of the arms."""
    has_leader: bool
    expects: str
    """What the scores are: `test accuracy, mean over 8 seeds with its 95 % interval`."""

    def defaults_of(self, arm: str) -> Recommendation | None:
        """The library defaults of an arm, where they were confirmed."""
        return next((one for one in self.defaults if one.arm == arm), None)

    @property
    def rest(self) -> tuple[Recommendation, ...]:
        """What is folded: the other arms, and library defaults that are not as good."""
        return (*self.others, *(one for one in self.defaults if not one.is_good))

    @property
    def rest_names(self) -> str:
        """The names of what is folded."""
        return "; ".join(one.name for one in self.rest)

    @property
    def good_defaults(self) -> tuple[Recommendation, ...]:
        """Library defaults that nobody should overlook."""
        return tuple(one for one in self.defaults if one.is_good)

    def __str__(self) -> str:
        """The headline, what limits it, and the settings to use, one per line."""
        limits = [*self.weakened_by, self.next_step]
        used = [
            f"{one.name}: {one.own_settings}; {one.score}; {one.cost}"
            for one in (*self.leading, *self.good_defaults)
        ]
        lines = [self.headline, *(f"- {one}" for one in limits if one), *used]
        return "\n".join(map(printable, lines))


def build_answer(
    comparison: Comparison, configurations: Sequence[PastableConfiguration] | None = None
) -> Answer:
    """The answer of a comparison.

    Args:
        comparison: What analysis computed.
        configurations: Those of `pastable_configurations`, where they are known already.
    """
    if configurations is None:
        configurations = pastable_configurations(comparison)
    verdict = comparison.verdict
    found = {(one.arm, one.is_default): one for one in configurations}
    all_arms = [_recommend(arm, comparison, found.get((arm.arm, False))) for arm in comparison.arms]
    with_settings = [one for one in all_arms if one.settings]
    if verdict.leading:
        rank = {arm: place for place, arm in enumerate(verdict.leading)}
        leading = [one for one in with_settings if one.arm in rank]
        leading.sort(key=lambda one: rank[one.arm])
    else:
        leading = with_settings[:MOST_OPEN]
    return Answer(
        headline=verdict.headline,
        weakened_by=tuple(map(without_scope, verdict.weakened_by)),
        next_step=verdict.next_step,
        leading=tuple(leading),
        others=tuple(one for one in with_settings if one not in leading),
        defaults=tuple(
            _recommend_defaults(arm, arm.default_confirmed, comparison, found.get((arm.arm, True)))
            for arm in comparison.arms
            if arm.default_confirmed
        ),
        has_leader=bool(verdict.leading),
        expects=_expects(comparison),
    )


def without_scope(sentence: str) -> str:
    """The sentence without the scope of claims, which is said once for all sentences."""
    return sentence.replace(f", {SCOPE}", "")


def answer_table(answer: Answer) -> Table:
    """The answer as a table: a row for each chosen configuration and for confirmed defaults."""
    return Table(
        id="answer",
        title="What to use",
        columns=(
            text("name", "Arm"),
            text(
                "leads",
                "Leads",
                lambda one: answer.has_leader and one in answer.leading,
                show=yes_or_no,
            ),
            text("settings", "Settings"),
            text("score", "Expected score"),
            text("cost", "Cost"),
            Column("run_seconds"),
            Column("search_seconds"),
            text("remark", "Remark"),
        ),
        records=(*answer.leading, *answer.others, *answer.defaults),
        note=f"Scores: {answer.expects}.",
    )


def _expects(comparison: Comparison) -> str:
    name = metric_name(comparison.study.objective)
    if not any(arm.confirmed for arm in comparison.arms):
        return f"the best {name} observed in the search, on validation data, from one run"
    expected = f"mean test {name} over fresh seeds, with its {CONFIDENCE_TEXT} interval"
    errors = [arm.confirmed.example_error for arm in comparison.arms if arm.confirmed]
    if all(map(math.isfinite, errors)):
        return f"{expected} over seeds and test samples"
    error = comparison.test_standard_error
    samples = "" if error is None else f"; the choice of test samples adds ± {error:.2g} (1 SE)"
    return f"{expected} over seeds{samples}"


def _recommend(
    arm: ArmSummary, comparison: Comparison, configuration: PastableConfiguration | None
) -> Recommendation:
    study = comparison.study
    confirmed = [
        run
        for run in study.confirmations
        if (run.arm, run.purpose) == (arm.arm, "confirm") and run.configuration == arm.chosen_trial
    ]
    cost, run_seconds = _run_cost(confirmed, study, arm.chosen_trial)
    seconds = arm.train_seconds + arm.evaluate_seconds
    searched = [
        plural(arm.num_trials, "trial"),
        "" if arm.epochs is None else plural(arm.epochs, "epoch"),
        format_duration(seconds) if math.isfinite(seconds) else "",
    ]
    search_cost = f"search: {', '.join(filter(None, searched))}"
    return Recommendation(
        arm=arm.arm,
        name=printable(arm.arm),
        is_default=False,
        settings=arm_line(arm.arm, arm.chosen_params, study),
        score=_score(arm.confirmed, arm.search_best, study.objective),
        cost="; ".join(filter(None, [cost, search_cost])),
        run_seconds=run_seconds,
        search_seconds=seconds if math.isfinite(seconds) else None,
        remark=_over_searches(arm, study.objective),
        configuration=configuration,
    )


def _recommend_defaults(
    arm: ArmSummary,
    scores: ConfirmedScores,
    comparison: Comparison,
    configuration: PastableConfiguration | None,
) -> Recommendation:
    study = comparison.study
    runs = [r for r in study.confirmations if (r.arm, r.purpose) == (arm.arm, "default")]
    searched = (one for one in study.trials if (one.arm, one.phase) == (arm.arm, "default"))
    cost, run_seconds = _run_cost(runs, study, next((one.number for one in searched), None))
    results = [one for one in comparison.defaults if one.defaults_of == arm.arm]
    leading = comparison.verdict.leading
    good = next((one for one in results if one.hold_their_own(leading)), None)
    remark = good or next((one for one in results if one.found_by == arm.arm), None)
    return Recommendation(
        arm=arm.arm,
        name=printable(arm.arm) + DEFAULTS_SUFFIX,
        is_default=True,
        settings=arm_line(arm.arm, default_params(arm, study), study),
        score=_score(scores, None, study.objective),
        cost="; ".join(filter(None, [cost, "no search"])),
        run_seconds=run_seconds,
        search_seconds=None,
        remark=without_scope(remark.sentence) if remark else "",
        is_good=good is not None,
        configuration=configuration,
    )


def _over_searches(arm: ArmSummary, metric: MetricInfo) -> str:
    """What the arm's searches reach; empty where arms are not compared over searches."""
    found = arm.over_searches
    if found is None:
        return ""
    low, high = found.ci
    mean, interval = number(found.mean, (high - low) / 2), ""
    if math.isfinite(high - low):
        half = (high - low) / 2
        interval = f" [{number(low, half)}, {number(high, half)}]"
    searches = f"{len(found.scores)} searches of this arm"
    return f"On average, {searches} reached a test {metric_name(metric)} of {mean}{interval}."


def _score(confirmed: ConfirmedScores | None, observed: float | None, metric: MetricInfo) -> str:
    unit = f" {metric.unit}" if metric.unit else ""
    if confirmed is None:
        return "" if observed is None else f"{number(observed)}{unit}"
    low, high = confirmed.test_ci
    seeds = plural(len(confirmed.seeds), "seed")
    diverged = confirmed.num_diverged
    seeds += f", {diverged} of them diverged" if diverged else ""
    if not math.isfinite(high - low):
        return f"{number(confirmed.test_mean)}{unit} ({seeds}; interval not known)"
    half = (high - low) / 2
    interval = f"[{number(low, half)}, {number(high, half)}]"
    return f"{number(confirmed.test_mean, half)}{unit} {interval} ({seeds})"


def _whole_runs(runs: Sequence[TrialRecord]) -> list[TrialRecord]:
    return [run for run in runs if run.outcome == "complete" and run.history]


def _run_seconds(runs: Sequence[TrialRecord]) -> float | None:
    """The median time of whole runs; None where none is known."""
    seconds = [run.train_seconds + run.evaluate_seconds for run in _whole_runs(runs)]
    found = median(seconds) if seconds else 0.0
    return found if found > 0 and math.isfinite(found) else None


def _run_cost(
    runs: Sequence[TrialRecord], study: StudyRecord, number: int | None
) -> tuple[str, float | None]:
    """`one run: 12 epochs, 0.49 s`, and the seconds of a run that has its worker to itself.

    Runs of a confirmation that trained many at once share their time. The search trial `number`,
    which has their configuration, may have trained alone; if not, the share is given, and said to
    be one. Empty and None where no time is known.
    """
    is_shared = study.arithmetic == study.search_arithmetic == "stacked"
    if study.arithmetic == "stacked" and not is_shared:
        runs = [trial for trial in study.trials if trial.number == number]
    seconds = _run_seconds(runs)
    if seconds is None:
        return "", None
    epochs = plural(round(median(run.epochs_run for run in _whole_runs(runs))), "epoch")
    how = ", trained with others at once" if is_shared else ""
    return f"one run: {epochs}, {format_duration(seconds)}{how}", None if is_shared else seconds


def arm_line(arm: str, params: Params, study: StudyRecord) -> str:
    """A configuration of an arm on one line, with what sets a named arm apart from the others."""
    line = settings_line(params, is_foreign=study.foreign)
    own = next((one.settings for one in study.arms if one.name == arm), {})
    named = [f"{split_name(key)[1].replace('_', ' ')} {value}" for key, value in own.items()]
    return ", ".join([line, *map(printable, named)]) if line else ""


def settings_line(params: Params, *, is_foreign: bool = False) -> str:
    """A configuration on one line: `adamw, learning rate 0.0031, cosine with 12 % warm-up, ...`.

    Args:
        params: The configuration, by full parameter name.
        is_foreign: Whether another program made the study; names are then shown as they are.
    """
    if is_foreign:
        return ", ".join(f"{printable(name)} = {_value(one)}" for name, one in params.items())
    optimizer, scheduler = (str(params.get(name, "")) for name in ("optimizer", "scheduler"))
    own = owned_params(params, optimizer)
    parts = [optimizer] if optimizer else []
    parts += _named(own, ["learning_rate"])
    if scheduler:
        parts.append(_schedule(scheduler, owned_params(params, scheduler)))
    parts += _named(own, ["weight_decay", *(name for name in own if name not in FIRST)])
    for owner in SHARED_OWNERS:
        of_owner = owned_params(params, owner)
        parts += _named(of_owner, list(of_owner))
    return printable(", ".join(parts))


def _schedule(name: str, params: Mapping[str, ParamValue]) -> str:
    """`cosine schedule with 12 % warm-up, gamma 0.1`."""
    named = name if is_reference(name) else name.replace("_", " ")
    title = "constant rate" if name == "constant" else f"{named} schedule"
    warmup = params.get("warmup_fraction")
    others = _named(params, [one for one in params if one != "warmup_fraction"])
    if isinstance(warmup, (int, float)) and warmup:
        others.insert(0, f"{100 * warmup:.2g} % warm-up")
    return f"{title} ({', '.join(others)})" if others else title


def _named(params: Mapping[str, ParamValue], names: Sequence[str]) -> list[str]:
    return list(_settings(params, names))


def _settings(params: Mapping[str, ParamValue], names: Sequence[str]) -> Iterator[str]:
    for name in names:
        if name in params:
            yield f"{name.replace('_', ' ')} {_value(params[name])}"


def _value(value: ParamValue) -> str:
    """A number with three significant digits; the code has all of them."""
    if isinstance(value, float):
        return f"{value:.3g}"
    return printable(str(value))
