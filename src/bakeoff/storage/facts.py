"""What a study keeps from its beginning."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bakeoff.records import MetricInfo


@dataclass(frozen=True, kw_only=True)
class StudyFacts:
    """What was measured or decided when a study began; kept when it continues."""

    metric: MetricInfo
    chance_score: float
    """Score of an untrained model, given to runs that diverge."""
    num_validation: int
    num_test: int
    data_fingerprint: str
    precision: str
    threads: int
    """Per worker; the thread count changes the bits of a result."""
    protocol: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
