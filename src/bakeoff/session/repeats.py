"""Drives a study repeat by repeat: search, shortlist, confirmation, and then the next repeat.

The first repeat is a study of its own, so a first answer comes early. A kill or a restart at any
point continues: every repeat is driven again, and what is stored of it is restored.
"""

import time

from bakeoff.components.pruners import PRUNERS
from bakeoff.driver import Driver, Observer, Ordered, Source
from bakeoff.records import StudyConfig
from bakeoff.search.arms import Search
from bakeoff.search.confirm import Confirmation
from bakeoff.search.deadline import SAFETY, Deadline
from bakeoff.session.looks import is_decided
from bakeoff.session.stacking import choose_lag
from bakeoff.space import build_arms
from bakeoff.storage import Storage, StudyFacts


def confirmation_epochs(config: StudyConfig, repeat: int) -> int:
    """The epochs of all runs of a repeat's confirmation, if none ends early; 0 without one."""
    confirm, arms = config.confirm, len(build_arms(config))
    if not confirm.seeds:
        return 0
    per_seed = 2 if config.search.defaults else 1
    runs = per_seed * confirm.seeds_of(repeat) + confirm.shortlist * confirm.shortlist_seeds
    return arms * runs * config.training.epochs


class StudyRun:
    """All repeats of one study, driven by one driver.

    Args:
        config: The study as it is stored.
        facts: What was measured when it began.
        storage: Where it is stored.
        driver: Trains its runs.
        observer: Is shown which repeat begins.
        deadline: When it must end; None if it has no time limit.
        workers: Number of runs that the engine trains at once, or of its stacks.
    """

    def __init__(
        self,
        config: StudyConfig,
        facts: StudyFacts,
        storage: Storage,
        driver: Driver,
        observer: Observer,
        deadline: Deadline | None = None,
        workers: int = 1,
    ) -> None:
        self._config = config
        self._facts = facts
        self._storage = storage
        self._driver = driver
        self._observer = observer
        self._deadline = deadline
        self._lag = choose_lag(config, facts.search_arithmetic, workers)
        self._arms = build_arms(config)
        self._longest = 0.0
        """Seconds of the longest repeat that this session ran from its beginning to its end."""

    def run_repeats(self) -> int:
        """Run what is missing of every repeat; return the number of runs that were trained."""
        num_trained = 0
        for repeat in range(self._config.search.repeats):
            has_begun = bool(self._storage.load_runs(self._config.name, "search", repeat))
            if not has_begun and not self._may_begin(repeat):
                break
            if self._config.search.repeats > 1:
                self._observer.note(f"repeat {repeat + 1} of {self._config.search.repeats}")
            started = time.monotonic()
            num_trained += self._search(repeat)
            num_trained += self._confirm(repeat)
            if not has_begun:
                self._longest = max(self._longest, time.monotonic() - started)
        return num_trained

    def _may_begin(self, repeat: int) -> bool:
        """Whether a repeat may begin: the first one always, later ones while there is time."""
        name, repeats = self._config.name, self._config.search.repeats
        if repeat == 0:
            return True
        if self._deadline is not None and not self._deadline.allows(SAFETY * self._longest):
            self._storage.end_search(name)
            text = f"the timeout left no time for repeat {repeat + 1} of {repeats}"
            if self._storage.note(name, text):
                self._observer.note(text)
        return not self._storage.has_search_ended(name)

    def _search(self, repeat: int) -> int:
        config, name = self._config, self._config.name
        if self._deadline is not None:
            self._deadline.confirmation_epochs = confirmation_epochs(config, repeat)
        search = Search(
            config,
            self._arms,
            self._facts.metric.direction,
            self._deadline,
            # Warm starts are chosen by earlier results, so later repeats would share their luck.
            self._storage.warm_starts(name) if repeat == 0 else None,
            repeat,
            looks_back=self._lag is not None,
        )
        if self._storage.has_search_ended(name):
            search.close()
        num_trained = self._driver.drive(self._in_order(search, repeat), "search", repeat)
        if search.is_closed:
            self._storage.end_search(name)
        return num_trained

    def _in_order(self, search: Search, repeat: int) -> Source:
        """The search, or one that receives results in the order of scheduling."""
        if self._lag is None:
            return search
        return Ordered(
            search,
            lag=self._lag,
            pauses=PRUNERS[self._config.search.pruner].pauses,
            num_settled=self._storage.num_settled(self._config.name, repeat),
        )

    def _confirm(self, repeat: int) -> int:
        """Confirm what a repeat found, up to the first look at which every pair is decided."""
        if not self._config.confirm.seeds:
            return 0
        num_trained = 0
        trials = [record for _, record in self._storage.load_runs(self._config.name, "search")]
        looks = self._config.confirm.looks_of(repeat)
        for num_seeds in looks:
            confirmation = Confirmation(
                self._config,
                self._arms,
                trials,
                self._facts.metric,
                repeat=repeat,
                num_seeds=num_seeds,
            )
            num_trained += self._driver.drive(confirmation, "confirm", repeat)
            is_last = num_seeds == looks[-1] or confirmation.has_begun_beyond()
            if not is_last and is_decided(self._storage.load_record(self._config.name)):
                self._note_end(num_seeds, looks)
                break
        return num_trained

    def _note_end(self, num_seeds: int, looks: tuple[int, ...]) -> None:
        text = (
            f"the confirmation ended at the look at {num_seeds} seeds, because it decides every"
            f" pair; looks were declared at {', '.join(map(str, looks))}"
        )
        if self._storage.note(self._config.name, text):
            self._observer.note(text)
