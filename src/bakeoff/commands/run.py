"""`study run`, `study plan`, `study report`: from a study file to a report."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from bakeoff.analysis.comparison import compare
from bakeoff.analysis.pareto_fronts import objective_sentences
from bakeoff.analysis.wording import promised
from bakeoff.commands.output import format_bytes, print_json, print_table, print_text
from bakeoff.durations import format_estimate, parse_duration
from bakeoff.errors import NothingCompletedError
from bakeoff.records import Budget, Comparison, StudyConfig
from bakeoff.report import write_report
from bakeoff.significance import ALPHA, min_confirmation_seeds
from bakeoff.studyfile import load_study_file

if TYPE_CHECKING:
    from bakeoff.data.datasets import DatasetSummary
    from bakeoff.engines.protocol import Probed
    from bakeoff.session import RunSettings


def run_and_report(
    file: Path,
    *,
    output: Path,
    storage_url: str | None,
    workers: int | None,
    threads: int | None,
    device: str,
    timeout: str | None = None,
    extends: bool = False,
    source: str | None = None,
) -> None:
    """Run the study of a file to its end, write the report and say what was found.

    Raises:
        NothingCompletedError: No trial completed; the report says what happened.
        BakeoffError: See `bakeoff.session.run_study`.
    """
    from bakeoff.commands.progress import build_progress
    from bakeoff.commands.refresh import RefreshingObserver
    from bakeoff.components.metrics import find_metric
    from bakeoff.dashboard import publish
    from bakeoff.session import RunSettings, choose_threads, run_study
    from bakeoff.studyfile import arm_names

    config = load_study_file(file)
    settings = RunSettings.choose(
        output=output,
        storage_url=storage_url,
        workers=workers,
        threads=choose_threads(config, threads),
        device=device,
        timeout=None if timeout is None else parse_duration(timeout),
        extends=extends,
        source=source,
    )
    arms = arm_names(config.compare, config.search.optimizers, config.search.schedulers)
    metric = find_metric(config.objective, config.data.task).info
    with build_progress(config, arms, metric, settings.workers) as progress:
        refresh = partial(_refresh, config.name, settings.storage_url)
        observer = RefreshingObserver(progress, refresh)
        result = run_study(config, settings, observer)
    if result.num_trained == 0:
        typer.echo(
            f"nothing to train: all {result.num_trials} trials and {result.num_confirmations}"
            f" confirmation runs of {config.name!r} are done"
        )
    comparison = report_study(config.name, output=output, storage_url=storage_url)
    publish(settings.storage_url, comparison, output)
    if not any(trial.outcome == "complete" for trial in comparison.study.trials):
        raise NothingCompletedError(
            f"study {config.name!r} finished, but no trial completed; the report says why"
        )


def _refresh(name: str, storage_url: str) -> None:
    """Put the verdict so far and the key figures of a running study into the dashboard."""
    from bakeoff.dashboard import publish_progress
    from bakeoff.storage import Storage

    comparison = compare(Storage(storage_url).load_record(name))
    publish_progress(storage_url, comparison, has_report=False)


def report_study(
    name: str, *, output: Path, storage_url: str | None, image_formats: Sequence[str] = ()
) -> Comparison:
    """Write a stored study's report, and print the verdict, the arms and where the report is.

    Raises:
        BakeoffError: The storage cannot be read, or holds no such study; or images are wanted and
            cannot be drawn.
    """
    from bakeoff.storage import Storage
    from bakeoff.storage.database import choose_storage_url

    storage = Storage(choose_storage_url(storage_url, output))
    comparison = compare(storage.load_record(name))
    paths = write_report(comparison, output / name, image_formats=image_formats)
    print_comparison(comparison)
    print_objectives(comparison)
    print_diagnoses(comparison)
    typer.echo(f"\nreport: {paths.html}")
    return comparison


def print_comparison(comparison: Comparison) -> None:
    """The verdict's headline and a table of the arms."""
    typer.echo(f"\n{comparison.verdict.headline}")
    if comparison.verdict.next_step:
        typer.echo(comparison.verdict.next_step)
    typer.echo()
    metric = comparison.study.objective.name
    print_table(
        ["arm", "trials", f"best {metric} in search", "seeds", f"test {metric}", "95 % interval"],
        [
            [
                arm.arm,
                arm.num_trials,
                arm.search_best,
                None if arm.confirmed is None else len(arm.confirmed.seeds),
                None if arm.confirmed is None else arm.confirmed.test_mean,
                "" if arm.confirmed is None else _interval(arm.confirmed.test_ci),
            ]
            for arm in comparison.arms
        ],
    )


def print_objectives(comparison: Comparison) -> None:
    """What was sought beside the objective and who is on the front; nothing for one objective."""
    for sentence in objective_sentences(comparison.study):
        typer.echo(f"\n{sentence}")


def print_diagnoses(comparison: Comparison) -> None:
    """What the curves of the arms suggest, and what to try; nothing where they are healthy."""
    if comparison.diagnoses:
        typer.echo("\nwhat the curves suggest:")
    for diagnosis in comparison.diagnoses:
        kind = diagnosis.kind.replace("_", " ")
        text = f"  {diagnosis.arm}, {kind}: {diagnosis.evidence} Try: {diagnosis.advice}"
        print_text(text, indent="    ")


def _interval(bounds: tuple[float, float]) -> str:
    return f"{bounds[0]:.4f} to {bounds[1]:.4f}" if all(map(math.isfinite, bounds)) else ""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a study is going to do and cost."""

    study: str
    arms: tuple[str, ...]
    objectives: tuple[str, ...]
    """With several nothing is pruned, and the first decides what is confirmed."""
    budget: Budget
    """Of every arm."""
    search_trials: int
    """Of all arms together; an estimate where the budget is not in trials."""
    default_trials: int
    shortlist_runs: int
    confirmation_runs: int
    num_runs: int
    max_epochs: int
    """If nothing is pruned."""
    expected_epochs: int
    """With the study's pruner, from a rehearsal on made-up scores; audited trials included."""
    most_paused: int
    """Trials that wait at one time, each with a checkpoint on disk."""
    checkpoint_bytes: int
    """Of one checkpoint, with the optimizer that keeps most; measured here with the first arm's."""
    checkpoints_per_run: int
    """The newest ones, that a run keeps while it waits or trains."""
    train_samples: int
    steps_per_epoch: int
    seconds_per_step: float
    max_hours: float
    """On this machine with these workers, training only, if nothing is pruned."""
    expected_hours: float
    """The same for the expected epochs."""
    workers: int
    detectable_seed_sds: float | None
    """Smallest difference between two arms, in standard deviations over seeds of their paired
    difference, that the confirmation finds with probability 0.8."""


def plan_study(file: Path, *, workers: int | None, device: str, as_json: bool) -> None:
    """Print what the study of a file would cost and could find out; nothing is stored.

    Raises:
        BakeoffError: The file, the data or the model is unusable.
    """
    from bakeoff.records import as_plain

    config = load_study_file(file)
    plan = make_plan(config, workers=workers, device=device)
    if as_json:
        print_json(as_plain(plan))
        return
    rows = [
        ["arms", ", ".join(plan.arms)],
        ["objective", _objectives(plan)],
        ["budget per arm", promised(plan.budget)],
        ["runs", _runs(plan)],
        ["epochs", f"about {plan.expected_epochs:,}, {plan.max_epochs:,} if nothing is pruned"],
        ["one epoch", f"{plan.train_samples:,} samples in {plan.steps_per_epoch:,} steps"],
        ["one step", f"{1000 * plan.seconds_per_step:.2f} ms, measured here"],
        ["training time", _training_time(plan)],
        ["disk", _disk(plan)],
        ["can detect", _detectable(plan)],
    ]
    print_table(["study", plan.study], rows)


def make_plan(config: StudyConfig, *, workers: int | None, device: str) -> Plan:
    """Count the runs, and measure the time of a step in a worker.

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
    defaults = len(arms) if config.search.defaults else 0
    confirm = config.confirm
    shortlist = len(arms) * confirm.shortlist * confirm.shortlist_seeds if confirm.seeds else 0
    others = len(arms) * confirm.seeds + defaults + shortlist
    steps = math.ceil(summary.num_train / smallest_batch(config))
    seconds_per_step = probed.seconds_per_step[probed.precision]
    epochs, budget = config.training.epochs, config.search.budget
    expected = forecast(config, steps * seconds_per_step)
    most = most_epochs_of(budget, steps * seconds_per_step)
    most_per_arm = [most, None if budget.trials is None else budget.trials * epochs]
    max_epochs = len(arms) * min(one for one in most_per_arm if one is not None) + others * epochs
    expected_epochs = expected.epochs + others * epochs
    hours_per_epoch = steps * seconds_per_step / 3600 / settings.workers
    checkpoint_bytes = largest_checkpoint(config, probed)
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
        checkpoint_bytes=checkpoint_bytes,
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
    """The data, and what a worker measured in a few steps on it."""
    from bakeoff.driver import StopRequest
    from bakeoff.engines.open import open_engine
    from bakeoff.session import check_data, check_packages, probe

    check_packages(config)
    summary = check_data(config)
    with StopRequest().listening() as stop, open_engine(replace(settings, workers=1)) as engine:
        return summary, probe(config, engine, stop)


def _detectable_seed_sds(num_arms: int, num_seeds: int) -> float | None:
    """The difference between two of the arms that confirmation would usually detect."""
    from bakeoff.analysis.statistics import detectable_difference

    num_pairs = num_arms * (num_arms - 1) // 2
    if not num_pairs or num_seeds < 2:  # noqa: PLR2004 - one seed has no deviation
        return None
    return detectable_difference(1.0, num_seeds, ALPHA / num_pairs)


def _objectives(plan: Plan) -> str:
    first, *further = plan.objectives
    if not further:
        return first
    return (
        f"{', '.join(plan.objectives)}: their Pareto front is searched and nothing pruned; of each"
        f" arm's front the best by {first} are confirmed"
    )


def _runs(plan: Plan) -> str:
    return (
        f"{plan.num_runs}: {_about(plan)}{plan.search_trials} trials, {plan.default_trials}"
        f" defaults, {plan.shortlist_runs} shortlist, {plan.confirmation_runs} confirmation"
    )


def _about(plan: Plan) -> str:
    return "" if plan.budget == Budget(trials=plan.budget.trials) else "about "


def _disk(plan: Plan) -> str:
    num_kept = plan.most_paused + plan.workers
    size = plan.checkpoints_per_run * plan.checkpoint_bytes
    return (
        f"up to {format_bytes(num_kept * size)} of checkpoints: {num_kept} runs wait or train at"
        f" one time, each keeps {plan.checkpoints_per_run} of {format_bytes(plan.checkpoint_bytes)}"
    )


def _training_time(plan: Plan) -> str:
    return (
        f"about {format_estimate(3600 * plan.expected_hours)} with {plan.workers} workers,"
        f" at most {format_estimate(3600 * plan.max_hours)}"
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
