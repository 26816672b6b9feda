"""What the scores of a gate depend on, and whether two sets of scores can be compared."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from bakeoff.data.summary import DatasetSummary
from bakeoff.engines.open import EngineSettings
from bakeoff.engines.protocol import Probed
from bakeoff.errors import UsageError
from bakeoff.own_source import CODE
from bakeoff.production.gate_file import Baseline
from bakeoff.records import MetricInfo, StudyConfig
from bakeoff.session.checks import changed_code
from bakeoff.session.descriptions import component_packages, describe_environment
from bakeoff.space import describe_changes, fingerprint

MEANS_ANOTHER_SCORE = (
    "study.objective:", "study.score:", "study.seed:", "data.task:", "data.validation_fraction:",
    "data.imbalance:", "metrics.",
)  # fmt: skip
"""Settings that decide what a score is, or on which samples it is measured. The data itself is
compared by its fingerprint."""
DIFFERS_ANYWAY = ("seconds per step", "workers")
"""Parts of an environment that no result depends on."""


def comparable_changes(config: StudyConfig, baseline: Baseline, where: str) -> tuple[str, ...]:
    """The settings that differ from the baseline's, as `key: before -> after`.

    Raises:
        UsageError: With them a score means something else.
    """
    changes = describe_changes(baseline.config, config)
    refused = [one for one in changes if one.startswith(MEANS_ANOTHER_SCORE)]
    if refused:
        raise UsageError(
            f"{where}: its scores cannot be compared with other settings ({'; '.join(refused)});"
            " restore them, or store a new baseline with --store-baseline"
        )
    return tuple(changes)


def check_comparable_scores(
    summary: DatasetSummary, metric: MetricInfo, baseline: Baseline, where: str
) -> None:
    """Refuse scores of other data, or of another metric, than those of the baseline.

    Raises:
        UsageError: The fingerprints of the data, or the metric or its direction, differ.
    """
    if summary.fingerprint != baseline.data_fingerprint:
        raise UsageError(
            f"{where}: its runs had other data (fingerprint {baseline.data_fingerprint[:12]}, now"
            f" {summary.fingerprint[:12]}); restore the data, or store a new baseline with"
            " --store-baseline"
        )
    if (metric.name, metric.direction) != (baseline.metric, baseline.direction):
        raise UsageError(
            f"{where}: its score is {baseline.metric} ({baseline.direction}), that of the study is"
            f" {metric.name} ({metric.direction})"
        )


def identity_of(
    config: StudyConfig, settings: EngineSettings, probed: Probed, data_fingerprint: str
) -> str:
    """Hash of everything that the score of a seed depends on, the user's code included."""
    depends = [
        fingerprint(config),
        probed.precision,
        settings.threads,
        settings.device,
        data_fingerprint,
        sorted((Path(file).name, digest) for file, digest in probed.code.items()),
        {
            heading: text
            for heading, text in environment_of(config, settings, probed).items()
            if heading != CODE
        },
    ]
    return hashlib.sha256(json.dumps(depends, sort_keys=True).encode()).hexdigest()[:16]


def environment_of(config: StudyConfig, settings: EngineSettings, probed: Probed) -> dict[str, str]:
    """What else the scores depend on, as text by heading."""
    found = {**describe_environment(settings, probed), **component_packages(config)}
    return {
        **{heading: text for heading, text in found.items() if heading not in DIFFERS_ANYWAY},
        "precision": probed.precision,
    }


def changed_environment(
    before: Mapping[str, str], now: Mapping[str, str], code: Mapping[str, str]
) -> tuple[str, ...]:
    """What differs from the environment of a baseline: packages and machine, then the user's code.

    Args:
        before: The environment of the baseline.
        now: The environment of the current code.
        code: SHA-256 of the files of the user's code that are imported now, by path.
    """
    changes = [
        f"{heading}: {before.get(heading, 'absent')} -> {now.get(heading, 'absent')}"
        for heading in dict.fromkeys((*before, *now))
        if heading != CODE and before.get(heading) != now.get(heading)
    ]
    files = sorted({Path(file).name for file in changed_code(before, code)})
    return (*changes, *([f"{CODE}: {', '.join(files)}"] if files else []))
