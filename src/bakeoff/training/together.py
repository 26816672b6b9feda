"""A run that several ranks train: what the others do, and the first step before a study begins."""

from dataclasses import replace

from bakeoff.records import TrialConfig
from bakeoff.training.averaging import find_batch_norms
from bakeoff.training.loop import epoch_steps, train
from bakeoff.training.own_loop import Answer, OwnTraining
from bakeoff.training.rank_checkpoints import RankCheckpoints
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

    A loop of the user's own runs its first epoch.

    Raises:
        DataError: As `bakeoff.training.state.prepare`.
        UsageError: As there; or the model cannot be trained by several processes.
        BakeoffError: The ranks have other weights after it.
        Exception: Whatever a loop of the user's own raises.
    """
    device = str(ranks.device)
    if config.training.loop is not None:
        short = replace(config, training=replace(config.training, epochs=1))
        training = OwnTraining(short, device, wants_test=False, ranks=ranks)
        training.train(None, lambda _: "continue")
        return f"{ranks.size}, each of which runs the loop"
    state = prepare(config, device, ranks)
    next(epoch_steps(state, EpochTotals()))
    ranks.check_equal(state.model, epoch=1)
    return describe_ranks(state)


def follow_run(config: TrialConfig, ranks: Ranks, *, wants_test: bool) -> None:
    """Train as one of the other ranks until rank 0 ends the run, which alone has its results.

    Args:
        config: The run.
        ranks: The processes that train it.
        wants_test: Whether a loop of the user's own is tested.

    Raises:
        Exception: Whatever preparing and training raise.
    """
    checkpoints, device = RankCheckpoints(None, ranks), str(ranks.device)
    if config.training.loop is not None:
        training = OwnTraining(config, device, wants_test=wants_test, ranks=ranks)
        training.train(checkpoints, lambda _: ranks.share("continue"))
        return
    state = prepare(config, device, ranks)
    for _ in train(state, checkpoints):
        reply: Answer = ranks.share("continue")
        if reply == "pause":
            checkpoints.save(state)
        if reply != "continue":
            return


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
