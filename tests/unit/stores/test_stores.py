"""What every store does, and what only one over a network must."""

import asyncio
import errno
import gc
import hashlib
import importlib
import logging
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fsspec.asyn import get_loop

from bakeoff.errors import MissingDependencyError, StoreError, UsageError
from bakeoff.stores import (
    LocalStore,
    RemoteStore,
    Store,
    check_location,
    clear_store,
    join,
    open_store,
    try_store,
)
from bakeoff.stores.run_weights import WEIGHTS, take_weights, weights_stem
from bakeoff.stores.sealed import get_manifest, get_payload, put_sealed
from bakeoff.stores.services import advise, quiet
from faults.server import Proxy, free_port
from object_server import BUCKET, credentials

KEYS = ["attempt-1/epoch-0000001.json", "attempt-1/epoch-0000001.pt", "top"]


@pytest.fixture(params=["folder", "memory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store of each kind."""
    places = {"folder": str(tmp_path / "run"), "memory": f"memory://{tmp_path.name}/run"}
    location = places.get(request.param)
    if location is None:
        location = join(request.getfixturevalue("bucket"), "run")
    yield open_store(location)
    clear_store(location)


def test_an_empty_store_holds_nothing_and_can_be_cleared(store: Store) -> None:
    assert store.keys() == []
    store.clear()
    with pytest.raises(FileNotFoundError):
        store.get("top")


def test_what_was_put_is_listed_and_read_until_it_is_deleted(store: Store) -> None:
    for key in KEYS:
        store.put(key, memoryview(key.encode()))
    assert sorted(store.keys()) == KEYS
    assert store.get(KEYS[0]) == KEYS[0].encode()
    store.put("top", b"")
    assert store.get("top") == b""
    store.delete([KEYS[0], "never-there", "top"])
    assert store.keys() == [KEYS[1]]
    store.clear()
    assert store.keys() == []


def test_a_neighbour_whose_name_begins_the_same_is_not_touched(store: Store) -> None:
    store.put("a", b"1")
    neighbour = open_store(f"{store.location}-2")
    neighbour.put("a", b"2")
    assert store.keys() == ["a"]
    store.clear()
    assert neighbour.get("a") == b"2"
    neighbour.clear()


def test_a_file_is_moved_out_only_if_its_hash_is_right(store: Store, tmp_path: Path) -> None:
    store.put("a", b"weights")
    target = tmp_path / "new" / "a"
    with pytest.raises(ValueError, match="SHA-256 does not match"):
        store.move_out("a", target, hashlib.sha256(b"other").hexdigest())
    assert not target.exists()
    store.move_out("a", target, hashlib.sha256(b"weights").hexdigest())
    assert target.read_bytes() == b"weights"
    assert store.keys() == []
    with pytest.raises(FileNotFoundError):
        store.move_out("a", target, "")


def test_a_file_is_moved_to_another_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = LocalStore(tmp_path / "store")
    store.put("a", b"weights")
    real = Path.replace

    def refuse(path: Path, target: Path) -> Path:
        if path.name == "a":
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return real(path, target)

    monkeypatch.setattr(Path, "replace", refuse)
    store.move_out("a", tmp_path / "moved", hashlib.sha256(b"weights").hexdigest())
    assert (tmp_path / "moved").read_bytes() == b"weights"
    assert store.keys() == []


# ---------------------------------------------------------------- sealed files


def test_a_payload_without_its_manifest_does_not_count(store: Store) -> None:
    class KilledError(Exception):
        pass

    class Killed:
        """Ends before the second file."""

        def put(self, key: str, data: bytes) -> None:
            if store.keys():
                raise KilledError
            store.put(key, data)

    with pytest.raises(KilledError):
        put_sealed(Killed(), "a/b", ".pt", b"payload", {})
    assert store.keys() == ["a/b.pt"]
    with pytest.raises(FileNotFoundError):
        get_manifest(store, "a/b")


def test_damage_is_found_in_manifest_and_payload(store: Store) -> None:
    put_sealed(store, "a", ".pt", b"payload", {"epoch": 3})
    manifest = get_manifest(store, "a")
    assert (manifest["epoch"], manifest["bytes"]) == (3, 7)
    store.put("a.pt", b"paxload")
    with pytest.raises(ValueError, match="SHA-256 does not match"):
        get_payload(store, "a", ".pt", manifest)
    store.put("a.pt", b"pay")
    with pytest.raises(ValueError, match="3 bytes instead of 7"):
        get_payload(store, "a", ".pt", manifest)
    store.put("a.json", store.get("a.json").replace(b'"epoch": 3', b'"epoch": 4'))
    with pytest.raises(ValueError, match="does not match its own hash"):
        get_manifest(store, "a")


def test_weights_are_taken_of_the_attempt_and_identity_that_is_asked_for(
    store: Store, tmp_path: Path
) -> None:
    put_sealed(store, weights_stem(2), WEIGHTS, b"weights", {"identity": "mine"})
    assert not take_weights(store, 1, "mine", tmp_path / "w")
    assert not take_weights(store, 2, "other", tmp_path / "w")
    assert take_weights(store, 2, "mine", tmp_path / "w")
    assert (tmp_path / "w").read_bytes() == b"weights"
    assert store.keys() == []


# ---------------------------------------------------------------- over a network


@pytest.fixture
def proxy(object_port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """What the process reaches S3 through; it has a connection of its own to it."""
    from s3fs import S3FileSystem

    proxy = Proxy(object_port)
    for name, value in credentials(proxy.port).items():
        monkeypatch.setenv(name, value)
    S3FileSystem.clear_instance_cache()
    yield proxy
    proxy.close()
    S3FileSystem.clear_instance_cache()


def test_a_service_that_is_gone_for_a_while_is_waited_for(proxy: Proxy, tmp_path: Path) -> None:
    store = RemoteStore(f"s3://{BUCKET}/{tmp_path.name}")
    store.put("a", b"1")
    proxy.refuses = True
    proxy.reset()
    began = time.monotonic()
    back = threading.Timer(3.0, setattr, (proxy, "refuses", False))
    back.start()
    store.put("a", b"2")
    assert time.monotonic() - began >= 3.0
    assert store.get("a") == b"2"
    back.join()


def test_a_request_that_breaks_off_prints_no_traceback(
    proxy: Proxy, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = RemoteStore(f"s3://{BUCKET}/{tmp_path.name}")
    store.put("a", b"1")
    seen = threading.Event()

    async def break_off() -> None:
        loop = asyncio.get_running_loop()
        loop.create_task(_fail())  # noqa: RUF006 - nobody asks for it, as in aiohttp
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        gc.collect()
        seen.set()

    asyncio.run_coroutine_threadsafe(break_off(), get_loop())
    assert seen.wait(60)
    assert caplog.text == ""


async def _fail() -> None:
    raise ConnectionResetError("Cannot write to closing transport")


def test_a_service_that_stays_away_is_said_after_some_seconds(proxy: Proxy, tmp_path: Path) -> None:
    location = f"s3://{BUCKET}/{tmp_path.name}"
    store = RemoteStore(location, retry_seconds=0.5)
    store.put("a", b"1")
    proxy.refuses = True
    proxy.reset()
    for access in (lambda: store.put("a", b"2"), store.clear):
        with pytest.raises(StoreError, match=f"^{location}: ") as caught:
            access()
        assert "a-secret-of-tests" not in str(caught.value)
    proxy.refuses = False
    assert store.get("a") == b"1"


def test_a_bucket_that_is_not_there_is_said_at_once(bucket: str) -> None:
    with pytest.raises(StoreError, match=r"--checkpoints s3://no-such-bucket/a: .*does not exist"):
        try_store("s3://no-such-bucket/a", "--checkpoints")


def test_refused_credentials_are_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    store, calls = RemoteStore("memory://refused"), []

    def refuse(*_: object) -> None:
        calls.append(1)
        raise PermissionError("Access Denied")

    monkeypatch.setattr("fsspec.implementations.memory.MemoryFileSystem.pipe_file", refuse)
    with pytest.raises(StoreError, match="memory://refused: Access Denied"):
        store.put("a", b"")
    assert calls == [1]


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[pytest.MonkeyPatch]:
    """An environment in which nothing about S3 is set."""
    from s3fs import S3FileSystem

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr("bakeoff.stores.remote.RETRY_SECONDS", 0.2)
    S3FileSystem.clear_instance_cache()
    yield monkeypatch
    S3FileSystem.clear_instance_cache()


KEYS_OF_S3 = "; set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY$"
SERVER_OF_S3 = "; set AWS_ENDPOINT_URL_S3 for a server that is not Amazon's, or AWS_DEFAULT_REGION$"


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({}, f"Unable to locate credentials{KEYS_OF_S3}"),
        ({"AWS_PROFILE": "none"}, rf"The config profile \(none\) could not be found{KEYS_OF_S3}"),
        ({"AWS_ACCESS_KEY_ID": "me"}, f"Partial credentials .*: AWS_SECRET_ACCESS_KEY{KEYS_OF_S3}"),
        (credentials(1), f"Could not connect to the endpoint .*{SERVER_OF_S3}"),
        (
            {**credentials(1), "AWS_ENDPOINT_URL_S3": "nonsense"},
            f"Invalid endpoint.*{SERVER_OF_S3}",
        ),
    ],
)
def test_what_to_set_for_s3_is_said_in_the_same_line(
    bare: pytest.MonkeyPatch, variables: dict[str, str], message: str
) -> None:
    for name, value in variables.items():
        bare.setenv(name, value)
    with pytest.raises(StoreError, match=f"^--checkpoints s3://bucket/a: {message}") as caught:
        try_store("s3://bucket/a", "--checkpoints")
    assert "\n" not in str(caught.value)


class ClientAuthenticationError(Exception):
    """As Azure's client names it."""


@pytest.mark.parametrize(
    ("protocol", "error", "advice"),
    [
        ("gs", PermissionError("Forbidden"), "GOOGLE_APPLICATION_CREDENTIALS"),
        ("gs", ConnectionRefusedError(111, "Connection refused"), "STORAGE_EMULATOR_HOST"),
        ("az", ClientAuthenticationError("no"), "AZURE_STORAGE_CONNECTION_STRING, or"),
        ("az", ValueError("Connection string is malformed."), "AZURE_STORAGE_CONNECTION_STRING"),
        ("az", TimeoutError("timed out"), "AZURE_STORAGE_ACCOUNT_NAME, or BlobEndpoint"),
    ],
)
def test_what_to_set_for_another_service_is_known(
    protocol: str, error: Exception, advice: str
) -> None:
    assert advise(protocol, error).startswith(f"; set {advice}")


def test_an_error_that_no_setting_mends_gets_no_advice() -> None:
    assert advise("s3", OSError(28, "No space left")) == ""
    assert advise("memory", PermissionError("Forbidden")) == ""


def test_a_client_does_not_log_what_it_raises(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    logger = logging.getLogger("gcsfs")
    monkeypatch.setattr(logger, "handlers", [])
    monkeypatch.setattr(logger, "propagate", False)  # pytest has a handler of its own
    quiet("gs")
    logger.warning("could not determine the bucket's type")
    assert capfd.readouterr().err == ""


def test_a_place_that_works_is_left_as_it_was(tmp_path: Path) -> None:
    try_store(str(tmp_path), "--checkpoints")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_below_a_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"--checkpoints .*file/new: Not a directory"):
        try_store(str(tmp_path / "file" / "new"), "--checkpoints")


# ---------------------------------------------------------------- places as users name them


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/data/ckpt", "/data/ckpt"),
        ("file:///data/ckpt", "/data/ckpt"),
        ("file:/data/ckpt", "/data/ckpt"),
        ("s3://bucket/a/", "s3://bucket/a"),
        ("S3://bucket", "s3://bucket"),
    ],
)
def test_a_place_has_one_form(text: str, expected: str) -> None:
    assert check_location(text, "--checkpoints") == expected


def test_a_relative_folder_is_stored_as_an_absolute_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert check_location("ckpt", "--checkpoints") == str(tmp_path / "ckpt")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (" ", "is empty"),
        ("s3://key:SECRET@bucket/a", "does not belong in the URL"),
        ("s3://bucket/a?secret=SECRET", "has no [?] and no #"),
        ("simplecache::s3://bucket", "cannot go through another"),
        ("memory://a", "ends with its process"),
        ("s3://", "names no bucket"),
        ("sqlite:///results/studies.db", "sqlite:// is a database, which holds studies"),
        ("postgresql://me:SECRET@host/studies", "postgresql:// is a database.*give a folder"),
        ("postgresql+psycopg://me@host/studies?a=b", "is a database"),
        ("s4://bucket", "unknown protocol 's4'; allowed: abfs, az, file, gcs, gs, hdfs, s3"),
    ],
)
def test_a_place_that_cannot_work_is_refused_without_its_secrets(text: str, reason: str) -> None:
    with pytest.raises(UsageError, match=f"--checkpoints: .*{reason}") as caught:
        check_location(text, "--checkpoints")
    assert "SECRET" not in str(caught.value)


def test_a_missing_package_is_named_by_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(protocol: str) -> None:
        raise ImportError("Please install gcsfs")

    registry = importlib.import_module("fsspec.registry")  # fsspec.registry itself is a mapping
    monkeypatch.setattr(registry, "get_filesystem_class", missing)
    with pytest.raises(MissingDependencyError, match=r"gs:// .*pip install 'bakeoff\[gcs\]'"):
        check_location("gs://bucket", "--checkpoints")


def test_a_port_where_nobody_listens_ends_a_try(monkeypatch: pytest.MonkeyPatch) -> None:
    from s3fs import S3FileSystem

    for name, value in credentials(free_port()).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("bakeoff.stores.remote.RETRY_SECONDS", 0.2)
    S3FileSystem.clear_instance_cache()
    assert "Could not connect" in clear_store(f"s3://{BUCKET}/gone")
    S3FileSystem.clear_instance_cache()
