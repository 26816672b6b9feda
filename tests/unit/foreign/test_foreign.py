"""Databases written by plain Optuna scripts, read and reported without changing a byte."""

import csv
import datetime as dt
import math
import random
import shutil
import sqlite3
import warnings
from collections import Counter
from contextlib import closing
from pathlib import Path

import optuna
import pytest
import sqlalchemy
from optuna.storages import JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import create_trial

import bakeoff
from bakeoff.analysis.comparison import compare
from bakeoff.analysis.statistics import wilson_interval
from bakeoff.commands.cli import main
from bakeoff.commands.verbs.report import folder_name
from bakeoff.errors import StorageError, UsageError
from bakeoff.foreign import ForeignStudy, load_foreign_study
from bakeoff.foreign.opening import close_storage, open_storage
from bakeoff.ranges import FloatRange
from bakeoff.records import Comparison, StudyRecord

HERE = Path(__file__).parent
ARMS = ["sgd", "adam", "rmsprop", "adagrad"]
BEST_RATE = {"sgd": -1.0, "adam": -3.0, "rmsprop": -3.2, "adagrad": -1.7}


def training(trial: optuna.Trial) -> float:
    """Five epochs whose score depends on the learning rate; too high a rate diverges."""
    optimizer = trial.suggest_categorical("optimizer", ARMS)
    rate = trial.suggest_float("lr", 1e-5, 1.0, log=True)
    trial.suggest_float("weight_decay", 1e-6, 1e-2, log=True)
    noise = random.Random(trial.number).gauss(0, 0.004)
    final = 0.92 - 0.05 * (math.log10(rate) - BEST_RATE[optimizer]) ** 2 + noise
    value = math.nan
    for step in range(5):
        value = math.nan if optimizer == "adam" and rate > 0.3 else final * (1 - 0.4 ** (step + 1))
        trial.report(value, step)
        if trial.should_prune():
            raise optuna.TrialPruned
    return value


def accuracy_and_size(trial: optuna.Trial) -> tuple[float, float]:
    width = trial.suggest_int("width", 8, 256, log=True)
    gain = 0.02 if trial.suggest_categorical("optimizer", ARMS[:2]) == "adam" else 0.0
    return 0.8 + gain + 0.01 * math.log(width), 0.1 * width


def write_study(url: str, name: str, objective, num_trials: int, **settings) -> None:
    """What the objective's owner would have done, with one write at the end to be quick."""
    study = optuna.create_study(study_name=name, **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna's pruner takes a maximum over values of NaN
        study.optimize(objective, n_trials=num_trials)
    target = RDBStorage(url)
    optuna.copy_study(
        from_study_name=name,
        from_storage=study._storage,  # noqa: SLF001 - copying has no other way to name it
        to_storage=target,
    )
    close_storage(target)


@pytest.fixture(name="database", scope="module")
def _database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file with a pruned shared TPE search, a random search and a search of two objectives."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    file = tmp_path_factory.mktemp("theirs") / "theirs.db"
    url, samplers = f"sqlite:///{file}", optuna.samplers
    write_study(
        url, "shared-tpe", training, 80, direction="maximize", sampler=samplers.TPESampler(seed=1),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=0),
    )  # fmt: skip
    write_study(
        url, "random", training, 100, direction="maximize", pruner=optuna.pruners.NopPruner(),
        sampler=samplers.RandomSampler(seed=1),
    )  # fmt: skip
    write_study(
        url, "two", accuracy_and_size, 40, directions=["maximize", "minimize"],
        sampler=samplers.NSGAIISampler(seed=1),
    )  # fmt: skip
    return file


def load(file: Path, name: str | None, **settings) -> StudyRecord:
    wanted = ForeignStudy(location=str(file), name=name, arms=("optimizer",), **settings)
    return load_foreign_study(wanted)


def flags_of(comparison: Comparison) -> set[str]:
    return {flag.id for flag in comparison.flags}


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("trial_params SET distribution_json = 'x'", "cannot be read by Optuna"),
        ("trial_params SET distribution_json = '[]'", "cannot be read by Optuna"),
        ("trial_params SET param_value = 9e999", "cannot be read by Optuna"),
        ("study_system_attributes SET value_json = '{'", "cannot be read by Optuna"),
        ("trials SET state = 'x'", "cannot be read by Optuna"),
        (
            "trial_intermediate_values SET intermediate_value = 'x' WHERE intermediate_value_type = 'FINITE'",
            "'x' is stored where a number",
        ),
        ("trials SET number = 'x'", "'x' is stored where a number"),
    ],
)
def test_a_damaged_row_of_another_program_is_one_line(
    database: Path, tmp_path: Path, assignment: str, message: str
):
    file = Path(shutil.copy(database, tmp_path / "theirs.db"))
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("INSERT INTO study_system_attributes VALUES (99, 1, 'key', '{}')")
        connection.execute(f"UPDATE {assignment}")
        connection.commit()
    with pytest.raises(StorageError, match=message) as caught:
        load(file, "shared-tpe")
    assert "\n" not in str(caught.value)


# ---------------------------------------------------------------- the three studies


def test_a_shared_tpe_search_with_a_median_pruner_gets_no_verdict_and_flags(database: Path):
    record = load(database, "shared-tpe")
    found = compare(record)
    assert found.level == "L0"
    assert found.verdict.leading == ()
    assert found.verdict.headline == "No verdict: one sampler proposed the trials of all arms."
    assert {"W01", "W02", "W03", "W05"} <= flags_of(found)
    counts = {arm.arm: arm.num_trials for arm in found.arms}
    (shared,) = [flag for flag in found.flags if flag.id == "W01"]
    assert all(f"{arm} {count}" in shared.detail for arm, count in counts.items())
    assert sum(counts.values()) == 80
    assert all(trial.phase == "model" for trial in record.trials if trial.number >= 10)


def test_a_random_search_supports_curves_but_no_verdict(database: Path):
    record = load(database, "random", sampler="random")
    found = compare(record)
    assert record.sampler == "random"
    assert found.level == "L0"
    assert not {"W01", "W02"} & flags_of(found)
    assert found.verdict.headline.startswith("No verdict yet: no configuration")
    assert any(row.quantity == "probability_better" and row.estimate for row in found.budget)
    assert [arm.name for arm in record.arms] == ARMS


def test_a_sampler_without_traces_is_unknown(database: Path):
    record = load(database, "random")
    assert (record.sampler, record.shared_sampler) == ("unknown", True)
    assert {trial.phase for trial in record.trials} == {"model"}
    assert "declare it with `--sampler`" in " ".join(record.caveats)


def test_a_search_of_two_objectives_is_reported_for_one_of_them_with_a_caveat(database: Path):
    record = load(database, "two")
    assert record.objective.name == "value 0"
    assert "has 2 objectives, and this report analyzes only value 0" in " ".join(record.caveats)
    assert compare(record).verdict.headline.startswith("No verdict")
    other = load(database, "two", metric_name="value 1")
    assert other.objective.direction == "minimize"
    assert other.trials[0].score == pytest.approx(0.1 * record.trials[0].params["width"])


def test_divergence_is_detected_from_reports(database: Path):
    record = load(database, "random")
    diverged = [trial for trial in record.trials if trial.outcome == "diverged"]
    assert diverged
    assert all(
        (trial.arm, trial.score) == ("adam", None) and trial.params["lr"] > 0.3
        for trial in diverged
    )
    assert not any(trial.outcome == "failed" for trial in record.trials)


def test_a_pruned_trial_has_the_score_of_its_best_report(database: Path):
    pruned = [one for one in load(database, "shared-tpe").trials if one.outcome == "pruned"]
    assert pruned
    assert all(trial.score == max(trial.values("value")) for trial in pruned)


@pytest.mark.parametrize("name", ["shared-tpe", "random", "two"])
def test_the_command_writes_a_report_and_leaves_the_database_alone(
    name: str, database: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    before = database.read_bytes(), database.stat().st_mtime_ns
    arguments = ["--storage", f"sqlite:///{database}", "--study", name, "--arm", "optimizer"]
    with pytest.raises(SystemExit) as ended:
        main(["report", *arguments, "-o", str(tmp_path)])
    assert ended.value.code == 0
    assert (database.read_bytes(), database.stat().st_mtime_ns) == before
    assert [path.name for path in database.parent.iterdir()] == [database.name]
    text = (tmp_path / name / "report.md").read_text()
    assert "L0" in text
    assert " is better than " not in text
    assert "No verdict" in capsys.readouterr().out


# ---------------------------------------------------------------- kinds of storage


def test_a_schema_of_optuna_3_is_read_from_a_migrated_copy(tmp_path: Path):
    file = tmp_path / "old.db"
    with sqlite3.connect(file) as connection:
        connection.executescript((HERE / "optuna_3_0.sql").read_text())
    connection.close()
    with pytest.raises(RuntimeError, match="no longer compatible"):
        RDBStorage(f"sqlite:///{file}")
    before = file.read_bytes()
    record = load(file, "old")
    assert Counter(trial.arm for trial in record.trials).total() == 8
    assert record.epochs == 2
    assert file.read_bytes() == before


@pytest.mark.parametrize("start", ["", "journal:///"])
def test_a_journal_of_optuna_4_is_read(start: str, tmp_path: Path):
    file = tmp_path / "old.log"
    file.write_bytes((HERE / "optuna_4_0.log").read_bytes() + b'{"op_code": 4, "half a li')
    record = load_foreign_study(ForeignStudy(location=f"{start}{file}", arms=("optimizer",)))
    old = sqlite_twin(tmp_path)
    assert [t.params for t in record.trials] == [t.params for t in load(old, "old").trials]
    assert [path.name for path in tmp_path.iterdir() if "log" in path.name] == [file.name]


def sqlite_twin(folder: Path) -> Path:
    """The same study, as Optuna 3.0 stored it."""
    file = folder / "twin.db"
    with sqlite3.connect(file) as connection:
        connection.executescript((HERE / "optuna_3_0.sql").read_text())
    connection.close()
    return file


def test_trials_in_the_write_ahead_log_are_read(tmp_path: Path):
    file = tmp_path / "wal.db"
    storage = RDBStorage(f"sqlite:///{file}")
    writer = sqlite3.connect(file)
    writer.execute("PRAGMA journal_mode=WAL")
    study = optuna.create_study(study_name="live", storage=storage)
    study.add_trial(one_trial("adam", 0.5))
    wal = file.with_name("wal.db-wal")
    assert wal.stat().st_size > 0
    before = file.read_bytes(), wal.read_bytes()
    assert len(load(file, "live").trials) == 1
    assert (file.read_bytes(), wal.read_bytes()) == before
    writer.close()


@pytest.fixture(name="server", scope="module")
def _server(postgres_url: str) -> str:
    """A PostgreSQL database with a random search of 24 trials."""
    url = postgres_url.replace("postgresql:", "postgresql+psycopg:")
    write_study(
        url, "theirs", training, 24, direction="maximize", pruner=optuna.pruners.NopPruner(),
        sampler=optuna.samplers.RandomSampler(seed=1),
    )  # fmt: skip
    return url


def rows_with_their_writers(url: str) -> dict[str, list[tuple]]:
    """Every row of every table with the number of the transaction that wrote it."""
    engine = sqlalchemy.create_engine(url)
    with engine.connect() as connection:
        found = {
            table: [
                tuple(map(str, row))
                for row in connection.exec_driver_sql(f'SELECT xmin, * FROM "{table}"')  # noqa: S608
            ]
            for table in sqlalchemy.inspect(engine).get_table_names()
        }
    engine.dispose()
    return found


def test_reading_from_a_postgresql_server_changes_nothing_in_it(server: str):
    before = rows_with_their_writers(server)
    record = load_foreign_study(ForeignStudy(location=server, arms=("optimizer",)))
    assert Counter(trial.arm for trial in record.trials).total() == 24
    assert compare(record).level == "L0"
    assert rows_with_their_writers(server) == before
    assert len(before["trials"]) == 24


def test_a_postgresql_server_refuses_every_change(server: str):
    storage, _ = open_storage(server, Path())
    with pytest.raises(optuna.exceptions.StorageInternalError) as refused:
        storage.create_new_study([optuna.study.StudyDirection.MAXIMIZE], "ours")
    assert "read-only transaction" in str(refused.value.__cause__)
    assert [study.study_name for study in storage.get_all_studies()] == ["theirs"]
    close_storage(storage)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read"),
        (b"", "unknown study 'any'; allowed: none"),
        (b"hello\n", "neither a SQLite file nor an Optuna journal"),
        (b"[1, 2]\n", "neither a SQLite file nor an Optuna journal"),
        (b"hello\nworld\n", "neither a SQLite file nor an Optuna journal"),
        (b"SQLite format 3\x00" + b"\x00" * 200, "cannot be read"),
    ],
    ids=["missing", "empty", "word", "list", "text", "broken"],
)
def test_a_file_that_is_not_a_storage_is_refused(
    content: bytes | None, message: str, tmp_path: Path
):
    file = tmp_path / "x"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises((StorageError, UsageError), match=message):
        load(file, "any")


def test_a_database_of_another_kind_is_refused(tmp_path: Path):
    with sqlite3.connect(tmp_path / "x.db") as connection:
        connection.execute("CREATE TABLE things (x)")
    connection.close()
    with pytest.raises(StorageError, match="holds no Optuna studies"):
        load(tmp_path / "x.db", "any")


# ---------------------------------------------------------------- what a study may hold


def one_trial(optimizer: str | None, value: float | None, **settings) -> optuna.trial.FrozenTrial:
    choices = optuna.distributions.CategoricalDistribution(["adam", "sgd", None])
    state = settings.pop("state", optuna.trial.TrialState.COMPLETE)
    return create_trial(
        params={"optimizer": optimizer}, distributions={"optimizer": choices}, value=value,
        state=state, **settings,
    )  # fmt: skip


@pytest.fixture(name="study")
def _study(tmp_path: Path) -> optuna.Study:
    return optuna.create_study(
        study_name="s", storage=JournalStorage(JournalFileBackend(str(tmp_path / "s.log")))
    )


def stored(tmp_path: Path, **settings) -> StudyRecord:
    return load(tmp_path / "s.log", "s", **settings)


def test_a_study_without_trials_has_nothing_to_compare(study: optuna.Study, tmp_path: Path):
    with pytest.raises(UsageError, match="unknown parameter 'optimizer'"):
        stored(tmp_path)


def test_outcomes_are_distinguished(study: optuna.Study, tmp_path: Path):
    states = optuna.trial.TrialState
    study.add_trials(
        [
            one_trial("adam", 0.5),
            one_trial("adam", math.inf),
            one_trial("sgd", None, state=states.FAIL),
            one_trial("sgd", None, state=states.FAIL, intermediate_values={0: math.nan}),
            one_trial("sgd", 0.7, state=states.PRUNED, intermediate_values={0: 0.6, 1: 0.7}),
            one_trial("sgd", 0.4, system_attrs={"constraints": [0.1]}),
            one_trial("sgd", 0.4, system_attrs={"fixed_params": {"optimizer": "sgd"}}),
        ]
    )
    study.enqueue_trial({"optimizer": "adam"})
    record = stored(tmp_path)
    assert [trial.outcome for trial in record.trials] == [
        "complete", "diverged", "failed", "diverged", "pruned", "infeasible", "complete"
    ]  # fmt: skip
    assert record.trials[4].score == 0.6  # the best, since it is minimised
    assert record.trials[6].phase == "user"
    assert any("1 trial failed" in caveat for caveat in record.caveats)


def test_an_arm_may_be_a_user_attribute_or_several_parameters(study: optuna.Study, tmp_path: Path):
    study.add_trial(one_trial("adam", 0.5, user_attrs={"machine": "a"}))
    study.add_trial(one_trial("sgd", 0.5))
    wanted = ForeignStudy(location=str(tmp_path / "s.log"), arms=("optimizer", "machine"))
    record = load_foreign_study(wanted)
    assert [arm.name for arm in record.arms] == ["adam+a"]
    assert any("1 trials have no arm" in caveat for caveat in record.caveats)


def test_a_choice_of_none_becomes_text(study: optuna.Study, tmp_path: Path):
    study.add_trial(one_trial(None, 0.5))
    assert stored(tmp_path).arms[0].name == "None"
    assert stored(tmp_path).trials[0].params == {"optimizer": "None"}


def test_a_parameter_with_many_values_is_refused_as_an_arm(study: optuna.Study, tmp_path: Path):
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=30)
    with pytest.raises(UsageError, match="x has 30 values"):
        load_foreign_study(ForeignStudy(location=str(tmp_path / "s.log"), arms=("x",)))


def test_reports_of_another_quantity_are_not_used_as_the_objective(
    study: optuna.Study, tmp_path: Path
):
    study.add_trial(one_trial("adam", 0.5, intermediate_values={1: 7.0, 2: 9.0}))
    study.add_trial(
        one_trial("adam", 9.0, state=optuna.trial.TrialState.PRUNED, intermediate_values={1: 9.0})
    )
    record = stored(tmp_path)
    assert record.trials[0].values("value") != (7.0, 9.0)
    assert record.trials[1].score is None


@pytest.mark.parametrize(
    ("reports", "rule"), [((3.0, 1.0, 2.0), "last_epoch"), ((3.0, 2.0, 4.0), "best_epoch")]
)
def test_the_score_rule_follows_from_the_reports(
    reports: tuple[float, ...], rule: str, study: optuna.Study, tmp_path: Path
):
    study.add_trial(one_trial("adam", 2.0, intermediate_values=dict(enumerate(reports))))
    record = stored(tmp_path)
    assert record.score_rule == rule
    assert record.epochs == 3


def test_a_registered_metric_has_its_bounds_if_the_values_are_within_them(tmp_path: Path):
    study = optuna.create_study(
        study_name="s", direction="maximize",
        storage=JournalStorage(JournalFileBackend(str(tmp_path / "s.log"))),
    )  # fmt: skip
    study.add_trial(one_trial("adam", 0.9))
    assert stored(tmp_path, metric_name="accuracy").objective.high == 1.0
    study.add_trial(one_trial("adam", 91.0))
    assert stored(tmp_path, metric_name="accuracy").objective.high == math.inf


def test_a_declared_sampler_is_used(database: Path):
    record = load(database, "shared-tpe", sampler="tpe")
    assert {trial.phase for trial in record.trials[:10]} == {"random"}
    assert load(database, "random", sampler="tpe").shared_sampler
    assert not load(database, "shared-tpe", sampler="random").shared_sampler


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--arm", "optimizer"], "--storage: say where"),
        (["--study", "random"], "--arm: name the parameter to compare; choices of this study"),
        (["--study", "randm", "--arm", "optimizer"], "did you mean 'random'"),
        (["--arm", "optimizer"], "name one"),
        (["--study", "random", "--arm", "optimiser"], "did you mean 'optimizer'"),
        (["--study", "two", "--arm", "optimizer", "--metric-name", "x"], "allowed: value 0"),
        (["digits", "--arm", "optimizer"], "names a study of bakeoff"),
        (["--study", "random", "--arm", "optimizer", "--direction", "minimize"], "only with --csv"),
        (["--csv", "runs.csv", "--study", "random"], "--csv names a file of runs"),
    ],
)
def test_wrong_flags_end_in_one_line(
    arguments: list[str], message: str, database: Path, capsys: pytest.CaptureFixture[str]
):
    where = [] if message.startswith("--storage") else ["--storage", f"sqlite:///{database}"]
    with pytest.raises(SystemExit) as ended:
        main(["report", *where, *arguments])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("study", "folder"),
    [("digits", "digits"), ("../../etc/x", "etc-x"), ("..", "study"), ("ä b", "b")],
)
def test_every_study_name_gives_a_safe_folder_name(study: str, folder: str):
    assert folder_name(study) == folder


def test_the_notebook_opens_a_study_of_another_program(database: Path):
    found = bakeoff.load_optuna_study(
        f"sqlite:///{database}", "random", arm="optimizer", sampler="random"
    )
    assert found.comparison.level == "L0"
    assert "F6" in found.figures
    assert len(found.to_frame()) == 100


# ---------------------------------------------------------------- no false numbers


def page_of(tmp_path: Path, *options: str, name: str = "s", arm: str = "optimizer") -> str:
    """Standard output and the Markdown report of the study in `s.log`."""
    storage = ["--storage", f"journal:///{tmp_path / 's.log'}", "--study", name, "--arm", arm]
    with pytest.raises(SystemExit) as ended:
        main(["report", *storage, *options, "-o", str(tmp_path / "out")])
    assert ended.value.code == 0
    (page,) = (tmp_path / "out").glob("*/report.md")
    return page.read_text()


PRUNED = optuna.trial.TrialState.PRUNED


def test_a_random_search_whose_trials_were_all_pruned_in_one_arm_expects_nothing_of_it(
    study: optuna.Study, tmp_path: Path
):
    for number in range(60):
        if number % 2:
            study.add_trial(one_trial("sgd", 0.05, intermediate_values={0: 0.5, 1: 0.05}))
        else:
            reports = {0: 0.9 - number / 1000}
            study.add_trial(one_trial("adam", None, state=PRUNED, intermediate_values=reports))
    found = compare(stored(tmp_path, sampler="random"))
    of_adam = [row for row in found.budget if "adam" in {row.arm, row.other}]
    assert of_adam
    assert all(row.estimate is None for row in of_adam)
    assert all(math.isnan(end) for row in of_adam for end in row.ci)
    known = [row for row in found.budget if (row.arm, row.other) == ("sgd", "")]
    assert [row.estimate for row in known] == pytest.approx([0.05] * len(known))


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_better_values_of_pruned_trials_are_named_beside_the_best_complete_one(
    direction: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    study = optuna.create_study(
        study_name="s", direction=direction,
        storage=JournalStorage(JournalFileBackend(str(tmp_path / "s.log"))),
    )  # fmt: skip
    best = 0.913 if direction == "maximize" else 0.1
    study.add_trial(one_trial("adam", 0.6593, intermediate_values={0: 0.7, 1: 0.6593}))
    study.add_trial(one_trial("sgd", 0.5, intermediate_values={0: 0.7, 1: 0.5}))
    study.add_trial(
        one_trial("adam", None, state=PRUNED, intermediate_values={0: 0.66, 1: best, 2: 0.655})
    )
    page = page_of(tmp_path)
    sentence = f"{best} for adam (trial 2, pruned after epoch 3)"
    assert sentence in page.replace("\\", "")
    assert sentence in capsys.readouterr().out


def test_nothing_is_said_of_epochs_and_seconds_that_were_not_stored(tmp_path: Path):
    """Trials of two objectives cannot report, and trials that were only added took no time."""
    study = optuna.create_study(
        study_name="s", directions=["maximize", "minimize"],
        storage=JournalStorage(JournalFileBackend(str(tmp_path / "s.log"))),
    )  # fmt: skip
    choices = optuna.distributions.CategoricalDistribution(["adam", "sgd"])
    now = dt.datetime(2026, 1, 1)
    for number in range(12):
        trial = create_trial(
            params={"optimizer": ["adam", "sgd"][number % 2]},
            distributions={"optimizer": choices},
            values=[0.5 + number / 100, 1.0],
        )
        trial.datetime_start = trial.datetime_complete = now
        study.add_trial(trial)
    found = compare(stored(tmp_path))
    assert {arm.epochs for arm in found.arms} == {None}
    assert all(math.isnan(arm.train_seconds + arm.seconds_per_epoch) for arm in found.arms)
    page = page_of(tmp_path)
    assert "6 trials, 0 epochs" not in page
    tables = {path.stem: path.read_text() for path in (tmp_path / "out").rglob("*.csv")}
    effort = next(csv.DictReader(tables["T5-effort"].splitlines()))
    costs = ("epochs", "train_seconds", "evaluate_seconds", "seconds_per_epoch")
    assert [effort[name] for name in costs] == [""] * 4
    rows = list(csv.DictReader(tables["trials"].splitlines()))
    assert {row[name] for row in rows for name in ("epochs_run", "train_seconds")} == {""}
    progress = list(csv.DictReader(tables["F4-search-progress"].splitlines()))
    assert [(row["k"], row["epochs"]) for row in progress[:2]] == [("1", ""), ("2", "")]


def test_the_time_of_a_trial_without_reports_is_known_and_its_epochs_are_not(
    study: optuna.Study, tmp_path: Path
):
    trial = one_trial("adam", 0.5)
    trial.datetime_start = dt.datetime(2026, 1, 1)
    trial.datetime_complete = trial.datetime_start + dt.timedelta(seconds=90)
    study.add_trial(trial)
    (record,) = stored(tmp_path).trials
    assert (record.train_seconds, record.epochs_run, record.history) == (90.0, 0, ())
    (declared,) = stored(tmp_path, epochs=7).trials
    assert (declared.train_seconds, declared.epochs_run) == (90.0, 7)


def test_failures_leave_the_number_of_diverged_trials_open(study: optuna.Study, tmp_path: Path):
    """Optuna stores a result of NaN as a failure, as it does an error of the program."""
    states = optuna.trial.TrialState
    study.add_trials([one_trial("adam", number / 10) for number in range(8)])
    study.add_trials([one_trial("adam", None, state=states.FAIL) for _ in range(4)])
    study.add_trials([one_trial("sgd", number / 10) for number in range(8)])
    found = {arm.arm: arm for arm in compare(stored(tmp_path, sampler="random")).arms}
    share = found["adam"].robustness.diverged
    assert (share.at_least, share.at_most, share.of) == (0, 4, 12)
    assert share.ci == (0.0, pytest.approx(wilson_interval(4 / 12, 12)[1]))
    assert found["sgd"].robustness.diverged.at_most == 0
    page_of(tmp_path, "--sampler", "random")
    (table,) = (tmp_path / "out").rglob("fairness.csv")
    rows = {row["arm"]: row for row in csv.DictReader(table.read_text().splitlines())}
    assert (rows["adam"]["diverged"], rows["sgd"]["diverged"]) == ("", "0.0")


def test_the_number_of_random_trials_is_not_that_of_all(study: optuna.Study, tmp_path: Path):
    """Of TPE's ten random trials, two are of the arm that was tried 49 times."""
    attrs = {"tpe:x": 1}
    arms = ["adam"] * 2 + ["sgd"] * 8 + ["adam"] * 47
    study.add_trials([one_trial(arm, n / 100, system_attrs=attrs) for n, arm in enumerate(arms)])
    page = page_of(tmp_path).replace("\\", "")
    assert "of random trials, n = 8 for sgd, and of all trials (only observed)" in page
    assert "n = 49 for adam" in page
    assert "random trials, n = 49" not in page


def test_an_unknown_sampler_is_said_to_be_unknown(study: optuna.Study, tmp_path: Path):
    study.add_trial(one_trial("adam", 0.5))
    study.add_trial(one_trial("sgd", None, state=PRUNED, intermediate_values={0: 0.4}))
    scope = compare(stored(tmp_path)).verdict.scope
    assert "found by a pruned search whose sampler is unknown (1 trial per arm)" in scope


ODD = ["", " ", "a\nb", "<b>x</b>", "\u202eabc", "c\x1b[31mred", "a|b`c`", "'", '"q"', "a+b"]


def test_arms_of_any_name_are_shown_each_on_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    study = optuna.create_study(
        study_name="s\n\u202ename", direction="maximize",
        storage=JournalStorage(JournalFileBackend(str(tmp_path / "s.log"))),
    )  # fmt: skip
    choices = optuna.distributions.CategoricalDistribution(ODD)
    for number in range(30):
        study.add_trial(
            create_trial(
                params={"o\np": ODD[number % 10]},
                distributions={"o\np": choices},
                value=number / 30,
            )
        )
    page = page_of(tmp_path, name="s\n\u202ename", arm="o\np")
    out = capsys.readouterr().out
    shown = ["''", "' '", "a\\nb", "<b>x</b>", "\\u202eabc", "c\\x1b[31mred", "a|b`c`", "'", '"q"']
    lines = out.splitlines()
    for name in [*shown, "a+b"]:
        (line,) = [one for one in lines if one.startswith(f"{name:<15}")]
        assert line.removeprefix(name).split()[0] == "3"
    assert all(char.isprintable() for line in lines for char in line)
    assert all(char.isprintable() for line in page.splitlines() for char in line)


def test_different_values_are_different_arms(study: optuna.Study, tmp_path: Path):
    values = [1, "1", None, "None", "a"]
    choices = optuna.distributions.CategoricalDistribution(values)
    for value in values * 2:
        study.add_trial(
            create_trial(
                params={"optimizer": value}, distributions={"optimizer": choices}, value=1.0
            )
        )
    record = stored(tmp_path)
    assert [arm.name for arm in record.arms] == ["1", "'1'", "None", "'None'", "a"]
    assert Counter(trial.arm for trial in record.trials) == dict.fromkeys(
        ["1", "'1'", "None", "'None'", "a"], 2
    )


def test_joined_values_that_look_alike_are_different_arms(study: optuna.Study, tmp_path: Path):
    for first, second in [("a+b", "c"), ("a", "b+c")]:
        study.add_trial(one_trial("adam", 0.5, user_attrs={"x": first, "y": second}))
    wanted = ForeignStudy(location=str(tmp_path / "s.log"), arms=("x", "y"))
    assert [arm.name for arm in load_foreign_study(wanted).arms] == ["'a+b'+'c'", "'a'+'b+c'"]


def test_a_database_of_optuna_2_is_read_without_a_warning(tmp_path: Path):
    file = tmp_path / "two.db"
    storage = RDBStorage(f"sqlite:///{file}")
    study = optuna.create_study(study_name="old", storage=storage, direction="maximize")
    study.optimize(
        lambda trial: (
            trial.suggest_float("u", 0, 1)
            + (trial.suggest_categorical("optimizer", ["sgd", "adam"]) == "sgd")
        ),
        n_trials=4,
    )
    close_storage(storage)
    old = '{"name": "UniformDistribution", "attributes": {"low": 0, "high": 1}}'
    with sqlite3.connect(file) as connection:
        connection.execute(
            "UPDATE trial_params SET distribution_json = ? WHERE param_name = 'u'", (old,)
        )
    connection.close()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        record = load(file, "old")
    assert record.arms[0].space["u"] == FloatRange(low=0.0, high=1.0)
