"""Writes the report of a stored study, and prints what the study found."""

import math
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import typer

from bakeoff.analysis.comparison import compare
from bakeoff.analysis.pareto_fronts import objective_sentences
from bakeoff.analysis.wording import join, number, plural
from bakeoff.commands.output import print_table, print_text
from bakeoff.commands.stored_studies import open_storage
from bakeoff.errors import one_line
from bakeoff.records import ArmSummary, Comparison, ConfirmedScores
from bakeoff.records.durations import format_estimate
from bakeoff.records.significance import CONFIDENCE_TEXT
from bakeoff.report import ReportPaths, write_report
from bakeoff.report.answer import DEFAULTS_SUFFIX, Answer, Recommendation, build_answer

MOST_SHOWN = 6
"""Configurations whose settings are printed; the report has all of them."""
MOST_LIMITS = 4
"""Sentences that are printed on what limits the headline; the report has all of them."""


def report_study(
    name: str, *, output: Path, storage: str | None, image_formats: Sequence[str] = ()
) -> Comparison:
    """Write a stored study's report; print the answer and where the report is.

    Raises:
        BakeoffError: The storage cannot be read or has no such study, or images are requested and
            cannot be drawn.
    """
    comparison = compare(open_storage(storage, output).load_record(name))
    paths = write_report(comparison, output / name, image_formats=image_formats)
    print_comparison(comparison)
    for sentence in objective_sentences(comparison.study):
        typer.echo()
        print_text(sentence)
    print_diagnoses(comparison)
    print_report(paths)
    return comparison


def print_comparison(comparison: Comparison) -> None:
    """Print the headline, what limits it, the settings to use, and a table of the arms."""
    answer = build_answer(comparison)
    typer.echo()
    print_text(one_line(answer.headline))
    limits = [one for one in (*answer.weakened_by, answer.next_step) if one]
    for sentence in limits[:MOST_LIMITS]:
        print_text(f"- {one_line(sentence)}", indent="  ")
    if len(limits) > MOST_LIMITS:
        typer.echo(f"- {len(limits) - MOST_LIMITS} more in the report")
    _print_settings(answer)
    typer.echo()
    _print_arms(comparison, answer)


def _print_settings(answer: Answer) -> None:
    """Print a line of settings for each arm to use, and for defaults that are as good."""
    shown = (*answer.leading, *answer.good_defaults)
    if not shown:
        return
    typer.echo("\nwhat to use:" if answer.has_leader else "\nwhat the search found:")
    for one in shown[:MOST_SHOWN]:
        print_text(f"  {one_line(one.name)}: {one_line(one.own_settings)}", indent="    ")
    if len(shown) > MOST_SHOWN:
        typer.echo(f"  {len(shown) - MOST_SHOWN} more in the report")


def _print_arms(comparison: Comparison, answer: Answer) -> None:
    """Print a row for each arm, then one for each of the library defaults that were confirmed."""
    metric = comparison.study.objective.name
    seconds = {(one.arm, one.is_default): one.run_seconds for one in _all(answer)}
    is_confirmed = any(arm.confirmed for arm in comparison.arms)
    headings = ["arm", "trials", f"best {metric} in search"]
    if is_confirmed:
        headings += ["seeds", f"test {metric}", f"{CONFIDENCE_TEXT} interval", "one run"]
    rows: list[list[object]] = []
    for arm in comparison.arms:
        row: list[object] = [one_line(arm.arm), arm.num_trials, arm.search_best]
        rows.append(row + _confirmed_cells(arm.confirmed, seconds.get((arm.arm, False))))
    for arm in comparison.arms:
        if arm.default_confirmed:
            row = [one_line(arm.arm) + DEFAULTS_SUFFIX, None, arm.default_score]
            rows.append(row + _confirmed_cells(arm.default_confirmed, seconds.get((arm.arm, True))))
    print_table(headings, [row[: len(headings)] for row in rows])
    _print_searches(comparison)


def _all(answer: Answer) -> tuple[Recommendation, ...]:
    return (*answer.leading, *answer.others, *answer.defaults)


def _confirmed_cells(scores: ConfirmedScores | None, run_seconds: float | None) -> list[object]:
    if scores is None:
        return [None, None, "", ""]
    cost = "" if run_seconds is None else format_estimate(run_seconds)
    return [len(scores.seeds), scores.test_mean, _interval(scores.test_ci), cost]


def _print_searches(comparison: Comparison) -> None:
    """Print what repeated searches of each arm found on average, where they are compared."""
    searched = [arm for arm in comparison.arms if arm.over_searches]
    if comparison.level == "L2" and searched:
        found = "; ".join(map(_over_searches, searched))
        print_text(f"over {comparison.repeats_counted} searches of each arm: {found}", indent="  ")


def _over_searches(arm: ArmSummary) -> str:
    found = arm.over_searches
    if found is None:
        return ""
    half = (found.ci[1] - found.ci[0]) / 2
    return f"{one_line(arm.arm)} {number(found.mean, half)} ({_interval(found.ci)})"


def print_diagnoses(comparison: Comparison) -> None:
    """Name the flags and hints of the report, each kind once, so that nobody misses them."""
    flags = sorted({(flag.id, flag.title) for flag in comparison.flags})
    if flags:
        listed = "; ".join(f"{one_line(title)} ({identity})" for identity, title in flags)
        typer.echo()
        print_text(f"{plural(len(flags), 'kind')} of flag: {listed}", indent="  ")
    found = sorted((one.kind.replace("_", " "), one_line(one.arm)) for one in comparison.diagnoses)
    if found:
        kinds = [
            f"{kind} ({join([arm for _, arm in group])})"
            for kind, group in groupby(found, key=lambda one: one[0])
        ]
        print_text(f"what the curves suggest: {'; '.join(kinds)}", indent="  ")


def print_report(paths: ReportPaths) -> None:
    """Print where the report is, and where the code of its configurations is."""
    typer.echo(f"\nreport: {paths.html}")
    program = next((one for one in paths.configurations if one.suffix == ".py"), None)
    file = next((one for one in paths.configurations if one.suffix == ".toml"), None)
    if program is not None and file is not None:
        typer.echo(f"code:   python {program}, or study train {file}")


def _interval(bounds: tuple[float, float]) -> str:
    return f"{bounds[0]:.4g} to {bounds[1]:.4g}" if all(map(math.isfinite, bounds)) else ""
