import tomllib

import pytest

from bakeoff.errors import StudyFileError
from bakeoff.studyfile import format_study, resolve_study
from study_examples import study_document


def config_of(confirm=None, search=None, **changes):
    document = study_document(search=search or {}, **changes)
    document["confirm"] = confirm or {}
    return resolve_study(document)


@pytest.mark.parametrize(
    ("confirm", "seeds", "repeat_seeds", "looks"),
    [
        ({"seeds": 12}, (12, 3, 3), 3, (12,)),
        ({"seeds": 2}, (2, 2, 2), 2, (2,)),
        ({"seeds": 12, "repeat_seeds": 5}, (12, 5, 5), 5, (12,)),
        ({"looks": [10, 20]}, (20, 3, 3), 3, (10, 20)),
        ({"looks": [10, 20], "seeds": 20}, (20, 3, 3), 3, (10, 20)),
        ({"seeds": 0}, (0, 0, 0), 0, (0,)),
    ],
    ids=str,
)
def test_the_first_repeat_has_the_seeds_and_looks_and_later_ones_fewer_seeds(
    confirm, seeds, repeat_seeds, looks
):
    config = config_of(confirm)
    assert tuple(config.confirm.seeds_of(repeat) for repeat in range(3)) == seeds
    assert config.confirm.repeat_seeds == repeat_seeds
    assert config.confirm.looks_of(0) == looks
    assert config.confirm.looks_of(1) == (repeat_seeds,)
    assert resolve_study(tomllib.loads(format_study(config))) == config


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"confirm": {"looks": [10, 20], "seeds": 12}}, "the last look is at 20 seeds, but confirm.seeds = 12"),
        ({"confirm": {"looks": [10, 10]}}, "confirm.looks = [10, 10]: must rise from look to look"),
        ({"confirm": {"looks": [20, 10]}}, "must rise"),
        ({"search": {"repeats": 2, "trials_per_arm": 19}}, "search.repeats = 2: each repeat needs 20 or more trials per arm, but the budget allows 19"),
        ({"search": {"repeats": 2, "trials_per_arm": 20, "epochs_per_arm": 19}}, "the budget allows 19"),
        ({"search": {"repeats": 2, "trials_per_arm": 20, "epochs_per_arm": 76, "pruner": "none"}}, "the budget allows 19"),
        ({"search": {"repeats": 2, "trials_per_arm": 20}, "confirm": {"seeds": 0}}, "each repeat needs 2 or more confirmation seeds, but confirm.seeds = 0"),
        ({"search": {"repeats": 2, "trials_per_arm": 20}, "confirm": {"repeat_seeds": 1}}, "but confirm.repeat_seeds = 1"),
        ({"confirm": {"resplit": True}, "data": {"dataset": "text:book.txt"}, "model": {"model": "lstm"}}, "confirm.resplit = true: text is split by position"),
    ],
    ids=str,
)  # fmt: skip
def test_what_no_repeat_or_look_can_be_made_of_is_refused_in_one_line(changes, message):
    changes = dict(changes)
    document = study_document(search=changes.pop("search", {}))
    document["confirm"] = changes.pop("confirm", {})
    document |= changes
    with pytest.raises(StudyFileError) as refused:
        resolve_study(document)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_repeats_may_have_a_budget_whose_trials_are_not_known_beforehand():
    search = {"repeats": 2, "trials_per_arm": None, "seconds_per_arm": 60.0}
    document = study_document(search=search)
    del document["search"]["trials_per_arm"]
    assert resolve_study(document).search.repeats == 2


def test_auto_seeds_with_looks_are_those_of_the_last_look():
    assert config_of({"seeds": "auto", "looks": [7, 14]}).confirm.seeds == 14
