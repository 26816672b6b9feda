"""Recurrent networks and transformers learn more than counting or a linear model can.

One run each of a study that is shipped, on its own data: minutes of one core.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from bakeoff.data.datasets import load_dataset, split_indices
from bakeoff.records import TrialConfig
from bakeoff.studyfile import load_study_file
from bakeoff.training import loop
from outside_pip import need_fashion, need_jargon

STUDIES = Path(__file__).parents[2] / "studies"
PSEUDO_COUNT = 0.1


def run_of(study: str) -> TrialConfig:
    """A run of a shipped study with AdamW at 0.003 under one-cycle."""
    config = load_study_file(STUDIES / f"{study}.toml")
    return TrialConfig(
        optimizer="adamw",
        optimizer_params={"learning_rate": 0.003},
        scheduler="one_cycle",
        scheduler_params={},
        model=config.model,
        model_params=config.model_params,
        data=config.data,
        training=replace(config.training, precision="fp32"),
        objective=config.objective,
        score_rule=config.score_rule,
        seed=1,
        split_seed=0,
    )


def arrays_of(run: TrialConfig) -> tuple[NDArray[np.int64], ...]:
    """Training inputs and labels as the run sees them, then the test set's, as whole numbers."""
    dataset = load_dataset(run.data)
    rows, _ = split_indices(dataset, run.data, run.split_seed)
    parts = (
        np.asarray(dataset.train_inputs)[rows], np.asarray(dataset.train_labels)[rows],
        np.asarray(dataset.test_inputs), np.asarray(dataset.test_labels),
    )  # fmt: skip
    return tuple(part.astype(np.int64) for part in parts)


def measured_on_test(run: TrialConfig) -> dict[str, float]:
    state = loop.prepare(run, "cpu")
    for _ in loop.train(state):
        pass
    return loop.test(state)


def bigram_loss(run: TrialConfig) -> float:
    """Nats per token on the test set of counted pairs, smoothed by the counted tokens."""
    tokens, following, test_tokens, test_following = (part.ravel() for part in arrays_of(run))
    size = 1 + max(int(part.max()) for part in (tokens, following, test_tokens, test_following))
    single = (np.bincount(following, minlength=size) + 1) / (len(following) + size)
    pairs = np.zeros((size, size))
    np.add.at(pairs, (tokens, following), 1)
    extra = PSEUDO_COUNT * size
    shares = (pairs + extra * single) / (pairs.sum(1, keepdims=True) + extra)
    return float(-np.log(shares[test_tokens, test_following]).mean())


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_transformer_on_jargon_beats_counted_pairs_of_characters() -> None:
    need_jargon()
    run = run_of("jargon")
    assert measured_on_test(run)["loss"] < bigram_loss(run) - 0.5


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
def test_lstm_on_fashion_rows_beats_logistic_regression_on_all_pixels() -> None:
    need_fashion()
    run = run_of("fashion-rows")
    inputs, labels, test_inputs, test_labels = arrays_of(run)
    linear = LogisticRegression(max_iter=100).fit(inputs.reshape(len(inputs), -1) / 255, labels)
    share = linear.score(test_inputs.reshape(len(test_inputs), -1) / 255, test_labels)
    assert measured_on_test(run)["accuracy"] > share > 0.8
