import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from rich.filesize import decimal

from bakeoff.commands import options
from bakeoff.commands.output import print_json, print_table
from bakeoff.commands.study_cost import cost_of, count_runs
from bakeoff.records import Budget, Precision, StudyConfig
from bakeoff.records.durations import format_estimate
from bakeoff.records.significance import min_confirmation_seeds, repeats_needed

if TYPE_CHECKING:
    from bakeoff.data.summary import DatasetSummary
    from bakeoff.engines.protocol import Probed
    from bakeoff.session.run_settings import RunSettings
    from bakeoff.session.stacking import Stacking, Widths
    from bakeoff.session.timing import StudyTimes


def plan(
    file: options.StudyFile,
    workers: options.Workers = None,
    workers_per_device: options.WorkersPerDevice = None,
    device: options.DeviceOption = "auto",
    changes: options.Changes = None,
    as_json: options.Json = False,
) -> None:
    """Say what a study would cost and could find out, from a probe of a few seconds.

    Example: study plan studies/fashion-cnn.toml
    """
    from bakeoff.studyfile import load_study_file

    planned = make_plan(
        load_study_file(file, changes or ()),
        workers=workers,
        workers_per_device=workers_per_device,
        device=device,
    )
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
    """The budget of each arm in one search."""
    repeats: int
    repeats_needed: int
    """Repeats that a statement about the optimizers themselves usually takes."""
    search_trials: int
    """Trials of all arms and repeats; an estimate unless the budget is in trials."""
    default_trials: int
    """Runs of the library defaults, in the search and on the seeds of the confirmation."""
    shortlist_runs: int
    confirmation_runs: int
    seeds: int
    """Confirmation seeds of each arm in the first repeat."""
    num_runs: int
    max_epochs: int
    """Epochs of all runs if nothing is pruned."""
    expected_epochs: int
    """Epochs of all runs with the study's pruner, from a simulation with invented scores."""
    most_paused: int
    """Largest number of trials that wait at the same time, each with its checkpoints on disk."""
    most_training: Mapping[str, int]
    """Largest number of runs that train at the same time in the search, and in the confirmation."""
    checkpoint_bytes: int
    """Size of one checkpoint with the optimizer that stores most, from a measurement here."""
    checkpoints_per_run: int
    """The newest checkpoints, which a run keeps while it waits or trains."""
    train_samples: int
    steps_per_epoch: int
    """0 if a loop of the user's own decides it."""
    seconds_per_step: float
    """Of the built-in loop; of a loop of the user's own it is the duration of its first epoch."""
    seconds_per_epoch: float
    """Of one worker, with evaluation; the mean over arms."""
    seconds_per_run: float
    """Of one worker, besides the epochs of a run."""
    stacked_seconds_per_run: float | None = None
    """Of one worker, for a whole run of the confirmation, whose runs train as stacks; None if they
    train one by one."""
    max_hours: float
    """Hours from start to report on this machine with these workers if nothing is pruned."""
    expected_hours: float
    """Hours from start to report for the expected epochs."""
    hours_for_optimizers: float
    """Expected hours with `repeats_needed` repeats instead."""
    workers: int
    detectable_seed_sds: float | None
    """Smallest difference between two arms that the confirmation finds with probability 0.8, in
    standard deviations of one arm's scores over seeds; None with too few seeds."""


def make_plan(
    config: StudyConfig,
    *,
    workers: int | None,
    device: str,
    workers_per_device: int | None = None,
    threads: int | None = None,
) -> Plan:
    """Count the runs, and measure the time of a training step in a worker.

    Raises:
        BakeoffError: The data or the model is unusable.
    """
    from bakeoff.search.forecast import forecast
    from bakeoff.session.measuring import largest_checkpoint
    from bakeoff.space import build_arms

    started = time.time()
    settings = _choose_settings(config, workers, workers_per_device, device, threads)
    summary, probed, times, widths = _measure(config, settings, started)
    arms = tuple(arm.name for arm in build_arms(config))
    expected = forecast(config, times.epoch)
    cost = partial(cost_of, config, times, settings.workers, len(arms), expected.trials)
    needed = repeats_needed(len(arms))
    likely = cost(config.search.repeats, expected.epochs, expected.resumed)
    highest = cost(config.search.repeats, len(arms) * _most_epochs(config, times), 0)
    return Plan(
        study=config.name,
        arms=arms,
        objectives=(config.objective, *config.further_objectives),
        budget=config.search.budget,
        repeats=config.search.repeats,
        repeats_needed=needed,
        search_trials=likely.runs.trials,
        default_trials=likely.runs.defaults,
        shortlist_runs=likely.runs.shortlist,
        confirmation_runs=likely.runs.confirmation,
        seeds=config.confirm.seeds,
        num_runs=likely.runs.total,
        max_epochs=highest.epochs,
        expected_epochs=likely.epochs,
        most_paused=expected.most_paused,
        most_training={
            part: settings.workers * max(1, width) for part, width in widths._asdict().items()
        },
        checkpoint_bytes=largest_checkpoint(config, probed),
        checkpoints_per_run=probed.num_checkpoints,
        train_samples=summary.num_train,
        steps_per_epoch=_steps_per_epoch(config, summary.num_train),
        seconds_per_step=probed.seconds_per_step[probed.precision],
        seconds_per_epoch=times.epoch,
        seconds_per_run=times.run,
        stacked_seconds_per_run=_stacked_seconds(config, times),
        max_hours=max(highest.hours, likely.hours),
        expected_hours=likely.hours,
        hours_for_optimizers=cost(needed, expected.epochs, expected.resumed).hours,
        workers=settings.workers,
        detectable_seed_sds=_detectable_seed_sds(len(arms), config.confirm.seeds),
    )


def _most_epochs(config: StudyConfig, times: "StudyTimes") -> int:
    """The epochs that an arm may train in one search."""
    from bakeoff.search.forecast import most_epochs_of

    budget = config.search.budget
    of_trials = None if budget.trials is None else budget.trials * config.training.epochs
    limits = (most_epochs_of(budget, times.epoch), of_trials)
    return min(one for one in limits if one is not None)


def _choose_settings(
    config: StudyConfig,
    workers: int | None,
    workers_per_device: int | None,
    device: str,
    threads: int | None,
) -> "RunSettings":
    from bakeoff.session.run_settings import RunSettings
    from bakeoff.studyfile.threads import choose_threads

    return RunSettings.choose(
        output=Path(),
        storage_url=None,
        workers=workers,
        workers_per_device=workers_per_device,
        device=device,
        devices_per_trial=config.training.devices_per_trial,
        threads=choose_threads(config, threads),
    )


def _stacked_seconds(config: StudyConfig, times: "StudyTimes") -> float | None:
    stacked = times.stacked
    return None if stacked is None else config.training.epochs * stacked.epoch + stacked.run


def _steps_per_epoch(config: StudyConfig, num_train: int) -> int:
    """The most steps of an epoch; 0 if a loop of the user's own decides them."""
    from bakeoff.session.checks import smallest_batch

    return 0 if config.training.loop else math.ceil(num_train / smallest_batch(config))


def _measure(
    config: StudyConfig, settings: "RunSettings", started: float
) -> "tuple[DatasetSummary, Probed, StudyTimes, Widths]":
    """Check the data, and let workers measure training steps and epochs on it."""
    from bakeoff.driver import StopRequest
    from bakeoff.engines.open import open_engine
    from bakeoff.session.checks import check_data, check_packages
    from bakeoff.session.measuring import probe
    from bakeoff.session.stacking import check_arithmetic, choose_arithmetic, widths_to_try
    from bakeoff.session.timing import measure_times

    check_packages(config)
    check_arithmetic(config)
    summary = check_data(config)
    workers = settings.workers
    with StopRequest().listening() as stop, open_engine(settings) as engine:
        probed = probe(config, engine, stop, widths=widths_to_try(config, workers))
        stacking = choose_arithmetic(config, probed)
        precision = cast("Precision", probed.precision)
        trained = replace(config, training=replace(config.training, precision=precision))
        widths = _stack_widths(config, workers, stacking)
        times = measure_times(
            trained,
            engine,
            stop,
            workers=workers,
            started=started,
            widths=widths,
        )
        return summary, probed, times, widths


def _stack_widths(config: StudyConfig, workers: int, stacking: "Stacking") -> "Widths":
    """Runs that each worker trains at once in search and confirmation; 0 for one by one."""
    from bakeoff.engines.stacks import MAX_WIDTH
    from bakeoff.session.stacking import Widths, open_trials
    from bakeoff.space import build_arms

    runs = count_runs(config, len(build_arms(config)), 0, 1).confirmed
    most = Widths(search=open_trials(config), confirm=runs)
    return Widths(
        *(
            min(MAX_WIDTH, -(-num // workers)) if how == "stacked" else 0
            for num, how in zip(most, stacking, strict=True)
        )
    )


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
        *_one_epoch(plan),
        ["one run", _one_run(plan)],
        ["time", f"about {expected} with {plan.workers} workers, at most {most}"],
        ["disk", _disk(plan)],
        ["can detect", _detectable(plan)],
        ["can say", _can_say(plan)],
    ]
    print_table(["study", plan.study], rows)


def _objectives(plan: Plan) -> str:
    names = ", ".join(plan.objectives)
    return (
        f"{names}: the search looks for their Pareto front and prunes nothing; of each arm's front"
        f" the best by {plan.objectives[0]} are confirmed"
    )


def _one_epoch(plan: Plan) -> list[list[str]]:
    """Samples and steps of an epoch; those of a loop of the user's own are not known."""
    if not plan.steps_per_epoch:
        return []
    return [
        ["one epoch", f"{plan.train_samples:,} samples in {plan.steps_per_epoch:,} steps"],
        ["one step", f"{1000 * plan.seconds_per_step:.2f} ms, measured here"],
    ]


def _one_run(plan: Plan) -> str:
    alone = (
        f"{1000 * plan.seconds_per_epoch:.0f} ms an epoch, and {1000 * plan.seconds_per_run:.0f} ms"
        " around them, measured here"
    )
    if plan.stacked_seconds_per_run is None:
        return alone
    together = 1000 * plan.stacked_seconds_per_run
    return f"{alone}; in all {together:.0f} ms in the confirmation, which trains many at once"


def _runs(plan: Plan) -> str:
    is_exact = plan.budget == Budget(trials=plan.budget.trials)
    repeats = f" in {plan.repeats} repeats" if plan.repeats > 1 else ""
    return (
        f"{plan.num_runs}: {'' if is_exact else 'about '}{plan.search_trials} trials{repeats},"
        f" {plan.default_trials} defaults, {plan.shortlist_runs} shortlist,"
        f" {plan.confirmation_runs} confirmation"
    )


def _disk(plan: Plan) -> str:
    num_kept = max(plan.most_paused + plan.most_training["search"], plan.most_training["confirm"])
    size = plan.checkpoints_per_run * plan.checkpoint_bytes
    return (
        f"up to {decimal(num_kept * size)} of checkpoints: {num_kept} runs wait or train at"
        f" one time, each keeps {plan.checkpoints_per_run} of {decimal(plan.checkpoint_bytes)}"
    )


def _detectable(plan: Plan) -> str:
    if plan.detectable_seed_sds is None:
        return "nothing: no pair of arms is confirmed"
    have, needed = plan.seeds, min_confirmation_seeds(len(plan.arms))
    if have < needed:
        return f"nothing: a verdict needs {needed} seeds per arm, [confirm] gives {have}"
    return (
        f"differences of about {plan.detectable_seed_sds:.2f} standard deviations over seeds,"
        f" with {have} seeds per arm"
    )


def _can_say(plan: Plan) -> str:
    """What kind of statement the repeats allow, and what a statement about optimizers takes."""
    if plan.repeats >= plan.repeats_needed:
        return "which arm is better, from independent searches of every arm"
    hours = format_estimate(3600 * plan.hours_for_optimizers)
    return (
        f"which of the configurations found is better; which arm is better usually takes repeats ="
        f" {plan.repeats_needed} in [search], about {hours}"
    )
