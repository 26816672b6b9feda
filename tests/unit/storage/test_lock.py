import os
import subprocess
import sys

import pytest

from bakeoff.errors import StudyLockedError
from bakeoff.storage import Storage
from bakeoff.storage.lock import study_lock

HOLDER = """
import sys, time
from bakeoff.storage.lock import study_lock
from bakeoff.storage import Storage
with study_lock(Storage(sys.argv[1], create=True), "toy"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(storage_url):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, storage_url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_driver_is_refused_with_the_name_of_the_first(storage_url, holder):
    storage = Storage(storage_url)
    with pytest.raises(StudyLockedError) as caught, study_lock(storage, "toy"):
        pass
    assert f"process {holder.pid} on {os.uname().nodename} since 20" in str(caught.value)


def test_another_study_of_the_same_storage_is_free(storage_url, holder):
    with study_lock(Storage(storage_url), "other"):
        assert holder.poll() is None


def test_the_lock_of_a_killed_driver_is_free(storage_url, holder):
    holder.kill()
    holder.wait()
    with study_lock(Storage(storage_url), "toy"):
        pass


def test_a_lock_can_be_taken_again_after_its_release(storage_url):
    storage = Storage(storage_url, create=True)
    for _ in range(2):
        with study_lock(storage, "toy"):
            pass


def test_the_lock_is_that_of_the_file_whichever_link_leads_to_it(tmp_path):
    real, linked = tmp_path / "real", tmp_path / "linked"
    real.mkdir()
    linked.mkdir()
    storage = Storage(f"sqlite:///{real / 'studies.db'}", create=True)
    (linked / "studies.db").symlink_to(real / "studies.db")
    (tmp_path / "folder").symlink_to(real)
    with study_lock(storage, "toy"):
        for path in (linked / "studies.db", tmp_path / "folder" / "studies.db"):
            with pytest.raises(StudyLockedError), study_lock(Storage(f"sqlite:///{path}"), "toy"):
                pass
