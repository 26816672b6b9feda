import tomllib

import pytest

from bakeoff.errors import StudyFileError
from bakeoff.studyfile import format_study, resolve_study
from study_examples import study_document


def search_of(**keys):
    return resolve_study(study_document(search=keys)).search


@pytest.mark.parametrize(
    ("given", "name", "params"),
    [
        ("none", "none", {}),
        ("percentile", "percentile", {"percentile": 25.0}),
        ({"name": "percentile", "percentile": 40}, "percentile", {"percentile": 40.0}),
        ({"name": "hyperband", "reduction": 4}, "hyperband", {"reduction": 4}),
        ({"name": "patient", "patience": 5}, "patient", {"patience": 5, "min_delta": 0.0}),
        ({"name": "threshold", "upper": 2.5}, "threshold", {"upper": 2.5}),
    ],
)
def test_a_pruner_is_named_alone_or_with_its_settings(given, name, params):
    config = resolve_study(study_document(search={"pruner": given}))
    assert (config.search.pruner, config.search.pruner_params) == (name, params)
    assert resolve_study(tomllib.loads(format_study(config))) == config


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("wilcoxon", 'search.pruner = "wilcoxon": is for trials that report scores of the same'),
        ("medan", "search.pruner: unknown pruner 'medan'; did you mean 'median'?"),
        ("threshold", 'search.pruner = "threshold": needs lower or upper'),
        ({"name": "median", "patience": 3}, "search.pruner.patience = 3: not a setting of 'median'; allowed: none"),
        ({"name": "patient", "reduction": 3}, "not a setting of 'patient'; allowed: patience, min_delta"),
        ({"name": "percentile", "percentile": 0}, "search.pruner.percentile = 0: must be above 0 and below 100"),
        ({"name": "threshold", "lower": 1.0, "upper": 0.5}, 'search.pruner = "threshold": lower = 1.0 must be below upper = 0.5'),
        ({"name": "threshold", "low": 1.0}, "search.pruner.low = 1.0: not a setting of 'threshold'; allowed: lower, upper"),
    ],
    ids=str,
)  # fmt: skip
def test_a_wrong_pruner_is_refused_with_what_is_allowed(given, message):
    with pytest.raises(StudyFileError) as caught:
        search_of(pruner=given)
    assert message in str(caught.value)
