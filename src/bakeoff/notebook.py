"""Opens a stored study in a notebook: its verdict, tables and figures as Python objects.

>>> import bakeoff
>>> study = bakeoff.load_study("digits")
>>> study  # doctest: +ELLIPSIS
<digits: The configuration found for adam beats the one found for sgd on test accuracy ...>
>>> figure = study.figures["F1"]  # a plotly figure, which a notebook shows as one
>>> len(study.to_frame())  # every run, as a pandas data frame
14
"""

import html
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from bakeoff.analysis.comparison import compare
from bakeoff.errors import describe_unknown
from bakeoff.records import Comparison, StudyRecord
from bakeoff.report import ReportPaths, write_report
from bakeoff.report.answer import Answer, build_answer
from bakeoff.report.figures import figures_of
from bakeoff.report.figures.style import Figure, printable
from bakeoff.report.page import build_tables, glance_table
from bakeoff.report.study_tables import trials_table
from bakeoff.report.table import Table
from bakeoff.report.verdict_tables import LEVELS

if TYPE_CHECKING:
    import pandas as pd


class Figures(Mapping[str, Figure]):
    """The figures of a comparison by id, `F1` and so on; those without data are missing.

    A figure is drawn each time it is looked up.
    """

    def __init__(self, comparison: Comparison) -> None:
        self._comparison = comparison
        self._specs = {spec.id: spec for spec in figures_of(comparison)}

    def __getitem__(self, identity: str) -> Figure:
        """Draw the plotly figure called `identity`.

        Raises:
            KeyError: There is no such figure, or nothing to draw; the message says what is missing.
        """
        if identity not in self._specs:
            raise KeyError(describe_unknown("figure", identity, self._specs))
        spec = self._specs[identity]
        rows = spec.compute(self._comparison)
        if not rows:
            raise KeyError(f"{identity} is not drawn: {spec.needs}")
        drawn = spec.draw(rows, self._comparison)
        # a report shows the question above the figure
        drawn.update_layout(title={"text": spec.question, "x": 0}, margin_t=80)
        return drawn

    def __iter__(self) -> Iterator[str]:
        return iter(self._drawn)

    def __len__(self) -> int:
        return len(self._drawn)

    def __repr__(self) -> str:
        lines = (f"{identity}  {self._specs[identity].question}" for identity in self._drawn)
        return "\n".join(lines) or "no figures: there is nothing to draw yet"

    @cached_property
    def _drawn(self) -> list[str]:
        return [key for key, spec in self._specs.items() if spec.compute(self._comparison)]


class LoadedStudy:
    """A stored study and its results; a notebook shows its verdict."""

    def __init__(self, record: StudyRecord) -> None:
        self.record = record

    @cached_property
    def comparison(self) -> Comparison:
        """Return the computed results: verdict, arms, pairs, flags, estimates."""
        return compare(self.record)

    @cached_property
    def answer(self) -> Answer:
        """Return what to use, how sure that is and at what cost; it prints itself as text."""
        return build_answer(self.comparison)

    @cached_property
    def figures(self) -> Figures:
        """Return the report's figures by id, as plotly figures."""
        return Figures(self.comparison)

    @cached_property
    def tables(self) -> "dict[str, pd.DataFrame]":
        """Return the report's tables by id, `T1` and so on, in full precision."""
        return {table.id: _frame(table) for table in build_tables(self.comparison)}

    def to_frame(self) -> "pd.DataFrame":
        """Return every run as a row: search trials, then shortlist and confirmation runs."""
        return _frame(trials_table(self.record))

    def write_report(self, directory: str | Path) -> ReportPaths:
        """Write the whole report into `directory`."""
        return write_report(self.comparison, Path(directory))

    def __repr__(self) -> str:
        return f"<{self.record.name}: {printable(self.comparison.verdict.headline)}>"

    def _repr_html_(self) -> str:
        """Show headline, level and arms; every text is escaped."""
        verdict, level = self.comparison.verdict, self.comparison.level
        sentences = "".join(f"<li>{_text(one)}</li>" for one in verdict.sentences)
        return (
            f"<h3>{_text(verdict.headline)}</h3><p><strong>{level}</strong> {LEVELS[level]}.</p>"
            f"{_html_table(glance_table(self.comparison))}<ul>{sentences}</ul>"
        )


def load_study(
    name: str, *, storage: str | None = None, output: str | Path = "results"
) -> LoadedStudy:
    """Load the study called `name` in its present state.

    Args:
        name: The study's name.
        storage: Storage URL; None means `sqlite:///<output>/studies.db`.
        output: Folder of the default storage.

    Raises:
        UsageError: There is no such study.
        StorageError: The storage cannot be read.
    """
    from bakeoff.storage import Storage
    from bakeoff.storage.database import choose_storage_url

    return LoadedStudy(Storage(choose_storage_url(storage, Path(output))).load_record(name))


def load_optuna_study(
    storage: str,
    study: str | None = None,
    *,
    arm: str | tuple[str, ...],
    metric_name: str | None = None,
    epochs: int | None = None,
    sampler: str | None = None,
    delta: float | None = None,
) -> LoadedStudy:
    """Load a study that another program made with Optuna, without changing it.

    The arguments are the flags of `study report --storage URL --study NAME --arm PARAM`.

    Raises:
        UsageError: There is no such study, parameter or metric.
        StorageError: The storage cannot be read.
    """
    from bakeoff.foreign import ForeignStudy, load_foreign_study

    wanted = ForeignStudy(
        location=storage, name=study, arms=(arm,) if isinstance(arm, str) else tuple(arm),
        metric_name=metric_name, epochs=epochs, sampler=sampler, delta=delta,
    )  # fmt: skip
    return LoadedStudy(load_foreign_study(wanted))


def _frame(table: Table) -> "pd.DataFrame":
    import pandas as pd

    names, rows = table.stored()
    return pd.DataFrame(rows, columns=names)


def _html_table(table: Table) -> str:
    head = "".join(f"<th>{_text(column.heading)}</th>" for column in table.columns)
    rows = ("".join(f"<td>{_text(cell.text)}</td>" for cell in row) for row in table.rows)
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _text(text: str) -> str:
    return html.escape(printable(text))
