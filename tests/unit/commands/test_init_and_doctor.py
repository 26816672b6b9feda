import json
from dataclasses import replace
from pathlib import Path

import pytest

from bakeoff.commands.verbs.doctor import _dataset, doctor
from bakeoff.commands.verbs.init import FINETUNE, init
from bakeoff.errors import UsageError
from bakeoff.ranges import FloatRange
from bakeoff.storage import Storage
from bakeoff.studyfile import load_study_file, resolve_study, study_schema
from driven_study import drive
from study_examples import SimulatedEngine, study_document, study_facts


def test_the_starter_is_a_valid_study_and_never_replaces_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    init(file)
    assert load_study_file(file).name == "my-study"
    file.write_text("# mine\n")
    with pytest.raises(UsageError, match=r"mine\.toml exists; choose another name"):
        init(file)
    assert file.read_text() == "# mine\n"


@pytest.mark.parametrize("model", ["torchvision:resnet18", "cnn", "my_models:build"])
def test_the_starter_of_another_model_is_valid_and_hints_at_fine_tuning(
    tmp_path: Path, model: str
) -> None:
    file = tmp_path / "mine.toml"
    (tmp_path / "my_models.py").write_text("def build(input_shape, num_outputs): ...\n")
    init(file, model=model)
    assert load_study_file(file).model == model
    assert (FINETUNE in file.read_text()) == model.startswith("torchvision:")


def test_the_hints_on_fine_tuning_are_valid_settings(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    init(file, model="timm:resnet10t")
    used = "\n".join(line.removeprefix("# ") for line in FINETUNE.splitlines())
    file.write_text(file.read_text().replace(FINETUNE, used))
    config = load_study_file(file)
    assert (config.finetune.freeze, config.finetune.head_factor) == ("backbone", 10.0)
    assert config.finetune.pretrained is True
    assert "finetune.layer_decay" in config.space


def test_a_model_that_is_not_known_is_refused_before_a_file_is_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown torchvision model 'resnet19'"):
        init(tmp_path / "mine.toml", model="torchvision:resnet19")
    with pytest.raises(UsageError, match="--model: does not go with --from"):
        init(tmp_path / "mine.toml", source="digits", model="cnn")
    assert list(tmp_path.iterdir()) == []


def test_the_schema_that_the_starter_names_is_next_to_it_and_is_kept_up_to_date(
    tmp_path: Path,
) -> None:
    init(tmp_path / "one.toml")
    first_line = (tmp_path / "one.toml").read_text().splitlines()[0]
    schema = tmp_path / first_line.removeprefix("#:schema ")
    assert json.loads(schema.read_text()) == json.loads(study_schema())
    schema.write_text('{"$id": "urn:bakeoff:study-file"}')
    init(tmp_path / "two.toml")
    assert json.loads(schema.read_text()) == json.loads(study_schema())


def test_another_file_with_the_name_of_the_schema_is_never_replaced(tmp_path: Path) -> None:
    schema = tmp_path / "study.schema.json"
    schema.write_text("{}")
    with pytest.raises(UsageError, match="exists and is not a schema of bakeoff"):
        init(tmp_path / "study.toml")
    assert (schema.read_text(), list(tmp_path.iterdir())) == ("{}", [schema])


def test_a_folder_is_not_a_file_to_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="exists; choose another name"):
        init(Path())


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"study\.toml cannot be written \(No such file"):
        init(tmp_path / "missing" / "study.toml")


def test_the_doctor_reports_a_storage_that_it_cannot_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "studies.db").write_text("notes")
    doctor(output=tmp_path, as_json=True)
    facts = json.loads(capsys.readouterr().out)
    assert facts["storage"].endswith("studies.db is not a SQLite database; choose another file")
    assert facts["data: digits"] == "1,438 training, 359 test samples"


def test_a_data_set_that_is_not_here_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAKEOFF_DATA", str(tmp_path))
    monkeypatch.setattr("bakeoff.data.dataset_table.DEBIAN_FASHION_FOLDER", tmp_path)
    text = "not here; a study that names it downloads it"
    assert _dataset("mnist") == text
    assert _dataset("fashion-rows") == f"{text}, or: apt-get install dataset-fashion-mnist"


# ---------------------------------------------------------------- from a stored study


def stored_study(folder: Path, first: str = "sgd", **ranges: dict) -> Path:
    """A results folder with a finished grid search, whose points include the bounds.

    The best learning rate is 0.01, beyond both ranges.
    """
    space = {
        first: {
            "learning_rate": {"low": 1e-4, "high": 1e-3, "log": True},
            "momentum": 0.0,
            "weight_decay": 1e-4,
        },
        "adam": {
            "learning_rate": {"low": 0.05, "high": 0.1, "log": True},
            "beta1": 0.9,
            "weight_decay": 1e-4,
        },
        "constant": {"warmup_fraction": 0.0},
    }
    document = study_document(
        study={"name": "edge", "seed": 7, "question": "Is <this> \"odd\"?"},
        space=space | ranges,
        search={
            "optimizers": [first, "adam"], "sampler": "grid", "grid_points": 2, "schedulers": ["constant"], "pruner": "none",
            "trials_per_arm": None, "startup_trials": None,
        },
    )  # fmt: skip
    document["search"] = {k: v for k, v in document["search"].items() if v is not None}
    config = resolve_study(document)
    drive(config, SimulatedEngine(), f"sqlite:///{folder / 'studies.db'}", folder)
    return folder


def test_the_file_of_a_stored_study_describes_the_same_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = stored_study(tmp_path)
    monkeypatch.chdir(tmp_path)
    init(source="edge", output=results)
    stored = Storage(f"sqlite:///{results / 'studies.db'}").load_config("edge")
    assert load_study_file(tmp_path / "edge.toml") == stored
    assert (tmp_path / "study.schema.json").exists()
    with pytest.raises(UsageError, match=r"edge\.toml exists"):
        init(source="edge", output=results)


@pytest.mark.parametrize(
    ("first", "key"), [("sgd", "sgd"), ("torch.optim:SGD", '"torch.optim:SGD"')]
)
def test_a_widened_study_searches_every_arm_in_the_wider_ranges_on_the_same_data_and_seeds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], first: str, key: str
) -> None:
    results = stored_study(tmp_path, first)
    file = tmp_path / "next.toml"
    init(file, source="edge", widen=True, output=results)
    before = Storage(f"sqlite:///{results / 'studies.db'}").load_config("edge")
    after = load_study_file(file)
    space = {
        **before.space,
        f"{first}.learning_rate": FloatRange(low=1e-4, high=1e-2, log=True),
        "adam.learning_rate": FloatRange(low=5e-3, high=0.1, log=True),
    }
    assert after == replace(before, name="edge-wide", space=space)
    why = f"{first}.learning_rate: 0.0001 to 0.001, log -> 0.0001 to 0.01, log ({first} chose 0.001, near the highest)"  # fmt: skip
    assert f"changed {why}" in capsys.readouterr().out
    lines = file.read_text().splitlines()
    assert f"#   {why}" in lines
    place = lines.index(f"[space.{key}.learning_rate]")
    assert lines[place + 1] == f"# {why.partition(': ')[2]}"


def test_a_second_widening_of_a_study_gets_another_name(tmp_path: Path) -> None:
    results = stored_study(tmp_path)
    init(tmp_path / "a.toml", source="edge", widen=True, output=results)
    config = load_study_file(tmp_path / "a.toml")
    Storage(f"sqlite:///{results / 'studies.db'}").create(config, study_facts())
    init(tmp_path / "b.toml", source="edge", widen=True, output=results)
    assert load_study_file(tmp_path / "b.toml").name == "edge-wide-2"


def test_without_a_value_at_an_edge_there_is_nothing_to_widen(tmp_path: Path) -> None:
    fixed = {"learning_rate": 0.01, "weight_decay": 1e-4}
    results = stored_study(tmp_path, sgd={**fixed, "momentum": 0.0}, adam={**fixed, "beta1": 0.9})
    with pytest.raises(UsageError, match="there is nothing to widen"):
        init(tmp_path / "a.toml", source="edge", widen=True, output=results)
    assert not (tmp_path / "a.toml").exists()


def test_ranges_can_only_be_widened_of_a_stored_study(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="say which study's ranges to widen"):
        init(tmp_path / "a.toml", widen=True)
    results = stored_study(tmp_path)
    with pytest.raises(UsageError, match="unknown study 'egde'; did you mean 'edge'"):
        init(tmp_path / "a.toml", source="egde", output=results)
