import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from bakeoff.errors import BakeoffError, UsageError
from bakeoff.production.folder import EpochLog, RunFacts, RunFolder, RunResult, check_run_name
from bakeoff.records import EpochResult, StudyConfig

FACTS = RunFacts(seed=3, precision="fp32", threads=2, device="cpu", data_fingerprint="abc")


def epoch(number: int, loss: float = 0.5, seconds: float = 1.0) -> EpochResult:
    return EpochResult(
        epoch=number,
        metrics={"accuracy": 0.9},
        train_loss=loss,
        train_seconds=seconds,
        learning_rate=0.1,
        grad_norm=math.inf,
    )


@pytest.fixture
def log_file(tmp_path: Path) -> Path:
    """A log of two epochs."""
    path = tmp_path / "metrics.jsonl"
    log = EpochLog(path)
    log.add(epoch(1))
    log.add(epoch(2, loss=math.nan))
    return path


def test_an_epoch_read_back_is_the_one_written(log_file: Path) -> None:
    history = EpochLog(log_file).history
    assert history[1] == epoch(1)
    assert math.isnan(history[2].train_loss)


def test_a_repeated_epoch_is_not_written_again(log_file: Path) -> None:
    before = log_file.read_bytes()
    log = EpochLog(log_file)
    assert [log.add(epoch(1, seconds=7.0)), log.add(epoch(2, loss=math.nan))] == [False, False]
    assert log_file.read_bytes() == before
    assert log.differs_from is None


def test_the_first_epoch_with_other_results_is_recorded(log_file: Path) -> None:
    log = EpochLog(log_file)
    log.add(epoch(1))
    log.add(epoch(2, loss=0.4))
    assert log.differs_from == 2


@pytest.mark.parametrize("length", range(1, 30, 7))
def test_a_line_that_was_cut_short_is_removed(log_file: Path, length: int) -> None:
    whole = log_file.read_bytes()
    log_file.write_bytes(whole + b'{"epoch": 3, "metrics": {"acc'[:length])
    assert list(EpochLog(log_file).history) == [1, 2]
    assert log_file.read_bytes() == whole


def test_every_line_is_strict_json(log_file: Path) -> None:
    def refuse(name: str) -> None:
        raise AssertionError(name)

    for line in log_file.read_text().splitlines():
        json.loads(line, parse_constant=refuse)


def test_a_run_that_has_begun_keeps_its_settings(tmp_path: Path, config: StudyConfig) -> None:
    folder = RunFolder(tmp_path / "run")
    assert not folder.has_begun
    folder.begin(config, FACTS)
    assert folder.has_begun
    assert folder.load_config() == config
    assert folder.load_facts() == FACTS
    assert folder.load_result() is None


def test_a_result_read_back_is_the_one_written(tmp_path: Path) -> None:
    result = RunResult(
        outcome="complete",
        scored_epoch=2,
        validation_metrics={"loss": 0.5},
        test_metrics={},
        confusion=((3, 1), (0, 4)),
    )
    RunFolder(tmp_path).finish(result)
    assert RunFolder(tmp_path).load_result() == result


def test_a_line_of_the_log_does_not_depend_on_whether_its_epoch_was_repeated(
    tmp_path: Path,
) -> None:
    repeated = epoch(1)
    for name, one in (("a", repeated), ("b", replace(repeated, confusion=((3, 1), (0, 4))))):
        EpochLog(tmp_path / name).add(one)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_run_of_a_newer_release_is_refused(tmp_path: Path, config: StudyConfig) -> None:
    folder = RunFolder(tmp_path)
    folder.begin(config, FACTS)
    content = json.loads((tmp_path / "run.json").read_text()) | {"format": 99}
    (tmp_path / "run.json").write_text(json.dumps(content))
    with pytest.raises(BakeoffError, match="newer release of bakeoff"):
        folder.load_facts()


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x", "a\0b", "x" * 101, "ends."])
def test_a_name_that_no_folder_should_have_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="--name"):
        check_run_name(name)


@pytest.mark.parametrize("name", ["config.toml", "run.json", "result.json", "metrics.jsonl"])
@pytest.mark.parametrize("content", [b"\xff\n", b"5\n", b"[[[\n", b'{"format": 1, "a": 2}\n'])
def test_a_damaged_file_of_a_run_is_named_in_one_line(
    tmp_path: Path, config: StudyConfig, name: str, content: bytes
) -> None:
    folder = RunFolder(tmp_path)
    folder.begin(config, FACTS)
    (tmp_path / name).write_bytes(content)
    readers = {
        "config.toml": folder.load_config,
        "run.json": folder.load_facts,
        "result.json": folder.load_result,
        "metrics.jsonl": lambda: EpochLog(folder.log),
    }
    with pytest.raises(BakeoffError) as caught:
        readers[name]()
    assert str(caught.value).startswith(f"{tmp_path / name} was damaged (")
    assert "\n" not in str(caught.value)
