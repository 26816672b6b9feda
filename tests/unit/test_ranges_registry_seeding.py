import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st

from bakeoff.components.optimizers import OPTIMIZERS
from bakeoff.errors import UsageError
from bakeoff.ranges import Choice, FloatRange, IntRange
from bakeoff.records.significance import min_confirmation_seeds
from bakeoff.registry import Registry, is_reference, resolve
from bakeoff.seeding import derive_seed


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: FloatRange(low=2.0, high=1.0), "low = 2.0 is above high = 1.0"),
        (lambda: FloatRange(low=0.0, high=1.0, log=True), "must be above 0 where log = true"),
        (lambda: FloatRange(low=float("nan"), high=1.0), "must be finite"),
        (lambda: FloatRange(low=0.0, high=float("inf")), "must be finite"),
        (lambda: IntRange(low=1, high=8, step=0), "step = 0 must be at least 1"),
        (lambda: IntRange(low=1, high=8, step=2, log=True), "cannot be combined with log"),
        (lambda: IntRange(low=1, high=8, step=3), "multiple of step = 3"),
        (lambda: Choice(choices=()), "choices is empty"),
        (lambda: Choice(choices=(1, 2, 1)), "holds a value twice"),
    ],
)
def test_an_impossible_range_is_refused_with_its_value(build, message):
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize(
    ("setting", "value", "expected"),
    [
        (FloatRange(low=0.1, high=1.0), 1.0, True),
        (FloatRange(low=0.1, high=1.0), 1.1, False),
        (FloatRange(low=0.0, high=1.0), True, False),
        (IntRange(low=2, high=8, step=2), 6, True),
        (IntRange(low=2, high=8, step=2), 5, False),
        (IntRange(low=2, high=8), 2.0, False),
        (Choice(choices=(1, "a")), 1, True),
        (Choice(choices=(1, "a")), True, False),
    ],
)
def test_a_range_knows_its_values(setting, value, expected):
    assert (value in setting) is expected


def test_a_registry_refuses_a_name_twice():
    spec = OPTIMIZERS["sgd"]
    with pytest.raises(ValueError, match="'sgd' is registered twice"):
        Registry("optimizer", [spec, spec])


def test_an_unknown_name_is_answered_with_the_nearest_and_all_known_ones():
    with pytest.raises(UsageError, match=r"unknown optimizer 'adamm'; did you mean 'adam'.*sgd"):
        OPTIMIZERS["adamm"]


def test_a_reference_is_resolved_to_what_it_names():
    assert resolve("json:dumps") is json.dumps


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("no_such_package:build", "cannot import 'no_such_package'"),
        ("json:no_such_name", "module 'json' has no attribute 'no_such_name'"),
    ],
)
def test_a_broken_reference_says_what_is_missing(reference, message):
    with pytest.raises(UsageError, match=message):
        resolve(reference)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a.b:c", True), ("a:b", True), ("a.b", False), ("a/b:c", False), ("a:b c", False)],
)
def test_references_are_recognised_by_their_form(text, expected):
    assert is_reference(text) is expected


@given(st.lists(st.one_of(st.integers(), st.text(max_size=5)), min_size=1, max_size=4))
def test_a_seed_depends_on_its_path_and_fits_in_31_bits(path):
    seed = derive_seed(*path)
    assert derive_seed(*path) == seed
    assert 0 <= seed < 2**31
    assert derive_seed(*path, "more") != seed


def test_derived_seeds_stay_what_they_are_from_release_to_release():
    assert derive_seed(0, "training", 3) == 1480991325


def test_text_and_number_in_a_seed_path_are_not_the_same():
    assert derive_seed("1") != derive_seed(1)


@pytest.mark.parametrize(
    ("num_arms", "expected"), [(1, 6), (2, 6), (3, 7), (4, 8), (5, 9), (6, 10)]
)
def test_fewest_seeds_that_can_support_a_verdict(num_arms, expected):
    assert min_confirmation_seeds(num_arms) == expected


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import math\nmath.sqrt(-1)\n", "ValueError: math domain error (lone_fault.py:2)"),
        ("import json\n\n\njson.loads('x')\n", "Expecting value: line 1 column 1 (char 0) (lone_fault.py:4)"),
        ("def f(:\n", "SyntaxError: invalid syntax (lone_fault.py, line 1)"),
    ],
    ids=["own", "library", "syntax"],
)  # fmt: skip
def test_a_fault_of_the_users_code_names_their_file_and_line(tmp_path, monkeypatch, code, message):
    (tmp_path / "lone_fault.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UsageError) as caught:
        resolve("lone_fault:build")
    assert str(caught.value).endswith(message)
    assert "\n" not in str(caught.value)


# ---------------------------------------------------------------- the user's modules


def test_a_module_that_changes_folder_seeds_and_prints_leaves_no_trace(
    tmp_path, monkeypatch, capsys
):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "restless.py").write_text(
        "import os, random, numpy, torch\n"
        "os.chdir('elsewhere'); random.seed(1); numpy.random.seed(1); torch.manual_seed(1)\n"
        "print('loading')\n"
        "def build(): pass\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))

    def state():
        return random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()

    before = state()
    assert callable(resolve("restless:build"))
    assert Path.cwd() == tmp_path
    assert state() == before
    assert capsys.readouterr() == ("", "loading\n")


def test_file_that_is_named_like_a_module_of_python_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own = tmp_path / "statistics.py"
    with pytest.raises(UsageError, match=r"no attribute 'build'$"):
        resolve("statistics:build")
    own.write_text("build = 1\n")
    with pytest.raises(UsageError, match=r"Python took .*lib.* and not .*statistics\.py: rename"):
        resolve("statistics:build")
