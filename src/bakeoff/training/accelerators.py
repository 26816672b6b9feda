"""The accelerators that torch sees, as a program of its own.

`python accelerators.py` prints one JSON object. The driver starts it as a child process, so that it
never imports torch itself and keeps no context on a GPU. It therefore imports nothing of bakeoff.
"""

import json
import os
import platform
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

GIB = 1 << 30
CONTEXT_BYTES = 600 << 20
"""Memory of a GPU that a process takes besides its tensors: code and buffers of CUDA, cuBLAS and
cuDNN. It is about 0.5 GB."""
DRIVER_FILE = Path("/proc/driver/nvidia/version")
MIG_LINE = re.compile(r"^\s+MIG (?P<profile>\S+).*\(UUID: (?P<uid>MIG-[^)]+)\)")
MIG_GIGABYTES = re.compile(r"\.(\d+)gb")


def describe_accelerators() -> dict[str, Any]:
    """Every accelerator, as plain values.

    Returns:
        `torch`: its version; `built_for`: the kind of accelerator that it was built for, or "";
        `problem`: why torch cannot use that kind here, or ""; `devices`: for each accelerator its
        `kind`, `index` in torch's order, `name`, `memory_bytes` (0 if unknown), `uid` (empty where
        the driver has none) and `driver`.
    """
    import torch

    if sys.platform == "darwin":
        found, problem = _find_mps(), ""
        built_for = "mps" if torch.backends.mps.is_built() else ""
    elif torch.version.xpu:
        built_for, found, problem = "xpu", _find_xpu(), ""
    else:
        built_for = "cuda" if torch.version.cuda or torch.version.hip else ""
        found, problem = _find_cuda() if built_for else ([], "")
    return {
        "torch": str(torch.__version__),
        "built_for": built_for,
        "problem": problem,
        "devices": found,
    }


def _find_cuda() -> tuple[list[dict[str, Any]], str]:
    """GPUs of CUDA or ROCm, and why there are none."""
    import torch

    try:
        torch.cuda.init()  # type: ignore[no-untyped-call]
    except (RuntimeError, AssertionError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        return [], lines[0].partition(". ")[0]  # what follows is advice with links
    driver = _nvidia_driver() if torch.version.hip is None else f"ROCm {torch.version.hip}"
    devices: list[dict[str, Any]] = []
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        uid = str(getattr(properties, "uuid", ""))
        devices.append(
            {
                "kind": "cuda",
                "index": index,
                "name": properties.name,
                "memory_bytes": properties.total_memory,
                # ROCm does not take the identifier in the variable that its GPUs are chosen by.
                "uid": f"GPU-{uid}" if uid and torch.version.hip is None else "",
                "driver": driver,
            }
        )
    if any(" MIG " in one["name"] for one in devices):
        devices = _mig_instances(devices[0]) or devices
    return devices, "" if devices else "no GPU is visible to torch"


def _nvidia_driver() -> str:
    """Version of NVIDIA's kernel driver, or of the CUDA that it supports."""
    import torch

    with suppress(OSError):
        found = re.search(r"Kernel Module\D*([\d.]+)", DRIVER_FILE.read_text("utf-8"))
        if found:
            return found[1]
    with suppress(AttributeError, RuntimeError):
        version = int(getattr(torch._C, "_cuda_getDriverVersion")())  # noqa: B009, SLF001 - torch has no public one
        return f"CUDA {version // 1000}.{version % 1000 // 10}"
    return ""


def _mig_instances(visible: dict[str, Any]) -> list[dict[str, Any]]:
    """All MIG instances, of which CUDA shows a process only one; empty if they cannot be listed."""
    try:
        listed = subprocess.run(
            ["nvidia-smi", "-L"],  # noqa: S607
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    named = {one.strip() for one in chosen if one.strip().startswith("MIG-")}
    instances = parse_mig_list(listed, visible)
    return [one for one in instances if not named or one["uid"] in named]


def parse_mig_list(listed: str, visible: dict[str, Any]) -> list[dict[str, Any]]:
    """The MIG instances in the output of `nvidia-smi -L`.

    Args:
        listed: The output.
        visible: The instance that torch sees, for what the list lacks.
    """
    name = str(visible["name"]).partition(" MIG ")[0]
    found: list[dict[str, Any]] = []
    for line in filter(None, map(MIG_LINE.match, listed.splitlines())):
        size = MIG_GIGABYTES.search(line["profile"])
        found.append(
            {
                **visible,
                "index": len(found),
                "name": f"{name} MIG {line['profile']}",
                "memory_bytes": int(size[1]) * GIB if size else visible["memory_bytes"],
                "uid": line["uid"],
            }
        )
    return found


def _find_xpu() -> list[dict[str, Any]]:
    import torch

    if not torch.xpu.is_available():
        return []
    properties = [
        torch.xpu.get_device_properties(index) for index in range(torch.xpu.device_count())
    ]
    return [
        {
            "kind": "xpu",
            "index": index,
            "name": one.name,
            "memory_bytes": one.total_memory,
            "uid": "",
            "driver": str(getattr(one, "driver_version", "")),
        }
        for index, one in enumerate(properties)
    ]


def _find_mps() -> list[dict[str, Any]]:
    import torch

    if not torch.backends.mps.is_available():
        return []
    chip = subprocess.run(
        ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    return [
        {
            "kind": "mps",
            "index": 0,
            "name": f"{chip or 'Apple'} GPU",
            "memory_bytes": int(torch.mps.recommended_max_memory()),
            "uid": "",
            "driver": f"macOS {platform.mac_ver()[0]}",
        }
    ]


if __name__ == "__main__":
    sys.stdout.write(json.dumps(describe_accelerators()))
