"""A loop of one's own: how it is called, how a run of it ends, and what each mistake says."""

import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from math import inf, isnan, nan
from operator import itemgetter
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bakeoff.components.compatibility import allowed_schedulers
from bakeoff.components.optimizers import OPTIMIZERS
from bakeoff.components.schedulers import SCHEDULERS
from bakeoff.errors import CheckpointError, UsageError
from bakeoff.records import DataConfig, OwnMetric, TrainingConfig, TrialConfig
from bakeoff.training.checkpoint import Checkpoints
from bakeoff.training.own_loop import OwnTraining
from bakeoff.training.own_rehearsal import profile_loop, rehearse
from bakeoff.training.own_run import Run
from bakeoff.training.tracked import decode, encode

RUN = TrialConfig(
    optimizer="sgd",
    optimizer_params={"learning_rate": 0.1},
    scheduler="constant",
    scheduler_params={},
    model="",
    model_params={"width": 3},
    data=DataConfig(dataset=""),
    training=TrainingConfig(epochs=3, precision="fp32", loop="loops_of_a_test:train"),
    objective="reward",
    score_rule="best_epoch",
    seed=7,
    split_seed=0,
    metrics={"reward": OwnMetric(direction="maximize", untrained=0.0)},
)


@pytest.fixture
def run_loop(monkeypatch) -> Callable[..., Any]:
    """Train with a function as the loop; return the training and the epochs that it sent."""

    def run(loop, *, wants_test=False, folder=None, answers=(), **changes):
        training = {
            name: changes.pop(name) for name in TrainingConfig.__annotations__ if name in changes
        }
        config = replace(RUN, training=replace(RUN.training, **training), **changes)
        module = ModuleType("loops_of_a_test")
        module.train = loop  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "loops_of_a_test", module)
        found = OwnTraining(config, "cpu", wants_test=wants_test)
        sent, left = [], list(answers)

        def send(result):
            sent.append(result)
            return left.pop(0) if left else "continue"

        checkpoints = None if folder is None else Checkpoints(folder, "run", max_share=inf)
        answer = found.train(checkpoints, send)
        return found, sent, answer

    return run


def linear(run):
    model = nn.Linear(2, 1)
    optimizer = run.optimizer(model)
    return model, optimizer


def step(model, optimizer):
    optimizer.zero_grad()
    loss = (model(torch.randn(8, 2)) - 1).square().mean()
    loss.backward()
    optimizer.step()
    return loss


def generator(run):
    model, optimizer = linear(run)
    for epoch in run.epochs(model=model):
        loss = step(model, optimizer)
        yield {"reward": [1.0, 3.0, 2.0][epoch], "train_loss": loss}
    if run.wants_test:
        yield run.test({"reward": model.weight.sum()})


def function(run):
    """The same, as where a framework owns the loop."""
    model, optimizer = linear(run)
    run.track(model=model)
    while not run.is_over:
        epoch = run.begin_epoch()
        loss = step(model, optimizer)
        run.report({"reward": [1.0, 3.0, 2.0][epoch], "train_loss": loss})
    if run.wants_test:
        run.test({"reward": model.weight.sum()})


LOOPS = pytest.mark.parametrize("loop", [generator, function])


@LOOPS
def test_every_epoch_is_sent_with_its_metrics(run_loop, loop):
    training, sent, answer = run_loop(loop)
    assert answer == "continue"
    assert training.outcome == "complete"
    assert [one.epoch for one in sent] == [1, 2, 3]
    assert [one.status for one in sent] == ["running", "running", "finished"]
    assert [one.metrics for one in sent] == [{"reward": 1.0}, {"reward": 3.0}, {"reward": 2.0}]
    assert [one.steps for one in sent] == [1, 1, 1]
    assert sent[0].learning_rate == 0.1
    assert 0 < sent[0].train_loss < 100


def test_both_forms_train_the_same_bits(run_loop):
    losses = [[one.train_loss for one in run_loop(loop)[1]] for loop in (generator, function)]
    assert losses[0] == losses[1]
    assert losses[0] != [one.train_loss for one in run_loop(generator, seed=8)[1]]


@LOOPS
def test_the_best_epochs_weights_are_tested(run_loop, loop):
    weights = []

    def train(run):
        model, optimizer = linear(run)
        run.track(model=model)
        while not run.is_over:
            epoch = run.begin_epoch()
            step(model, optimizer)
            weights.append(float(model.weight.detach().sum()))
            run.report({"reward": [1.0, 3.0, 2.0][epoch]})

    run_loop(train)
    assert len({*weights}) == 3
    training, _, _ = run_loop(loop, wants_test=True)
    assert training.test_metrics == {"reward": weights[1]}
    training, _, _ = run_loop(loop, wants_test=True, score_rule="last_epoch")
    assert training.test_metrics == {"reward": weights[2]}


@LOOPS
def test_a_pruned_run_closes_its_loop(run_loop, loop):
    closed = []

    def train(run):
        try:
            yield from loop(run)
        finally:
            closed.append(run.completed)

    def call(run):
        try:
            loop(run)
        finally:
            closed.append(run.completed)

    _, sent, answer = run_loop(train if loop is generator else call, answers=["continue", "stop"])
    assert answer == "stop"
    assert len(sent) == 2
    assert closed == [2]


@LOOPS
@pytest.mark.parametrize("paused_after", [1, 2])
def test_a_paused_run_continues_with_the_same_bits(run_loop, loop, tmp_path, paused_after):
    whole, expected, _ = run_loop(loop, wants_test=True)
    answers = ["continue"] * (paused_after - 1) + ["pause"]
    _, before, answer = run_loop(loop, wants_test=True, folder=tmp_path, answers=answers)
    assert answer == "pause"
    assert len(before) == paused_after
    torch.manual_seed(99)  # the next run may come in any process
    training, sent, _ = run_loop(loop, wants_test=True, folder=tmp_path)
    assert [one.train_loss for one in sent] == [one.train_loss for one in expected]
    assert training.test_metrics == whole.test_metrics


@LOOPS
def test_a_run_killed_before_its_test_is_tested_with_the_same_weights(run_loop, loop, tmp_path):
    whole, _, _ = run_loop(loop, wants_test=True, folder=tmp_path)
    assert whole.test_metrics  # after the last epoch was saved
    training, sent, _ = run_loop(loop, wants_test=True, folder=tmp_path)
    assert [one.epoch for one in sent] == [1, 2, 3]
    assert training.test_metrics == whole.test_metrics


def scheduled(run):
    model = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 1))
    optimizer = run.optimizer(model)
    scheduler = run.scheduler(optimizer, total_steps=2 * run.num_epochs)
    for _ in run.epochs(model=model):
        for _ in range(2):
            loss = step(model, optimizer)
            scheduler.step()
        yield {"reward": -loss, "train_loss": loss}


PAIRS = [(spec.name, allowed_schedulers(spec.name)[0]) for spec in OPTIMIZERS]
PAIRS += [("adamw", name) for name in SCHEDULERS.names]


@pytest.mark.parametrize(("optimizer", "scheduler"), PAIRS)
def test_every_optimizer_and_schedule_continues_with_the_same_bits(
    run_loop, tmp_path, optimizer, scheduler
):
    changes = {
        "optimizer": optimizer,
        "optimizer_params": {},
        "scheduler": scheduler,
        "epochs": 4,
    }
    whole, expected, _ = run_loop(scheduled, **changes)
    run_loop(scheduled, folder=tmp_path, answers=["continue", "pause"], **changes)
    training, sent, _ = run_loop(scheduled, folder=tmp_path, **changes)
    assert [one.train_loss for one in sent] == [one.train_loss for one in expected]
    assert [one.learning_rate for one in sent] == [one.learning_rate for one in expected]
    states = (one.state.tracked["model"].state_dict() for one in (whole, training))
    assert all(map(torch.equal, *(state.values() for state in states)))


def test_what_a_loop_does_not_track_is_lost(run_loop, tmp_path):
    def train(run):
        total = 0.0
        for _ in run.epochs():
            total += 1.0
            yield {"reward": total}

    run_loop(train, folder=tmp_path, answers=["pause"])
    _, sent, _ = run_loop(train, folder=tmp_path)
    assert [one.metrics["reward"] for one in sent] == [1.0, 1.0, 2.0]


def test_a_generator_of_random_numbers_and_arrays_are_tracked(run_loop, tmp_path):
    class Counts:
        def __init__(self):
            self.values = np.zeros(2, dtype=np.float32)

        def state_dict(self):
            return {"values": self.values, "total": self.values.sum()}

        def load_state_dict(self, state):
            self.values = state["values"]
            assert type(state["total"]) is np.float32

    def train(run):
        counts, draws = Counts(), torch.Generator().manual_seed(1)
        for _ in run.epochs(counts=counts, draws=draws):
            counts.values += float(torch.rand((), generator=draws)) + np.random.rand()
            yield {"reward": counts.values[1]}

    _, expected, _ = run_loop(train)
    run_loop(train, folder=tmp_path, answers=["pause"])
    _, sent, _ = run_loop(train, folder=tmp_path)
    assert [one.metrics for one in sent] == [one.metrics for one in expected]


def test_an_epoch_without_a_step_has_the_rate_of_the_last_step(run_loop, tmp_path):
    def train(run):
        model, optimizer = linear(run)
        for epoch in run.epochs(model=model):
            if epoch == 0:
                step(model, optimizer)
            yield {"reward": 1.0}

    run_loop(train, folder=tmp_path, answers=["pause"])
    _, sent, _ = run_loop(train, folder=tmp_path)
    assert [(one.learning_rate, one.steps) for one in sent] == [(0.1, 1), (0.1, 0), (0.1, 0)]


def test_an_optimizer_of_the_loops_own_is_saved_and_not_part_of_what_is_scored(run_loop, tmp_path):
    def train(run):
        model = nn.Linear(2, 1)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
        scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
        for _ in run.epochs(model=model, optimizer=optimizer, scheduler=scheduler):
            loss = step(model, optimizer)
            scheduler.step()
            yield {"reward": -loss, "train_loss": loss}
        if run.wants_test:
            yield run.test({"reward": model.weight.sum()})

    whole, expected, _ = run_loop(train, wants_test=True)
    run_loop(train, wants_test=True, folder=tmp_path, answers=["continue", "pause"])
    training, sent, _ = run_loop(train, wants_test=True, folder=tmp_path)
    assert [one.train_loss for one in sent] == [one.train_loss for one in expected]
    assert training.test_metrics == whole.test_metrics
    assert [*training.state.scored_state()] == ["model"]


def test_a_schedule_continues_from_its_base_rate(run_loop, tmp_path):
    rates = []

    def train(run):
        model, optimizer = linear(run)
        scheduler = run.scheduler(optimizer, total_steps=4)
        for _ in run.epochs(model=model):
            step(model, optimizer)
            scheduler.step()
            rates.append(scheduler.get_last_lr()[0])
            yield {"reward": 1.0}

    changes = {"scheduler": "linear", "scheduler_params": {"warmup_fraction": 0.0}}
    run_loop(train, **changes)
    assert rates == pytest.approx([0.075, 0.05, 0.025])
    whole, rates = rates[:], []
    run_loop(train, folder=tmp_path, answers=["continue", "pause"], **changes)
    run_loop(train, folder=tmp_path, **changes)
    assert rates == whole


def test_plateau_is_given_the_objective(run_loop):
    rates = []

    def train(run):
        model, optimizer = linear(run)
        run.scheduler(optimizer, total_steps=3)
        for _ in run.epochs(model=model):
            step(model, optimizer)
            rates.append(optimizer.param_groups[0]["lr"])
            yield {"reward": 1.0}  # never better

    params = {"gamma": 0.5, "patience_fraction": 0.0, "warmup_fraction": 0.0}
    run_loop(train, scheduler="plateau", scheduler_params=params)
    assert rates == [0.1, 0.1, 0.05]


def test_values_that_are_not_finite_diverge(run_loop):
    def train(run):
        model, _ = linear(run)
        for _ in run.epochs(model=model):
            yield {"reward": nan, "other": inf}

    training, sent, answer = run_loop(train)
    assert (training.outcome, answer, len(sent)) == ("diverged", "continue", 1)
    assert isnan(sent[0].metrics["reward"])


def test_a_metric_that_does_not_decide_may_be_nan(run_loop):
    def train(run):
        for _ in run.epochs():
            yield {"reward": 1.0, "other": nan}

    assert run_loop(train)[0].outcome == "complete"


def test_early_stopping_ends_the_epochs(run_loop):
    def flat(run):
        for _ in run.epochs():
            yield {"reward": 1.0}

    _, sent, _ = run_loop(flat, early_stopping_patience=1)
    assert [one.status for one in sent] == ["running", "early_stopped"]


def test_a_framework_that_continues_after_its_run_was_over_is_told_so(run_loop):
    def train(run):
        for _ in range(3):
            run.begin_epoch()
            run.report({"reward": 1.0})

    message = r"expected 2 epochs \(run\.num_epochs = 3\), found another one after the run was over"
    with pytest.raises(UsageError, match=message):
        run_loop(train, early_stopping_patience=1)


def test_a_loop_is_not_called_again_for_a_run_that_has_ended(run_loop, tmp_path):
    run_loop(generator, folder=tmp_path)
    called = []
    _, sent, answer = run_loop(called.append, folder=tmp_path)
    assert ([one.epoch for one in sent], answer, called) == ([1, 2, 3], "continue", [])


def test_the_loop_is_given_what_the_arm_sampled(run_loop):
    seen: dict[str, Any] = {}

    def train(run):
        seen.update(run.params, order=run.order(5), name=run.optimizer_name, seed=run.seed)
        seen["files"] = list(run.folder.iterdir())
        for _ in run.epochs():
            yield {"reward": 1.0}

    run_loop(train)
    assert seen["width"] == 3
    assert seen["sgd.learning_rate"] == 0.1
    assert seen["constant.warmup_fraction"] == 0.0
    assert (seen["name"], seen["seed"], seen["files"]) == ("sgd", 7, [])
    assert sorted(seen["order"]) == [0, 1, 2, 3, 4]


def test_an_optimizer_and_a_schedule_of_ones_own_are_used_in_a_loop_of_ones_own(
    run_loop, tmp_path, monkeypatch
):
    monkeypatch.syspath_prepend(str(tmp_path))
    code = "def falling(progress, floor=0.1):\n    return max(floor, 1 - progress)\n"
    (tmp_path / "parts_of_a_loop.py").write_text(code)
    seen: dict[str, Any] = {}

    def train(run):
        model, optimizer = linear(run)
        scheduler = run.scheduler(optimizer, total_steps=run.num_epochs)
        seen.update(run.params, factor=run.rate_factor(0.5), kind=type(optimizer).__name__)
        for _ in run.epochs(model=model):
            step(model, optimizer)
            scheduler.step()
            yield {"reward": 1.0}
        seen["rate"] = scheduler.get_last_lr()[0]

    run_loop(
        train,
        optimizer="torch.optim:Rprop",
        optimizer_params={"learning_rate": 0.01},
        scheduler="parts_of_a_loop:falling",
        scheduler_params={"floor": 0.2},
    )
    assert seen["kind"] == "Rprop"
    assert seen["torch.optim:Rprop.learning_rate"] == 0.01
    assert (seen["factor"], seen["parts_of_a_loop:falling.floor"]) == (0.5, 0.2)
    assert seen["rate"] == pytest.approx(0.2 * 0.01)
    sys.modules.pop("parts_of_a_loop", None)


def test_data_is_split_as_for_the_built_in_loop_and_its_test_set_is_hidden(run_loop):
    seen: list[Any] = []

    def train(run):
        model = run.build_model()
        for _ in run.epochs(model=model):
            inputs, labels = next(run.batches())
            seen.append((tuple(model(inputs).shape), len(labels)))
            yield {"reward": 1.0}
        with pytest.raises(UsageError, match="only runs of the confirmation read the test set"):
            run.data.test  # noqa: B018

    run_loop(train, data=DataConfig(dataset="digits"), model="mlp", model_params={}, batch_size=32)
    assert seen == [((32, 10), 32)] * 3


def early(run):
    for _, epoch in zip(range(2), run.epochs(), strict=False):
        yield {"reward": float(epoch)}


def late(run):
    yield from generator(run)
    yield {"reward": 1.0}


def twice(run):
    for _ in run.epochs():
        yield {"reward": 1.0}
        yield {"reward": 2.0}


def never(run):
    for _ in run.epochs():
        pass
    yield from ()


def unbegun(run):
    yield {"reward": 1.0}


def missing(run):
    for _ in run.epochs():
        yield {"rewrad": 1.0}


def no_mapping(run):
    for _ in run.epochs():
        yield 0.5


def no_number(run):
    for _ in run.epochs():
        yield {"reward": torch.zeros(2)}


def returning(run):
    return {"reward": 1.0}


def leaving(run):
    sys.exit(3)


def untrackable(run):
    for _ in run.epochs(model=[1, 2]):
        yield {"reward": 1.0}


def unsaved(run):
    class Odd:
        def state_dict(self):
            return {"made": object()}

        def load_state_dict(self, state):
            pass

    for _ in run.epochs(odd=Odd()):
        yield {"reward": 1.0}


def tracking_late(run):
    for _ in run.epochs():
        run.track(model=nn.Linear(1, 1))
        yield {"reward": 1.0}


def early_test(run):
    for _ in run.epochs():
        yield run.test({"reward": 1.0})


MISTAKES: list[tuple[Any, str]] = [
    (early, "expected metrics of 3 epochs (run.num_epochs), found 2 when it ended"),
    (late, "expected 3 epochs (run.num_epochs = 3), found another one after"),
    (twice, "expected that epoch 2 begins by run.epochs() or run.begin_epoch(), found metrics"),
    (never, "epoch 1 ended without metrics; expected one yield"),
    (unbegun, "expected that epoch 1 begins by run.epochs() or run.begin_epoch()"),
    (missing, "expected the metric 'reward' of the study file, found rewrad"),
    (no_mapping, 'expected metrics by name, as in {"loss": 0.5}, found float 0.5'),
    (no_number, "expected a number as metric 'reward', found Tensor tensor([0., 0.])"),
    (returning, "found one that returned {'reward': 1.0}"),
    (leaving, "SystemExit: 3"),
    (untrackable, "expected an object with state_dict and load_state_dict, found list"),
    (
        unsaved,
        "the state \"odd['made']\" is object, which cannot be saved; allowed: tensors, arrays",
    ),
    (tracking_late, "run.track(model=...): track it before the first epoch begins"),
    (early_test, "run.test: only confirmation runs are tested; ask run.wants_test"),
    (lambda: None, "expected a loop that is called as <lambda>(run), found <lambda>()"),
    (7, "expected a generator that yields metrics, or a function that calls run.report(metrics)"),
]


@pytest.mark.parametrize(
    ("loop", "message"), MISTAKES, ids=lambda one: getattr(one, "__name__", "")
)
def test_a_wrong_loop_says_what_was_expected_and_found(run_loop, tmp_path, loop, message):
    with pytest.raises(UsageError) as caught:
        run_loop(loop, folder=tmp_path, answers=["pause"] if loop is unsaved else ())
    assert str(caught.value).startswith("training.loop = 'loops_of_a_test:train': ")
    assert message in str(caught.value)


def test_a_confirmation_run_needs_test_metrics_and_what_it_tests(run_loop):
    def untested(run):
        for _ in run.epochs():
            yield {"reward": 1.0}

    def untracked(run):
        yield from untested(run)
        if run.wants_test:
            yield run.test({"reward": 1.0})

    with pytest.raises(UsageError, match=r"expected run\.test\(metrics\) after the last epoch"):
        run_loop(untested, wants_test=True)
    with pytest.raises(UsageError, match=r"expected the model by run\.epochs\(model=\.\.\.\)"):
        run_loop(untracked, wants_test=True)
    found, _, _ = run_loop(untracked, wants_test=True, score_rule="last_epoch")
    assert found.test_metrics == {"reward": 1.0}


def test_a_value_out_of_a_metrics_bounds_is_refused(run_loop):
    def percent(run):
        for _ in run.epochs(model=nn.Linear(1, 1)):
            yield {"accuracy": 0.5, "reward": -3.0}
        if run.wants_test:
            yield run.test({"accuracy": 50.0, "reward": -3.0})

    with pytest.raises(UsageError, match="expected 0 to 1 as metric 'accuracy', found 50; "):
        run_loop(percent, wants_test=True, objective="accuracy")


def test_a_loop_that_raises_names_its_line_in_the_rehearsal(run_loop):
    def train(run):
        raise KeyError("own fault")

    with pytest.raises(KeyError):
        run_loop(train)
    with pytest.raises(UsageError) as caught:
        rehearse(RUN, "cpu", ())
    message = str(caught.value)
    assert message.startswith(
        "training.loop = 'loops_of_a_test:train': KeyError: 'own fault' (test_own"
    )


def test_a_rehearsal_trains_one_epoch_and_its_test_and_builds_every_optimizer(run_loop):
    seen: list[Any] = []

    def train(run):
        model, _ = linear(run)
        seen.append((run.optimizer_name, run.num_epochs))
        for epoch in run.epochs(model=model):
            seen.append(epoch)
            yield {"reward": 1.0}
        if run.wants_test:
            seen.append("test")
            yield run.test({"reward": 1.0})

    run_loop(train)
    seen.clear()
    choice = rehearse(RUN, "cpu", [replace(RUN, optimizer="adam", optimizer_params={})])
    # the other one ended when its first epoch began
    assert seen == [("sgd", 1), 0, "test", ("adam", 3)]
    assert choice.precision == "fp32"
    assert choice.weight_bytes == 12
    assert choice.checkpoint_bytes > 5000  # the generators alone
    muon = replace(RUN, optimizer="muon", optimizer_params={})
    with pytest.raises(UsageError, match=r"with muon and constant: .* is for hidden weights"):
        rehearse(RUN, "cpu", [muon])
    assert profile_loop(RUN, "cpu").parts["rest"] > 0


def test_a_rehearsal_refuses_what_would_fail_or_mean_nothing_in_the_search(run_loop):
    def testing(run):
        for _ in run.epochs(model=nn.Linear(1, 1)):
            yield {"reward": 1.0}
        yield run.test({"reward": 1.0})

    def of_its_own(run):
        model = nn.Linear(2, run.params["width"])
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in run.epochs(model=model):
            yield {"reward": step(model, optimizer)}
        if run.wants_test:
            yield run.test({"reward": 1.0})

    with pytest.raises(UsageError, match=r"only confirmation runs are tested; ask run\.wants_test"):
        run_loop(testing, wants_test=True)
    run_loop(of_its_own)
    rehearse(RUN, "cpu", [])
    with pytest.raises(UsageError, match="found neither; all optimizers of the study would be"):
        rehearse(RUN, "cpu", [replace(RUN, optimizer="adam", optimizer_params={})])


def test_a_checkpoint_of_other_tracked_state_is_refused(run_loop, tmp_path):
    def other(run):
        for _ in run.epochs(network=nn.Linear(2, 1)):
            yield {"reward": 1.0}

    run_loop(generator, folder=tmp_path, answers=["pause"])
    with pytest.raises(
        CheckpointError, match="holds optimizer, model, and the loop tracked network"
    ):
        run_loop(other, folder=tmp_path)

    def larger(run):
        model = nn.Linear(3, 1)
        run.optimizer(model)
        for _ in run.epochs(model=model):
            yield {"reward": 1.0}

    with pytest.raises(CheckpointError, match="the checkpoint does not fit"):
        run_loop(larger, folder=tmp_path)


@pytest.mark.parametrize(
    "yields", [nullcontext, Run.evaluating], ids=["after evaluating", "within evaluating"]
)
@pytest.mark.parametrize(("rule", "scored"), [("best_epoch", max), ("last_epoch", itemgetter(-1))])
def test_an_optimizer_that_averages_weights_is_scored_and_trained_where_it_should_be(
    run_loop, tmp_path, yields, rule, scored
):
    seen: list[float] = []

    def train(run):
        model, optimizer = linear(run)
        for _ in run.epochs(model=model):
            for _ in range(5):
                step(model, optimizer)
            with run.evaluating():
                seen.append(float(model.weight.detach().sum()))
            with yields(run):
                yield {"reward": seen[-1]}
        if run.wants_test:
            with run.evaluating():
                yield run.test({"reward": model.weight.sum()})

    changes = {
        "optimizer": "schedule_free_adamw",
        "optimizer_params": {"learning_rate": 0.1},
        "score_rule": rule,
        "wants_test": True,
    }
    training, _, _ = run_loop(train, **changes)
    assert training.test_metrics == {"reward": scored(seen)}
    assert max(seen) != seen[-1]
    whole, seen = seen[:], []
    run_loop(train, folder=tmp_path, answers=["pause"], **changes)
    training, _, _ = run_loop(train, folder=tmp_path, **changes)
    assert seen == whole
    assert training.test_metrics == {"reward": scored(whole)}


@pytest.mark.parametrize("rule", ["best_epoch", "last_epoch"])
@pytest.mark.parametrize("optimizer", ["adamw", "schedule_free_adamw"])
def test_a_run_that_is_over_is_tested_without_the_optimizer_that_trained_it(
    run_loop, tmp_path, optimizer, rule
):
    def train(run):
        model = nn.Linear(2, 1)
        run.track(model=model)
        if not run.is_over:  # a framework makes its optimizer where it begins to train
            optimizer = run.optimizer(model)
            for _ in run.epochs():
                step(model, optimizer)
                run.report({"reward": 1.0})
        if run.wants_test:
            run.test({"reward": model.weight.sum()})

    changes = {"optimizer": optimizer, "optimizer_params": {}, "score_rule": rule}
    whole, _, _ = run_loop(train, wants_test=True, folder=tmp_path, **changes)
    torch.manual_seed(99)
    training, _, _ = run_loop(train, wants_test=True, folder=tmp_path, **changes)
    assert training.test_metrics == whole.test_metrics
    with pytest.raises(CheckpointError, match="holds model, and the loop tracked nothing before"):
        run_loop(lambda run: run.wants_test, wants_test=True, folder=tmp_path, **changes)


def test_a_factor_that_is_none_is_refused_where_a_loop_asks_for_it(run_loop, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "negative_factor.py").write_text("def below(progress):\n    return -progress\n")

    def train(run):
        for _ in run.epochs():
            yield {"reward": run.rate_factor(0.0)}

    with pytest.raises(UsageError, match=r"a finite factor of at least 0, found -0\.015625"):
        run_loop(train, scheduler="negative_factor:below")
    sys.modules.pop("negative_factor", None)


@pytest.mark.parametrize(
    "value",
    [
        {"a": [1, 2.5, None, ("x", True)], 3: "y"},
        np.arange(6, dtype=np.int16).reshape(2, 3),
        np.float64(0.5),
        np.array(True),
        2**100,
    ],
    ids=repr,
)
def test_plain_values_and_arrays_come_back_as_they_were(value):
    found = decode(encode(value, "state"))
    assert type(found) is type(value)
    np.testing.assert_equal(found, value)
    assert getattr(found, "dtype", None) == getattr(value, "dtype", None)


@pytest.mark.parametrize(
    "value",
    [{1.5: 2}, {1, 2}, np.array(["x"]), np.array([object()])],
    ids=["number as key", "set", "texts", "objects"],
)
def test_other_values_are_refused(value):
    with pytest.raises(UsageError, match=r"the state .state. is .*, which cannot be saved"):
        encode(value, "state")
