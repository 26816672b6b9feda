"""Trains a few short runs as a study would, to see what a run costs besides its epochs."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

from bakeoff.driver import Driver
from bakeoff.engines.protocol import Engine
from bakeoff.engines.stopping import StopRequest
from bakeoff.files import temporary_folder
from bakeoff.records import (
    Decision,
    EpochResult,
    MetricInfo,
    StudyConfig,
    TrialPlan,
    TrialRecord,
)
from bakeoff.space import build_arms, default_params
from bakeoff.storage import Storage, StudyFacts

RUNS_PER_WORKER = 4
MOST_SECONDS = 8.0
"""Seconds of epochs that each worker trains in a rehearsal, if its runs train one by one."""


class RunTimes(NamedTuple):
    """Seconds of one worker for the parts of a run."""

    epoch: float
    """Training and evaluation."""
    run: float
    """Everything besides its epochs: set up, test, store, wait for the driver."""


class _FewRuns:
    """A source of runs with the arms' library defaults that read the test set."""

    def __init__(self, config: StudyConfig, num_runs: int) -> None:
        arms = build_arms(config)
        chosen = [arms[index % len(arms)] for index in range(num_runs)]
        self._plans = [
            TrialPlan(
                arm=arm.name,
                params=default_params(arm, config.of_arm(arm.name).model),
                seed=index,
                phase="user",
                purpose="confirm",
                configuration=index,
            )
            for index, arm in enumerate(chosen)
        ]
        self.ended: list[float] = []
        """When each run ended, on the monotonic clock."""

    @property
    def num_left(self) -> int:
        return len(self._plans)

    def next(self) -> TrialPlan | None:
        return self._plans.pop(0) if self._plans else None

    def started(self, number: int, plan: TrialPlan) -> None:
        """Nothing depends on it."""

    def restore(self, record: TrialRecord) -> TrialPlan:
        raise AssertionError(f"a rehearsal is never continued, but found run {record.number}")

    def promote(self) -> None:
        """No run is ever paused."""

    def decide(self, number: int, plan: TrialPlan, result: EpochResult) -> Decision:  # noqa: ARG002
        return "continue"

    def update_seconds(self, number: int, plan: TrialPlan, result: EpochResult) -> None:
        """Seconds do not matter."""

    def finish(self, plan: TrialPlan, record: TrialRecord) -> None:  # noqa: ARG002
        self.ended.append(time.monotonic())

    def take_notes(self) -> tuple[str, ...]:
        return ()


class _Silent:
    """Shows nothing."""

    def began(self, run: str, plan: TrialPlan, num_left: int) -> None: ...

    def epoch(self, run: str, plan: TrialPlan, result: EpochResult) -> None: ...

    def paused(self, run: str, plan: TrialPlan, epoch: int) -> None: ...

    def ended(self, run: str, plan: TrialPlan, record: TrialRecord, *, restored: bool) -> None: ...

    def note(self, text: str) -> None: ...


def rehearse_runs(
    config: StudyConfig,
    engine: Engine,
    stop: StopRequest,
    *,
    workers: int,
    epoch_seconds: float,
    num_runs: int = RUNS_PER_WORKER,
    arithmetic: Literal["plain", "stacked"] = "plain",
) -> RunTimes | None:
    """Drive a few short runs and return what a run takes of the time of one worker.

    None where a few epochs take so long that nothing else matters.

    Args:
        config: The study, with the precision that it will use.
        engine: An engine with `workers` free workers.
        stop: Checked while runs train.
        workers: Runs that train at the same time.
        epoch_seconds: Of one worker and a run that trains alone, about.
        num_runs: Runs of each worker.
        arithmetic: Whether they train one by one or as stacks.
    """
    epochs = min(config.training.epochs, int(MOST_SECONDS / RUNS_PER_WORKER / epoch_seconds))
    if epochs < 1:
        return None
    training = replace(config.training, epochs=epochs)
    short = replace(config, training=training, further_objectives=())
    source = _FewRuns(short, num_runs * workers)
    with temporary_folder("forecast") as folder:
        storage = Storage(f"sqlite:///{folder / 'studies.db'}", create=True)
        facts = replace(_facts(short), arithmetic=arithmetic)
        storage.create(short, facts)
        driver = Driver(
            config=short,
            facts=facts,
            storage=storage,
            engine=engine,
            observer=_Silent(),
            stop=stop,
            checkpoints=folder / "checkpoints",
            weights=folder / "weights",
        )
        began = time.monotonic()
        driver.drive(source, "confirm")
        records = [record for _, record in storage.load_runs(short.name, "confirm")]
        storage.optuna_storage.remove_session()
    per_run = (source.ended[-1] - began) * workers / len(records)
    of_epochs = _mean_epoch_seconds(records)
    return RunTimes(of_epochs / epochs, max(0.0, per_run - of_epochs))


def _mean_epoch_seconds(records: Sequence[TrialRecord]) -> float:
    """Seconds that the epochs of a run took, on average; runs of a stack share theirs."""
    return sum(one.train_seconds + one.evaluate_seconds for one in records) / len(records)


def _facts(config: StudyConfig) -> StudyFacts:
    """Facts that no result depends on, because none is kept."""
    return StudyFacts(
        metric=MetricInfo(name=config.objective, direction="maximize", low=0.0, high=1.0),
        chance_score=0.0,
        num_validation=1,
        num_test=1,
        data_fingerprint="",
        precision=config.training.precision,
        threads=1,
    )
