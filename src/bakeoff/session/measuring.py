"""The model tried for a few steps in a worker, and what is noted of the study from then on."""

from dataclasses import replace

from bakeoff.components.metrics import Untrained, chance_score, find_metric
from bakeoff.components.optimizers import find_optimizer
from bakeoff.data.datasets import DatasetSummary
from bakeoff.engines.follow import follow
from bakeoff.engines.protocol import Died, Engine, Failed, Probe, Probed
from bakeoff.engines.stopping import StopRequest
from bakeoff.errors import BakeoffError, UsageError
from bakeoff.records import StudyConfig
from bakeoff.seeding import derive_seed
from bakeoff.session.descriptions import (
    component_packages,
    describe_environment,
    describe_protocol,
)
from bakeoff.session.run_settings import RunSettings
from bakeoff.space import build_arms, build_trial_config, default_params
from bakeoff.storage import StudyFacts

BYTES_PER_WEIGHT = 4
UNKNOWN_STATE_BYTES = 8.0
"""Per weight of an optimizer that does not say: as many as Adam's."""


def measure(
    config: StudyConfig,
    settings: RunSettings,
    summary: DatasetSummary,
    engine: Engine,
    stop: StopRequest,
) -> StudyFacts:
    """Try the model for a few steps and note all that stays fixed from here on."""
    probed = choose_precision(config, probe(config, engine, stop))
    return StudyFacts(
        metric=find_metric(config.objective, summary.task).info,
        chance_score=chance_score(config.objective, summary.task, _untrained(config, summary)),
        num_validation=summary.num_validation,
        num_test=summary.num_test,
        data_fingerprint=summary.fingerprint,
        precision=probed.precision,
        threads=settings.threads,
        protocol=describe_protocol(config, summary),
        environment={**describe_environment(settings, probed), **component_packages(config)},
    )


def _untrained(config: StudyConfig, summary: DatasetSummary) -> Untrained:
    return Untrained(
        num_outputs=summary.num_outputs,
        loss=config.training.loss,
        target_deviation=summary.target_deviation,
        mean_losses=summary.mean_losses,
    )


def probe(config: StudyConfig, engine: Engine, stop: StopRequest) -> Probed:
    """Train the first arm's default configuration for a few steps in a worker.

    Raises:
        UsageError: The model cannot be built or trained; the message is the worker's.
        BakeoffError: The worker died.
        InterruptedStudyError: It was asked to stop.
    """
    params = default_params(build_arms(config)[0], config.model)
    trial = build_trial_config(config, params, derive_seed(config.seed))
    for event in follow(engine, stop, Probe(run="probe", config=trial)):
        match event:
            case Probed():
                return event
            case Failed():
                raise UsageError(_blame_model(config.model, event.reason))
            case Died():
                raise BakeoffError(_blame_model(config.model, event.reason))
    raise AssertionError("the last event of a probe is one of these")


def _blame_model(model: str, reason: str) -> str:
    """The key and the reason, without the model's name a second time."""
    said = f"model {model!r}"
    return f"model.model = {model!r}" + (
        reason.removeprefix(said) if reason.startswith(said) else f": {reason}"
    )


def largest_checkpoint(config: StudyConfig, probed: Probed) -> int:
    """Bytes of a checkpoint of the arm whose optimizer keeps most, from one that was measured."""
    first = default_params(build_arms(config)[0], config.model)["optimizer"]
    names = config.search.optimizers
    kept = {name: find_optimizer(name).state_bytes for name in names}
    sizes = {name: UNKNOWN_STATE_BYTES if size is None else size for name, size in kept.items()}
    extra = max(sizes.values()) - sizes[str(first)]
    return probed.checkpoint_bytes + round(probed.weight_bytes / BYTES_PER_WEIGHT * extra)


def choose_precision(config: StudyConfig, probed: Probed) -> Probed:
    """What was measured, with the precision that the study file names, if it names one.

    Raises:
        UsageError: The precision named does not work here.
    """
    named = config.training.precision
    if named == "auto":
        return probed
    if named not in probed.seconds_per_step:
        works = ", ".join(probed.seconds_per_step)
        raise UsageError(f"training.precision = {named!r} does not work here; what works: {works}")
    return replace(probed, precision=named, reason="named by the study file")
