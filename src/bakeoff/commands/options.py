"""Arguments and options that several verbs share."""

import re
from pathlib import Path
from typing import Annotated

import typer

from bakeoff.errors import UsageError
from bakeoff.records.durations import HOUR, MINUTE

RESULTS = Path("results")
PASSWORD = re.compile(r"^\w+(?:\+\w+)?://(?:[^/@?]*:[^@?]+@|.*[?&](?:ssl)?password=.)")
"""A storage URL with a password before the host, or among its options."""
StudyFile = Annotated[Path, typer.Argument(help="Study file (TOML).", metavar="FILE")]
StudyName = Annotated[str, typer.Argument(help="Name of a stored study.", metavar="NAME")]
Output = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        help="Folder for reports and the default storage.",
        envvar="BAKEOFF_OUTPUT",
    ),
]


def _without_password(
    context: typer.Context, parameter: typer.CallbackParam, url: str | None
) -> str | None:
    """The storage URL, which must not show a password to other users of the machine.

    Raises:
        UsageError: It holds one and stands on the command line.
    """
    source = context.get_parameter_source(str(parameter.name))
    if url and source is not None and source.name == "COMMANDLINE" and PASSWORD.search(url):
        raise UsageError(
            "--storage: every user of this machine sees the password in `ps`; leave it out of the"
            " URL and write it to ~/.pgpass (mode 600), or put the URL into BAKEOFF_STORAGE"
        )
    return url


StorageUrl = Annotated[
    str | None,
    typer.Option(
        "--storage",
        help="Storage URL without a password; default sqlite:///<output>/studies.db.",
        envvar="BAKEOFF_STORAGE",
        metavar="URL",
        callback=_without_password,
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        help="Number of runs trained at once; default one per core, or one per accelerator.",
        envvar="BAKEOFF_WORKERS",
    ),
]
WorkersPerDevice = Annotated[
    int | None,
    typer.Option(
        help="Number of runs trained at once on each accelerator, whose memory they share.",
        envvar="BAKEOFF_WORKERS_PER_DEVICE",
    ),
]
DeviceOption = Annotated[
    str,
    typer.Option(
        "--device",
        help="Where runs train: auto, cpu, cuda, cuda:1, cuda:0,2, mps or xpu. auto uses every"
        " accelerator that there is, else the CPU.",
        envvar="BAKEOFF_DEVICE",
        metavar="DEVICE",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Optimizer = Annotated[
    str | None,
    typer.Option(
        "--optimizer", help="One of `study optimizers`; default: the first in the study file."
    ),
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        "--scheduler",
        help="One of `study schedulers`; default: the study file's if it has only one, else"
        " constant.",
    ),
]
LearningRate = Annotated[
    float | None,
    typer.Option(
        "--learning-rate",
        "--lr",
        help="Default: the study file's value, else the library's default, moved into the study"
        " file's range.",
    ),
]
WeightDecay = Annotated[
    float | None,
    typer.Option("--weight-decay", "--wd", help="Default: chosen like that of the learning rate."),
]
BatchSize = Annotated[int | None, typer.Option(help="Default: the study file's.")]
OtherSettings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="Any other setting, as in adamw.beta2=0.99; may be repeated.",
        metavar="OWNER.PARAMETER=VALUE",
    ),
]
Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="Replace a setting of the file, as in search.trials_per_arm=5; may be repeated.",
        metavar="SECTION.KEY=VALUE",
    ),
]
HangTimeout = Annotated[
    str | None,
    typer.Option(
        help="Time without a step or an evaluated batch after which a run counts as hung and its"
        " worker is replaced, such as 10m; default 30m. Also the longest that a function of yours"
        " may read data without progress.",
        envvar="BAKEOFF_HANG_TIMEOUT",
        metavar="DURATION",
    ),
]
Checkpoints = Annotated[
    str | None,
    typer.Option(
        help="Folder or URL, such as s3://bucket/folder, in which runs store their checkpoints;"
        " default <output>/<study>/checkpoints.",
        envvar="BAKEOFF_CHECKPOINTS",
        metavar="FOLDER|URL",
    ),
]
Notify = Annotated[
    str | None,
    typer.Option(
        help="A URL that gets a JSON message, or a command that gets it on stdin, when the study"
        " finishes, pauses or fails.",
        envvar="BAKEOFF_NOTIFY",
        metavar="URL|COMMAND",
    ),
]
AcceptCode = Annotated[
    bool,
    typer.Option(
        "--accept-code",
        help="Continue although your code changed since the beginning, which is said.",
    ),
]
Threads = Annotated[int | None, typer.Option(help="Threads of the worker; default one per core.")]

UNITS = {"h": HOUR, "m": MINUTE, "s": 1.0}


def parse_hang_timeout(text: str | None) -> float:
    """Seconds of `--hang-timeout`, or the default."""
    from bakeoff.engines.protocol import HANG_SECONDS

    return HANG_SECONDS if text is None else parse_duration(text, "--hang-timeout")


def parse_duration(text: str, flag: str = "--timeout") -> float:
    """Seconds of a duration such as `2h`, `90m`, `1h30m` or `45s`, the value of `flag`.

    Raises:
        UsageError: The text is not a duration, or the duration is zero.
    """
    parts = re.findall(r"(\d+(?:\.\d+)?)([hms])", text)
    seconds = sum(float(number) * UNITS[unit] for number, unit in parts)
    if "".join(number + unit for number, unit in parts) != text or seconds <= 0:
        raise UsageError(f"{flag} {text!r} is not a duration; examples are 2h, 90m, 1h30m, 45s")
    return seconds
