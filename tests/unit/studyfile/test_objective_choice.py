"""`[study] objective` as one metric or as several objectives."""

import tomllib

import pytest

from bakeoff.errors import StudyFileError
from bakeoff.studyfile import describe_settings, format_study, resolve_study
from study_examples import study_document


def document(objective, **search):
    found = study_document(study={"objective": objective}, search=search)
    if "pruner" not in search:
        del found["search"]["pruner"]
    return found


def test_several_objectives_prune_nothing_and_the_first_leads():
    config = resolve_study(document(["accuracy", "train_seconds"]))
    assert (config.objective, config.further_objectives) == ("accuracy", ("train_seconds",))
    assert (config.search.pruner, config.search.audit) == ("none", 0.0)
    assert resolve_study(tomllib.loads(format_study(config))) == config
    assert dict(describe_settings(config))["study.objective"] == '["accuracy", "train_seconds"]'


def test_a_list_of_one_objective_is_that_objective():
    one = resolve_study(document(["accuracy"]))
    assert one == resolve_study(document("accuracy"))
    assert one.search.pruner == "cautious"


@pytest.mark.parametrize(
    ("objective", "search", "message"),
    [
        ("train_seconds", {}, 'study.objective = "train_seconds": runs are scored and confirmed'),
        (["train_seconds", "accuracy"], {}, 'not a cost, as in ["accuracy", "train_seconds"]'),
        (["accuracy", "seconds"], {}, "unknown objective 'seconds'; did you mean 'train_seconds'"),
        (["accuracy", "rmse"], {}, "unknown objective 'rmse'"),
        (["accuracy", "accuracy"], {}, "'accuracy' is listed twice"),
        ([], {}, "study.objective = []: allowed are one metric"),
        (["accuracy", "loss", "auroc", "macro_f1"], {}, "1 to 3 objectives"),
        (["accuracy", "loss"], {"pruner": "median"}, 'search.pruner = "median": with several'),
        (["accuracy", "loss"], {"pruner": {"name": "halving"}}, 'search.pruner = "halving"'),
        (["accuracy", "loss"], {"sampler": "cmaes"}, 'search.sampler = "cmaes": supports one'),
    ],
)  # fmt: skip
def test_objectives_that_cannot_be_optimized_are_refused_with_the_reason(
    objective, search, message
):
    with pytest.raises(StudyFileError) as refused:
        resolve_study(document(objective, **search))
    assert message in str(refused.value)


def test_several_objectives_accept_the_pruner_none():
    assert resolve_study(document(["accuracy", "loss"], pruner="none")).search.pruner == "none"
