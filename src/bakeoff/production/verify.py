"""Does a run that is killed and continued end with the same bits? Tried on the user's own model.

The run is trained once without interruption and once more with its worker killed at random moments,
each time continued from its checkpoint. Then the two final states are compared.
"""

import random
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from bakeoff.driver import POLL_SECONDS, InterruptedStudyError, StopRequest
from bakeoff.engines.local import LocalEngine
from bakeoff.engines.protocol import Died, Epoch, Event, Failed, Finished, Halted, Job
from bakeoff.errors import BakeoffError
from bakeoff.production.one_configuration import params_of
from bakeoff.records import EpochResult, Precision, StudyConfig
from bakeoff.seeding import derive_seed
from bakeoff.session import RunSettings, check_data, check_packages, choose_precision, probe
from bakeoff.space import build_trial_config

if TYPE_CHECKING:
    from bakeoff.training.difference import StateDifference

IDENTITY = "verify"
LATEST = 0.9
"""A kill comes before this share of an epoch has passed, so that the epoch rarely ends before."""


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What was tried, and what came of it."""

    epochs: int
    kills: tuple[float, ...]
    """When a worker was killed, in epochs: 1.25 is a quarter through the second."""
    difference: "StateDifference"
    is_repeatable: bool
    """Whether two runs without interruption end alike; tried only where there is a difference."""


def draw_kills(count: int, epochs: int, seed: int) -> tuple[float, ...]:
    """Moments in epochs, sorted, none before the first checkpoint nor near the end of an epoch."""
    generator = random.Random(derive_seed(seed, "kills"))  # noqa: S311 - no secret
    return tuple(
        sorted(generator.randrange(1, epochs) + LATEST * generator.random() for _ in range(count))
    )


def verify_resume(
    config: StudyConfig, kills: Sequence[float], settings: RunSettings, folder: Path, seed: int
) -> Verification:
    """Train a study of one configuration with and without kills, and compare.

    Args:
        config: At least two epochs long.
        kills: From `draw_kills`.
        settings: Threads and device.
        folder: For the checkpoints; left to the caller to remove.
        seed: Training seed.

    Raises:
        InterruptedStudyError: It was asked to stop.
        BakeoffError: The run failed, or data or model are unusable.
    """
    from bakeoff.training.difference import compare_final_states

    check_packages(config)
    check_data(config)
    engine = LocalEngine(num_workers=1, threads=settings.threads, device=settings.device)
    with StopRequest().listening() as stop, closing(engine):
        precision = choose_precision(config, probe(config, engine, stop)).precision
        job = _job(config, cast("Precision", precision), seed)

        def train(name: str, moments: Sequence[float] = ()) -> tuple[Path, tuple[float, ...]]:
            own = folder / name
            attempt = _Attempt(replace(job, checkpoint_dir=str(own)), engine, stop, moments)
            return own, attempt.train()

        calm, _ = train("calm")
        engine.close()  # a new worker: nothing of an earlier run is in it
        killed, done = train("killed", kills)
        if not done:
            raise BakeoffError(
                "the run ended before it could be killed: it diverged, or stopped early; choose"
                " other settings, such as a lower --learning-rate"
            )
        difference = compare_final_states(calm, killed, IDENTITY)
        is_repeatable = difference.is_identical
        if not is_repeatable:
            engine.close()
            again, _ = train("again")
            is_repeatable = compare_final_states(calm, again, IDENTITY).is_identical
    return Verification(
        epochs=config.training.epochs,
        kills=done,
        difference=difference,
        is_repeatable=is_repeatable,
    )


def _job(config: StudyConfig, precision: Precision, seed: int) -> Job:
    trial = build_trial_config(config, params_of(config), seed)
    return Job(
        run=IDENTITY,
        config=replace(trial, training=replace(trial.training, precision=precision)),
        checkpoint_dir="",
        # The worker waits after every epoch, so that none passes before its kill.
        decision_epochs=tuple(range(1, config.training.epochs)),
        saves_every_epoch=True,
    )


class _Attempt:
    """One run to its end, its worker killed at the given moments on the way."""

    def __init__(
        self, job: Job, engine: LocalEngine, stop: StopRequest, moments: Sequence[float]
    ) -> None:
        self._job = job
        self._engine = engine
        self._stop = stop
        self._left = list(moments)
        self._done: list[float] = []
        self._is_killing = False

    def train(self) -> tuple[float, ...]:
        """Until the run has ended; the kills that met it at work."""
        self._engine.submit(self._job)
        while not self._stop.count:
            for event in self._engine.events(POLL_SECONDS):
                if self._handle(event):
                    return tuple(self._done)
        raise InterruptedStudyError(self._stop.exit_code)

    def _handle(self, event: Event) -> bool:
        """Whether the run has ended."""
        match event:
            case Epoch():
                self._on_epoch(event.result, waits=event.waits)
            case Died() if self._is_killing:
                self._done.append(self._left.pop(0))
                self._is_killing = False
                self._engine.submit(self._job)
            case Finished():
                return True
            case Failed() | Halted() | Died():
                raise BakeoffError(f"the run failed: {event.reason}")
        return False

    def _on_epoch(self, result: EpochResult, *, waits: bool) -> None:
        if waits:
            self._engine.reply(IDENTITY, "continue")
        if self._left and not self._is_killing and int(self._left[0]) == result.epoch:
            time.sleep((self._left[0] % 1) * (result.train_seconds + result.evaluate_seconds))
            self._is_killing = True
            self._engine.kill(IDENTITY)
