"""Study files changed at random: each is valid, or refused with one line; nothing else happens."""

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings, strategies as st

from bakeoff.commands.cli import main
from study_examples import study_document

FULL: dict[str, Any] = study_document(
    study={"compare": ["optimizer"], "seed": 0, "delta": 0.01, "score": "last_epoch"},
    data={"validation_fraction": 0.2, "augment": ["flip"], "imbalance": 2.0, "train_samples": 99},
    model={"dropout": {"low": 0.0, "high": 0.5}},
    training={"clip_grad_norm": 1.0, "label_smoothing": 0.1, "batch_size": {"choices": [16, 32]}},
    search={"pruner": {"name": "percentile", "percentile": 25.0}, "sampler": "tpe", "audit": 0.1},
    space={"sgd": {"learning_rate": {"low": 1e-3, "high": 1.0, "log": True}, "momentum": 0.9}},
    confirm={"seeds": "auto", "shortlist": 2},
    tracking={"tensorboard": True, "wandb": "mine"},
)
"""A study with something in every section."""

WORDS = ("", "sgd", "cosine", "auto", "none", "grid", "threshold", "schedule_free_sgd", "loss",
    "rmse", "csv:x", "text:x", "a.b:c", "torchvision:resnet18", "../x", "x\n", "0,1", "\u202e",
    "low", "high", "name", "choices", "model", "training", "step",
)  # fmt: skip
NUMBERS = (0, 1, -1, 2, 3, 10**6, 10**18, 0.0, 0.5, 1.0, -0.5, 1e-300, 1e300, math.nan, math.inf)
SCALARS = st.one_of(
    st.sampled_from(NUMBERS),
    st.sampled_from(WORDS),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(WORDS), inner, max_size=3),
        st.fixed_dictionaries({"low": inner, "high": inner}, optional={"log": st.booleans()}),
    ),
    max_leaves=4,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something stands in a document, the document itself aside."""
    keys = (
        value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    )
    below = [place for key in keys for place in places(value[key], (*path, key))]
    return ([path] if path else []) + below


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """The full study with one to three places replaced, removed, renamed or moved."""
    document = copy.deepcopy(FULL)
    for _ in range(draw(st.integers(1, 3))):
        *path, last = draw(st.sampled_from(places(document)))
        parent: Any = document
        for key in path:
            parent = parent[key]
        match draw(st.sampled_from(["replace", "replace", "remove", "rename", "move"])):
            case "replace":
                parent[last] = draw(VALUES)
            case "remove":
                del parent[last]
            case "rename" if isinstance(parent, dict):
                parent[draw(st.sampled_from(WORDS))] = parent.pop(last)
            case _:
                other = draw(st.sampled_from(sorted(document)))
                if isinstance(document[other], dict):
                    document[other][str(last)] = copy.deepcopy(parent[last])
        if not document:
            break
    return document


def check(document: dict[str, Any], folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = folder / "study.toml"
    file.write_text(tomli_w.dumps(document), encoding="utf-8")
    code = 0
    try:
        main(["validate", str(file)])
    except SystemExit as ended:
        code = int(ended.code or 0)
    lines = capsys.readouterr().err.splitlines()
    assert code in (0, 2)
    assert len(lines) == (0 if code == 0 else 1), lines
    assert all(line.startswith(f"study: {file}: ") for line in lines)
    assert list(folder.iterdir()) == [file]


CHECKS = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@settings(max_examples=150, deadline=None, suppress_health_check=CHECKS)
@given(documents())
def test_a_mutated_study_is_valid_or_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], document: dict[str, Any]
) -> None:
    check(document, tmp_path, capsys)


@pytest.mark.slow
@settings(max_examples=5000, deadline=None, suppress_health_check=CHECKS)
@given(documents())
@pytest.mark.timeout(1200)
def test_five_thousand_mutated_studies_are_valid_or_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], document: dict[str, Any]
) -> None:
    check(document, tmp_path, capsys)
