"""A model function of the user that cannot be used is refused in one line that names it."""

import sys
from pathlib import Path

import pytest
import torch

from bakeoff.errors import UsageError
from bakeoff.training.build import build_model


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("own_models:build_frozen", "has no trainable parameters"),
        ("own_models:build_wrong_shape", r"gives \[2, 11\], not outputs of shape \[2, 10\]"),
        ("own_models:build_wrong_input", r"does not take inputs of shape \[2, 1, 8, 8\]"),
        ("own_models:build_number", "is int, not a torch.nn.Module"),
        ("own_models:build_failing", "KeyError: 'own fault'"),
        ("own_models:not_a_function", "is not a function"),
        ("own_models:build_nothing", "has no attribute 'build_nothing'"),
        ("no_such_models:build", "cannot import 'no_such_models'"),
    ],
)
def test_message_names_a_model_of_the_user_that_cannot_be_used(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        build_model(name, {}, input_shape=(1, 8, 8), num_outputs=10)
    assert name.partition(":")[0] in str(caught.value)


def test_parameter_that_the_users_function_does_not_take_is_refused() -> None:
    with pytest.raises(UsageError, match="unexpected keyword argument 'width'"):
        build_model("own_models:build_noisy", {"width": 3}, input_shape=(64,), num_outputs=10)


def test_running_out_of_memory_is_not_reported_as_a_wrong_model() -> None:
    with pytest.raises(torch.OutOfMemoryError):
        build_model("own_models:build_out_of_memory", {}, input_shape=(64,), num_outputs=10)


OWN_MODELS = {
    "def build(:\n": "cannot import 'lone_model' for 'lone_model:build': SyntaxError: invalid syntax",
    "import no_such_package\n": "ModuleNotFoundError: No module named 'no_such_package' (lone_model.py:1)",
    "def other():\n    pass\n": "module 'lone_model' has no attribute 'build'",
    "build = 3\n": "is not a function",
    "print('noise')\nraise SystemExit(3)\n": "SystemExit: 3 (lone_model.py:2)",
    "def build(**_):\n    raise SystemExit('bye')\n": "SystemExit: bye (lone_model.py:2)",
    "def build():\n    pass\n": "got an unexpected keyword argument 'input_shape'; it is called with"
    " input_shape=, num_outputs=",
}  # fmt: skip


@pytest.mark.parametrize(("code", "message"), OWN_MODELS.items(), ids=range(len(OWN_MODELS)))
def test_model_that_cannot_be_built_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: str, message: str
) -> None:
    (tmp_path / "lone_model.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "lone_model", raising=False)
    with pytest.raises(UsageError) as caught:
        build_model("lone_model:build", {}, input_shape=(4,), num_outputs=2)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


WRONG_INSIDE = (
    "import torch\n"
    "def build(input_shape, num_outputs):\n"
    "    return torch.nn.Linear(4, num_outputs, biass=False)\n"
)
NO_ARGUMENTS = "import torch\nclass build(torch.nn.Module):\n    pass\n"


@pytest.mark.parametrize(("code", "hints"), [(WRONG_INSIDE, False), (NO_ARGUMENTS, True)])
def test_how_a_model_is_called_is_said_only_where_that_call_was_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: str, hints: bool
) -> None:
    (tmp_path / "lone_model.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "lone_model", raising=False)
    with pytest.raises(UsageError, match="unexpected keyword argument") as caught:
        build_model("lone_model:build", {}, input_shape=(4,), num_outputs=2)
    assert ("it is called with" in str(caught.value)) == hints
    assert ("(lone_model.py:3)" in str(caught.value)) == (not hints)
