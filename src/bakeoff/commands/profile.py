"""`study profile`: where a step's time goes, which layout is fastest, and what to do about it."""

from pathlib import Path

import typer

from bakeoff.commands.output import print_json, print_table
from bakeoff.errors import UsageError
from bakeoff.production.machine_profile import MachineProfile, profile_study, recommend
from bakeoff.production.one_configuration import Chosen, fix_settings
from bakeoff.records import as_plain
from bakeoff.studyfile import load_study_file

MAX_SECONDS = 600.0
MEGABYTE = 1e6


def profile_file(file: Path, chosen: Chosen, *, seconds: float, device: str, as_json: bool) -> None:
    """Measure one configuration of a study file in workers, and print what was found.

    Raises:
        UsageError: The time is not above 0 and at most 600 seconds.
        BakeoffError: See `bakeoff.production.machine_profile.profile_study`.
    """
    if not 0 < seconds <= MAX_SECONDS:
        raise UsageError(f"--seconds = {seconds:g}: must be above 0 and at most {MAX_SECONDS:g}")
    config = fix_settings(load_study_file(file), chosen)
    profile = profile_study(config, device, seconds)
    if as_json:
        print_json(_as_json(profile))
        return
    _print_step(profile)
    _print_layouts(profile)
    for one in recommend(profile):
        typer.echo(f"\n{one.finding}: {one.advice}")
    if not recommend(profile):
        typer.echo("\nnothing stands out; the default layout is as fast as any that was measured")


def _as_json(profile: MachineProfile) -> dict[str, object]:
    return {
        **as_plain(profile),
        "shares": dict(profile.shares),
        "step_seconds": profile.step.step_seconds,
        "epoch_seconds": profile.step.epoch_seconds,
        "recommendations": as_plain(recommend(profile)),
    }


def _print_step(profile: MachineProfile) -> None:
    step = profile.step
    rows: list[list[object]] = [
        [part, 1e3 * seconds, f"{profile.shares[part]:.0%}"] for part, seconds in step.parts.items()
    ]
    rows.append(["whole step", 1e3 * step.step_seconds, "100%"])
    title = f"one step of {profile.batch_size} samples, {profile.precision}, one worker alone\n"
    print_table(["part", "ms", "share"], rows, title=title)
    typer.echo(
        f"\n{1 / step.step_seconds:.4g} steps per second over {step.num_steps} steps; an epoch of"
        f" {step.steps_per_epoch} steps takes {step.epoch_seconds:.3g} s, of which evaluation"
        f" {profile.evaluate_share:.0%}; peak memory {step.peak_memory_bytes / MEGABYTE:.0f} MB\n"
    )


def _print_layouts(profile: MachineProfile) -> None:
    print_table(
        ["workers", "threads each", "steps per second", "trials per hour", "MB per worker"],
        [
            [
                layout.workers,
                layout.threads,
                layout.steps_per_second,
                layout.trials_per_hour,
                round(layout.peak_memory_bytes / MEGABYTE),
            ]
            for layout in profile.layouts
        ],
    )
