"""Figures as files, drawn by an installed Chromium."""

import builtins
import re
from pathlib import Path

import pytest

from bakeoff.analysis.comparison import compare
from bakeoff.errors import MissingDependencyError
from bakeoff.records import Comparison
from bakeoff.report import write_report
from bakeoff.report.images import ImageError
from outside_pip import need_browser
from record_examples import example_record

PNG_START = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(name="comparison", scope="module")
def _comparison() -> Comparison:
    return compare(example_record(num_arms=2, trials_per_arm=6))


def test_every_drawn_figure_becomes_a_file(comparison: Comparison, tmp_path: Path) -> None:
    need_browser()
    paths = write_report(comparison, tmp_path, generated_at="now", image_formats=["png", "svg"])
    drawn = re.findall(r"!\[[^]]*\]\((figures/[^)]*)\)", paths.markdown.read_text())
    assert len(drawn) >= 5
    assert len(paths.images) == 2 * len(drawn)
    for name in drawn:
        png, svg = tmp_path / name, (tmp_path / name).with_suffix(".svg")
        assert png.read_bytes().startswith(PNG_START)
        assert svg.read_text().startswith("<svg")
    again = write_report(comparison, tmp_path, generated_at="now")
    assert again.images == ()
    assert not [*tmp_path.glob("figures/*.png"), *tmp_path.glob("figures/*.svg")]


def test_without_kaleido_the_message_names_the_extra(
    comparison: Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = builtins.__import__

    def missing(name: str, *rest: object) -> object:
        if name.startswith(("kaleido", "choreographer")):
            raise ImportError(name)
        return find(name, *rest)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(MissingDependencyError, match=r"pip install 'bakeoff\[png\]'"):
        write_report(comparison, tmp_path / "new", image_formats=["png"])
    assert not (tmp_path / "new").exists()


def test_without_a_browser_the_message_says_what_to_install(
    comparison: Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("kaleido")
    monkeypatch.setenv("BROWSER_PATH", str(tmp_path / "no-chrome"))
    with pytest.raises(MissingDependencyError, match="apt-get install chromium"):
        write_report(comparison, tmp_path / "new", image_formats=["png"])
    assert not (tmp_path / "new").exists()


def test_a_browser_that_fails_leaves_the_rest_of_the_report(
    comparison: Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kaleido = pytest.importorskip("kaleido")

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the browser closed")

    monkeypatch.setattr(kaleido, "Kaleido", object)  # finds a browser on any machine
    monkeypatch.setattr(kaleido, "write_fig_from_object_sync", fail)
    with pytest.raises(ImageError, match="the browser closed"):
        write_report(comparison, tmp_path, image_formats=["svg"])
    assert (tmp_path / "index.html").exists()
