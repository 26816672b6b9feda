import pytest

from bakeoff.engines import ray_code
from bakeoff.engines.ray_code import pack, unpack
from bakeoff.errors import UsageError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BAKEOFF_DATA", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "project"
    for name, text in {
        "my_models.py": "width = 3\n", "parts/__init__.py": "", "parts/loss.py": "beta = 2\n",
        "words.txt": "a b", "results/study.db": "x", ".git/config": "x", ".secret": "x",
        "env/pyvenv.cfg": "", "env/lib/site.py": "", "__pycache__/my_models.pyc": "",
        "large.bin": "x" * (ray_code.MAX_FILE_BYTES + 1),
    }.items():  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_code_and_small_files_arrive_and_results_stay(project):
    (folder,) = unpack(pack([str(project)], [str(project / "results")]), 1)
    found = sorted(path.name for path in ray_code.Path(folder).rglob("*") if path.is_file())
    assert found == ["__init__.py", "loss.py", "my_models.py", "words.txt"]
    assert (ray_code.Path(folder) / "parts/loss.py").read_text() == "beta = 2\n"


def test_two_folders_stay_apart_in_their_order(project):
    first, second = unpack(pack([str(project / "parts"), str(project)], []), 2)
    assert (ray_code.Path(first) / "loss.py").exists()
    assert (ray_code.Path(second) / "parts" / "loss.py").exists()


def test_the_same_files_are_unpacked_once(project, cache):
    archive = pack([str(project)], [])
    (project / "my_models.py").touch()
    assert pack([str(project)], []) == archive
    assert unpack(archive, 1) == unpack(archive, 1)
    assert len(list((cache / "code").iterdir())) == 1


def test_changed_code_comes_into_a_folder_of_its_own(project):
    before = unpack(pack([str(project)], []), 1)
    (project / "my_models.py").write_text("width = 4\n")
    after = unpack(pack([str(project)], []), 1)
    assert before != after
    assert (ray_code.Path(before[0]) / "my_models.py").read_text() == "width = 3\n"


@pytest.mark.parametrize(
    ("limit", "what"), [("MAX_FILES", "4 files"), ("MAX_BYTES", "0 MB of files")]
)
def test_a_folder_that_holds_more_than_code_is_refused(project, monkeypatch, limit, what):
    monkeypatch.setattr(ray_code, limit, 4)
    with pytest.raises(UsageError) as caught:
        pack([str(project)], [])
    assert f"{project} is sent to the cluster's nodes" in str(caught.value)
    assert f"has more than {what};" in str(caught.value)
