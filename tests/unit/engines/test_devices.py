"""What `--device` means, on machines that are described by made-up tables."""

import json
from pathlib import Path

import pytest

from bakeoff.engines import device_table
from bakeoff.engines.device_table import CPU, Device, DeviceTable, has_accelerator_signs, table_of
from bakeoff.engines.devices import (
    DeviceRequest,
    choose_devices,
    describe_devices,
    describe_models,
    parse_device,
    worker_environment,
)
from bakeoff.errors import BakeoffError, UsageError
from bakeoff.training.accelerators import describe_accelerators, parse_mig_list

GPUS = tuple(
    Device(
        kind="cuda",
        index=index,
        name="NVIDIA H200",
        memory_bytes=139 << 30,
        uid=f"GPU-{index}",
        driver="550.54",
    )
    for index in range(3)
)
EIGHT = DeviceTable(devices=GPUS, torch="2.9", built_for="cuda")
WITHOUT_DRIVER = DeviceTable(
    torch="2.9+cu130", built_for="cuda", problem="Found no NVIDIA driver on your system."
)
FOR_CPU = DeviceTable(torch="2.9+cpu")


@pytest.mark.parametrize(
    ("text", "kind", "indices"),
    [
        ("auto", "auto", ()),
        ("cpu", "cpu", ()),
        ("CUDA", "cuda", ()),
        ("cuda:0", "cuda", (0,)),
        ("cuda:0,2", "cuda", (0, 2)),
        ("mps", "mps", ()),
        ("xpu:1", "xpu", (1,)),
    ],
)
def test_a_device_is_a_kind_and_numbers(text: str, kind: str, indices: tuple[int, ...]) -> None:
    assert parse_device(text) == DeviceRequest(kind=kind, indices=indices)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cudda", "allowed are auto, cpu, cuda, .*; did you mean cuda"),
        ("gpu", "allowed are auto, cpu, cuda, .*; did you mean cuda"),
        ("gpu", "allowed are auto"),
        ("", "allowed are auto"),
        ("cuda:", "write cuda:0,2"),
        ("cuda:-1", "write cuda:0,2"),
        ("cuda:a", "write cuda:0,2"),
        ("cpu:0", "write cpu"),
        ("mps:0", "write mps"),
        ("cuda:1,1", "names a device twice"),
    ],
)
def test_a_wrong_device_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        parse_device(text)
    assert "\n" not in str(caught.value)


def test_auto_takes_every_accelerator_and_says_so() -> None:
    chosen = choose_devices("auto", table=EIGHT)
    assert (chosen.kind, chosen.devices) == ("cuda", GPUS)
    assert chosen.note == "training on 3 x NVIDIA H200 (139 GiB, driver 550.54)"
    assert choose_devices("auto", table=EIGHT, most=1).devices == GPUS[:1]


@pytest.mark.parametrize("table", [WITHOUT_DRIVER, FOR_CPU])
def test_auto_without_an_accelerator_is_the_cpu_and_says_nothing(table: DeviceTable) -> None:
    chosen = choose_devices("auto", table=table)
    assert (chosen.kind, chosen.devices, chosen.note) == ("cpu", (CPU,), "")


def test_auto_continues_on_the_kind_that_was_used_before() -> None:
    assert choose_devices("auto", "cpu", EIGHT).kind == "cpu"
    assert choose_devices("auto", "cuda", EIGHT).devices == GPUS
    with pytest.raises(UsageError, match=r"begun on 'cuda'.*--device cpu continues it on the CPU"):
        choose_devices("auto", "cuda", FOR_CPU)
    assert choose_devices("cpu", "cuda", EIGHT).kind == "cpu"


def test_named_devices_are_taken_in_their_order() -> None:
    assert choose_devices("cuda:2,0", table=EIGHT).devices == (GPUS[2], GPUS[0])
    assert choose_devices("cuda", table=EIGHT).note == ""


@pytest.mark.parametrize(
    ("text", "table", "message"),
    [
        ("cuda", WITHOUT_DRIVER, r"none here \(Found no NVIDIA driver on your system\); .* cpu$"),
        ("cuda", FOR_CPU, r"the installed torch \(2.9\+cpu\) supports the CPU alone"),
        ("mps", EIGHT, r"supports cuda\); here is cuda:0 \(NVIDIA H200\), cuda:1"),
        ("cuda:3", EIGHT, r"cuda:3: there is no such device; here are cuda:0 \(NVIDIA H200\)"),
    ],
)
def test_a_device_that_is_not_here_is_refused_with_what_is(
    text: str, table: DeviceTable, message: str
) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        choose_devices(text, table=table)
    assert "\n" not in str(caught.value)


def test_nothing_is_started_for_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> DeviceTable:
        raise AssertionError

    monkeypatch.setattr("bakeoff.engines.devices.find_devices", refuse)
    monkeypatch.setattr("bakeoff.engines.devices.has_accelerator_signs", lambda: False)
    assert choose_devices("cpu").kind == "cpu"
    assert choose_devices("auto").kind == "cpu"


@pytest.mark.parametrize(
    "sign", ["dev/nvidia0", "dev/nvidiactl", "dev/kfd", "dev/dri/card0", "dev/dxg"]
)
def test_each_vendors_files_are_a_sign(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sign: str
) -> None:
    monkeypatch.setattr(device_table, "may_support_accelerators", lambda: True)
    monkeypatch.setattr("sys.platform", "linux")
    assert not has_accelerator_signs(tmp_path)
    (tmp_path / sign).parent.mkdir(parents=True)
    (tmp_path / sign).touch()
    assert has_accelerator_signs(tmp_path)
    monkeypatch.setattr(device_table, "may_support_accelerators", lambda: False)
    assert not has_accelerator_signs(tmp_path)


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        (
            "cuda: Optional[str] = None\nhip: Optional[str] = None\nxpu: Optional[str] = None\n",
            False,
        ),
        ("cuda: Optional[str] = '13.0'\nhip: Optional[str] = None\n", True),
        ("cuda: Optional[str] = None\nhip: Optional[str] = '6.4'\n", True),
        ("cuda = None\nxpu = '20250301'\n", True),
        ("cuda = None\nhip = None\n", False),
        ("__version__ = '3.0'\n", True),
    ],
)
def test_torchs_version_file_says_whether_it_knows_an_accelerator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, expected: bool
) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").touch()
    (tmp_path / "torch" / "version.py").write_text(version)
    spec = type("Spec", (), {"origin": str(tmp_path / "torch" / "__init__.py")})()
    monkeypatch.setattr(device_table, "find_spec", lambda _: spec)
    monkeypatch.setattr("sys.platform", "linux")
    assert device_table.may_support_accelerators() is expected


def test_the_childs_answer_is_a_table() -> None:
    described = json.loads(json.dumps(describe_accelerators()))
    table = table_of(described)
    assert table.torch == described["torch"]
    assert len(table.devices) == len(described["devices"])


def test_a_child_that_fails_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("raise ImportError('no torch')")
    monkeypatch.setattr(device_table, "CHILD", broken)
    device_table.find_devices.cache_clear()
    with pytest.raises(BakeoffError, match=r"listed: ImportError: no torch$"):
        device_table.find_devices()


def test_mig_instances_are_devices_of_their_own() -> None:
    listed = """GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-aaaa)
  MIG 1g.10gb     Device  0: (UUID: MIG-bbbb)
  MIG 3g.40gb     Device  1: (UUID: MIG-cccc)
"""
    name = "NVIDIA H100 80GB HBM3 MIG 1g.10gb"
    visible = {"kind": "cuda", "index": 0, "name": name, "memory_bytes": 1, "uid": "", "driver": ""}
    found = [Device(**one) for one in parse_mig_list(listed, visible)]
    assert [(one.index, one.uid) for one in found] == [(0, "MIG-bbbb"), (1, "MIG-cccc")]
    assert [one.memory_bytes >> 30 for one in found] == [10, 40]
    assert found[1].name == "NVIDIA H100 80GB HBM3 MIG 3g.40gb"


def test_a_worker_sees_only_its_device_by_its_identifier() -> None:
    seen = worker_environment([GPUS[1]], {"CUDA_VISIBLE_DEVICES": "3,5"})
    assert seen == {"CUDA_VISIBLE_DEVICES": "GPU-1", "CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
    assert worker_environment(GPUS[:2], {})["CUDA_VISIBLE_DEVICES"] == "GPU-0,GPU-1"


def test_without_an_identifier_a_device_is_named_by_its_number_on_the_machine() -> None:
    one = Device(kind="cuda", index=1)
    variable = "CUDA_VISIBLE_DEVICES"
    assert worker_environment([one], {})[variable] == "1"
    assert worker_environment([one], {variable: "3, 5"})[variable] == "5"
    rocm = worker_environment([one], {"HIP_VISIBLE_DEVICES": "4,6"})
    assert rocm["HIP_VISIBLE_DEVICES"] == "6"
    assert worker_environment([Device(kind="xpu", index=1)], {}) == {"ZE_AFFINITY_MASK": "1"}
    assert worker_environment([Device(kind="mps")], {}) == {}


def test_a_worker_on_the_cpu_sees_no_gpu() -> None:
    assert worker_environment([CPU], {"CUDA_VISIBLE_DEVICES": "0"}) == {"CUDA_VISIBLE_DEVICES": ""}


def test_models_are_named_once_and_devices_counted() -> None:
    mixed = (*GPUS[:2], Device(kind="cuda", index=2, name="NVIDIA L4"))
    assert describe_models(mixed) == "NVIDIA H200, NVIDIA L4"
    assert describe_devices(mixed) == "2 x NVIDIA H200 (139 GiB, driver 550.54), NVIDIA L4"
    assert describe_models([CPU]) == describe_devices([CPU]) == ""
