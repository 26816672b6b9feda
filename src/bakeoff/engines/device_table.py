"""The accelerators of this machine, found without importing torch in this process."""

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bakeoff.errors import BakeoffError

CHILD = Path(__file__).parents[1] / "training" / "accelerators.py"
CHILD_SECONDS = 120.0
"""A machine whose driver hangs must not hang the study."""
SIGNS = (
    "/dev/nvidia*", "/dev/kfd", "/dev/dri", "/dev/dxg", "/dev/nvhost*", "/dev/nvmap",
    "/proc/driver/nvidia",
)  # fmt: skip
"""What Linux has where there is an accelerator: NVIDIA, AMD, Intel, any of them in WSL, Jetson."""
BUILDS = re.compile(r"^(?:cuda|hip|xpu)\b[^=\n]*= *['\"]", re.MULTILINE)
"""In torch's version file, an accelerator that it was built for."""


@dataclass(frozen=True, kw_only=True)
class Device:
    """What one worker trains on."""

    kind: str
    """`cpu`, `cuda` (ROCm too), `mps` or `xpu`."""
    index: int = 0
    """Its number in `--device cuda:1`, among those that this process may see."""
    name: str = ""
    """The model, such as `NVIDIA H200`."""
    memory_bytes: int = 0
    """0 if it is not known."""
    uid: str = ""
    """By which the environment of a worker names it; without one its number is used."""
    driver: str = ""
    worker_device: str = ""
    """What torch calls it in a worker that sees no other one; empty for the kind itself."""

    @property
    def place(self) -> str:
        """What torch calls it in a worker that sees no other one."""
        return self.worker_device or self.kind

    @property
    def label(self) -> str:
        """`cuda:1`, or `mps`, of which there is one at most."""
        return self.kind if self.kind in ("cpu", "mps") else f"{self.kind}:{self.index}"


CPU = Device(kind="cpu")


@dataclass(frozen=True, kw_only=True)
class DeviceTable:
    """The accelerators of this machine, or why there are none."""

    devices: tuple[Device, ...] = ()
    torch: str = ""
    """Version of torch."""
    built_for: str = ""
    """The kind of accelerator that this torch supports; empty for none."""
    problem: str = ""
    """Why torch cannot use that kind here."""


def has_accelerator_signs(root: Path = Path("/")) -> bool:
    """Whether this machine may have an accelerator that this torch can use.

    It costs microseconds. It may be wrong in that there is none, but does not miss one: outside
    Linux, and where torch's files are not as expected, it is True.
    """
    if not may_support_accelerators():
        return False
    if sys.platform != "linux":
        return True
    return any(any(root.glob(sign.removeprefix("/"))) for sign in SIGNS)


def may_support_accelerators() -> bool:
    """Whether torch's version file names an accelerator, or cannot be read."""
    spec = find_spec("torch")  # finds it without importing it
    if spec is None or spec.origin is None or sys.platform == "darwin":
        return True
    try:
        text = (Path(spec.origin).parent / "version.py").read_text("utf-8")
    except OSError:
        return True
    return BUILDS.search(text) is not None or "cuda" not in text


@lru_cache(maxsize=1)
def find_devices() -> DeviceTable:
    """The accelerators that torch sees, asked of a child process once in the life of this one.

    `CUDA_VISIBLE_DEVICES` and its like are obeyed, because the child inherits them.

    Raises:
        BakeoffError: The child process failed, such as where torch cannot be imported.
    """
    command = [sys.executable, "-P", str(CHILD)]
    try:
        child = subprocess.run(  # noqa: S603
            command, capture_output=True, text=True, timeout=CHILD_SECONDS, check=True
        )
        return table_of(json.loads(child.stdout))
    except subprocess.TimeoutExpired:
        reason = f"no answer in {CHILD_SECONDS:.0f} s"
    except subprocess.CalledProcessError as error:
        reason = (str(error.stderr).strip().splitlines() or [str(error)])[-1]
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = str(error)
    raise BakeoffError(f"the accelerators of this machine cannot be listed: {reason}")


def table_of(described: dict[str, Any]) -> DeviceTable:
    """The table of what `bakeoff.training.accelerators` printed."""
    return DeviceTable(
        devices=tuple(Device(**one) for one in described["devices"]),
        torch=described["torch"],
        built_for=described["built_for"],
        problem=described["problem"],
    )
