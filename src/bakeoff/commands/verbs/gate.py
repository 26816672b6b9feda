from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bakeoff.commands import options
from bakeoff.commands.output import print_json
from bakeoff.errors import BakeoffError, UsageError
from bakeoff.records import GateRun, as_plain, json_text
from bakeoff.records.durations import plural

if TYPE_CHECKING:
    from bakeoff.production.gate import GatePlace
    from bakeoff.production.gate_file import Baseline
    from bakeoff.records import GateReport, StudyConfig

BaselineOption = Annotated[
    str | None,
    typer.Option(
        "--baseline",
        help="The baseline to compare with: a file, or a file of a git revision as in"
        " main:ci/baseline.json.",
        metavar="REF",
    ),
]
StoreBaseline = Annotated[
    Path | None,
    typer.Option(help="Train a baseline with the current code and write it here.", metavar="PATH"),
]
Margin = Annotated[
    float | None,
    typer.Option(
        help="The largest loss that is accepted, in units of the objective; default: that of the"
        " baseline, for which it is the study file's delta, or else derived from data."
    ),
]
Seeds = Annotated[
    int | None,
    typer.Option(
        help="Seeds to train; default: all of the baseline, which has 12 to 40 by its spread."
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(help="Threads of each worker; default: those of the baseline, or 1 on a CPU."),
]
UNDECIDED = 3


class WorseError(BakeoffError):
    """The current code is worse than the baseline."""


class CannotTellError(BakeoffError):
    """The seeds do not tell whether the current code is worse, or could not be trained here."""

    exit_code = UNDECIDED


def gate(
    file: options.StudyFile,
    baseline: BaselineOption = None,
    store_baseline: StoreBaseline = None,
    margin: Margin = None,
    seeds: Seeds = None,
    optimizer: options.Optimizer = None,
    scheduler: options.Scheduler = None,
    learning_rate: options.LearningRate = None,
    settings: options.OtherSettings = None,
    output: options.Output = options.RESULTS,
    workers: options.Workers = None,
    threads: Threads = None,
    device: options.DeviceOption = "cpu",
    as_json: options.Json = False,
) -> None:
    """Compare current code with a stored baseline on the same seeds: did the model get worse?

    Exit codes: 0 not worse, 1 worse, 3 cannot tell.

    Example: study gate ci/model.toml --baseline origin/main:ci/baseline.json
    """
    from bakeoff.production.gate import GatePlace, check_numbers, gate_settings
    from bakeoff.production.gate_file import check_target, load_baseline
    from bakeoff.production.one_configuration import Chosen, fix_settings
    from bakeoff.studyfile import load_study_file
    from bakeoff.studyfile.threads import choose_threads

    if (baseline is None) == (store_baseline is None):
        raise UsageError("give either --baseline REF or --store-baseline PATH")
    check_numbers(margin, seeds)
    chosen = Chosen(
        optimizer=optimizer,
        scheduler=scheduler,
        learning_rate=learning_rate,
        others=tuple(settings or ()),
    )
    config = fix_settings(load_study_file(file), chosen)
    known = None if baseline is None else load_baseline(baseline)
    if store_baseline is not None:
        check_target(store_baseline)
    stored_threads = None if known is None else known.threads
    place = GatePlace(
        output=output,
        settings=gate_settings(device, workers, choose_threads(config, threads) or stored_threads),
        observer=_Lines(),
    )
    if store_baseline is not None:
        _store(config, store_baseline, place, margin, seeds, as_json=as_json)
    if known is not None:
        _compare(config, known, place, str(baseline), margin, seeds, as_json=as_json)


class _Lines:
    """Shows progress in lines on stderr."""

    def note(self, text: str) -> None:
        """See `bakeoff.production.gate_runs.GateObserver`."""
        typer.echo(text, err=True)

    def ended(self, run: GateRun, num_done: int) -> None:
        """See `bakeoff.production.gate_runs.GateObserver`."""
        typer.echo(f"{plural(num_done, 'seed')} trained: {run.score:.6g}", err=True)


def _store(
    config: "StudyConfig",
    path: Path,
    place: "GatePlace",
    margin: float | None,
    seeds: int | None,
    *,
    as_json: bool,
) -> None:
    from bakeoff.analysis.gate import describe_power
    from bakeoff.production.gate import store_baseline

    stored: Baseline = store_baseline(config, path, place, margin=margin, num_seeds=seeds)
    scores = stored.scores()
    power = describe_power(scores, stored.margin)
    if as_json:
        print_json({"file": str(path), "power": power, **as_plain(stored)})
        return
    typer.echo(
        f"{path}: validation {stored.metric} {scores.mean():.4g}, standard deviation"
        f" {scores.std(ddof=1):.2g} over {len(scores)} seeds; accepted loss {stored.margin:.4g}"
        f" ({stored.margin_source})"
    )
    typer.echo(power)


def _compare(
    config: "StudyConfig",
    baseline: "Baseline",
    place: "GatePlace",
    reference: str,
    margin: float | None,
    seeds: int | None,
    *,
    as_json: bool,
) -> None:
    """Print and write the report.

    Raises:
        WorseError: The current code is worse.
        CannotTellError: It cannot be told, or the machine and not the code is to blame.
    """
    from bakeoff.files import replace_files
    from bakeoff.production.gate import compare_with_baseline
    from bakeoff.report.gate_page import render_gate

    try:
        report: GateReport = compare_with_baseline(
            config, baseline, place, reference=reference, margin=margin, num_seeds=seeds
        )
        text = render_gate(report)
        if as_json:
            print_json(report)
        else:
            typer.echo(text, nl=False)
        folder = place.folder(config)
        replace_files({folder / "report.md": text, folder / "gate.json": json_text(report)})
    except BakeoffError as error:
        if error.exit_code != BakeoffError.exit_code:
            raise
        raise CannotTellError(str(error)) from None  # 1 would call the code worse
    if report.decision == "worse":
        raise WorseError("worse than the baseline")
    if report.decision == "cannot_tell":
        raise CannotTellError("cannot tell whether it is worse than the baseline")
