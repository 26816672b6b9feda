"""Data at a URL is fetched once, and again when it changed there or was damaged here."""

import gzip
import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bakeoff.data import fetched
from bakeoff.data.array_cache import data_folder
from bakeoff.data.datasets import load_dataset
from bakeoff.data.fetched import local_path, refresh_data
from bakeoff.errors import DataError, MissingDependencyError
from bakeoff.records import DataConfig, StudyConfig
from bakeoff.session.checks import check_data
from bakeoff.stores import RemoteStore, clear_store
from bakeoff.stores.remote import FileState
from bakeoff.studyfile import resolve_study
from study_examples import study_document

TABLE = "a,b,target\n" + "".join(f"{row % 7},{row % 3},{row % 2}\n" for row in range(60))


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAKEOFF_DATA", str(tmp_path / "cache"))
    monkeypatch.setattr("bakeoff.stores.location.OF_ONE_PROCESS", frozenset())


@pytest.fixture(params=["memory", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty folder."""
    is_memory = request.param == "memory"
    url = f"memory://{tmp_path.name}" if is_memory else request.getfixturevalue("bucket")
    yield url
    clear_store(url)


@pytest.fixture
def fetches(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys of the files that were fetched."""
    found: list[str] = []
    real: Callable[..., None] = RemoteStore.fetch

    def fetch(store: RemoteStore, targets: dict[str, Path]) -> None:
        found.extend(targets)
        real(store, targets)

    monkeypatch.setattr(RemoteStore, "fetch", fetch)
    return found


def put(url: str, data: bytes | str) -> None:
    """Write a file at a URL."""
    folder, _, key = url.rpartition("/")
    RemoteStore(folder).put(key, data.encode() if isinstance(data, str) else data)


def local(tmp_path: Path, name: str, data: bytes) -> Path:
    path = tmp_path / "local" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def arrays() -> bytes:
    file = io.BytesIO()
    labels = np.arange(60) % 3
    np.savez(file, x=np.eye(6, dtype=np.float32)[labels + 1], y=labels)
    return file.getvalue()


@pytest.mark.parametrize(
    ("form", "name", "data"),
    [
        ("csv", "table.csv", TABLE.encode()),
        ("csv", "table.csv.gz", gzip.compress(TABLE.encode())),
        ("npz", "arrays.npz", arrays()),
    ],
)
def test_a_file_is_the_same_data_as_here_and_is_fetched_once(
    place: str, tmp_path: Path, fetches: list[str], form: str, name: str, data: bytes
) -> None:
    put(f"{place}/{name}", data)
    config = DataConfig(dataset=f"{form}:{place}/{name}")
    here = load_dataset(replace(config, dataset=f"{form}:{local(tmp_path, name, data)}"))
    for _ in range(2):
        refresh_data(config)
        found = load_dataset(config)
    assert found.fingerprint == here.fingerprint
    assert found.source == f"{place}/{name}"
    assert fetches == [""]


def test_a_folder_of_images_is_fetched_with_its_parts(
    place: str, tmp_path: Path, fetches: list[str]
) -> None:
    folder = tmp_path / "images"
    for number in range(40):
        file = io.BytesIO()
        Image.new("L", (4, 4), number * 5).save(file, "png")
        name = f"{'train' if number < 30 else 'test'}/{'cat' if number % 2 else 'dog'}/{number}.png"
        put(f"{place}/images/{name}", file.getvalue())
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(file.getvalue())
    put(f"{place}/images-2/train/cat/other.png", b"a neighbour")
    found = load_dataset(DataConfig(dataset=f"folder:{place}/images"))
    assert found.fingerprint == load_dataset(DataConfig(dataset=f"folder:{folder}")).fingerprint
    assert found.class_names == ("cat", "dog")
    assert len(fetches) == 40


def test_a_table_to_validate_on_may_be_at_a_url_too(place: str, fetches: list[str]) -> None:
    put(f"{place}/train.csv", TABLE)
    put(f"{place}/more.csv", TABLE.replace("0,0", "5,1"))
    config = DataConfig(dataset=f"csv:{place}/train.csv", validation=f"csv:{place}/more.csv")
    refresh_data(config)
    found = load_dataset(config)
    assert found.validation_labels is not None
    assert len(found.validation_labels) == 60
    assert fetches == ["", ""]


def test_a_worker_reads_the_copy_without_asking_the_service(place: str, fetches: list[str]) -> None:
    put(f"{place}/table.csv", TABLE)
    path = local_path(f"csv:{place}/table.csv")
    clear_store(place)
    assert local_path(f"csv:{place}/table.csv") == path
    assert path.read_text() == TABLE
    assert path.name == "table.csv"
    assert fetches == [""]


def study(dataset: str) -> StudyConfig:
    return resolve_study(
        study_document(data={"dataset": dataset}, training={"batch_size": 8, "epochs": 2})
    )


def test_data_that_changed_there_is_found_when_a_study_continues(place: str) -> None:
    put(f"{place}/table.csv", TABLE)
    config = study(f"csv:{place}/table.csv")
    before = check_data(config).fingerprint
    put(f"{place}/table.csv", TABLE.replace("6,", "9,"))
    assert check_data(config).fingerprint != before


def test_a_damaged_copy_is_fetched_again(place: str, fetches: list[str]) -> None:
    put(f"{place}/table.csv", TABLE)
    path = local_path(f"csv:{place}/table.csv")
    path.write_text(TABLE.replace("6,", "9,"))
    again = local_path(f"csv:{place}/table.csv")
    assert again.read_text() == TABLE
    assert fetches == ["", ""]


def test_a_process_reads_a_copy_once_to_verify_it(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    real = fetched._digest  # noqa: SLF001

    def digest(path: Path) -> str:
        read.append(path.name)
        return real(path)

    monkeypatch.setattr(fetched, "_digest", digest)
    put(f"{place}/table.csv", TABLE)
    for _ in range(2):
        local_path(f"csv:{place}/table.csv")
    assert read == ["table.csv"]
    fetched._verified.clear()  # noqa: SLF001 - as in another process
    for _ in range(2):
        local_path(f"csv:{place}/table.csv")
    assert read == ["table.csv"] * 2


@pytest.mark.parametrize("keys", [("a", "a/b"), ("a/b", "a//b")])
def test_files_that_no_folder_can_hold_are_named(
    place: str, monkeypatch: pytest.MonkeyPatch, fetches: list[str], keys: tuple[str, str]
) -> None:
    states = {key: FileState(3, "v1") for key in keys}
    monkeypatch.setattr(RemoteStore, "states", lambda _: states)
    with pytest.raises(DataError, match=r"images: holds both 'a.*' and 'a/.*b', which no folder"):
        local_path(f"folder:{place}/images")
    assert fetches == []


def test_a_bucket_may_hold_a_file_and_others_below_its_name(bucket: str) -> None:
    for key in ("a", "a/b"):
        put(f"{bucket}/images/{key}", b"abc")
    with pytest.raises(DataError, match=r"images: holds both 'a' and 'a/b'"):
        local_path(f"folder:{bucket}/images")


def test_a_fetch_that_breaks_off_leaves_nothing(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(f"{place}/table.csv", TABLE)

    def stop(_: RemoteStore, targets: dict[str, Path]) -> None:
        targets[""].write_text("half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RemoteStore, "fetch", stop)
        with pytest.raises(KeyboardInterrupt):
            local_path(f"csv:{place}/table.csv")
    assert [one.name for one in (data_folder() / "fetched").rglob("*.csv")] == []
    assert local_path(f"csv:{place}/table.csv").read_text() == TABLE


def test_a_file_that_changes_while_it_is_fetched_is_refused(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(f"{place}/table.csv", TABLE)
    monkeypatch.setattr(RemoteStore, "states", lambda _: {"": FileState(3, "v1")})
    with pytest.raises(DataError, match=r"/table\.csv: changed while it was fetched; try again"):
        local_path(f"csv:{place}/table.csv")


def test_what_a_service_says_nothing_of_is_fetched_each_time_it_is_asked(
    place: str, fetches: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    put(f"{place}/table.csv", TABLE)
    config = DataConfig(dataset=f"csv:{place}/table.csv")
    monkeypatch.setattr(RemoteStore, "states", lambda _: {"": FileState(None, "")})
    for _ in range(2):
        refresh_data(config)
    assert fetches == ["", ""]


@pytest.mark.parametrize("key", ["../outside.csv", "a/../../outside.csv", "/etc/outside.csv"])
def test_a_name_that_leads_out_of_the_copy_is_refused(
    place: str, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setattr(RemoteStore, "states", lambda _: {key: FileState(3, "v1")})
    with pytest.raises(DataError, match="is not one of a file below a folder"):
        local_path(f"folder:{place}/images")
    assert list((data_folder() / "fetched").rglob("outside.csv")) == []


def test_a_url_that_ends_with_two_dots_is_refused(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RemoteStore, "states", lambda _: {"a.csv": FileState(3, "v1")})
    with pytest.raises(DataError, match="is not one of a file below a folder"):
        local_path(f"folder:{place}/..")


def test_a_file_that_is_not_there_is_said(place: str) -> None:
    with pytest.raises(DataError, match=rf"^{place}/none.csv: there is no such file or folder$"):
        check_data(study(f"csv:{place}/none.csv"))


def test_wrong_urls_are_refused_before_anything_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=r"^\[data\]: a password or key does not belong") as found:
        check_data(study("csv:s3://key:SECRET@bucket/table.csv"))
    assert "SECRET" not in str(found.value)
    with pytest.raises(MissingDependencyError, match=r"^\[data\]: dropbox:// needs a package"):
        check_data(study("csv:dropbox://folder/table.csv"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/none")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr("bakeoff.stores.remote.RETRY_SECONDS", 0.2)
    from s3fs import S3FileSystem

    S3FileSystem.clear_instance_cache()
    with pytest.raises(DataError, match="Unable to locate credentials; set AWS_PROFILE, or"):
        check_data(study("csv:s3://bucket/table.csv"))
    S3FileSystem.clear_instance_cache()
