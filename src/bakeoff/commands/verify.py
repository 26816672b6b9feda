"""`study verify-resume`: proof that a killed run continues with the same bits."""

import tempfile
from pathlib import Path

import typer

from bakeoff.commands.output import print_json
from bakeoff.errors import BakeoffError, UsageError
from bakeoff.production.one_configuration import Chosen, fix_settings
from bakeoff.production.run import default_seed, one_worker
from bakeoff.production.verify import Verification, draw_kills, verify_resume
from bakeoff.records import as_plain
from bakeoff.session import choose_threads
from bakeoff.studyfile import load_study_file

MAX_KILLS = 1000
MAX_SHOWN = 5


class DifferentBitsError(BakeoffError):
    """A run that was killed and continued ended otherwise than one that was not."""


def verify_file(
    file: Path, chosen: Chosen, *, kills: int, device: str, threads: int | None, as_json: bool
) -> None:
    """Train with and without kills, compare the final states, and say what was found.

    Raises:
        DifferentBitsError: They differ; what was compared is printed before.
        BakeoffError: See `bakeoff.production.verify.verify_resume`.
    """
    if not 1 <= kills <= MAX_KILLS:
        raise UsageError(f"--kills = {kills}: allowed are 1 to {MAX_KILLS}")
    config = fix_settings(load_study_file(file), chosen)
    if config.training.epochs < 2:  # noqa: PLR2004 - said in the message
        raise UsageError(f"--epochs = {config.training.epochs}: needs at least 2, one to resume")
    settings = one_worker(device, choose_threads(config, threads))
    moments = draw_kills(kills, config.training.epochs, config.seed)
    with tempfile.TemporaryDirectory(prefix="bakeoff-verify-") as folder:
        found = verify_resume(config, moments, settings, Path(folder), default_seed(config))
    if as_json:
        print_json({"identical": found.difference.is_identical, **as_plain(found)})
    else:
        typer.echo("\n".join(describe(found)))
    if not found.difference.is_identical:
        raise DifferentBitsError("not identical")


def describe(found: Verification) -> list[str]:
    """The verdict, and what it rests on."""
    tried = (
        f"{found.epochs} epochs, killed {len(found.kills)} times (after epoch"
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


def _cause(found: Verification) -> str:
    if found.is_repeatable:
        return (
            "two runs without a kill are identical, so a part of the state is missing from the"
            " checkpoint: keep what changes while training in a registered buffer, not in a Python"
            " attribute or a generator of your own"
        )
    return (
        "two runs without a kill differ too, so this run is not repeatable at all: look for the"
        " clock, unseeded generators or nondeterministic operations"
    )
