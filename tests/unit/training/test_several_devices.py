"""Runs that two processes train together are the runs of one, and end together."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from bakeoff.engines.local import LocalEngine
from bakeoff.engines.protocol import (
    Died,
    Engine,
    Epoch,
    Event,
    Failed,
    Finished,
    Job,
    Paused,
    Probe,
    Probed,
    Reply,
)  # fmt: skip
from bakeoff.errors import StudyFileError
from bakeoff.records import EpochResult, TrialConfig
from bakeoff.studyfile import resolve_study
from bakeoff.training import loop
from bakeoff.training.difference import compare_final_states
from bakeoff.training.epoch_batches import plain_batches, training_batches
from bakeoff.training.ranks import Ranks
from bakeoff.training.shards import cut_batches
from study_examples import study_document

MakeConfig = Callable[..., TrialConfig]

CPU = torch.device("cpu")
CNN = {"model": "rank_models:build_cnn", "model_params": {}}
TEXT = {
    "dataset": "toy_tasks:language", "task": "language", "train_samples": None, "objective": "loss",
    "model": "transformer", "model_params": {"width": 16, "depth": 1, "heads": 2, "dropout": 0.0},
    "epochs": 3, "batch_size": 32,
}  # fmt: skip
PIXELS = {
    "dataset": "rank_models:ragged_pictures", "task": "segmentation", "train_samples": None,
    "objective": "mean_iou", "model": "rank_models:build_pixels", "model_params": {},
    "batch_size": 7,
}  # fmt: skip
ALIKE: dict[str, dict[str, Any]] = {
    "mlp": {"batch_size": 16, "optimizer": "muon"},
    "cnn with a last batch of 19": {**CNN, "train_samples": 147, "batch_size": 32},
    "last batch of 3, uneven parts": {"train_samples": 153, "batch_size": 15},
    "transformer on text": TEXT,
    "pixels of which some are ignored": {**PIXELS, "label_smoothing": 0.1},
    "accumulation and weights": {
        **CNN, "batch_size": 15, "train_samples": 150, "accumulation_steps": 3,
        "clip_grad_norm": 0.5, "class_weights": "balanced", "label_smoothing": 0.1,
        "augment": ("crop",), "ema_decay": 0.9,
    },
    "mixed batches": {**CNN, "batch_size": 18, "sampling": "weighted", "mixup_alpha": 0.4, "cutmix_alpha": 1.0,
                      "scheduler": "one_cycle"},
    "average of the optimizer": {
        "batch_size": 32, "optimizer": "schedule_free_adamw", "scheduler": "constant",
    },
}  # fmt: skip
"""Runs without batch normalisation and dropout."""


@pytest.fixture(scope="module")
def engine() -> Iterator[LocalEngine]:
    """A worker whose second rank stays for the next run."""
    engine = LocalEngine(num_workers=1, threads=1, devices_per_trial=2)
    yield engine
    engine.close()


def on_two(config: TrialConfig) -> TrialConfig:
    return replace(config, training=replace(config.training, devices_per_trial=2))


def troubled(make_config: MakeConfig, **params: object) -> TrialConfig:
    config = make_config(model="rank_models:build_troubled", batch_size=16, **TROUBLED_RUN)
    return on_two(replace(config, model_params=params))


TROUBLED_RUN: dict[str, Any] = {"ema_decay": 0.8, "optimizer": "adamw"}
"""Ten batches in each of three epochs."""


def events_of(
    engine: Engine,
    config: TrialConfig,
    folder: Path,
    *,
    replies: dict[int, Reply] | None = None,
    delay: float = 0.0,
    **given: Any,
) -> list[Event]:
    """The events of one attempt; `replies` answer epochs, whether the worker waits or not.

    They are sent `delay` seconds after the epoch.
    """
    job = Job(run="run", config=config, checkpoints=str(folder),
              saves_every_epoch=True, **given)  # fmt: skip
    engine.submit(job)
    found: list[Event] = []
    deadline = time.monotonic() + 120
    while not found or isinstance(found[-1], Epoch):
        assert time.monotonic() < deadline
        for event in engine.events(1.0):
            found.append(event)
            if isinstance(event, Epoch) and (reply := (replies or {}).get(event.result.epoch)):
                time.sleep(delay)
                engine.reply("run", reply)
    return found


def probed(engine: Engine, config: TrialConfig) -> Probed:
    engine.submit(Probe(run="probe", config=config))
    found: list[Event] = []
    while not found:
        found += engine.events(1.0)
    assert isinstance(found[0], Probed), found[0]
    return found[0]


def epochs_of(events: list[Event]) -> list[EpochResult]:
    return [event.result for event in events if isinstance(event, Epoch)]


@pytest.mark.parametrize("name", ALIKE)
def test_two_processes_train_as_one(
    make_config: MakeConfig, engine: LocalEngine, tmp_path: Path, name: str
) -> None:
    config = make_config(**ALIKE[name])
    alone = list(loop.train(loop.prepare(config, "cpu")))
    events = events_of(engine, on_two(config), tmp_path)
    assert events[-1] == Finished(run="run", outcome="complete", test_metrics={})
    together = epochs_of(events)
    assert [one.epoch for one in together] == [1, 2, 3]
    for one, other in zip(together, alone, strict=True):
        assert (one.steps, one.learning_rate) == (other.steps, other.learning_rate)
        assert one.train_loss == pytest.approx(other.train_loss, rel=1e-5)
        assert one.grad_norm == pytest.approx(other.grad_norm, rel=1e-4)
        assert one.metrics["loss"] == pytest.approx(other.metrics["loss"], rel=1e-4)


def test_the_test_set_is_read_and_weights_are_written_by_one_process(
    make_config: MakeConfig, engine: LocalEngine, tmp_path: Path
) -> None:
    config = make_config(**CNN)
    state = loop.prepare(config, "cpu")
    list(loop.train(state))
    expected = loop.test(state)
    given = {"reads_test": True, "keeps_weights": True}
    ended = events_of(engine, on_two(config), tmp_path / "run", **given)[-1]
    assert isinstance(ended, Finished)
    assert ended.test_metrics["loss"] == pytest.approx(expected["loss"], rel=1e-4)
    kept = {path.name for path in (tmp_path / "run").rglob("weights.*")}
    assert kept == {"weights.safetensors", "weights.json"}


# ---------------------------------------------------------------- parts of batches


@pytest.mark.parametrize("size", [2, 3, 4])
@pytest.mark.parametrize("num_samples", [8, 9, 11, 32])
def test_every_sample_of_a_batch_is_in_one_part(size: int, num_samples: int) -> None:
    parts = [Ranks(rank, size, CPU).part_of(num_samples) for rank in range(size)]
    assert [place for part in parts for place in range(part.start, part.stop)] == [
        *range(num_samples)
    ]
    assert sum(part.share for part in parts) == pytest.approx(1)
    assert min(part.size for part in parts) >= 2
    assert max(part.size for part in parts) - min(part.size for part in parts) <= 1


def test_a_batch_too_small_for_two_samples_each_is_trained_by_all() -> None:
    parts = [Ranks(rank, 2, CPU).part_of(3) for rank in range(2)]
    assert parts == [(0, 3, 0.5), (0, 3, 0.5)]


@pytest.mark.parametrize("train_samples", [160, 150, 155, 161])
def test_parts_that_are_fetched_alone_are_those_of_whole_batches(
    make_config: MakeConfig, train_samples: int
) -> None:
    config = make_config(train_samples=train_samples, batch_size=16, augment=("crop", "cutout"))
    state = loop.prepare(config, "cpu")
    for rank in range(3):
        ranks = Ranks(rank, 3, CPU)
        fetched = list(plain_batches(state, skip=2, ranks=ranks))
        cut = list(cut_batches(training_batches(state, skip=2), ranks))
        for one, other in zip(fetched, cut, strict=True):
            torch.testing.assert_close(one[0], other[0], rtol=0, atol=0)
            torch.testing.assert_close(one[1], other[1], rtol=0, atol=0)


# ---------------------------------------------------------------- ending together


@pytest.fixture(scope="module")
def calm(engine: LocalEngine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoints of a run in which nothing happens."""
    from run_examples import small_run

    folder = tmp_path_factory.mktemp("calm")
    events = events_of(engine, troubled(small_run, trouble="none"), folder)
    assert isinstance(events[-1], Finished)
    return folder


def assert_same_bits(calm: Path, folder: Path) -> None:
    found = compare_final_states(calm, folder, "run")
    assert found.paths == ()
    assert found.num_values > 100


@pytest.mark.parametrize("rank", [0, 1])
def test_a_run_that_loses_a_process_continues_with_the_same_bits(
    make_config: MakeConfig, engine: LocalEngine, tmp_path: Path, calm: Path, rank: int
) -> None:
    config = troubled(
        make_config, trouble="kill", rank=rank, batch=14, marker=str(tmp_path / "killed")
    )
    lost = events_of(engine, config, tmp_path / "run")
    assert [one.epoch for one in epochs_of(lost)] == [1]
    assert isinstance(lost[-1], Died)
    assert (lost[-1].cause, "SIGKILL" in lost[-1].reason) == ("worker", True)
    again = events_of(engine, config, tmp_path / "run")
    assert isinstance(again[-1], Finished)
    assert [one.epoch for one in epochs_of(again)] == [1, 2, 3]
    assert_same_bits(calm, tmp_path / "run")


def test_a_paused_run_continues_with_the_same_bits(
    make_config: MakeConfig, engine: LocalEngine, tmp_path: Path, calm: Path
) -> None:
    config = troubled(make_config, trouble="none")
    paused = events_of(engine, config, tmp_path, decision_epochs=(2,), replies={2: "pause"})
    assert [one.epoch for one in epochs_of(paused)] == [1, 2]
    assert isinstance(paused[-1], Paused)
    events_of(engine, config, tmp_path)
    assert_same_bits(calm, tmp_path)


@pytest.mark.slow
def test_a_paused_run_of_three_processes_continues_with_the_same_bits(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    config = troubled(make_config, trouble="none")
    config = replace(config, training=replace(config.training, devices_per_trial=3))
    with closing(LocalEngine(num_workers=1, threads=1, devices_per_trial=3)) as engine:
        events_of(engine, config, tmp_path / "whole")
        folder = tmp_path / "paused"
        paused = events_of(engine, config, folder, decision_epochs=(1,), replies={1: "pause"})
        assert isinstance(paused[-1], Paused)
        events_of(engine, config, folder)
    assert_same_bits(tmp_path / "whole", folder)


def test_a_run_suspended_within_an_epoch_continues_with_the_same_bits(
    make_config: MakeConfig, engine: LocalEngine, tmp_path: Path, calm: Path
) -> None:
    slow = troubled(make_config, trouble="none", seconds=0.15)
    for attempt in range(5):  # where other programs take the cores, it may be between two epochs
        folder = tmp_path / str(attempt)
        paused = events_of(engine, slow, folder, replies={1: "suspend"}, delay=0.3)
        if "sample" in max(path.stem for path in folder.rglob("*.json")):
            break
    else:
        pytest.fail("the run was never suspended within an epoch")
    assert isinstance(paused[-1], Paused)
    events_of(engine, troubled(make_config, trouble="none"), folder)
    assert_same_bits(calm, folder)


@pytest.mark.parametrize("decision_epochs", [(1,), ()])
def test_a_run_that_is_stopped_stops_in_all_processes(
    make_config: MakeConfig, engine: LocalEngine, tmp_path: Path, decision_epochs: tuple[int, ...]
) -> None:
    config = troubled(make_config, trouble="none", seconds=0.02)
    config = replace(config, training=replace(config.training, epochs=50))
    events = events_of(
        engine, config, tmp_path, decision_epochs=decision_epochs, replies={1: "stop"}
    )
    assert events[-1] == Finished(run="run", outcome="pruned", test_metrics={})
    assert len(epochs_of(events)) < 50
    after = events_of(engine, on_two(make_config(epochs=1)), tmp_path / "after")
    assert isinstance(after[-1], Finished)


def test_a_diverged_run_ends_in_all_processes(
    make_config: MakeConfig, engine: LocalEngine, tmp_path: Path
) -> None:
    config = make_config(optimizer="sgd", optimizer_params={"learning_rate": 1e30})
    events = events_of(engine, on_two(config), tmp_path)
    assert events[-1] == Finished(run="run", outcome="diverged", test_metrics={})


# ---------------------------------------------------------------- loops of the user's own


def test_a_loop_of_the_users_own_runs_in_all_processes_and_continues_with_the_same_bits(
    make_config: MakeConfig, engine: LocalEngine, tmp_path: Path
) -> None:
    config = on_two(make_config(batch_size=16, loop="rank_models:train_digits"))
    whole = events_of(engine, config, tmp_path / "whole", reads_test=True)
    tested = {"accuracy": 1.0, "loss": 0.0}
    assert whole[-1] == Finished(run="run", outcome="complete", test_metrics=tested)
    assert [one.metrics["accuracy"] for one in epochs_of(whole)] == [0.0, 0.0, 0.0]
    assert [one.steps for one in epochs_of(whole)] == [10, 10, 10]
    folder = tmp_path / "paused"
    paused = events_of(engine, config, folder, decision_epochs=(1,), replies={1: "pause"})
    assert isinstance(paused[-1], Paused)
    again = events_of(engine, config, folder, reads_test=True)
    assert [(one.metrics, one.train_loss) for one in epochs_of(again)] == [
        (one.metrics, one.train_loss) for one in epochs_of(whole)
    ]


def test_a_probe_runs_an_epoch_of_a_loop_of_the_users_own_in_all_processes(
    make_config: MakeConfig, engine: LocalEngine
) -> None:
    config = on_two(make_config(batch_size=16, loop="rank_models:train_digits"))
    assert probed(engine, config).ranks == "2, each of which runs the loop"


# ---------------------------------------------------------------- failures


NO_GOOD = "ValueError: this part of the batch is no good (rank_models.py:"
NO_ROOM = "OutOfMemoryError: no room on this device"


@pytest.mark.parametrize(
    ("rank", "trouble", "outcome", "reason"),
    [
        (1, "raise", "failed", NO_GOOD),
        pytest.param(0, "raise", "failed", NO_GOOD, marks=pytest.mark.slow),
        pytest.param(1, "memory", "infeasible", NO_ROOM, marks=pytest.mark.slow),
        pytest.param(0, "memory", "infeasible", NO_ROOM, marks=pytest.mark.slow),
    ],
)
def test_an_error_of_any_process_is_that_of_the_run(
    make_config: MakeConfig, engine: LocalEngine, tmp_path: Path,
    rank: int, trouble: str, outcome: str, reason: str,
) -> None:  # fmt: skip
    config = troubled(make_config, trouble=trouble, rank=rank, batch=3)
    ended = events_of(engine, config, tmp_path)[-1]
    assert isinstance(ended, Failed)
    assert ended.outcome == outcome
    assert reason in ended.reason


@pytest.mark.slow
def test_a_hung_process_ends_with_its_worker(make_config: MakeConfig, tmp_path: Path) -> None:
    engine = LocalEngine(num_workers=1, threads=1, devices_per_trial=2)
    with closing(engine):
        events_of(engine, on_two(make_config(epochs=1)), tmp_path / "warm")
        engine._hang_seconds = 4.0  # noqa: SLF001 - starting may take longer
        file = tmp_path / "pid"
        config = troubled(make_config, trouble="hang", rank=1, batch=3, marker=str(file))
        ended = events_of(engine, config, tmp_path / "run")[-1]
        assert isinstance(ended, Died)
        assert ended.reason == "no step for 4 s"
        deadline = time.monotonic() + 60
        while Path("/proc", file.read_text()).exists():
            assert time.monotonic() < deadline
            time.sleep(0.1)


@pytest.mark.slow
def test_weights_that_drift_apart_are_named(
    make_config: MakeConfig, engine: LocalEngine, tmp_path: Path
) -> None:
    config = troubled(make_config, trouble="drift", rank=1, batch=3)
    ended = events_of(engine, config, tmp_path)[-1]
    assert isinstance(ended, Failed)
    assert ended.reason.startswith(
        "training.devices_per_trial = 2: after epoch 1 the weight 'linear.weight' differs"
    )


def test_a_probe_makes_a_step_together_and_says_how(
    make_config: MakeConfig, engine: LocalEngine
) -> None:
    config = on_two(make_config(model="cnn", model_params={"width": 4}, batch_size=33))
    assert probed(engine, config).ranks == (
        "2, each with 16 or 1 more of the 33 samples; batch normalisation sees each part alone,"
        " and the statistics of the first one are kept"
    )


def test_a_study_file_cannot_ask_for_more_devices_than_samples() -> None:
    document = study_document(training={"devices_per_trial": 4, "batch_size": 7})
    with pytest.raises(StudyFileError, match=r"each device needs 2 samples of a batch, and .* = 7"):
        resolve_study(document)
    document["training"]["batch_size"] = {"choices": [64, 4]}
    with pytest.raises(StudyFileError, match=r"training\.batch_size = 4"):
        resolve_study(document)
