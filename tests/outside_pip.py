"""What some tests use and pip does not install. A test is skipped, with the reason, without it."""

import shutil
import subprocess
from pathlib import Path

import pytest

from bakeoff.data.dataset_table import DEBIAN_JARGON_FILE, find_fashion_files
from ray_cluster import can_hide

ROOT = Path(__file__).parents[1]


def need_browser() -> str:
    """The path of an installed Chrome or Chromium, which draws images and opens pages."""
    chromium = pytest.importorskip("choreographer.browsers.chromium", reason="needs kaleido")
    path = chromium.Chromium.find_browser(skip_local=False)
    if path is None:
        pytest.skip("needs Chrome or Chromium (apt-get install chromium)")
    return str(path)


def need_fashion() -> None:
    """Skip without the files of Fashion-MNIST; a test downloads nothing."""
    if find_fashion_files() is None:
        pytest.skip("needs Fashion-MNIST (apt-get install dataset-fashion-mnist)")


def need_jargon() -> None:
    """Skip without the text of the Jargon File."""
    if not DEBIAN_JARGON_FILE.is_file():
        pytest.skip("needs the Jargon File (apt-get install jargon-text)")


def need_git() -> None:
    """Skip without git."""
    if shutil.which("git") is None:
        pytest.skip("needs git (apt-get install git)")


def need_own_mounts() -> None:
    """Skip where a process may not mount a folder for itself alone."""
    if not can_hide():
        pytest.skip("needs unshare (util-linux) and the right to mount")


def tracked_files() -> list[str]:
    """Paths of the files that git tracks, relative to the project's folder."""
    need_git()
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip(f"needs a git checkout: {listed.stderr.strip()}")
    return listed.stdout.splitlines()
