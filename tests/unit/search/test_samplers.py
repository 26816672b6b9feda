import math
import statistics
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from optuna.samplers import TPESampler

from bakeoff.components.samplers import SAMPLERS
from bakeoff.errors import MissingDependencyError, StudyFileError
from bakeoff.ranges import Choice, FloatRange, IntRange
from bakeoff.records import ArmRecord
from bakeoff.search.proposals import ArmSampler
from bakeoff.search.samplers import check_sampler, propose_tpe
from bakeoff.space import build_arms, suggest
from bakeoff.studyfile import resolve_study
from bakeoff.studyfile.grid import Grid, grid_values
from study_examples import study_document

SPACE = {
    "optimizer": "sgd",
    "scheduler": Choice(choices=("constant", "cosine")),
    "sgd.learning_rate": FloatRange(low=1e-4, high=1.0, log=True),
    "sgd.momentum": FloatRange(low=0.0, high=0.9),
    "cosine.cycles": IntRange(low=1, high=4),
    "model.depth": 2,
}
ARM = ArmRecord(name="sgd", space=SPACE)
STARTUP = 8
MODELS = [spec.name for spec in SAMPLERS if spec.propose and spec.learns]


def sampler_of(name, seed=3, arm=ARM):
    search = {"sampler": name, "pruner": "none", "startup_trials": STARTUP, "trials_per_arm": 18}
    return ArmSampler(arm, resolve_study(study_document(study={"seed": seed}, search=search)))


def shortfall(params):
    """Best is a rate of 0.01 with the largest momentum."""
    rate = math.log10(params["sgd.learning_rate"])
    return (rate + 2) ** 2 + (0.9 - params["sgd.momentum"])


def search(name, num_trials=18, seed=3, arm=ARM):
    """Proposals one after the other; the sampler learns the shortfall of each."""
    sampler, standings, proposals = sampler_of(name, seed, arm), {}, []
    for number in range(num_trials):
        params, phase = sampler.propose(number, standings)
        sampler.started(number, params, phase)
        standings[number] = ((0.0, 0.0, shortfall(params)),)
        proposals.append((params, phase))
    return sampler, standings, proposals


# ---------------------------------------------------------------- what every sampler promises


@pytest.fixture(scope="module", params=SAMPLERS.names)
def searched(request):
    return request.param, *search(request.param)


def test_only_parameters_of_the_chosen_schedule_appear_and_all_within_their_ranges(searched):
    _, _, _, proposals = searched
    schedules = set()
    for params, _ in proposals:
        schedules.add(params["scheduler"])
        expected = set(SPACE) - ({"cosine.cycles"} if params["scheduler"] == "constant" else set())
        assert set(params) == expected
        for name, value in params.items():
            setting = SPACE[name]
            assert value == setting or value in setting, name
    assert schedules == {"constant", "cosine"}


def test_the_phase_says_how_a_trial_was_drawn(searched):
    name, _, _, proposals = searched
    phases = [phase for _, phase in proposals]
    expected = {"random": ["random"] * 18, "sobol": ["design"] * 18, "grid": ["design"] * 18}
    assert phases == expected.get(name, ["random"] * STARTUP + ["model"] * 10)


def test_a_new_sampler_proposes_the_same_from_the_same_history(searched):
    name, sampler, standings, proposals = searched
    again = sampler_of(name)
    for number, (params, phase) in enumerate(proposals):
        again.started(number, params, phase)
    assert again.propose(18, standings) == sampler.propose(18, standings)


def test_trials_proposed_from_the_same_history_differ(searched):
    """As with several workers, while nothing new is known."""
    _, sampler, standings, _ = searched
    first, second = (sampler.propose(index, standings)[0] for index in (18, 19))
    assert first != second


def test_another_study_seed_gives_another_search(searched):
    name, _, _, proposals = searched
    assert search(name, num_trials=4, seed=4)[2] != proposals[:4]


@pytest.mark.parametrize("name", MODELS)
def test_a_model_tells_good_from_bad(name):
    """Proposals after the start fall short of the best by less than the random ones, in the mean."""
    gains = []
    for seed in range(3):
        _, _, proposals = search(name, num_trials=20, seed=seed)
        means = {
            kind: statistics.mean(shortfall(params) for params, phase in proposals if phase == kind)
            for kind in ("random", "model")
        }
        gains.append(means["random"] / means["model"])
    assert statistics.median(gains) > 1.5


@pytest.mark.parametrize("name", MODELS)
def test_only_the_order_of_the_trials_counts(name):
    sampler, standings, _ = search(name, num_trials=12)
    stretched = {
        number: ((0.0, 0.0, math.exp(standing[2])),) for number, (standing,) in standings.items()
    }
    assert sampler.propose(12, stretched) == sampler.propose(12, standings)


@pytest.mark.parametrize("name", MODELS)
def test_a_space_of_one_number_or_of_none_can_be_searched(name):
    fixed = {"optimizer": "sgd", "scheduler": "constant", "sgd.momentum": 0.5}
    for rate in (SPACE["sgd.learning_rate"], 0.1):
        arm = replace(ARM, space={**fixed, "sgd.learning_rate": rate})
        _, _, proposals = search(name, num_trials=12, arm=arm)
        assert len({params["sgd.learning_rate"] for params, _ in proposals}) == (
            12 if rate != 0.1 else 1
        )


# ---------------------------------------------------------------- one by one


def test_cmaes_gathers_where_the_best_are():
    """Over several generations its spread shrinks to a part of the random one's."""
    _, _, proposals = search("cmaes", num_trials=80)
    rates = [math.log10(params["sgd.learning_rate"]) for params, _ in proposals]
    assert statistics.stdev(rates[-20:]) < 0.5 * statistics.stdev(rates[:STARTUP])
    assert abs(statistics.mean(rates[-20:]) + 2) < 0.3


def test_sobol_points_are_spread_more_evenly_than_random_draws():
    """Of 16 points of a net, every sixteenth of a range holds exactly one."""
    _, _, proposals = search("sobol", num_trials=16)
    places = [(math.log10(params["sgd.learning_rate"]) + 4) / 4 for params, _ in proposals]
    assert sorted(int(16 * place) for place in places) == list(range(16))


def test_the_grid_visits_every_point_once():
    small = {"search": {"sampler": "grid", "grid_points": 2, "trials_per_arm": 12}}
    config = resolve_study(study_document(**small))
    sampler = ArmSampler(ARM, config)
    grid = Grid(SPACE, 2)
    points = [tuple(sampler.propose(index, {})[0].items()) for index in range(grid.size)]
    assert grid.size == 2 * 2 + 2 * 2 * 2
    assert len(set(points)) == 12
    assert set(points) == {tuple(grid[index].items()) for index in range(12)}
    with pytest.raises(IndexError):
        grid[12]


@pytest.mark.parametrize(
    ("setting", "points", "expected"),
    [
        (FloatRange(low=0.0, high=1.0), 3, (0.0, 0.5, 1.0)),
        (FloatRange(low=1e-4, high=1.0, log=True), 3, (1e-4, pytest.approx(1e-2), 1.0)),
        (FloatRange(low=0.0, high=1.0), 1, (0.5,)),
        (FloatRange(low=0.3, high=0.3), 3, (0.3,)),
        (IntRange(low=1, high=4), 3, (1, 3, 4)),
        (IntRange(low=1, high=2), 5, (1, 2)),
        (IntRange(low=0, high=10, step=5), 3, (0, 5, 10)),
        (IntRange(low=8, high=128, log=True), 3, (8, 32, 128)),
        (Choice(choices=("a", "b", "c", "d")), 2, ("a", "b", "c", "d")),
        (7, 3, (7,)),
    ],
    ids=str,
)
def test_the_values_of_a_grid_span_the_range(setting, points, expected):
    assert grid_values(setting, points) == expected


def test_a_huge_grid_is_not_kept_in_memory():
    grid = Grid({**SPACE, "sgd.weight_decay": FloatRange(low=0.0, high=1.0)}, 1000)
    assert grid.size == 10**9 + 4 * 10**9
    assert grid[grid.size - 1]["sgd.weight_decay"] == 1.0


def test_without_a_budget_the_smallest_grid_decides_the_number_of_trials():
    space = {
        name: {"learning_rate": {"low": 1e-3, "high": 0.1, "log": True}} for name in ("sgd", "adam")
    }
    document = study_document(search={"sampler": "grid", "grid_points": 2}, space=space)
    del document["search"]["trials_per_arm"]
    config = resolve_study(document)
    sizes = [Grid(arm.space, 2).size for arm in build_arms(config)]
    assert config.search.trials_per_arm == min(sizes) == config.search.startup_trials


def test_a_budget_beyond_the_grid_is_refused_with_its_size():
    document = study_document(
        search={
            "sampler": "grid",
            "trials_per_arm": 999,
            "schedulers": ["constant"],
            "grid_points": 2,
        }
    )
    with pytest.raises(
        StudyFileError, match=r"trials_per_arm = 999: the grid of '\w+' has \d+ points"
    ):
        resolve_study(document)


@pytest.mark.parametrize(("name", "expected"), [("tpe", "False"), ("cmaes", "False")])
def test_only_the_gaussian_process_needs_torch_in_the_driver(name, expected):
    code = (
        "import sys; sys.path[:0] = sys.argv[1:]; from test_samplers import search;"
        f"search({name!r}, num_trials=10); print('torch' in sys.modules)"
    )
    here = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, "-c", code, str(here), str(here.parents[1])],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == expected


def test_a_sampler_whose_package_is_missing_names_the_extra(monkeypatch):
    monkeypatch.setattr("bakeoff.search.samplers.find_spec", lambda _: None)
    check_sampler("tpe")
    with pytest.raises(MissingDependencyError, match=r"bakeoff\[samplers\]"):
        check_sampler("cmaes")


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_with_two_objectives_tpe_proposes_the_same_as_an_ordinary_optuna_study():
    """Trials that are known without being copied count as those that were added."""
    sampler, standings, _ = search("tpe", num_trials=30)
    both = {number: (one, (0.0, 0.0, number % 7)) for number, (one,) in standings.items()}
    told = sampler._ranked(both)  # noqa: SLF001
    for seed in range(5):
        tpe = TPESampler(seed=seed, n_startup_trials=0, multivariate=True, group=True)
        study = optuna.create_study(directions=["minimize", "minimize"], sampler=tpe)
        study.add_trials([one.trial for one in told])
        expected = suggest(study.ask(), ARM)
        assert propose_tpe(ARM, seed, told) == expected
