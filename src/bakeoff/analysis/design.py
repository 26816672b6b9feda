"""What intervals and tests must know of a study beyond its scores."""

from dataclasses import dataclass

from bakeoff.analysis.statistics import UNBOUNDED, Interval
from bakeoff.records import StudyRecord


@dataclass(frozen=True, kw_only=True)
class Design:
    """Bounds, test set, splits and looks of a study."""

    bounds: Interval = UNBOUNDED
    """Lowest and highest value of the objective."""
    num_test: int | None = None
    one_test_set: bool = True
    """Whether all units were tested on the same samples."""
    overlap: float = 0.0
    """Samples that a unit did not train on, per sample that it trained on, if every unit drew its
    training samples anew; otherwise 0."""
    looks: tuple[int, ...] = ()
    """Declared numbers of units at which results are looked at."""
    read_at: tuple[int, ...] = ()
    """Numbers of units at which results were read without having been declared."""


def design_of(record: StudyRecord, *, over_searches: bool) -> Design:
    """The design of a study whose units are searches, or confirmation seeds.

    A study that splits its data anew draws training and validation samples for every confirmation
    seed. A test set that was reserved from the samples is drawn anew for every search.

    Source: Nadeau and Bengio 2003 (overlap of training samples that are drawn anew).
    """
    objective, resplit = record.objective, record.confirm.resplit
    draws_test = resplit and over_searches and record.test_is_reserved
    left_out = (record.num_validation or 0) if resplit else 0
    left_out += (record.num_test or 0) if draws_test else 0
    return Design(
        bounds=(objective.low, objective.high),
        num_test=record.num_test,
        one_test_set=not draws_test,
        overlap=left_out / record.num_train if record.num_train else 0.0,
        looks=() if over_searches else record.confirm.looks,
        read_at=record.read_at_repeats if over_searches else record.read_at_seeds,
    )


NO_DESIGN = Design()
