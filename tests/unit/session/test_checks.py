from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bakeoff.data.summary import DatasetSummary
from bakeoff.engines.device_table import CPU, Device
from bakeoff.engines.protocol import HANG_SECONDS
from bakeoff.errors import DataError, UsageError
from bakeoff.records import CONFIG_HASH, WEIGHTS_HASH
from bakeoff.session.checks import (
    changed_code,
    check_data,
    check_same_code,
    check_same_weights,
    check_unchanged_facts,
)
from bakeoff.session.descriptions import describe_code
from bakeoff.session.run_settings import RunSettings, check_output
from bakeoff.studyfile import resolve_study
from study_examples import study_document, study_facts

SETTINGS = RunSettings(
    output=Path("results"), storage_url="sqlite:///x.db", workers=1, threads=1, device="cpu"
)


def summary(fingerprint: str) -> DatasetSummary:
    return DatasetSummary(
        num_train=80,
        num_validation=10,
        num_test=10,
        task="classification",
        num_outputs=2,
        input_shape=(4,),
        fingerprint=fingerprint,
        class_names=("a", "b"),
    )


@pytest.mark.parametrize(
    ("fingerprint", "environment", "message"),
    [
        ("another", {}, "the data changed since the study began .fingerprint none, now another"),
        (
            "none",
            {"device": "cuda"},
            "--device cpu: the study is repeatable and was begun on 'cuda'",
        ),
    ],
)
def test_other_data_or_another_device_than_before_is_refused(
    fingerprint: str, environment: Mapping[str, str], message: str
) -> None:
    facts = study_facts(environment=environment)
    config = resolve_study(study_document(search={"repeatable": True}))
    with pytest.raises(UsageError, match=message):
        check_unchanged_facts(config, facts, summary(fingerprint), SETTINGS)


H200 = Device(kind="cuda", name="NVIDIA H200", memory_bytes=139 << 30, driver="550.54")


@pytest.mark.parametrize(
    ("before", "device", "devices", "said"),
    [
        ({"device": "cpu"}, "cpu", (CPU,), ""),
        ({"device": "cpu"}, "cuda", (H200,), "now cuda, before cpu"),
        ({"device": "cuda", "accelerator": "NVIDIA H200"}, "cuda", (H200, H200), ""),
        ({"device": "cuda"}, "cuda", (H200,), ""),  # a release that stored no model
        (
            {"device": "cuda", "accelerator": "NVIDIA A100"},
            "cuda",
            (H200,),
            "now NVIDIA H200, before NVIDIA A100",
        ),
    ],
)
def test_a_study_that_continues_on_another_device_says_that_its_bits_differ(
    before: Mapping[str, str], device: str, devices: tuple[Device, ...], said: str
) -> None:
    facts = study_facts(environment=before)
    settings = replace(SETTINGS, device=device, devices=devices)
    config = resolve_study(study_document())
    found = check_unchanged_facts(config, facts, summary("none"), settings)
    expected = f"continued on another device ({said.replace('now ', '')}), not bit-identical"
    assert found == (expected if said else "")


def test_other_pretrained_weights_than_before_are_refused() -> None:
    before = {WEIGHTS_HASH: "a" * 64, "pretrained weights": "begin.pt"}
    check_same_weights("study", before, before)
    check_same_weights("study", {}, {})
    with pytest.raises(
        UsageError, match=r"the weights changed since the study began .*a{12}, now b"
    ):
        check_same_weights("study", before, {WEIGHTS_HASH: "b" * 64})


def test_another_configuration_of_the_model_than_before_is_refused() -> None:
    before = {CONFIG_HASH: "a" * 64}
    check_same_weights("study", before, before)
    with pytest.raises(UsageError, match=r"model\.model: the model's configuration changed"):
        check_same_weights("study", before, {CONFIG_HASH: "b" * 64})


def test_an_output_folder_below_a_link_to_nothing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    with pytest.raises(UsageError, match="link is a link to nothing"):
        check_output(tmp_path / "link" / "results")
    check_output(tmp_path / "new" / "results")


@pytest.mark.parametrize("objective", ["top5_accuracy", ["accuracy", "top5_accuracy"]])
def test_an_objective_that_needs_more_classes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, objective: str | list[str]
) -> None:
    monkeypatch.setenv("BAKEOFF_DATA", str(tmp_path / "cache"))
    few, many = tmp_path / "few.npz", tmp_path / "many.npz"
    for path, num_classes in ((few, 5), (many, 6)):
        labels = np.arange(120) % num_classes
        np.savez(path, x=np.eye(6, dtype=np.float32)[labels], y=labels)

    def check(path: Path) -> DatasetSummary:
        document = study_document(
            study={"objective": objective},
            data={"dataset": f"npz:{path}"},
            search={"pruner": "none"},
        )
        return check_data(resolve_study(document))

    assert check(many).num_outputs == 6
    with pytest.raises(
        UsageError, match="'top5_accuracy' is the same for every model of 5 classes"
    ):
        check(few)


def test_a_function_that_never_returns_its_data_ends_the_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "waiting_data.py").write_text("import time\ndef load():\n    time.sleep(600)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    document = study_document(data={"dataset": "waiting_data:load"})
    with pytest.raises(DataError, match=r"^waiting_data:load: no progress .* for 0\.3 s"):
        check_data(resolve_study(document), hang_seconds=0.3)


def test_a_command_without_a_limit_of_its_own_waits_as_long_as_for_a_hung_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez(tmp_path / "data.npz", x=np.ones((20, 3), np.float32), y=np.arange(20) % 2)
    limits = []

    @contextmanager
    def noted(_dataset: str, seconds: float) -> Iterator[None]:
        limits.append(seconds)
        yield

    monkeypatch.setattr("bakeoff.session.checks.limited_reading", noted)
    document = study_document(
        data={"dataset": f"npz:{tmp_path / 'data.npz'}"}, training={"batch_size": 4}
    )
    check_data(resolve_study(document))
    assert limits == [HANG_SECONDS]


def test_the_limit_holds_also_where_the_data_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "twice_read_data.py").write_text(
        "import time\n"
        "import numpy as np\n"
        "calls = []\n"
        "def load():\n"
        "    calls.append(1)\n"
        "    time.sleep(20 if len(calls) > 1 else 0)\n"
        "    labels = np.arange(60) % 3\n"
        "    return {'x': np.eye(4, dtype=np.float32)[labels], 'y': labels}\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    document = study_document(data={"dataset": "twice_read_data:load"}, confirm={"resplit": True})
    with pytest.raises(DataError, match=r"^twice_read_data:load: no progress .* for 1 s"):
        check_data(resolve_study(document), hang_seconds=1.0)


def test_code_that_changed_since_a_study_began_is_refused_by_its_file() -> None:
    before = describe_code({"a.py": "0" * 64, "b.py": "1" * 64})
    check_same_code("study", before, {"b.py": "1" * 64, "a.py": "0" * 64})
    check_same_code("study", {}, {"b.py": "2" * 64})  # begun before it was stored
    with pytest.raises(UsageError, match=r"^b\.py, c\.py: the code changed since the study began"):
        check_same_code("study", before, {"a.py": "0" * 64, "b.py": "2" * 64, "c.py": "3" * 64})


def test_code_is_the_same_from_whatever_folder_a_study_continues() -> None:
    before = describe_code({"studies/a.py": "0" * 64})
    assert changed_code(before, {"/home/me/studies/a.py": "0" * 64}) == ()
    changed = changed_code(before, {"/home/me/studies/a.py": "1" * 64})
    assert changed == ("/home/me/studies/a.py", "studies/a.py")


def test_changed_code_is_named_in_order() -> None:
    before = describe_code({"a.py": "0" * 64, "b.py": "1" * 64})
    assert changed_code(before, {"a.py": "0" * 64, "b.py": "1" * 64}) == ()
    assert changed_code(before, {"c.py": "0" * 64, "b.py": "2" * 64}) == ("a.py", "b.py", "c.py")
