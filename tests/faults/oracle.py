"""What must hold after every fault: nothing lost, nothing doubled, nothing left behind."""

import hashlib
import json
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import sqlalchemy

from bakeoff.analysis.comparison import compare
from bakeoff.records import StudyRecord, TrialRecord, as_plain
from bakeoff.report.write import write_report
from bakeoff.storage import Storage

LEFTOVERS = ("*.partial", "*.tmp", ".*.tmp", "tmp*")
SECONDS = {"train_seconds": 1.0, "evaluate_seconds": 1.0, "data_seconds": 0.0}


@contextmanager
def reading(url: str) -> Iterator[Storage]:
    """A storage whose sessions are closed at the end."""
    storage = Storage(url)
    try:
        yield storage
    finally:
        storage.optuna_storage.remove_session()
        storage.optuna_storage.engine.dispose()


def load(url: str, name: str) -> StudyRecord:
    """The record of a study."""
    with reading(url) as storage:
        return storage.load_record(name)


def differences(record: StudyRecord, calm: StudyRecord, *, same_values: bool = True) -> list[str]:
    """How a study that faults have hit differs from an undisturbed one.

    Args:
        record: The study after the faults.
        calm: The same study, undisturbed.
        same_values: Whether its values must be the same, as with one worker.
    """
    found = list(_incomplete(record, calm))
    if same_values:
        record, calm = in_order(record), in_order(calm)
        for kind in ("trials", "confirmations"):
            ours, theirs = (comparable(getattr(one, kind)) for one in (record, calm))
            found += [
                f"{kind} {number} has other values"
                for number, (left, right) in enumerate(zip(ours, theirs, strict=False))
                if left != right
            ]
        if report_of(record) != report_of(calm):
            found.append("the report has other bytes")
    return found


def in_order(record: StudyRecord) -> StudyRecord:
    """The study with the runs of its confirmation numbered by what they are.

    A worker that trains runs as stacks begins several at once, and which ones are at hand depends
    on those that were lost. Their values do not.
    """
    if record.arithmetic == "plain":
        return record
    runs = sorted(record.confirmations, key=_what_it_is)
    numbered = tuple(replace(run, number=number) for number, run in enumerate(runs))
    return replace(record, confirmations=numbered)


def _what_it_is(run: TrialRecord) -> tuple[str, str, int, int]:
    return (
        run.purpose,
        run.arm,
        -1 if run.configuration is None else run.configuration,
        run.seed or 0,
    )


def _incomplete(record: StudyRecord, calm: StudyRecord) -> Iterator[str]:
    """What is missing, too much, or not ended."""
    if not record.finished:
        yield "the study is not finished"
    for kind in ("trials", "confirmations"):
        runs, expected = getattr(record, kind), getattr(calm, kind)
        charged = (Counter((run.arm, run.purpose) for run in part) for part in (runs, expected))
        ours, theirs = charged
        if kind == "trials" and ours != theirs:
            yield f"{kind}: {dict(ours - theirs)} too many, {dict(theirs - ours)} lost"
        if [run.number for run in runs] != list(range(len(runs))):
            yield f"{kind} are not numbered in order"
        for run in runs:
            epochs = [one.epoch for one in run.history]
            if run.outcome == "running":
                yield f"{kind} {run.number} has not ended"
            elif epochs != list(range(1, len(epochs) + 1)):
                yield f"{kind} {run.number} has epochs {epochs}"
            elif run.outcome in ("failed", "infeasible"):
                yield f"{kind} {run.number} {run.outcome}: {run.stop_reason}"


def comparable(runs: Sequence[TrialRecord]) -> list[str]:
    """All of the runs that does not depend on the clock."""
    return [repr(as_plain(masked(run))) for run in runs]


def masked(run: TrialRecord) -> TrialRecord:
    """A run without seconds and without what it lost on its way."""
    history = tuple(replace(one, **SECONDS) for one in run.history)
    return replace(run, history=history, attempts=1, lost_drivers=0)


def report_of(record: StudyRecord) -> dict[str, bytes]:
    """The bytes of every file of the study's report, with times masked."""
    plain = replace(
        record,
        environment={},  # it has the seconds per step that were measured
        trials=tuple(map(masked, record.trials)),
        confirmations=tuple(map(masked, record.confirmations)),
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_report(compare(plain), folder, generated_at="TIME")
        return {
            str(path.relative_to(folder)): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        }


def told_twice(url: str) -> list[str]:
    """Runs that have a value twice, or epochs reported with a gap or twice."""
    found: list[str] = []
    steps: dict[int, list[int]] = {}
    with reading(url) as storage, storage.optuna_storage.engine.begin() as connection:
        for table, key in (("trial_values", "objective"), ("trial_intermediate_values", "step")):
            query = f"SELECT trial_id, {key}, count(*) FROM {table} GROUP BY 1, 2"  # noqa: S608
            rows = connection.execute(sqlalchemy.text(query)).fetchall()
            found += [f"{table} of {row[0]}: {row[1]} twice" for row in rows if row[2] > 1]
        query = "SELECT trial_id, step FROM trial_intermediate_values ORDER BY 1, 2"
        for trial_id, step in connection.execute(sqlalchemy.text(query)):
            steps.setdefault(trial_id, []).append(step)
    gaps = [one for one, reported in steps.items() if reported != list(range(1, len(reported) + 1))]
    return found + [f"epochs of {one}: {steps[one]}" for one in gaps]


def weights_in(folder: Path) -> list[str]:
    """SHA-256 of the weights that a study keeps; their names have the numbers of runs."""
    paths = (folder / "weights").iterdir()
    return sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in paths)


def left_behind(folder: Path) -> list[str]:
    """Temporary files and checkpoints in the folder of a study that has ended."""
    found = [str(path) for pattern in LEFTOVERS for path in folder.rglob(pattern)]
    found = [path for path in found if path != str(folder / "tmp")]
    found += [str(path) for path in folder.glob("**/checkpoints/*")]
    temporary = folder / "tmp"
    return found + ([str(one) for one in temporary.iterdir()] if temporary.is_dir() else [])


def described(record: StudyRecord) -> str:
    """All that is read of a study, as text."""
    return json.dumps(as_plain(record), sort_keys=True, default=repr)
