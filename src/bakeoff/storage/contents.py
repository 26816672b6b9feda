"""The content of a stored study: the JSON value of its attribute `bakeoff:study`."""

import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from uuid import uuid4

from bakeoff.components.objectives import further_objectives
from bakeoff.errors import StudyFileError
from bakeoff.records import (
    ArmRecord,
    MetricInfo,
    StudyConfig,
    StudyRecord,
    TrialRecord,
    WarmStarts,
    as_plain,
)
from bakeoff.records.significance import min_confirmation_seeds
from bakeoff.space import build_arms, fingerprint
from bakeoff.storage.checksums import ADVICE, DamagedError, opened, sealed
from bakeoff.studyfile import format_study, resolve_stored
from bakeoff.studyfile.arm_parameters import names_of

FORMAT = FIRST_FORMAT_WITH_CHECKSUMS = 2
CHANGED_KEY = "changed_after_results"
READ_KEY = "read_at_seeds"
READ_REPEATS_KEY = "read_at_repeats"

Content = Mapping[str, Any]
MISREAD = (KeyError, TypeError, ValueError, AttributeError)
"""What reading raises where the content of a study is not of the form that bakeoff stores."""


@contextmanager
def naming(name: str, key: str) -> Iterator[None]:
    """Name the study and the attribute if it does not hold what bakeoff stores there."""
    try:
        yield
    except DamagedError as error:
        raise DamagedError(f"study {name!r}: {error}: {ADVICE}") from None
    except (*MISREAD, StudyFileError) as error:
        raise DamagedError(
            f"study {name!r}: {key!r} is not what bakeoff stores"
            f" ({type(error).__name__}: {error}): {ADVICE}"
        ) from None


@dataclass(frozen=True, kw_only=True)
class StudyFacts:
    """What was measured or decided when a study began. It is kept when the study continues."""

    metric: MetricInfo
    chance_score: float
    """The score of an untrained model, which is assigned to runs that diverge."""
    num_validation: int | None
    num_test: int | None
    """None, as the other numbers of samples, where a loop of the user's own brings its data."""
    data_fingerprint: str
    precision: str
    threads: int
    """The number of threads per worker, which changes the bits of a result."""
    num_train: int | None = None
    """Unknown in studies that were begun before it was stored."""
    test_is_reserved: bool = False
    """Whether the test set was drawn from samples that came without one."""
    arithmetic: Literal["plain", "stacked"] = "plain"
    """How the runs of the confirmation train, which changes the bits of a result."""
    search_arithmetic: Literal["plain", "stacked"] = "plain"
    """How the trials of the search train."""
    protocol: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class StudyState:
    """What changes while a study runs."""

    finished: bool = False
    """Whether search and confirmation were complete when the study was last run."""
    search_ended: bool = False
    """Whether the search ended before its budget was used."""
    notes: tuple[str, ...] = ()
    """For readers of the study, oldest first."""
    runs: Mapping[str, int] = field(default_factory=dict)
    """Number of search and confirmation runs when the study was last finished."""


def state_of(stored: Mapping[str, Any]) -> StudyState:
    """The state of a study as it is stored.

    Raises:
        DamagedError: It does not match its checksum.
    """
    state = opened(stored, "its state")
    return StudyState(**{**state, "notes": tuple(state["notes"])})


def stored_state(state: StudyState) -> dict[str, Any]:
    """The state of a study with its checksum, as it is stored."""
    return sealed(as_plain(state))


def new_content(
    config: StudyConfig, facts: StudyFacts, warm_starts: WarmStarts | None
) -> dict[str, Any]:
    """The content of a new study. Warm starts are kept for later continuations."""
    content = {
        "format": FORMAT,
        "id": uuid4().hex,
        "config": format_study(config),
        "facts": as_plain(facts),
    }
    return sealed(content | ({"warm_starts": as_plain(warm_starts)} if warm_starts else {}))


def has_checksums(content: Content) -> bool:
    """Whether the release that began the study stores checksums."""
    return bool(content["format"] >= FIRST_FORMAT_WITH_CHECKSUMS)


def config_of(content: Content) -> StudyConfig:
    """The settings of the study."""
    return resolve_stored(tomllib.loads(content["config"]))


def study_facts_of(content: Content) -> StudyFacts:
    """What was measured when the study began."""
    facts = content["facts"]
    return StudyFacts(**{**facts, "metric": MetricInfo(**facts["metric"])})


def extended_content(
    content: Content,
    config: StudyConfig,
    num_settled: int,
    changes_after_results: Sequence[str],
    num_read: int = 0,
    num_read_repeats: int = 0,
) -> dict[str, Any]:
    """The content of a study that gets more trials or arms.

    Args:
        content: The content so far. The arms, optimizers and schedules of the first one are kept.
        config: The new settings.
        num_settled: Number of stored search trials that had all been reported to the search; those
            of a search that is extended before its end have not.
        changes_after_results: The changed settings, if test metrics were already known.
        num_read: Confirmation seeds of the first repeat whose test metrics were already known.
        num_read_repeats: Repeats of which test metrics were already known.
    """
    before = config_of(content)
    search = before.search
    extended: dict[str, Any] = {
        "begun_with": {
            "optimizers": search.optimizers,
            "schedulers": search.schedulers,
            **({"arms": tuple(before.arms)} if before.arms else {}),
        },
        **content,
        "config": format_study(config),
        "settled": num_settled,
    }
    if changes_after_results:
        extended[CHANGED_KEY] = [*content.get(CHANGED_KEY, ()), *changes_after_results]
    declared = (before.confirm.seeds, before.confirm.looks)
    if num_read and declared != (config.confirm.seeds, config.confirm.looks):
        extended[READ_KEY] = [*content.get(READ_KEY, ()), num_read]
    could_decide = num_read_repeats >= min_confirmation_seeds(len(build_arms(before)))
    if could_decide and config.search.repeats > search.repeats:
        extended[READ_REPEATS_KEY] = [*content.get(READ_REPEATS_KEY, ()), num_read_repeats]
    return sealed({key: as_plain(value) for key, value in extended.items()})


def as_begun(config: StudyConfig, content: Content) -> StudyConfig:
    """`config` with the named arms, optimizers and schedules that the study began with."""
    begun: dict[str, Any] = {
        key: tuple(names) for key, names in content.get("begun_with", {}).items()
    }
    named = begun.pop("arms", tuple(config.arms))
    return replace(
        config,
        search=replace(config.search, **begun),
        arms={name: config.arms[name] for name in named},
    )


def build_record(
    content: Content,
    *,
    trials: Iterable[TrialRecord],
    confirmations: Iterable[TrialRecord],
    state: StudyState,
    num_unchecked: int,
) -> StudyRecord:
    """The study as analysis and report read it.

    Args:
        content: Its content.
        trials: The runs of the search.
        confirmations: All other runs.
        state: What changes while it runs.
        num_unchecked: Number of runs without a checksum.
    """
    trials, confirmations = tuple(trials), tuple(confirmations)
    config, facts = config_of(content), study_facts_of(content)
    arms = build_arms(config)
    return StudyRecord(
        name=config.name,
        question=config.question,
        objective=facts.metric,
        further_objectives=further_objectives(config),
        score_rule=config.score_rule,
        epochs=config.training.epochs,
        arms=arms,
        trials=trials,
        confirmations=confirmations,
        trials_per_arm=config.search.trials_per_arm,
        epochs_per_arm=config.search.epochs_per_arm,
        seconds_per_arm=config.search.seconds_per_arm,
        sampler=config.search.sampler,
        pruner=config.search.pruner,
        startup_trials=config.search.startup_trials,
        repeats=config.search.repeats,
        confirm=config.confirm,
        delta=config.delta,
        reference=config.reference,
        arithmetic=facts.arithmetic,
        search_arithmetic=facts.search_arithmetic,
        chance_score=facts.chance_score,
        num_train=facts.num_train,
        num_validation=facts.num_validation,
        num_test=facts.num_test,
        test_is_reserved=facts.test_is_reserved,
        protocol={
            **facts.protocol,
            **{f"arm {arm.name}": describe_arm(arm) for arm in arms if config.arms},
            "checksums": _checksums(len(trials) + len(confirmations), num_unchecked),
        },
        environment=facts.environment,
        config_hash=fingerprint(config),
        study_file=format_study(config),
        finished=state.finished,
        notes=state.notes,
        changed_after_results=tuple(content.get(CHANGED_KEY, ())),
        read_at_seeds=tuple(content.get(READ_KEY, ())),
        read_at_repeats=tuple(content.get(READ_REPEATS_KEY, ())),
    )


def describe_arm(arm: ArmRecord) -> str:
    """The settings in which a named arm differs from the others, for the protocol."""
    owners = {f"{key}s": names_of(arm.space[key]) for key in ("optimizer", "scheduler")}
    given = {**arm.settings, **{key: ", ".join(names) for key, names in owners.items()}}
    return "; ".join(f"{key} = {value}" for key, value in given.items())


def _checksums(num_runs: int, num_unchecked: int) -> str:
    """What is known about damage to the stored runs, for the protocol."""
    if not num_unchecked:
        return "every stored run matches its checksum"
    return f"unchecked: {num_unchecked} of {num_runs} runs, stored by an earlier release"
