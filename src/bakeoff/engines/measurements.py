"""What a worker measures besides training runs: probes and profiles."""

from dataclasses import replace

from bakeoff.engines.protocol import Probe, Probed, Profile, Profiled
from bakeoff.engines.rank_group import RankGroup, together
from bakeoff.own_source import users_files


def measure_probe(job: Probe, device: str, group: RankGroup) -> Probed:
    """Train a configuration for a few steps: what works here, how fast, and how it is stored."""
    from bakeoff.training.checkpoint import NUM_KEPT
    from bakeoff.training.own_rehearsal import rehearse
    from bakeoff.training.precision import measure_precision
    from bakeoff.training.stack.check import measure_stacks
    from bakeoff.training.together import of_one_rank, try_step
    from bakeoff.training.weights_source import describe_source

    is_own = job.config.training.loop is not None
    config, *others = map(of_one_rank, (job.config, *job.others))
    choice = (rehearse if is_own else measure_precision)(config, device, others)
    training = replace(job.config.training, precision=choice.precision)
    measured = replace(job, config=replace(job.config, training=training))
    with together(group, measured, device) as ranks:
        how = "" if ranks.is_alone else try_step(measured.config, ranks)
    weights = describe_source(job.config.model, job.config.finetune.pretrained)
    widths = (job.stack_width, job.search_width)
    (gain, search_gain), reason = measure_stacks((job.config, *job.others), device, widths)
    return Probed(
        run=job.run,
        num_checkpoints=NUM_KEPT,
        code=users_files(),
        weights=weights,
        ranks=how,
        stack_gain=gain,
        search_gain=search_gain,
        stack_reason=reason,
        **vars(choice),
    )


def measure_profile(job: Profile, device: str) -> Profiled:
    """Train for a while and measure the parts of a step."""
    from bakeoff.training.own_rehearsal import profile_loop
    from bakeoff.training.step_profile import profile

    if job.config.training.loop is None:
        measured = profile(job.config, device, job.seconds)
    else:
        measured = profile_loop(job.config, device)
    return Profiled(run=job.run, **vars(measured))
