"""Checks the section `[confirm]`, and that every repeat of a study is large enough to count."""

import math
from itertools import pairwise

from bakeoff.components.pruners import PRUNERS
from bakeoff.errors import StudyFileError
from bakeoff.records import ConfirmConfig, StudyConfig
from bakeoff.records.significance import MIN_SEARCH_SEEDS, MIN_SEARCH_TRIALS, auto_seeds
from bakeoff.studyfile.schema import ConfirmSection

REPEAT_SEEDS = 3
"""Confirmation seeds of every repeat after the first, if the study file names no number.

A repeat's score has the variance S + T / K, where S is the variance over searches, T that over
seeds, and K the number of seeds. A repeat costs C runs for its search and shortlist and 2 runs
(choice and defaults) for each seed. For a given cost the error of the mean over repeats is smallest
at K = sqrt(C / 2 * T / S) (Cochran, Sampling Techniques, 1977, section 10.6). With the default
budget C is about 7 + 9 = 16 runs: 20 trials that halving cuts to a third, and 9 shortlist runs. So
K is 3 where seeds and searches vary equally."""


def resolve_confirm(section: ConfirmSection, num_arms: int) -> ConfirmConfig:
    """The section with every default written out.

    Raises:
        StudyFileError: The looks do not rise, or do not end at the number of seeds.
    """
    looks = tuple(section.looks or ())
    if any(later <= earlier for earlier, later in pairwise(looks)):
        raise StudyFileError(f"confirm.looks = {list(looks)}: must rise from look to look")
    seeds = section.seeds
    if seeds == "auto":
        seeds = looks[-1] if looks else auto_seeds(num_arms)
    if looks and looks[-1] != seeds:
        raise StudyFileError(
            f"confirm.looks = {list(looks)}: the last look is at {looks[-1]} seeds, but"
            f" confirm.seeds = {seeds}; make them equal or leave confirm.seeds out"
        )
    return ConfirmConfig(
        seeds=seeds,
        repeat_seeds=(
            min(REPEAT_SEEDS, seeds) if section.repeat_seeds is None else section.repeat_seeds
        ),
        shortlist=section.shortlist,
        shortlist_seeds=section.shortlist_seeds,
        looks=looks,
        resplit=section.resplit,
        arithmetic=section.arithmetic,
    )


def check_repeats(config: StudyConfig) -> None:
    """Refuse repeats that are known to be too small for a statement about optimizers.

    Raises:
        StudyFileError: A search gives each arm fewer trials, or a repeat has fewer confirmation
            seeds, than a repeat needs.
    """
    repeats = config.search.repeats
    if repeats == 1:
        return
    most = _most_trials(config)
    if most < MIN_SEARCH_TRIALS:
        raise StudyFileError(
            f"search.repeats = {repeats}: each repeat needs {MIN_SEARCH_TRIALS} or more trials per"
            f" arm, but the budget allows {most:g}"
        )
    for key in ("seeds", "repeat_seeds"):
        seeds = getattr(config.confirm, key)
        if seeds < MIN_SEARCH_SEEDS:
            raise StudyFileError(
                f"search.repeats = {repeats}: each repeat needs {MIN_SEARCH_SEEDS} or more"
                f" confirmation seeds, but confirm.{key} = {seeds}"
            )


def check_resplit(config: StudyConfig) -> None:
    """Refuse to split anew what is not split at random: text, and data with a validation set.

    Raises:
        StudyFileError: The study does.
    """
    if config.confirm.resplit and config.data.task == "language":
        raise StudyFileError(
            "confirm.resplit = true: text is split by position and not at random, so every split is"
            " the same; remove the key"
        )
    if config.confirm.resplit and config.data.validation is not None:
        raise StudyFileError(
            "confirm.resplit = true: data.validation names the samples to validate on, so there is"
            " no split to draw anew; remove one of them"
        )


def _most_trials(config: StudyConfig) -> float:
    """The most trials that an arm's budget allows; infinite if that is not known beforehand."""
    budget, epochs = config.search.budget, config.training.epochs
    limits = [math.inf if budget.trials is None else float(budget.trials)]
    if budget.epochs is not None:
        may_end_early = PRUNERS[config.search.pruner].build is not None
        may_end_early |= config.training.early_stopping_patience is not None
        limits.append(budget.epochs // (1 if may_end_early else epochs))
    return min(limits)
