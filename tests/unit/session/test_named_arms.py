"""Studies of named arms: tried before they begin, driven, stopped, and extended by an arm."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from bakeoff.driver import InterruptedStudyError, StopRequest
from bakeoff.engines.failures import describe_failure
from bakeoff.engines.measurements import measure_probe
from bakeoff.engines.protocol import Event, Job, Probe
from bakeoff.errors import UsageError
from bakeoff.own_source import look_in
from bakeoff.records import CONFIG_HASH, WEIGHTS_HASH, StudyConfig, of_named_arm
from bakeoff.session.checks import check_same_weights, smallest_batch
from bakeoff.session.measuring import largest_checkpoint, probe
from bakeoff.space import build_arms
from bakeoff.storage import Storage
from bakeoff.studyfile import resolve_study
from driven_study import drive
from study_examples import SimulatedEngine, study_document

LOSSES = """
def half(outputs, labels):
    return outputs.square().mean() / 2


def of_samples(outputs, labels):
    return outputs.square().mean(1)
"""
TWO: dict[str, Any] = {"half": {"training": {"loss": "arms_losses:half"}}, "deep": {}}


def study(arms: dict[str, Any], **changes: Any) -> StudyConfig:
    document = study_document(
        search={"optimizers": ["adam"], "schedulers": ["constant"], "trials_per_arm": 4},
        **changes,
    )
    return resolve_study({**document, "arms": arms})


class TryingEngine(SimulatedEngine):
    """Tries configurations as a worker does, in this process."""

    def __init__(self) -> None:
        super().__init__()
        self.tried: list[Probe] = []

    def submit(self, job: Job | Probe) -> None:
        assert isinstance(job, Probe)
        self.tried.append(job)

    def events(self, timeout: float) -> Sequence[Event]:
        try:
            return [measure_probe(self.tried[-1], "cpu", None)]
        except Exception as error:  # noqa: BLE001 - as a worker does
            return [describe_failure("probe", error)]


@pytest.fixture(name="losses")
def _losses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "arms_losses.py").write_text(LOSSES)
    monkeypatch.syspath_prepend(str(tmp_path))
    look_in(str(tmp_path))
    yield
    look_in("")


@pytest.mark.usefixtures("losses")
def test_every_arm_is_tried_in_the_precision_of_the_first_before_the_study_begins() -> None:
    arms = {**TWO, "wide": {"model": {"width": 64}}}
    config, engine = study(arms, training={"precision": "auto"}), TryingEngine()
    found = probe(config, engine, StopRequest())
    tried = [one.config for one in engine.tried]
    assert [one.training.loss for one in tried] == [
        "arms_losses:half",
        "cross_entropy",
        "cross_entropy",
    ]
    assert [one.model_params["width"] for one in tried] == [16, 16, 64]
    assert [one.training.precision for one in tried] == ["auto", *[found.precision] * 2]
    alone = [probe(config.of_arm(name), engine, StopRequest()) for name in ("wide", "half")]
    assert found.checkpoint_bytes >= alone[0].checkpoint_bytes > alone[1].checkpoint_bytes
    assert largest_checkpoint(config, found) == found.checkpoint_bytes
    assert "arms_losses.py" in [Path(name).name for name in found.code]


@pytest.mark.usefixtures("losses")
def test_an_arm_that_cannot_be_trained_is_named_before_the_study_begins() -> None:
    arms = {"deep": {}, "samples": {"training": {"loss": "arms_losses:of_samples"}}}
    with pytest.raises(UsageError, match=r"^arms\.samples: .*arms_losses:of_samples"):
        probe(study(arms), TryingEngine(), StopRequest())
    wide = {"deep": {}, "wide": {"model": {"width": -1}}}
    with pytest.raises(UsageError, match=r"^arms\.wide: model\.width = -1: must be at least 1"):
        probe(study(wide), TryingEngine(), StopRequest())


def test_pretrained_weights_are_checked_arm_by_arm() -> None:
    first, second = (of_named_arm(WEIGHTS_HASH, name) for name in ("a", "b"))
    before = {first: "a" * 64}
    check_same_weights("study", before, before)
    check_same_weights("study", before, {**before, second: "b" * 64})  # a new arm
    with pytest.raises(UsageError, match="the weights changed"):
        check_same_weights("study", before, {first: "b" * 64})
    with pytest.raises(UsageError, match="configuration changed"):
        check_same_weights("study", {of_named_arm(CONFIG_HASH, "a"): "a" * 64}, {})


def test_the_smallest_batch_is_that_of_any_arm() -> None:
    arms = {"small": {"training": {"batch_size": {"choices": [16, 32]}}}, "deep": {}}
    assert smallest_batch(study(arms)) == 16


class CountingEngine(SimulatedEngine):
    """Requests a stop after a number of calls."""

    def __init__(self, stop: StopRequest, after: int) -> None:
        super().__init__(2)
        self._stop, self._left = stop, after

    def events(self, timeout: float) -> Sequence[Event]:
        self._left -= 1
        self._stop.count = int(self._left <= 0)
        return super().events(timeout)


def test_a_study_of_named_arms_continues_after_stops_and_gets_a_third_arm(
    storage_url: str, tmp_path: Path
) -> None:
    config = study(TWO)
    for after in (9, 40):
        stop = StopRequest()
        with pytest.raises(InterruptedStudyError):
            drive(config, CountingEngine(stop, after), storage_url, tmp_path, stop=stop)
    engine = SimulatedEngine(2)
    record = drive(config, engine, storage_url, tmp_path)
    for job in engine.submitted:
        assert job.config.training.loss in ("arms_losses:half", "cross_entropy")
    trials = Counter(one.arm for one in record.trials if one.phase != "default")
    assert trials == {"half": 4, "deep": 4}

    arms = {"wide": {"model": {"width": 64}}, **TWO}
    more = study(arms)
    storage = Storage(storage_url)
    storage.extend(more, ["arms"])
    engine = SimulatedEngine(2)
    extended = drive(more, engine, storage_url, tmp_path)
    assert [arm.name for arm in extended.arms] == ["wide", "half", "deep"]
    assert {job.config.model_params["width"] for job in engine.submitted} == {64}
    assert [one for one in extended.trials if one.arm != "wide"] == list(record.trials)
    trials = Counter(one.arm for one in extended.trials if one.phase != "default")
    assert trials == {"half": 4, "deep": 4, "wide": 4}
    assert extended.protocol["arm wide"] == (
        "model.width = 64; training.loss = cross_entropy; optimizers = adam; schedulers = constant"
    )
    assert build_arms(storage.load_config("toy")) == extended.arms
