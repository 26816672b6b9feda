"""Runs the guide of a team's storage against a PostgreSQL server, with roles and passwords."""

import json
import os
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import optuna_dashboard
import psycopg
import pytest
import tomli_w

from bakeoff.dashboard.access import Access
from bakeoff.dashboard.artifacts import StudyArtifacts
from bakeoff.dashboard.server import build_app
from bakeoff.dashboard.tokens import read_people
from bakeoff.driver import Driver, StopRequest
from bakeoff.errors import StorageError, StudyLockedError
from bakeoff.search.arms import Search
from bakeoff.session.recording import recorded_session
from bakeoff.space import build_arms
from bakeoff.storage import Storage
from bakeoff.storage.database import check_may_create, parse_storage_url
from bakeoff.storage.lock import study_lock
from bakeoff.storage.overview import read_overview
from bakeoff.studyfile import resolve_study
from study_examples import SimulatedEngine, study_document, study_facts

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "src" / "bakeoff" / "docs" / "guides" / "a-team.md").read_text()
PEOPLE = ("studies_owner", "anna", "ben", "carla")
ROLES = (*PEOPLE, "studies_writers", "studies_readers")
SMALL = study_document(
    study={"name": "digits", "question": ""},
    data={"dataset": "digits"},
    search={"optimizers": ["sgd"], "schedulers": ["constant"], "trials_per_arm": 1},
    training={"epochs": 1, "precision": "fp32", "batch_size": 256},
    confirm={"seeds": 1, "shortlist": 1, "shortlist_seeds": 1},
)


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)


def lines_of(section: str) -> list[str]:
    """The commands of a section of the guide."""
    text = GUIDE.split(f"\n## {section}\n")[1].split("\n## ")[0]
    return [
        line
        for one in re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
        for line in one.split("\n")
        if line
    ]


@pytest.fixture(scope="module")
def host(postgres_url: str) -> str:
    """The folder of the server's socket."""
    return parse_qs(urlsplit(postgres_url).query)["host"][0]


def program(name: str, host: str) -> str:
    """A program of the server's own release."""
    server = (Path(host) / "postmaster.opts").read_text().split()[0]
    return str(Path(server).with_name(name))


@pytest.fixture(scope="module")
def team(postgres_url: str, host: str, tmp_path_factory) -> Iterator[Path]:
    """The database of the guide, with passwords that the server asks for; gives the home folder."""
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        rules = Path(admin.execute("SHOW hba_file").fetchone()[0])
        before = rules.read_text()
        rules.write_text(f"local studies all scram-sha-256\n{before}")
        admin.execute("ALTER ROLE postgres PASSWORD 'of the administrator'")
        admin.execute("SELECT pg_reload_conf()")
        home = tmp_path_factory.mktemp("home")
        lines = [f"{host}:5432:studies:{name}:{name} secret" for name in PEOPLE]
        (home / ".pgpass").write_text(
            "\n".join([*lines, f"{host}:5432:*:postgres:of the administrator", ""])
        )
        (home / ".pgpass").chmod(0o600)
        for block in blocks("sql"):
            sql = re.sub(
                r"^\\password (\w+)$",
                r"ALTER ROLE \1 PASSWORD '\1 secret';",
                block,
                flags=re.MULTILINE,
            )
            subprocess.run(
                [program("psql", host), "-v", "ON_ERROR_STOP=1", "-q", postgres_url],
                input=sql, text=True, check=True, capture_output=True,
                env={**os.environ, "PGPASSFILE": str(home / ".pgpass")},
            )  # fmt: skip
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PGPASSFILE", str(home / ".pgpass"))
            patch.setenv("BAKEOFF_STORAGE", address("anna", host))
            yield home
        rules.write_text(before)
        admin.execute("SELECT pg_reload_conf()")
        admin.execute("DROP DATABASE studies WITH (FORCE)")
        for role in ROLES:
            admin.execute(f"DROP ROLE {role}")


def address(person: str, host: str) -> str:
    return f"postgresql://{person}@/studies?host={host}"


def here(line: str, host: str) -> str:
    """A command of the guide with the address of the test's server."""
    return re.sub(r"(postgresql://\w+)@db\.example\.org/studies", rf"\1@/studies?host={host}", line)


@pytest.fixture
def shell(host: str, tmp_path: Path):
    """Runs a command of the guide in bash, where `study` is this checkout's; returns its output."""
    programs = tmp_path / "programs"
    programs.mkdir()
    study = programs / "study"
    study.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m bakeoff "$@"\n')
    study.chmod(0o755)
    (programs / "pg_dump").symlink_to(program("pg_dump", host))

    def run(line: str, person: str = "anna") -> str:
        ran = subprocess.run(
            ["bash", "-c", here(line, host)],
            cwd=tmp_path, capture_output=True, text=True, check=False,
            env={
                **os.environ, "PATH": f"{programs}:{os.environ['PATH']}",
                "BAKEOFF_STORAGE": address(person, host),
            },
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr
        assert "secret" not in ran.stdout + ran.stderr
        return ran.stdout

    return run


@pytest.fixture
def open_as(host: str):
    """Opens the storage as a person, and closes it when the test ends."""
    opened: list[Storage] = []

    def open_storage(person: str, *, create: bool = False) -> Storage:
        opened.append(Storage(address(person, host), create=create))
        return opened[-1]

    yield open_storage
    for one in opened:
        one.optuna_storage.engine.dispose()


@pytest.fixture(scope="module")
def made(team: Path, host: str) -> Path:
    """The database with the tables that its owner made."""
    Storage(address("studies_owner", host), create=True).optuna_storage.engine.dispose()
    return team


def test_a_writer_without_tables_is_told_who_makes_them(team, host):
    with pytest.raises(StorageError, match=r"'anna' may not make them; .* --make-tables"):
        check_may_create(parse_storage_url(address("anna", host)))


class NoObserver:
    def note(self, *args: object, **kwargs: object) -> None:
        pass

    began = epoch = paused = ended = note


def drive_as(
    person: str, storage: Storage, name: str, folder: Path, meanwhile: Callable[[], object]
) -> int:
    """Drive a study of a few simulated trials as a person; return the number of its trials.

    Args:
        person: Who drives it.
        storage: Opened as this person.
        name: Name of the study.
        folder: For its results.
        meanwhile: Called while the driver holds the study.
    """
    search = {**SMALL["search"], "trials_per_arm": 2}
    config = resolve_study(study_document(study={"name": name}, search=search))
    with study_lock(storage, name):
        storage.create(config, study_facts())
        storage.claim(name)
        with recorded_session(storage, name, person):
            meanwhile()
            driver = Driver(
                config=config, facts=study_facts(), storage=storage,
                engine=SimulatedEngine(num_workers=2), observer=NoObserver(),
                stop=StopRequest(), checkpoints=folder / name,
            )  # fmt: skip
            driver.drive(Search(config, build_arms(config), "maximize"), "search")
            storage.mark_finished(name)
    return len(storage.load_runs(name, "search"))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_owner_makes_the_tables_and_a_writer_runs_studies(team, host, shell, tmp_path):
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "digits.toml").write_text(tomli_w.dumps(SMALL))
    export, make_tables = lines_of("The address and the password")
    assert shell(f'{export}; echo "$BAKEOFF_STORAGE"').strip() == address("anna", host)
    assert "studies_owner may read and write" in shell(make_tables)
    for line in lines_of("Running studies side by side"):
        assert "report: results/digits" in shell(line)
    listed = json.loads(shell("study list --json --user 'Anna B.'", "carla"))
    assert [(one["study"], one["state"]) for one in listed] == [("digits-again", "finished")]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_reader_calls_every_command_of_the_guide(made, open_as, shell, tmp_path):
    drive_as("anna", open_as("anna", create=True), "shown", tmp_path, lambda: None)
    lines = [line.replace("digits", "shown") for line in lines_of("Who runs what")]
    printed = {line: shell(line, "carla") for line in lines}
    assert "carla may read" in printed["study doctor"]
    assert "shown" in [one["study"] for one in json.loads(printed["study list --json"])]
    assert printed["study list --user anna --state running"] == "no such study\n"
    assert (tmp_path / "results" / "shown" / "index.html").exists()
    [dump] = lines_of("A copy for bad days")
    shell(dump, "carla")
    assert (tmp_path / "studies.dump").stat().st_size > 10_000


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_tokens_of_the_guide_are_made_and_revoked(team, shell, tmp_path):
    add, second, revoke, serve = lines_of("One dashboard for everybody")
    assert [len(shell(one).strip()) for one in (add, second)] == [43, 43]
    assert "no longer valid" in shell(revoke)
    assert list(read_people(tmp_path / "people.json")) == ["anna"]
    assert shlex.split(serve)[:2] == ["study", "dashboard"]


def test_a_reader_reads_everything_and_changes_nothing(made, open_as, tmp_path):
    name = "readable"
    writer = open_as("anna", create=True)
    config = resolve_study(study_document(study={"name": name}))
    writer.create(config, study_facts())
    reader = open_as("carla")
    assert name in [one.name for one in read_overview(reader).studies]
    assert reader.load_record(name).name == name
    served = optuna_dashboard.wsgi(reader.optuna_storage, artifact_store=StudyArtifacts(tmp_path))
    app = build_app(served, tmp_path, Access())
    answered: list[str] = []
    asked = {"REQUEST_METHOD": "GET", "PATH_INFO": "/api/studies", "HTTP_HOST": "localhost:80"}
    body = b"".join(app(asked | WSGI, lambda status, *_: answered.append(status)))
    assert answered == ["200 OK"]
    assert name in body.decode()
    with pytest.raises(StorageError, match="'carla' may read studies and not change them"):
        open_as("carla", create=True)
    with pytest.raises(StorageError, match="permission denied"):
        reader.delete(name)


WSGI = {
    "wsgi.url_scheme": "http",
    "SERVER_NAME": "localhost",
    "SERVER_PORT": "80",
    "QUERY_STRING": "",
}


def test_a_writer_makes_no_tables_and_a_wrong_password_is_one_line(
    made, host, open_as, monkeypatch, tmp_path
):
    with (
        psycopg.connect(address("ben", host)) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("CREATE TABLE own (number int)")
    wrong = tmp_path / "pgpass"
    wrong.write_text(f"{host}:5432:studies:ben:not the secret\n")
    wrong.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(wrong))
    with pytest.raises(StorageError, match="password authentication failed") as caught:
        open_as("ben")
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_two_people_run_two_studies_at_once_and_not_the_same_one(made, open_as, tmp_path):
    both_hold, results, failures = threading.Barrier(3, timeout=60), {}, []

    def meet() -> None:
        both_hold.wait()
        both_hold.wait()

    def run(person: str) -> None:
        try:
            storage = open_as(person, create=True)
            results[person] = drive_as(person, storage, f"of-{person}", tmp_path, meet)
        except BaseException as error:  # noqa: BLE001 - told to the test
            failures.append(error)
            both_hold.abort()

    threads = [threading.Thread(target=run, args=(one,)) for one in ("anna", "ben")]
    for thread in threads:
        thread.start()
    both_hold.wait()
    reader = open_as("carla")
    found = {one.name: one for one in read_overview(reader).studies}
    running = {name: found[name].state for name in ("of-anna", "of-ben")}
    third = open_as("ben", create=True)
    with (
        pytest.raises(StudyLockedError, match=f"process {os.getpid()}"),
        study_lock(third, "of-anna"),
    ):
        pass
    both_hold.wait()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert running == {"of-anna": "running", "of-ben": "running"}
    assert results["anna"] == results["ben"] > 0
    ended = {one.name: one for one in read_overview(reader).studies}
    assert ended["of-ben"].state == "finished"
    assert ended["of-ben"].sessions.first.user == "ben"
