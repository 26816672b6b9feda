"""A study of several objectives from the search to every command that shows it."""

import csv
import re
from dataclasses import replace
from statistics import fmean

import optuna
import pytest
from typer.testing import CliRunner

from bakeoff.analysis.comparison import compare
from bakeoff.analysis.pareto_fronts import arm_fronts, front_of_all
from bakeoff.commands.cli import app
from bakeoff.dashboard import publish
from bakeoff.pareto import front_of
from bakeoff.report import write_report
from bakeoff.search.arms import Search
from bakeoff.search.confirm import shortlist
from bakeoff.search.proposals import ArmSampler
from bakeoff.space import build_arms, check_extension
from bakeoff.storage import Storage
from bakeoff.studyfile import resolve_study
from driven_study import drive
from study_examples import SimulatedEngine, study_document

OBJECTIVES = ["accuracy", "train_seconds"]


def study(objective=OBJECTIVES, **search):
    document = study_document(
        study={"objective": list(objective)},
        search={"trials_per_arm": 8, "startup_trials": 3, **search},
    )
    document["search"].pop("pruner")
    return resolve_study(document)


class TimedEngine(SimulatedEngine):
    """The better the learning rate, the longer an epoch takes."""

    def _train_epoch(self, run):
        rate = self._jobs[run].config.optimizer_params["learning_rate"]
        told = super()._train_epoch(run)
        seconds = 1 + round(200 * min(rate, 0.01), 4)
        result = replace(told[0].result, train_seconds=seconds)
        metrics = {**result.metrics, "loss": 1.5 * rate + (1 - result.metrics["accuracy"])}
        return [replace(told[0], result=replace(result, metrics=metrics)), *told[1:]]


def read_csv(path):
    return list(csv.DictReader(path.read_text().splitlines()))


def diverges(trial):
    return trial.optimizer_params["learning_rate"] > 0.3


@pytest.fixture(scope="module")
def driven(tmp_path_factory):
    folder = tmp_path_factory.mktemp("objectives")
    url = f"sqlite:///{folder / 'studies.db'}"
    record = drive(study(), TimedEngine(2, diverges=diverges), url, folder / "toy")
    return record, url, folder


def test_every_arm_gets_its_budget_and_nothing_is_pruned(driven):
    record, _, _ = driven
    trials = [trial for trial in record.trials if trial.phase != "default"]
    assert len(trials) == 16
    assert {trial.outcome for trial in trials} == {"complete", "diverged"}
    assert {trial.epochs_run for trial in trials if trial.outcome == "complete"} == {4}


def test_the_stored_study_is_one_of_several_objectives_for_optuna_too(driven):
    record, url, _ = driven
    stored = optuna.load_study(study_name="toy", storage=url)
    assert [direction.name for direction in stored.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert stored.metric_names == OBJECTIVES
    ours = front_of([replace(one, phase="random") for one in record.trials], record.objectives)
    assert {trial.number for trial in stored.best_trials} == {trial.number for trial in ours}
    by_number = {trial.number: trial for trial in stored.trials}
    for trial in record.trials:
        if trial.outcome == "complete":
            assert by_number[trial.number].values == [trial.score, *trial.further_scores.values()]


def test_a_diverged_run_is_on_no_front_though_it_ended_soonest(driven):
    record, url, _ = driven
    diverged = {trial.number for trial in record.trials if trial.outcome == "diverged"}
    assert diverged
    stored = optuna.load_study(study_name="toy", storage=url)
    assert diverged.isdisjoint(trial.number for trial in stored.best_trials)
    assert diverged.isdisjoint(trial.number for trial in front_of_all(record))


def test_the_seconds_of_a_run_are_those_of_all_its_epochs(driven):
    record, _, _ = driven
    for trial in record.trials:
        if trial.outcome == "complete":
            assert trial.further_scores == {"train_seconds": pytest.approx(trial.train_seconds)}


def test_only_the_arms_front_is_shortlisted_the_best_by_the_first_objective_first(driven):
    record, _, _ = driven
    listed = shortlist(record.trials, record.arms, record.objectives, size=2)
    for arm in record.arms:
        front = front_of([one for one in record.trials if one.arm == arm.name], record.objectives)
        best = sorted(front, key=lambda trial: -trial.score)[:2]
        assert [trial.number for trial in listed[arm.name]] == [trial.number for trial in best]
    confirmed = {run.configuration for run in record.confirmations if run.purpose == "confirm"}
    assert confirmed <= {trial.number for trials in listed.values() for trial in trials}


def test_a_front_covers_the_share_of_the_box_that_it_dominates(driven):
    record, _, _ = driven
    fronts = arm_fronts(record)
    assert sum(len(front.front_of_all) for front in fronts) == len(front_of_all(record))
    assert all(0 < front.covered < 1 for front in fronts)
    everyone = replace(record, trials=tuple(replace(one, arm="sgd") for one in record.trials))
    together = arm_fronts(everyone)[0].covered
    assert together >= max(front.covered for front in fronts)


def test_the_report_has_the_front_as_figure_table_and_sentence(driven, tmp_path):
    record, url, folder = driven
    comparison = compare(record)
    paths = write_report(comparison, tmp_path)
    rows = read_csv(tmp_path / "figures/F12-pareto-front.csv")
    complete = [t for t in record.trials if t.outcome == "complete" and t.phase != "default"]
    assert [int(row["trial"]) for row in rows] == [trial.number for trial in complete]
    table = read_csv(tmp_path / "tables/T12-pareto-front.csv")
    best = {int(row["trial"]) for row in table if row["on_front_of_all"] == "true"}
    assert best == {trial.number for trial in front_of_all(record)}
    for text in (paths.markdown.read_text(), paths.html.read_text()):
        assert "pruned nothing" in text
        assert "the verdict is about accuracy alone" in text
    publish(url, comparison, folder)
    storage = Storage(url).optuna_storage
    attrs = storage.get_study_system_attrs(storage.get_study_id_from_name("toy"))
    assert any("F12" in key for key in attrs)


def test_a_study_of_one_objective_says_nothing_of_fronts(tmp_path):
    config = study(["accuracy"], pruner="none")
    record = drive(config, TimedEngine(), f"sqlite:///{tmp_path / 'one.db'}", tmp_path)
    write_report(compare(record), tmp_path / "report")
    assert not list((tmp_path / "report").rglob("*pareto*"))
    assert "front" not in (tmp_path / "report/report.md").read_text()


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("status toy", r"best accuracy +on its front"),
        ("status toy --json", r'"on its front": \d'),
        ("list --json", r"toy"),
        ("show toy", r"accuracy +train_seconds"),
        ("show toy 0", r"train_seconds +\d"),
        ("show toy --json", r'"train_seconds": \d'),
        ("report toy", r"The search optimized accuracy \(higher is better\) and train seconds"),
    ],
)
def test_every_verb_shows_all_objectives(driven, command, expected):
    _, _, folder = driven
    result = CliRunner().invoke(app, [*command.split(), "--output", str(folder)])
    assert result.exit_code == 0, result.output
    assert re.search(expected, result.output)


@pytest.mark.parametrize("sampler", ["random", "sobol", "tpe", "gp", "grid"])
def test_every_sampler_that_is_allowed_seeks_all_objectives(sampler, tmp_path):
    config = study(["accuracy", "train_seconds", "loss"], sampler=sampler, trials_per_arm=4)
    config = replace(config, confirm=replace(config.confirm, seeds=0))
    engine = TimedEngine(2, diverges=diverges)
    record = drive(config, engine, f"sqlite:///{tmp_path / 's.db'}", tmp_path)
    assert len(record.trials) == 10
    assert front_of_all(record)


def test_tpe_looks_where_both_objectives_are_good():
    """Two objectives of one number, best at 0.01 and at 0.1: nothing good lies outside."""
    arm, config = build_arms(study(schedulers=["constant"]))[0], study(startup_trials=10)
    sampler, standings, drawn = ArmSampler(arm, config), {}, {"random": [], "model": []}
    for number in range(50):
        params, phase = sampler.propose(number, standings)
        sampler.started(number, params, phase)
        rate = float(params["sgd.learning_rate"])
        drawn[phase].append(0.007 <= rate <= 0.15)
        standings[number] = ((0.0, 0.0, abs(rate - 0.01)), (0.0, 0.0, abs(rate - 0.1)))
    assert fmean(drawn["model"]) > 0.6 > fmean(drawn["random"])


def test_a_search_taken_up_again_proposes_the_same(driven):
    record, _, _ = driven
    config = study()

    def taken_up(num_trials):
        search = Search(config, build_arms(config), "maximize")
        for trial in record.trials[:num_trials]:
            search.finish(search.restore(trial), trial)
        return search

    for number in (9, 12, 15):
        # one worker knew every trial before the one it began; two may lack the latest
        first, second = taken_up(number).next(), taken_up(number).next()
        assert first == second
        assert first.arm == record.trials[number].arm


def test_a_study_of_several_objectives_can_be_extended_but_not_by_an_objective(driven):
    config = study()
    more = replace(config, search=replace(config.search, trials_per_arm=9))
    assert check_extension(config, more) == ["search.trials_per_arm: 8 -> 9"]
    with pytest.raises(Exception, match="objective"):
        check_extension(config, study(["accuracy", "loss"]))


def test_values_survive_the_storage(driven):
    record, url, _ = driven
    again = Storage(url).load_record("toy")
    for stored, trial in zip(again.trials, record.trials, strict=True):
        assert stored.further_scores == pytest.approx(trial.further_scores, nan_ok=True)
