"""The worker that is started before its engine is opened."""

import pytest

from bakeoff.engines.device_table import CPU
from bakeoff.engines.processes import (
    ended_on_error,
    start_early,
    start_process,
    worker_settings,
)
from bakeoff.errors import UsageError


def test_a_worker_that_was_started_early_ends_where_no_engine_is_opened(
    capfd: pytest.CaptureFixture[str],
) -> None:
    worker = start_process(worker_settings([CPU], threads=1))
    with pytest.raises(UsageError), ended_on_error(worker):
        raise UsageError("--device 'cudda'")
    assert worker.process.exitcode == -9
    assert capfd.readouterr().err == ""
    with ended_on_error(None):
        pass


def test_no_worker_is_started_before_the_study_is_found_or_for_another_machine() -> None:
    assert start_early(None, device="cpu", threads=1) is None
    assert start_early(".", device="cpu", threads=1, engine="ray") is None
