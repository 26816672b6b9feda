"""Models of the user's that compute in a stack what they compute alone, and those that do not."""

from dataclasses import replace

import pytest

from bakeoff.training.stack.check import measure_stacks
from bakeoff.training.stack.layers import NotStackableError
from bakeoff.training.stack.member import prepare_member
from bakeoff.training.stack.own_model import check_own_model
from bakeoff.training.state import prepare
from run_examples import small_run

LOW, HIGH = 0.1, 0.4


def run(kind: str, rate: float):
    return small_run(model=f"branching_models:{kind}", model_params={"dropout": rate})


def model(kind: str, rate: float):
    return prepare(run(kind, rate), "cpu").model


def test_models_that_compute_the_same_are_stacked():
    check_own_model(run("Plain", LOW), "cpu")
    check_own_model(run("Plain", HIGH), "cpu", model("Plain", LOW))


def test_a_dropout_layer_that_draws_nothing_draws_nothing_in_a_stack():
    for rate in (LOW, HIGH):
        check_own_model(run("TwoRates", rate), "cpu", model("TwoRates", rate))


@pytest.mark.parametrize("kind", ["Deeper", "Pooled"])
def test_models_that_differ_at_other_rates_are_stacked_apart(kind):
    for rate in (LOW, HIGH):
        check_own_model(run(kind, rate), "cpu")
        check_own_model(run(kind, rate), "cpu", model(kind, rate))
    with pytest.raises(NotStackableError):
        check_own_model(run(kind, HIGH), "cpu", model(kind, LOW))


@pytest.mark.parametrize(
    ("kind", "rate", "reason"),
    [
        ("Frozen", HIGH, "not trained"),
        ("OtherNorm", HIGH, "something else than the model in training"),
        ("OtherEvaluation", LOW, "something else than the model in evaluation"),
        ("Counting", LOW, "changes itself"),
        ("Hooked", LOW, "in the gradient of hidden.1.weight"),
        ("Interrupted", LOW, "in the gradient of hidden.1"),
        ("PythonDraws", LOW, "draws random numbers"),
        ("TorchDraws", LOW, "draws random numbers"),
    ],
)
def test_models_that_compute_something_else_in_a_stack_are_found(kind, rate, reason):
    with pytest.raises(NotStackableError, match=reason):
        check_own_model(run(kind, rate), "cpu")


def test_samples_that_are_fetched_one_by_one_are_not_fetched_for_a_trial_step(monkeypatch):
    def fetched(*arguments):
        member = prepare_member(*arguments)
        splits = member.state.splits
        member.state.splits = replace(splits, train=replace(splits.train, inputs=object()))
        return member

    monkeypatch.setattr("bakeoff.training.stack.own_model.prepare_member", fetched)
    with pytest.raises(NotStackableError, match="not in the device's memory"):
        check_own_model(run("Plain", LOW), "cpu")


def test_a_probe_says_why_an_own_model_cannot_be_stacked():
    gains, reason = measure_stacks([run("Counting", LOW)], "cpu", (4, 4))
    assert gains == [0.0, 0.0]
    assert reason == "the runs cannot train as one: changes itself as it computes"
