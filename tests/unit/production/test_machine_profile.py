import json
from dataclasses import replace

import pytest
import tomli_w

from bakeoff.commands.cli import main
from bakeoff.engines.device_table import Device
from bakeoff.engines.protocol import Profiled
from bakeoff.errors import UsageError
from bakeoff.production.machine_profile import (
    Layout,
    MachineProfile,
    is_worth_trying,
    layouts_of,
    profile_study,
    recommend,
)
from bakeoff.studyfile import resolve_study
from study_examples import study_document

STEP = Profiled(
    run="profile-0",
    parts={"data": 1.0, "forward": 3.0, "backward": 5.0, "optimizer": 0.5, "rest": 0.5},
    num_steps=10,
    steps_per_epoch=9,
    evaluate_seconds=10.0,
    peak_memory_bytes=10**9,
)


def layout(workers: int, threads: int, trials_per_hour: float) -> Layout:
    return Layout(
        workers=workers,
        threads=threads,
        trials_per_hour=trials_per_hour,
        steps_per_second=1.0,
        peak_memory_bytes=10**9,
    )


def on_gpu(workers: int, trials_per_hour: float) -> Layout:
    return replace(layout(workers, 1, trials_per_hour), device="cuda")


HEALTHY = MachineProfile(
    step=STEP, precision="fp32", batch_size=32, layouts=(layout(2, 1, 10.0), layout(1, 2, 10.5))
)


def with_parts(**parts: float) -> MachineProfile:
    return replace(HEALTHY, step=replace(STEP, parts={**STEP.parts, **parts}))


def test_shares_add_up_to_the_step_and_the_epoch() -> None:
    assert sum(HEALTHY.shares.values()) == pytest.approx(1)
    assert HEALTHY.shares["data"] == 0.1
    assert HEALTHY.evaluate_share == 0.1


def test_a_run_on_several_devices_is_refused_with_what_to_measure_instead() -> None:
    document = study_document(training={"devices_per_trial": 2})
    with pytest.raises(UsageError, match=r"training\.devices_per_trial = 2: .* set it to 1, and"):
        profile_study(resolve_study(document), "cpu", 0.1)


def test_without_a_finding_nothing_is_recommended() -> None:
    assert recommend(HEALTHY) == []


@pytest.mark.parametrize(
    ("profile", "finding", "advice"),
    [
        (with_parts(data=6.0), "data takes 40% of a step", "fewer augmentations"),
        (with_parts(optimizer=4.0), "the optimizer takes 30% of a step", "larger batch_size"),
        (with_parts(rest=4.0), "30% of a step is neither", "larger batch_size"),
        (with_parts(forward=10.0), "the forward pass takes 2.0 times as long", "Python loops"),
        (
            replace(HEALTHY, step=replace(STEP, evaluate_seconds=90.0)),
            "evaluation takes 50% of an epoch",
            "validation_fraction",
        ),
        (
            replace(HEALTHY, layouts=(layout(2, 1, 10.0), layout(1, 2, 14.0))),
            "1 worker of 2 threads train 40% more trials per hour than the default",
            "--workers 1 --threads 2",
        ),
        (
            replace(HEALTHY, layouts=(on_gpu(1, 10.0), on_gpu(2, 15.0), on_gpu(4, 15.5))),
            "4 workers of 1 thread on each cuda device train 55% more trials per hour",
            "run the study with --workers-per-device 4 --threads 1",
        ),
        (
            replace(HEALTHY, layouts=(on_gpu(1, 10.0), layout(8, 1, 15.0))),
            "8 workers of 1 thread train 50% more trials per hour than the default, 1 worker of",
            "run the study with --device cpu --workers 8 --threads 1",
        ),
        (
            replace(
                HEALTHY,
                seconds_per_step={"fp32": 3.0, "tf32": 2.5, "bf16": 2.0},
                fastest_precision="bf16",
            ),
            "bf16 makes 50% more steps per second than fp32",
            'set precision = "bf16" or "auto"',
        ),
    ],
    ids=[
        "data",
        "optimizer",
        "rest",
        "forward",
        "evaluation",
        "layout",
        "shared",
        "cpu",
        "precision",
    ],
)
def test_each_finding_has_one_recommendation(
    profile: MachineProfile, finding: str, advice: str
) -> None:
    (found,) = recommend(profile)
    assert found.finding.startswith(finding)
    assert advice in found.advice


def test_a_backward_pass_of_zero_seconds_is_accepted() -> None:
    assert recommend(with_parts(backward=0.0)) == []


@pytest.mark.parametrize(
    ("cores", "expected"),
    [(1, [(1, 1)]), (2, [(2, 1), (1, 2)]), (8, [(8, 1), (4, 2), (1, 8)])],
)
def test_layouts_use_all_cores_in_different_ways(
    monkeypatch: pytest.MonkeyPatch, cores: int, expected: list[tuple[int, int]]
) -> None:
    monkeypatch.setattr("bakeoff.production.machine_profile.num_cores", lambda: cores)
    monkeypatch.setattr("bakeoff.engines.open.num_cores", lambda: cores)
    assert layouts_of("cpu") == expected
    shared = [(count, max(1, cores // count)) for count in (1, 2, 4, 8)]
    assert layouts_of("cuda") == shared
    assert layouts_of("cuda", num_devices=2)[0] == (1, max(1, cores // 2))


GPU = Device(kind="cuda", name="a GPU", memory_bytes=6 * 10**9)


@pytest.mark.parametrize(
    ("measured", "workers", "expected"),
    [
        ([], 1, True),
        ([on_gpu(1, 10.0)], 2, True),
        ([on_gpu(1, 10.0)], 4, False),  # 1 GB each, and what a process takes: 6.5 GB of 6
        ([on_gpu(1, 10.0), on_gpu(2, 15.0)], 3, True),
        ([on_gpu(1, 10.0), on_gpu(2, 10.5)], 3, False),  # the GPU is busy
    ],
)
def test_more_workers_share_a_gpu_while_they_gain_and_fit(
    measured: list[Layout], workers: int, expected: bool
) -> None:
    assert is_worth_trying(measured, GPU, workers) is expected


def test_the_command_measures_in_a_worker(
    tmp_path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bakeoff.production.machine_profile.layouts_of", lambda *_: [(1, 1)])
    (tmp_path / "toy.toml").write_text(tomli_w.dumps(study_document()))
    with pytest.raises(SystemExit) as caught:
        main(["profile", str(tmp_path / "toy.toml"), "--seconds", "0.1", "--json"])
    assert caught.value.code in (0, None)
    found = json.loads(capsys.readouterr().out)
    assert sum(found["step"]["parts"].values()) == pytest.approx(found["step_seconds"])
    assert sum(found["shares"].values()) == pytest.approx(1)
    assert [(one["workers"], one["threads"]) for one in found["layouts"]] == [(1, 1)]


@pytest.mark.parametrize("seconds", ["0", "-1", "601", "nan"])
def test_a_duration_out_of_range_is_refused(
    tmp_path, capsys: pytest.CaptureFixture[str], seconds: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["profile", str(tmp_path / "toy.toml"), "--seconds", seconds])
    assert caught.value.code == 2
    assert "--seconds = " in capsys.readouterr().err
