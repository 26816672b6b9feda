"""The ledger: what each arm may spend, what it was dealt, what it has been charged.

Epochs are charged as they are told, and those that a trial may still train before it is asked again
are reserved beforehand. So a budget in epochs is never exceeded, however many workers train. An
arm draws while a whole run still fits beside what it owes, so what it leaves is less than one.

Seconds are known only afterwards. They are reserved as epochs at the arm's pace so far, and a trial
of an arm that has spent its seconds stops after its epoch.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from bakeoff.records import Budget, EpochResult, TrialRecord


@dataclass(frozen=True, kw_only=True)
class Charges:
    """What an arm has been charged so far: every trial, whatever became of it."""

    trials: int = 0
    """Those that have ended."""
    epochs: int = 0
    """Of all its trials, those under way included, as are the seconds."""
    seconds: float = 0.0


@dataclass
class _Account:
    """A trial under way, or paused."""

    arm: str
    reserved_to: int
    """It trains to this epoch without being asked again."""
    epoch: int = 0
    seconds: dict[int, float] = field(default_factory=dict)
    """By epoch."""

    @property
    def reserved(self) -> int:
        return max(0, self.reserved_to - self.epoch)


@dataclass
class _Page:
    """Sums of an arm."""

    dealt: int = 0
    ended: int = 0
    epochs: int = 0
    seconds: float = 0.0
    reserved: int = 0

    @property
    def pace(self) -> float:
        """Seconds per epoch so far; 0 before any."""
        return self.seconds / self.epochs if self.epochs else 0.0


class Ledger:
    """The budget of every arm, and what has been charged against it."""

    def __init__(self, arms: Sequence[str], budget: Budget, run_epochs: int) -> None:
        """A ledger in which nothing has been charged.

        Args:
            arms: Their names, in the order in which ties are broken.
            budget: Of every arm.
            run_epochs: Of a whole run.
        """
        self.budget = budget
        self._run_epochs = run_epochs
        self._pages = {arm: _Page() for arm in arms}
        self._accounts: dict[int, _Account] = {}
        self.is_closed = False
        """Whether nothing more is drawn, although budget is left."""

    @property
    def charges(self) -> dict[str, Charges]:
        """What each arm has been charged."""
        return {
            arm: Charges(trials=page.ended, epochs=page.epochs, seconds=page.seconds)
            for arm, page in self._pages.items()
        }

    @property
    def dealt(self) -> dict[str, int]:
        """Trials handed out to each arm, running ones included."""
        return {arm: page.dealt for arm, page in self._pages.items()}

    # ------------------------------------------------------------ whose turn it is

    def in_turn(self) -> list[str]:
        """Arms by largest deficit, in the unit that each has least of; first in order on ties."""
        return sorted(self._pages, key=lambda arm: (self._spent_share(arm), self.dealt_to(arm)))

    def dealt_to(self, arm: str) -> int:
        """Trials handed out to the arm."""
        return self._pages[arm].dealt

    def _spent_share(self, arm: str) -> float:
        """The part of its budget that is spent or reserved, in the unit that will run out first."""
        page, budget, shares = self._pages[arm], self.budget, [0.0]
        if budget.trials is not None:
            shares.append(page.dealt / budget.trials)
        if budget.epochs is not None:
            shares.append((page.epochs + page.reserved) / budget.epochs)
        if budget.seconds is not None:
            shares.append((page.seconds + page.reserved * page.pace) / budget.seconds)
        return max(shares)

    def draws(self, arm: str, owed: float) -> bool:
        """Whether the arm may begin another trial, and train it to its end.

        Args:
            arm: Its name.
            owed: Epochs that its trials under way will probably still take.
        """
        page = self._pages[arm]
        if self.is_closed:
            return False
        if self.budget.trials is not None and page.dealt >= self.budget.trials:
            return False
        return self._fits(page, max(owed, page.reserved) + self._run_epochs)

    def affords(self, number: int, until: int) -> bool:
        """Whether trial `number` may train on to epoch `until`."""
        account = self._accounts[number]
        page = self._pages[account.arm]
        return self._fits(page, page.reserved + until - account.epoch)

    def _fits(self, page: _Page, epochs: float) -> bool:
        budget = self.budget
        if budget.epochs is not None and page.epochs + epochs > budget.epochs:
            return False
        return budget.seconds is None or page.seconds + epochs * page.pace <= budget.seconds

    def is_spent(self, arm: str) -> bool:
        """Whether the arm's trials must stop here: it has spent its seconds."""
        return self.budget.seconds is not None and self._pages[arm].seconds >= self.budget.seconds

    def num_left(self, arm: str) -> int:
        """Trials the arm will still be dealt; an estimate where the budget is not in trials."""
        page, budget, counts = self._pages[arm], self.budget, []
        if self.is_closed:
            return 0
        if budget.trials is not None:
            counts.append(float(budget.trials - page.dealt))
        used = page.epochs + page.reserved
        per_trial = used / page.dealt if page.dealt else float(self._run_epochs)
        if budget.epochs is not None:
            counts.append((budget.epochs - used) / per_trial)
        if budget.seconds is not None and page.pace:
            counts.append((budget.seconds / page.pace - used) / per_trial)
        return max(0, math.floor(min(counts, default=1.0)))

    # ------------------------------------------------------------ booking

    def deal(self, arm: str) -> None:
        """A trial is handed out to the arm."""
        self._pages[arm].dealt += 1

    def begin(self, number: int, arm: str, until: int) -> None:
        """Trial `number` of the arm trains to epoch `until` before it is asked again."""
        self._accounts[number] = _Account(arm, until)
        self._pages[arm].reserved += until

    def charge(self, number: int, result: EpochResult) -> None:
        """Charge an epoch; one that is told again after a resumption only corrects its seconds."""
        account = self._accounts[number]
        page, seconds = self._pages[account.arm], result.train_seconds + result.evaluate_seconds
        page.seconds += seconds - account.seconds.get(result.epoch, 0.0)
        account.seconds[result.epoch] = seconds
        if result.epoch > account.epoch:
            before = account.reserved
            page.epochs += result.epoch - account.epoch
            account.epoch = result.epoch
            page.reserved += account.reserved - before

    def epoch_of(self, number: int) -> int:
        """The last epoch that trial `number`, which has not ended, was charged."""
        return self._accounts[number].epoch

    def reserve(self, number: int, until: int) -> None:
        """Trial `number` may train on to epoch `until`, or (its present epoch) waits."""
        account = self._accounts[number]
        before = account.reserved
        account.reserved_to = until
        self._pages[account.arm].reserved += account.reserved - before

    def release(self, number: int) -> None:
        """Trial `number` trains no further for now."""
        self.reserve(number, self._accounts[number].epoch)

    def end(self, record: TrialRecord) -> None:
        """Book a trial that has ended, with what its record says."""
        self.release(record.number)
        account = self._accounts.pop(record.number)
        page = self._pages[account.arm]
        page.ended += 1
        page.epochs += record.epochs_run - account.epoch
        seconds = record.train_seconds + record.evaluate_seconds
        page.seconds += seconds - sum(account.seconds.values())
