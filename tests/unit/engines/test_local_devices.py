"""The local engine on several devices: made-up ones, which torch calls `cpu` in their workers."""

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from bakeoff.engines.device_table import CPU, Device
from bakeoff.engines.devices import DeviceChoice, check_devices
from bakeoff.engines.local import LocalEngine
from bakeoff.engines.open import default_workers
from bakeoff.engines.processes import worker_settings
from bakeoff.engines.protocol import Died, Event, Failed, Finished, Job, Probe
from bakeoff.errors import UsageError
from run_examples import small_run

MODEL = """
import os, math
from pathlib import Path
from torch import nn

def build(input_shape, num_outputs):
    seen = os.environ["CUDA_VISIBLE_DEVICES"] + " " + os.environ["CUBLAS_WORKSPACE_CONFIG"]
    Path(os.environ["SEEN"], str(os.getpid())).write_text(seen)
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(input_shape), num_outputs))
"""
TWO = tuple(
    Device(kind="cuda", index=index, uid=f"GPU-{index}", worker_device="cpu") for index in (0, 1)
)
BROKEN = Device(kind="cuda", index=5, uid="GPU-5", worker_device="hal9000")
LIMIT_SECONDS = 120.0


def engine_on(*devices: Device, workers: int) -> LocalEngine:
    return LocalEngine(num_workers=workers, threads=1, devices=devices)


def job(name: str, folder: Path, model: str = "mlp") -> Job:
    config = replace(small_run(epochs=1), model=model, model_params={})
    return Job(run=name, config=config, checkpoints=str(folder / name))


def ends(engine: LocalEngine, count: int) -> Iterator[Event]:
    """The last events of so many runs."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while count and time.monotonic() < deadline:
        for event in engine.events(1.0):
            if isinstance(event, (Finished, Failed, Died)):
                count -= 1
                yield event


def test_every_worker_sees_only_its_own_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "seeing.py").write_text(MODEL)
    (tmp_path / "seen").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("SEEN", str(tmp_path / "seen"))
    with closing(engine_on(*TWO, workers=2)) as engine:
        for name in ("search-0", "search-1"):
            engine.submit(job(name, tmp_path, "seeing:build"))
        assert engine.num_free == 0
        found = list(ends(engine, 2))
    assert [type(event) for event in found] == [Finished, Finished]
    seen = sorted(path.read_text() for path in (tmp_path / "seen").iterdir())
    assert seen == ["GPU-0 :4096:8", "GPU-1 :4096:8"]


def test_workers_are_spread_over_the_devices_and_share_their_memory() -> None:
    engine = engine_on(*TWO, workers=4)
    assert engine.num_free == 4
    slots = engine._slots  # noqa: SLF001 - no process is started for this
    assert [slot.devices[0].uid for slot in slots] == ["GPU-0", "GPU-1", "GPU-0", "GPU-1"]
    assert {slot.memory_share for slot in slots} == {0.5}
    (alone,) = engine_on(*TWO, workers=1)._slots  # noqa: SLF001
    assert (alone.devices[0].uid, alone.memory_share) == ("GPU-0", 1.0)


def test_a_worker_has_as_many_devices_as_train_a_run() -> None:
    devices = [Device(kind="cuda", index=index, uid=f"GPU-{index}") for index in range(5)]
    engine = LocalEngine(num_workers=4, threads=1, devices=devices, devices_per_trial=2)
    slots = engine._slots  # noqa: SLF001 - no process is started for this
    pairs = [("GPU-0", "GPU-1"), ("GPU-2", "GPU-3")]
    assert [tuple(one.uid for one in slot.devices) for slot in slots] == [*pairs, *pairs]
    settings = worker_settings(slots[1].devices, threads=1)
    assert settings.environment["CUDA_VISIBLE_DEVICES"] == "GPU-2,GPU-3"
    assert (settings.device, settings.device_label) == ("cuda", "cuda:2, cuda:3")
    on_cpu = LocalEngine(num_workers=2, threads=1, devices_per_trial=2)
    assert [slot.devices for slot in on_cpu._slots] == [(CPU,), (CPU,)]  # noqa: SLF001


def test_a_run_needs_as_many_devices_as_it_asks_for() -> None:
    one = DeviceChoice(kind="cuda", devices=(TWO[0],))
    with pytest.raises(UsageError, match=r"^training\.devices_per_trial = 2: here is cuda:0 "):
        check_devices(one, 2)
    check_devices(DeviceChoice(kind="cuda", devices=TWO), 2)
    check_devices(DeviceChoice(kind="cpu", devices=(CPU,)), 2)
    with pytest.raises(UsageError, match="is for cpu and cuda, not for mps"):
        check_devices(DeviceChoice(kind="mps", devices=(Device(kind="mps"),)), 2)
    assert default_workers("cuda", num_devices=5, devices_per_trial=2) == 2


def test_a_device_that_cannot_be_used_is_left_out_and_its_run_is_not_charged(
    tmp_path: Path,
) -> None:
    with closing(engine_on(BROKEN, CPU, workers=2)) as engine:
        engine.submit(job("search-0", tmp_path))
        (lost,) = ends(engine, 1)
        assert isinstance(lost, Died)
        assert (lost.run, lost.cause, lost.node) == ("search-0", "node", "cuda:5")
        assert lost.reason.startswith("device 'cuda:5' cannot be used here: ")
        assert lost.reason.endswith("; it is left out")
        assert engine.num_free == 1
        engine.submit(job("search-0", tmp_path))
        assert [type(event) for event in ends(engine, 1)] == [Finished]


def test_the_only_device_is_blamed_and_not_the_run(tmp_path: Path) -> None:
    with closing(engine_on(BROKEN, workers=1)) as engine:
        engine.submit(Probe(run="probe", config=small_run()))
        (failed,) = ends(engine, 1)
        assert isinstance(failed, Failed)
        assert failed.reason.startswith("device 'cuda:5' cannot be used here: ")
        engine.submit(job("search-0", tmp_path))
        (lost,) = ends(engine, 1)
        assert isinstance(lost, Died)
        assert (lost.cause, lost.was_training) == ("worker", False)
        assert engine.num_free == 1
