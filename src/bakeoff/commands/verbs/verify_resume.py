from typing import TYPE_CHECKING, Annotated

import typer

from bakeoff.commands import options
from bakeoff.commands.output import print_json
from bakeoff.errors import BakeoffError, UsageError
from bakeoff.files import temporary_folder
from bakeoff.records import as_plain
from bakeoff.records.durations import plural

if TYPE_CHECKING:
    from bakeoff.production.verify import Verification

MAX_KILLS = 1000
MAX_SHOWN = 5
"""Number of different values that are named."""


class DifferentBitsError(BakeoffError):
    """A run that was killed and continued ended in another state than one that was not."""


def verify_resume(
    file: options.StudyFile,
    optimizer: options.Optimizer = None,
    scheduler: options.Scheduler = None,
    learning_rate: options.LearningRate = None,
    weight_decay: options.WeightDecay = None,
    epochs: Annotated[int, typer.Option(help="Epochs to train.")] = 4,
    batch_size: options.BatchSize = None,
    settings: options.OtherSettings = None,
    kills: Annotated[int, typer.Option(help="How often the worker is killed.")] = 5,
    device: options.DeviceOption = "auto",
    threads: options.Threads = None,
    as_json: options.Json = False,
) -> None:
    """Kill and continue a short run of your model, and prove that it ends with the same bits.

    Example: study verify-resume studies/digits.toml --kills 10
    """
    from bakeoff.production import verify
    from bakeoff.production.one_configuration import Chosen, fix_settings
    from bakeoff.production.run import default_seed, one_worker
    from bakeoff.studyfile import load_study_file
    from bakeoff.studyfile.threads import choose_threads

    if not 1 <= kills <= MAX_KILLS:
        raise UsageError(f"--kills = {kills}: allowed are 1 to {MAX_KILLS}")
    chosen = Chosen(
        optimizer=optimizer,
        scheduler=scheduler,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        epochs=epochs,
        batch_size=batch_size,
        others=tuple(settings or ()),
    )
    config = fix_settings(load_study_file(file), chosen)
    if config.training.epochs < 2:  # noqa: PLR2004 - explained in the message
        raise UsageError(f"--epochs = {config.training.epochs}: needs at least 2, one to resume")
    worker = one_worker(device, choose_threads(config, threads), config)
    moments = verify.draw_kills(kills, config.training.epochs, config.seed)
    with temporary_folder("verify") as folder:
        found = verify.verify_resume(config, moments, worker, folder, default_seed(config))
    if as_json:
        print_json({"identical": found.difference.is_identical, **as_plain(found)})
    else:
        typer.echo("\n".join(_describe(found)))
    if not found.difference.is_identical:
        raise DifferentBitsError("not identical")


def _describe(found: "Verification") -> list[str]:
    """The verdict, and what it is based on."""
    tried = (
        f"{plural(found.epochs, 'epoch')}, killed {plural(len(found.kills), 'time')} (after epoch"
        f" {', '.join(f'{moment:.2f}' for moment in found.kills)})"
    )
    difference = found.difference
    if difference.is_identical:
        what = "weights, optimizer, schedule, metrics, generators"
        compared = f"{difference.num_values} tensors and numbers of the final state ({what})"
        return [f"identical: {tried}, {compared}, SHA-256 {difference.digest[:16]}"]
    first = (
        "every epoch was recorded alike, the state after the last differs"
        if difference.epoch is None
        else f"first in epoch {difference.epoch}: {difference.in_epoch}"
    )
    more = len(difference.paths) - MAX_SHOWN
    shown = ", ".join(difference.paths[:MAX_SHOWN]) + (f" and {more} more" if more > 0 else "")
    return [f"different: {tried}", first, f"in the final state: {shown}", _cause(found)]


def _cause(found: "Verification") -> str:
    if found.is_repeatable:
        return (
            "two runs without a kill are identical, so a part of the state is missing from the"
            " checkpoint: store whatever changes during training in a registered buffer, not in a"
            " Python attribute or a generator of your own"
        )
    return (
        "two runs without a kill differ too, so this run is not repeatable at all: look for the"
        " clock, unseeded generators or nondeterministic operations"
    )
