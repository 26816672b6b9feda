"""Checks on the user's own model that a run which is killed and resumed ends with the same bits.

The run is trained once without interruption. It is trained again while its worker is killed at
random moments, and resumes from its checkpoint each time. Then the two final states are compared.
"""

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bakeoff.engines.follow import follow
from bakeoff.engines.open import EngineSettings, open_engine
from bakeoff.engines.protocol import Died, Engine, Epoch, Failed, Halted, Job
from bakeoff.engines.stopping import StopRequest
from bakeoff.errors import BakeoffError
from bakeoff.production.run import trial_config
from bakeoff.records import StudyConfig
from bakeoff.seeding import derive_seed
from bakeoff.session.checks import check_data, check_packages
from bakeoff.session.measuring import probe

if TYPE_CHECKING:
    from bakeoff.training.difference import StateDifference

IDENTITY = "verify"
LATEST = 0.9
"""A kill happens in this first part of an epoch, so that the epoch rarely ends before it."""


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What was tried and what was found."""

    epochs: int
    kills: tuple[float, ...]
    """When workers were killed, in epochs. 1.25 is a quarter through the second epoch."""
    difference: "StateDifference"
    is_repeatable: bool
    """Whether two runs without interruption end equal. Tested only if there is a difference."""


def draw_kills(count: int, epochs: int, seed: int) -> tuple[float, ...]:
    """Sorted moments in epochs, after the first checkpoint and not near the end of an epoch."""
    generator = random.Random(derive_seed(seed, "kills"))  # noqa: S311 - no secret
    return tuple(
        sorted(generator.randrange(1, epochs) + LATEST * generator.random() for _ in range(count))
    )


def verify_resume(
    config: StudyConfig, kills: Sequence[float], settings: EngineSettings, folder: Path, seed: int
) -> Verification:
    """Train a study of one configuration with and without kills and compare the final states.

    Args:
        config: A study of one configuration with at least two epochs.
        kills: Moments from `draw_kills`.
        settings: Device and threads.
        folder: Folder for the checkpoints, which the caller removes.
        seed: Training seed.

    Raises:
        InterruptedStudyError: A stop was requested.
        BakeoffError: The run failed, or data or model are unusable.
    """
    from bakeoff.training.difference import compare_final_states

    check_packages(config)
    check_data(config)
    with StopRequest().listening() as stop, open_engine(settings) as engine:
        precision = probe(config, engine, stop).precision
        job = Job(
            run=IDENTITY,
            config=trial_config(config, precision, seed),
            checkpoints="",
            # The worker waits after every epoch, so that no epoch ends before its kill.
            decision_epochs=tuple(range(1, config.training.epochs)),
            saves_every_epoch=True,
        )

        def train(name: str, moments: Sequence[float] = ()) -> tuple[Path, tuple[float, ...]]:
            checkpoints = folder / name
            done = _train(engine, stop, replace(job, checkpoints=str(checkpoints)), moments)
            engine.close()  # the next run gets a new worker, which holds nothing of this one
            return checkpoints, done

        calm, _ = train("calm")
        killed, done = train("killed", kills)
        if not done:
            raise BakeoffError(
                "the run ended before it could be killed: it diverged, or stopped early; choose"
                " other settings, such as a lower --learning-rate"
            )
        difference = compare_final_states(calm, killed, IDENTITY)
        is_repeatable = difference.is_identical
        if not is_repeatable:
            again, _ = train("again")
            is_repeatable = compare_final_states(calm, again, IDENTITY).is_identical
    return Verification(
        epochs=config.training.epochs,
        kills=done,
        difference=difference,
        is_repeatable=is_repeatable,
    )


def _train(
    engine: Engine, stop: StopRequest, job: Job, moments: Sequence[float]
) -> tuple[float, ...]:
    """Train to the end and kill the worker at `moments`. Return the moments of real kills."""
    left = list(moments)
    done: list[float] = []
    is_killing = False
    for event in follow(engine, stop, job):
        match event:
            case Epoch(result=result):
                if event.waits:
                    engine.reply(IDENTITY, "continue")
                if left and not is_killing and int(left[0]) == result.epoch:
                    time.sleep((left[0] % 1) * (result.train_seconds + result.evaluate_seconds))
                    is_killing = True
                    engine.kill(IDENTITY)
            case Died() if is_killing:
                done.append(left.pop(0))
                is_killing = False
            case Failed() | Halted() | Died():
                raise BakeoffError(f"the run failed: {event.reason}")
    return tuple(done)
