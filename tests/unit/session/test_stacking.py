"""Which studies train stacks in their search and confirmation, and how wide these are."""

from typing import Any

import pytest

from bakeoff.engines.protocol import Probed
from bakeoff.errors import UsageError
from bakeoff.records import StudyConfig
from bakeoff.session.stacking import (
    MOST_TRIED,
    OPEN_PER_ARM,
    Stacking,
    Widths,
    are_alike,
    check_arithmetic,
    choose_arithmetic,
    choose_lag,
    open_trials,
    widths_to_try,
)
from bakeoff.studyfile import resolve_study
from study_examples import study_document

FOUR = ["sgd", "adam", "adamw", "rmsprop"]


def study(**changes: dict[str, Any]) -> StudyConfig:
    """Four arms, without a confirmation."""
    changes["search"] = {"optimizers": FOUR, **changes.get("search", {})}
    return resolve_study(study_document(**{"confirm": {"seeds": 0}, **changes}))


def probed(*, search: float = 0.0, confirm: float = 0.0, precision: str = "fp32") -> Probed:
    return Probed(
        run="probe",
        precision=precision,
        reason="",
        seconds_per_step={precision: 0.1},
        checkpoint_bytes=1,
        stack_gain=confirm,
        search_gain=search,
        stack_reason="measured",
    )


@pytest.mark.parametrize(("workers", "width"), [(1, 8), (2, 4), (3, 2), (4, 2), (5, 0), (16, 0)])
def test_two_trials_of_an_arm_are_open_and_the_workers_share_them(workers, width):
    config = study()
    assert open_trials(config) == 8
    assert widths_to_try(config, workers) == Widths(search=width, confirm=0)


def test_the_lag_of_a_repeatable_search_is_what_is_open():
    search = {"repeatable": True, "lag": 6}
    assert widths_to_try(study(search=search), 2).search == 0  # its bits would be this machine's
    named = study(search={**search, "arithmetic": "stacked"})
    assert open_trials(named) == 6
    assert widths_to_try(named, 2).search == 3
    assert widths_to_try(named, 50).search == 2  # what is named does not depend on the workers


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"model": {"dropout": {"low": 0.0, "high": 0.5}}}, True),
        ({"model": {"width": {"low": 8, "high": 16}}}, False),
        ({"model": {"width": {"choices": [8, 16]}}}, False),
        ({"training": {"batch_size": {"choices": [32, 64]}}}, False),
        ({"search": {"optimizers": ["sgd", "muon"]}}, False),
        ({"search": {"optimizers": FOUR}, "study": {"compare": ["scheduler"]}}, True),
        ({"search": {"optimizers": ["adam", "muon"]}, "study": {"compare": ["scheduler"]}}, False),
        ({"arms": {"a": {"model": {"width": 8}}, "b": {"model": {"width": 32}}}}, False),
        ({"arms": {"a": {"model": {"dropout": 0.1}}, "b": {"model": {"dropout": 0.2}}}}, True),
    ],
)  # fmt: skip
def test_trials_are_alike_if_they_differ_in_what_a_stack_can_have_only(changes, expected):
    config = study(**changes)
    assert are_alike(config) == expected
    assert (widths_to_try(config, 1).search > 0) == expected


@pytest.mark.parametrize(
    "search", [{"arithmetic": "plain"}, {"seconds_per_arm": 60.0}, {"repeatable": True}]
)
def test_searches_that_try_no_stacks(search):
    assert widths_to_try(study(search=search), 1).search == 0


def test_a_search_for_short_times_shares_none():
    objectives = {"objective": ["accuracy", "train_seconds"]}
    config = study(study=objectives, search={"pruner": "none"})
    assert widths_to_try(config, 1).search == 0


def test_a_confirmation_is_tried_with_its_seeds():
    assert widths_to_try(study(confirm={"seeds": 4}), 1).confirm == 4
    assert widths_to_try(study(confirm={"seeds": 30}), 1).confirm == MOST_TRIED
    assert widths_to_try(study(confirm={"seeds": 4, "arithmetic": "plain"}), 1).confirm == 0


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (probed(search=1.4, confirm=3.0), Stacking("stacked", "stacked")),
        (probed(search=1.2, confirm=3.0), Stacking("plain", "stacked")),
        (probed(search=1.4, confirm=1.2), Stacking("stacked", "plain")),
        (probed(search=1.4, confirm=3.0, precision="bf16"), Stacking("plain", "plain")),
    ],
)
def test_stacks_are_chosen_where_they_pay(found, expected):
    assert choose_arithmetic(study(confirm={"seeds": 4}), found) == expected


def test_a_search_of_stacks_decides_in_order_with_two_open_trials_per_arm():
    assert choose_lag(study(), "stacked", 1) == OPEN_PER_ARM * len(FOUR)
    assert choose_lag(study(), "stacked", 10) == 10
    assert choose_lag(study(), "plain", 1) is None


def test_the_lag_of_a_repeatable_search_depends_on_nothing_else():
    repeatable = study(search={"repeatable": True, "lag": 5})
    assert choose_lag(repeatable, "stacked", 10) == choose_lag(repeatable, "plain", 1) == 5


def test_named_stacks_need_not_pay():
    config = study(search={"arithmetic": "stacked"})
    assert choose_arithmetic(config, probed(search=0.9)) == Stacking("stacked", "plain")


@pytest.mark.parametrize(
    ("changes", "found", "reason"),
    [
        ({}, probed(), "search.*: measured; remove the key"),
        ({}, probed(search=2.0, precision="bf16"), "search.*: precision bf16 is for single runs"),
        (
            {"model": {"width": {"low": 8, "high": 16}}, "confirm": {"seeds": 4}},
            probed(confirm=3.0),
            "search.*: needs trials that differ in optimizer, schedule and dropout only",
        ),
        (
            {"training": {"focal_gamma": 2.0}},
            probed(),
            r"search.*: needs optimizers, and settings of \[data\] and \[training\], that stacks",
        ),
        (
            {"search": {"arithmetic": "stacked", "seconds_per_arm": 60.0}},
            probed(confirm=3.0),
            "search.*: needs a search that measures no seconds",
        ),
        (
            {"confirm": {"seeds": 1, "arithmetic": "stacked"}, "search": {"arithmetic": "auto"}},
            probed(search=3.0),
            "confirm.*: needs a confirmation of 2 seeds or more",
        ),
    ],
)
def test_named_stacks_that_are_impossible_are_refused(changes, found, reason):
    config = study(**{"search": {"arithmetic": "stacked"}, **changes})
    if "needs" in reason:  # no probe is necessary to know that
        with pytest.raises(UsageError, match=reason):
            check_arithmetic(config)
    with pytest.raises(UsageError, match=reason):
        choose_arithmetic(config, found)
