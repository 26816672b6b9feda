import math
from dataclasses import replace

import numpy as np
import pytest

from bakeoff.analysis.comparison import compare
from bakeoff.analysis.confirmation import ConfirmedRuns
from bakeoff.analysis.design import Design
from bakeoff.analysis.pairs import compare_pairs
from bakeoff.analysis.samples import first_runs
from bakeoff.records import TrialRecord
from record_examples import example_record

AHEAD = (0.950, 0.951, 0.949, 0.952, 0.950, 0.951, 0.949, 0.950)
BEHIND = (0.940, 0.941, 0.942, 0.939, 0.941, 0.940, 0.938, 0.940)
CLOSE = (0.9505, 0.9500, 0.9498, 0.9512, 0.9501, 0.9508, 0.9497, 0.9501)


def runs_of(arm, scores, *, diverged=(), without=()):
    """Confirmation runs with seeds 0, 1, ... that were begun in the order of their seeds."""
    return ConfirmedRuns(
        arm=arm,
        configuration=0,
        runs=tuple(
            TrialRecord(
                number=seed, arm=arm, params={}, outcome="complete", score=None, seed=seed,
                test_without=tuple(without[seed]) if len(without) else (),
            )
            for seed in range(len(scores))
        ),
        test=np.array(scores),
        diverged=np.isin(np.arange(len(scores)), list(diverged)),
    )  # fmt: skip


def compared(a, b, *, delta=0.003, design=None, **of_b):
    design = design or Design(bounds=(0.0, 1.0))
    runs = {"a": runs_of("a", a), "b": runs_of("b", b, **of_b)}
    (pair,) = compare_pairs(("a", "b"), runs, sign=1, delta=delta, blocked=False, design=design)
    return pair.result


def test_an_arm_that_is_ahead_on_every_seed_is_better():
    found = compared(AHEAD, BEHIND)
    assert (found.status, found.winner, found.p) == ("clearly_better", "a", 2 / 2**8)


def test_close_arms_are_equal_and_up_to_31_percent_of_their_runs_may_fail():
    found = compared(AHEAD, CLOSE)
    assert found.status == "practically_equal"
    assert found.failed == (0, 0)
    assert found.failure_limit == pytest.approx(0.312, abs=5e-4)
    assert found.failure_p == 1.0


@pytest.mark.parametrize("diverged", [(), (3,)])
def test_one_collapse_that_was_seen_forbids_equality_whether_or_not_it_diverged(diverged):
    found = compared(AHEAD, (*CLOSE[:3], 0.1, *CLOSE[4:]), diverged=diverged)
    assert found.status == "no_difference_shown"
    assert found.failed == (0, 1)
    assert all(map(math.isnan, found.ci))
    assert found.failure_limit == pytest.approx(0.312, abs=5e-4)  # of the arm without failures


def test_an_arm_with_a_collapse_and_the_worse_mean_is_not_better():
    found = compared((0.1, *AHEAD[1:]), BEHIND)
    assert found.mean < 0
    assert found.winner is None


def test_an_arm_that_fails_more_often_is_not_better_even_with_the_better_mean():
    # b fails in none of 10, a in 5 of 10, but a's failures are above all scores of b
    high = np.array([0.9, 0.9001, 0.9, 0.8999, 0.9] + [0.6] * 5)
    low = np.linspace(0.5, 0.501, 10)
    runs = {"a": runs_of("a", high, diverged=range(5, 10)), "b": runs_of("b", low)}
    (pair,) = compare_pairs(("a", "b"), runs, sign=1, delta=0.01, blocked=False)
    assert pair.result.mean > 0
    assert pair.result.p < 0.05
    assert pair.result.failure_p < 0.05
    assert pair.winner is None


def test_an_arm_is_better_than_one_whose_runs_fail():
    bad = runs_of("b", [0.1] * 6 + [0.9] * 4, diverged=range(6))
    runs = {"a": runs_of("a", np.linspace(0.94, 0.95, 10)), "b": bad}
    (pair,) = compare_pairs(("a", "b"), runs, sign=1, delta=0.01, blocked=False)
    assert pair.winner == "a"
    assert pair.result.status == "better"  # nothing is said about the size


def correct_of(rate, samples, seed):
    """Which of so many samples are right, for 8 seeds that agree."""
    row = np.random.default_rng(seed).random(samples) < rate
    return np.tile(row, (8, 1)).astype(float)


def test_a_difference_that_fifty_test_samples_cannot_show_is_not_claimed():
    a, b = correct_of(0.9, 50, 1), correct_of(0.8, 50, 2)
    noise = np.random.default_rng(3).normal(0, 1e-4, size=(2, 8, 1))
    runs = {}
    for name, correct, more in (("a", a, noise[0]), ("b", b, noise[1])):
        without = (correct.sum(axis=1, keepdims=True) - correct) / 49 + more
        runs[name] = runs_of(name, correct.mean(axis=1) + more[:, 0], without=without)
    (pair,) = compare_pairs(
        ("a", "b"), runs, sign=1, delta=0.01, blocked=False, design=Design(num_test=50)
    )
    row = a[0] - b[0]
    assert pair.result.p == 2 / 2**8  # over seeds alone it would be clear
    assert pair.result.unit_error < 1e-4
    assert pair.result.example_error == pytest.approx(row.std(ddof=1) / math.sqrt(50), rel=0.01)
    assert pair.result.status == "no_difference_shown"
    assert pair.result.seeds_to_decide is None  # no number of seeds would show it


def test_a_difference_of_accuracies_never_exceeds_one():
    rng = np.random.default_rng(0)
    for _ in range(50):
        found = compared(rng.integers(0, 2, 6) * 0.98 + 0.01, rng.random(6), delta=math.nan)
        low, high = found.ci
        assert math.isnan(low) or -1 <= low <= found.mean <= high <= 1


@pytest.mark.parametrize("num", [1, 2, 3])
def test_fewer_than_four_seeds_give_no_interval_of_a_difference(num):
    assert all(map(math.isnan, compared(AHEAD[:num], BEHIND[:num]).ci))


def test_splits_drawn_anew_widen_the_interval():
    plain = compared(AHEAD, BEHIND, design=Design())
    anew = compared(AHEAD, BEHIND, design=Design(overlap=0.25))
    factor = math.sqrt((1 / 8 + 0.25) * 8)
    assert anew.ci[1] - anew.ci[0] == pytest.approx(factor * (plain.ci[1] - plain.ci[0]))
    assert anew.p == plain.p


def test_at_a_declared_look_tests_and_interval_have_its_level():
    once = compared(AHEAD, CLOSE)
    first = compared(AHEAD, CLOSE, design=Design(bounds=(0, 1), looks=(8, 16)))
    assert once.alpha == 0.05
    assert first.alpha == pytest.approx(0.0078125)  # 2 / 2**8, what the exact test needs
    assert first.ci[1] - first.ci[0] > once.ci[1] - once.ci[0]
    assert compared(AHEAD, BEHIND, design=Design(looks=(8, 16))).winner == "a"


def test_at_a_look_that_spends_nothing_nothing_is_claimed():
    found = compared(AHEAD, BEHIND, design=Design(looks=(8, 12, 16, 20)))
    later = compared(AHEAD + AHEAD[:4], BEHIND + BEHIND[:4], design=Design(looks=(8, 12, 16, 20)))
    assert (found.alpha, later.alpha) == (pytest.approx(2 / 2**8), pytest.approx(0.0094545))
    assert found.winner == later.winner == "a"
    nothing = compared(AHEAD[:6], BEHIND[:6], design=Design(looks=(6, 8, 10)))
    assert (nothing.alpha, nothing.status) == (0.0, "no_difference_shown")
    assert math.isnan(nothing.detectable)


@pytest.mark.parametrize(("read", "is_new"), [((6,), False), ((4,), True), ((4, 6), True)])
def test_a_claim_is_new_unless_it_was_made_at_the_fewest_seeds_that_were_read(read, is_new):
    found = compared(AHEAD, BEHIND, design=Design(read_at=read))
    assert found.winner == "a"
    assert found.new_since_reading is is_new


def test_equality_that_only_more_seeds_showed_is_new():
    noisy = (0.9700, 0.9300, 0.9650, 0.9350, 0.9510, 0.9490)
    more = (0.9400, 0.9600) * 10
    a, b = (*noisy, *more), (*[0.95] * 6, *[0.95] * 20)
    found = compared(a, b, delta=0.01, design=Design(read_at=(6,)))
    assert found.status == "practically_equal"
    assert found.new_since_reading


def test_no_claim_is_never_new():
    found = compared(AHEAD, CLOSE, delta=math.nan, design=Design(read_at=(6,)))
    assert found.status == "no_difference_shown"
    assert not found.new_since_reading


def test_the_first_runs_are_those_that_were_begun_first():
    runs = runs_of("a", AHEAD)
    shuffled = replace(runs, runs=tuple(replace(run, number=99 - run.number) for run in runs.runs))
    assert first_runs(shuffled, 2).test.tolist() == list(AHEAD[6:])


def with_auroc(record, test_value):
    """The study with AUROC as its objective and this value on the test set."""

    def on_run(run):
        tested = {"auroc": test_value} if run.test_metrics else {}
        return replace(run, test_metrics=tested)

    return replace(
        record,
        objective=replace(record.objective, name="auroc", is_mean_over_samples=False),
        confirmations=tuple(map(on_run, record.confirmations)),
    )


def test_a_metric_that_is_undefined_on_the_test_set_is_never_replaced_by_validation():
    comparison = compare(with_auroc(example_record(num_arms=2), math.nan))
    assert comparison.level == "L0"
    assert [arm.confirmed for arm in comparison.arms] == [None, None]
    assert comparison.verdict.headline == "No verdict: the test set gives no value of auroc."
    assert [flag.id for flag in comparison.flags if flag.severity == "blocks"] == ["W17"]


def test_a_run_without_a_test_score_beside_runs_that_have_one_counts_as_failed():
    record = with_auroc(example_record(num_arms=2, num_seeds=6), 0.9)
    first = next(run for run in record.confirmations if run.purpose == "confirm")
    broken = replace(first, test_metrics={"auroc": math.nan})
    runs = tuple(broken if run == first else run for run in record.confirmations)
    (arm,) = [
        one for one in compare(replace(record, confirmations=runs)).arms if one.arm == first.arm
    ]
    assert arm.confirmed.num_diverged == 1
    assert arm.confirmed.worst == 0.0  # the worst AUROC there is, not the validation score
