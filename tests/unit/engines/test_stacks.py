"""Stacks of runs: how they are formed, and what the driver sees of them."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from multiprocessing import Pipe
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from bakeoff.engines.protocol import (
    Died,
    Epoch,
    Event,
    Failed,
    Finished,
    Halted,
    Job,
    Join,
    MemberReply,
    Members,
    Paused,
    Stack,
    Stacked,
    Started,
)
from bakeoff.engines.stack_worker import Link, StackWorker, Tools
from bakeoff.engines.stacks import StackEngine
from bakeoff.errors import CheckpointWriteError
from bakeoff.records import EpochResult
from bakeoff.training.checkpoint import Checkpoints
from bakeoff.training.stack.layers import NotStackableError
from bakeoff.training.stack.member import prepare_member
from run_examples import small_run


def job(
    number: int,
    *,
    attempt: int = 1,
    has_lost_worker: bool = False,
    folder: Path | None = None,
    **changes: Any,
) -> Job:
    """A run of two epochs that may be stacked."""
    return Job(
        run=f"confirm-{number}",
        attempt=attempt,
        has_lost_worker=has_lost_worker,
        config=small_run(seed=number, epochs=2, train_samples=100, **changes),
        checkpoints=str(folder / f"confirm-{number}") if folder else "",
    )


class ScriptedEngine:
    """Workers that do what the test says."""

    def __init__(self, num_workers: int) -> None:
        self.num_free = num_workers
        self.submitted: list[Any] = []
        self.replies: list[tuple[str, Any]] = []
        self.killed: list[str] = []
        self.coming: list[Event] = []

    def submit(self, task: Any) -> None:
        assert self.num_free
        self.num_free -= 1
        self.submitted.append(task)

    def events(self, timeout: float) -> Sequence[Event]:
        coming, self.coming = self.coming, []
        self.num_free += sum(not isinstance(one, Members | Epoch | Started) for one in coming)
        return coming

    def reply(self, run: str, reply: Any) -> None:
        self.replies.append((run, reply))

    def kill(self, run: str) -> None:
        self.killed.append(run)

    def close(self) -> None:
        self.submitted.clear()


def formed(num_workers: int, *jobs: Job, width: int = 16) -> tuple[StackEngine, ScriptedEngine]:
    inner = ScriptedEngine(num_workers)
    engine = StackEngine(inner, width)
    for one in jobs:
        engine.submit(one)
    assert engine.events(0) == []
    return engine, inner


def runs_of(inner: ScriptedEngine) -> list[list[str]]:
    return [
        [one.run for one in task.jobs] if isinstance(task, Stack) else [task.run]
        for task in inner.submitted
    ]


def epoch(number: int) -> Epoch:
    return Epoch(run=f"confirm-{number}", result=EpochResult(epoch=1, metrics={}), waits=False)


def finished(number: int) -> Finished:
    return Finished(run=f"confirm-{number}", outcome="complete", test_metrics={})


def test_every_free_worker_gets_an_equal_share_of_the_runs():
    _, inner = formed(2, *(job(number) for number in range(5)))
    assert runs_of(inner) == [["confirm-0", "confirm-1", "confirm-2"], ["confirm-3", "confirm-4"]]


def test_places_are_counted():
    engine, _ = formed(1, width=3)
    assert engine.num_free == 3
    for number in range(3):
        engine.submit(job(number))
    assert engine.num_free == 0
    with pytest.raises(ValueError, match="no worker is free for confirm-3"):
        engine.submit(job(3))


def test_runs_that_are_stacked_apart_wait_for_a_worker():
    engine, inner = formed(1, job(0), job(1, batch_size=16))
    inner.coming = [Members(run="stack-1", events=(finished(0),)), Stacked(run="stack-1")]
    engine.events(0)
    engine.events(0)
    assert runs_of(inner) == [["confirm-0"], ["confirm-1"]]


def test_a_worker_whose_last_run_has_ended_counts_as_free():
    engine, inner = formed(1, job(0), job(1))
    inner.coming = [Members(run="stack-1", events=(finished(0), finished(1)))]
    assert [one.run for one in engine.events(0)] == ["confirm-0", "confirm-1"]
    assert engine.num_free == 16


def test_runs_with_other_settings_are_stacked_apart_and_those_that_cannot_be_stacked_alone():
    _, inner = formed(
        3, job(0), job(1, batch_size=16), job(2), job(3, optimizer="muon", optimizer_params={})
    )
    assert runs_of(inner) == [["confirm-0"], ["confirm-1"], ["confirm-2"]]
    _, inner = formed(
        4, job(0), job(1, batch_size=16), job(3, optimizer="muon", optimizer_params={})
    )
    assert [type(one) for one in inner.submitted] == [Stack, Stack, Job]


def test_runs_take_the_places_of_those_that_have_ended():
    engine, inner = formed(2, job(0), job(1), job(2), job(3), width=2)
    assert engine.num_free == 0
    inner.coming = [
        Started(run="stack-2", place="cuda:1"),
        Members(run="stack-2", events=(finished(2),)),
    ]
    engine.events(0)
    assert engine.num_free == 1
    engine.submit(job(4))
    assert engine.events(0) == [Started(run="confirm-4", place="cuda:1")]
    assert inner.replies == [("stack-2", Join(run="confirm-4", reply="continue", job=job(4)))]
    assert engine.num_free == 0
    inner.coming = [Members(run="stack-2", events=(epoch(4),))]
    assert [one.run for one in engine.events(0)] == ["confirm-4"]


def test_the_stack_with_the_most_places_is_filled_first():
    engine, inner = formed(2, job(0), job(1), job(2), width=4)
    for number in (3, 4):
        engine.submit(job(number))
    engine.events(0)
    assert [name for name, _ in inner.replies] == ["stack-2", "stack-1"]


def test_a_run_that_comes_after_the_end_of_a_stack_gets_the_next_one():
    engine, inner = formed(1, job(0), job(1))
    inner.coming = [Members(run="stack-1", events=(finished(0),))]
    engine.events(0)
    engine.submit(job(2))
    inner.coming = [Members(run="stack-1", events=(finished(1),)), Stacked(run="stack-1")]
    assert [one.run for one in engine.events(0)] == ["confirm-1"]
    engine.events(0)
    assert runs_of(inner)[1:] == [["confirm-2"]]


def test_a_run_that_comes_after_the_end_of_a_suspended_stack_is_paused():
    engine, inner = formed(1, job(0), job(1))
    inner.coming = [Members(run="stack-1", events=(finished(0),))]
    engine.events(0)
    engine.submit(job(2))
    engine.events(0)
    engine.reply("confirm-2", "suspend")
    inner.coming = [
        Members(run="stack-1", events=(Paused(run="confirm-1"),)), Stacked(run="stack-1"),
    ]  # fmt: skip
    assert engine.events(0) == [Paused(run="confirm-1"), Paused(run="confirm-2")]
    assert engine.num_free == 16


@pytest.mark.parametrize("waits", [{"has_lost_worker": True}, {"batch_size": 16}])
def test_runs_join_no_stack_while_one_before_them_needs_a_worker(waits):
    engine, inner = formed(1, job(0), job(1))
    inner.coming = [Members(run="stack-1", events=(finished(0),))]
    engine.events(0)
    engine.submit(job(2, **waits))
    engine.submit(job(3))
    inner.coming = [Members(run="stack-1", events=(finished(1),)), Stacked(run="stack-1")]
    engine.events(0)
    assert inner.replies == []
    engine.events(0)
    assert runs_of(inner)[1:] == [["confirm-2"]]


def test_no_run_joins_a_stack_that_is_suspended_or_one_that_has_lost_a_worker():
    engine, inner = formed(2, job(0), job(1), width=2)
    engine.reply("confirm-0", "suspend")
    assert engine.num_free == 1
    engine, inner = formed(1, job(0, has_lost_worker=True), width=2)
    engine.submit(job(1))
    engine.events(0)
    assert inner.replies == []


def test_events_name_the_run_and_its_attempt():
    engine, inner = formed(1, job(0, attempt=2))
    inner.coming = [
        Started(run="stack-1", place="cuda:0"),
        Members(run="stack-1", events=(epoch(0),)),
    ]
    started, found = engine.events(0)
    assert (started.run, started.attempt) == ("confirm-0", 2)
    assert (found.run, found.attempt) == ("confirm-0", 2)


def test_a_lost_worker_is_lost_for_every_run_which_then_train_alone():
    engine, inner = formed(1, job(0), job(1), job(2))
    inner.coming = [
        Members(run="stack-1", events=(replace(epoch(1)),)),
        Died(run="stack-1", reason="worker ended by SIGKILL"),
    ]
    events = engine.events(0)
    assert [one.run for one in events if isinstance(one, Died)] == [
        "confirm-0", "confirm-1", "confirm-2",
    ]  # fmt: skip
    inner.num_free = 3
    for number in range(3):
        engine.submit(replace(job(number, attempt=2), has_lost_worker=True))
    engine.events(0)
    assert runs_of(inner)[1:] == [["confirm-0"], ["confirm-1"], ["confirm-2"]]


def test_a_worker_that_ends_before_it_trains_counts_once():
    engine, inner = formed(1, job(0), job(1), job(2))
    inner.coming = [Died(run="stack-1", reason="out of memory?", was_training=False)]
    (died,) = engine.events(0)
    assert (died.run, died.was_training) == ("confirm-0", False)
    engine.events(0)
    assert runs_of(inner)[1:] == [["confirm-1", "confirm-2"]]


def test_a_run_that_breaks_the_worker_does_not_fail_its_companions():
    engine, inner = formed(1, job(0), job(1))
    inner.coming = [Failed(run="stack-1", outcome="failed", reason="CUDA", breaks_worker=True)]
    assert all(isinstance(one, Died) for one in engine.events(0))


def test_replies_reach_the_run_and_a_suspension_the_whole_stack_once():
    engine, inner = formed(1, job(0), job(1))
    engine.reply("confirm-1", "stop")
    engine.reply("confirm-0", "suspend")
    engine.reply("confirm-1", "suspend")
    engine.kill("confirm-0")
    assert inner.replies == [
        ("stack-1", MemberReply(run="confirm-1", reply="stop")), ("stack-1", "suspend"),
    ]  # fmt: skip
    assert inner.killed == ["stack-1"]


def test_a_run_without_a_worker_is_paused_at_once():
    engine, inner = formed(1, job(0), job(1, batch_size=16))
    engine.reply("confirm-1", "suspend")
    assert engine.events(0) == [Paused(run="confirm-1")]
    assert inner.replies == []


class Worker:
    """A stack's worker in this process, at the other end of a pipe."""

    def __init__(self, *jobs: Job, alone: Any = None) -> None:
        self.ours, theirs = Pipe()
        tools = Tools(
            checkpoints=lambda one: Checkpoints(one.checkpoints, one.run),
            train_alone=alone or (lambda link, one: pytest.fail("nothing trains alone")),
            describe_failure=lambda run, error: Failed(
                run=run, outcome="failed", reason=str(error), breaks_worker="broken" in str(error)
            ),
            pulsing=lambda progress, training: nullcontext(),
            talking_to_driver=nullcontext,
        )
        self.worker = StackWorker(theirs, Stack(run="stack-1", jobs=jobs), "cpu", tools)

    def run(self) -> tuple[list[Any], Event]:
        last = self.worker.run()
        return self.sent(), last

    def sent(self) -> list[Any]:
        events = []
        while self.ours.poll():
            events += self.ours.recv().events
        return events


def test_every_run_reports_its_epochs_and_its_test_scores(tmp_path):
    jobs = [replace(job(number, folder=tmp_path), reads_test=True) for number in range(3)]
    events, last = Worker(*jobs).run()
    assert last == Stacked(run="stack-1")
    for one in jobs:
        own = [event for event in events if event.run == one.run]
        assert [type(event) for event in own] == [Epoch, Epoch, Finished]
        assert own[-1].outcome == "complete"
        assert 0 < own[-1].test_metrics["accuracy"] < 1
        assert len(own[-1].test_without) == 200


def test_a_run_joins_at_the_end_of_an_epoch_and_computes_what_it_would_from_the_start(tmp_path):
    jobs = [job(number, folder=tmp_path) for number in range(3)]
    worker = Worker(*jobs[:2])
    worker.ours.send(Join(run="confirm-2", reply="continue", job=jobs[2]))
    events, last = worker.run()
    assert last == Stacked(run="stack-1")
    together, _ = Worker(*jobs).run()

    def learned(found, run):
        return [
            (one.result.epoch, one.result.train_loss, one.result.metrics)
            for one in found
            if one.run == run and isinstance(one, Epoch)
        ]

    assert len(learned(events, "confirm-2")) == 2
    for one in jobs:
        assert learned(events, one.run) == learned(together, one.run)
    runs = [one.run[-1] for one in events if isinstance(one, Epoch)]
    assert runs == ["0", "1", "0", "1", "2", "2"]


def test_a_run_that_joins_while_the_study_is_stopped_is_paused_before_it_begins(tmp_path):
    jobs = [job(number, folder=tmp_path) for number in range(2)]
    worker = Worker(jobs[0])
    worker.ours.send(Join(run="confirm-1", reply="continue", job=jobs[1]))
    worker.ours.send("pause")
    events, _ = worker.run()
    assert [one for one in events if one.run == "confirm-1"] == [Paused(run="confirm-1")]


@pytest.mark.parametrize("to_reach", [None, 0.0, 1.1])
def test_only_the_best_of_the_rivals_that_end_together_stores_its_weights(tmp_path, to_reach):
    jobs = [
        replace(
            job(number, folder=tmp_path),
            keeps_weights=True,
            rivals="sgd 3" if number else "",
            score_to_reach=to_reach if number else None,
        )
        for number in range(4)
    ]
    events, _ = Worker(*jobs).run()
    scores = {
        number: max(
            one.result.metrics["accuracy"]
            for one in events
            if one.run == f"confirm-{number}" and isinstance(one, Epoch)
        )
        for number in range(1, 4)
    }
    best = [] if to_reach == 1.1 else [one for one in scores if scores[one] == max(scores.values())]
    stored = [
        number
        for number in range(4)
        if (tmp_path / f"confirm-{number}" / "attempt-1" / "weights.safetensors").exists()
    ]
    assert stored == [0, *best]
    assert len(best) < 3
    ended = [[one.run for one in events if isinstance(one, Finished)]]
    assert ended == [[one.run for one in jobs]]


def test_runs_stop_and_pause_where_they_are_told_to_and_others_continue(tmp_path):
    jobs = [replace(job(number, folder=tmp_path), decision_epochs=(1,)) for number in range(3)]
    worker = Worker(*jobs)
    for number, reply in enumerate(("stop", "pause", "continue")):
        worker.ours.send(MemberReply(run=f"confirm-{number}", reply=reply))
    events, _ = worker.run()
    ends = {one.run: one for one in events if not isinstance(one, Epoch)}
    assert ends["confirm-0"].outcome == "pruned"
    assert ends["confirm-1"] == Paused(run="confirm-1")
    assert ends["confirm-2"].outcome == "complete"
    assert Checkpoints(jobs[1].checkpoints, "confirm-1").load() is not None
    assert [one.run for one in events if isinstance(one, Epoch)].count("confirm-2") == 2


def test_all_runs_pause_when_the_study_is_stopped(tmp_path):
    worker = Worker(*(job(number, folder=tmp_path) for number in range(2)))
    worker.ours.send("pause")
    events, _ = worker.run()
    assert events[-2:] == [Paused(run="confirm-0"), Paused(run="confirm-1")]


def test_a_stack_that_runs_out_of_memory_is_halved_and_reports_no_epoch_twice(
    tmp_path, monkeypatch
):
    jobs = [job(number, folder=tmp_path) for number in range(4)]
    from bakeoff.training.stack import stack

    step, calls = stack.Stack.step, []

    def fail_once(self, batch):
        calls.append(len(self.members))
        if len(self.members) > 2 and len(calls) > 5:
            raise RuntimeError("out of memory")
        return step(self, batch)

    monkeypatch.setattr(stack.Stack, "step", fail_once)
    events, _ = Worker(*jobs).run()
    for one in jobs:
        own = [event for event in events if event.run == one.run]
        assert [event.result.epoch for event in own[:-1]] == [1, 2]
        assert own[-1].outcome == "complete"
    assert set(calls) == {4, 2}


def test_only_the_run_that_fails_alone_too_has_failed(tmp_path, monkeypatch):
    def refuse_one(config, *arguments):
        if config.seed == 2:
            raise ValueError("bad seed")
        return prepare_member(config, *arguments)

    def fail(_: Any, one: Job) -> Event:
        raise ValueError(f"{one.run} is bad alone, too")

    monkeypatch.setattr("bakeoff.engines.stack_worker.prepare_member", refuse_one)
    jobs = (job(number, folder=tmp_path) for number in range(3))
    events, last = Worker(*jobs, alone=fail).run()
    ends = {one.run: one for one in events if not isinstance(one, Epoch)}
    reason = "confirm-2 is bad alone, too"
    assert ends["confirm-2"] == Failed(run="confirm-2", outcome="failed", reason=reason)
    assert [ends[f"confirm-{one}"].outcome for one in (0, 1)] == ["complete", "complete"]
    assert last == Stacked(run="stack-1")


def test_an_error_that_only_a_stack_raises_costs_no_run(tmp_path, monkeypatch):
    def refuse(*_: object):
        raise ValueError("not in a stack")

    monkeypatch.setattr("bakeoff.engines.stack_worker.prepare_member", refuse)
    jobs = [job(number, folder=tmp_path) for number in range(3)]
    events, last = Worker(*jobs, alone=lambda _, one: finished(int(one.run[-1]))).run()
    assert events == [finished(number) for number in range(3)]
    assert last == Stacked(run="stack-1")


def test_a_run_that_fails_as_it_joins_fails_alone_and_its_companions_do_not_begin_again(
    tmp_path, monkeypatch
):
    prepared = []

    def refuse_one(config, *arguments):
        prepared.append(config.seed)
        if config.seed == 2:
            raise ValueError("bad seed")
        return prepare_member(config, *arguments)

    monkeypatch.setattr("bakeoff.engines.stack_worker.prepare_member", refuse_one)
    alone = lambda _, one: Failed(run=one.run, outcome="failed", reason="bad seed")  # noqa: E731
    worker = Worker(*(job(number, folder=tmp_path) for number in range(2)), alone=alone)
    for number in (2, 3):
        one = job(number, folder=tmp_path)
        worker.ours.send(Join(run=one.run, reply="continue", job=one))
    events, _ = worker.run()
    ends = {one.run[-1]: one.outcome for one in events if not isinstance(one, Epoch)}
    assert ends == {"0": "complete", "1": "complete", "2": "failed", "3": "complete"}
    assert prepared == [0, 1, 2, 2, 2, 3]


def test_an_error_that_breaks_the_process_ends_the_stack(tmp_path, monkeypatch):
    def broken(*_: object):
        raise RuntimeError("broken")

    monkeypatch.setattr("bakeoff.engines.stack_worker.prepare_member", broken)
    events, last = Worker(*(job(number, folder=tmp_path) for number in range(2))).run()
    assert events == []
    assert isinstance(last, Failed)
    assert last.breaks_worker


def test_runs_that_cannot_be_stacked_train_alone_in_the_same_worker(tmp_path):
    trained = []

    def alone(link: Link, one: Job) -> Event:
        trained.append(one.run)
        link.send(Epoch(run=one.run, result=EpochResult(epoch=1, metrics={}), waits=True))
        assert link.recv() == "continue"
        assert link.poll() is False
        return Finished(run=one.run, outcome="complete", test_metrics={})

    gru = {"model": "gru", "model_params": {"width": 16}}
    worker = Worker(*(job(number, folder=tmp_path, **gru) for number in range(2)), alone=alone)
    for number in range(2):
        worker.ours.send(MemberReply(run=f"confirm-{number}", reply="continue"))
    events, _ = worker.run()
    assert trained == ["confirm-0", "confirm-1"]
    assert [type(one) for one in events] == [Epoch, Finished, Epoch, Finished]


def test_a_run_that_begins_again_alone_waits_for_no_reply_that_it_has_had(tmp_path, monkeypatch):
    from bakeoff.training.stack import stack

    prepare, replies = stack.Stack.prepare_to_evaluate, []

    def fail_later(self):
        if self.members[0].state.epoch:
            raise NotStackableError("in its second epoch")
        prepare(self)

    def alone(link: Link, one: Job) -> Event:
        for number in (1, 2):
            result = EpochResult(epoch=number, metrics={})
            link.send(Epoch(run=one.run, result=result, waits=True))
            if number == 2:
                worker.ours.send(MemberReply(run=one.run, reply="stop"))
            replies.append(link.recv())
        return Finished(run=one.run, outcome="pruned", test_metrics={})

    monkeypatch.setattr(stack.Stack, "prepare_to_evaluate", fail_later)
    worker = Worker(replace(job(0, folder=tmp_path), decision_epochs=(1,)), alone=alone)
    worker.ours.send(MemberReply(run="confirm-0", reply="continue"))
    thread = Thread(target=worker.worker.run, daemon=True)
    thread.start()
    thread.join(20)
    assert replies == ["continue", "stop"]
    epochs = [one.result.epoch for one in worker.sent() if isinstance(one, Epoch)]
    assert epochs == [1, 2]


def branching(number: int, folder: Path) -> Job:
    """A run whose model has one layer more if its number is odd."""
    own = {"model": "branching_models:Deeper", "model_params": {"dropout": (0.1, 0.4)[number % 2]}}
    return job(number, folder=folder, **own)


def learned(events: list[Any], number: int) -> list[tuple[float, Any]]:
    return [
        (one.result.train_loss, one.result.metrics)
        for one in events
        if isinstance(one, Epoch) and one.run == f"confirm-{number}"
    ]


def test_own_models_that_differ_are_stacked_apart_and_compute_the_same_with_any_companions(
    tmp_path,
):
    events, _ = Worker(*(branching(number, tmp_path / "all") for number in range(4))).run()
    runs = [one.run[-1] for one in events if isinstance(one, Epoch)]
    assert runs == ["0", "2", "0", "2", "1", "3", "1", "3"]
    for number in range(4):
        alone, _ = Worker(branching(number, tmp_path / "alone")).run()
        assert learned(alone, number) == learned(events, number)


def test_an_own_model_that_differs_joins_after_the_end_of_a_stack_and_those_behind_it_too(tmp_path):
    worker = Worker(*(branching(number, tmp_path) for number in (0, 2)))
    for number in (3, 4):
        one = branching(number, tmp_path)
        worker.ours.send(Join(run=one.run, reply="continue", job=one))
    events, _ = worker.run()
    runs = [one.run[-1] for one in events if isinstance(one, Epoch)]
    assert runs == ["0", "2", "0", "2", "3", "3", "4", "4"]


def test_an_own_model_that_no_stack_can_train_trains_alone_beside_others(tmp_path):
    trained = []

    def alone(_: Link, one: Job) -> Event:
        trained.append(one.run)
        return Finished(run=one.run, outcome="complete", test_metrics={})

    frozen = [
        job(
            number,
            folder=tmp_path,
            model="branching_models:Frozen",
            model_params={"dropout": rate},
        )
        for number, rate in enumerate((0.4, 0.1, 0.4, 0.1))
    ]
    events, _ = Worker(*frozen, alone=alone).run()
    assert trained == ["confirm-0", "confirm-2"]
    assert [one.run[-1] for one in events if isinstance(one, Epoch)] == ["1", "3", "1", "3"]


def test_a_full_disk_halts_every_run(tmp_path, monkeypatch):
    def full(self, state):
        raise CheckpointWriteError("no space left")

    monkeypatch.setattr(Checkpoints, "save", full)
    worker = Worker(*(job(number, folder=tmp_path) for number in range(2)))
    worker.ours.send("pause")
    events, _ = worker.run()
    assert events[-2:] == [Halted(run=f"confirm-{one}", reason="no space left") for one in (0, 1)]
