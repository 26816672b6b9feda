import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.filesize import decimal

from bakeoff.commands import options
from bakeoff.commands.output import print_json, print_table
from bakeoff.records import Budget, StudyConfig
from bakeoff.records.durations import format_estimate
from bakeoff.records.significance import min_confirmation_seeds

if TYPE_CHECKING:
    from bakeoff.data.datasets import DatasetSummary
    from bakeoff.engines.protocol import Probed
    from bakeoff.session import RunSettings


def plan(
    file: options.StudyFile,
    workers: options.Workers = None,
    device: options.DeviceOption = "cpu",
    as_json: options.Json = False,
) -> None:
    """Say what a study would cost and could find out, from a probe of a few seconds.

    Example: study plan studies/fashion-cnn.toml
    """
    from bakeoff.studyfile import load_study_file

    planned = make_plan(load_study_file(file), workers=workers, device=device)
    if as_json:
        print_json(planned)
    else:
        print_plan(planned)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a study will do and what it will cost."""

    study: str
    arms: tuple[str, ...]
    objectives: tuple[str, ...]
    """With several, nothing is pruned, and the first decides which configurations are confirmed."""
    budget: Budget
    """The budget of each arm."""
    search_trials: int
    """Trials of all arms together; an estimate unless the budget is in trials."""
    default_trials: int
    shortlist_runs: int
    confirmation_runs: int
    num_runs: int
    max_epochs: int
    """Epochs of all runs if nothing is pruned."""
    expected_epochs: int
    """Epochs of all runs with the study's pruner, from a simulation with invented scores."""
    most_paused: int
    """Largest number of trials that wait at the same time, each with its checkpoints on disk."""
    checkpoint_bytes: int
    """Size of one checkpoint with the optimizer that stores most, from a measurement here."""
    checkpoints_per_run: int
    """The newest checkpoints, which a run keeps while it waits or trains."""
    train_samples: int
    steps_per_epoch: int
    seconds_per_step: float
    max_hours: float
    """Hours of training on this machine with these workers if nothing is pruned."""
    expected_hours: float
    """Hours of training for the expected epochs."""
    workers: int
    detectable_seed_sds: float | None
    """Smallest difference between two arms that the confirmation finds with probability 0.8, in
    standard deviations over seeds of their paired difference."""


def make_plan(config: StudyConfig, *, workers: int | None, device: str) -> Plan:
    """Count the runs, and measure the time of a training step in a worker.

    Raises:
        BakeoffError: The data or the model is unusable.
    """
    from bakeoff.search.forecast import forecast, most_epochs_of
    from bakeoff.session import RunSettings, largest_checkpoint, smallest_batch
    from bakeoff.space import build_arms

    settings = RunSettings.choose(
        output=Path(),
        storage_url=None,
        workers=workers,
        device=device,
        threads=config.training.threads,
    )
    summary, probed = _measure(config, settings)
    arms = tuple(arm.name for arm in build_arms(config))
    confirm, epochs, budget = config.confirm, config.training.epochs, config.search.budget
    defaults = len(arms) if config.search.defaults else 0
    shortlist = len(arms) * confirm.shortlist * confirm.shortlist_seeds if confirm.seeds else 0
    others = len(arms) * confirm.seeds + defaults + shortlist
    steps = math.ceil(summary.num_train / smallest_batch(config))
    seconds_per_step = probed.seconds_per_step[probed.precision]
    expected = forecast(config, steps * seconds_per_step)
    expected_epochs = expected.epochs + others * epochs
    most = most_epochs_of(budget, steps * seconds_per_step)
    most_per_arm = [most, None if budget.trials is None else budget.trials * epochs]
    max_epochs = len(arms) * min(one for one in most_per_arm if one is not None) + others * epochs
    hours_per_epoch = steps * seconds_per_step / 3600 / settings.workers
    return Plan(
        study=config.name,
        arms=arms,
        objectives=(config.objective, *config.further_objectives),
        budget=budget,
        search_trials=expected.trials,
        default_trials=defaults,
        shortlist_runs=shortlist,
        confirmation_runs=len(arms) * confirm.seeds,
        num_runs=expected.trials + others,
        max_epochs=max_epochs,
        expected_epochs=expected_epochs,
        most_paused=expected.most_paused,
        checkpoint_bytes=largest_checkpoint(config, probed),
        checkpoints_per_run=probed.num_checkpoints,
        train_samples=summary.num_train,
        steps_per_epoch=steps,
        seconds_per_step=seconds_per_step,
        max_hours=max_epochs * hours_per_epoch,
        expected_hours=expected_epochs * hours_per_epoch,
        workers=settings.workers,
        detectable_seed_sds=_detectable_seed_sds(len(arms), confirm.seeds),
    )


def _measure(config: StudyConfig, settings: "RunSettings") -> "tuple[DatasetSummary, Probed]":
    """Check the data, and let a worker measure a few training steps on it."""
    from bakeoff.driver import StopRequest
    from bakeoff.engines.open import open_engine
    from bakeoff.session import check_data, check_packages, probe

    check_packages(config)
    summary = check_data(config)
    with StopRequest().listening() as stop, open_engine(replace(settings, workers=1)) as engine:
        return summary, probe(config, engine, stop)


def _detectable_seed_sds(num_arms: int, num_seeds: int) -> float | None:
    """The difference between two arms that the confirmation detects with probability 0.8.

    It is in standard deviations of one arm's scores over seeds, taken as independent between arms.
    """
    from bakeoff.analysis.power import detectable_deviations

    found = detectable_deviations(num_seeds, num_arms)
    return None if math.isinf(found) else math.sqrt(2) * found


def print_plan(plan: Plan) -> None:
    """Print the plan as a table of sentences."""
    from bakeoff.analysis.wording import promised

    first, *further = plan.objectives
    expected, most = (format_estimate(3600 * one) for one in (plan.expected_hours, plan.max_hours))
    rows = [
        ["arms", ", ".join(plan.arms)],
        ["objective", _objectives(plan) if further else first],
        ["budget per arm", promised(plan.budget)],
        ["runs", _runs(plan)],
        ["epochs", f"about {plan.expected_epochs:,}, {plan.max_epochs:,} if nothing is pruned"],
        ["one epoch", f"{plan.train_samples:,} samples in {plan.steps_per_epoch:,} steps"],
        ["one step", f"{1000 * plan.seconds_per_step:.2f} ms, measured here"],
        ["training time", f"about {expected} with {plan.workers} workers, at most {most}"],
        ["disk", _disk(plan)],
        ["can detect", _detectable(plan)],
    ]
    print_table(["study", plan.study], rows)


def _objectives(plan: Plan) -> str:
    names = ", ".join(plan.objectives)
    return (
        f"{names}: the search looks for their Pareto front and prunes nothing; of each arm's front"
        f" the best by {plan.objectives[0]} are confirmed"
    )


def _runs(plan: Plan) -> str:
    is_exact = plan.budget == Budget(trials=plan.budget.trials)
    return (
        f"{plan.num_runs}: {'' if is_exact else 'about '}{plan.search_trials} trials,"
        f" {plan.default_trials} defaults, {plan.shortlist_runs} shortlist,"
        f" {plan.confirmation_runs} confirmation"
    )


def _disk(plan: Plan) -> str:
    num_kept = plan.most_paused + plan.workers
    size = plan.checkpoints_per_run * plan.checkpoint_bytes
    return (
        f"up to {decimal(num_kept * size)} of checkpoints: {num_kept} runs wait or train at"
        f" one time, each keeps {plan.checkpoints_per_run} of {decimal(plan.checkpoint_bytes)}"
    )


def _detectable(plan: Plan) -> str:
    if plan.detectable_seed_sds is None:
        return "nothing: no pair of arms is confirmed"
    have, needed = plan.confirmation_runs // len(plan.arms), min_confirmation_seeds(len(plan.arms))
    if have < needed:
        return f"nothing: a verdict needs {needed} seeds per arm, [confirm] gives {have}"
    return (
        f"differences of about {plan.detectable_seed_sds:.2f} standard deviations over seeds,"
        f" with {have} seeds per arm"
    )
