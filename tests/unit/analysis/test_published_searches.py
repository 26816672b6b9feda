"""The comparison with published searches reads their files as they are laid out.

The data itself is under a licence that does not go with ours; these few runs are made up.
"""

import importlib.util
import json
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "published_searches.py"


@pytest.fixture(name="script", scope="module")
def _script():
    spec = importlib.util.spec_from_file_location("published_searches", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def language_run(number, *accuracies):
    curve = [[1_000 * step, value] for step, value in enumerate(accuracies, start=1)]
    return {"iteration": number, "learning_curves": {"matched": curve, "mismatched": []}}


def image_run(number, *scores, epochs=4):
    curve = [{"epoch": epoch, "top_1": score} for epoch, score in enumerate(scores)]
    return {
        "iteration": number,
        "nan_train_loss": len(scores) < epochs,
        "epochs": epochs,
        "learning_curve": curve,
    }


@pytest.fixture(name="folder")
def _folder(script, tmp_path):
    runs = {
        "deberta/deberta-base": [language_run(2, 0.9, 0.7), language_run(1, 0.2, 0.6)],
        "deberta/deberta-v3-base": [language_run(1, 0.5, 0.8), language_run(2, 0.1, 0.7)],
        **{
            name: [
                image_run(1, 0.1, 0.3, 0.2, 0.25),
                image_run(2, 0.2, 0.3, 0.5, 0.6),
                image_run(3, 0.05),
                image_run(4),
            ]
            for name in script.IMAGENET
        },
    }
    for name, own in runs.items():
        path = tmp_path / f"{name}.results.jsonl"
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(json.dumps(run) + "\n" for run in own))
    return tmp_path


def test_all_numbers_are_computed_from_the_files(script, folder, monkeypatch):
    monkeypatch.setattr(script, "BUDGETS", (1, 2))
    monkeypatch.setattr(
        script, "DEBERTA", {name: both[:2] for name, both in script.DEBERTA.items()}
    )
    monkeypatch.setattr(script, "BETTER", script.BETTER[:2])
    found = {line.what: line.ours for line in script.compare_published(folder)}
    assert found["deberta-base, E_1"] == pytest.approx(0.65)
    assert found["deberta-v3-base, E_2"] == pytest.approx(0.8)
    assert found["P_1(V3 > base)"] == pytest.approx(0.875)
    assert found["paired share of V3"] == 0.75
    alexnet = {what.partition(", ")[2]: ours for what, ours in found.items() if "alexnet" in what}
    assert (alexnet["diverged"], alexnet["best"], alexnet["runs near it"]) == (2, 0.6, 1)
    assert alexnet["Spearman at 25%"] == pytest.approx(1.0)


def test_a_number_that_differs_is_reported_and_ends_the_command(
    script, folder, monkeypatch, capsys
):
    monkeypatch.setattr(script, "BUDGETS", ())
    monkeypatch.setattr(script, "DEBERTA", dict.fromkeys(script.DEBERTA, ()))
    monkeypatch.setattr(script, "BETTER", ())
    monkeypatch.setattr(script.sys, "argv", ["published_searches.py", str(folder)])
    with pytest.raises(SystemExit) as ended:
        script.main()
    assert ended.value.code == 1
    assert "paired share of V3: 0.75, expected 0.8716 DIFFERS" in capsys.readouterr().out
