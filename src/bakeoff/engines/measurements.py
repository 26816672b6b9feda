"""What a worker measures besides training runs: probes and profiles."""

from dataclasses import replace
from typing import TYPE_CHECKING

from bakeoff.engines.protocol import Probe, Probed, Profile, Profiled
from bakeoff.engines.rank_group import RankGroup, together
from bakeoff.own_source import users_files

if TYPE_CHECKING:
    from bakeoff.training.precision import PrecisionChoice


def measure_probe(job: Probe, device: str, group: RankGroup) -> Probed:
    """Train a configuration for a few steps: what works here, how fast, and how it is stored."""
    from bakeoff.training.checkpoint import NUM_KEPT
    from bakeoff.training.own_rehearsal import rehearse
    from bakeoff.training.precision import measure_precision
    from bakeoff.training.together import of_one_rank, try_step
    from bakeoff.training.weights_source import describe_source

    is_own = job.config.training.loop is not None
    config, *others = map(of_one_rank, (job.config, *job.others))
    choice = (rehearse if is_own else measure_precision)(config, device, others)
    gains, stack_reason = [0.0, 0.0], ""
    if job.stack_width or job.search_width:
        choice, gains, stack_reason = _try_stacks(job, choice, device)
    training = replace(job.config.training, precision=choice.precision)
    measured = replace(job, config=replace(job.config, training=training))
    with together(group, measured, device) as ranks:
        how = "" if ranks.is_alone else try_step(measured.config, ranks)
    weights = describe_source(job.config.model, job.config.finetune.pretrained)
    return Probed(
        run=job.run,
        num_checkpoints=NUM_KEPT,
        code=users_files(),
        weights=weights,
        ranks=how,
        stack_gain=gains[0],
        search_gain=gains[1],
        stack_reason=stack_reason,
        **vars(choice),
    )


def _try_stacks(
    job: Probe, choice: "PrecisionChoice", device: str
) -> "tuple[PrecisionChoice, list[float], str]":
    """Stacks of both widths: their gains, a text about them, and the precision with or without.

    Stacks train in fp32. They take the place of another precision that was chosen by measuring if
    they are faster than single runs in it.
    """
    from bakeoff.training.precision import MIN_GAIN
    from bakeoff.training.stack.check import measure_stacks

    is_other, seconds = choice.precision != "fp32", choice.seconds_per_step
    if is_other and job.config.training.precision != "auto":
        return choice, [0.0, 0.0], f"precision {choice.precision} is for single runs"
    least = job.least_gain
    if is_other and least:
        least = max(least, seconds["fp32"] / seconds[choice.precision] / (1 - MIN_GAIN))
    widths = (job.stack_width, job.search_width)
    gains, reason = measure_stacks((job.config, *job.others), device, widths, least)
    tried = [gain for gain, width in zip(gains, widths, strict=True) if width]
    if is_other and min(tried) > 0 and min(tried) >= least:
        why = f"stacks train in it and gain more than {choice.precision} ({choice.reason})"
        choice = replace(choice, precision="fp32", reason=why)
    return choice, gains, reason


def measure_profile(job: Profile, device: str) -> Profiled:
    """Train for a while and measure the parts of a step."""
    from bakeoff.training.own_rehearsal import profile_loop
    from bakeoff.training.step_profile import profile

    if job.config.training.loop is None:
        measured = profile(job.config, device, job.seconds)
    else:
        measured = profile_loop(job.config, device)
    return Profiled(run=job.run, **vars(measured))
