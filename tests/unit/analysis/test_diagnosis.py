import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from bakeoff.analysis.comparison import compare
from bakeoff.analysis.diagnosis import RULES, diagnose_runs
from bakeoff.records import EpochResult, MetricInfo, TrialRecord
from record_examples import ACCURACY, as_error_rate, example_record, shuffled

EPOCHS = np.arange(1, 21)
LOSS = MetricInfo(name="loss", direction="minimize", low=0.0, high=math.inf)


def saturating(start: float, end: float, time: float) -> np.ndarray:
    """From `start` towards `end`, with this time constant in epochs."""
    return end + (start - end) * np.exp(-EPOCHS / time)


def history(
    accuracy: Sequence[float], train_loss: Sequence[float], loss: Sequence[float]
) -> tuple[EpochResult, ...]:
    return tuple(
        EpochResult(epoch=epoch, metrics={"accuracy": a, "loss": v}, train_loss=t)
        for epoch, (a, t, v) in enumerate(zip(accuracy, train_loss, loss, strict=True), start=1)
    )


HEALTHY_SCORE = saturating(0.3, 0.93, 4.0)
HEALTHY_TRAIN = saturating(2.0, 0.12, 4.0)
HEALTHY_LOSS = saturating(2.0, 0.22, 4.0)

CURVES: dict[str, tuple[EpochResult, ...]] = {
    "overfitting": history(
        HEALTHY_SCORE, saturating(2.0, 0.01, 4.0), HEALTHY_LOSS + 0.03 * np.maximum(0, EPOCHS - 9)
    ),
    "underfitting": history(
        saturating(0.2, 0.42, 4.0), saturating(2.2, 1.62, 4.0), saturating(2.2, 1.64, 4.0)
    ),
    "still_improving": history(
        0.3 + 0.03 * EPOCHS, 2.0 - 0.09 * EPOCHS, 2.0 - 0.085 * EPOCHS
    ),
    "unstable": history(
        HEALTHY_SCORE - 0.12 * (EPOCHS % 2), HEALTHY_TRAIN, HEALTHY_LOSS + 0.1 * (EPOCHS % 2)
    ),
    "slow_to_converge": history(
        0.1 + 0.83 / (1 + np.exp(-(EPOCHS - 12) / 0.6)),
        0.1 + 1.9 / (1 + np.exp((EPOCHS - 12) / 0.6)),
        0.2 + 1.9 / (1 + np.exp((EPOCHS - 12) / 0.6)),
    ),
    "plateaued_early": history(
        saturating(0.1, 0.93, 1.0), saturating(2.0, 0.12, 1.0), saturating(2.0, 0.2, 1.0)
    ),
    "waiting_for_data": tuple(
        replace(result, train_seconds=2.0, data_seconds=0.8)
        for result in history(HEALTHY_SCORE, HEALTHY_TRAIN, HEALTHY_LOSS)
    ),
}  # fmt: skip


def noisy(values: np.ndarray, sd: float, seed: int) -> np.ndarray:
    return values + np.random.default_rng(seed).normal(0.0, sd, len(values))


def kinds(runs: Sequence[Sequence[EpochResult]], objective: MetricInfo = ACCURACY) -> list[str]:
    return [found.kind for found in diagnose_runs(runs, objective, floor=0.005)]


def test_every_rule_has_a_constructed_curve():
    assert {rule.kind for rule in RULES} == set(CURVES)


@pytest.mark.parametrize("kind", CURVES)
def test_constructed_curve_is_recognised_and_nothing_else(kind):
    assert [kind] == kinds([CURVES[kind]])


@pytest.mark.parametrize("kind", CURVES)
def test_objective_that_is_better_when_lower_is_diagnosed_alike(kind):
    flipped = [
        replace(result, metrics={**result.metrics, "error": 1 - result.metrics["accuracy"]})
        for result in CURVES[kind]
    ]
    error = replace(ACCURACY, name="error", direction="minimize")
    assert [kind] == kinds([flipped], error)


@pytest.mark.parametrize("seed", range(20))
def test_healthy_run_with_noise_raises_nothing(seed):
    run = history(
        noisy(HEALTHY_SCORE, 0.003, seed),
        noisy(HEALTHY_TRAIN, 0.01, seed + 100),
        noisy(HEALTHY_LOSS, 0.01, seed + 200),
    )
    assert kinds([run]) == []


def test_healthy_run_scored_by_its_loss_raises_nothing():
    assert kinds([history(HEALTHY_SCORE, HEALTHY_TRAIN, HEALTHY_LOSS)], LOSS) == []


CONSTANT = np.full(20, 0.9)


@pytest.mark.parametrize(
    "run",
    [
        (),
        CURVES["still_improving"][:4],
        history(CONSTANT, CONSTANT * math.nan, CONSTANT * math.nan),
        history(CONSTANT * math.nan, CONSTANT, CONSTANT),
        history(HEALTHY_SCORE, CONSTANT * math.nan, CONSTANT * math.nan),
    ],
    ids=["no epochs", "four epochs", "constant without losses", "scores are NaN", "no losses"],
)
def test_what_the_curves_do_not_show_is_not_diagnosed(run):
    assert kinds([run]) == []


def test_one_bad_last_epoch_is_not_overfitting():
    loss = HEALTHY_LOSS.copy()
    loss[-1] *= 1.5
    assert kinds([history(HEALTHY_SCORE, HEALTHY_TRAIN, loss)]) == []


def test_gain_too_small_to_matter_is_not_still_improving():
    scores = 0.9 + 0.0005 * EPOCHS
    assert "still_improving" not in kinds([history(scores, HEALTHY_TRAIN, HEALTHY_LOSS)])


@pytest.mark.parametrize(("num_showing", "said"), [(1, False), (2, False), (3, True), (4, True)])
def test_diagnosis_needs_more_than_half_of_the_runs(num_showing, said):
    healthy = history(HEALTHY_SCORE, HEALTHY_TRAIN, HEALTHY_LOSS)
    runs = [CURVES["overfitting"]] * num_showing + [healthy] * (4 - num_showing)
    assert ("overfitting" in kinds(runs)) is said


def test_evidence_quotes_the_curve():
    found = diagnose_runs([CURVES["overfitting"]] * 2, ACCURACY, arm="sgd", floor=0.005)[0]
    loss = [result.metrics["loss"] for result in CURVES["overfitting"]]
    assert found.arm == "sgd"
    assert f"from {min(loss):.3g} to {np.median(loss[-3:]):.3g}" in found.evidence
    assert "2 of 2 runs" in found.evidence


def with_divergence_above(limit: float) -> Callable[[TrialRecord], TrialRecord]:
    def change(trial):
        bad = trial.params[f"{trial.arm}.learning_rate"] >= limit
        return replace(trial, outcome="diverged" if bad else "complete", score=0.1 if bad else 0.9)

    return change


def test_learning_rate_above_which_runs_diverge_is_found():
    record = example_record(num_arms=1, trials_per_arm=40, sampler="random", pruner="none")
    trials = tuple(map(with_divergence_above(0.2), record.trials))
    searched = [t for t in trials if t.phase != "default"]
    rates = [t.params["sgd.learning_rate"] for t in searched]
    above = sorted(rate for rate in rates if rate >= 0.2)
    found = [
        d for d in compare(replace(record, trials=trials)).diagnoses if d.kind == "diverging_above"
    ]
    expected = (
        f"{len(above)} of {len(above)} trials with a learning rate of {above[0]:.4g} or more"
        f" diverged, and 0 of the {len(rates) - len(above)} below it."
    )
    assert [expected] == [d.evidence for d in found]


@pytest.mark.parametrize("seed", range(5))
def test_divergence_that_does_not_depend_on_the_learning_rate_gives_no_limit(seed):
    record = example_record(num_arms=1, trials_per_arm=40, sampler="random", pruner="none")
    rng = np.random.default_rng(seed)
    trials = tuple(
        replace(t, outcome="diverged" if rng.random() < 0.2 else "complete", score=0.5)
        for t in record.trials
    )
    assert not [
        d for d in compare(replace(record, trials=trials)).diagnoses if d.kind == "diverging_above"
    ]


def test_diagnoses_depend_neither_on_the_order_of_runs_nor_on_the_direction():
    record = example_record(epochs=12)
    expected = [(d.arm, d.kind) for d in compare(record).diagnoses]
    assert expected == [(d.arm, d.kind) for d in compare(shuffled(record)).diagnoses]
    assert expected == [(d.arm, d.kind) for d in compare(as_error_rate(record)).diagnoses]


def test_a_single_run_is_advised_without_other_arms() -> None:
    (alone,) = diagnose_runs([CURVES["still_improving"]], ACCURACY, floor=0.005)
    (of_an_arm,) = diagnose_runs([CURVES["still_improving"]], ACCURACY, arm="sgd", floor=0.005)
    assert (alone.evidence, alone.advice) == (
        of_an_arm.evidence,
        "Train for more epochs.",
    )
    assert "all arms" in of_an_arm.advice


# ---------------------------------------------------------------- best after the first epoch

NO_LOSS = [math.nan] * 9


@pytest.mark.parametrize("sign", [1, -1])
def test_a_run_that_is_best_at_its_first_epoch_and_moves_back_and_forth_is_unstable(sign):
    """It gains nothing, and each step is 0.1 of the 0.1 between its worst and its best epoch."""
    scores = [0.5 + sign * (0.4 - 0.1 * (epoch % 2)) for epoch in range(9)]
    objective = ACCURACY if sign > 0 else MetricInfo(name="accuracy", direction="minimize", low=0, high=1)  # fmt: skip
    found = diagnose_runs([history(scores, NO_LOSS, NO_LOSS)], objective)
    (unstable,) = [one for one in found if one.kind == "unstable"]
    assert unstable.evidence.endswith("100 % of the difference between worst and best epoch.")


def test_a_run_that_recovers_after_its_best_first_epoch_is_still_improving():
    scores = [0.9, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.89]
    found = diagnose_runs([history(scores, NO_LOSS, NO_LOSS)], ACCURACY)
    (improving,) = [one for one in found if one.kind == "still_improving"]
    # 0.87 in the last two epochs, 0.75 in the two before; the slope gives the smaller 2 * 0.045
    assert improving.evidence.startswith(
        "in the last 2 epochs the accuracy still improved by about 0.090, 15 % of the difference"
    )


@pytest.mark.parametrize("value", [0.5, 0.0, 1e300, -1e-300])
def test_a_curve_without_any_movement_shows_nothing(value):
    objective = MetricInfo(name="accuracy", direction="maximize", low=-math.inf, high=math.inf)
    assert diagnose_runs([history([value] * 9, NO_LOSS, NO_LOSS)], objective) == ()
