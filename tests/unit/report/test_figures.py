import json
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bakeoff.analysis.bands import median_best_band
from bakeoff.analysis.comparison import compare
from bakeoff.analysis.draws import random_draws
from bakeoff.analysis.learning_rate import (
    half_decade,
    learning_rate_of,
    learning_rate_parameter,
)
from bakeoff.analysis.tuning import expected_best_of_k, median_best_of_k
from bakeoff.ranges import FloatRange, Params
from bakeoff.records import (
    ArmRecord,
    Comparison,
    ConfirmConfig,
    EpochResult,
    MetricInfo,
    Outcome,
    StudyRecord,
    TrialRecord,
)
from bakeoff.report import figures as package
from bakeoff.report.figures import FIGURES, FigureSpec, figures_of, find_figures
from bakeoff.report.figures.best_arm import FIGURE as BEST_ARM
from bakeoff.report.figures.best_of_k import FIGURE as BEST_OF_K
from bakeoff.report.figures.confirmed_scores import compute_confirmed_scores
from bakeoff.report.figures.learning_curves import compute_learning_curves
from bakeoff.report.figures.learning_rates import (
    FIGURE as LEARNING_RATES,
    compute_learning_rates,
    draw_learning_rates,
)
from bakeoff.report.figures.pair_differences import compute_pair_differences
from bakeoff.report.figures.score_distribution import FIGURE as SCORE_DISTRIBUTION
from bakeoff.report.figures.search_progress import (
    FIGURE as SEARCH_PROGRESS,
    compute_search_progress,
)
from bakeoff.report.figures.style import ARM_COLORS, DARK, MAX_DRAWN, label, thinned
from contrast import contrast
from record_examples import all_outcomes, as_error_rate, example_record, unconfirmed, with_seconds

LIGHT_PAGE, DARK_PAGE = "#fbfaf7", "#15181d"
MIN_CONTRAST = 3.0


def run(
    number: int,
    arm: str,
    rate: float,
    score: float | None,
    *,
    outcome: Outcome = "complete",
    scores: tuple[float, ...] = (0.5, 0.6),
    **settings: object,
) -> TrialRecord:
    history = tuple(
        EpochResult(
            epoch=epoch,
            metrics={"accuracy": value, "loss": 1 - value},
            train_loss=0.9 - value,
            train_seconds=2.0,
        )
        for epoch, value in enumerate(scores, start=1)
    )
    trial = TrialRecord(
        number=number,
        arm=arm,
        params={"optimizer": arm, f"{arm}.learning_rate": rate},
        outcome=outcome,
        score=score,
        history=history,
        epochs_planned=2,
    )
    return replace(trial, **settings)  # type: ignore[arg-type]


def confirmation(number: int, arm: str, seed: int, test: float) -> TrialRecord:
    settings = {"purpose": "confirm", "seed": seed, "configuration": 1}
    return run(number, arm, 0.1, test, test_metrics={"accuracy": test}, **settings)


def small_record() -> StudyRecord:
    space = {"sgd.learning_rate": FloatRange(low=0.01, high=1.0, log=True)}
    return StudyRecord(
        name="small",
        question="Does it work?",
        objective=MetricInfo(name="accuracy", direction="maximize", low=0, high=1),
        score_rule="last_epoch",
        epochs=2,
        arms=(ArmRecord(name="sgd", space=space), ArmRecord(name="adam", space={})),
        trials=(
            run(0, "sgd", 0.001, 0.4, phase="default"),
            run(1, "sgd", 0.1, 0.6),
            run(2, "sgd", 0.5, 0.1, outcome="diverged", scores=(math.nan,)),
            run(3, "sgd", 0.2, 0.5, outcome="pruned", scores=(0.5,)),
            run(4, "sgd", 0.3, 0.7),
            run(5, "adam", 0.01, 0.55),
            run(6, "adam", 0.02, None, outcome="running", scores=(0.9,)),
        ),
        confirmations=(
            confirmation(0, "sgd", 11, 0.70),
            confirmation(1, "sgd", 12, 0.72),
            confirmation(2, "adam", 11, 0.60),
            confirmation(3, "adam", 12, 0.64),
        ),
        trials_per_arm=4,
        sampler="random",
        pruner="median",
        confirm=ConfirmConfig(seeds=2, shortlist=1, shortlist_seeds=0),
        num_test=100,
    )


@pytest.fixture(name="small", scope="module")
def _small() -> Comparison:
    return compare(small_record())


@pytest.fixture(name="full", scope="module")
def _full() -> Comparison:
    return compare(example_record())


def test_confirmed_scores_list_every_seed_and_then_the_mean_best_arm_first(
    small: Comparison,
) -> None:
    rows = compute_confirmed_scores(small)
    expected = [
        ("sgd", "seed", 11, 0.70),
        ("sgd", "seed", 12, 0.72),
        ("sgd", "mean", None, pytest.approx(0.71)),
        ("adam", "seed", 11, 0.60),
        ("adam", "seed", 12, 0.64),
        ("adam", "mean", None, pytest.approx(0.62)),
    ]
    assert expected == [row[:4] for row in rows if row.arm]


def test_confirmed_mean_of_two_seeds_has_no_interval(small: Comparison) -> None:
    mean = compute_confirmed_scores(small)[2]
    assert math.isnan(mean.ci_low)
    assert math.isnan(mean.ci_high)


def test_confirmed_mean_has_the_t_interval_of_its_seeds_on_the_logit_scale() -> None:
    scores = {"sgd": [0.90, 0.92, 0.88, 0.90], "adam": [0.8, 0.8, 0.8, 0.8]}
    rows = compute_confirmed_scores(compare(example_record(num_arms=2, test_scores=scores)))
    (mean,) = [row for row in rows if (row.arm, row.quantity) == ("sgd", "mean")]
    # t quantile 3.18245 with three degrees of freedom, standard error 0.0081650; logit(0.9) = log 9
    step = 3.18245 * 0.0081650 / (0.9 * 0.1)
    expected = [1 / (1 + math.exp(-math.log(9) + sign * step)) for sign in (1, -1)]
    assert [mean.ci_low, mean.ci_high] == pytest.approx(expected, abs=1e-6)


def test_diverged_confirmation_run_is_noted() -> None:
    rows = compute_confirmed_scores(compare(example_record(diverged_seeds={"adam": 2})))
    assert [row.arm for row in rows if row.note == "diverged"] == ["adam", "adam"]


def test_pair_differences_have_the_numbers_of_the_pairs(full: Comparison) -> None:
    expected = [(pair.a, pair.b, pair.mean, *pair.ci, full.delta) for pair in full.pairs]
    assert expected == [row[:6] for row in compute_pair_differences(full)]


def test_search_progress_counts_every_charged_trial_and_scores_complete_ones(
    small: Comparison,
) -> None:
    expected = [
        ("sgd", "observed", 1, 2, 4.0, 0.6, 1, True),
        ("sgd", "observed", 2, 3, 6.0, 0.6, 2, True),
        ("sgd", "observed", 3, 4, 8.0, 0.6, 3, True),
        ("sgd", "observed", 4, 6, 12.0, 0.7, 4, True),
        ("adam", "observed", 1, 2, 4.0, 0.55, 5, True),
    ]
    assert expected == list(compute_search_progress(small))


def test_search_progress_goes_down_where_lower_is_better() -> None:
    rows = compute_search_progress(compare(as_error_rate(example_record())))
    sgd = [row.estimate for row in rows if row.arm == "sgd" and row.estimate is not None]
    assert sorted(sgd, reverse=True) == sgd
    assert min(sgd) < max(sgd)


def test_search_progress_is_unknown_until_a_trial_is_complete() -> None:
    rows = compute_search_progress(compare(all_outcomes(example_record(), "pruned")))
    assert {None} == {row.estimate for row in rows}


def test_learning_rates_list_all_ended_trials_with_the_searched_bounds(
    small: Comparison,
) -> None:
    expected = [
        ("sgd", 0, 0.001, 0.4, "complete", "default", 0.01, 1.0, None),
        ("sgd", 1, 0.1, 0.6, "complete", "random", 0.01, 1.0, None),
        ("sgd", 2, 0.5, 0.1, "diverged", "random", 0.01, 1.0, None),
        ("sgd", 3, 0.2, 0.5, "pruned", "random", 0.01, 1.0, None),
        ("sgd", 4, 0.3, 0.7, "complete", "random", 0.01, 1.0, None),
        ("adam", 5, 0.01, 0.55, "complete", "random", None, None, None),
    ]
    assert expected == list(compute_learning_rates(small))


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        (
            {"optimizer": "sgd", "adam.learning_rate": 1, "sgd.learning_rate": 1},
            "sgd.learning_rate",
        ),
        ({"adam.learning_rate": 1.0}, "adam.learning_rate"),
        ({"lr": 0.1}, "lr"),
        ({"optimizer_lr": 0.1}, "optimizer_lr"),
        ({"model.blur": 0.1}, None),
        ({}, None),
    ],
)
def test_learning_rate_is_the_optimizers_own_parameter(
    params: Params, expected: str | None
) -> None:
    assert expected == learning_rate_parameter(replace(run(0, "sgd", 1, 1), params=params))


def test_diverged_trials_are_crosses_below_every_score(small: Comparison) -> None:
    drawn = draw_learning_rates(compute_learning_rates(small), small)
    sgd = drawn.data[0]
    assert sgd.marker.symbol == ("star", "circle", "x", "circle-open", "circle")
    assert sgd.y[2] < min(sgd.y[0], sgd.y[1], sgd.y[3], sgd.y[4])


def test_diverged_trials_are_above_every_score_where_lower_is_better() -> None:
    comparison = compare(as_error_rate(example_record()))
    drawn = draw_learning_rates(compute_learning_rates(comparison), comparison)
    adam = dict(zip(drawn.data[1].marker.symbol, drawn.data[1].y, strict=True))
    assert adam["x"] > max(height for symbol, height in adam.items() if symbol != "x")


def test_mean_curve_is_the_mean_of_the_confirmed_runs(full: Comparison) -> None:
    rows = [row for row in compute_learning_curves(full) if (row.arm, row.epoch) == ("sgd", 3)]
    scores = [row.estimate for row in rows if row.quantity == "validation score"]
    mean = next(row for row in rows if row.quantity == "mean validation score")
    assert (8, pytest.approx(sum(scores) / 8)) == (mean.n, mean.estimate)


def test_losses_belong_to_the_best_search_trial(small: Comparison) -> None:
    rows = [row for row in compute_learning_curves(small) if row.quantity == "train loss"]
    assert [(row.arm, row.run, row.epoch) for row in rows if row.arm == "sgd"] == [
        ("sgd", 4, 1),
        ("sgd", 4, 2),
    ]


def random_search() -> StudyRecord:
    return example_record(sampler="random", pruner="none", trials_per_arm=30)


def rows_of(comparison: Comparison, spec: FigureSpec, arm: str) -> list[Any]:
    return [row for row in spec.compute(comparison) if row.arm == arm]


def test_best_of_k_is_the_median_of_the_random_trials_with_its_exact_band() -> None:
    record = random_search()
    scores = random_draws(record, "adam").scores
    low, high = median_best_band(scores, np.arange(1, 31), (0.0, 1.0))
    rows = rows_of(compare(record), BEST_OF_K, "adam")
    assert list(range(1, 31)) == [row.k for row in rows]
    assert [median_best_of_k(scores, row.k) for row in rows] == [row.estimate for row in rows]
    assert [*zip(low, high, strict=True)] == [(row.ci_low, row.ci_high) for row in rows]
    assert {1, 2, 3, 4, 5, 6} == {row.k for row in rows if row.supported}


def test_best_of_k_of_pruned_trials_is_observed_without_a_band() -> None:
    record = example_record(sampler="random", pruner="halving", trials_per_arm=30)
    rows = rows_of(compare(record), BEST_OF_K, "adam")
    assert {("observed", None, None)} == {(row.note, row.ci_low, row.ci_high) for row in rows}
    assert (
        "The curves of sgd, adam, adamw, rmsprop are only observed and have no band"
        in BEST_OF_K.caption(compare(record))
    )


def test_best_of_k_uses_random_trials_only() -> None:
    record = example_record(pruner="none", trials_per_arm=20, startup_trials=8)
    assert {8} == {row.n for row in BEST_OF_K.compute(compare(record))}


def test_best_of_k_is_mirrored_where_lower_is_better() -> None:
    rows = BEST_OF_K.compute(comparison_of("random search"))
    flipped = BEST_OF_K.compute(comparison_of("random search, lower is better"))
    assert [1 - row.estimate for row in rows] == pytest.approx([row.estimate for row in flipped])
    assert [1 - row.ci_low for row in rows] == pytest.approx([row.ci_high for row in flipped])


def test_best_arm_probabilities_sum_to_one_at_every_k() -> None:
    rows = BEST_ARM.compute(comparison_of("random search"))
    sums = [sum(row.estimate for row in rows if row.k == k) for k in range(1, 13)]
    assert pytest.approx([1.0] * 12) == sums
    assert {1, 2, 3, 4, 5, 6} == {row.k for row in rows if row.supported}


def test_best_arm_is_not_drawn_if_pruned_trials_leave_it_undetermined() -> None:
    record = example_record(sampler="random", pruner="halving", trials_per_arm=30)
    assert BEST_ARM.compute(compare(record)) == ()


def test_expected_progress_ends_at_the_best_trial_of_a_random_search() -> None:
    rows = rows_of(comparison_of("random search"), SEARCH_PROGRESS, "sgd")
    expected = [row for row in rows if row.quantity == "expected"]
    observed = [row for row in rows if row.quantity == "observed"]
    assert expected[-1].estimate == pytest.approx(observed[-1].estimate)
    assert expected[-1].epochs == pytest.approx(observed[-1].epochs)
    assert [row.estimate for row in expected] == sorted(row.estimate for row in expected)


@pytest.mark.parametrize(
    "record", [example_record(pruner="none"), example_record(sampler="random")]
)
def test_progress_of_a_model_based_or_pruned_search_is_observed_only(record: StudyRecord) -> None:
    assert {"observed"} == {row.quantity for row in compute_search_progress(compare(record))}


def test_score_distribution_is_the_share_at_least_as_good() -> None:
    record = random_search()
    scores = [t.score for t in record.trials if (t.arm, t.phase) == ("adam", "random")]
    rows = rows_of(compare(record), SCORE_DISTRIBUTION, "adam")
    assert sorted(scores, reverse=True) == [row.estimate for row in rows]
    assert [count / 30 for count in range(1, 31)] == [row.share for row in rows]


def test_score_distribution_steps_up_at_the_next_worse_score() -> None:
    comparison = comparison_of("random search")
    line = SCORE_DISTRIBUTION.draw(SCORE_DISTRIBUTION.compute(comparison), comparison).data[0]
    assert list(line.x) == sorted(line.x, reverse=True)
    assert list(line.y) == sorted(line.y)
    assert line.line.shape == "hv"


def test_score_distribution_notes_arms_with_too_few_random_trials(
    small: Comparison,
) -> None:
    assert {("sgd", 4, "observed"), ("adam", 1, "observed")} == {
        (row.arm, row.n, row.note) for row in SCORE_DISTRIBUTION.compute(small)
    }


RECORDS: dict[str, Callable[[], StudyRecord]] = {
    "full": example_record,
    "nothing run": lambda: replace(example_record(), trials=(), confirmations=()),
    "no arms": lambda: replace(example_record(), arms=(), trials=(), confirmations=()),
    "one trial": lambda: replace(small_record(), trials=small_record().trials[1:2]),
    "unconfirmed": lambda: unconfirmed(example_record()),
    "one arm": lambda: example_record(num_arms=1),
    "one seed": lambda: example_record(num_seeds=1),
    "all pruned": lambda: all_outcomes(example_record(), "pruned"),
    "all diverged": lambda: all_outcomes(example_record(), "diverged"),
    "all out of memory": lambda: all_outcomes(example_record(), "infeasible"),
    "all confirmations diverged": lambda: example_record(
        diverged_seeds=dict.fromkeys(("sgd", "adam", "adamw", "rmsprop"), 8)
    ),
    "scores are NaN": lambda: replace(
        example_record(),
        trials=tuple(replace(trial, score=math.nan) for trial in example_record().trials),
    ),
    "no histories": lambda: replace(
        example_record(),
        trials=tuple(replace(trial, history=()) for trial in example_record().trials),
    ),
    "lower is better": lambda: as_error_rate(example_record()),
    "random search": random_search,
    "random search, lower is better": lambda: as_error_rate(random_search()),
}


@cache
def comparison_of(name: str) -> Comparison:
    return compare(RECORDS[name]())


@pytest.mark.parametrize("spec", FIGURES, ids=lambda spec: spec.id)
@pytest.mark.parametrize("name", RECORDS)
def test_a_figure_with_rows_is_drawn_from_any_record(spec: FigureSpec, name: str) -> None:
    comparison = comparison_of(name)
    rows = spec.compute(comparison)
    drawn = spec.draw(rows, comparison) if rows else None
    assert bool(rows) == (drawn is not None and len(drawn.data) > 0)
    assert {len(spec.columns)} >= {len(row) for row in rows}


def test_figures_are_found_by_their_modules_and_shown_in_the_order_of_their_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [spec.id for spec in FIGURES] == [f"F{number}" for number in range(1, 11)]
    (tmp_path / "added.py").write_text(
        "from dataclasses import replace\nfrom bakeoff.report.figures import FIGURES\n"
        "FIGURE = replace(FIGURES[0], id='F11')\n"
    )
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    assert [spec.id for spec in find_figures()][-2:] == ["F11", "F12"]


def test_the_pareto_front_is_a_figure_of_studies_with_several_objectives(full: Comparison) -> None:
    assert figures_of(full) == FIGURES
    several = compare(with_seconds(example_record()))
    assert [spec.id for spec in figures_of(several)[len(FIGURES) :]] == ["F12"]


DRAWN = [(spec, "random search") for spec in FIGURES] + [
    # its random trials are partly pruned, so that F5 has nothing to draw
    (spec, "full") for spec in FIGURES if spec is not BEST_ARM
]  # fmt: skip


@pytest.mark.parametrize(("spec", "name"), DRAWN, ids=lambda value: getattr(value, "id", value))
def test_every_colour_of_a_figure_has_a_dark_twin(spec: FigureSpec, name: str) -> None:
    comparison = comparison_of(name)
    drawn = spec.draw(spec.compute(comparison), comparison)
    used = set(colors(json.loads(drawn.to_json())))
    assert used
    assert used - {"rgba(0, 0, 0, 0)"} <= set(DARK)


def colors(value: object, key: str = "") -> Iterator[str]:
    """Every colour in a figure's JSON, without those of plotly's own template."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from colors(item, name) if name != "template" else ()
    elif isinstance(value, list):
        for item in value:
            yield from colors(item, key)
    elif key.endswith("color") and isinstance(value, str):
        yield value


@pytest.mark.parametrize(("light", "dark"), ARM_COLORS)
def test_arm_colours_stand_out_on_both_pages(light: str, dark: str) -> None:
    assert contrast(light, LIGHT_PAGE) >= MIN_CONTRAST
    assert contrast(dark, DARK_PAGE) >= MIN_CONTRAST


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("adamw + one_cycle", "adamw + one_cycle"),
        ("<b>bold</b>", "&lt;b&gt;bold&lt;/b&gt;"),
        ("a & b", "a &amp; b"),
        ("two\nlines\u2028three", "two lines three"),
        ("x" * 30 + "y" * 30, "x" * 19 + "…" + "y" * 20),
    ],
)
def test_a_label_is_escaped_and_kept_short(name: str, expected: str) -> None:
    assert expected == label(name)


def test_figures_draw_some_of_many_trials_and_store_all() -> None:
    comparison = compare(
        example_record(num_arms=2, trials_per_arm=600, sampler="random", pruner="none")
    )
    for spec in (LEARNING_RATES, SCORE_DISTRIBUTION, SEARCH_PROGRESS):
        rows = spec.compute(comparison)
        assert sum(row.arm == "sgd" for row in rows) >= 600
        drawn = [len(trace.x) for trace in spec.draw(rows, comparison).data]
        assert max(drawn) <= MAX_DRAWN
    assert "600 trials of an arm, 500 are drawn" in SCORE_DISTRIBUTION.caption(comparison)


def test_thinned_trials_are_evenly_spread_and_keep_both_ends() -> None:
    assert thinned(range(10), 20) == list(range(10))
    assert thinned(range(10), 4) == [0, 3, 6, 9]
    kept = thinned(range(1_000), MAX_DRAWN)
    assert (len(set(kept)), kept[0], kept[-1]) == (MAX_DRAWN, 0, 999)


def test_the_envelope_is_the_expected_best_of_three_trials_of_a_half_decade() -> None:
    comparison = compare(random_search())
    rows = compute_learning_rates(comparison)
    drawn = draw_learning_rates(rows, comparison)
    draws = random_draws(comparison.study, "adam")
    known = [row for row in rows if row.arm == "adam" and row.half_decade_best is not None]
    places = {half_decade(row.learning_rate): row.half_decade_best for row in known}
    assert places
    for place, best in places.items():
        own = [
            score
            for trial, score in zip(draws.trials, draws.scores, strict=True)
            if half_decade(learning_rate_of(trial)) == place
        ]
        assert best == expected_best_of_k(np.array(own), 3)
    assert set(drawn.data[-3].y) - {None} == set(places.values())


def test_the_envelope_is_unknown_if_trials_were_pruned() -> None:
    pruned = compare(example_record(sampler="random", trials_per_arm=30))
    rows = compute_learning_rates(pruned)
    assert not random_draws(pruned.study, "sgd").is_known.all()
    assert {row.half_decade_best for row in rows if row.arm == "sgd"} == {None}
