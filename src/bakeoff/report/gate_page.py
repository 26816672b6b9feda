"""The report of a gate as Markdown, which a CI service shows next to a change."""

from bakeoff.analysis.gate import LEVEL_TEXT
from bakeoff.analysis.wording import metric_name, metric_phrase, number, plural, two_digits
from bakeoff.records import GateDecision, GateFinding, GateReport, GateRun
from bakeoff.records.significance import GATE_ALPHA
from bakeoff.report.markdown import escape, markdown_table
from bakeoff.report.table import Column, Table, count, text

TITLES: dict[GateDecision, str] = {
    "worse": "worse than the baseline",
    "not_worse": "not worse than the baseline",
    "cannot_tell": "cannot tell",
}
MOST_DIGITS = 12
"""Characters of a commit that are shown."""


def render_gate(report: GateReport) -> str:
    """The whole report."""
    parts = [
        f"# {escape(report.study)}: {TITLES[report.decision]}",
        escape(report.verdict),
        *([_notes(report, report.finding)] if report.finding is not None else []),
        _differing("Settings that differ from the baseline's", report.changed_settings),
        _differing("Code and machine that differ from the baseline's", report.changed_environment),
        markdown_table(_table(report)),
        escape(_protocol(report)),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def _notes(report: GateReport, finding: GateFinding) -> str:
    """What the seeds say besides the decision, as a list."""
    notes = []
    if report.num_equal:
        notes.append(
            f"{report.num_equal} of {plural(finding.num_pairs, 'seed')} measured the same bits as"
            " the baseline in every epoch."
        )
    if finding.sd > 0:
        notes.append(
            f"With these seeds a loss of {number(finding.margin + finding.detectable)} would be"
            " found with probability 0.8 (measured standard deviation of the difference:"
            f" {two_digits(finding.sd)})."
        )
    if finding.collapsed:
        places = ", ".join(str(report.runs[place].seed) for place in finding.collapsed)
        notes.append(
            f"Scores far below the others of the current code: seed {places}. Where scores"
            " collapse, nothing is called not worse."
        )
    return "\n".join(f"* {escape(note)}" for note in notes)


def _differing(title: str, changes: tuple[str, ...]) -> str:
    return "\n".join([f"{title}:", "", *(f"* {escape(one)}" for one in changes)]) if changes else ""


def _table(report: GateReport) -> Table:
    """A row for each seed: both scores and their difference."""

    def score(run: GateRun | None) -> float | None:
        return None if run is None else run.score

    def change(pair: tuple[GateRun, GateRun | None]) -> float | None:
        now, before = score(pair[1]), score(pair[0])
        return None if now is None or before is None else report.metric.sign * (now - before)

    def outcome(pair: tuple[GateRun, GateRun | None]) -> str:
        if pair[1] is None:
            return "not trained"
        is_equal = pair[1].digest == pair[0].digest
        return "same bits" if is_equal else pair[1].reason or pair[1].outcome

    name = f"validation {metric_name(report.metric)}"
    return Table(
        id="G1",
        slug="seeds",
        title="Scores by seed",
        columns=(
            count("seed", "seed", value=lambda pair: pair[0].seed),
            Column("baseline", f"{name}, baseline", value=lambda pair: pair[0].score),
            Column("current", f"{name}, current", value=lambda pair: score(pair[1])),
            Column("gain", "gain", value=change),
            text("outcome", "current run", value=outcome),
        ),
        records=report.pairs,
    )


def _protocol(report: GateReport) -> str:
    """What was compared, and what it holds for."""
    samples = f" of {report.num_validation:,} samples" if report.num_validation else ""
    data = (
        "The result holds for these validation samples, because seeds do not vary them."
        if report.num_validation
        else "The loop brings its data, which was not compared with the baseline's."
    )
    commits = (
        f" ({_short(report.baseline_commit)}; now {_short(report.commit)})"
        if report.baseline_commit or report.commit
        else ""
    )
    return (
        f"Baseline: {report.baseline}{commits}. Score: {metric_phrase(report.metric)} on the"
        f" validation set{samples}; the test set is not read. Accepted loss:"
        f" {number(report.margin)} ({report.margin_source}). Worse, and not worse, each mean"
        " that a one-sided exact sign-flip test over paired seeds and an end of the"
        f" {LEVEL_TEXT} interval say so, at an error rate of {GATE_ALPHA:g}. {data}"
    )


def _short(commit: str) -> str:
    head, space, rest = commit.partition(" ")
    return f"{head[:MOST_DIGITS]}{space}{rest}" if commit else "no commit"
