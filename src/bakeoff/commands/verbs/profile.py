from typing import TYPE_CHECKING, Annotated

import typer

from bakeoff.commands import options
from bakeoff.commands.output import print_json, print_rows, print_table
from bakeoff.errors import UsageError
from bakeoff.records import as_plain

if TYPE_CHECKING:
    from bakeoff.production.machine_profile import MachineProfile

MAX_SECONDS = 600.0
MEGABYTE = 1e6


def profile(
    file: options.StudyFile,
    optimizer: options.Optimizer = None,
    batch_size: options.BatchSize = None,
    settings: options.OtherSettings = None,
    seconds: Annotated[float, typer.Option(help="Duration of each measurement.")] = 2.0,
    device: options.DeviceOption = "auto",
    as_json: options.Json = False,
) -> None:
    """Measure where a step's time goes, and which device, workers and precision are fastest.

    Example: study profile studies/fashion-cnn.toml
    """
    from bakeoff.production.machine_profile import profile_study, recommend
    from bakeoff.production.one_configuration import Chosen, fix_settings
    from bakeoff.studyfile import load_study_file

    if not 0 < seconds <= MAX_SECONDS:
        raise UsageError(f"--seconds = {seconds:g}: must be above 0 and at most {MAX_SECONDS:g}")
    chosen = Chosen(optimizer=optimizer, batch_size=batch_size, others=tuple(settings or ()))
    found = profile_study(fix_settings(load_study_file(file), chosen), device, seconds)
    advice = recommend(found)
    if as_json:
        derived = {
            "shares": dict(found.shares),
            "step_seconds": found.step.step_seconds,
            "epoch_seconds": found.step.epoch_seconds,
            "recommendations": advice,
        }
        print_json({**as_plain(found), **derived})
        return
    _print_step(found)
    _print_layouts(found)
    for one in advice:
        typer.echo(f"\n{one.finding}: {one.advice}")
    if not advice:
        typer.echo("\nnothing stands out; the default layout is as fast as any that was measured")


def _print_step(profile: "MachineProfile") -> None:
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


def _print_layouts(profile: "MachineProfile") -> None:
    print_rows(
        [
            {
                "device": layout.device,
                "workers": layout.workers,
                "threads each": layout.threads,
                "steps per second": layout.steps_per_second,
                "trials per hour": layout.trials_per_hour,
                "MB per worker": round(layout.peak_memory_bytes / MEGABYTE),
            }
            for layout in profile.layouts
        ]
    )
