"""Two studies as this release stores them, for later releases to read.

`python tests/golden/regenerate.py --storage` writes them as SQL, with the records that are read
from them. Later releases must read the file as it is: it is written anew only together with a new
format, under a new name.
"""

import json
import signal
import sqlite3
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from bakeoff.driver import InterruptedStudyError, StopRequest
from bakeoff.engines.protocol import Event
from bakeoff.records import StudyRecord, as_plain
from bakeoff.records.plain import as_strict
from bakeoff.storage import Storage
from bakeoff.studyfile import resolve_study

FOLDER = Path(__file__).parent
SQL_FILE = FOLDER / "stored_studies_format_2.sql"
RECORDS_FILE = FOLDER / "stored_studies_format_2.json"
sys.path.insert(0, str(FOLDER.parent))

from driven_study import drive  # noqa: E402
from study_examples import SimulatedEngine, study_document  # noqa: E402

SEARCH = {"trials_per_arm": 4, "startup_trials": 2, "schedulers": ["constant"]}
FINISHED = resolve_study(
    study_document(search=SEARCH, confirm={"seeds": 2, "shortlist": 1, "shortlist_seeds": 1})
)
UNFINISHED = resolve_study(
    study_document(
        study={"name": "begun"},
        search={**SEARCH, "trials_per_arm": 8, "pruner": "halving", "audit": 0.3},
    )
)
NUM_EVENTS = 26


def write() -> None:
    """Write the studies as SQL, and their records as JSON."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        url = f"sqlite:///{folder / 'studies.db'}"
        engine = SimulatedEngine(
            dies_at={"search-3": 1},
            diverges=lambda one: one.optimizer_params["learning_rate"] > 0.05,
        )
        drive(FINISHED, engine, url, folder)
        _begin(url, folder)
        with closing(sqlite3.connect(folder / "studies.db")) as connection:
            SQL_FILE.write_text("\n".join(connection.iterdump()) + "\n")
        RECORDS_FILE.write_text(json.dumps(read(Storage(url)), indent=1) + "\n")


class StoppedEngine(SimulatedEngine):
    """Asks for the study to be stopped after a number of events, when a worker has died once."""

    def __init__(self, stop: StopRequest, num_events: int) -> None:
        super().__init__(num_workers=2, dies_at={"search-7": 1})
        self._stop, self._left = stop, num_events

    def events(self, timeout: float) -> Sequence[Event]:
        """The next event."""
        self._left -= 1
        if self._left == 0:
            self._stop.ask(signal.SIGINT, None)
        return super().events(timeout)


def _begin(url: str, folder: Path) -> None:
    """Store a study that was stopped: with runs that ended, that wait, and that are paused."""
    stop = StopRequest()
    with suppress(InterruptedStudyError):
        drive(UNFINISHED, StoppedEngine(stop, NUM_EVENTS), url, folder, stop=stop)


def read(storage: Storage) -> dict[str, Any]:
    """The records of both studies as plain data."""
    return {name: plain(storage.load_record(name)) for name in ("toy", "begun")}


def plain(record: StudyRecord) -> Any:
    """A record as strict JSON can hold it."""
    return json.loads(json.dumps(as_strict(as_plain(record))))
