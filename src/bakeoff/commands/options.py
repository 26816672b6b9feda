"""Arguments and options that several verbs of `study` share."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Device(StrEnum):
    """Where runs train."""

    CPU = "cpu"
    CUDA = "cuda"


class ImageFormat(StrEnum):
    """Files a figure may be drawn as."""

    PNG = "png"
    SVG = "svg"


class ForeignSampler(StrEnum):
    """What may have drawn the trials of another program."""

    RANDOM = "random"
    QMC = "qmc"
    GRID = "grid"
    TPE = "tpe"
    GP = "gp"
    CMAES = "cmaes"
    NSGA = "nsga"


StudyFileArgument = Annotated[Path, typer.Argument(help="Study file (TOML).", metavar="FILE")]
NameArgument = Annotated[str, typer.Argument(help="Name of a stored study.", metavar="NAME")]
Output = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        help="Folder for reports and the default storage.",
        envvar="BAKEOFF_OUTPUT",
    ),
]
StorageOption = Annotated[
    str | None,
    typer.Option(
        "--storage",
        help="Storage URL; default sqlite:///<output>/studies.db.",
        envvar="BAKEOFF_STORAGE",
        metavar="URL",
    ),
]
StudyThreads = Annotated[
    int | None,
    typer.Option(help="Of each worker; default 1 on a CPU. A begun study keeps its own."),
]
Timeout = Annotated[
    str | None,
    typer.Option(
        help="Time for search and confirmation together, such as 2h or 90m; the search ends"
        " early enough to confirm.",
        envvar="BAKEOFF_TIMEOUT",
        metavar="DURATION",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(help="Runs trained at once; default one per core.", envvar="BAKEOFF_WORKERS"),
]
DeviceOption = Annotated[
    Device, typer.Option("--device", help="Where runs train.", envvar="BAKEOFF_DEVICE")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
OptimizerOption = Annotated[
    str | None,
    typer.Option("--optimizer", help="One of `study optimizers`; default: the file's first."),
]
SchedulerOption = Annotated[
    str | None,
    typer.Option(
        "--scheduler",
        help="One of `study schedulers`; default: the file's only one, or constant.",
    ),
]
LearningRate = Annotated[
    float | None,
    typer.Option(help="Default: the file's, else the library's, taken into the file's range."),
]
WeightDecay = Annotated[float | None, typer.Option(help="Default: as of the learning rate.")]
BatchSize = Annotated[int | None, typer.Option(help="Default: the file's.")]
OtherSettings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="Any other setting, as in adamw.beta2=0.99; may be given again.",
        metavar="OWNER.PARAMETER=VALUE",
    ),
]
Threads = Annotated[int | None, typer.Option(help="Default: one per core.")]
RESULTS = Path("results")
