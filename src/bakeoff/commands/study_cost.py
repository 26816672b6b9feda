"""How many runs a study has, and the hours that they take, from times that were measured."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from bakeoff.records import StudyConfig
from bakeoff.records.durations import HOUR

if TYPE_CHECKING:
    from bakeoff.session.timing import StudyTimes


@dataclass(frozen=True, kw_only=True)
class Runs:
    """The runs of a study."""

    trials: int
    defaults: int
    shortlist: int
    confirmation: int
    confirmed_defaults: int
    """Those of the `defaults` that belong to the confirmation, and not to the search."""

    @property
    def confirmed(self) -> int:
        """Runs that are trained for the confirmation."""
        return self.confirmed_defaults + self.shortlist + self.confirmation

    @property
    def others(self) -> int:
        """Runs besides the trials of the search; all of them train to their end."""
        return self.defaults + self.shortlist + self.confirmation

    @property
    def total(self) -> int:
        """All runs."""
        return self.trials + self.others


class Cost(NamedTuple):
    """What a study of some number of repeats costs."""

    runs: Runs
    epochs: int
    hours: float


def cost_of(
    config: StudyConfig,
    times: "StudyTimes",
    workers: int,
    num_arms: int,
    trials: int,
    repeats: int,
    search_epochs: int,
    resumed: int,
) -> Cost:
    """The cost of `repeats` searches of all arms with their confirmations.

    Args:
        config: The study.
        times: Seconds of its parts.
        workers: Runs that train at the same time.
        num_arms: Arms of the study.
        trials: Trials of all arms in one search.
        repeats: Searches of every arm.
        search_epochs: Epochs of all trials in one search.
        resumed: How often a paused trial of one search is set up again.
    """
    runs = count_runs(config, num_arms, trials, repeats)
    epochs = repeats * search_epochs + runs.others * config.training.epochs
    seconds = times.seconds(
        epochs=epochs,
        runs=runs.total,
        resumed=repeats * resumed,
        workers=workers,
        confirmed=(runs.confirmed * config.training.epochs, runs.confirmed),
    )
    return Cost(runs, epochs, seconds / HOUR)


def count_runs(config: StudyConfig, num_arms: int, trials: int, repeats: int) -> Runs:
    """The runs of a study with so many repeats, each with so many trials of all arms.

    Every look that the study declared is taken.
    """
    confirm = config.confirm
    seeds = sum(map(confirm.seeds_of, range(repeats)))
    shortlist = confirm.shortlist * confirm.shortlist_seeds if confirm.seeds else 0
    return Runs(
        trials=repeats * trials,
        defaults=num_arms * (1 + seeds) if config.search.defaults else 0,
        shortlist=repeats * num_arms * shortlist,
        confirmation=num_arms * seeds,
        confirmed_defaults=num_arms * seeds if config.search.defaults else 0,
    )
