"""The first step of a run that several ranks train, and what is said about it before a study."""

from dataclasses import replace

from bakeoff.records import TrialConfig
from bakeoff.training.averaging import find_batch_norms
from bakeoff.training.loop import epoch_steps
from bakeoff.training.ranks import Ranks
from bakeoff.training.state import TrainingState, prepare
from bakeoff.training.totals import EpochTotals


def of_one_rank(config: TrialConfig) -> TrialConfig:
    """The run as one rank alone sees it: with its part of each batch."""
    training = config.training
    size = training.batch_size // training.devices_per_trial
    return replace(config, training=replace(training, batch_size=size, devices_per_trial=1))


def try_step(config: TrialConfig, ranks: Ranks) -> str:
    """Make the first step of a run together, and say how it is trained.

    Raises:
        DataError: As `bakeoff.training.state.prepare`.
        UsageError: As there; or the model cannot be trained by several processes.
        BakeoffError: The ranks have other weights after it.
    """
    state = prepare(config, str(ranks.device), ranks)
    next(epoch_steps(state, EpochTotals()))
    ranks.check_equal(state.model, epoch=1)
    return describe_ranks(state)


def describe_ranks(state: TrainingState) -> str:
    """How several ranks train this run, as a line for the report."""
    size, batch_size = state.ranks.size, state.config.training.batch_size
    shares = f"{size}, each with {batch_size // size} of the {batch_size} samples of a batch"
    if batch_size % size:
        shares = f"{size}, each with {batch_size // size} or 1 more of the {batch_size} samples"
    if not find_batch_norms(state.model):
        return shares
    if state.device.type == "cuda":
        return f"{shares}; batch normalisation sees the whole batch"
    return (
        f"{shares}; batch normalisation sees each part alone, and the statistics of the first one"
        " are kept"
    )
