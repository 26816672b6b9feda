"""Shows the progress of a study in a notebook, below the cell that runs it."""

import io
import sys
from dataclasses import dataclass, field
from typing import Any, Self

from rich.console import Console

from bakeoff import terminal
from bakeoff.records import EpochResult, TrialPlan, TrialRecord
from bakeoff.session.progress import LiveProgress

SHORTEST_SECONDS = 0.5
"""Between two updates, each of which is a message to the browser."""
WIDTH = 100
CODE_FORMAT = "<pre style='line-height: 1.3'>{code}</pre>"


def in_notebook() -> bool:
    """Whether this program is the kernel of a notebook; IPython on a terminal is none."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and type(shell).__name__ == "ZMQInteractiveShell"


@dataclass(kw_only=True)
class NotebookProgress(LiveProgress):
    """Replaces one output of the cell by the present table; notes stay below it."""

    console: Console = field(
        default_factory=lambda: Console(
            record=True, file=io.StringIO(), width=WIDTH, force_jupyter=False
        )
    )
    notes: list[str] = field(default_factory=list)
    _handle: Any = None
    _shown_at: float = 0.0

    def __enter__(self) -> Self:
        from IPython.display import HTML, display

        self._handle = display(HTML(self.as_html()), display_id=True)  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *_: object) -> None:
        self.is_over = True
        self._show()

    def as_html(self) -> str:
        """The table, what is running and the notes; every text is escaped."""
        self.console.print(self.render())
        for text in self.notes:
            self.console.print(terminal.plain(text), markup=False, highlight=False)
        return self.console.export_html(inline_styles=True, code_format=CODE_FORMAT)

    def began(self, run: str, plan: TrialPlan, num_left: int) -> None:
        """See `bakeoff.driver.Observer`."""
        super().began(run, plan, num_left)
        self._show_soon()

    def epoch(self, run: str, plan: TrialPlan, result: EpochResult) -> None:
        """See `bakeoff.driver.Observer`."""
        super().epoch(run, plan, result)
        self._show_soon()

    def ended(self, run: str, plan: TrialPlan, record: TrialRecord, *, restored: bool) -> None:
        """See `bakeoff.driver.Observer`."""
        super().ended(run, plan, record, restored=restored)
        self._show_soon()

    def note(self, text: str) -> None:
        """See `bakeoff.driver.Observer`."""
        self.notes.append(text)
        self._show()

    def _show_soon(self) -> None:
        if self.clock() - self._shown_at >= SHORTEST_SECONDS:
            self._show()

    def _show(self) -> None:
        from IPython.display import HTML

        self._shown_at = self.clock()
        if self._handle is not None:
            self._handle.update(HTML(self.as_html()))  # type: ignore[no-untyped-call]
