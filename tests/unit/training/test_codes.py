"""Text columns of a table as codes, which a model replaces by vectors that it learns."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from bakeoff.data.csv_file import read_tables
from bakeoff.data.datasets import load_dataset
from bakeoff.data.inputs import Feature
from bakeoff.errors import DataError, StudyFileError, UsageError
from bakeoff.networks.tabular import build_tabular_mlp
from bakeoff.production.export import write_export
from bakeoff.records import DataConfig, TrialConfig
from bakeoff.studyfile import resolve_study
from bakeoff.training import loop
from bakeoff.training.batches import load_splits
from bakeoff.training.weights import scored_weights, weights_file
from study_examples import study_document

MakeConfig = Callable[..., TrialConfig]

COLOURS = ("blue", "green", "red", "white", "yellow")
NUM = 200


def write_table(path: Path, colours: Sequence[str] = COLOURS) -> Path:
    """The class is whether one of two colours comes with a large size, or another with a small."""
    draws = np.random.default_rng(0)
    lines = ["size,colour,shape,kind"]
    for _ in range(NUM):
        size, colour = draws.normal(), draws.choice(colours)
        large = (size > 0) != (colour in colours[:2])
        lines.append(f"{size:.3f},{colour},{draws.choice(['round', 'flat'])},{'ab'[large]}")
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataConfig:
    monkeypatch.setenv("BAKEOFF_DATA", str(tmp_path / "cache"))
    path = write_table(tmp_path / "table.csv")
    return DataConfig(dataset=f"csv:{path}", categories="codes")


def build_own(
    input_shape: tuple[int, ...], num_outputs: int, categories: tuple[tuple[int, int], ...]
) -> nn.Module:
    """A user's model, which gets the place and the number of the codes as `categories`."""
    assert (input_shape, categories) == ((3,), ((1, 6), (2, 3)))
    return build_tabular_mlp(input_shape, num_outputs, 8, 1, 0.0, categories)


def small_run(make_config: MakeConfig, data: DataConfig, **changes: object) -> TrialConfig:
    config = make_config(
        **{
            "model": "tabular_mlp", "model_params": {"width": 32}, "epochs": 20, "batch_size": 16,
            "optimizer_params": {"learning_rate": 0.02}, **changes,
        }
    )  # fmt: skip
    return replace(config, data=data)


def test_texts_become_codes_from_1_on_in_one_column(table: DataConfig) -> None:
    dataset = load_dataset(table)
    assert dataset.features == (
        Feature(column="size"),
        Feature(column="colour", levels=COLOURS),
        Feature(column="shape", levels=("flat", "round")),
    )
    assert dataset.train_inputs.shape == (160, 3)
    assert sorted(set(dataset.train_inputs[:, 1])) == [1, 2, 3, 4, 5]
    assert load_dataset(table).features == dataset.features  # from the cache
    assert "each value of a text column is a code from 1 on: colour (5), shape (2)" in dataset.notes
    one_hot = load_dataset(replace(table, categories=None))
    assert one_hot.train_inputs.shape == (160, 8)
    assert one_hot.fingerprint != dataset.fingerprint
    code = dataset.train_inputs[:, 1].astype(int)
    assert np.array_equal(one_hot.train_inputs[:, 1:6].argmax(1) + 1, code)


def test_codes_are_not_normalised_and_numbers_are(table: DataConfig) -> None:
    splits = load_splits(table, 0, torch.device("cpu"))
    inputs, _ = next(iter(splits.train.batches(len(splits.train))))
    assert splits.categories == ((1, 6), (2, 3))
    assert inputs[:, 0].mean().item() == pytest.approx(0, abs=1e-5)
    assert inputs[:, 1].unique().tolist() == [1, 2, 3, 4, 5]
    assert inputs[:, 2].unique().tolist() == [1, 2]


def test_a_text_that_training_rows_lack_has_the_code_0(tmp_path: Path) -> None:
    path = write_table(tmp_path / "table.csv")
    other = write_table(tmp_path / "other.csv", ("blue", "pink"))
    known, unknown = read_tables((path, other), None, "classification", as_codes=True)
    assert set(unknown.features[:, 1]) == {0, 1}
    assert set(known.features[:, 1]) == {1, 2, 3, 4, 5}
    assert any("no training row has; its code is 0 there" in note for note in unknown.notes)


def test_a_column_of_too_many_texts_is_refused(tmp_path: Path) -> None:
    rows = "".join(f"name {row},{row % 2}\n" for row in range(1200))
    (tmp_path / "many.csv").write_text("a,b\n" + rows)
    with pytest.raises(DataError, match=r"1200 different values, .* at most 1000 different values"):
        read_tables((tmp_path / "many.csv",), None, "classification", as_codes=True)


def test_embeddings_learn_what_the_order_of_the_codes_does_not_say(
    make_config: MakeConfig, table: DataConfig
) -> None:
    state = loop.prepare(small_run(make_config, table), "cpu")
    shapes = [tuple(one.shape) for name, one in state.model.named_parameters() if "embed" in name]
    assert shapes == [(6, 3), (3, 2)]
    list(loop.train(state))
    assert loop.test(state)["accuracy"] > 0.85
    vectors = next(iter(state.model.parameters()))
    assert vectors[0].tolist() == [0, 0, 0]


def test_a_model_of_the_users_own_gets_the_places_of_the_codes(
    make_config: MakeConfig, table: DataConfig
) -> None:
    changes = {"model": f"{__name__}:build_own", "model_params": {}, "epochs": 1}
    state = loop.prepare(small_run(make_config, table, **changes), "cpu")
    assert len(list(loop.train(state))) == 1


def test_models_and_remedies_that_would_take_codes_for_numbers_are_refused(
    make_config: MakeConfig, table: DataConfig
) -> None:
    with pytest.raises(UsageError, match=r"model 'mlp' cannot take codes \[F\]"):
        loop.prepare(small_run(make_config, table, model="mlp"), "cpu")
    with pytest.raises(UsageError, match=r"mixup_alpha = 0.2 mixes numbers, and codes are none"):
        loop.prepare(small_run(make_config, table, mixup_alpha=0.2), "cpu")
    document = study_document(data={"dataset": "csv:x.csv", "categories": "codes"})
    with pytest.raises(StudyFileError, match=r"model.model: model 'mlp' cannot take codes \[F\]"):
        resolve_study(document)
    document = study_document(data={"categories": "codes"})
    with pytest.raises(StudyFileError, match=r"data.categories = .*: goes only with csv:PATH"):
        resolve_study(document)


def test_an_export_encodes_rows_as_training_did(
    make_config: MakeConfig, table: DataConfig, tmp_path: Path
) -> None:
    state = loop.prepare(small_run(make_config, table, epochs=1), "cpu")
    list(loop.train(state))
    (tmp_path / "kept.safetensors").write_bytes(weights_file(state))
    write_export(tmp_path / "kept.safetensors", tmp_path / "model.safetensors")
    code = (
        "import csv, json, sys; sys.modules['bakeoff'] = None; import torch\n"
        "from load_model import ABOUT, encode, load_model, prepare\n"
        "rows = list(csv.DictReader(open('table.csv')))[:20]\n"
        "rows += [ABOUT['inputs']['example'], {**rows[0], 'colour': 'pink'}]\n"
        "samples = encode(rows)\n"
        "with torch.no_grad(): outputs = load_model()(prepare(samples))\n"
        "print(json.dumps([samples.tolist(), outputs.tolist()]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    samples, outputs = json.loads(done.stdout)
    known = read_tables((tmp_path / "table.csv",), None, "classification", as_codes=True)[0]
    np.testing.assert_allclose(samples[:20], known.features[:20], rtol=1e-6)
    assert samples[20][1:] == [1, 1]
    assert samples[21][1] == 0
    state.model.load_state_dict(scored_weights(state))
    prepared = state.splits.train.normalisation(torch.tensor(samples))
    with torch.no_grad():
        expected = state.model.eval()(prepared)
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-5)
