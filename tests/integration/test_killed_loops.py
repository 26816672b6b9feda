"""The examples of loops of one's own end with the same bits when they are killed by SIGKILL."""

import json
import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
EXAMPLES = {
    "gan": None,
    "linear": None,
    "lightning_digits": "lightning",
    "transformer": "transformers",
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_killed_loop_ends_with_the_same_bits(name, tmp_path):
    package = EXAMPLES[name]
    if package is not None and find_spec(package) is None:
        pytest.skip(f"needs the package {package} (pip install 'bakeoff[frameworks]')")
    done = subprocess.run(
        [sys.executable, str(TESTS / "killable_loop.py"), name, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["codes"] == [-signal.SIGKILL] * 3
    assert [epoch for epoch, _ in found["calm"]] == [1, 2, 3, 4, "test"]
    assert found["resumed"] == found["calm"]
    assert found["paths"] == []
    assert found["num_values"] > 650  # weights, optimizers and generators
