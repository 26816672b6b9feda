"""Where a study stores its checkpoints: chosen once, found again, and never in a worker's way."""

from pathlib import Path

import pytest

from bakeoff.commands.verbs.delete import delete
from bakeoff.driver import Driver, StopRequest
from bakeoff.errors import MissingDependencyError, UsageError
from bakeoff.search.arms import Search
from bakeoff.session.checkpoint_place import checkpoint_location, remove_checkpoints
from bakeoff.session.run_settings import RunSettings
from bakeoff.space import build_arms
from bakeoff.storage import Storage
from bakeoff.storage.checksums import DamagedError
from bakeoff.storage.places import CHECKPOINTS_KEY, store_checkpoints, stored_checkpoints
from bakeoff.stores import open_store
from bakeoff.studyfile import resolve_study
from study_examples import SilentObserver, SimulatedEngine, study_document, study_facts

CONFIG = resolve_study(study_document())


@pytest.fixture
def storage(storage_url: str) -> Storage:
    """A storage with the study, which has no runs yet."""
    storage = Storage(storage_url, create=True)
    storage.create(CONFIG, study_facts())
    return storage


def settings(output: Path, checkpoints: str | None = None) -> RunSettings:
    return RunSettings.choose(
        output=output, storage_url=None, workers=1, device="cpu", checkpoints=checkpoints
    )


def begin_a_trial(storage: Storage, output: Path) -> None:
    source = Search(CONFIG, build_arms(CONFIG), "maximize")
    plan = source.next()
    assert plan is not None
    storage.begin(CONFIG, plan)


def test_without_a_choice_they_are_next_to_the_results(storage: Storage, tmp_path: Path) -> None:
    observer = SilentObserver()
    location = checkpoint_location(storage, "toy", settings(tmp_path), observer)
    assert location == str(tmp_path / "toy" / "checkpoints")
    assert stored_checkpoints(storage, "toy") == ""
    assert observer.notes == []


def test_a_place_is_shared_by_studies_of_one_name(storage: Storage, tmp_path: Path) -> None:
    place, observer = f"{tmp_path}/shared", SilentObserver()
    location = checkpoint_location(storage, "toy", settings(tmp_path, place), observer)
    assert location.startswith(f"{place}/toy-")
    again = Storage(str(storage), create=True)
    assert checkpoint_location(again, "toy", settings(tmp_path, place), observer) == location
    other = Storage(f"sqlite:///{tmp_path / 'other.db'}", create=True)
    other.create(CONFIG, study_facts())
    assert checkpoint_location(other, "toy", settings(tmp_path, place), observer) != location
    assert observer.notes == []


def test_a_place_that_only_the_storage_names_is_not_used(storage: Storage, tmp_path: Path) -> None:
    store_checkpoints(storage, "toy", "s3://theirs")
    with pytest.raises(
        UsageError,
        match="study 'toy' stores its checkpoints in s3://theirs; name that place again:"
        " --checkpoints s3://theirs, or BAKEOFF_CHECKPOINTS",
    ):
        checkpoint_location(storage, "toy", settings(tmp_path), SilentObserver())
    with pytest.raises(UsageError, match="name that place again"):
        delete("toy", output=tmp_path, storage=str(storage), yes=True)
    assert storage.names() == ("toy",)
    storage.mark_finished("toy")  # nothing is stored any more
    location = checkpoint_location(storage, "toy", settings(tmp_path), SilentObserver())
    assert location == str(tmp_path / "toy" / "checkpoints")


def test_another_place_is_said_where_runs_may_have_to_begin_again(
    storage: Storage, tmp_path: Path
) -> None:
    observer = SilentObserver()
    checkpoint_location(storage, "toy", settings(tmp_path, f"{tmp_path}/a"), observer)
    begin_a_trial(storage, tmp_path)
    second = checkpoint_location(storage, "toy", settings(tmp_path, f"{tmp_path}/b"), observer)
    text = (
        f"checkpoints are stored in {second} from now on; unfinished runs that were saved in"
        f" {tmp_path}/a begin again"
    )
    assert (observer.notes, list(storage.notes("toy"))) == ([text], [text])
    assert stored_checkpoints(storage, "toy") == f"{tmp_path}/b"


def moved(storage: Storage, output: Path, *places: str | None) -> str:
    """What is said when an unfinished study stores its checkpoints in the last of these places."""
    observer = SilentObserver()
    begin_a_trial(storage, output)
    for place in places:
        checkpoint_location(storage, "toy", settings(output, place), observer)
    return observer.notes[-1]


def test_files_that_stay_in_a_folder_are_counted_and_the_way_to_remove_them_is_said(
    storage: Storage, tmp_path: Path
) -> None:
    old = f"{tmp_path}/an old one"
    left = checkpoint_location(storage, "toy", settings(tmp_path, old), SilentObserver())
    open_store(left).put("search-0/attempt-1/epoch-0000001.pt", bytes(1_500_000))
    open_store(left).put("search-0/attempt-1/epoch-0000001.json", b"{}")
    text = moved(storage, tmp_path, f"{tmp_path}/new")
    assert text.endswith(
        f" begin again; they leave 2 files, 1.5 MB, which `rm -r '{left}'` removes"
    )
    assert len(open_store(left).keys()) == 2


def test_a_place_that_is_known_from_the_storage_alone_is_not_asked_what_it_holds(
    storage: Storage, tmp_path: Path
) -> None:
    store_checkpoints(storage, "toy", "s3://no-such-bucket/theirs")  # would wait, and fail
    text = moved(storage, tmp_path, f"{tmp_path}/new")
    assert "; what they stored stays in s3://no-such-bucket/theirs/toy-" in text
    assert text.endswith(" until you delete that folder")


def test_what_the_default_place_holds_needs_no_advice(storage: Storage, tmp_path: Path) -> None:
    default = tmp_path / "toy" / "checkpoints"
    open_store(str(default)).put("search-0/attempt-1/epoch-0000001.pt", b"payload")
    text = moved(storage, tmp_path, f"{tmp_path}/new")
    assert text.endswith(f" that were saved in {default} begin again")


def test_the_end_of_a_study_that_was_moved_empties_the_default_place_too(tmp_path: Path) -> None:
    new, default = str(tmp_path / "new"), str(tmp_path / "results" / "toy" / "checkpoints")
    for place in (new, default, str(tmp_path / "results" / "other" / "checkpoints")):
        open_store(place).put("search-0/attempt-1/epoch-0000001.pt", b"payload")
    assert list(remove_checkpoints(new, tmp_path / "results", "toy")) == []
    left = [path.relative_to(tmp_path) for path in tmp_path.rglob("*.pt")]
    assert [str(path.parents[2]) for path in left] == ["results/other/checkpoints"]


def test_a_damaged_place_is_found(storage: Storage) -> None:
    store_checkpoints(storage, "toy", "s3://bucket/toy")
    study_id = storage.connection.study_id("toy")
    storage.optuna_storage.set_study_system_attr(
        study_id, CHECKPOINTS_KEY, {"location": "s3://other/toy", "check": "0"}
    )
    with pytest.raises(DamagedError, match="its place"):
        stored_checkpoints(storage, "toy")


def test_a_wrong_place_is_refused_before_anything_is_created(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--checkpoints: a password or key does not belong"):
        settings(tmp_path, "s3://key:secret@bucket")
    with pytest.raises(MissingDependencyError, match="--checkpoints: dropbox:// needs a package"):
        settings(tmp_path, "dropbox://folder")


def test_workers_are_told_of_no_path_of_the_drivers_results(
    storage: Storage, tmp_path: Path
) -> None:
    engine = SimulatedEngine()
    driver = Driver(
        config=CONFIG,
        facts=study_facts(),
        storage=storage,
        engine=engine,
        observer=SilentObserver(),
        stop=StopRequest(),
        checkpoints="memory://shared/toy-1",
        weights=tmp_path / "toy" / "weights",
    )
    driver.drive(Search(CONFIG, build_arms(CONFIG), "maximize"), "search")
    assert len(engine.submitted) == 14
    assert {job.checkpoints for job in engine.submitted} == {
        f"memory://shared/toy-1/search-{number}" for number in range(14)
    }
    assert not [job for job in engine.submitted if str(tmp_path) in repr(job)]


def test_deleting_a_study_removes_its_checkpoints(
    storage: Storage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = f"{tmp_path}/shared"
    location = checkpoint_location(storage, "toy", settings(tmp_path, place), SilentObserver())
    open_store(location).put("search-0/attempt-1/epoch-0000001.pt", b"payload")
    open_store(place).put("neighbour/search-0/attempt-1/epoch-0000001.pt", b"payload")
    delete("toy", output=tmp_path, storage=str(storage), checkpoints=place, yes=True)
    assert open_store(place).keys() == ["neighbour/search-0/attempt-1/epoch-0000001.pt"]
    assert capsys.readouterr().out == "deleted 'toy'\n"
