"""The estimator as a density, as draws from it, and as a search."""

import math

import numpy as np
import pytest
from optuna.samplers._tpe.sampler import default_weights
from scipy.stats import norm

from bakeoff.ranges import Choice, FloatRange, IntRange
from bakeoff.records import ArmRecord
from bakeoff.search.parzen import (
    BANDWIDTH,
    Line,
    Mixture,
    Names,
    ParzenSampler,
    age_weights,
)

UNIT = Line(FloatRange(low=0.0, high=1.0))
COLOURS = Names(Choice(choices=("red", "green", "blue")))
POINTS = np.array([[0.1, 0.0], [0.95, 2.0], [math.nan, 1.0], [0.4, math.nan]])
"""Of a number and a colour; two trials lack one of them."""
SPACE = {
    "optimizer": "sgd",
    "scheduler": Choice(choices=("constant", "cosine")),
    "sgd.learning_rate": FloatRange(low=1e-4, high=1.0, log=True),
    "cosine.cycles": IntRange(low=1, high=4),
    "model.depth": Choice(choices=(2,)),
    "model.width": IntRange(low=16, high=16),
}


def every_point(num_steps: int = 1000) -> np.ndarray:
    """The middle of every cell of a grid over number and colour."""
    numbers = (np.arange(num_steps) + 0.5) / num_steps
    return np.array([[number, colour] for colour in range(3) for number in numbers])


# ---------------------------------------------------------------- the density


@pytest.mark.parametrize("num_points", [0, 1, 4])
def test_density_adds_up_to_one_over_numbers_and_choices(num_points: int) -> None:
    mixture = Mixture(POINTS[:num_points], [UNIT, COLOURS])
    total = np.exp(mixture.log_density(every_point())).sum() / 1000
    assert total == pytest.approx(1.0, abs=1e-5)


def test_a_missing_parameter_does_not_change_the_density() -> None:
    mixture = Mixture(POINTS, [UNIT, COLOURS])
    grid = every_point().reshape(3, 1000, 2)
    for colour in range(3):
        marginal = np.exp(mixture.log_density(grid[colour])).mean()
        [without] = np.exp(mixture.log_density(np.array([[math.nan, colour]])))
        assert without == pytest.approx(marginal, rel=1e-4)


def test_draws_are_distributed_as_the_density_says() -> None:
    mixture = Mixture(POINTS, [UNIT, COLOURS])
    rng = np.random.default_rng(0)
    drawn = mixture.draw(4000, rng)
    grid = every_point()
    density = np.exp(mixture.log_density(grid))
    for colour in range(3):
        for low in np.arange(0, 1, 0.25):
            inside = (grid[:, 1] == colour) & (abs(grid[:, 0] - low - 0.125) < 0.125)
            found = (drawn[:, 1] == colour) & (abs(drawn[:, 0] - low - 0.125) < 0.125)
            assert found.mean() == pytest.approx(density[inside].sum() / 1000, abs=0.025)


def test_without_trials_it_is_flat() -> None:
    mixture = Mixture(np.empty((0, 2)), [UNIT, COLOURS])
    assert np.exp(mixture.log_density(every_point(7))) == pytest.approx(1 / 3)


@pytest.mark.parametrize("num_points", [0, 1, 24, 25, 26, 300])
def test_old_trials_have_the_same_weights_as_in_optuna(num_points: int) -> None:
    assert age_weights(num_points) == pytest.approx(default_weights(num_points))


# ---------------------------------------------------------------- values and coordinates


@pytest.mark.parametrize(
    "setting",
    [
        FloatRange(low=-2.0, high=3.0),
        FloatRange(low=1e-6, high=10.0, log=True),
        IntRange(low=0, high=3),
        IntRange(low=8, high=64, step=8),
        IntRange(low=1, high=1000, log=True),
    ],
)
def test_coordinates_cover_the_range_and_nothing_else(setting: FloatRange | IntRange) -> None:
    line = Line(setting)
    values = [line.decode(coordinate) for coordinate in np.linspace(0, 1, 2001)]
    assert all(value in setting for value in values)
    assert (values[0], values[-1]) == pytest.approx((setting.low, setting.high))
    assert values == sorted(values)
    for value in values[:: len(values) // 50]:
        assert line.decode(line.encode(value)) == pytest.approx(value, rel=1e-12)


def test_every_whole_number_is_equally_likely() -> None:
    line = Line(IntRange(low=1, high=4))
    values = [line.decode((index + 0.5) / 1000) for index in range(1000)]
    assert [values.count(value) for value in (1, 2, 3, 4)] == [250] * 4


def test_a_default_outside_its_range_counts_as_the_nearer_end() -> None:
    line = Line(FloatRange(low=1e-5, high=1e-1, log=True))
    assert (line.encode(0.0), line.encode(5.0)) == (0.0, 1.0)


# ---------------------------------------------------------------- the search


def test_what_is_not_searched_keeps_its_value_and_what_has_no_owner_is_absent() -> None:
    sampler = ParzenSampler(ArmRecord(name="sgd", space=SPACE))
    seen = set()
    for seed in range(30):
        params = sampler.propose(sampler.encode([]), [], np.random.default_rng(seed))
        seen.add(params["scheduler"])
        assert (params["model.depth"], params["model.width"]) == (2, 16)
        assert ("cosine.cycles" in params) == (params["scheduler"] == "cosine")
    assert seen == {"constant", "cosine"}


def test_a_schedule_is_chosen_together_with_what_is_good_under_it() -> None:
    """The best rate is 1e-3 under one schedule and 0.3 under the other."""
    best = {"constant": 1e-3, "cosine": 0.3}
    sampler = ParzenSampler(ArmRecord(name="sgd", space=SPACE))
    rng = np.random.default_rng(0)
    trials = [sampler.propose(sampler.encode([]), [], rng) for _ in range(200)]

    def shortfall(params: dict) -> float:
        return abs(math.log10(params["sgd.learning_rate"] / best[params["scheduler"]]))

    order = sorted(range(200), key=lambda index: shortfall(trials[index]))
    points = sampler.encode(trials)
    proposals = [sampler.propose(points, order, rng) for _ in range(40)]
    assert {params["scheduler"] for params in proposals} == {"constant", "cosine"}
    random_one, proposed = (np.median(list(map(shortfall, part))) for part in (trials, proposals))
    assert proposed < 0.25 * random_one


# ---------------------------------------------------------------- equal to the plain computation


def test_points_drawn_together_are_those_drawn_one_by_one() -> None:
    """The same random numbers as a loop that draws a kernel, then a coordinate per axis."""
    mixture = Mixture(POINTS, [UNIT, COLOURS])
    weights = np.append(age_weights(len(POINTS)), 1.0)
    centres = np.vstack([POINTS, [math.nan, math.nan]])
    width, leak = BANDWIDTH * len(POINTS) ** (-1 / 6), 1 / (len(POINTS) + 1)
    rng = np.random.default_rng(3)

    def draw_one() -> list[float]:
        number, colour = centres[rng.choice(len(weights), p=weights / weights.sum())]
        share = rng.random()
        if not math.isnan(number):
            low, high = norm.cdf(0, number, width), norm.cdf(1, number, width)
            share = norm.ppf(low + share * (high - low), number, width)
        each = np.array([leak + (index == colour) for index in range(3)])
        return [share, float(rng.choice(3, p=each / each.sum()))]

    one_by_one = np.array([draw_one() for _ in range(500)])
    assert mixture.draw(500, np.random.default_rng(3)) == pytest.approx(one_by_one, abs=1e-12)
