"""Fixtures for all tests: no network, one thread, data and results in temporary folders."""

from pathlib import Path

import pytest
from bakeoff.records import StudyConfig
from bakeoff.studyfile import resolve_study
from study_examples import study_document


@pytest.fixture(scope="session", autouse=True)
def _data_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Decoded data goes to a folder that the whole session shares, not to the user's cache."""
    patch = pytest.MonkeyPatch()
    patch.setenv("BAKEOFF_DATA", str(tmp_path_factory.mktemp("data")))


@pytest.fixture
def config() -> StudyConfig:
    """A small study of two optimizers and two schedules."""
    return resolve_study(study_document())


@pytest.fixture
def storage_url(tmp_path: Path) -> str:
    """A SQLite storage that does not exist yet."""
    return f"sqlite:///{tmp_path / 'studies.db'}"
