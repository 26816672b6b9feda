"""Compares current code with a stored baseline on the same seeds: did the model get worse?"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np

from bakeoff.analysis.gate import (
    MIN_SEEDS,
    default_margin,
    describe_finding,
    find_collapsed,
    judge,
    seeds_for,
)
from bakeoff.analysis.statistics import Scores
from bakeoff.child_process import num_cores
from bakeoff.components.metrics import metric_info
from bakeoff.data.summary import DatasetSummary
from bakeoff.engines.device_table import CPU
from bakeoff.engines.devices import choose_devices
from bakeoff.engines.open import (
    EngineSettings,
    default_threads,
    default_workers,
    open_engine,
)
from bakeoff.engines.protocol import Probed
from bakeoff.engines.stopping import StopRequest
from bakeoff.errors import BakeoffError, UntrainableError, UsageError
from bakeoff.production.gate_facts import (
    changed_environment,
    check_comparable_scores,
    comparable_changes,
    environment_of,
    identity_of,
)
from bakeoff.production.gate_file import Baseline, commit_of, write_baseline
from bakeoff.production.gate_runs import GateObserver, SeedTrainer, seed_store
from bakeoff.records import (
    WEIGHTS_HASH,
    GateFinding,
    GateReport,
    GateRun,
    MetricInfo,
    Precision,
    StudyConfig,
)
from bakeoff.records.durations import plural
from bakeoff.records.significance import GATE_SEEDS
from bakeoff.seeding import derive_seed
from bakeoff.session.checks import check_data, check_packages
from bakeoff.session.measuring import probe
from bakeoff.session.run_settings import check_count, check_output
from bakeoff.studyfile import format_study


@dataclass(frozen=True, kw_only=True)
class GatePlace:
    """Where and with how much a gate trains."""

    output: Path
    settings: EngineSettings
    observer: GateObserver

    def folder(self, config: StudyConfig) -> Path:
        """The folder for the report of a study's gate, and for its unfinished runs."""
        return self.output / config.name / "gate"


def gate_settings(device: str, workers: int | None, threads: int | None) -> EngineSettings:
    """The workers and threads of a gate: by default a worker for every core of a CPU.

    Raises:
        UsageError: A number is not between 1 and 1024, or the device is not here.
    """
    check_count("--workers", workers)
    check_count("--threads", threads)
    chosen = choose_devices(device)
    if workers is None:
        workers = default_workers(chosen.kind, len(chosen.devices))
        if threads is not None and chosen.kind == CPU.kind:
            workers = max(1, num_cores() // threads)
    return EngineSettings(
        device=chosen.kind,
        devices=chosen.devices,
        device_note=chosen.note,
        workers=workers,
        threads=threads or default_threads(chosen.kind, workers),
    )


def store_baseline(
    config: StudyConfig,
    path: Path,
    place: GatePlace,
    *,
    margin: float | None = None,
    num_seeds: int | None = None,
) -> Baseline:
    """Train the seeds of a gate and store their scores as the baseline of later code.

    Args:
        config: A study of one configuration, from `production.one_configuration.fix_settings`.
        path: The file to write.
        place: Where to train.
        margin: The largest loss of later code that is accepted; by default the study file's delta,
            or else what `default_margin` says.
        num_seeds: By default as many as `seeds_for` says after the first 12.

    Raises:
        UsageError: No margin is known because all seeds have the same score.
        InterruptedStudyError: A stop was requested. Calling again continues.
        BakeoffError: A run did not complete, or data, model or folders are unusable.
    """
    summary = _checked(config, place)
    metric = metric_info(config.objective, config, summary.num_targets)
    with _training(config, summary, place) as (trainer, probed):
        runs = _all_complete(trainer.train(_seeds(config, num_seeds or GATE_SEEDS)))
        accepted, source = _margin(config, margin, _scores(runs), metric, summary)
        if num_seeds is None:
            num_seeds = seeds_for(_scores(runs), accepted)
            runs = _all_complete(trainer.train(_seeds(config, num_seeds)))
        for index in find_collapsed(_scores(runs), metric, accepted):
            place.observer.note(
                f"seed {runs[index].seed} has a score far below the others,"
                f" {runs[index].score:.4g}: code that fails now and then is not fit for a gate"
            )
        baseline = Baseline(
            study=config.name,
            settings=format_study(config),
            metric=metric.name,
            direction=metric.direction,
            margin=accepted,
            margin_source=source,
            num_validation=summary.num_validation or None,
            data_fingerprint=summary.fingerprint,
            precision=trainer.precision,
            threads=place.settings.threads,
            device=place.settings.device,
            commit=commit_of(config.folder),
            environment=environment_of(config, place.settings, probed),
            runs=runs,
        )
        write_baseline(path, baseline)  # while the seeds are still kept
    return baseline


def compare_with_baseline(
    config: StudyConfig,
    baseline: Baseline,
    place: GatePlace,
    *,
    reference: str,
    margin: float | None = None,
    num_seeds: int | None = None,
) -> GateReport:
    """Train the seeds of a baseline with the current code, and decide whether it is worse.

    It is worse if `judge` says so, and without any test if it cannot be trained, or if a run fails
    or diverges: no run of a baseline does.

    Args:
        config: A study of one configuration. The split, the data and the objective have to be those
            of the baseline; other settings may differ, which the report says.
        baseline: From `load_baseline`.
        place: Where to train.
        reference: How the user named the baseline.
        margin: Takes the place of the baseline's.
        num_seeds: Only the first seeds of the baseline; by default all.

    Raises:
        UsageError: The baseline measured another score, has other data or has fewer seeds.
        InterruptedStudyError: A stop was requested. Calling again continues.
        BakeoffError: Workers died, or data or folders are unusable.
    """
    where = f"--baseline {reference}"
    changes = comparable_changes(config, baseline, where)
    planned = _planned(baseline, num_seeds)
    summary = _checked(config, place)
    metric = metric_info(config.objective, config, summary.num_targets)
    check_comparable_scores(summary, metric, baseline, where)
    training = config.training
    if training.precision == "auto":  # what was measured on another machine may differ here
        training = replace(training, precision=cast("Precision", baseline.precision))
    environment: tuple[str, ...] = ()
    try:
        with _training(replace(config, training=training), summary, place) as (trainer, probed):
            now = environment_of(config, place.settings, probed)
            environment = changed_environment(baseline.environment, now, probed.code)
            runs = trainer.train([run.seed for run in planned])
        failure = _describe_failure(runs[-1], len(planned))
    except UntrainableError as error:
        runs, failure = (), f"it cannot be trained: {error}"
    accepted = margin or baseline.margin
    finding, verdict = _decide(runs, baseline.scores(num_seeds), metric, accepted, failure)
    return GateReport(
        study=config.name,
        metric=metric,
        decision="worse" if finding is None else finding.decision,
        verdict=verdict,
        margin=accepted,
        margin_source="--margin" if margin else baseline.margin_source,
        baseline=reference,
        baseline_commit=baseline.commit,
        commit=commit_of(config.folder),
        baseline_runs=planned,
        runs=runs,
        finding=finding,
        changed_settings=changes,
        changed_environment=environment,
        num_validation=baseline.num_validation,
    )


def _planned(baseline: Baseline, num_seeds: int | None) -> tuple[GateRun, ...]:
    known = len(baseline.runs)
    if num_seeds is not None and num_seeds > known:
        raise UsageError(
            f"--seeds {num_seeds}: the baseline has {known}; store one with --store-baseline and"
            f" --seeds {num_seeds}"
        )
    return baseline.runs[:num_seeds]


def _decide(
    runs: Sequence[GateRun], baseline: Scores, metric: MetricInfo, margin: float, failure: str
) -> tuple[GateFinding | None, str]:
    """What the tests find, and the verdict in words; a failure decides without any test."""
    if failure:
        return None, (
            f"The current code is worse than the baseline: {failure}. All"
            f" {len(baseline)} runs of the baseline completed."
        )
    current = _scores(runs)
    finding = judge(current, baseline, metric, margin)
    return finding, describe_finding(finding, current, baseline, metric)


def _describe_failure(last: GateRun, num_planned: int) -> str:
    if last.outcome == "complete":
        return ""
    return f"the run with seed {last.seed}, one of {num_planned} planned, {last.reason}"


def _checked(config: StudyConfig, place: GatePlace) -> DatasetSummary:
    check_output(place.folder(config))
    check_packages(config)
    return check_data(config)


@contextmanager
def _training(
    config: StudyConfig, summary: DatasetSummary, place: GatePlace
) -> Iterator[tuple[SeedTrainer, Probed]]:
    """Open the workers and try the model. The seeds that are trained are kept after an error."""
    settings = place.settings
    with StopRequest().listening() as stop, open_engine(settings) as engine:
        probed = probe(config, engine, stop)
        identity = identity_of(config, settings, probed, summary.fingerprint)
        with seed_store(place.folder(config), identity) as store:
            if store.done:
                kept = plural(len(store.done), "seed")
                place.observer.note(f"kept from an earlier session: {kept}")
            yield (
                SeedTrainer(
                    config=config,
                    precision=probed.precision,
                    weights_sha256=probed.weights.get(WEIGHTS_HASH, ""),
                    num_targets=summary.num_targets,
                    workers=settings.workers,
                    engine=engine,
                    stop=stop,
                    store=store,
                    observer=place.observer,
                ),
                probed,
            )


def _seeds(config: StudyConfig, num: int) -> list[int]:
    return [derive_seed(config.seed, "gate", place) for place in range(num)]


def _scores(runs: Sequence[GateRun]) -> Scores:
    return np.array([run.score for run in runs], dtype=np.float64)


def _all_complete(runs: tuple[GateRun, ...]) -> tuple[GateRun, ...]:
    last = runs[-1]
    if last.outcome != "complete":
        raise BakeoffError(
            f"the run with seed {last.seed} {last.reason}; a baseline needs runs that all complete"
        )
    return runs


def _margin(
    config: StudyConfig,
    given: float | None,
    scores: Scores,
    metric: MetricInfo,
    summary: DatasetSummary,
) -> tuple[float, str]:
    if given is not None:
        return given, "--margin"
    if config.delta is not None:
        return config.delta, "delta in the study file"
    margin, source = default_margin(scores, metric, summary.num_validation or None)
    if not margin > 0:
        raise UsageError(
            "--margin: all seeds have the same score, which tells no margin; give the largest loss"
            f" of {metric.name} that you accept"
        )
    return margin, source


def check_numbers(margin: float | None, num_seeds: int | None) -> None:
    """Refuse a margin or a number of seeds that cannot decide anything.

    Raises:
        UsageError: The margin is not a number above 0, or the seeds are too few or too many.
    """
    if margin is not None and not 0 < margin < float("inf"):
        raise UsageError(f"--margin {margin:g}: must be a number above 0")
    if num_seeds is not None and not MIN_SEEDS <= num_seeds <= 1000:  # noqa: PLR2004 - in the message
        raise UsageError(
            f"--seeds {num_seeds}: allowed are {MIN_SEEDS} (fewer cannot decide anything) to 1000"
        )
