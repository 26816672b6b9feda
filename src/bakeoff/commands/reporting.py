"""Writes the report of a stored study, and prints what the study found."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from bakeoff.analysis.comparison import compare
from bakeoff.analysis.pareto_fronts import objective_sentences
from bakeoff.analysis.wording import interval, number
from bakeoff.commands.output import print_table, print_text
from bakeoff.commands.stored_studies import open_storage
from bakeoff.errors import StoreError, UsageError, one_line
from bakeoff.records import ArmSummary, Comparison, ConfirmedScores
from bakeoff.records.durations import format_estimate
from bakeoff.records.significance import CONFIDENCE_TEXT
from bakeoff.report import ReportPaths, write_report
from bakeoff.report.answer import DEFAULTS_SUFFIX, Answer, build_answer
from bakeoff.report.configurations import default_params
from bakeoff.stores import is_url, join, open_store

COPY_TO = "--copy-to"
MOST_SHOWN = 6
"""Configurations whose settings are printed; the report has all of them."""
MOST_LIMITS = 4
"""Sentences that are printed on what limits the headline; the report has all of them."""


def write_study_report(
    name: str,
    *,
    output: Path,
    storage: str | None,
    image_formats: Sequence[str] = (),
    is_known: bool = False,
) -> tuple[Comparison, ReportPaths]:
    """Write a stored study's report.

    `is_known` is that of `open_storage`.

    Raises:
        BakeoffError: The storage cannot be read or has no such study, or images are requested and
            cannot be drawn.
    """
    comparison = compare(open_storage(storage, output, is_known=is_known).load_record(name))
    return comparison, write_report(comparison, output / name, image_formats=image_formats)


def check_copy(folder: Path, place: str) -> None:
    """Refuse a copy of the report in `folder` that would lie in this folder itself.

    Raises:
        UsageError: There would be nothing to copy, or the next report could remove the copy.
    """
    if is_url(place):
        return
    copy, folder = Path(place, folder.name).resolve(), folder.resolve()
    if copy == folder:
        raise UsageError(f"{COPY_TO} {place}: the report is written there anyway; name another")
    if folder in copy.parents:
        raise UsageError(f"{COPY_TO} {place}: is inside the report's own folder; name another")


def copy_report(paths: ReportPaths, place: str) -> str:
    """Copy the files of a report into a folder below `place`; return the location of its page.

    The folder has the name of the one that the report was written into.

    Raises:
        StoreError: The copy cannot be written.
    """
    folder = paths.html.parent
    store = open_store(join(place, folder.name))
    try:
        for path in paths.files:
            store.put(path.relative_to(folder).as_posix(), path.read_bytes())
    except StoreError as error:
        raise StoreError(f"{COPY_TO} {error}") from error
    except OSError as error:
        reason = error.strerror or error
        raise StoreError(f"{COPY_TO} {store.location}: cannot be written ({reason})") from error
    return join(store.location, paths.html.name)


def print_study_report(comparison: Comparison, paths: ReportPaths) -> None:
    """Print the answer of a study, and where its report is."""
    print_comparison(comparison)
    for sentence in objective_sentences(comparison.study):
        typer.echo()
        print_text(sentence)
    print_diagnoses(comparison)
    print_report(paths)


def report_facts(comparison: Comparison, paths: ReportPaths) -> dict[str, object]:
    """The answer of a study for programs: what to use, what to expect of it, where it is stored.

    `summary.json` in the report has the rest.
    """
    answer, study = build_answer(comparison), comparison.study
    leads = {(one.arm, one.is_default) for one in answer.leading if answer.has_leader}
    seconds = _run_seconds(answer)
    return {
        "study": study.name,
        "finished": study.finished,
        "objective": study.objective.name,
        "level": comparison.level,
        "headline": answer.headline,
        "limits": [one for one in (*answer.weakened_by, answer.next_step) if one],
        "arms": [
            {
                "arm": arm.arm,
                "library_defaults": is_default,
                "leads": (arm.arm, is_default) in leads,
                "params": default_params(arm, study) if is_default else arm.chosen_params,
                "best_in_search": None if is_default else arm.search_best,
                "test_mean": scores and scores.test_mean,
                "test_interval": scores and scores.test_ci,
                "seeds": len(scores.seeds) if scores else 0,
                "run_seconds": seconds.get((arm.arm, is_default)),
            }
            for arm, scores, is_default in _rows(comparison)
        ],
        "report": str(paths.html),
        "summary": str(paths.summary),
        "study_files": [str(one) for one in paths.configurations if one.suffix == ".toml"],
    }


def print_comparison(comparison: Comparison) -> None:
    """Print the headline, what limits it, the settings to use, and a table of the arms."""
    answer = build_answer(comparison)
    typer.echo()
    print_text(one_line(answer.headline))
    limits = [*map(_first_sentence, answer.weakened_by), answer.next_step]
    limits = [one for one in limits if one]
    for sentence in limits[:MOST_LIMITS]:
        print_text(f"- {one_line(sentence)}", indent="  ")
    if len(limits) > MOST_LIMITS:
        typer.echo(f"- {len(limits) - MOST_LIMITS} more in the report")
    _print_settings(answer)
    typer.echo()
    _print_arms(comparison, answer)


def _first_sentence(text: str) -> str:
    """What a limit is; the report says what follows from it."""
    first, end, _ = text.partition(". ")
    return first + end.rstrip()


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
    if not any(arm.confirmed for arm in comparison.arms):
        rows = [[one_line(one.arm), one.num_trials, one.search_best] for one in comparison.arms]
        print_table(["arm", "trials", f"best {metric} in search"], rows)
        return
    seconds = _run_seconds(answer)
    heads = ["arm", f"test {metric}", f"{CONFIDENCE_TEXT} interval", "seeds", "one run"]
    lines: list[list[Any]] = [
        [
            one_line(arm.arm) + (DEFAULTS_SUFFIX if is_default else ""),
            *_confirmed_cells(scores, seconds.get((arm.arm, is_default))),
        ]
        for arm, scores, is_default in _rows(comparison)
    ]
    num_columns = len(heads) - all(one is None for one in seconds.values())
    print_table(heads[:num_columns], [line[:num_columns] for line in lines])
    _print_searches(comparison)


def _rows(comparison: Comparison) -> list[tuple[ArmSummary, ConfirmedScores | None, bool]]:
    """Each arm with its confirmed scores, then the same of its library defaults (True) if any."""
    arms = comparison.arms
    found = [(arm, arm.confirmed, False) for arm in arms]
    return found + [(arm, arm.default_confirmed, True) for arm in arms if arm.default_confirmed]


def _run_seconds(answer: Answer) -> dict[tuple[str, bool], float | None]:
    """How long one run takes, by arm and whether it has the library defaults."""
    every = (*answer.leading, *answer.others, *answer.defaults)
    return {(one.arm, one.is_default): one.run_seconds for one in every}


def _confirmed_cells(scores: ConfirmedScores | None, run_seconds: float | None) -> list[object]:
    if scores is None:
        return [None, "", None, ""]
    cost = "" if run_seconds is None else format_estimate(run_seconds)
    return [scores.test_mean, _interval(scores.test_ci), len(scores.seeds), cost]


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
    """Name the kinds of flags and hints, which the report has in full."""
    flags = sorted({(flag.id, flag.title) for flag in comparison.flags})
    if flags:
        listed = "; ".join(f"{one_line(title)} ({identity})" for identity, title in flags)
        print_text(f"flags: {listed}", indent="  ")
    found = sorted({one.kind.replace("_", " ") for one in comparison.diagnoses})
    if found:
        print_text(f"hints from the curves: {', '.join(found)}", indent="  ")


def print_report(paths: ReportPaths) -> None:
    """Print where the report is, and where the code of its configurations is."""
    typer.echo(f"\nreport: {paths.html}")
    file = next((one for one in paths.configurations if one.suffix == ".toml"), None)
    if file is not None:
        typer.echo(f"train:  study train {file}\ncode:   python {file.with_suffix('.py')}")


def _interval(bounds: tuple[float, float]) -> str:
    return interval(bounds) if all(map(math.isfinite, bounds)) else ""
