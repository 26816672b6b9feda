"""Runs the guide of a team's storage against a PostgreSQL server, with roles and passwords."""

import gc
import json
import os
import re
import shlex
import subprocess
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import optuna_dashboard
import psycopg
import pytest
import tomli_w

from bakeoff.commands.cli import main
from bakeoff.dashboard.access import Access
from bakeoff.dashboard.artifacts import StudyArtifacts
from bakeoff.dashboard.server import build_app
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


def exit_code_of(words: list[str]) -> object:
    with pytest.raises(SystemExit) as caught:
        main(words)
    return caught.value.code


def do(line: str, host: str, capsys) -> str:
    """Run a command of the guide in this process; return what it printed."""
    words = shlex.split(here(line, host))
    with pytest.MonkeyPatch.context() as patch:
        while "=" in words[0]:
            patch.setenv(*words.pop(0).split("=", 1))
        assert words.pop(0) == "study"
        with warnings.catch_warnings(action="ignore"):
            code = exit_code_of(words)
            gc.collect()  # closes the connections that a process closes when it ends
    printed = capsys.readouterr()
    assert code == 0, printed.err
    assert "secret" not in printed.out + printed.err
    return printed.out


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


@pytest.mark.slow
def test_the_commands_of_the_guide_work_in_their_order(team, host, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "digits.toml").write_text(tomli_w.dumps(SMALL))
    export, make_tables = lines_of("The address and the password")
    assert here(export, host).endswith(f"BAKEOFF_STORAGE={os.environ['BAKEOFF_STORAGE']}")
    assert "studies_owner may read and write" in do(make_tables, host, capsys)
    for line in lines_of("Running studies side by side"):
        assert "report: results/digits" in do(line, host, capsys)
    monkeypatch.setenv("BAKEOFF_STORAGE", address("carla", host))
    printed = {line: do(line, host, capsys) for line in lines_of("Who runs what")}
    assert "carla may read" in printed["study doctor"]
    users = [one["user"] for one in json.loads(printed["study list --json"])]
    assert users[1] == "Anna B."
    assert printed["study list --user anna --state running"] == "no such study\n"
    add, second, revoke, serve = lines_of("One dashboard for everybody")
    assert [len(do(one, host, capsys).strip()) >= 43 for one in (add, second)] == [True, True]
    assert "no longer valid" in do(revoke, host, capsys)
    assert serve.split()[:2] == ["study", "dashboard"]
    [dump] = lines_of("A copy for bad days")
    subprocess.run(["bash", "-c", dump.replace("pg_dump", program("pg_dump", host), 1)], check=True)
    assert (tmp_path / "studies.dump").stat().st_size > 10_000


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


class NoObserver:
    def note(self, *args: object, **kwargs: object) -> None:
        pass

    began = epoch = paused = ended = note


def test_two_people_run_two_studies_at_once_and_not_the_same_one(made, open_as, tmp_path):
    both_hold, results, failures = threading.Barrier(3, timeout=60), {}, []

    def run(person: str) -> None:
        search = {**SMALL["search"], "trials_per_arm": 2}
        config = resolve_study(study_document(study={"name": f"of-{person}"}, search=search))
        try:
            storage = open_as(person, create=True)
            with study_lock(storage, config.name):
                storage.create(config, study_facts())
                storage.claim(config.name)
                with recorded_session(storage, config.name, person):
                    both_hold.wait()
                    both_hold.wait()
                    driver = Driver(
                        config=config, facts=study_facts(), storage=storage,
                        engine=SimulatedEngine(num_workers=2), observer=NoObserver(),
                        stop=StopRequest(), checkpoints=tmp_path / person,
                    )  # fmt: skip
                    driver.drive(Search(config, build_arms(config), "maximize"), "search")
                    storage.mark_finished(config.name)
            results[person] = len(storage.load_runs(config.name, "search"))
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
