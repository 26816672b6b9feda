"""Runs a training loop of the user's own: to its end, for its first epoch, or until it has built.

A generator yields the metrics of each epoch; any other function calls `run.report`. Both run in the
worker's main thread, and `Run.report` hands every epoch over before the loop continues.
"""

from collections.abc import Callable, Iterator
from inspect import signature
from typing import Any, Literal

import torch

from bakeoff.errors import UsageError, describe_error
from bakeoff.files import temporary_folder
from bakeoff.records import EpochResult, Outcome, TrialConfig
from bakeoff.registry import resolve, users_code
from bakeoff.training.loop_state import LoopState
from bakeoff.training.memory import keep_freed_memory
from bakeoff.training.own_run import Run
from bakeoff.training.rank_checkpoints import Saving
from bakeoff.training.ranks import ALONE, Ranks
from bakeoff.training.run_parts import RunEnded, TestScores
from bakeoff.training.state import seed_everything

Answer = Literal["continue", "stop", "pause", "suspend"]
EXPECTED = "a generator that yields metrics, or a function that calls run.report(metrics)"


class OwnTraining:
    """One run of a loop of the user's own.

    Args:
        config: The run.
        device: Where it trains.
        wants_test: Whether it reads the test set at its end.
        ranks: The processes that train it together, each of which runs the loop.
    """

    def __init__(
        self, config: TrialConfig, device: str, *, wants_test: bool, ranks: Ranks = ALONE
    ) -> None:
        keep_freed_memory()
        place = torch.device(device) if ranks.is_alone else ranks.device
        self.state = LoopState(config, place, keeps_best=wants_test, ranks=ranks)
        self.test_metrics: dict[str, float] = {}
        self.reads_optimizer = False
        """See `RunSettings`; known once the loop has ended."""
        self._wants_test = wants_test
        self._checkpoints: Saving | None = None
        self._send: Callable[[EpochResult], Answer] = lambda _: "continue"
        self._ended: Answer | None = None
        """Why the run ended before its loop did."""
        self._where = f"training.loop = {config.training.loop!r}"

    @property
    def outcome(self) -> Outcome:
        """How it ended, once `train` has returned `continue`."""
        history = self.state.history
        return "diverged" if history and history[-1].status == "diverged" else "complete"

    def train(self, checkpoints: Saving | None, send: Callable[[EpochResult], Answer]) -> Answer:
        """Run the loop from the checkpoint to its end, or until `send` answers otherwise.

        An epoch is saved before it is sent, as by the built-in loop.

        Args:
            checkpoints: Where the run is saved; None saves nothing.
            send: Is given every epoch, those of the checkpoint included.

        Returns:
            `continue` if the run is over, otherwise why it ended: `stop`, or `pause` with its state
            saved.

        Raises:
            UsageError: The loop is called wrongly, ends too early, or continues too long.
            CheckpointError: The checkpoint does not fit, or cannot be written.
            Exception: Whatever the loop raises.
        """
        self._checkpoints, self._send = checkpoints, send
        answer = self._resume()
        if answer is not None:
            return answer
        self._run(self._hand_over)
        if self._ended is None:
            self._check_complete()
        return self._ended or "continue"

    def _resume(self) -> Answer | None:
        """Send the epochs of the checkpoint; return why the run ends with them, or None."""
        payload = None if self._checkpoints is None else self._checkpoints.load()
        if payload is not None:
            self.state.resume(payload)
        for result in self.state.history:
            answer = self._send(result)
            if answer != "continue":
                return "pause" if answer == "suspend" else answer
        has_ended = self.state.is_over and not (self._wants_test and self.outcome == "complete")
        return "continue" if has_ended else None

    def _hand_over(self, result: EpochResult) -> None:
        """Save an epoch if that is due, and send it; raise `RunEnded` if the run ends with it."""
        state, checkpoints = self.state, self._checkpoints
        if checkpoints is not None and checkpoints.is_due(state.seconds_since_save):
            checkpoints.save(state)
        answer = self._send(result)
        is_suspended = checkpoints is not None and checkpoints.is_suspended and not state.is_over
        if answer == "suspend" or (answer == "continue" and is_suspended):
            answer = "pause"
        if answer == "pause" and checkpoints is not None:
            checkpoints.save(state)
        if answer != "continue" or result.status == "diverged":
            self._ended = answer
            raise RunEnded

    def build(self) -> None:
        """Run the loop only until its first epoch, to see that it goes with its optimizer.

        Raises:
            UsageError: They do not.
            Exception: Whatever the loop raises.
        """

        def end(*_: object) -> None:
            raise RunEnded

        self._run(end, on_built=end)

    def _run(
        self,
        hand_over: Callable[[EpochResult], None],
        on_built: Callable[[], None] | None = None,
    ) -> None:
        """Call the loop; it ends by itself, or by `RunEnded`, which a loop might also catch."""
        loop = self._find_loop()
        seed_everything(self.state.config.seed, "loop")
        with temporary_folder("loop") as folder:
            run = Run(
                self.state,
                folder=folder,
                wants_test=self._wants_test,
                hand_over=hand_over,
                on_built=on_built,
            )
            try:
                with users_code():
                    self._follow(run, loop(run))
            except RunEnded:
                pass
            except UsageError as error:
                raise UsageError(f"{self._where}: {error}") from error
            except SystemExit as error:
                raise UsageError(f"{self._where}: {describe_error(error)}") from error
            self.test_metrics = run.test_metrics
            self.reads_optimizer = run.reads_optimizer

    def _follow(self, run: Run, returned: object) -> None:
        """Report what a generator yields; what any other function returns must be nothing."""
        if isinstance(returned, Iterator):
            try:
                for given in returned:
                    if not isinstance(given, TestScores):
                        run.report(given)
            finally:
                close = getattr(returned, "close", None)
                if close is not None:
                    close()
        elif returned is not None:
            raise UsageError(f"expected {EXPECTED}, found one that returned {returned!r:.80}")

    def _find_loop(self) -> Callable[[Run], Any]:
        loop = resolve(str(self.state.config.training.loop))
        if not callable(loop):
            raise UsageError(f"{self._where}: expected {EXPECTED}, found {type(loop).__name__}")
        try:
            parameters = signature(loop)
        except (TypeError, ValueError):  # some callables do not say
            return loop
        try:
            parameters.bind(None)
        except TypeError:
            name = getattr(loop, "__name__", type(loop).__name__)
            raise UsageError(
                f"{self._where}: expected a loop that is called as {name}(run), found"
                f" {name}{parameters}"
            ) from None
        return loop

    def _check_complete(self) -> None:
        state, planned = self.state, self.state.config.training.epochs
        if not state.is_over:
            raise UsageError(
                f"{self._where}: expected metrics of {planned} epochs (run.num_epochs), found"
                f" {state.epoch} when it ended"
            )
        if self._wants_test and not self.test_metrics and self.outcome == "complete":
            raise UsageError(
                f"{self._where}: expected run.test(metrics) after the last epoch, where"
                " run.wants_test, found none; what the confirmation compares are test metrics"
            )
        if state.config.score_rule == "best_epoch" and self._wants_test and not state.scored:
            raise UsageError(
                f"{self._where}: expected the model by run.epochs(model=...) or run.track, because"
                " the best epoch is tested, found nothing tracked; or set"
                ' study.score = "last_epoch"'
            )
