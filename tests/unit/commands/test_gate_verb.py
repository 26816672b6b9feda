"""The exit codes of `study gate`, and what it refuses before anything is trained."""

import json
from types import SimpleNamespace

import pytest
import tomli_w

from bakeoff.commands.cli import main
from bakeoff.errors import BakeoffError, DataError, UsageError
from bakeoff.production.gate_file import Baseline, write_baseline
from bakeoff.records import GateReport, GateRun
from bakeoff.studyfile import format_study, resolve_study
from study_examples import ACCURACY, study_document

RUNS = tuple(
    GateRun(seed=seed, outcome="complete", score=0.9, epoch=4, digest="0" * 64) for seed in range(7)
)


def report(decision):
    return GateReport(
        study="toy",
        metric=ACCURACY,
        decision=decision,
        verdict="So it is.",
        margin=0.01,
        margin_source="--margin",
        baseline="base.json",
        baseline_commit="",
        commit="",
        baseline_runs=RUNS,
        runs=RUNS,
        finding=None,
        changed_settings=(),
        changed_environment=(),
        num_validation=100,
    )


@pytest.fixture
def gate(tmp_path, monkeypatch, capsys):
    """Call the verb; the comparison returns or raises what is given."""
    monkeypatch.chdir(tmp_path)
    document = study_document()
    (tmp_path / "toy.toml").write_text(tomli_w.dumps(document))
    baseline = Baseline(
        study="toy",
        settings=format_study(resolve_study(document)),
        metric="accuracy",
        direction="maximize",
        margin=0.01,
        margin_source="--margin",
        num_validation=100,
        data_fingerprint="f",
        precision="fp32",
        threads=3,
        device="cpu",
        commit="",
        environment={},
        runs=RUNS,
    )
    write_baseline(tmp_path / "base.json", baseline)

    def call(found, *options):
        places = []

        def compare(config, baseline, place, **_):
            places.append(place)
            if isinstance(found, Exception):
                raise found
            return found

        monkeypatch.setattr("bakeoff.production.gate.compare_with_baseline", compare)
        with pytest.raises(SystemExit) as caught:
            main(["gate", "toy.toml", *(options or ("--baseline", "base.json"))])
        printed = capsys.readouterr()
        code = caught.value.code or 0
        return SimpleNamespace(code=code, out=printed.out, err=printed.err, places=places)

    return call


@pytest.mark.parametrize(("decision", "code"), [("not_worse", 0), ("worse", 1), ("cannot_tell", 3)])
def test_the_exit_code_is_the_decision_and_the_report_is_printed_and_kept(
    gate, tmp_path, decision, code
):
    done = gate(report(decision))
    assert done.code == code
    folder = tmp_path / "results" / "toy" / "gate"
    assert done.out == (folder / "report.md").read_text()
    assert "So it is." in done.out
    assert json.loads((folder / "gate.json").read_text())["decision"] == decision


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BakeoffError("seed-3: worker ended by SIGKILL, 3 times"), 3),
        (UsageError("other data"), 2),
        (DataError("no data"), 4),
    ],
)
def test_an_error_never_ends_with_the_code_of_worse_code(gate, error, code):
    done = gate(error)
    assert (done.code, done.out) == (code, "")
    assert done.err == f"study: {error}\n"


def test_the_threads_are_those_of_the_baseline(gate):
    (place,) = gate(report("not_worse")).places
    assert place.settings.threads == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--seeds", "8"), "give either --baseline REF or --store-baseline PATH"),
        (
            ("--baseline", "base.json", "--store-baseline", "x.json"),
            "give either --baseline REF or --store-baseline PATH",
        ),
        (("--baseline", "none.json"), "--baseline none.json: there is no such file"),
        (("--store-baseline", "toy.toml"), "is not a baseline; name another file"),
        (("--baseline", "base.json", "--seeds", "2"), "--seeds 2: allowed are 7"),
        (("--baseline", "base.json", "--margin", "-1"), "--margin -1: must be a number above 0"),
    ],
)
def test_wrong_usage_is_one_line_and_trains_nothing(gate, options, message):
    done = gate(AssertionError("nothing is compared"), *options)
    assert (done.code, done.places) == (2, [])
    assert message in done.err
    assert len(done.err.splitlines()) == 1
