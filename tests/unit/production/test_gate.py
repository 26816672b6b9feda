"""A gate: its baseline, what may differ from it, runs that fail, and runs that are interrupted."""

import fcntl
import hashlib
import json
import subprocess
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bakeoff.engines.open import EngineSettings
from bakeoff.engines.protocol import Died, Event, Failed, Halted, Paused, Probed
from bakeoff.engines.stopping import InterruptedStudyError
from bakeoff.errors import (
    BakeoffError,
    OutputError,
    StorageError,
    StudyLockedError,
    UntrainableError,
    UsageError,
)
from bakeoff.production.gate import (
    GatePlace,
    check_numbers,
    compare_with_baseline,
    gate_settings,
    store_baseline,
)
from bakeoff.production.gate_file import Baseline, check_target, load_baseline, write_baseline
from bakeoff.production.one_configuration import Chosen, fix_settings
from bakeoff.records import GateReport, GateRun, StudyConfig, TrialConfig
from bakeoff.report.gate_page import render_gate
from bakeoff.seeding import derive_seed
from bakeoff.studyfile import resolve_study
from outside_pip import need_git
from study_examples import SimulatedEngine, study_document

MARGIN = 0.02


def noise(config: TrialConfig, epoch: int) -> float:
    """Scores around 0.9 with a spread of about 0.006 over seeds."""
    return 0.9 - 0.1 / epoch + 0.001 * (config.seed % 21)


def lower_by(loss: float) -> Callable[[TrialConfig, int], float]:
    """Scores that are lower, with another noise."""
    return lambda config, epoch: noise(config, epoch) - loss + 0.0005 * (config.seed % 5 - 2)


class Notes:
    """An observer that remembers its calls."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.ended_seeds: list[int] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def ended(self, run: GateRun, num_done: int) -> None:
        self.ended_seeds.append(run.seed)


class Ending(SimulatedEngine):
    """Ends the run of one seed with a given event after one epoch, any number of times."""

    def __init__(self, seed: int, event: Callable[[str], Event]) -> None:
        super().__init__(curve=noise)
        self._name, self._event = f"seed-{seed}", event

    def events(self, timeout: float) -> Sequence[Event]:
        if self._epochs.get(self._name) == 1 and self._name in self.running:
            return [self._end(self._name, self._event(self._name))]
        return super().events(timeout)


class Bench:
    """Stores and compares with simulated engines, in a folder of its own."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self._patch = folder, monkeypatch
        self.config = fix_settings(resolve_study(study_document()), Chosen(learning_rate=0.01))
        self.file = folder / "baseline.json"
        self.observer = Notes()
        self.engine = SimulatedEngine()
        self.probe_error: Exception | None = None

    def _place(self, engine: SimulatedEngine) -> GatePlace:
        self.engine = engine

        def probed(*_: object) -> Probed:
            if self.probe_error is not None:
                raise self.probe_error
            code = {
                str(one): hashlib.sha256(one.read_bytes()).hexdigest()
                for one in self.folder.glob("*.py")
            }
            return Probed(
                run="probe", precision="fp32", seconds_per_step={"fp32": 1.0}, reason="", code=code
            )

        self._patch.setattr("bakeoff.production.gate.probe", probed)
        self._patch.setattr("bakeoff.production.gate.open_engine", lambda _: nullcontext(engine))
        settings = EngineSettings(workers=engine.num_free)
        return GatePlace(output=self.folder, settings=settings, observer=self.observer)

    def store(self, engine: SimulatedEngine | None = None, **options: Any) -> Baseline:
        place = self._place(engine or SimulatedEngine(curve=noise))
        return store_baseline(self.config, self.file, place, **{"margin": MARGIN, **options})

    def compare(
        self,
        engine: SimulatedEngine | None = None,
        config: StudyConfig | None = None,
        **options: Any,
    ) -> GateReport:
        place = self._place(engine or SimulatedEngine(curve=noise))
        baseline = load_baseline(str(self.file))
        return compare_with_baseline(
            config or self.config, baseline, place, reference="baseline.json", **options
        )

    @property
    def seeds(self) -> list[int]:
        return [derive_seed(3, "gate", place) for place in range(12)]


@pytest.fixture
def bench(tmp_path, monkeypatch) -> Bench:
    return Bench(tmp_path, monkeypatch)


@pytest.fixture
def stored(bench) -> Bench:
    bench.store()
    return bench


def test_a_baseline_is_read_as_it_was_written(bench) -> None:
    written = bench.store()
    assert load_baseline(str(bench.file)) == written
    assert [run.seed for run in written.runs] == bench.seeds
    expected = [0.9 - 0.1 / 4 + 0.001 * (seed % 21) for seed in bench.seeds]
    assert written.scores() == pytest.approx(np.array(expected))
    assert {run.epoch for run in written.runs} == {4}
    assert (written.margin, written.margin_source) == (MARGIN, "--margin")
    assert written.config == bench.config


def test_only_the_validation_set_is_read_and_no_weights_are_written(bench) -> None:
    bench.store()
    assert not any(job.reads_test or job.keeps_weights for job in bench.engine.submitted)


def test_a_baseline_whose_scores_vary_gets_more_seeds(bench) -> None:
    assert len(bench.store(margin=0.005).runs) > 12
    assert len(bench.store(margin=0.005, num_seeds=9).runs) == 9


def test_the_margin_is_the_study_files_delta_or_else_derived_from_the_validation_set(bench) -> None:
    derived = bench.store(margin=None)
    assert derived.margin_source == "2 x the standard error from 288 validation samples"
    bench.config = replace(bench.config, delta=0.05)
    given = bench.store(margin=None)
    assert (given.margin, given.margin_source) == (0.05, "delta in the study file")


def test_the_same_code_is_not_worse_and_all_seeds_have_the_same_bits(stored) -> None:
    report = stored.compare()
    assert (report.decision, report.num_equal, report.finding.mean) == ("not_worse", 12, 0.0)
    assert [job.config.seed for job in stored.engine.submitted] == stored.seeds
    assert "12 of 12 seeds measured the same bits" in render_gate(report)


@pytest.mark.parametrize(
    ("loss", "decision"), [(0.03, "worse"), (0.02, "cannot_tell"), (0.01, "not_worse")]
)
def test_the_decision_depends_on_the_loss(stored, loss, decision) -> None:
    report = stored.compare(SimulatedEngine(curve=lower_by(loss), num_workers=3))
    assert report.decision == decision
    assert report.num_equal == 0
    page = render_gate(report)
    assert page.count("\n| ") == 14  # a row for each seed below a heading and a rule
    assert report.verdict.split(":")[0] in page.replace("\\", "")


def test_another_margin_and_fewer_seeds_may_be_asked_for(stored) -> None:
    report = stored.compare(SimulatedEngine(curve=lower_by(0.01)), margin=0.001, num_seeds=8)
    assert (report.decision, report.finding.num_pairs) == ("worse", 8)
    assert "Accepted loss: 0.001 (--margin)" in render_gate(report).replace("\\", "")


def test_a_run_that_diverges_decides_at_once(stored) -> None:
    bad = stored.seeds[2]
    report = stored.compare(
        SimulatedEngine(curve=noise, diverges=lambda config: config.seed == bad)
    )
    assert (report.decision, report.finding) == ("worse", None)
    assert f"the run with seed {bad}, one of 12 planned, diverged in epoch 1" in report.verdict
    assert "All 12 runs of the baseline completed" in report.verdict
    assert len(stored.engine.submitted) == 3
    assert render_gate(report).count("not trained") == 9


def test_a_run_that_raises_decides_at_once(stored) -> None:
    def fail(name: str) -> Failed:
        return Failed(run=name, outcome="failed", reason="ValueError: no such layer (net.py:3)")

    report = stored.compare(Ending(stored.seeds[0], fail))
    assert report.decision == "worse"
    assert "failed: ValueError: no such layer (net.py:3)" in report.verdict


def test_code_that_cannot_be_trained_at_all_is_worse(stored) -> None:
    stored.probe_error = UntrainableError("model.model = 'net:build': ValueError: no")
    report = stored.compare()
    assert report.decision == "worse"
    assert "it cannot be trained: model.model = 'net:build': ValueError: no" in report.verdict


def test_a_setting_that_does_not_work_here_is_no_verdict_on_the_code(stored) -> None:
    stored.probe_error = UsageError("training.precision = 'bf16' does not work here")
    with pytest.raises(UsageError, match="does not work here"):
        stored.compare()


@pytest.mark.parametrize(
    ("event", "error", "message"),
    [
        (lambda name: Died(run=name, reason="worker ended by SIGKILL"), BakeoffError, "3 times"),
        (lambda name: Halted(run=name, reason="the disk is full"), StorageError, "make room"),
        (
            lambda name: Failed(run=name, outcome="infeasible", reason="out of memory"),
            BakeoffError,
            "cannot be trained here: out of memory",
        ),
    ],
    ids=["died", "disk", "memory"],
)
def test_what_may_be_the_machines_fault_is_no_verdict(stored, event, error, message) -> None:
    with pytest.raises(error, match=message):
        stored.compare(Ending(stored.seeds[1], event))


def test_a_baseline_needs_runs_that_all_complete(bench) -> None:
    with pytest.raises(BakeoffError, match="diverged in epoch 1; a baseline needs runs that all"):
        bench.store(SimulatedEngine(curve=noise, diverges=lambda config: True))
    assert not bench.file.exists()


def test_a_baseline_that_cannot_be_written_loses_no_seed(bench) -> None:
    bench.file = bench.folder / "toy" / "gate" / "unfinished" / ".lock" / "baseline.json"
    with pytest.raises(OutputError, match="cannot be written"):
        bench.store()
    bench.file = bench.folder / "baseline.json"
    bench.store()
    assert not bench.engine.submitted


def test_a_score_of_the_baseline_that_is_far_below_the_others_is_said(bench) -> None:
    bad = bench.seeds[4]
    bench.store(SimulatedEngine(curve=lambda one, epoch: noise(one, epoch) - (one.seed == bad) / 2))
    (note,) = bench.observer.notes
    assert note.startswith(f"seed {bad} has a score far below the others, 0.38")


def test_an_interrupted_gate_continues_with_the_seeds_that_are_trained(stored) -> None:
    with pytest.raises(InterruptedStudyError):
        stored.compare(Ending(stored.seeds[5], lambda name: Paused(run=name)))
    assert len(stored.engine.submitted) == 6
    with next(stored.folder.glob("toy/gate/unfinished/*/seeds.jsonl")).open("a") as log:
        log.write('{"seed": 4')  # a kill cut a line short
    report = stored.compare()
    assert [job.config.seed for job in stored.engine.submitted] == stored.seeds[5:]
    assert stored.observer.notes == ["kept from an earlier session: 5 seeds"]
    assert (report.decision, report.num_equal) == ("not_worse", 12)


def test_a_gate_that_has_ended_trains_everything_again(stored) -> None:
    stored.compare()
    stored.compare()
    assert len(stored.engine.submitted) == 12
    assert not list(stored.folder.glob("toy/gate/unfinished/*/*"))


def test_seeds_of_other_code_are_not_kept(stored) -> None:
    code = stored.folder / "net.py"
    code.write_text("value = 1\n")
    with pytest.raises(InterruptedStudyError):
        stored.compare(Ending(stored.seeds[5], lambda name: Paused(run=name)))
    code.write_text("value = 2\n")
    stored.compare()
    assert len(stored.engine.submitted) == 12


def test_a_gate_is_trained_by_one_process_at_a_time(stored) -> None:
    folder = stored.folder / "toy" / "gate" / "unfinished"
    with (folder / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write("4321")
        file.flush()
        with pytest.raises(StudyLockedError, match="in use by process 4321"):
            stored.compare()


def test_settings_code_and_versions_that_differ_are_said(bench) -> None:
    code = bench.folder / "net.py"
    code.write_text("value = 1\n")
    baseline = bench.store()
    older = {**baseline.environment, "torch": "1.0"}
    write_baseline(bench.file, replace(baseline, environment=older))
    code.write_text("value = 2\n")
    training = replace(bench.config.training, batch_size=32)
    report = bench.compare(config=replace(bench.config, training=training))
    assert report.changed_settings == ("training.batch_size: 64 -> 32",)
    torch, own = report.changed_environment
    assert torch.startswith("torch: 1.0 -> ")
    assert own == "own code: net.py"
    assert "* own code: net.py" in render_gate(report)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"objective": "loss"}, 'study.objective: "accuracy" -> "loss"'),
        ({"score_rule": "last_epoch"}, "study.score"),
        ({"seed": 4}, "study.seed: 3 -> 4"),
    ],
)
def test_scores_that_mean_something_else_are_refused(stored, changes, message) -> None:
    with pytest.raises(UsageError, match="cannot be compared with other settings") as caught:
        stored.compare(config=replace(stored.config, **changes))
    assert message in str(caught.value)
    assert not stored.engine.submitted


def test_another_split_is_refused(stored) -> None:
    data = replace(stored.config.data, validation_fraction=0.3)
    with pytest.raises(UsageError, match=r"data\.validation_fraction: 0\.2 -> 0\.3"):
        stored.compare(config=replace(stored.config, data=data))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("data_fingerprint", "0" * 64, "its runs had other data (fingerprint 000000000000, now"),
        ("metric", "loss", "its score is loss (maximize), that of the study is accuracy"),
        ("direction", "minimize", "its score is accuracy (minimize), that of the study is"),
    ],
)
def test_other_data_metric_and_direction_are_refused(stored, field, value, message) -> None:
    write_baseline(stored.file, replace(load_baseline(str(stored.file)), **{field: value}))
    with pytest.raises(UsageError) as caught:
        stored.compare()
    assert message in str(caught.value)


def test_more_seeds_than_the_baseline_has_are_refused(stored) -> None:
    with pytest.raises(UsageError, match="--seeds 20: the baseline has 12; store one with"):
        stored.compare(num_seeds=20)


def test_a_precision_that_was_measured_is_that_of_the_baseline(bench) -> None:
    bench.config = replace(bench.config, training=replace(bench.config.training, precision="auto"))
    stored = bench.store()
    write_baseline(bench.file, replace(stored, precision="bf16"))
    seen = []
    place = bench._place(SimulatedEngine(curve=noise))  # noqa: SLF001 - patches the probe
    bench._patch.setattr(  # noqa: SLF001
        "bakeoff.production.gate.probe", lambda config, *_: seen.append(config) or 1 / 0
    )
    with pytest.raises(ZeroDivisionError):
        compare_with_baseline(bench.config, load_baseline(str(bench.file)), place, reference="x")
    assert seen[0].training.precision == "bf16"


def edited(change: Callable[[dict[str, Any]], object]) -> Callable[[str], str]:
    """The text of a baseline whose content was changed, and not its SHA-256."""

    def edit(text: str) -> str:
        content = json.loads(text)
        change(content)
        return json.dumps(content)

    return edit


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text[:200], "is no valid JSON"),
        (lambda text: "", "is no valid JSON"),
        (lambda text: "[" * 100_000, "is no valid JSON"),
        (lambda text: "[]", "is not a baseline"),
        (edited(lambda one: one.update(kind="x")), "is not a baseline"),
        (edited(lambda one: one.update(format=2)), "newer release"),
        (edited(lambda one: one["runs"][0].update(score=0.1)), "its SHA-256 does not match"),
        (edited(lambda one: one["runs"].pop()), "its SHA-256 does not match"),
        (edited(lambda one: one.pop("sha256")), "its SHA-256 does not match"),
    ],
)
def test_a_damaged_baseline_is_refused_in_one_line(stored, damage, message) -> None:
    stored.file.write_text(damage(stored.file.read_text()))
    with pytest.raises(UsageError) as caught:
        load_baseline(str(stored.file))
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"--baseline {stored.file}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"runs": ()}, "runs: "),
        ({"margin": -1.0}, "margin: "),
        ({"margin": float("nan")}, "margin: "),
        ({"settings": "x = "}, "Invalid value"),
        ({"settings": "[study]\nname = 3\n"}, "study.name"),
    ],
)
def test_a_baseline_with_values_that_cannot_be_is_refused(stored, changes, message) -> None:
    write_baseline(stored.file, replace(load_baseline(str(stored.file)), **changes))
    with pytest.raises(UsageError) as caught:
        load_baseline(str(stored.file))
    assert message in str(caught.value)


def test_a_seed_that_occurs_twice_is_refused(stored) -> None:
    baseline = load_baseline(str(stored.file))
    write_baseline(stored.file, replace(baseline, runs=(baseline.runs[0], *baseline.runs[:-1])))
    with pytest.raises(UsageError, match="a seed occurs twice"):
        load_baseline(str(stored.file))


def test_a_missing_baseline_and_a_folder_are_refused(tmp_path) -> None:
    with pytest.raises(UsageError, match="there is no such file; `study gate FILE --store"):
        load_baseline(str(tmp_path / "none.json"))
    with pytest.raises(UsageError, match="cannot be read"):
        load_baseline(str(tmp_path))


def test_a_file_that_is_no_baseline_is_not_replaced(stored, tmp_path) -> None:
    check_target(stored.file)
    check_target(tmp_path / "new.json")
    other = tmp_path / "model.toml"
    other.write_text("[study]\n")
    with pytest.raises(UsageError, match="is not a baseline; name another file"):
        check_target(other)


def test_a_baseline_is_read_from_a_git_revision_whatever_the_working_tree_has(
    stored, monkeypatch
) -> None:
    need_git()

    def git(*arguments: str) -> None:
        author = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        subprocess.run(["git", *author, *arguments], cwd=stored.folder, check=True)

    git("init", "-q", "-b", "trunk")
    git("add", "baseline.json")
    git("commit", "-q", "-m", "Baseline")
    before = load_baseline(str(stored.file))
    stored.file.write_text("replaced by the change")
    monkeypatch.chdir(stored.folder)
    assert load_baseline("trunk:baseline.json") == before
    for reference in ("trunk:none.json", "none:baseline.json"):
        with pytest.raises(UsageError, match="git has no such file"):
            load_baseline(reference)
    with pytest.raises(UsageError, match="does not begin with -"):
        load_baseline("--batch:x")


@pytest.mark.parametrize(
    ("margin", "seeds", "message"),
    [
        (0.0, None, "--margin 0: must be"),
        (float("nan"), None, "--margin nan: must be"),
        (float("inf"), None, "--margin inf: must be"),
        (None, 6, "--seeds 6: allowed are 7"),
        (None, 1001, "--seeds 1001: allowed are 7"),
    ],
)
def test_a_margin_or_number_of_seeds_that_decides_nothing_is_refused(
    margin, seeds, message
) -> None:
    with pytest.raises(UsageError) as caught:
        check_numbers(margin, seeds)
    assert str(caught.value).startswith(message)


def test_threads_share_the_cores_among_fewer_workers(monkeypatch) -> None:
    monkeypatch.setattr("bakeoff.production.gate.num_cores", lambda: 8)
    chosen = gate_settings("cpu", None, 4)
    assert (chosen.workers, chosen.threads) == (2, 4)
    assert gate_settings("cpu", 3, None).workers == 3
    with pytest.raises(UsageError, match="--workers"):
        gate_settings("cpu", 0, None)
