"""Which devices of this machine train runs: what `--device` means."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bakeoff.engines.device_table import (
    CPU,
    Device,
    DeviceTable,
    find_devices,
    has_accelerator_signs,
)
from bakeoff.errors import UsageError
from bakeoff.nearest import find_nearest

AUTO = "auto"
KINDS = ("cpu", "cuda", "mps", "xpu")
GIB = 1 << 30
VISIBLE = {"cuda": "CUDA_VISIBLE_DEVICES", "xpu": "ZE_AFFINITY_MASK"}
"""The variable by which a process chooses the accelerators that it sees, by kind."""
HIP_VISIBLE = "HIP_VISIBLE_DEVICES"
"""ROCm reads it before `CUDA_VISIBLE_DEVICES`."""

CUBLAS = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
"""Buffers of a fixed size, without which products on several streams differ from run to run.
Source: cuBLAS, "Results reproducibility"."""


@dataclass(frozen=True, kw_only=True)
class DeviceRequest:
    """What `--device` asks for."""

    kind: str
    """A kind of device, or `auto`."""
    indices: tuple[int, ...] = ()
    """Numbers of devices; empty for all of this kind."""


@dataclass(frozen=True, kw_only=True)
class DeviceChoice:
    """The devices that train."""

    kind: str
    devices: tuple[Device, ...]
    """Empty on a cluster, which chooses them itself."""
    note: str = ""
    """What to tell the user; empty if there is nothing to say."""


def check_devices(choice: DeviceChoice, devices_per_trial: int) -> None:
    """Make sure that a run can be trained by so many devices at once.

    Raises:
        UsageError: There are fewer, or the kind is not for that.
    """
    if devices_per_trial == 1 or choice.kind == CPU.kind:
        return
    key = f"training.devices_per_trial = {devices_per_trial}"
    if choice.kind != "cuda":
        raise UsageError(f"{key}: is for cpu and cuda, not for {choice.kind}")
    if choice.devices and len(choice.devices) < devices_per_trial:
        raise UsageError(f"{key}: here is {_listed(choice.devices)}")


def parse_device(text: str) -> DeviceRequest:
    """What the text of `--device` asks for.

    Raises:
        UsageError: It is not `auto`, `cpu`, `cuda`, `cuda:1`, `cuda:0,2`, `mps` or `xpu`.
    """
    kind, colon, numbers = text.strip().lower().partition(":")
    if kind not in (*KINDS, AUTO):
        near = find_nearest(kind, (*KINDS, AUTO))
        hint = f"; did you mean {near}?" if near else ""
        raise UsageError(
            f"--device {text!r}: allowed are auto, cpu, cuda, cuda:0, cuda:0,2, mps, xpu{hint}"
        )
    if not colon:
        return DeviceRequest(kind=kind)
    parts = [one.strip() for one in numbers.split(",")]
    if kind not in VISIBLE or not all(one.isdecimal() for one in parts):
        example = f"{kind}:0,2" if kind in VISIBLE else kind
        raise UsageError(f"--device {text!r}: write {example}")
    indices = tuple(map(int, parts))
    if len(set(indices)) < len(indices):
        raise UsageError(f"--device {text!r}: names a device twice")
    return DeviceRequest(kind=kind, indices=indices)


def choose_devices(
    text: str,
    begun_on: str = "",
    table: DeviceTable | None = None,
    *,
    most: int | None = None,
) -> DeviceChoice:
    """The devices that `--device` means on this machine.

    `auto` is every accelerator of the first kind that torch sees, else the CPU; for what has begun
    it is the kind that it was begun on. Where nothing says that there is an accelerator, torch is
    not asked.

    Args:
        text: The value of the option.
        begun_on: The kind on which the study or run was begun; empty if it is new.
        table: The accelerators of this machine; None asks torch in a child process.
        most: Number of devices of which there is use; None for all.

    Raises:
        UsageError: The text makes no sense, or the device is not here; the message says what is.
        BakeoffError: As `find_devices`.
    """
    request = parse_device(text)
    is_auto = request.kind == AUTO
    kind = (begun_on or AUTO) if is_auto else request.kind
    if kind == CPU.kind:
        return DeviceChoice(kind=kind, devices=(CPU,))
    if kind == AUTO and table is None and not has_accelerator_signs():
        return DeviceChoice(kind=CPU.kind, devices=(CPU,))
    table = table or find_devices()
    if kind == AUTO:
        kind = table.devices[0].kind if table.devices else CPU.kind
        if kind == CPU.kind:
            return DeviceChoice(kind=kind, devices=(CPU,))
    found = _of_kind(kind, request.indices, table, begun_on if is_auto else "")[:most]
    note = f"training on {describe_devices(found)}" if is_auto else ""
    return DeviceChoice(kind=kind, devices=found, note=note)


def _of_kind(
    kind: str, indices: Sequence[int], table: DeviceTable, begun_on: str
) -> tuple[Device, ...]:
    known = {one.index: one for one in table.devices if one.kind == kind}
    if not known:
        was = f"it was begun on {begun_on!r}, and " if begun_on else ""
        how = "; --device cpu continues it on the CPU, not bit-identical" if begun_on else ""
        raise UsageError(f"--device {kind}: {was}{_why_none(kind, table)}{how}")
    missing = [index for index in indices if index not in known]
    if missing:
        raise UsageError(
            f"--device {kind}:{missing[0]}: there is no such device; here are"
            f" {_listed(table.devices)}"
        )
    return tuple(known[index] for index in indices) if indices else tuple(known.values())


def _why_none(kind: str, table: DeviceTable) -> str:
    """Why there is no device of a kind, and what there is."""
    if table.built_for != kind:
        supports = f"supports {table.built_for}" if table.built_for else "supports the CPU alone"
        why = f"the installed torch ({table.torch}) {supports}"
    else:
        why = table.problem.rstrip(".") or f"torch ({table.torch}) sees none"
    return f"there is none here ({why}); here is {_listed(table.devices) or 'cpu'}"


def _listed(devices: Sequence[Device]) -> str:
    return ", ".join(f"{one.label} ({one.name})" for one in devices)


def describe_devices(devices: Sequence[Device]) -> str:
    """`2 x NVIDIA H200 (139 GiB, driver 550.54)`: models, memory and driver; empty for a CPU."""
    counts: dict[str, int] = {}
    for one in devices:
        if one.kind == CPU.kind:
            continue
        memory = f"{one.memory_bytes / GIB:.0f} GiB" if one.memory_bytes else ""
        driver = f"driver {one.driver}" if one.driver else ""
        facts = ", ".join(filter(None, (memory, driver)))
        text = f"{one.name or one.label} ({facts})" if facts else one.name or one.label
        counts[text] = counts.get(text, 0) + 1
    return ", ".join(f"{num} x {text}" if num > 1 else text for text, num in counts.items())


def describe_models(devices: Sequence[Device]) -> str:
    """The models on which results depend, such as `NVIDIA H200`; empty for a CPU."""
    models = {one.name: None for one in devices if one.kind != CPU.kind and one.name}
    return ", ".join(models)


def worker_environment(
    devices: Sequence[Device], environment: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """The variables with which a process sees only `devices`, before it imports torch.

    A worker on the CPU sees no GPU at all, so that nothing of a run can begin to use one.

    Args:
        devices: Of one kind. Those of a worker are called `cuda:0`, `cuda:1`, ... there.
        environment: The environment of this process, in which devices may be chosen already.
    """
    kind = devices[0].kind
    if kind == CPU.kind:
        return {VISIBLE["cuda"]: ""}
    if kind not in VISIBLE:
        return {}
    name = HIP_VISIBLE if kind == "cuda" and HIP_VISIBLE in environment else VISIBLE[kind]
    chosen = [one.strip() for one in environment.get(name, "").split(",") if one.strip()]
    visible = {name: ",".join(one.uid or _token(one.index, chosen) for one in devices)}
    fixed = {key: environment.get(key, value) for key, value in CUBLAS.items()}
    return {**visible, **fixed} if kind == "cuda" else visible


def _token(index: int, chosen: Sequence[str]) -> str:
    """How the environment names a device without an identifier: by its number on the machine."""
    return chosen[index] if index < len(chosen) else str(index)
