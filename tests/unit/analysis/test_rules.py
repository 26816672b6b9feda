"""Rules of thumb on synthetic studies: every verdict, and what it is made of."""

import math
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from bakeoff.analysis.comparison import compare
from bakeoff.analysis.rules import judge_suite, pooled
from bakeoff.records import Contrast, Flag, Rule, Suite, Timing, Workload
from record_examples import example_record, repeated, with_test_score

REPEATS = 3
NOISE = 0.002
"""True standard deviation of a score over seeds."""


def study(number, gains, *, num_seeds=8, finished=True):
    """A finished study of three searches; `gains` are true means above 0.9 by arm."""
    rng = np.random.default_rng(number)
    parts = [
        example_record(
            num_arms=len(gains),
            trials_per_arm=20,
            seed=10 * number + repeat,
            test_scores={
                arm: (0.9 + gain + rng.normal(0, NOISE, num_seeds)).tolist()
                for arm, gain in gains.items()
            },
        )
        for repeat in range(REPEATS)
    ]
    return replace(repeated(parts), name=f"study-{number}", finished=finished)


def suite_of(*rules, workloads):
    return Suite(
        name="toy",
        question="Do they hold?",
        repeats=REPEATS,
        workloads=tuple(Workload(name=name, file=Path(f"{name}.toml")) for name in workloads),
        rules=rules,
    )


def rule_of(workloads, **changes):
    fields = {
        "name": "rule",
        "says": "Use Adam.",
        "workloads": tuple(workloads),
        "contrast": Contrast(name="adam", a=("adam",), b=("sgd",)),
    }
    return Rule(**{**fields, **changes})


@cache
def small_comparison():
    return compare(example_record(num_arms=2, trials_per_arm=2, num_seeds=0))


def comparison_of(record, flags=()):
    """A comparison of which a suite reads nothing but the study and its flags."""
    return replace(small_comparison(), study=record, flags=flags)


def judge(records, *rules, timings=()):
    comparisons = {name: comparison_of(record) for name, record in records.items()}
    names = dict.fromkeys(name for rule in rules for name in rule.workloads)
    return judge_suite(suite_of(*rules, workloads=names), comparisons, timings).rules


@pytest.fixture(scope="module")
def better():
    """Three workloads on which adam is ahead by five deviations over seeds."""
    return {f"w{number}": study(number, {"sgd": 0.0, "adam": 0.01}) for number in range(3)}


def test_a_rule_that_every_search_supports_is_confirmed(better):
    (found,) = judge(better, rule_of(better))
    assert found.verdict == "confirmed"
    assert found.num_units == 9
    assert not found.tests_workloads
    assert found.p == 2 / 2**9
    assert found.effect == pytest.approx(5, rel=0.25)
    assert 0 < found.ci[0] < found.effect < found.ci[1]
    assert found.effect == pytest.approx(np.mean([one.mean for one in found.effects]))
    assert found.sentence.startswith("Confirmed: adam scored ")
    assert "9 searches as units" in found.sentence


def test_the_opposite_rule_is_refuted_by_the_same_numbers(better):
    contrast = Contrast(name="sgd", a=("sgd",))
    (found,) = judge(better, rule_of(better, contrast=contrast))
    assert found.verdict == "refuted"
    assert found.effect < 0
    assert found.sentence.startswith("Refuted: sgd scored ")
    assert "below the other arms" in found.sentence


def test_equal_arms_show_nothing():
    records = {f"w{number}": study(number, {"sgd": 0.0, "adam": 0.0}) for number in range(3)}
    (found,) = judge(records, rule_of(records))
    assert found.verdict == "not_shown"
    assert found.ci[0] < 0 < found.ci[1]
    assert "it takes an effect shown above 0 to confirm it" in found.sentence


def test_an_effect_below_the_claimed_size_refutes_the_claim_of_a_size(better):
    (found,) = judge(better, rule_of(better, confirmed_above=20.0, refuted_below=20.0))
    assert found.verdict == "refuted"
    (found,) = judge(better, rule_of(better, confirmed_above=20.0, refuted_below=0.0))
    assert (found.verdict, found.p) == ("not_shown", 1.0)


def test_a_metric_to_be_minimised_gives_the_same_verdict(better):
    def flipped(record):
        low = replace(record.objective, direction="minimize", high=math.inf, low=-math.inf)
        runs = {
            key: tuple(
                replace(
                    run,
                    score=None if run.score is None else -run.score,
                    test_metrics={name: -value for name, value in run.test_metrics.items()},
                )
                for run in getattr(record, key)
            )
            for key in ("trials", "confirmations")
        }
        return replace(record, objective=low, **runs)

    (up,) = judge(better, rule_of(better))
    (down,) = judge({name: flipped(record) for name, record in better.items()}, rule_of(better))
    assert down.verdict == up.verdict
    assert down.effect == pytest.approx(up.effect)


def test_the_mean_over_arms_is_compared_with_the_mean_over_the_others():
    gains = {"sgd": 0.0, "adam": 0.02, "adamw": 0.01, "rmsprop": 0.0}
    record = study(1, gains)
    contrast = Contrast(name="two", a=("sgd", "adam"), b=("adamw", "rmsprop"))
    (found,) = judge({"w": record}, rule_of(["w"], contrast=contrast))
    (effect,) = found.effects
    assert effect.a_value - effect.b_value == pytest.approx(0.005, abs=0.002)
    assert effect.scale == pytest.approx(NOISE, rel=0.4)
    assert effect.mean == pytest.approx((effect.a_value - effect.b_value) / effect.scale)


def test_few_searches_never_decide_a_rule(better):
    (found,) = judge({"w0": better["w0"]}, rule_of(["w0"]))
    assert (found.verdict, found.num_units) == ("not_shown", 3)
    assert "so few units cannot decide a rule of a suite of 1; it takes 6" in found.sentence


def test_rules_share_an_error_rate(better):
    rules = [rule_of(better, name=f"rule-{place}") for place in range(20)]
    found = judge(better, *rules)
    assert {one.verdict for one in found} == {"not_shown"}  # 20 times the smallest p of 9 units
    assert found[0].p_holm == pytest.approx(20 * 2 / 2**9)


def test_with_enough_workloads_they_are_the_units():
    records = {f"w{number}": study(number, {"sgd": 0.0, "adam": 0.01}) for number in range(6)}
    (found,) = judge(records, rule_of(records))
    assert found.tests_workloads
    assert (found.num_units, found.p, found.verdict) == (6, 2 / 2**6, "confirmed")
    means = [one.mean for one in found.effects]
    assert found.ci == pytest.approx(
        stats.t.interval(0.95, 5, np.mean(means), stats.sem(means)), rel=1e-9
    )


def test_a_rule_waits_for_all_of_its_studies(better):
    records = {**better, "w2": replace(better["w2"], finished=False)}
    (found,) = judge(records, rule_of(better))
    assert (found.verdict, math.isnan(found.effect)) == ("not_tested", True)
    assert found.sentence == ("Not tested: these workloads do not count: w2 (not finished).")
    assert judge({}, rule_of(better))[0].sentence == (
        "Not tested: these workloads do not count: w0, w1 and w2 (not finished)."
    )


def test_a_rule_that_is_not_tested_says_why_and_costs_no_error_rate(better):
    untested = rule_of([], name="gpu", contrast=None, not_tested="it needs a GPU")
    found, other = judge(better, untested, rule_of(better))
    assert (found.verdict, found.sentence) == ("not_tested", "Not tested: it needs a GPU.")
    assert other.p_holm == other.p


def test_a_value_at_the_edge_of_its_range_makes_the_verdict_provisional(better):
    flag = Flag(
        id="W10", title="The best value is at a bound", detail="", advice="",
        severity="provisional", arms=("adam",),
    )  # fmt: skip
    other = replace(flag, arms=("nadam",))
    comparisons = {
        name: comparison_of(record, (flag,) if name == "w1" else (other,))
        for name, record in better.items()
    }
    (found,) = judge_suite(suite_of(rule_of(better), workloads=better), comparisons).rules
    assert found.provisional == ("w1: The best value is at a bound (W10)",)
    assert found.word == "provisionally confirmed"
    assert found.sentence.startswith("Provisionally confirmed: ")


def test_a_workload_on_the_other_side_is_named():
    gains = [0.05, 0.05, -0.01]
    records = {
        f"w{place}": study(place, {"sgd": 0.0, "adam": gain}) for place, gain in enumerate(gains)
    }
    (found,) = judge(records, rule_of(records))
    assert "on w2 it was the other way round" in found.sentence


def test_searches_with_too_few_trials_do_not_count(better):
    small = replace(
        better["w0"],
        trials=tuple(one for one in better["w0"].trials if one.number % 20 < 10),
    )
    (found,) = judge({"w": small}, rule_of(["w"]))
    assert "no search counts (adam: it has" in found.sentence


def later(record, arm, epochs):
    """The study with confirmation curves that reach 0.9 at one epoch, which `arm` does later."""

    def moved(run):
        at = epochs if run.arm == arm else 2
        history = tuple(
            replace(one, metrics={"accuracy": 0.9 if one.epoch >= at else 0.5})
            for one in run.history
        )
        return replace(run, history=history, score=0.9)

    return replace(record, confirmations=tuple(map(moved, record.confirmations)))


def test_epochs_to_the_target_are_compared_as_a_ratio(better):
    records = {name: later(record, "sgd", 6) for name, record in better.items()}
    (found,) = judge(
        records, rule_of(better, measure="epochs", confirmed_above=1.5, refuted_below=1.5)
    )
    assert found.effect == pytest.approx(3.0)  # 6 epochs against 2
    assert found.verdict == "confirmed"
    assert "adam reached the score of sgd 3 times as fast" in found.sentence
    (effect, *_) = found.effects
    assert (effect.a_value, effect.b_value) == pytest.approx((2.0, 6.0))
    assert effect.unit == "epochs"


def test_an_arm_that_never_reaches_the_target_takes_an_epoch_more_than_planned(better):
    records = {name: later(record, "adam", 99) for name, record in better.items()}
    rule = rule_of(better, measure="epochs", confirmed_above=1.0, refuted_below=1.0)
    (found,) = judge(records, rule)
    assert (found.verdict, found.effect) == ("refuted", pytest.approx(2 / 9))
    (effect, *_) = found.effects
    assert effect.a_value == pytest.approx(better["w0"].epochs + 1)


def test_shares_of_diverged_random_trials_are_compared(better):
    def unstable(record):
        places = dict.fromkeys(("sgd", "adam"), 0)
        trials = []
        for one in record.trials:
            places[one.arm] += 1
            diverges = one.arm == "sgd" and places[one.arm] % 2
            outcome = "diverged" if diverges else "complete"
            trials.append(replace(one, phase="random", outcome=outcome, score=0.1))
        return replace(record, trials=tuple(trials))

    records = {name: unstable(record) for name, record in better.items()}
    (found,) = judge(records, rule_of(better, measure="diverged"))
    assert found.effect == pytest.approx(0.5, abs=0.05)
    assert found.verdict == "confirmed"
    assert "percentage points fewer failed in the arm adam than in the arm sgd" in found.sentence


def test_a_trial_that_ends_where_an_untrained_model_is_counts_as_diverged(better):
    def stuck(record):
        def at_chance(one):
            score = 0.12 if one.arm == "sgd" else 0.9  # the best is above 0.9, chance is 0.1
            last = replace(one.history[-1], metrics={"accuracy": score})
            history = (*one.history[:-1], last)
            return replace(one, phase="random", outcome="complete", history=history)

        trials = tuple(map(at_chance, record.trials))
        return replace(record, trials=trials, chance_score=0.1)

    records = {name: stuck(record) for name, record in better.items()}
    (found,) = judge(records, rule_of(better, measure="diverged"))
    assert (found.verdict, found.effect) == ("confirmed", pytest.approx(1.0))
    records = {name: replace(record, chance_score=math.nan) for name, record in records.items()}
    (found,) = judge(records, rule_of(better, measure="diverged"))
    assert (found.verdict, found.effect) == ("not_shown", 0.0)


def timing(workload, ratio, rng, why_not=""):
    a, noise = np.abs(rng.normal(1.0, 0.01, (2, 10)))
    return Timing(
        workload=workload, measure="precision", a="bf16", b="fp32", a_seconds=tuple(a.tolist()),
        b_seconds=tuple((ratio * a * noise).tolist()), why_not=why_not,
    )  # fmt: skip


def test_times_of_steps_decide_a_rule_about_speed():
    rule = rule_of(
        ["w"],
        measure="precision",
        contrast=Contrast(name="half", a=("bf16",), b=("fp32",)),
        confirmed_above=1.41,
        refuted_below=1.41,
    )
    rng = np.random.default_rng(0)
    (found,) = judge({}, rule, timings=[timing("w", 2.5, rng)])
    assert (found.verdict, found.effect) == ("confirmed", pytest.approx(2.5, rel=0.02))
    assert "a training step in bf16 was 2.4" in found.sentence
    assert " times as fast as in fp32 (average over 1 workload" in found.sentence
    assert "10 measurements as units" in found.sentence
    (found,) = judge({}, rule, timings=[timing("w", 0.8, rng)])
    assert found.verdict == "refuted"
    (found,) = judge({}, rule, timings=[timing("w", 1, rng, why_not="bf16 cannot be timed")])
    assert found.sentence == "Not tested: these workloads do not count: w (bf16 cannot be timed)."


def test_a_search_whose_runs_all_diverge_counts_with_its_bad_score(better):
    def ruined(record):
        runs = tuple(
            with_test_score(run, math.nan) if run.arm == "sgd" and run.purpose == "confirm" else run
            for run in record.confirmations
        )
        return replace(record, confirmations=runs)

    records = {**better, "w0": ruined(better["w0"])}
    (found,) = judge(records, rule_of(better))
    assert found.verdict == "confirmed"
    assert found.effects[0].effects == (10, 10, 10)  # no search counts for more
    assert found.effects[0].b_value == pytest.approx(0.1)


def test_the_interval_of_strata_is_that_of_a_two_way_layout():
    """Equal numbers of searches: the classical interval of a mean with blocks."""
    rng = np.random.default_rng(3)
    effects = [rng.normal(center, 1, 4) for center in (0.0, 5.0, 9.0)]
    found = pooled(effects, tests_workloads=False)
    squares = sum(((one - one.mean()) ** 2).sum() for one in effects)
    half = stats.t.ppf(0.975, 9) * math.sqrt(squares / 9 / 12)
    mean = np.mean(effects)
    assert found.mean == pytest.approx(mean)
    assert found.ci == pytest.approx((mean - half, mean + half))
    assert all(map(math.isnan, pooled([one[:1] for one in effects], tests_workloads=False).ci))


@pytest.mark.slow
def test_equal_arms_decide_a_rule_in_at_most_five_percent_of_suites():
    """Scores of equal arms with heavy tails: the error rate of both verdicts together."""
    rng = np.random.default_rng(0)
    decided = 0
    for _ in range(2_000):
        effects = [rng.standard_t(3, 3) for _ in range(3)]
        sample = pooled(effects, tests_workloads=False)
        low, high = sample.ci
        decided += sample.p(0.0, 0.0) < 0.05 and not low <= 0 <= high
    assert decided <= 0.06 * 2_000
