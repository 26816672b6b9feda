"""Models and tokenizers of transformers, from folders that the tests write."""

import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from bakeoff.data import hub_files
from bakeoff.data.datasets import load_dataset
from bakeoff.errors import DataError, StudyFileError, UsageError
from bakeoff.production.export import write_export
from bakeoff.records import CONFIG_HASH, DataConfig, FinetuneConfig, TrainingConfig, TrialConfig
from bakeoff.session.checks import check_packages
from bakeoff.studyfile import resolve_study
from bakeoff.training import loop
from bakeoff.training.build import build_model
from bakeoff.training.pretrained import load_pretrained
from bakeoff.training.stages import find_parts
from bakeoff.training.state import TrainingState
from bakeoff.training.weights import scored_weights, weights_file
from bakeoff.training.weights_source import describe_source, find_weights
from study_examples import study_document

transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")

GOOD, BAD = ("bright", "kind", "warm"), ("dull", "cruel", "cold")
WORDS = ("[PAD]", "[UNK]", "a", "the", "day", "man", "room", *GOOD, *BAD)
LENGTH = 6
USE_EXPORT = """
import json, sys
sys.modules["bakeoff"] = None  # as if it were not installed
import torch
from load_model import encode, interpret, load_model, prepare
with torch.no_grad():
    outputs = load_model()(prepare(encode(sys.argv[1:])))
print(json.dumps([outputs.tolist(), interpret(outputs)]))
"""


def write_text_model(folder: Path) -> Path:
    """A tiny BERT with random weights that was made for two other classes, and its tokenizer."""
    config = transformers.BertConfig(
        vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=16, pad_token_id=0, num_labels=5,
    )  # fmt: skip
    torch.manual_seed(3)
    model = transformers.BertForSequenceClassification(config)
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config.to_dict()))
    save_file(model.state_dict(), folder / "model.safetensors")
    vocabulary = {word: token for token, word in enumerate(WORDS)}
    encoder = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, "[UNK]"))
    encoder.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    encoder.save(str(folder / "tokenizer.json"))
    (folder / "README.md").write_text("---\nlicense: cc-by-4.0\n---\n")
    return folder


def write_reviews(path: Path, num: int = 120) -> Path:
    draws = np.random.default_rng(0)
    lines = ["number,review,mood"]
    for number in range(num):
        word = draws.choice((GOOD, BAD)[number % 2])
        noun = draws.choice(["day", "man", "room"])
        lines.append(f"{number},the {word} {noun},{('good', 'bad')[number % 2]}")
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hub")
    write_text_model(folder / "bert")
    write_reviews(folder / "reviews.csv")
    return folder


def text_run(folder: Path, **changes: Any) -> TrialConfig:
    return TrialConfig(
        **{
            "optimizer": "adamw",
            "optimizer_params": {"learning_rate": 3e-3},
            "scheduler": "constant",
            "scheduler_params": {},
            "model": f"hf:{folder / 'bert'}",
            "model_params": {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0},
            "data": DataConfig(
                dataset=f"csv:{folder / 'reviews.csv'}", text="review",
                tokenizer=f"hf:{folder / 'bert'}", sequence_length=LENGTH,
            ),
            "training": TrainingConfig(epochs=6, batch_size=8, precision="fp32"),
            "objective": "accuracy",
            "score_rule": "last_epoch",
            "seed": 1,
            "split_seed": 0,
            "finetune": FinetuneConfig(pretrained=True),
            **changes,
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def trained(folder: Path) -> TrainingState:
    state = loop.prepare(text_run(folder), "cpu")
    list(loop.train(state))
    return state


def test_texts_of_a_column_become_tokens_of_the_models_tokenizer(folder: Path) -> None:
    dataset = load_dataset(text_run(folder).data)
    assert dataset.class_names == ("bad", "good")
    assert dataset.train_inputs.dtype == np.int32
    assert dataset.train_inputs.shape == (96, LENGTH)
    words = [WORDS[token] for token in dataset.train_inputs[0]]
    assert words[0] == "the"
    assert (words[1] in GOOD) == (dataset.train_labels[0] == 1)
    assert words[3:] == ["[PAD]"] * 3


def test_texts_may_have_several_labels(folder: Path, tmp_path: Path) -> None:
    rows = (folder / "reviews.csv").read_text().splitlines()
    labelled = [f"{row},{number % 2},{number % 3 % 2}" for number, row in enumerate(rows)]
    labelled[0] = f"{rows[0]},kind,long"
    (tmp_path / "labelled.csv").write_text("\n".join(labelled) + "\n")
    changes = {"dataset": f"csv:{tmp_path / 'labelled.csv'}", "task": "multilabel"}
    dataset = load_dataset(replace(text_run(folder).data, **changes, target=("kind", "long")))
    assert dataset.class_names == ("kind", "long")
    assert (dataset.train_labels.shape, dataset.train_inputs.shape) == ((96, 2), (96, LENGTH))
    moods = {
        WORDS[row[1]] in BAD
        for row, one in zip(dataset.train_inputs, dataset.train_labels, strict=True)
        if one[0]
    }
    assert moods == {False}


def test_long_texts_are_cut_and_that_is_said(folder: Path) -> None:
    dataset = load_dataset(replace(text_run(folder).data, sequence_length=2))
    assert dataset.train_inputs.shape == (96, 2)
    assert "120 of 120 texts have more than 2 tokens and are cut" in dataset.notes


def test_a_model_of_texts_learns_from_pretrained_weights(trained: TrainingState) -> None:
    assert trained.history[-1].metrics["accuracy"] == 1.0


def test_weights_of_the_folder_are_loaded_and_the_head_is_new(folder: Path) -> None:
    given = load_file(folder / "bert" / "model.safetensors")
    state = loop.prepare(text_run(folder), "cpu")
    for name, value in state.model.state_dict().items():
        if not name.startswith("model.classifier"):
            assert torch.equal(value, given[name.removeprefix("model.")]), name
    assert state.model.state_dict()["model.classifier.weight"].shape == (2, 16)
    about = describe_source(f"hf:{folder / 'bert'}", True)
    assert about["pretrained weights, licence"] == "cc-by-4.0"
    config = (folder / "bert" / "config.json").read_bytes()
    assert about[CONFIG_HASH] == hashlib.sha256(config).hexdigest()
    assert describe_source(f"hf:{folder / 'bert'}", False) == {CONFIG_HASH: about[CONFIG_HASH]}


def test_layers_that_the_file_lacks_are_fresh_and_never_frozen(folder: Path) -> None:
    base = folder / "base"
    if not base.exists():
        write_text_model(base)
        given = load_file(base / "model.safetensors")
        inner = {
            name.removeprefix("bert."): value
            for name, value in given.items()
            if name.startswith("bert.") and "pooler" not in name
        }
        save_file(inner, base / "model.safetensors")
    state = loop.prepare(
        text_run(
            folder, model=f"hf:{base}", finetune=FinetuneConfig(pretrained=True, freeze="backbone")
        ),
        "cpu",
    )
    assert state.fresh == {"model.bert.pooler.dense.weight", "model.bert.pooler.dense.bias"}
    trained = [name for name, one in state.model.named_parameters() if one.requires_grad]
    assert trained == [
        "model.bert.pooler.dense.weight", "model.bert.pooler.dense.bias",
        "model.classifier.weight", "model.classifier.bias",
    ]  # fmt: skip
    torch.testing.assert_close(
        state.model.state_dict()["model.bert.embeddings.word_embeddings.weight"],
        load_file(folder / "bert" / "model.safetensors")["bert.embeddings.word_embeddings.weight"],
    )


def test_the_blocks_of_a_transformer_are_stages(folder: Path) -> None:
    model = build_model(
        f"hf:{folder / 'bert'}", {}, input_shape=(LENGTH,), num_outputs=2, is_text=True
    )
    assert len(find_parts(model, 2).stages) == 4  # embeddings, two blocks, pooler


def test_padding_changes_no_logit(trained: TrainingState) -> None:
    tokens = torch.tensor([[3, WORDS.index("warm"), 4]])
    padded = torch.cat([tokens, torch.zeros(1, 5, dtype=torch.int64)], dim=1)
    with torch.no_grad():
        short, long = (trained.model.eval()(one) for one in (tokens, padded))
    torch.testing.assert_close(short, long, rtol=1e-5, atol=1e-6)


def test_an_export_of_texts_runs_without_bakeoff_and_without_the_folder(
    trained: TrainingState, tmp_path: Path
) -> None:
    (tmp_path / "kept.safetensors").write_bytes(weights_file(trained))
    write_export(tmp_path / "kept.safetensors", tmp_path / "out" / "model.safetensors")
    example = (tmp_path / "out" / "use_model.py").read_text()
    assert "needs torch, safetensors, tokenizers and transformers" in example
    texts = ["the warm day", "the cold room", "a strange man"]
    done = subprocess.run(
        [sys.executable, "-c", USE_EXPORT, *texts],
        cwd=tmp_path / "out", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    outputs, names = json.loads(done.stdout)
    assert names[:2] == ["good", "bad"]
    tokens = [
        [WORDS.index(word) if word in WORDS else 1 for word in text.split()] for text in texts
    ]
    trained.model.load_state_dict(scored_weights(trained))
    with torch.no_grad():
        expected = trained.model.eval()(torch.tensor([row + [0] * 3 for row in tokens]))
    torch.testing.assert_close(torch.tensor(outputs), expected, rtol=1e-4, atol=1e-5)


def test_settings_of_the_configuration_are_parameters_of_the_model(folder: Path) -> None:
    name, given = f"hf:{folder / 'bert'}", {"input_shape": (LENGTH,), "num_outputs": 2}
    model = build_model(name, {"hidden_dropout_prob": 0.4}, is_text=True, **given)
    assert 0.4 in [one.p for one in model.modules() if isinstance(one, torch.nn.Dropout)]
    with pytest.raises(UsageError, match="the configuration has no 'hidden_dropout'"):
        build_model(name, {"hidden_dropout": 0.4}, is_text=True, **given)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_model_of_images_is_built_for_their_channels(tmp_path: Path, channels: int) -> None:
    config = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic"
    )
    (tmp_path / "config.json").write_text(json.dumps(config.to_dict()))
    model = build_model(f"hf:{tmp_path}", {}, input_shape=(channels, 32, 32), num_outputs=4)
    assert model(torch.zeros(2, channels, 32, 32)).shape == (2, 4)


def test_a_vision_transformer_takes_images_of_another_size(tmp_path: Path) -> None:
    config = transformers.ViTConfig(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8,
        image_size=32, patch_size=8,
    )  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(config.to_dict()))
    given = transformers.ViTForImageClassification(config).state_dict()
    table = "vit.embeddings.position_embeddings"
    given[table][:, 1:] = 2.5  # the same for every patch, so that it is the same in between
    save_file(given, tmp_path / "model.safetensors")
    model = build_model(f"hf:{tmp_path}", {}, input_shape=(3, 16, 16), num_outputs=4)
    load_pretrained(model, find_weights(f"hf:{tmp_path}", True), 4)
    found = model.state_dict()[f"model.{table}"]
    assert found.shape == (1, 1 + 4, 8)
    assert torch.equal(found[:, 0], given[table][:, 0])
    torch.testing.assert_close(found[:, 1:], torch.full((1, 4, 8), 2.5))


def test_pictures_are_normalised_as_the_folder_says(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"")
    asked = {"do_normalize": True, "image_mean": [0.5] * 3, "image_std": [0.25] * 3}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(asked))
    scale = find_weights(f"hf:{tmp_path}", True).scale
    assert scale is not None
    assert (scale.mean, scale.deviation) == ((0.5,) * 3, (0.25,) * 3)
    for damaged in ("{", json.dumps({"image_mean": [0.5] * 3})):
        (tmp_path / "preprocessor_config.json").write_text(damaged)
        assert find_weights(f"hf:{tmp_path}", True).scale is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": {"text": "review"}, "model": {"model": "mlp"}}, "model 'mlp' cannot take text [L]"),
        ({"data": {"text": "review", "tokenizer": "hf:./bert"}, "model": {"model": "mlp"}}, "data.tokenizer = \"hf:./bert\": goes only with a model hf:NAME"),
        ({"data": {"tokenizer": "hf:./bert"}, "model": {"model": "mlp"}}, "data.tokenizer: goes only with data.text"),
        ({"model": {"model": "hf:./bert"}}, "cannot take features [F]; it takes image [C, H, W] or text [L]"),
        ({"data": {"text": "review"}, "model": {"model": "hf:./bert"}, "finetune": {"pretrained": "main"}}, "finetune.pretrained"),
        ({"data": {"text": "review", "normalize": "none"}, "model": {"model": "hf:./bert"}}, "tokens are not normalised"),
    ],
    ids=str,
)  # fmt: skip
def test_what_does_not_go_with_texts_is_refused(changes: dict[str, Any], message: str) -> None:
    document = study_document(data={"dataset": "csv:reviews.csv"})
    for section, keys in changes.items():
        document[section] = keys if section == "model" else {**document.get(section, {}), **keys}
    with pytest.raises(StudyFileError) as caught:
        resolve_study(document)
    assert message in str(caught.value)


def test_mixing_texts_is_refused(folder: Path) -> None:
    config = text_run(folder)
    with pytest.raises(UsageError, match=r"training\.mixup_alpha = 0\.2 mixes numbers"):
        loop.prepare(replace(config, training=replace(config.training, mixup_alpha=0.2)), "cpu")


def test_a_model_that_cannot_be_downloaded_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))

    def refuse(*_: object, **__: object) -> None:
        raise OSError("no network here")

    monkeypatch.setattr("huggingface_hub.snapshot_download", refuse)
    document = study_document(data={"dataset": "csv:reviews.csv", "text": "review"})
    document["model"] = {"model": "hf:someone/no-such-model"}
    with pytest.raises(DataError) as caught:
        check_packages(resolve_study(document))
    assert str(caught.value) == (
        "hf:someone/no-such-model cannot be downloaded (OSError: no network here); download"
        " config.json, tokenizer.json and model.safetensors from"
        " https://huggingface.co/someone/no-such-model into a folder and name it as hf:./FOLDER"
    )
    with pytest.raises(DataError, match=r"hf:\./nowhere has no config.json on this machine"):
        hub_files.fetch_hub_model("hf:./nowhere")
