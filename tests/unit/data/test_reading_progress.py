import pytest

from bakeoff.data import reading_progress
from bakeoff.data.reading_progress import showing_progress


def read(total: int) -> None:
    with showing_progress("reading") as advance:
        for done in range(1, total + 1):
            advance(done, total)


def test_quick_reading_shows_no_progress(capsys: pytest.CaptureFixture[str]) -> None:
    read(5)
    assert capsys.readouterr() == ("", "")


def test_slow_reading_shows_its_progress_on_stderr(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading_progress, "DELAY_SECONDS", 0.0)
    read(5)
    output, progress = capsys.readouterr()
    assert output == ""
    assert progress.startswith("reading")
    assert "5/5" in progress
