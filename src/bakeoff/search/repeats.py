"""Repeats: independent searches of the same arms, each with its own seeds.

All random numbers of a repeat (samplers, training, shortlist, confirmation) derive from its base
seed. The arms share it, so their searches are paired. Repeat 0 has the seeds of a study without
repeats, which is why a finished study can be extended by repeats.
"""

from dataclasses import replace

from bakeoff.records import StudyConfig
from bakeoff.seeding import derive_seed, repeat_seed


def config_of_repeat(config: StudyConfig, repeat: int) -> StudyConfig:
    """The study with the base seed of one of its repeats."""
    return replace(config, seed=repeat_seed(config.seed, repeat))


def describe_repeat(config: StudyConfig, repeat: int) -> str:
    """` of repeat 2`, counted from 1; empty in a study with a single search."""
    return f" of repeat {repeat + 1}" if config.search.repeats > 1 else ""


def confirmation_seeds(config: StudyConfig, repeat: int) -> list[int]:
    """The training seeds on which a repeat's choices and defaults are confirmed, of all arms."""
    base = repeat_seed(config.seed, repeat)
    return [derive_seed(base, "confirm", index) for index in range(config.confirm.seeds_of(repeat))]
