"""What the attributes of a run look like, for those that no checksum vouches for.

These are the runs of earlier releases, and what changes while a run has not ended.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from bakeoff.ranges import ParamValue
from bakeoff.records.runs import EpochStatus, Outcome, Phase, Purpose
from bakeoff.storage.checksums import PLAN_KEY, DamagedError
from bakeoff.storage.reading import StoredRun

Number = float | Literal["inf", "-inf", "nan"] | None
Count = Annotated[int, Field(ge=0)]


class _Content(BaseModel):
    """A JSON object. A number is no text, and a text is no number."""

    model_config = ConfigDict(strict=True)


class _Plan(_Content):
    purpose: Purpose
    configuration: Count | None
    params: dict[str, ParamValue]
    epochs: Count
    decisions: list[Count] = []


class _Epoch(_Content):
    """An `EpochResult`."""

    model_config = ConfigDict(strict=True, extra="forbid")

    epoch: Count
    metrics: dict[str, Number]
    train_loss: Number
    learning_rate: Number
    grad_norm: Number
    steps: Count = 0
    skipped_steps: Count = 0
    train_seconds: float = 0.0
    data_seconds: float = 0.0
    evaluate_seconds: float = 0.0
    status: EpochStatus = "running"
    confusion: list[list[Count]] = []


class _Pause(_Content):
    history: list[_Epoch] = []


class _Result(_Content):
    outcome: Outcome = "failed"
    score: Number = None
    further_scores: dict[str, Number] = {}
    stop_reason: str = ""
    attempts: Count = 1
    drivers: Count = 0
    test_metrics: dict[str, Number] = {}
    history: list[_Epoch] = []
    test_without: str = ""


class _Starts(_Content):
    attempt: Count
    losses: Count
    epoch: int
    nodes: Count = 0
    drivers: Count = 0


class _Exemption(_Content):
    epoch: Count


SYSTEM: dict[str, TypeAdapter[Any]] = {
    PLAN_KEY: TypeAdapter(_Plan),
    "bakeoff:result": TypeAdapter(_Result),
    "bakeoff:paused": TypeAdapter(_Pause),
    "bakeoff:losses": TypeAdapter(_Starts | list[int]),
    "bakeoff:exempt": TypeAdapter(_Exemption),
}
USER: dict[str, TypeAdapter[Any]] = {
    "arm": TypeAdapter(str),
    "phase": TypeAdapter(Phase),
    "seed": TypeAdapter(Annotated[str, Field(pattern=r"^\d+$")]),
    "attempts": TypeAdapter(Count),
    "place": TypeAdapter(str),
    "audited": TypeAdapter(bool),
    "spared_at": TypeAdapter(Count),
    "repeat": TypeAdapter(Count),
}
NEEDED = ("arm", "phase", "seed")


def check_shapes(run: StoredRun) -> None:
    """Check every attribute of a run that bakeoff reads.

    Raises:
        DamagedError: An attribute is missing, or does not hold what bakeoff stores there.
    """
    for shapes, attrs, needed in (
        (USER, run.user_attrs, NEEDED),
        (SYSTEM, run.system_attrs, (PLAN_KEY,)),
    ):
        if missing := next((key for key in needed if key not in attrs), None):
            raise DamagedError(f"its {missing!r} is missing")
        for key, shape in shapes.items():
            if key not in attrs:
                continue
            try:
                shape.validate_python(attrs[key], strict=True)
            except ValidationError as error:
                first = error.errors(include_url=False, include_input=False)[0]
                place = "".join(f".{part}" for part in first["loc"])
                raise DamagedError(
                    f"its {key!r} is not what bakeoff stores ({place} {first['msg'].lower()})"
                ) from None
