"""Repeats: independent searches of the same arms, each with its own seeds.

All random numbers of a repeat (samplers, training, shortlist, confirmation) derive from its base
seed. The arms share it, so their searches are paired. Repeat 0 has the seeds of a study without
repeats, which is why a finished study can be extended by repeats.
"""

from dataclasses import replace

from bakeoff.records import StudyConfig
from bakeoff.seeding import derive_seed


def base_seed(study_seed: int, repeat: int) -> int:
    """The seed from which every seed of repeat `repeat` (from 0) derives."""
    return derive_seed(study_seed, "repeat", repeat) if repeat else study_seed


def config_of_repeat(config: StudyConfig, repeat: int) -> StudyConfig:
    """The study with the base seed of one of its repeats."""
    return replace(config, seed=base_seed(config.seed, repeat))


def describe_repeat(config: StudyConfig, repeat: int) -> str:
    """` of repeat 2`, counted from 1; empty in a study with a single search."""
    return f" of repeat {repeat + 1}" if config.search.repeats > 1 else ""
