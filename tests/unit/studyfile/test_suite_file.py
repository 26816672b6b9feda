"""Suite files: what they say, and what is wrong with them."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from bakeoff.errors import StudyFileError
from bakeoff.studyfile.suite_file import load_suite, load_workload
from study_examples import study_document

SUITE: dict[str, dict[str, Any]] = {
    "suite": {"name": "toy", "question": "Do they hold?", "repeats": 2},
    "workloads": {"one": {"study": "one.toml"}, "two": {"study": "two.toml", "title": "a net"}},
    "contrasts": {"adam": {"a": ["adam"]}, "half": {"a": ["bf16"], "b": ["fp32"]}},
    "rules": {
        "adam": {"says": "Use Adam.", "workloads": ["one", "two"], "contrast": "adam"},
        "half": {
            "says": "Half is quick.", "workloads": ["two"], "contrast": "half",
            "measure": "precision", "confirmed_above": 1.5,
        },
        "gpu": {"says": "A GPU is quicker.", "not_tested": "it needs a GPU"},
    },
}  # fmt: skip


@pytest.fixture(name="write")
def _write(tmp_path):
    for name in ("one", "two"):
        document = study_document(study={"name": f"study-{name}"}, search={"trials_per_arm": 20})
        (tmp_path / f"{name}.toml").write_text(tomli_w.dumps(document))

    def write(**changes):
        document = deepcopy(SUITE)
        for section, keys in changes.items():
            document[section].update(keys)
        path = tmp_path / "toy.toml"
        path.write_text(tomli_w.dumps(document))
        return path

    return write


def test_a_suite_has_its_workloads_and_rules_in_the_order_of_the_file(write, tmp_path):
    suite = load_suite(write())
    assert [one.name for one in suite.workloads] == ["one", "two"]
    assert suite.workloads[1].file == tmp_path / "two.toml"
    adam, half, gpu = suite.rules
    assert (adam.contrast.a, adam.contrast.b) == (("adam",), ())
    assert (adam.confirmed_above, adam.refuted_below) == (0.0, 0.0)
    assert (half.confirmed_above, half.refuted_below) == (1.5, 1.5)
    assert (gpu.contrast, gpu.not_tested) == (None, "it needs a GPU")
    assert suite.tested == (adam, half)


def test_workloads_that_are_only_timed_need_no_study(write):
    rules = {"adam": SUITE["rules"]["adam"] | {"workloads": ["one"]}}
    assert [one.name for one in load_suite(write(rules=rules)).studied] == ["one"]


def test_workloads_of_a_rule_that_is_not_tested_need_no_study(write):
    rules = {
        "adam": SUITE["rules"]["adam"] | {"workloads": ["one"]},
        "gpu": SUITE["rules"]["gpu"] | {"workloads": ["two"]},
    }
    assert [one.name for one in load_suite(write(rules=rules)).studied] == ["one"]


def test_the_suite_decides_about_repeats_and_weights(write):
    (one, _) = load_suite(write()).workloads
    config = load_workload(one, 4, Path("results/weights.safetensors"))
    assert config.search.repeats == 4
    assert config.finetune.pretrained == "results/weights.safetensors"


@pytest.mark.parametrize(
    ("section", "keys", "message"),
    [
        ("suite", {"name": "../toy"}, "suite.name = '../toy': use letters"),
        ("suite", {"repeat": 2}, "suite.repeat: is no key of a suite file"),
        ("suite", {"repeats": 0}, "suite.repeats = 0: input should be greater"),
        ("workloads", {"one": {"study": "three.toml"}}, "three.toml: no such file"),
        ("workloads", {"one": {"study": "two.toml"}}, "called 'study-two', as that of 'one' is"),
        ("contrasts", {"adam": {"a": ["adamm"]}}, "unknown arm 'adamm'; did you mean 'adam'"),
        ("contrasts", {"adam": {"a": ["adam"], "b": ["adam"]}}, "'adam' is on both sides"),
        ("contrasts", {"adam": {"a": ["adam", "sgd"]}}, "workload one has no other arm"),
        ("contrasts", {"half": {"a": ["bf17"], "b": ["fp32"]}}, "unknown precision 'bf17'"),
        ("contrasts", {"half": {"a": ["bf16"]}}, "times of one thing are compared"),
        ("rules", {"adam": {"says": "?"}}, "rules.adam: give either a contrast, or not_tested"),
        ("rules", {"adam": {"says": "?", "contrast": "adam"}}, "rules.adam.workloads: name the"),
        (
            "rules",
            {"adam": SUITE["rules"]["adam"] | {"workloads": ["ome"]}},
            "unknown workload 'ome'; did you mean 'one'",
        ),
        (
            "rules",
            {"adam": SUITE["rules"]["adam"] | {"contrast": "adamw"}},
            "unknown contrast 'adamw'; did you mean 'adam'",
        ),
        (
            "rules",
            {"adam": SUITE["rules"]["adam"] | {"refuted_below": 1.0}},
            "rules.adam.refuted_below = 1: must be at most confirmed_above = 0",
        ),
        (
            "rules",
            {"half": SUITE["rules"]["half"] | {"refuted_below": 0.0}},
            "rules.half.refuted_below = 0: must be above 0",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_key(write, section, keys, message):
    path = write(**{section: keys})
    with pytest.raises(StudyFileError) as found:
        load_suite(path)
    assert str(found.value).startswith(f"{path}: ")
    assert message in str(found.value)
