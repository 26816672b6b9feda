"""An example of `studies/loops` that is killed: `python killable_loop.py NAME FOLDER`.

It trains the example in a process of its own, to the end, and again while it kills the process by
SIGKILL within epochs and lets another one continue. It writes the comparison as JSON.
"""

import importlib
import json
import multiprocessing
import os
import random
import sys
import time
from dataclasses import replace
from math import inf
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from bakeoff.records import TrialConfig, as_plain
from bakeoff.space import build_arms, build_trial_config, default_params
from bakeoff.studyfile import load_study_file
from bakeoff.training.checkpoint import Checkpoints
from bakeoff.training.difference import compare_final_states
from bakeoff.training.own_loop import Answer, OwnTraining

LOOPS = Path(__file__).parents[1] / "studies" / "loops"
EPOCHS = 4
KILLED_AFTER = [1, 2, EPOCHS]
"""Epochs; each kill comes within the next one, and the last one before the test."""


def config_of(name: str, epochs: int) -> TrialConfig:
    """The last arm's defaults of an example, for a short run."""
    study = load_study_file(LOOPS / f"{name}.toml")
    study = replace(study, training=replace(study.training, epochs=epochs))
    return build_trial_config(study, default_params(build_arms(study)[-1], study.model), seed=5)


def train(config: TrialConfig, folder: Path, connection: Connection) -> None:
    """Train from the last checkpoint, saving after every epoch; send each and wait for an answer.

    So no epoch ends before its kill.
    """
    torch.set_num_threads(1)
    training = OwnTraining(config, "cpu", wants_test=True)

    def send(result) -> Answer:
        connection.send((result.epoch, dict(result.metrics)))
        connection.recv()
        return "continue"

    training.train(Checkpoints(folder, "run", max_share=inf), send)
    connection.send(("test", training.test_metrics))


def attempt(config: TrialConfig, folder: Path, kill_after: int | None) -> tuple[int, list]:
    """Train in a new process; return its exit code and what it sent."""
    context = multiprocessing.get_context("fork")  # torch and the framework are imported once
    ours, theirs = context.Pipe()
    process = context.Process(target=train, args=(config, folder, theirs))
    process.start()
    theirs.close()
    sent, started = [], time.monotonic()
    try:
        while True:
            sent.append(ours.recv())
            is_last_kill = sent[-1][0] == kill_after == EPOCHS  # the test would end before it
            if sent[-1][0] != "test" and not is_last_kill:
                ours.send("continue")
            seconds, started = time.monotonic() - started, time.monotonic()
            if sent[-1][0] == kill_after:
                time.sleep(random.random() * min(seconds, 0.2))
                process.kill()
                break
    except (EOFError, ConnectionResetError):
        pass
    process.join()
    return process.exitcode or 0, sent


def main(name: str, folder: Path) -> None:
    """Train calmly and killed, and print the comparison."""
    os.chdir(folder)
    sys.path.append(str(LOOPS))
    config = config_of(name, epochs=EPOCHS)
    importlib.import_module(str(config.training.loop).partition(":")[0])
    _, calm = attempt(config, folder / "calm", None)
    codes = [attempt(config, folder / "killed", epoch)[0] for epoch in KILLED_AFTER]
    _, resumed = attempt(config, folder / "killed", None)
    difference = compare_final_states(folder / "calm", folder / "killed", "run")
    print(json.dumps({"codes": codes, "calm": calm, "resumed": resumed, **as_plain(difference)}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
