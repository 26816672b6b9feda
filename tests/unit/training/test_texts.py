"""Texts of a table with labels, as words or characters of a vocabulary of their own."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bakeoff.data.datasets import load_dataset
from bakeoff.data.own_tokens import make_vocabulary, number_texts, split_text
from bakeoff.data.text_file import UNKNOWN
from bakeoff.errors import StudyFileError
from bakeoff.networks.sequence import build_gru
from bakeoff.production.export import write_export
from bakeoff.records import DataConfig, TrialConfig
from bakeoff.studyfile import resolve_study
from bakeoff.training import loop
from bakeoff.training.build import build_model
from bakeoff.training.weights import scored_weights, weights_file
from study_examples import study_document

MakeConfig = Callable[..., TrialConfig]

NUM, LENGTH = 160, 8
MODELS = ("lstm", "gru", "transformer")


def write_reviews(path: Path) -> Path:
    """The mood is whether "not" comes before the word that says it."""
    draws = np.random.default_rng(0)
    lines = ["review,mood"]
    for number in range(NUM):
        words = ["The", draws.choice(["day", "man", "room"]), "is"]
        words += (
            ["not"] * (number % 2) + ["good"] + list(draws.choice(["today", "here"], number % 4))
        )
        lines.append(f"{' '.join(words)}!,{('good', 'bad')[number % 2]}")
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def reviews(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataConfig:
    monkeypatch.setenv("BAKEOFF_DATA", str(tmp_path / "cache"))
    path = write_reviews(tmp_path / "reviews.csv")
    return DataConfig(
        dataset=f"csv:{path}", text="review", tokenizer="words", sequence_length=LENGTH
    )


def build_own(input_shape: tuple[int, ...], num_outputs: int, num_tokens: int) -> nn.Module:
    """A user's model, which gets the size of the vocabulary as `num_tokens`."""
    assert (input_shape, num_tokens) == ((LENGTH,), 12)
    return build_gru(input_shape, num_outputs, 8, 1, 0.0, num_tokens)


def small_run(make_config: MakeConfig, data: DataConfig, **changes: Any) -> TrialConfig:
    config = make_config(
        **{
            "model": "gru", "model_params": {"width": 32}, "epochs": 8, "batch_size": 16,
            "optimizer_params": {"learning_rate": 0.01}, **changes,
        }
    )  # fmt: skip
    return replace(config, data=data)


def test_texts_are_split_in_small_letters() -> None:
    assert split_text("It's 3.5 \N{DEGREE SIGN}C,\nnow", "words") == [
        "it", "'", "s", "3", ".", "5", "\N{DEGREE SIGN}", "c", ",", "now",
    ]  # fmt: skip
    assert split_text("A b\n", "characters") == ["a", " ", "b", "\n"]


def test_a_vocabulary_has_the_frequent_words_and_numbers_the_others_1() -> None:
    vocabulary = make_vocabulary(["b a", "a b", "a once"], "words")
    assert vocabulary == ("", UNKNOWN, "a", "b")
    tokens, num_cut = number_texts(["a once b", "b", "a a a a a", ""], vocabulary, "words", 4)
    assert tokens.tolist() == [[2, 1, 3, 0], [3, 0, 0, 0], [2, 2, 2, 2], [0, 0, 0, 0]]
    assert num_cut == 1


def test_the_vocabulary_is_that_of_the_texts_outside_the_test_set(reviews: DataConfig) -> None:
    dataset = load_dataset(reviews)
    texts = [row.rpartition(",")[0] for row in Path(reviews.dataset[4:]).read_text().splitlines()]
    known = {token for text in texts[1:] for token in split_text(text, "words")}
    assert {*dataset.vocabulary[2:]} == known
    assert dataset.vocabulary[2:6] == ("!", "good", "is", "the")
    assert dataset.train_inputs.shape == (128, LENGTH)
    assert load_dataset(reviews).vocabulary == dataset.vocabulary  # from the cache
    short = load_dataset(replace(reviews, sequence_length=3))
    assert "160 of 160 texts have more than 3 tokens and are cut" in short.notes
    other = Path(reviews.dataset[4:]).with_name("other.csv")
    other.write_text("review,mood\nan unseen text here,good\nit,bad\n")
    both = load_dataset(replace(reviews, sequence_length=3, validation=f"csv:{other}"))
    assert both.vocabulary == dataset.vocabulary
    assert "1 of 2 texts of other.csv have more than 3 tokens and are cut" in both.notes
    characters = load_dataset(replace(reviews, tokenizer="characters"))
    assert {len(token) for token in characters.vocabulary[1:]} == {1}


@pytest.mark.parametrize("model", MODELS)
def test_a_model_learns_what_a_text_says(
    make_config: MakeConfig, reviews: DataConfig, model: str
) -> None:
    state = loop.prepare(small_run(make_config, reviews, model=model), "cpu")
    list(loop.train(state))
    assert loop.test(state)["accuracy"] == 1.0


@pytest.mark.parametrize("model", MODELS)
def test_padding_and_the_length_of_the_longest_text_change_nothing(model: str) -> None:
    vocabulary = tuple(map(str, range(20)))
    torch.manual_seed(0)
    built = build_model(
        model, {"width": 32, "depth": 2}, input_shape=(12,), num_outputs=3, is_text=True,
        vocabulary=vocabulary,
    ).eval()  # fmt: skip
    tokens = torch.randint(1, 20, (4, 12), generator=torch.Generator().manual_seed(1))
    tokens[:, 7:] = 0
    tokens[1, 3:] = 0
    whole = built(tokens)
    assert whole.shape == (4, 3)
    torch.testing.assert_close(built(tokens[:, :7]), whole, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(built(tokens[1:2, :3]), whole[1:2], rtol=1e-5, atol=1e-6)
    changed = tokens.clone()
    changed[0, 6] = tokens[0, 6] % 19 + 1
    assert not torch.allclose(built(changed)[0], whole[0])
    assert built(torch.zeros(2, 12, dtype=torch.int64)).isfinite().all()


def test_a_model_of_the_users_own_gets_the_number_of_tokens(
    make_config: MakeConfig, reviews: DataConfig
) -> None:
    changes = {"model": f"{__name__}:build_own", "model_params": {}, "epochs": 1}
    state = loop.prepare(small_run(make_config, reviews, **changes), "cpu")
    assert len(list(loop.train(state))) == 1


@pytest.mark.parametrize("tokenizer", ["words", "characters"])
def test_an_export_encodes_texts_as_training_did(
    make_config: MakeConfig, reviews: DataConfig, tmp_path: Path, tokenizer: str
) -> None:
    data = replace(reviews, tokenizer=tokenizer, sequence_length=20)
    state = loop.prepare(small_run(make_config, data, epochs=1), "cpu")
    list(loop.train(state))
    (tmp_path / "kept.safetensors").write_bytes(weights_file(state))
    paths = write_export(tmp_path / "kept.safetensors", tmp_path / "model.safetensors")
    texts = ["The day is not good here!", "unheard-of", ""]
    code = (
        "import json, sys; sys.modules['bakeoff'] = None; import torch\n"
        "from load_model import encode, load_model, prepare\n"
        f"samples = encode({texts!r})\n"
        "with torch.no_grad(): outputs = load_model()(prepare(samples))\n"
        "print(json.dumps([samples.tolist(), outputs.tolist()]))"
    )
    for script in (["-c", code], [paths.example.name]):
        done = subprocess.run(
            [sys.executable, *script], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        if script[0] == "-c":
            samples, outputs = json.loads(done.stdout)
    expected, _ = number_texts(texts, state.splits.vocabulary, tokenizer, 20)
    assert samples == expected.tolist()
    state.model.load_state_dict(scored_weights(state))
    with torch.no_grad():
        logits = state.model.eval()(torch.tensor(samples))
    np.testing.assert_allclose(outputs, logits, rtol=1e-4, atol=1e-5)


def test_words_are_the_default_of_models_without_a_tokenizer() -> None:
    document = study_document(data={"dataset": "csv:x.csv", "text": "review"})
    document["model"] = {"model": "gru"}
    assert resolve_study(document).data.tokenizer == "words"


@pytest.mark.parametrize(
    ("model", "tokenizer", "message"),
    [
        ("gru", "hf:./bert", "data.tokenizer = .*: goes only with a model hf:NAME or one of your"),
        (
            "hf:./bert",
            "words",
            "data.tokenizer = .*: the model 'hf:./bert' knows the tokens of hf:",
        ),
        ("mlp", "words", r"model.model: model 'mlp' cannot take text \[L\]"),
        ("gru", "bytes", "data.tokenizer"),
    ],
)
def test_tokens_that_a_model_does_not_know_are_refused(
    model: str, tokenizer: str, message: str
) -> None:
    data = {"dataset": "csv:x.csv", "text": "review", "tokenizer": tokenizer}
    document = study_document(data=data)
    document["model"] = {"model": model}
    with pytest.raises(StudyFileError, match=message):
        resolve_study(document)
