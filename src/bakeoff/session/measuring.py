"""Trains the model for a few steps in a worker and records the facts that a study keeps."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import cast

from bakeoff.components.metric_specs import Untrained
from bakeoff.components.metrics import chance_score, metric_info, worst_score
from bakeoff.components.optimizers import find_optimizer
from bakeoff.data.summary import DatasetSummary
from bakeoff.engines.follow import follow
from bakeoff.engines.protocol import Died, Engine, Failed, Probe, Probed
from bakeoff.engines.stopping import StopRequest
from bakeoff.errors import BakeoffError, UntrainableError, UsageError
from bakeoff.ranges import Params, split_name
from bakeoff.records import ArmRecord, Precision, StudyConfig, of_named_arm
from bakeoff.registry import is_reference
from bakeoff.seeding import derive_seed
from bakeoff.session.descriptions import component_packages, describe_environment, describe_protocol
from bakeoff.session.kept_probes import KeptProbes
from bakeoff.session.run_settings import RunSettings
from bakeoff.session.stacking import (
    NO_STACKS,
    Widths,
    choose_arithmetic,
    least_gain,
    widths_to_try,
)
from bakeoff.space import build_arms, build_trial_config, default_params
from bakeoff.storage import StudyFacts
from bakeoff.studyfile.arm_parameters import names_of
from bakeoff.studyfile.own_parts import own_parts
from bakeoff.training.weights_source import fetch_weights

KINDS = {
    "search.optimizers": "optimizer",
    "search.schedulers": "scheduler",
    "metrics": "metric",
    "data.augment": "augmentation",
}
"""The key of a study file whose value is to blame, by how the reason of a failure begins."""
BYTES_PER_WEIGHT = 4
NAMED = ("training.", "finetune.", "model.parameter_groups", "data.normalize")
"""Keys of the study file with which a worker begins a message about them."""
UNKNOWN_STATE_BYTES = 8.0
"""Bytes of state per weight of an optimizer that does not say: as many as Adam's."""


def measure(
    config: StudyConfig,
    settings: RunSettings,
    summary: DatasetSummary,
    engine: Engine,
    stop: StopRequest,
    kept: KeptProbes | None = None,
) -> StudyFacts:
    """Train the model for a few steps and return everything that is fixed from now on."""
    untrained = Untrained(
        num_outputs=summary.num_outputs,
        loss=config.training.loss,
        target_deviation=summary.target_deviation,
        mean_losses=summary.mean_losses,
        label_shares=summary.label_shares,
    )
    probed = probe(config, engine, stop, kept, widths_to_try(config, settings.workers))
    stacking = choose_arithmetic(config, probed)
    return StudyFacts(
        metric=metric_info(config.objective, config, summary.num_targets),
        chance_score=(
            chance_score(config.objective, summary.task, untrained)
            if config.data.is_given and config.objective not in config.metrics
            else worst_score(config.objective, config)
        ),
        num_train=summary.num_train or None,
        num_validation=summary.num_validation or None,
        num_test=summary.num_test or None,
        test_is_reserved=summary.test_is_reserved,
        data_fingerprint=summary.fingerprint,
        precision=probed.precision,
        threads=settings.threads,
        arithmetic=stacking.confirm,
        search_arithmetic=stacking.search,
        protocol=describe_protocol(config, summary),
        environment={
            **describe_environment(settings, probed),
            **({"stacks": why} if (why := probed.stack_reason) else {}),
            **component_packages(config),
        },
    )


def probe(
    config: StudyConfig,
    engine: Engine,
    stop: StopRequest,
    kept: KeptProbes | None = None,
    widths: Widths = NO_STACKS,
) -> Probed:
    """Train default configurations for a few steps in a worker: that of every named arm.

    The first named arm decides the precision, in which all of them are tried. Where no arms are
    named, see `_probe_one`.

    Args:
        config: The study.
        engine: An engine with a free worker.
        stop: Checked meanwhile.
        kept: Results of earlier probes, one of which may take the place of a new one.
        widths: Runs of the stacks whose gain is measured.

    Raises:
        UsageError: An arm cannot be trained; the message names it.
        BakeoffError: As `_probe_one`, which also says more about errors.
    """
    found: dict[str, Probed] = {}
    for name, one in config.variants.items():
        precision = next((cast("Precision", known.precision) for known in found.values()), None)
        training = replace(one.training, precision=precision or one.training.precision)
        try:
            found[name] = _probe_one(replace(one, training=training), engine, stop, kept, widths)
        except UsageError as error:
            raise type(error)(f"arms.{name}: {error}" if name else str(error)) from None
    return _together(found, config) if config.arms else found[""]


def _together(found: Mapping[str, Probed], config: StudyConfig) -> Probed:
    """What was found of every named arm: the precision of the first one, the largest checkpoint."""
    worst = min(found.values(), key=lambda one: (one.stack_gain, one.search_gain))
    return replace(
        next(iter(found.values())),
        checkpoint_bytes=max(
            largest_checkpoint(config.of_arm(name), one) for name, one in found.items()
        ),
        weight_bytes=max(one.weight_bytes for one in found.values()),
        stack_gain=worst.stack_gain,
        search_gain=min(one.search_gain for one in found.values()),
        stack_reason=worst.stack_reason,
        code={file: digest for one in found.values() for file, digest in one.code.items()},
        weights={
            of_named_arm(heading, name): text
            for name, one in found.items()
            for heading, text in one.weights.items()
        },
    )


def _probe_one(
    config: StudyConfig, engine: Engine, stop: StopRequest, kept: KeptProbes | None, widths: Widths
) -> Probed:
    """Train the first arm's default configuration for a few steps in a worker.

    Every other optimizer of the study and every schedule of the user's own is tried for one step. A
    loop of the user's own trains its first epoch, and is run with the others until theirs begins.
    The precision in the result is the fastest one, unless the study file names one.

    Raises:
        UntrainableError: The model cannot be built or trained, or an optimizer cannot train it.
        UsageError: The precision, or another setting that the study file names, does not work on
            this machine.
        DataError: The pretrained weights cannot be downloaded; the message says how to get them.
        BakeoffError: The worker died.
        InterruptedStudyError: A stop was requested.
    """
    first, *others = (
        build_trial_config(config, params, derive_seed(config.seed))
        for params in _parts_once(config)
    )
    if config.finetune.pretrained:
        fetch_weights(config.model, config.finetune.pretrained)  # once, before a worker needs them
    job = Probe(
        run="probe",
        config=first,
        others=tuple(others),
        stack_width=widths.confirm,
        search_width=widths.search,
        least_gain=least_gain(config),
    )
    known = kept.find(job) if kept is not None else None
    if known is not None:
        return _with_named_precision(known, config)
    for event in follow(engine, stop, job):
        match event:
            case Probed():
                if kept is not None:
                    kept.keep(job, event)
                return _with_named_precision(event, config)
            case Failed():
                is_setting = event.reason.startswith(("device ", *NAMED))
                kind = UsageError if is_setting else UntrainableError
                raise kind(_blame(config, event.reason))
            case Died():
                raise BakeoffError(_blame(config, event.reason))
    raise AssertionError("the last event of a probe is one of these")


def _parts_once(config: StudyConfig) -> Iterator[Params]:
    """The library defaults of every optimizer and own schedule, in the first arm that has it."""
    tried: set[str] = set()
    for arm in build_arms(config):
        for key in ("optimizer", "scheduler"):
            for name in names_of(arm.space[key]):
                if name not in tried and (key == "optimizer" or is_reference(name)):
                    tried.add(name)
                    one = replace(arm, space={**arm.space, key: name})
                    fixed = _fixed_of(name, one) if is_reference(name) else {}
                    yield {**default_params(one, config.model), **fixed}


def _fixed_of(owner: str, arm: ArmRecord) -> Params:
    """The values that the study file fixes for the user's own code, in place of its defaults."""
    return {
        name: setting
        for name, setting in arm.space.items()
        if split_name(name)[0] == owner and isinstance(setting, (bool, int, float, str))
    }


def _with_named_precision(probed: Probed, config: StudyConfig) -> Probed:
    named = config.training.precision
    if named == "auto" or config.training.loop is not None:
        return probed
    if named not in probed.seconds_per_step:
        works = ", ".join(probed.seconds_per_step)
        raise UsageError(f"training.precision = {named!r} does not work here; what works: {works}")
    return replace(probed, precision=named, reason="named by the study file")


def _blame(config: StudyConfig, reason: str) -> str:
    """As `_blame_model`; a loop of the user's own is to blame where the reason names nothing."""
    loop = config.training.loop
    if loop is not None and not reason.startswith((*NAMED, "device ")):
        return f"training.loop = {loop!r}: {reason}"
    return _blame_own(config, reason) or _blame_model(config.model, reason)


def _blame_own(config: StudyConfig, reason: str) -> str:
    """The keys of the user's own parts that the reason names, or whose file; empty if none."""
    named, beside = [], []
    for key, reference in own_parts(config):
        file = reference.partition(":")[0].rpartition(".")[2]
        if reason.startswith(f"cannot import {reference.partition(':')[0]!r} for {reference!r}"):
            named.append(f"{key} = {reference!r}")
        elif f"({file}.py:" in reason and not reason.startswith(
            (*NAMED, *KINDS.values(), "model ")
        ):
            beside.append(f"{key} = {reference!r}")
    found = " or ".join(named or beside)
    return f"{found}: {reason}" if found else ""


def _blame_model(model: str, reason: str) -> str:
    """The study-file key and the reason, which may begin with the name of what is to blame."""
    if reason.startswith("device "):
        return f"--device: {reason}"
    if reason.startswith(NAMED):
        return reason
    for key, kind in KINDS.items():
        if reason.startswith(f"{kind} "):
            return f"{key}: {reason}"
    named = f"model {model!r}"
    rest = reason.removeprefix(named) if reason.startswith(named) else f": {reason}"
    return f"model.model = {model!r}{rest}"


def largest_checkpoint(config: StudyConfig, probed: Probed) -> int:
    """Estimated bytes of a checkpoint of the arm whose optimizer keeps the most state.

    `probed` measured a checkpoint of the first arm, or the largest one where arms are named.
    """
    if config.arms:
        return probed.checkpoint_bytes
    first = str(default_params(build_arms(config)[0], config.model)["optimizer"])
    known = {name: find_optimizer(name).state_bytes for name in config.search.optimizers}
    sizes = {name: UNKNOWN_STATE_BYTES if size is None else size for name, size in known.items()}
    num_weights = probed.weight_bytes / BYTES_PER_WEIGHT
    return probed.checkpoint_bytes + round(num_weights * (max(sizes.values()) - sizes[first]))
