"""How far a run is, and how each of its epochs leaves it, whichever loop trains it."""

from bakeoff.components.metrics import scored_epoch
from bakeoff.records import EpochResult, EpochStatus, MetricInfo, TrialConfig


class Progress:
    """The completed epochs of a run, with the rules by which one of them is its last."""

    config: TrialConfig
    history: list[EpochResult]
    epochs_without_improvement: int

    @property
    def objective(self) -> MetricInfo:
        """The metric that decides the run's score."""
        raise NotImplementedError

    @property
    def epoch(self) -> int:
        """Completed epochs."""
        return self.history[-1].epoch if self.history else 0

    @property
    def is_over(self) -> bool:
        """Whether the last epoch ended the run."""
        return bool(self.history) and self.history[-1].status != "running"

    def count_improvement(self, result: EpochResult) -> bool:
        """Whether `result` is better than every epoch before; count the epochs since it was so."""
        before = scored_epoch(self.history, self.objective, "best_epoch")
        best = scored_epoch([*self.history, result], self.objective, "best_epoch")
        is_best = best is not before
        self.epochs_without_improvement = 0 if is_best else self.epochs_without_improvement + 1
        return is_best

    def status_after(self, result: EpochResult, *, has_diverged: bool) -> EpochStatus:
        """How `result`, which was counted, leaves the run: `running` unless it is the last one."""
        training = self.config.training
        if has_diverged:
            return "diverged"
        if result.epoch >= training.epochs:
            return "finished"
        patience = training.early_stopping_patience
        if patience is not None and self.epochs_without_improvement >= patience:
            return "early_stopped"
        return "running"
