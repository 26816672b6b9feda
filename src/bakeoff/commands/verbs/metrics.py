import math
from typing import TYPE_CHECKING

from bakeoff.commands import options
from bakeoff.commands.output import print_rows

if TYPE_CHECKING:
    from bakeoff.records import MetricInfo

ABOUT = """
All metrics of the task are recorded after every epoch; objective = "NAME" under [study] chooses the
one that runs are judged by. task = "NAME" under [data] says what the labels are; where the data set
does not determine it, the task is classification. Of several targets of a regression, rmse and mae
are in units of each target's deviation, and r2 is the mean over targets."""


def metrics(as_json: options.Json = False) -> None:
    """List the metrics of each task, by which a study may judge its runs.

    Example: study metrics
    """
    from bakeoff.components.metrics import DEFAULT_OBJECTIVES, METRICS

    rows: list[dict[str, object]] = [
        {
            "task": task,
            "metric": spec.name,
            "title": spec.info.title,
            "better": "higher" if spec.info.sign > 0 else "lower",
            "range": _range(spec.info),
            "default": "yes" if DEFAULT_OBJECTIVES[task] == spec.name else "",
            "computed as": spec.source,
        }
        for task, specs in METRICS.items()
        for spec in specs
    ]
    print_rows(rows, as_json=as_json)
    if not as_json:
        print(ABOUT)


def _range(info: "MetricInfo") -> str:
    low = "" if info.low == -math.inf else f"from {info.low:g}"
    high = "" if info.high == math.inf else f"to {info.high:g}"
    return " ".join(filter(None, (low, high, info.unit)))
